"""Routes of the upstream half under /v1. Thin: inputs.py reads bodies, services change, listing.py lists."""

import hmac
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Body, Query, Router

from sequin_console.common import rest
from sequin_console.common.problems import Problem, field_problem
from sequin_console.common.rest import MessagesIn, MessagesQuery, Removing, actor, chosen_messages, get_or_404
from syncs import (
    budget,
    connections,
    forecasting,
    inputs,
    listing,
    oauth,
    queries,
    schema_watch,
    schemas,
    services,
    tuning,
)
from syncs import urls as _urls  # noqa: F401 - registers the path converter `upstream_id`
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, OAuthApp, Sync, SyncCollection
from syncs.schemas import CredentialOut, OAuthAppOut, SyncOut

syncs, credentials, oauth_apps, links = Router(), Router(), Router(), Router()
providers, collections, records = Router(), Router(), Router()


# --- Syncs -----------------------------------------------------------------------------------------------------------


@syncs.post("", response={201: SyncOut}, summary="Create a sync")
def create_sync(request: HttpRequest, body: schemas.SyncIn) -> SyncOut:
    """Create a sync and start it: it reads its collections from their beginning, then looks for changes.

    The credential is tried and every collection looked up at the provider first. When either is wrong, the answer is
    422 and names the field (`credential.properties.secret`, `collection_ids`), and nothing is kept.
    """
    return _sync_out(inputs.make_sync(body, by=actor(request)).pk)


@syncs.post("/estimate", response=schemas.EstimateOut, summary="Estimate a sync")
def estimate_sync(request: HttpRequest, body: schemas.EstimateIn) -> schemas.EstimateOut:
    """What a sync's first reading would take: records, requests, part of the provider's allowance, time.

    The provider is asked how many records there are, where one request tells. Nothing is stored.
    """
    credential = inputs.credential_named(actor(request), body.credential_id)
    costs = forecasting.costs_of(credential, body.collection_ids, body.quota_percent or budget.ALL)
    return schemas.EstimateOut.of(costs)


@syncs.get("", response=schemas.SyncList, summary="List syncs")
def list_syncs(request: HttpRequest, query: Query[schemas.SyncQuery]) -> schemas.SyncList:
    """All syncs, newest first, each with its collections and how they are."""
    rows, next_cursor = listing.syncs(actor(request), query)
    return schemas.SyncList(data=[SyncOut.of(row) for row in rows], next=next_cursor)


@syncs.get("/{uuid:sync_id}", response=SyncOut, summary="Get a sync")
def get_sync(request: HttpRequest, sync_id: UUID) -> SyncOut:
    """One sync with its collections: phase, counts, freshness and what is wrong."""
    return _sync_out(get_or_404(Sync.objects.visible_to(actor(request)), pk=sync_id).pk)


@syncs.patch("/{uuid:sync_id}", response=SyncOut, summary="Change a sync")
def update_sync(request: HttpRequest, sync_id: UUID, body: schemas.SyncPatch, query: Query[MessagesQuery]) -> SyncOut:
    """Change name, interval, collections or notes. What the body does not name stays.

    A collection that is added is read from its beginning. For one that is left out, `messages` says what becomes of
    its messages on the stream.
    """
    sync = _editable(request, sync_id)
    data = body.model_dump(exclude_unset=True, exclude={"messages"}) | {"removal": chosen_messages(body, query)}
    services.update_sync(sync, data, by=actor(request))
    return _sync_out(sync_id)


@syncs.delete("/{uuid:sync_id}", response={202: Removing}, summary="Delete a sync")
def delete_sync(
    request: HttpRequest,
    sync_id: UUID,
    query: Query[MessagesQuery],
    body: MessagesIn | None = Body(None),
) -> Removing:
    """Delete a sync and its records. `messages`, in the query or the body, says what becomes of what it sent.

    It answers at once; the sync is gone when the consumers have done with the messages what was asked.
    """
    services.remove_sync(_editable(request, sync_id), chosen_messages(body, query), by=actor(request))
    return Removing(id=sync_id)


