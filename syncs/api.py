"""Routes of the upstream half under /v1. Thin: inputs.py reads bodies, services change, listing.py lists."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Body, Query, Router

from sequin_console.common.problems import Problem
from sequin_console.common.rest import MessagesIn, MessagesQuery, Removing, actor, chosen_messages, get_or_404
from syncs import (
    budget,
    connections,
    forecasting,
    inputs,
    listing,
    queries,
    schema_watch,
    schemas,
    services,
    tuning,
)
from syncs import urls as _urls  # noqa: F401 - registers the path converter `upstream_id`
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, Sync, SyncCollection
from syncs.schemas import SyncOut

syncs, providers, collections, records = Router(), Router(), Router(), Router()


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
