"""What the API lists of the upstream half: filtered, by keyset pages, in a fixed number of queries."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, Subquery

from sequin_console.accounts.rights import Right, require
from sequin_console.common import rest
from syncs import log, public_ids, queries
from syncs.models import Credential, OAuthApp, Record, Sync, SyncCollection, SyncHead
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


CLOCKS_APART = timedelta(minutes=5)  # between nodes: places in a log follow time no better than this


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
    """One page of records by sync and sequence, oldest change first: what changes meanwhile comes again at the end.

    What few records may fit (a collection, what has changed lately) is asked for sync by sync, each by an index that
    knows it, in those that have some: looked for in the order of all, it would be found at the end of everything.
    """
    pks = _sync_pks(actor, query.sync_id)
    rows = _fitting(Record.objects.filter(sync__in=pks).order_by("sync_id", "seq"), query)
    place = rest.open_cursor(query.cursor, UUID, rest.sequence_no) if query.cursor else None
    if query.collection_id or query.changed_since is not None:
        found = _sync_by_sync(rows, pks, query, place)
    else:
        if place is not None:
            rows = rows.filter(Q(sync_id__gt=place[0]) | Q(seq__gt=place[1]), sync_id__gte=place[0])
        found = list(rows.values_list(*_ROW)[: query.limit + 1])
    return rest.cut([RecordRow(*row) for row in found], query.limit, lambda row: (str(row.sync_id), row.seq))


def _fitting(rows: QuerySet[Record], query: RecordQuery) -> QuerySet[Record]:
    if query.upstream_id:  # a few, found by the index of ids: asked first, lest they are looked for in order
        named = Record.objects.filter(collection__in=_collections(query).values("pk"), upstream_id=query.upstream_id)
        rows = rows.filter(pk__in=list(named.order_by().values_list("pk", flat=True)))
    if query.deleted is not None:
        rows = rows.filter(deleted=query.deleted)
    if query.changed_since is not None:
        rows = rows.filter(changed_at__gte=query.changed_since)
    return rows


def _sync_by_sync(
    rows: QuerySet[Record], pks: list[UUID], query: RecordQuery, place: list[Any] | None
) -> list[tuple[Any, ...]]:
    """One more than a page of these rows, from those syncs only that have any: at most as many queries."""
    heads = SyncHead.objects.filter(sync__in=pks, head_seq__gt=0).order_by("sync_id")
    if place is not None:
        heads = heads.filter(sync_id__gte=place[0])
    if query.changed_since is not None:
        newest = Record.objects.filter(sync_id=OuterRef("sync_id")).order_by("-seq").values("changed_at")[:1]
        heads = heads.annotate(changed_at=Subquery(newest)).filter(changed_at__gte=query.changed_since - CLOCKS_APART)
    own = {row.sync_id: row.pk for row in _collections(query).only("sync_id")} if query.collection_id else None
    found: list[tuple[Any, ...]] = []
    for sync_id in heads.values_list("sync_id", flat=True):
        after = place[1] if place is not None and sync_id == place[0] else _first_place(sync_id, query)
        chosen = rows.filter(sync_id=sync_id, seq__gt=after)
        if own is not None:
            if sync_id not in own:
                continue
            chosen = chosen.filter(collection=own[sync_id])
        found += chosen.values_list(*_ROW)[: query.limit + 1 - len(found)]
        if len(found) > query.limit:
            break
    return found


def _first_place(sync_id: UUID, query: RecordQuery) -> int:
    """The last place in a sync's log before those that can fit; 0 for none.

    Read from the log's end, so that it costs what the answer is long: those who ask for what has changed since want
    what is new.
    """
    if query.changed_since is None:
        return 0
    older = Record.objects.filter(sync_id=sync_id, changed_at__lt=query.changed_since - CLOCKS_APART)
    return older.order_by("-seq").values_list("seq", flat=True).first() or 0


def _sync_pks(actor: Any, sync_id: UUID | None) -> list[UUID]:
    syncs = Sync.objects.visible_to(actor)
    return list((syncs.filter(pk=sync_id) if sync_id else syncs).order_by().values_list("pk", flat=True))


def _collections(query: RecordQuery) -> QuerySet[SyncCollection]:
    """The collections that a query is about, if they hold any records."""
    rows = SyncCollection.objects.filter(Exists(Record.objects.filter(collection=OuterRef("pk")))).order_by()
    rows = rows.filter(collection_id=query.collection_id) if query.collection_id else rows
    return rows.filter(sync_id=query.sync_id) if query.sync_id else rows


def record(actor: Any, sync_id: UUID, collection_id: str, upstream_id: str) -> RecordRow | None:
    """One record by what it is upstream: one look into an index."""
    require(actor, Right.SEE)
    own = SyncCollection.objects.filter(sync=sync_id, collection_id=collection_id).values_list("pk", flat=True)
    return _one(Record.objects.filter(collection__in=list(own), upstream_id=upstream_id))


def _one(rows: QuerySet[Record]) -> RecordRow | None:
    """The row, of which there is one at most: so there is nothing to sort."""
    return next((RecordRow(*row) for row in rows.order_by().values_list(*_ROW)), None)


def record_by_id(actor: Any, public_id: UUID) -> RecordRow | None:
    """One record by its public id: two looks into indexes, and one through what was appended in the last seconds."""
    require(actor, Right.SEE)
    for pk in public_ids.candidates(public_id):
        found = _one(Record.objects.filter(pk=pk))
        if found and log.public_id(found.sync_id, found.collection_id, found.upstream_id) == public_id:
            return found
    return None
