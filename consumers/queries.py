"""Every list and count a page or /v1 shows of consumers; the number of queries never grows with the number of rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from consumers.models import ConsumerCursor, DeliverySample, HeldMessage, NatsConsumer
from consumers.states import ConsumerState

LAG_CAP = 10_000
RATE_OVER_S = 60


@dataclass(frozen=True)
class Lag:
    """What is yet to be confirmed: records (exact up to LAG_CAP, held ones included), and since when."""

    records: int = 0
    is_over: bool = False
    oldest_at: datetime | None = None

    @property
    def text(self) -> str:
        """`1,234`, or `over 10,000`."""
        return f"over {LAG_CAP:,}" if self.is_over else f"{self.records:,}"

    @property
    def seconds(self) -> float | None:
        """Age of the oldest waiting record; None when nothing waits."""
        return max(0.0, (timezone.now() - self.oldest_at).total_seconds()) if self.oldest_at else None

    def __bool__(self) -> bool:
        return self.records > 0

    def __add__(self, other: "Lag") -> "Lag":
        records = self.records + other.records
        oldest = [at for at in (self.oldest_at, other.oldest_at) if at is not None]
        return Lag(
            min(records, LAG_CAP + 1), self.is_over or other.is_over or records > LAG_CAP, min(oldest, default=None)
        )


@dataclass
class CursorRow:
    """How far a consumer is in one sync."""

    cursor: ConsumerCursor
    sync_name: str
    head_seq: int
    lag: Lag
    held: int = 0


@dataclass
class ConsumerRow:
    """A consumer as lists and its own page show it."""

    consumer: NatsConsumer
    cursors: list[CursorRow] = field(default_factory=list)
    rate: float = 0.0  # messages a second over the last minute
    held: int = 0

    @property
    def lag(self) -> Lag:
        return sum((row.lag for row in self.cursors), Lag())

    @property
    def delivered(self) -> int:
        return sum(row.cursor.delivered for row in self.cursors)

    @property
    def last_acked_at(self) -> datetime | None:
        return max((row.cursor.last_acked_at for row in self.cursors if row.cursor.last_acked_at), default=None)


@dataclass(frozen=True)
class Position:
    """Where a consumer stands on one record. `state`: delivered, waiting, held, paused or unwanted."""

    consumer: NatsConsumer
    state: str
    label: str
    last_acked_at: datetime | None = None
    held: HeldMessage | None = None


def rows(consumers: QuerySet[NatsConsumer]) -> list[ConsumerRow]:
    """Consumers with lag, rate and held records: five queries, however many."""
    found = {consumer.pk: ConsumerRow(consumer) for consumer in consumers.select_related("sync").defer("secrets")}
    for row in cursor_rows(ConsumerCursor.objects.filter(consumer__in=found)):
        row.cursor.consumer = found[row.cursor.consumer_id].consumer
        found[row.cursor.consumer_id].cursors.append(row)
        found[row.cursor.consumer_id].held += row.held
    for pk, rate in rates(found).items():
        found[pk].rate = rate
    return list(found.values())


def detail(consumer: NatsConsumer) -> ConsumerRow:
    """One consumer with all its cursors."""
    return rows(NatsConsumer.objects.filter(pk=consumer.pk))[0]


def of_sync(sync_id: UUID) -> list[CursorRow]:
    """How far every consumer is in one sync, for the sync's page."""
    return cursor_rows(ConsumerCursor.objects.filter(sync_id=sync_id).order_by("consumer__name", "pk"))


def cursor_rows(cursors: QuerySet[ConsumerCursor]) -> list[CursorRow]:
    """Cursors with their lag: three queries. A consumer of some collections only is counted by them."""
    shown = cursors.select_related("consumer", "sync").defer("consumer__secrets")
    found = list(_with_lag(shown, sync_id=OuterRef("sync_id")))
    some = [cursor for cursor in found if cursor.consumer.collection_ids is not None]
    counted = _lag_in_collections(some)
    held = _held_counts({cursor.consumer_id for cursor in found})
    result = []
    for cursor in found:
        n_held = held.get((cursor.consumer_id, cursor.sync_id), 0)
        lag = counted.get(cursor.pk)
        if lag is None:
            lag = Lag(min(cursor.lag, LAG_CAP + 1), cursor.lag > LAG_CAP, cursor.oldest_at)
        result.append(
            CursorRow(cursor, cursor.sync.name, cursor.head_seq, lag + Lag(n_held) if n_held else lag, n_held)
        )
    return result


def rates(consumer_ids: Iterable[UUID]) -> dict[UUID, float]:
    """Messages a second over the last minute."""
    since = timezone.now() - timedelta(seconds=RATE_OVER_S)
    totals = (
        DeliverySample.objects.filter(consumer__in=list(consumer_ids), at__gte=since)
        .order_by()
        .values_list("consumer")
        .annotate(n=Sum("messages"))
    )
    return {pk: n / RATE_OVER_S for pk, n in totals}


