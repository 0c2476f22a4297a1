"""What we ask of JetStream: find, inspect, create and change a stream, read its last message, purge subjects.

JSON over request/reply as in https://docs.nats.io/reference/reference-protocols/nats_api_reference; spoken by hand so
that settings newer than the client library (allow_atomic …) are neither lost nor refused.
"""

import base64
import json
import re
import time
from dataclasses import dataclass, field, replace
from typing import Any

from consumers.connection import LinkError, NobodyListens, Refused
from consumers.jetstream import Link
from consumers.message import CONSUMER, RUN, SEQ, parse_headers

DEFAULT_STREAM = "SEQUIN-RECORDS"  # of the default prefix


def recommended_name(prefix: str) -> str:
    """What we call the stream of a subject prefix: `sequin-records` is SEQUIN-RECORDS, `crm.eu` is CRM-EU.

    A stream's name has no dots, blanks, wildcards or path separators (ADR-6).
    """
    return re.sub(r"[^A-Z0-9_-]+", "-", prefix.upper()).strip("-")[:200] or DEFAULT_STREAM


ATOMIC_VERSION = (2, 12, 0)
NO_MESSAGE, NO_STREAM = 10037, 10059
FENCE_FILTER = "Nats-Expected-Last-Subject-Sequence-Subject"  # stays on a stored message

RECOMMENDED: dict[str, Any] = {
    "retention": "limits",
    "storage": "file",
    "discard": "old",
    "max_msgs_per_subject": 1,
    "max_age": 0,
    "max_msgs": -1,
    "max_bytes": -1,
    "allow_direct": True,
}


@dataclass(frozen=True)
class Stream:
    """A stream as the server describes it."""

    name: str
    created: str
    config: dict[str, Any]
    last_seq: int
    messages: int
    size_bytes: int
    has_leader: bool
    asked_at: float = field(default_factory=time.monotonic, compare=False)

    @property
    def subjects(self) -> list[str]:
        return list(self.config.get("subjects") or [])

    @property
    def is_atomic(self) -> bool:
        """Whether it takes atomic batches, so that delivery can be fenced."""
        return bool(self.config.get("allow_atomic"))

    @property
    def allows_ttl(self) -> bool:
        return bool(self.config.get("allow_msg_ttl"))

    @property
    def replicas(self) -> int:
        return int(self.config.get("num_replicas") or 1)

    @property
    def limits(self) -> str:
        """What makes it drop old messages by itself, such as `max_bytes 1,000`; empty when nothing does."""
        names = ["max_age"] if self.config.get("discard") == "new" else ["max_bytes", "max_msgs", "max_age"]
        named = {name: int(self.config.get(name) or 0) for name in names}
        return ", ".join(f"{name} {value:,}" for name, value in named.items() if value > 0)

    @property
    def max_message_bytes(self) -> int:
        """0: no limit of the stream's own."""
        return max(int(self.config.get("max_msg_size") or 0), 0)


@dataclass(frozen=True)
class LastMessage:
    """The newest message under a filter. Our own headers make it the stream's copy of our cursor."""

    seq: int
    subject: str
    headers: dict[str, str]

    @property
    def record_seq(self) -> int:
        value = self.headers.get(SEQ, "")
        return int(value) if value.isdigit() else 0

    @property
    def consumer(self) -> str:
        return self.headers.get(CONSUMER, "")

    @property
    def run(self) -> int:
        value = self.headers.get(RUN, "")
        return int(value) if value.isdigit() else 0

    @property
    def ends_batch(self) -> bool:
        """Whether it closed an atomic batch or was fenced itself: then all its sender had before it is stored, too."""
        return self.headers.get("Nats-Batch-Commit") == "1" or FENCE_FILTER in self.headers


async def ask(link: Link, verb: str, body: Any = None, *, wait_s: float = 5.0) -> dict[str, Any]:
    """One JetStream API request. Raises Refused with NATS's code, or what Link.request raises."""
    payload = json.dumps(body).encode() if body is not None else b""
    try:
        answer = json.loads(await link.request(f"{link.settings.api}.{verb}", payload, wait_s=wait_s))
    except LinkError as error:
        error.check = "stream" if error.check in {"connect", "publish"} else error.check
        raise
    if error_ := answer.get("error"):
        refusal = Refused(int(error_.get("err_code") or error_.get("code") or 0), str(error_.get("description", "")))
        refusal.check = "stream"
        raise refusal
    return dict(answer)


async def name_for(link: Link, subject: str) -> str:
    """The name of the stream that takes this subject or filter; empty when none does."""
    names = (await ask(link, "STREAM.NAMES", {"subject": subject})).get("streams") or []
    return str(names[0]) if names else ""


