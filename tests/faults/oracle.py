"""Judges a world that has come to rest, from upstream's own list of versions and from what the streams hold.

It knows nothing of the console's code: upstream's versions come from the sandbox's control API, the log by plain SQL,
the messages by a stock reader. Each record carries its version inside its data (`Sandbox_Version__c`).
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faults.world import OBJECTS, World
from tests.nats_server import run

VERSION = "Sandbox_Version__c"


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


Key = tuple[str, str]  # collection id, upstream id


class Oracle:
    """Reads a world, and waits until it is at rest; `problems` then judges each stream."""

    def __init__(self, world: World) -> None:
        self.world = world

    def upstream(self) -> dict[Key, Upstream]:
        found = {}
        for collection_id, name in OBJECTS.items():
            listed = self.world.sandbox.control("GET", f"versions/salesforce/{name}")["versions"]
            for row in listed:
                key = collection_id, row["id"]
                if key not in found or row["version"] > found[key].version:
                    found[key] = Upstream(row["version"], row["deleted"] > 0)
        return found

    def log(self) -> dict[Key, Upstream]:
        rows = self.world.query(
            f"SELECT c.collection_id, r.upstream_id, json_extract(r.data, '$.{VERSION}'), r.deleted "
            "FROM syncs_record r JOIN syncs_synccollection c ON c.id = r.collection_id"
        )
        return {(collection_id, key): Upstream(version, bool(deleted)) for collection_id, key, version, deleted in rows}

    def log_problems(self) -> list[str]:
        """Where the log and upstream differ. A record deleted before it was ever read may be missing."""
        upstream, log = self.upstream(), self.log()
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

    def subjects(self, stream: str) -> dict[Key, Subject]:
        """All messages of a stream by record. Raises AssertionError for one on a subject that is not its own."""
        found: dict[Key, Subject] = defaultdict(Subject)
        for message in run(self.world.nats.messages(stream.upper())):
            body = json.loads(message.data)
            key = body["collection_id"], body["upstream_id"]
            assert message.subject == f"{stream}.{body['sync_id']}.{key[0]}.{key[1]}"
            assert int(message.headers["Sequin-Seq"]) == body["seq"]
            place = body["seq"], int(message.headers["Sequin-Run"])
            found[key].messages.append((body["data"][VERSION], body["deleted"], *place))
        return found


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


def in_figures(stream: str, subjects: Mapping[Key, Subject]) -> str:
    """For a test's output."""
    messages, repeats = sum(len(s.messages) for s in subjects.values()), sum(s.repeats for s in subjects.values())
    return f"{stream}: {messages} messages of {len(subjects)} records, {repeats} repeated"
