"""Judges a world that has come to rest, from upstream's own list of versions and from what the streams hold.

It knows nothing of the console's code: upstream's versions come from the sandbox's control API, the log by plain SQL,
the messages by a stock reader. Each record carries its version inside its data (`Sandbox_Version__c`). The rules,
each a pure function with a unit test of histories that break it:

(a) the last version of every record is the last message of its subject         `problems`
(b) no subject ever went backwards, by the version inside `data`                `problems`
(c) every deleted record that anybody was told of has its tombstone             `problems`
(d) no record, and no version of one, that never existed                        `problems`, `inventions`
(e) log = upstream = stream: the same records, versions, delete marks, content  `differences`
(f) acknowledged before `acked_seq` moved                                       `early`
(g) fenced: stored once; the stream's sequence grew by the versions sent        `problems`, `growth`
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tests.faults.watcher import Claim
from tests.faults.world import OBJECTS, World
from tests.nats_server import run

VERSION = "Sandbox_Version__c"
UNREAD = {"attributes"}  # what Salesforce adds around a record on the way out
Key = tuple[str, str]  # collection id, upstream id


@dataclass(frozen=True)
class Upstream:
    """A record's newest version upstream, and whether it is deleted there."""

    version: int
    deleted: bool


@dataclass
class Subject:
    """Every message of one subject in the order the stream has them: (version, deleted, Sequin-Seq, Sequin-Run)."""

    messages: list[tuple[int, bool, int, int]] = field(default_factory=list)

    @property
    def goes_backwards(self) -> bool:
        versions = [version for version, *_ in self.messages]
        return versions != sorted(versions)

    @property
    def repeats(self) -> int:
        """Messages stored again though they had been stored already in the same run."""
        return len(self.messages) - len({(seq, run_no) for _, _, seq, run_no in self.messages})


class Stored(NamedTuple):
    """One message as a stream has it. `at`: when it was stored, by the server's clock, which is this machine's."""

    key: Key
    sync_id: str
    version: int
    deleted: bool
    seq: int
    run: int
    at: float
    stream_seq: int
    content: dict[str, Any]


class State(NamedTuple):
    """A record as one of the three places has it at rest."""

    version: int
    deleted: bool
    content: dict[str, Any]


