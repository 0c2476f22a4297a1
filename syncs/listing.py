"""What the API lists of the upstream half: filtered, by keyset pages, in a fixed number of queries."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db.models import Prefetch, Q, QuerySet

from sequin_console.common import rest
from syncs import log, public_ids, queries
from syncs.models import Credential, OAuthApp, Record, Sync, SyncCollection
from syncs.queries import SyncRow
from syncs.schemas import CredentialQuery, OAuthAppQuery, RecordQuery, SyncQuery


def syncs(actor: Any, query: SyncQuery) -> tuple[list[SyncRow], str | None]:
    """One page of syncs, newest first, each with all that an answer shows of it."""
    rows = _filtered(Sync.objects.visible_to(actor), query, provider="provider", name="name", state="status",
                     external_id="external_id")  # fmt: skip
    page, next_cursor = rest.newest_first(rows.only("id", "created_at"), query)
    return syncs_in_full([row.pk for row in page]), next_cursor


def syncs_in_full(pks: Sequence[UUID]) -> list[SyncRow]:
    """These syncs with collections, feeds and credentials, in the order given."""
    collections = SyncCollection.objects.select_related("feed").order_by("title", "pk")
    rows = Sync.objects.filter(pk__in=pks).prefetch_related(Prefetch("collections", collections))
    by_pk = {row.sync.pk: row for row in queries.sync_rows(None, syncs=rows)}
    return [by_pk[pk] for pk in pks if pk in by_pk]


def credentials(actor: Any, query: CredentialQuery) -> tuple[list[Credential], str | None]:
    rows = _filtered(Credential.objects.visible_to(actor), query, provider="provider", name="name", state="status")
    return rest.newest_first(rows, query)


def oauth_apps(actor: Any, query: OAuthAppQuery) -> tuple[list[OAuthApp], str | None]:
    rows = _filtered(OAuthApp.objects.visible_to(actor), query, provider="provider", name="name")
    return rest.newest_first(rows, query)


def _filtered(rows: QuerySet[Any], query: Any, **columns: str) -> QuerySet[Any]:
    """Rows whose columns equal what the query names them by, where it does, and whose metadata contains its own."""
    wanted = {column: value for column, name in columns.items() if (value := getattr(query, name))}
    return rest.with_metadata(rows.filter(**wanted), query.metadata)


# --- Records ---------------------------------------------------------------------------------------------------------


class RecordRow(NamedTuple):
    """A record as it is answered. `data` is the provider's JSON on one line."""

    sync_id: UUID
    seq: int
    collection_id: str
    provider: str
    upstream_id: str
    data: str
    deleted: bool
    upstream_created_at: datetime | None
    upstream_updated_at: datetime | None
    first_seen_at: datetime

    def as_json(self) -> bytes:
        """The answer's bytes. The record goes in as it came, so its numbers keep every digit."""
        head = {
            "id": log.public_id(self.sync_id, self.collection_id, self.upstream_id),
            "sync_id": self.sync_id,
            "collection_id": self.collection_id,
            "provider": self.provider,
            "upstream_id": self.upstream_id,
        }
        tail = {
            "deleted": self.deleted,
            "seq": self.seq,
            "updated_idx": self.seq,
            "upstream_created_at": _utc(self.upstream_created_at),
            "upstream_updated_at": _utc(self.upstream_updated_at),
            "inserted_at": _utc(self.first_seen_at),
        }
        return b"".join((_dumps(head)[:-1], b',"data":', self.data.encode(), b",", _dumps(tail)[1:]))


_ROW = ("sync_id", "seq", "collection__collection_id", "sync__provider", "upstream_id", "data", "deleted",
        "upstream_created_at", "upstream_updated_at", "first_seen_at")  # fmt: skip


def _dumps(values: dict[str, Any]) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_UTC_Z)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment is not None else None


def records(actor: Any, query: RecordQuery) -> tuple[list[RecordRow], str | None]:
    """One page of records by sync and sequence, oldest change first: what changes meanwhile comes again at the end."""
    rows = Record.objects.filter(sync__in=_sync_pks(actor, query.sync_id)).order_by("sync_id", "seq")
    if query.cursor:
        sync_id, seq = rest.open_cursor(query.cursor, UUID, rest.sequence_no)
        rows = rows.filter(Q(sync_id__gt=sync_id) | Q(seq__gt=seq), sync_id__gte=sync_id)
    if query.collection_id:
        rows = rows.filter(collection__in=_collection_pks(query))
    if query.upstream_id:
        rows = rows.filter(upstream_id=query.upstream_id)
    if query.deleted is not None:
        rows = rows.filter(deleted=query.deleted)
    if query.changed_since is not None:
        rows = rows.filter(changed_at__gte=query.changed_since)
    found = [RecordRow(*row) for row in rows.values_list(*_ROW)[: query.limit + 1]]
    return rest.cut(found, query.limit, lambda row: (str(row.sync_id), row.seq))


def _sync_pks(actor: Any, sync_id: UUID | None) -> list[UUID]:
    syncs = Sync.objects.visible_to(actor)
    return list((syncs.filter(pk=sync_id) if sync_id else syncs).order_by().values_list("pk", flat=True))


def _collection_pks(query: RecordQuery) -> list[int]:
    rows = SyncCollection.objects.filter(collection_id=query.collection_id)
    return list((rows.filter(sync_id=query.sync_id) if query.sync_id else rows).values_list("pk", flat=True))


def record(actor: Any, sync_id: UUID, collection_id: str, upstream_id: str) -> RecordRow | None:
    """One record by what it is upstream: one look into an index."""
    rows = Record.objects.filter(sync__in=_sync_pks(actor, sync_id), collection__collection_id=collection_id)
    row = rows.filter(upstream_id=upstream_id).values_list(*_ROW).first()
    return RecordRow(*row) if row else None


def record_by_id(actor: Any, public_id: UUID) -> RecordRow | None:
    """One record by its public id: two looks into indexes, and one through what was appended in the last seconds."""
    for pk in public_ids.candidates(public_id):
        row = Record.objects.filter(pk=pk, sync__in=_sync_pks(actor, None)).values_list(*_ROW).first()
        found = RecordRow(*row) if row else None
        if found and log.public_id(found.sync_id, found.collection_id, found.upstream_id) == public_id:
            return found
    return None