@syncs.post("/{uuid:sync_id}/pause", response=SyncOut, summary="Pause a sync")
def pause_sync(request: HttpRequest, sync_id: UUID) -> SyncOut:
    """Stop reading the provider. What was read is still delivered. Pausing twice is no error."""
    services.pause_sync(_editable(request, sync_id), by=actor(request))
    return _sync_out(sync_id)


@syncs.post("/{uuid:sync_id}/resume", response=SyncOut, summary="Resume a sync")
def resume_sync(request: HttpRequest, sync_id: UUID) -> SyncOut:
    """Read on from where it stopped. Resuming a running sync is no error."""
    services.resume_sync(_editable(request, sync_id), by=actor(request))
    return _sync_out(sync_id)


@syncs.post("/{uuid:sync_id}/resync", response=SyncOut, summary="Read collections again")
def resync(request: HttpRequest, sync_id: UUID, body: schemas.ResyncIn | None = Body(None)) -> SyncOut:
    """Read some collections, or all, from their beginning. Only what differs reaches the stream."""
    chosen = body.collection_ids if body else None
    services.resync(_editable(request, sync_id), chosen, by=actor(request))
    return _sync_out(sync_id)


@syncs.post("/{uuid:sync_id}/look-now", response=SyncOut, summary="Look for changes now")
def look_now(request: HttpRequest, sync_id: UUID) -> SyncOut:
    """Look for changes at once, not when the interval says. What failed is tried again, too."""
    services.look_now(_editable(request, sync_id), by=actor(request))
    return _sync_out(sync_id)


@syncs.patch("/{uuid:sync_id}/collections/{collection_id}", response=SyncOut, summary="Set up one collection")
def update_collection(
    request: HttpRequest, sync_id: UUID, collection_id: str, body: schemas.CollectionPatch
) -> SyncOut:
    """Say how often all its ids are compared, to find deletions the provider does not tell of; and pick its fields.

    Other fields than before mean that it is read from its beginning.
    """
    row = _collection(request, sync_id, collection_id)
    tuning.change(row, body.model_dump(exclude_unset=True), by=actor(request))
    return _sync_out(sync_id)


@syncs.post("/{uuid:sync_id}/collections/{collection_id}/deletes", response=SyncOut, summary="Decide on held deletes")
def decide_deletes(request: HttpRequest, sync_id: UUID, collection_id: str, body: schemas.DecisionIn) -> SyncOut:
    """Answer "deleted, or lost access?" for a collection whose deletes are held back.

    They are held when so many records are missing upstream that a lost right is as likely as a deletion.
    """
    services.decide_deletes(_collection(request, sync_id, collection_id), body.decision, by=actor(request))
    return _sync_out(sync_id)


@syncs.get("/{uuid:sync_id}/schema-changes", response=schemas.SchemaChangeList, summary="List changes of fields")
def list_schema_changes(request: HttpRequest, sync_id: UUID) -> schemas.SchemaChangeList:
    """Fields that were added, removed or retyped in a sync's collections, newest first."""
    found = queries.schema_changes(get_or_404(Sync.objects.visible_to(actor(request)), pk=sync_id))
    return schemas.SchemaChangeList(data=[schemas.SchemaChangeOut.of(row) for row in found])


@syncs.post(
    "/{uuid:sync_id}/collections/{collection_id}/accept-schema", response=SyncOut, summary="Accept changes of fields"
)
def accept_schema(request: HttpRequest, sync_id: UUID, collection_id: str) -> SyncOut:
    """Say that you have looked at what changed. A collection that was stopped for it goes on."""
    schema_watch.accept(_collection(request, sync_id, collection_id), by=actor(request))
    return _sync_out(sync_id)