async def info(link: Link, name: str) -> Stream:
    """Raises Refused (10059) when there is no such stream."""
    return _stream(await ask(link, f"STREAM.INFO.{name}"))


async def find(link: Link, subject: str, *, known_name: str = "") -> Stream:
    """The stream that takes this subject; looks first where it was last. Raises NobodyListens when there is none."""
    if known_name:
        try:
            stream = await info(link, known_name)
            if covers(stream.subjects, subject):
                return stream
        except Refused as error:
            if error.code != NO_STREAM:
                raise
    name = await name_for(link, subject)
    if not name:
        raise NobodyListens(
            f"No stream takes messages for {subject}.",
            "Press Create the stream, or run the nats stream add line shown under Checks.",
        )
    return await info(link, name)


def remember(link: Link, subject: str, stream: Stream) -> None:
    """Keep what is known of the stream that takes a filter, until it is next recalled."""
    link.streams[subject] = stream


def recall(link: Link, subject: str, *, at_least_seq: int, trust_s: float) -> Stream | None:
    """What was remembered and is not older than `trust_s`, where the fence tells if it is no longer true.

    It is forgotten by that: remember it again when all went well. at_least_seq: how far it is known to have come.
    """
    stream = link.streams.pop(subject, None)
    if stream is None or not stream.is_atomic or time.monotonic() - stream.asked_at > trust_s:
        return None
    return replace(stream, last_seq=max(stream.last_seq, at_least_seq))


async def subject_count(link: Link, name: str, subject: str) -> int:
    """How many subjects under a filter have a message (one per subject: how many records the stream holds)."""
    total, offset = 0, 0
    while True:
        answer = await ask(link, f"STREAM.INFO.{name}", {"subjects_filter": subject, "offset": offset}, wait_s=15)
        found = len((answer.get("state") or {}).get("subjects") or {})
        total, offset = total + found, offset + found
        if not found or offset >= int(answer.get("total") or 0):
            return total


async def last_message(link: Link, name: str, subject: str) -> LastMessage | None:
    """The newest message under a filter; None when there is none. Asks the stream's leader, never a replica."""
    return await _message(link, name, {"last_by_subj": subject})


async def next_message(link: Link, name: str, subject: str, after: int) -> LastMessage | None:
    """The first message under a filter beyond a stream sequence; None when there is none. Asks the leader, too."""
    return await _message(link, name, {"seq": after + 1, "next_by_subj": subject})


async def _message(link: Link, name: str, wanted: dict[str, Any]) -> LastMessage | None:
    try:
        message = (await ask(link, f"STREAM.MSG.GET.{name}", wanted))["message"]
    except Refused as error:
        if error.code == NO_MESSAGE:
            return None
        raise
    headers = parse_headers(base64.b64decode(message.get("hdrs") or ""))
    return LastMessage(int(message["seq"]), message["subject"], headers)


async def create(link: Link, name: str, prefix: str, *, replicas: int = 1) -> Stream:
    """Create the stream with the recommended settings; atomic batches where the server knows them."""
    config = {"name": name, "subjects": [f"{prefix}.>"], "num_replicas": replicas, **RECOMMENDED}
    if link.version >= ATOMIC_VERSION:
        config["allow_atomic"] = True
    return _stream(await ask(link, f"STREAM.CREATE.{name}", config, wait_s=10))


async def allow_atomic(link: Link, name: str) -> Stream:
    """Switch atomic batches on, changing nothing else."""
    config = {**(await info(link, name)).config, "allow_atomic": True}
    return _stream(await ask(link, f"STREAM.UPDATE.{name}", config, wait_s=10))


async def purge(link: Link, name: str, subject: str) -> int:
    """Remove all messages under a filter; how many there were."""
    return int((await ask(link, f"STREAM.PURGE.{name}", {"filter": subject}, wait_s=30)).get("purged") or 0)


def covers(subjects: list[str], subject: str) -> bool:
    """Whether one of a stream's subjects takes everything a subject or filter stands for."""
    return any(_covers(pattern.split("."), subject.split(".")) for pattern in subjects)


def _covers(pattern: list[str], tokens: list[str]) -> bool:
    for at, part in enumerate(pattern):
        if part == ">":
            return len(tokens) > at
        if at >= len(tokens) or tokens[at] == ">" or (part != "*" and part != tokens[at]):
            return False
    return len(pattern) == len(tokens)


def _stream(answer: dict[str, Any]) -> Stream:
    state, config = answer.get("state") or {}, answer["config"]
    cluster = answer.get("cluster")
    return Stream(
        name=config["name"],
        created=str(answer.get("created", "")),
        config=config,
        last_seq=int(state.get("last_seq") or 0),
        messages=int(state.get("messages") or 0),
        size_bytes=int(state.get("bytes") or 0),
        has_leader=not cluster or bool(cluster.get("leader")),
    )
