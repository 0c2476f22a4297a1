"""One record as one NATS message: subject, headers, body. Pure; the shape is DESIGN.md "Message".

    sequin-records.{sync_id}.{collection_id}.{upstream_id}
    {"id":…,"sync_id":…,"collection_id":…,"provider":…,"upstream_id":…,"data":{…},"deleted":false,"seq":…, …}

The provider's record travels inside as the bytes it came in: the envelope is joined around it, never re-encoded.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, unquote
from uuid import UUID

import orjson

SAFE = "-_:=@+~"  # quote() itself leaves letters, digits, `-`, `_`, `.` and `~`; the dot parts tokens, so it goes too
EMPTY = "%"  # stands for the empty token, which a subject cannot have; encoding never gives a lone percent sign
LONGEST_SUBJECT = 3_500  # bytes; a server refuses protocol lines over 4,096 by default (max_control_line)
TOMBSTONE_TTL_LEAST_H = 24

SEQ, RUN, CONSUMER, OPERATION = "Sequin-Seq", "Sequin-Run", "Sequin-Consumer", "Sequin-Operation"
_SEQ = SEQ.encode()
_is_plain = re.compile(r"[A-Za-z0-9\-_:=@+~]+").fullmatch  # needs no encoding, neither as a token nor as JSON


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


class Renderer:
    """Makes messages of log entries (syncs.log.LogEntry); what those of one drain have in common is encoded once."""

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        self._places: dict[str, tuple[str, str]] = {}  # by collection: the subject's and the body's constant parts
        self._headers = {operation: headers(operation, envelope) for operation in ("create", "update", "delete")}

    def __call__(self, entry: Any) -> Message:
        """The message for one entry: headers without `Nats-Msg-Id`, for a repeated one refuses the batch (10201)."""
        seq, upstream_id, data = entry.seq, entry.upstream_id, entry.data
        subject, common = self._places.get(entry.collection_id) or self._place(entry.collection_id)
        deleted = entry.deleted or self.envelope.tombstones
        if _is_plain(upstream_id):
            token, text = upstream_id, f'"{upstream_id}"'
        else:
            token, text = encode_token(upstream_id), _json(upstream_id)
        if "\n" in data or "\r" in data:  # between JSON tokens only, for inside a string they would be escaped
            data = data.replace("\r", " ").replace("\n", " ")
        payload = (
            f'{{"id":"{entry.public_id}",{common}{text},"data":{data},"deleted":{"true" if deleted else "false"},'
            f'"seq":{seq},"upstream_created_at":{_quoted(entry.upstream_created_at)},'
            f'"upstream_updated_at":{_quoted(entry.upstream_updated_at)},"inserted_at":{_quoted(entry.inserted_at)}}}'
        ).encode("utf-8", "replace")
        ours = b"%b: %d\r\n%b" % (_SEQ, seq, self._headers["delete" if deleted else entry.operation])
        return Message(subject + token, ours, payload, seq, entry.record_id)

    def _place(self, collection_id: str) -> tuple[str, str]:
        envelope = self.envelope
        subject = f"{envelope.prefix}.{envelope.sync_id}.{encode_token(collection_id)}."
        common = (
            f'"sync_id":"{envelope.sync_id}","collection_id":{_json(collection_id)},'
            f'"provider":{_json(envelope.provider)},"upstream_id":'
        )
        return self._places.setdefault(collection_id, (subject, common))


def headers(operation: str, envelope: Envelope) -> bytes:
    """Our own headers behind `Sequin-Seq`, and the expected stream."""
    ttl = ""
    if operation == "delete" and envelope.tombstone_ttl_h:
        ttl = f"Nats-TTL: {max(envelope.tombstone_ttl_h, TOMBSTONE_TTL_LEAST_H)}h\r\n"
    return (
        f"{RUN}: {envelope.run}\r\n{CONSUMER}: {envelope.consumer_id}\r\n{OPERATION}: {operation}\r\n"
        f"Nats-Expected-Stream: {envelope.stream}\r\n{ttl}"
    ).encode()


def _json(text: str) -> str:
    """As a JSON string, without lone surrogates, which JSON in UTF-8 cannot carry."""
    return orjson.dumps(text.encode("utf-8", "replace").decode()).decode()


def _quoted(moment: str | None) -> str:
    return f'"{moment}"' if moment else "null"


def parse_headers(raw: bytes) -> dict[str, str]:
    """NATS header lines as a dict; a repeated header keeps its last value."""
    lines = raw.decode("utf-8", "replace").split("\r\n")
    pairs: Iterable[tuple[str, str, str]] = (line.partition(":") for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}