def _editable(request: HttpRequest, sync_id: UUID) -> Sync:
    return get_or_404(Sync.objects.editable_by(actor(request)), pk=sync_id)


def _collection(request: HttpRequest, sync_id: UUID, collection_id: str) -> SyncCollection:
    rows = SyncCollection.objects.filter(sync=_editable(request, sync_id)).select_related("sync", "feed")
    return get_or_404(rows, collection_id=collection_id)


def _sync_out(sync_id: UUID) -> SyncOut:
    return SyncOut.of(listing.syncs_in_full([sync_id])[0])


# --- Credentials -----------------------------------------------------------------------------------------------------


@credentials.post("", response={201: CredentialOut}, summary="Import a credential")
def create_credential(request: HttpRequest, body: schemas.CredentialIn) -> CredentialOut:
    """Import a key or a refresh token. It is tried at the provider first; 422 names the field that is wrong.

    Importing the same account of the same kind again replaces its secrets and keeps its id.
    """
    return CredentialOut.of(inputs.import_credential(body, by=actor(request)))


@credentials.get("", response=schemas.CredentialList, summary="List credentials")
def list_credentials(request: HttpRequest, query: Query[schemas.CredentialQuery]) -> schemas.CredentialList:
    """All credentials, newest first, their secrets masked."""
    rows, next_cursor = listing.credentials(actor(request), query)
    return schemas.CredentialList(data=[CredentialOut.of(row) for row in rows], next=next_cursor)


@credentials.get("/{uuid:credential_id}", response=schemas.CredentialDetail, summary="Get a credential")
def get_credential(request: HttpRequest, credential_id: UUID) -> schemas.CredentialDetail:
    """One credential: whose account it opens, how it is, how much of the request quota is used, and what for."""
    return schemas.CredentialDetail.with_spent(
        get_or_404(Credential.objects.visible_to(actor(request)), pk=credential_id)
    )


@credentials.patch("/{uuid:credential_id}", response=CredentialOut, summary="Change a credential")
def update_credential(request: HttpRequest, credential_id: UUID, body: schemas.CredentialPatch) -> CredentialOut:
    """Rename a credential or replace its secrets. New ones are tried first and must open the same account."""
    rows = Credential.objects.editable_by(actor(request)).select_related("oauth_app")
    credential = get_or_404(rows, pk=credential_id)
    return CredentialOut.of(inputs.change_credential(credential, body, by=actor(request)))


@credentials.delete("/{uuid:credential_id}", response={204: None}, summary="Delete a credential")
def delete_credential(request: HttpRequest, credential_id: UUID) -> None:
    """Forget a credential and its secrets. Refused with 409 while syncs use it."""
    credential = get_or_404(Credential.objects.editable_by(actor(request)), pk=credential_id)
    connections.delete_credential(credential, by=actor(request))


@credentials.post("/{uuid:credential_id}/test", response=schemas.CheckList, summary="Test a credential")
def test_credential(request: HttpRequest, credential_id: UUID) -> schemas.CheckList:
    """Sign in at the provider and read one record of every collection that syncs read through this credential."""
    credential = get_or_404(Credential.objects.editable_by(actor(request)), pk=credential_id)
    checks = [schemas.CheckOut.of(result) for result in connections.test_credential(credential)]
    return schemas.CheckList(ok=all(check.ok for check in checks), data=checks)


test_credential.__test__ = False  # type: ignore[attr-defined]  # a route, not a test


@credentials.post("/start-auth", response={201: schemas.StartUrl}, summary="Start an OAuth sign-in")
def start_auth(request: HttpRequest, body: schemas.StartAuth) -> schemas.StartUrl:
    """Make a link for somebody who shall connect an account of theirs.

    Whoever opens it is sent to the provider, allows reading, and comes back to `redirect_url` with `code` and `state`
    in its query. `POST /v1/link/oauth2/token` turns the code into the credential.
    """
    Credential.objects.editable_by(actor(request))
    url = oauth.start_link(
        inputs.oauth_app(actor(request), body.oauth_app_id),
        body.credential_kind,
        by=actor(request),
        return_url=body.redirect_url,
        return_state=inputs.pack_state(body.state),
    )
    return schemas.StartUrl(start_url=url)