class Oracle:
    """Reads a world, and waits until it is at rest; `judge` then says all that is wrong."""

    def __init__(self, world: World) -> None:
        self.world = world

    def versions(self) -> dict[Key, dict[int, bool]]:
        """Every version of every record there ever was upstream, with its delete mark."""
        found: dict[Key, dict[int, bool]] = defaultdict(dict)
        for collection_id, name in OBJECTS.items():
            for row in self.world.sandbox.control("GET", f"versions/salesforce/{name}")["versions"]:
                found[collection_id, row["id"]][row["version"]] = row["deleted"] > 0
        return found

    def upstream(self) -> dict[Key, Upstream]:
        return {key: Upstream(max(known), known[max(known)]) for key, known in self.versions().items()}

    def upstream_states(self, upstream: Mapping[Key, Upstream]) -> dict[Key, State]:
        found = {}
        for collection_id, name in OBJECTS.items():
            bodies = self.world.sandbox.control("GET", f"records/salesforce/{name}?bodies=1")["records"]
            for record, content in bodies.items():
                was = upstream[collection_id, record]
                found[collection_id, record] = State(was.version, was.deleted, _known(content))
        return found

    def log(self) -> dict[Key, State]:
        rows = self.world.query(
            "SELECT c.collection_id, r.upstream_id, r.data, r.deleted "
            "FROM syncs_record r JOIN syncs_synccollection c ON c.id = r.collection_id"
        )
        contents = {
            (collection_id, key): (json.loads(data), bool(deleted)) for collection_id, key, data, deleted in rows
        }
        return {key: State(data[VERSION], deleted, _known(data)) for key, (data, deleted) in contents.items()}

    def log_problems(self) -> list[str]:
        """Where the log and upstream differ. A record deleted before it was ever read may be missing."""
        upstream = self.upstream()
        log = {key: Upstream(state.version, state.deleted) for key, state in self.log().items()}
        lost = [f"{key} {was} is not in the log" for key, was in upstream.items() if key not in log and not was.deleted]
        stale = [f"{key} is {log[key]}, upstream {was}" for key, was in upstream.items() if log.get(key, was) != was]
        made_up = [f"{key} never existed" for key in log.keys() - upstream.keys()]
        return lost + stale + made_up

    def is_at_rest(self) -> bool:
        """The log is what upstream is, and every cursor is at the log's head."""
        return self.world.is_read() and not self.log_problems() and self.world.is_delivered()

    def settle(self, within_s: float) -> None:
        """Wait until the world is at rest. Raises AssertionError saying what is amiss."""
        self.world.wait_for(self.is_at_rest, within_s, lambda: f"not at rest: {self.log_problems()[:5]}")

    def stored(self, stream: str) -> list[Stored]:
        """All messages of a stream in order. Raises AssertionError for one on a subject that is not its own."""
        return [_read(message) for message in run(self.world.nats.messages(stream.upper()))]

    def judge(
        self, claims: Iterable[Claim] = (), heard: Iterable[Any] = (), *, server_was_killed: bool = False
    ) -> list[str]:
        """All rules, on every stream of this world.

        claims             what a Watcher saw acknowledged, and when
        heard              every message that was stored in a stream that does not keep them all, from a Listener
        server_was_killed  then some may have been missed; what was heard is judged all the same
        """
        versions, upstream, log = self.versions(), self.upstream(), self.log()
        found = [f"log and upstream: {told}" for told in differences(log, self.upstream_states(upstream))]
        for name, config in self.world.streams.items():
            stored, last_seq, fenced = self.stored(name), self._last_seq(name), config.get("allow_atomic", True)
            history = [_read(message) for message in heard] if "republish" in config else stored
            wrong = inventions(versions, history) + differences(log, last_states(stored))
            if history is stored or [one.stream_seq for one in history] == [*range(1, last_seq + 1)]:
                wrong += problems(upstream, subjects(history), exactly_once=fenced) + early(name, claims, history)
                wrong += growth(last_seq, history) if fenced else []
            elif server_was_killed:
                wrong += problems(upstream, subjects(stored), exactly_once=fenced)
                wrong += [f"{key} goes backwards" for key, one in subjects(history).items() if one.goes_backwards]
            else:
                wrong.append(f"heard {len(history):,} messages of {last_seq:,}")
            found += [f"{name}: {told}" for told in wrong]
        return found

    def _last_seq(self, stream: str) -> int:
        return int(run(self.world.nats.ask(f"STREAM.INFO.{stream.upper()}"))["state"]["last_seq"])


def _known(content: dict[str, Any]) -> dict[str, Any]:
    """A record's fields that have a value; the sandbox keeps no empty ones, and answers with them."""
    return {name: value for name, value in content.items() if name not in UNREAD and value is not None}


def _read(message: Any) -> Stored:
    """A message from a stream, or one that was republished when it was stored."""
    body, headers = json.loads(message.data), message.headers
    if "Nats-Time-Stamp" in headers:
        subject, stream_seq = headers["Nats-Subject"], int(headers["Nats-Sequence"])
        at = datetime.fromisoformat(headers["Nats-Time-Stamp"][:26].rstrip("Z") + "+00:00")
    else:
        subject, stream_seq, at = message.subject, message.metadata.sequence.stream, message.metadata.timestamp
    key = body["collection_id"], body["upstream_id"]
    assert subject.endswith(f".{body['sync_id']}.{key[0]}.{key[1]}"), subject
    assert int(headers["Sequin-Seq"]) == body["seq"]
    return Stored(
        key,
        body["sync_id"],
        body["data"][VERSION],
        body["deleted"],
        body["seq"],
        int(headers["Sequin-Run"]),
        at.timestamp(),
        stream_seq,
        _known(body["data"]),
    )


