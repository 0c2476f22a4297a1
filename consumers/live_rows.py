"""A message as the live viewer shows it: plain data for the browser, every text of it a stranger's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.urls import reverse

from consumers import message
from consumers.models import NatsConsumer
from consumers.stream_reader import StreamMessage
from syncs import queries as sync_queries
from syncs.log import LogEntry

MOST_BYTES = 64 * 1024  # of one document shown; a longer one is cut
FOREIGN = "outside"  # not written by this console
OTHER = "other"  # written by another consumer


@dataclass(frozen=True)
class Shown:
    """A message cut to what may be shown. `seq` is its place on the stream, `record_seq` in the sync's log."""

    seq: int
    at_ms: float
    subject: str
    sync_id: UUID | None
    collection: str
    upstream_id: str
    operation: str
    foreign: str
    record_seq: int | None
    text: str
    size: int

    @property
    def is_cut(self) -> bool:
        return self.size > MOST_BYTES


def of_message(msg: StreamMessage, consumer: NatsConsumer) -> Shown:
    """A message of the stream. One without our headers came from outside."""
    sync_id, collection, upstream_id = parts_of(msg.subject, consumer.subject_prefix)
    foreign = ""
    if msg.record_seq is None:
        foreign = FOREIGN
    elif msg.consumer != str(consumer.pk):
        foreign = OTHER
    text = msg.payload[:MOST_BYTES].decode("utf-8", "replace")
    operation = "" if foreign == FOREIGN else msg.operation
    return Shown(msg.seq, msg.at_ns / 1_000_000, msg.subject, sync_id, collection, upstream_id, operation, foreign,
                 msg.record_seq, text, len(msg.payload))  # fmt: skip


def of_entry(entry: LogEntry, sync_id: UUID, provider: str, consumer: NatsConsumer, at_ms: float) -> Shown:
    """A record of our own log, as its message would be: for who may not read the stream."""
    envelope = message.Envelope(consumer.subject_prefix, sync_id, provider, consumer.pk, 0, consumer.stream_name)
    made = message.Renderer(envelope)(entry)
    text = made.payload[:MOST_BYTES].decode("utf-8", "replace")
    return Shown(entry.seq, at_ms, made.subject, sync_id, entry.collection_id, entry.upstream_id, entry.operation, "",
                 entry.seq, text, len(made.payload))  # fmt: skip


def parts_of(subject: str, prefix: str) -> tuple[UUID | None, str, str]:
    """Sync, collection and upstream id of a subject of ours; None and the subject's rest for any other."""
    rest = subject.removeprefix(f"{prefix}.")
    tokens = rest.split(".")
    if len(tokens) == 3:
        try:
            return UUID(tokens[0]), _plain(tokens[1]), _plain(tokens[2])
        except ValueError:
            pass
    return None, "", rest


def _plain(token: str) -> str:
    """The text a token stands for, without the lone surrogates that neither JSON nor an address can carry."""
    return message.decode_token(token).encode("utf-8", "replace").decode()


def rows(shown: Iterable[Shown], sync_names: Mapping[UUID, str]) -> list[dict[str, Any]]:
    """What is sent to the browser, with what each record was before where our history has it."""
    found = list(shown)
    before = _before(found)
    return [
        _row(one, sync_names, before.get((one.sync_id, one.collection, one.upstream_id, one.record_seq)))
        for one in found
    ]


def _row(one: Shown, sync_names: Mapping[UUID, str], previous: str | None) -> dict[str, Any]:
    name = sync_names.get(one.sync_id, "") if one.sync_id else ""
    return {
        "seq": one.seq,
        "at": one.at_ms,
        "subject": one.subject,
        "sync": name,
        "collection": one.collection,
        "id": one.upstream_id,
        "operation": one.operation,
        "foreign": one.foreign,
        "json": one.text,
        "size": one.size,
        "cut": one.is_cut,
        "previous": previous,
        "url": reverse("syncs:record", args=[one.sync_id, one.collection, one.upstream_id])
        if _has_page(one, name)
        else "",
    }


def _has_page(one: Shown, sync_name: str) -> bool:
    return bool(
        sync_name and one.collection and one.upstream_id and one.foreign != FOREIGN and "/" not in one.collection
    )


def _before(found: list[Shown]) -> dict[tuple[Any, ...], str]:
    """One query for each sync and collection among them."""
    groups: dict[tuple[UUID, str], list[Shown]] = {}
    for one in found:
        if one.sync_id and one.record_seq and not one.foreign and one.operation in {"update", "delete"}:
            groups.setdefault((one.sync_id, one.collection), []).append(one)
    before: dict[tuple[Any, ...], str] = {}
    for (sync_id, collection), ones in groups.items():
        texts = sync_queries.documents_before(
            sync_id, collection, {one.upstream_id for one in ones}, {one.record_seq for one in ones if one.record_seq}
        )
        for (upstream_id, seq), text in texts.items():
            if len(text) <= MOST_BYTES:
                before[(sync_id, collection, upstream_id, seq)] = text
    return before