@links.post("/oauth2/token", response=schemas.TokenOut, auth=None, summary="Exchange a code for a credential")
def exchange_code(request: HttpRequest, body: schemas.TokenIn) -> schemas.TokenOut:
    """Take the credential home that a finished `start-auth` has made. The code is good for five minutes and one use.

    No API token is needed: the OAuth app's id and client secret say who asks.
    """
    app = OAuthApp.objects.filter(pk=body.client_id).first()
    known = app.secrets.get("client_secret", "") if app else ""
    if app is None or not known or not hmac.compare_digest(known.encode(), body.client_secret.encode()):
        rest.note_failure(request)
        message, step = "This client id or secret is not known here.", "Send the OAuth app's id and its client secret."
        raise Problem(message, kind="credentials", next_step=step, status=401)
    credential, state = oauth.redeem(body.code, app)
    return schemas.TokenOut(credential=CredentialOut.of(credential), state=inputs.unpack_state(state))


# --- OAuth apps ------------------------------------------------------------------------------------------------------


@oauth_apps.post("", response={201: OAuthAppOut}, summary="Create an OAuth app")
def create_oauth_app(request: HttpRequest, body: schemas.OAuthAppIn) -> OAuthAppOut:
    """Store your own OAuth app at a provider. Register its `redirect_url` there."""
    OAuthApp.objects.administered_by(actor(request))
    if rest.is_masked(body.client_secret):
        raise field_problem("client_secret", "This is a masked secret.", next_step="Send the secret itself.")
    if body.provider in PROVIDERS and not any(kind.oauth for kind in PROVIDERS[body.provider].kinds):
        raise field_problem("provider", f"{PROVIDERS[body.provider].label} is not connected by an OAuth app.")
    with inputs.app_named_as_sent(body.properties):
        return OAuthAppOut.of(connections.create_oauth_app(body.model_dump(), by=actor(request)))


@oauth_apps.get("", response=schemas.OAuthAppList, summary="List OAuth apps")
def list_oauth_apps(request: HttpRequest, query: Query[schemas.OAuthAppQuery]) -> schemas.OAuthAppList:
    """All OAuth apps, newest first, their secrets masked."""
    rows, next_cursor = listing.oauth_apps(actor(request), query)
    return schemas.OAuthAppList(data=[OAuthAppOut.of(row) for row in rows], next=next_cursor)


@oauth_apps.get("/{uuid:app_id}", response=OAuthAppOut, summary="Get an OAuth app")
def get_oauth_app(request: HttpRequest, app_id: UUID) -> OAuthAppOut:
    """One OAuth app, its secret masked."""
    return OAuthAppOut.of(get_or_404(OAuthApp.objects.visible_to(actor(request)), pk=app_id))


@oauth_apps.patch("/{uuid:app_id}", response=OAuthAppOut, summary="Change an OAuth app")
def update_oauth_app(request: HttpRequest, app_id: UUID, body: schemas.OAuthAppPatch) -> OAuthAppOut:
    """Change an OAuth app. A client secret that is empty or masked stays as it is."""
    app = get_or_404(OAuthApp.objects.administered_by(actor(request)), pk=app_id)
    sent = {key: value for key, value in body.model_dump(exclude_unset=True).items() if value is not None}
    sent["properties"] = rest.without_masked(sent.get("properties", {}))
    with inputs.app_named_as_sent(sent["properties"]):
        return OAuthAppOut.of(connections.update_oauth_app(app, rest.without_masked(sent), by=actor(request)))


