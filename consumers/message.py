"""One record as one NATS message: subject, headers, body. Pure; the shape is DESIGN.md "Message".

    sequin-records.{sync_id}.{collection_id}.{upstream_id}
    {"id":…,"sync_id":…,"collection_id":…,"provider":…,"upstream_id":…,"data":{…},"deleted":false,"seq":…, …}

The provider's record travels inside as the bytes it came in: the envelope is joined around it, never re-encoded.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, unquote
from uuid import UUID

import orjson

SAFE = "-_:=@+~"  # quote() itself leaves letters, digits, `-`, `_`, `.` and `~`; the dot parts tokens, so it goes too
EMPTY = "%"  # stands for the empty token, which a subject cannot have; encoding never gives a lone percent sign
LONGEST_SUBJECT = 3_500  # bytes; a server refuses protocol lines over 4,096 by default (max_control_line)
TOMBSTONE_TTL_LEAST_H = 24

SEQ, RUN, CONSUMER, OPERATION = "Sequin-Seq", "Sequin-Run", "Sequin-Consumer", "Sequin-Operation"


class Message(NamedTuple):
    """What goes on the wire. `headers` are ready lines, without the version line in front and the empty one behind."""

    subject: str
    headers: bytes
    payload: bytes
    seq: int
    record_id: int

    @property
    def size_bytes(self) -> int:
        """As the server counts it against max_payload and max_msg_size, before the fence's own headers."""
        return len(self.headers) + len(self.payload) + FRAME_BYTES


FRAME_BYTES = 512  # room for the version line and the fence's headers, whose filter repeats prefix and sync id


@dataclass(frozen=True)
class Envelope:
    """What all messages of one drain have in common."""

    prefix: str
    sync_id: UUID
    provider: str
    consumer_id: UUID
    run: int
    stream: str
    tombstones: bool = False  # the consumer is going and marks everything as deleted
    tombstone_ttl_h: int | None = None  # only where asked for and allowed by the stream


def encode_token(text: str) -> str:
    """One subject token for any text: percent-encoded, minimally and reversibly. `a.b c` becomes `a%2Eb%20c`."""
    if not text:
        return EMPTY
    return quote(text, safe=SAFE, errors="surrogatepass").replace(".", "%2E")


def decode_token(token: str) -> str:
    """The text a token stands for."""
    return "" if token == EMPTY else unquote(token, errors="surrogatepass")


def subject_of(prefix: str, sync_id: UUID | str, collection_id: str, upstream_id: str) -> str:
    """Where a record's messages go."""
    return f"{prefix}.{sync_id}.{encode_token(collection_id)}.{encode_token(upstream_id)}"


def subject_filter(prefix: str, sync_id: UUID | str | None = None, collection_id: str | None = None) -> str:
    """The wildcard over everything under a prefix, one sync or one collection."""
    parts = [prefix]
    if sync_id is not None:
        parts.append(str(sync_id))
    if collection_id is not None:
        parts.append(encode_token(collection_id))
    return ".".join([*parts, ">"])


def moment(value: datetime | None) -> str | None:
    """RFC 3339 in UTC with a Z; fractions only where there are any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value is not None else None


def render(entry: Any, public_id: UUID, envelope: Envelope) -> Message:
    """The message for one log entry (syncs.log.LogEntry)."""
    deleted = entry.deleted or envelope.tombstones
    operation = "delete" if deleted else entry.operation
    return Message(
        subject_of(envelope.prefix, envelope.sync_id, entry.collection_id, entry.upstream_id),
        headers(entry.seq, operation, envelope),
        body(entry, public_id, envelope, deleted=deleted),
        entry.seq,
        entry.record_id,
    )


def headers(seq: int, operation: str, envelope: Envelope) -> bytes:
    """Our own headers and the expected stream. No `Nats-Msg-Id`: a repeated one refuses the batch (10201)."""
    ttl = ""
    if operation == "delete" and envelope.tombstone_ttl_h:
        ttl = f"Nats-TTL: {max(envelope.tombstone_ttl_h, TOMBSTONE_TTL_LEAST_H)}h\r\n"
    return (
        f"{SEQ}: {seq}\r\n{RUN}: {envelope.run}\r\n{CONSUMER}: {envelope.consumer_id}\r\n{OPERATION}: {operation}\r\n"
        f"Nats-Expected-Stream: {envelope.stream}\r\n{ttl}"
    ).encode()


def body(entry: Any, public_id: UUID, envelope: Envelope, *, deleted: bool) -> bytes:
    """One line of compact JSON around the provider's own bytes."""
    data = entry.data
    if "\n" in data or "\r" in data:  # between JSON tokens only, for inside a string they would be escaped
        data = data.replace("\r", " ").replace("\n", " ")
    head = orjson.dumps(
        {
            "id": str(public_id),
            "sync_id": str(envelope.sync_id),
            "collection_id": entry.collection_id,
            "provider": envelope.provider,
            "upstream_id": _plain(entry.upstream_id),
        }
    )
    tail = orjson.dumps(
        {
            "deleted": deleted,
            "seq": entry.seq,
            "upstream_created_at": moment(entry.upstream_created_at),
            "upstream_updated_at": moment(entry.upstream_updated_at),
            "inserted_at": moment(entry.inserted_at),
        }
    )
    return b"".join((head[:-1], b',"data":', data.encode("utf-8", "replace"), b",", tail[1:]))


def _plain(text: str) -> str:
    """The text without lone surrogates, which JSON in UTF-8 cannot carry."""
    return text.encode("utf-8", "replace").decode()


def parse_headers(raw: bytes) -> dict[str, str]:
    """NATS header lines as a dict; a repeated header keeps its last value."""
    lines = raw.decode("utf-8", "replace").split("\r\n")
    pairs: Iterable[tuple[str, str, str]] = (line.partition(":") for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}