def rate_series(consumer: NatsConsumer, *, minutes: int = 60) -> list[tuple[datetime, float]]:
    """(beginning, messages a second) of each ten seconds in which something was delivered, oldest first."""
    since = timezone.now() - timedelta(minutes=minutes)
    samples = DeliverySample.objects.filter(consumer=consumer, at__gte=since).order_by("at")
    return [(at, messages / 10) for at, messages in samples.values_list("at", "messages")]


def held_messages(consumer: NatsConsumer) -> QuerySet[HeldMessage]:
    """Records set aside, newest first."""
    return HeldMessage.objects.filter(consumer=consumer).select_related("sync")


def positions(sync_id: UUID, collection_id: str, record_id: int, seq: int) -> list[Position]:
    """Where each consumer stands on one record."""
    held = {row.consumer_id: row for row in HeldMessage.objects.filter(record_id=record_id)}
    cursors = (
        ConsumerCursor.objects.filter(sync_id=sync_id)
        .select_related("consumer")
        .defer("consumer__secrets")
        .order_by("consumer__name")
    )
    return [_position(cursor, collection_id, seq, held.get(cursor.consumer_id)) for cursor in cursors]


# --- Parts ---------------------------------------------------------------------------------------------------------


def _records() -> QuerySet[Any]:
    """The log's rows, by way of our own foreign key: this room does not import their models."""
    return HeldMessage._meta.get_field("record").related_model._default_manager.all()


def _with_lag(cursors: QuerySet[Any], **where: OuterRef) -> QuerySet[Any]:
    """Annotates head_seq, lag (LAG_CAP + 1 for more) and oldest_at over what lies beyond each cursor.

    where  which records count, as filters by columns of the cursor

    However long the log, no cursor costs more than LAG_CAP index entries: rows are counted only where they are few,
    because the log's end is near or because there is no row LAG_CAP places beyond the cursor.
    """
    beyond = _records().filter(seq__gt=OuterRef("acked_seq"), **where).order_by("seq")
    count = beyond.order_by().values(*where).annotate(n=Count("pk")).values("n")
    head = Coalesce(F("sync__head__head_seq"), 0)
    return cursors.alias(_far=Subquery(beyond.values("seq")[LAG_CAP : LAG_CAP + 1])).annotate(
        head_seq=head,
        lag=Case(
            When(acked_seq__gte=head, then=Value(0)),
            When(acked_seq__gte=head - LAG_CAP, then=Coalesce(Subquery(count), 0)),
            When(_far__isnull=False, then=Value(LAG_CAP + 1)),
            default=Coalesce(Subquery(count), 0),
            output_field=IntegerField(),
        ),
        oldest_at=Subquery(beyond.values("changed_at")[:1]),
    )


def _lag_in_collections(cursors: Sequence[Any]) -> dict[int, Lag]:
    """Lag of consumers that want some collections only, summed over them; one query."""
    pairs = ConsumerCursor.objects.filter(pk__in=[cursor.pk for cursor in cursors]).order_by()
    pairs = pairs.annotate(collection_pk=F("sync__collections__pk"), named=F("sync__collections__collection_id"))
    wanted = Q(pk=None)
    for consumer in {cursor.consumer_id: cursor.consumer for cursor in cursors}.values():
        wanted |= Q(consumer=consumer.pk, named__in=consumer.collection_ids)
    result = {cursor.pk: Lag() for cursor in cursors}
    counted = _with_lag(pairs.filter(wanted), collection_id=OuterRef("collection_pk"))
    for pk, lag, oldest_at in counted.values_list("pk", "lag", "oldest_at"):
        result[pk] += Lag(lag, lag > LAG_CAP, oldest_at)
    return result


def _held_counts(consumer_ids: Iterable[UUID]) -> dict[tuple[UUID, UUID], int]:
    held = HeldMessage.objects.filter(consumer__in=list(consumer_ids)).order_by()
    return {(row["consumer"], row["sync"]): row["n"] for row in held.values("consumer", "sync").annotate(n=Count("pk"))}


def _position(cursor: ConsumerCursor, collection_id: str, seq: int, held: HeldMessage | None) -> Position:
    consumer = cursor.consumer
    if not consumer.wants(collection_id):
        return Position(consumer, "unwanted", "Does not carry this collection")
    if held is not None:
        return Position(consumer, "held", held.reason, held=held)
    if seq <= cursor.start_seq:
        return Position(consumer, "unwanted", "From before this consumer began")
    if seq <= cursor.acked_seq:
        return Position(consumer, "delivered", "Confirmed by the stream", cursor.last_acked_at)
    if consumer.state == ConsumerState.PAUSED:
        return Position(consumer, "paused", "Waits: the consumer is paused")
    return Position(consumer, "waiting", "Waits to be delivered")