@oauth_apps.delete("/{uuid:app_id}", response={204: None}, summary="Delete an OAuth app")
def delete_oauth_app(request: HttpRequest, app_id: UUID) -> None:
    """Forget an OAuth app. Refused with 409 while credentials use it."""
    app = get_or_404(OAuthApp.objects.administered_by(actor(request)), pk=app_id)
    connections.delete_oauth_app(app, by=actor(request))


# --- Providers and collections ---------------------------------------------------------------------------------------


@providers.get("", response=schemas.ProviderList, summary="List providers")
def list_providers(request: HttpRequest) -> schemas.ProviderList:
    """What we can read, and how one is let in: credential kinds with their properties, login hosts, collections."""
    Credential.objects.visible_to(actor(request))
    return schemas.ProviderList(data=[schemas.ProviderOut.of(provider) for provider in PROVIDERS.values()])


@collections.get("/{uuid:credential_id}", response=schemas.CollectionList, summary="List an account's collections")
def list_collections(request: HttpRequest, credential_id: UUID) -> schemas.CollectionList:
    """All collections an account offers, custom ones among them, as the provider tells; remembered for five minutes."""
    credential = get_or_404(Credential.objects.visible_to(actor(request)), pk=credential_id)
    found = connections.discover(credential)
    return schemas.CollectionList(data=[schemas.CollectionOut.of(collection) for collection in found])


@collections.get(
    "/{uuid:credential_id}/{collection_id}", response=schemas.CollectionDetail, summary="Get a collection's fields"
)
def get_collection(request: HttpRequest, credential_id: UUID, collection_id: str) -> schemas.CollectionDetail:
    """One collection and the fields its records have, as the provider describes them now."""
    credential = get_or_404(Credential.objects.visible_to(actor(request)), pk=credential_id)
    collection = next((each for each in connections.discover(credential) if each.id == collection_id), None)
    if collection is None:
        step = "GET /v1/collections/{credential_id} lists what it has."
        raise Problem("This account has no such collection.", kind="not_found", next_step=step, status=404)
    fields = connections.collection_fields(credential, collection_id)
    return schemas.CollectionDetail.with_fields(collection, fields)


# --- Records ---------------------------------------------------------------------------------------------------------


@records.get("", response=schemas.RecordList, summary="List records")
def list_records(request: HttpRequest, query: Query[schemas.RecordQuery]) -> HttpResponse:
    """Records by sync and sequence, oldest change first.

    A record that changes moves to the end, so whoever follows `next` to the last page has seen every record. To follow
    changes from then on, ask again with `changed_since`, or read the stream.
    """
    rows, next_cursor = listing.records(actor(request), query)
    end = f'"{next_cursor}"' if next_cursor else "null"
    return _json(b'{"data":[%b],"next":%b}' % (b",".join(row.as_json() for row in rows), end.encode()))


@records.get("/{uuid:record_id}", response=schemas.RecordOut, summary="Get a record by id")
def get_record(request: HttpRequest, record_id: UUID) -> HttpResponse:
    """One record by its id. That is a hash, so this looks through all ids; by upstream id is much quicker."""
    return _record(listing.record_by_id(actor(request), record_id))


@records.get(
    "/{uuid:sync_id}/{collection_id}/{upstream_id:upstream_id}", response=schemas.RecordOut, summary="Get a record"
)
def get_record_upstream(request: HttpRequest, sync_id: UUID, collection_id: str, upstream_id: str) -> HttpResponse:
    """One record by its id at the provider."""
    return _record(listing.record(actor(request), sync_id, collection_id, upstream_id))


def _record(row: listing.RecordRow | None) -> HttpResponse:
    if row is None:
        step = "Check sync, collection and id."
        raise Problem("There is no such record.", kind="not_found", next_step=step, status=404)
    return _json(row.as_json())


def _json(body: bytes) -> HttpResponse:
    return HttpResponse(body, content_type="application/json; charset=utf-8")