def subjects(stored: Iterable[Stored]) -> dict[Key, Subject]:
    """Messages by record."""
    found: dict[Key, Subject] = defaultdict(Subject)
    for one in stored:
        found[one.key].messages.append((one.version, one.deleted, one.seq, one.run))
    return found


def last_states(stored: Iterable[Stored]) -> dict[Key, State]:
    """What somebody who reads the stream from its beginning ends up with."""
    return {one.key: State(one.version, one.deleted, one.content) for one in stored}


def problems(upstream: Mapping[Key, Upstream], subjects: Mapping[Key, Subject], *, exactly_once: bool) -> list[str]:
    """What is wrong with a stream: last versions, order, tombstones, inventions, repeats. Pure."""
    found = []
    for key, was in upstream.items():
        subject = subjects.get(key)
        if subject is None:
            if not was.deleted:
                found.append(f"{key} {was} never arrived")
            continue
        version, deleted, *_ = subject.messages[-1]
        if (version, deleted) != (was.version, was.deleted):
            found.append(f"{key} ends at {subject.messages[-1]}, upstream {was}")
        if subject.goes_backwards:
            found.append(f"{key} goes backwards: {subject.messages}")
        if exactly_once and subject.repeats:
            found.append(f"{key} was stored twice: {subject.messages}")
    return found + [f"{key} never existed" for key in subjects.keys() - upstream.keys()]


def inventions(versions: Mapping[Key, Mapping[int, bool]], stored: Iterable[Stored]) -> list[str]:
    """Messages with a version, or a delete mark, that no record ever had."""
    return [
        f"{one.key} never was {one.version}, deleted {one.deleted}"
        for one in stored
        if versions.get(one.key, {}).get(one.version) != one.deleted
    ]


def differences(ours: Mapping[Key, State], theirs: Mapping[Key, State]) -> list[str]:
    """Where two places differ, as sets of records with version, delete mark and content.

    What is deleted upstream may be missing with us if it was never read; that it is a difference between log and stream
    too does not matter, for both then lack it.
    """
    found = [f"{key} is in one place only" for key in ours.keys() - theirs.keys()]
    found += [f"{key} is missing" for key, state in theirs.items() if key not in ours and not state.deleted]
    both = ours.keys() & theirs.keys()
    return found + [f"{key} differs: {_unlike(ours[key], theirs[key])}" for key in both if ours[key] != theirs[key]]


def _unlike(ours: State, theirs: State) -> list[tuple[str, Any, Any]]:
    """What is not the same: (name, ours, theirs)."""
    here, there = ({"deleted": one.deleted, **one.content} for one in (ours, theirs))
    return [(name, here.get(name), there.get(name)) for name in here | there if here.get(name) != there.get(name)]


def early(stream: str, claims: Iterable[Claim], stored: Iterable[Stored]) -> list[str]:
    """Cursors that had passed a message before the stream had stored it.

    A claim: at this moment the cursor had passed this sequence. So a message with it must have been stored by then.
    """
    at: dict[tuple[str, int, int], float] = {}
    for one in stored:
        at.setdefault((one.sync_id, one.run, one.seq), one.at)
    never = float("inf")
    return [
        f"sequence {claim.seq} of {claim.sync_id} counted as acknowledged too early"
        for claim in claims
        if claim.stream == stream and at.get((claim.sync_id, claim.run, claim.seq), never) > claim.at
    ]


def growth(last_seq: int, history: Iterable[Stored]) -> list[str]:
    """Whether the stream's sequence grew by anything but the versions sent, each of them once."""
    sent = len({(one.sync_id, one.run, one.seq) for one in history})
    return [] if last_seq == sent else [f"the stream's sequence is {last_seq:,}, but {sent:,} versions were sent"]
