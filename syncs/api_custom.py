"""Routes of described APIs under /v1/custom-providers: for admins, as all that decides where secrets are sent."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router

from sequin_console.common.problems import field_problem
from sequin_console.common.rest import actor, get_or_404
from syncs import custom
from syncs.models import Credential, CustomProvider
from syncs.schemas import custom as schemas
from syncs.schemas.custom import CustomProviderOut

custom_providers = Router()


@custom_providers.post("", response={201: CustomProviderOut}, summary="Describe an API")
def create_custom_provider(request: HttpRequest, body: schemas.CustomProviderIn) -> CustomProviderOut:
    """Store a definition; from then on credentials and syncs can be made for it as for any other provider."""
    CustomProvider.objects.administered_by(actor(request))
    return CustomProviderOut.of(custom.create(custom.parse(body.as_json()), by=actor(request)))


@custom_providers.get("", response=schemas.CustomProviderList, summary="List described APIs")
def list_custom_providers(request: HttpRequest) -> schemas.CustomProviderList:
    """All described APIs with their definitions, by name."""
    rows = CustomProvider.objects.administered_by(actor(request))
    return schemas.CustomProviderList(data=[CustomProviderOut.of(row) for row in rows])


@custom_providers.post("/try", response=schemas.TrialOut, summary="Try a definition")
def try_custom_provider(request: HttpRequest, body: schemas.TrialIn) -> schemas.TrialOut:
    """Read the first page of one collection by a definition, without storing anything.

    What the API refuses, and what the definition does not find, comes as `findings`, each with a next step.
    """
    CustomProvider.objects.administered_by(actor(request))
    credential = None
    if body.credential_id is not None:
        provider = body.definition.provider_key
        credential = Credential.objects.filter(pk=body.credential_id, provider=provider).first()
        if credential is None:
            raise field_problem("credential_id", "There is no such credential of this API.")
    return schemas.TrialOut.of(custom.try_it(body.definition, body.collection, body.secrets, credential))


@custom_providers.post("/import", response={201: CustomProviderOut}, summary="Import a described API")
def import_custom_provider(
    request: HttpRequest, body: schemas.CustomProviderIn, query: Query[schemas.ImportQuery]
) -> CustomProviderOut:
    """Store what an export holds. With `replace`, over the described API of the same key."""
    CustomProvider.objects.administered_by(actor(request))
    row = custom.import_file(body.as_json(), by=actor(request), replace=query.replace, read_again=query.read_again)
    return CustomProviderOut.of(row)


@custom_providers.get("/{uuid:custom_provider_id}", response=CustomProviderOut, summary="Get a described API")
def get_custom_provider(request: HttpRequest, custom_provider_id: UUID) -> CustomProviderOut:
    """One described API with its definition."""
    return CustomProviderOut.of(_row(request, custom_provider_id))


@custom_providers.put("/{uuid:custom_provider_id}", response=CustomProviderOut, summary="Change a described API")
def update_custom_provider(
    request: HttpRequest, custom_provider_id: UUID, body: schemas.CustomProviderIn, query: Query[schemas.ChangeQuery]
) -> CustomProviderOut:
    """Put another definition in its place. Its key stays.

    Where a collection that syncs read changes its path, list or ids, it is read from the beginning again: 409 says so,
    and `read_again` consents. A new address asks people to connect again, for stored secrets do not follow.
    """
    row = _row(request, custom_provider_id)
    definition = custom.parse(body.as_json())
    return CustomProviderOut.of(custom.update(row, definition, by=actor(request), read_again=query.read_again))


@custom_providers.delete("/{uuid:custom_provider_id}", response={204: None}, summary="Delete a described API")
def delete_custom_provider(request: HttpRequest, custom_provider_id: UUID) -> None:
    """Forget a definition. Refused with 409 while credentials or OAuth apps use it."""
    custom.delete(_row(request, custom_provider_id), by=actor(request))


@custom_providers.get(
    "/{uuid:custom_provider_id}/export", response=schemas.CustomProviderIn, summary="Export a described API"
)
def export_custom_provider(request: HttpRequest, custom_provider_id: UUID) -> HttpResponse:
    """The definition as a file, to be imported elsewhere. It holds no secret."""
    return file_of(_row(request, custom_provider_id))


def file_of(row: CustomProvider) -> HttpResponse:
    """A definition as a file to keep."""
    answer = JsonResponse(row.definition, json_dumps_params={"indent": 2, "ensure_ascii": False})
    answer["Content-Disposition"] = f'attachment; filename="{row.key}.json"'
    return answer


def _row(request: HttpRequest, pk: UUID) -> CustomProvider:
    return get_or_404(CustomProvider.objects.administered_by(actor(request)), pk=pk)
