"""Everything that changes APIs described by admins: made, changed, tried, brought along as a file, removed."""

from collections.abc import Mapping
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from pydantic import ValidationError

from sequin_console.common import audit, changes
from sequin_console.common.problems import Problem, field_problem
from sequin_console.common.words import sentence
from syncs import asking, catalogue, custom_use, pasted
from syncs.models import Credential, CustomProvider
from syncs.providers.custom import Definition, provider_of
from syncs.providers.custom.trial import Trial, trial

TOPIC = "custom-providers"


def parse(data: Mapping[str, Any]) -> Definition:
    """The definition in a form, a body or a file. Raises Problem, each mistake at its dotted name."""
    try:
        return Definition.model_validate(dict(data))
    except ValidationError as error:
        fields: dict[str, list[str]] = {}
        for each in error.errors():
            fields.setdefault(place_of(each["loc"]), []).append(sentence(each))
        name, said = next(iter(fields.items()))
        raise Problem(f"{name}: {said[0]}" if name else said[0], fields=fields) from None


def place_of(loc: tuple[int | str, ...]) -> str:
    """`collections.0.paging.param`: pydantic names a chosen way (`paging.offset.param`), we do not."""
    parts = list(map(str, loc))
    for name in ("auth", "paging"):
        if name in parts and parts.index(name) + 2 < len(parts):
            del parts[parts.index(name) + 1]
    return ".".join(parts)


def create(definition: Definition, *, by: Any) -> CustomProvider:
    """Store a new one. Raises Problem when its key is taken."""
    if CustomProvider.objects.filter(key=definition.provider_key).exists():
        raise Problem(
            f"There is a described API “{definition.key}” already.",
            kind="conflict",
            next_step="Choose another key, or change that one.",
            fields={"key": ["This key is taken."]},
            status=409,
        )
    row = CustomProvider(key=definition.provider_key, created_by=getattr(by, "actor_name", ""))
    with transaction.atomic():
        _save(row, definition)
        audit.record(by, "custom_provider.created", row, _told(definition))
    _announce()
    return row


def update(row: CustomProvider, definition: Definition, *, by: Any, read_again: bool = False) -> CustomProvider:
    """Change one. What syncs read by it goes on as the new definition says.

    read_again  consents to collections being read from their beginning again, where what changed asks for it
    Raises Problem where that consent is missing, or the change would take from syncs what they read.
    """
    if definition.provider_key != row.key:
        raise field_problem("key", "The key stays.", next_step="Describe another API for another key.")
    before = Definition.model_validate(row.definition)
    custom_use.check_kept(row, before, definition)
    anew = custom_use.to_read_anew(row, before, definition)
    if anew and not read_again:
        raise Problem(
            f"This changes which records there are: {', '.join(anew.titles)} would be read from the beginning again.",
            kind="conflict",
            next_step="Consent to that, and save once more.",
            fields={"read_again": [f"Syncs that read them: {', '.join(anew.syncs)}."]},
            status=409,
        )
    with transaction.atomic():
        _save(row, definition)
        audit.record(by, "custom_provider.changed", row, _told(definition) | {"read_again": anew.titles})
        custom_use.follow(row, before, definition, anew)
    forget_discovered(row)
    _announce()
    return row


def delete(row: CustomProvider, *, by: Any) -> None:
    """Forget one. Raises Problem while connections or OAuth apps use it."""
    if used := custom_use.users_of(row):
        raise Problem(
            f"{row.label} is in use: {', '.join(used)}.", kind="conflict", next_step="Delete these first.", status=409
        )
    with transaction.atomic():
        audit.record(by, "custom_provider.deleted", row)
        row.delete()
    _announce()


def import_file(data: Mapping[str, Any], *, by: Any, replace: bool = False, read_again: bool = False) -> CustomProvider:
    """Store what a file holds; `replace`: over the one of the same key. Raises Problem."""
    definition = parse(data)
    row = CustomProvider.objects.filter(key=definition.provider_key).first()
    if row is not None and replace:
        return update(row, definition, by=by, read_again=read_again)
    return create(definition, by=by)


def try_it(
    definition: Definition, collection_id: str, secrets: Mapping[str, str], credential: Credential | None = None
) -> Trial:
    """The first page of a list, by a definition that need not be stored.

    secrets     what was typed for this trial, never kept: by the fields of the kind; `access_token` for a sign-in
    credential  a connection to use instead
    """
    described = definition.collection(collection_id)
    if described is None:
        raise field_problem("collection", f"There is no collection “{collection_id}” in this definition.")
    provider = provider_of(definition)
    kind = provider.kinds[0]
    if credential is not None:
        custom_use.check_same_place(credential, definition)
        trying, is_stored = credential, True
    else:
        trying, is_stored = Credential(provider=provider.key, kind=kind.key), False
        typed = {key: str(value).strip() for key, value in secrets.items() if str(value).strip()}
        if kind.oauth is not None:
            if "access_token" not in typed:
                raise field_problem("access_token", "To try a sign-in, paste an access token, or choose a connection.")
            pasted.check_sendable("access_token", typed["access_token"])
            trying.secrets, trying.settings = {"access_token": typed["access_token"]}, {"host": "main"}
        else:
            pasted.fill(trying, provider, kind, {"secrets": typed, "name": "Trial"})
    return asking.ask_client(
        trying, lambda client: trial(definition, described, client), is_stored=is_stored, provider=provider
    )


def _save(row: CustomProvider, definition: Definition) -> None:
    row.label, row.definition = definition.label, definition.as_json()
    if row._state.adding:
        row.save(force_insert=True)
        return
    CustomProvider.objects.filter(pk=row.pk).update(
        label=row.label, definition=row.definition, version=F("version") + 1, updated_at=timezone.now()
    )
    row.refresh_from_db()


def _told(definition: Definition) -> dict[str, Any]:
    return {"base_url": definition.base_url, "collections": [each.id for each in definition.collections]}


def forget_discovered(row: CustomProvider) -> None:
    """What connections of it offered is asked anew."""
    for pk in Credential.objects.filter(provider=row.key).values_list("pk", flat=True):
        cache.delete(f"collections-{pk}")


def _announce() -> None:
    catalogue.PROVIDERS.forget()
    transaction.on_commit(catalogue.PROVIDERS.forget)
    transaction.on_commit(lambda: changes.announce(TOPIC))
