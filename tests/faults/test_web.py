"""The web process is killed while it answers: what a POST makes is there whole, or not at all."""

import json
import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import backends
from tests.faults.ground import on
from tests.faults.report import SEED, rounds
from tests.faults.world import SYNCS, World, as_uuid, call, running_world
from tests.running_up import eventually

pytestmark = pytest.mark.timeout(600)
ROUNDS, AT_ONCE = rounds(3, 25), 4
COLLECTIONS = SYNCS["CRM"]
MAKE_TOKEN = """
import django; django.setup()
from sequin_console.accounts import tokens
print(tokens.create("kills", "operator", None)[1], end="")
"""
BOUND_CURSORS = """consumers_consumercursor c
    JOIN consumers_natsconsumer n ON n.id = c.consumer_id AND n.sync_id IS NOT NULL"""
Record = Callable[..., None]


class Poster(threading.Thread):
    """One POST to the API; `status` is what came back, 0 if nothing did."""

    def __init__(self, world: World, token: str, path: str, body: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.url, self.body, self.status, self.answer = f"{world.url}/v1/{path}", body, 0, b""
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.took_s = 0.0

    def run(self) -> None:
        began_s = time.monotonic()
        request = urllib.request.Request(self.url, json.dumps(self.body).encode(), self.headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                self.status, self.answer = response.status, response.read()
        except urllib.error.HTTPError as error:
            self.status, self.answer = error.code, error.read()
        except OSError:
            self.status = 0
        self.took_s = time.monotonic() - began_s


class Api:
    """Somebody who makes syncs and consumers, several at once."""

    def __init__(self, world: World) -> None:
        self.world, self.token = world, call(world.environ, "-c", MAKE_TOKEN)
        self.sent: list[Poster] = []

    def post_some(self) -> list[Poster]:
        """As many syncs as consumers, each of a name and prefix of its own; returned when they are on their way."""
        posters = []
        for n in range(AT_ONCE):
            name = f"{'sync' if n % 2 else 'consumer'}-{len(self.sent) + n}"
            sync = {"name": name, "credential_id": self.world.ids["credential"], "collection_ids": COLLECTIONS}
            consumer = {"name": name, "subject_prefix": name, "sync_id": self.world.ids["syncs"][0]}
            consumer["nats"] = self.world.asked["consumers"][0]["nats"]
            posters.append(
                Poster(self.world, self.token, *(("syncs", sync) if n % 2 else ("nats_consumers", consumer)))
            )
        for poster in posters:
            poster.start()
        self.sent += posters
        return posters


def counted(world: World, table: str, column: str) -> dict[str, int]:
    """How many rows each has, by its id."""
    return {
        as_uuid(pk): count for pk, count in world.query(f"SELECT {column}, count(*) FROM {table} GROUP BY {column}")
    }


def audited(world: World, action: str) -> dict[str, int]:
    rows = world.query(
        "SELECT object_id, count(*) FROM common_auditevent WHERE action = ? GROUP BY object_id", (action,)
    )
    return dict(rows)


def what_is_not_whole(world: World) -> list[str]:
    """Syncs without all they are made of, and consumers likewise; what was made without a word in the audit log."""
    found, syncs = [], {as_uuid(pk): name for pk, name in world.query("SELECT id, name FROM syncs_sync")}
    consumers = {as_uuid(pk): name for pk, name in world.query("SELECT id, name FROM consumers_natsconsumer")}
    parts = {
        "head": (syncs, counted(world, "syncs_synchead", "sync_id"), 1),
        "collections": (syncs, counted(world, "syncs_synccollection", "sync_id"), len(COLLECTIONS)),
        "feeds": (syncs, counted(world, "syncs_feed", "sync_id"), len(COLLECTIONS)),
        "audit event": (syncs, audited(world, "sync.created"), 1),
        "cursor": (
            {pk: name for pk, name in consumers.items() if name.startswith("consumer-")},
            counted(world, BOUND_CURSORS, "consumer_id"),
            1,
        ),
        "audit event of a consumer": (consumers, audited(world, "consumer.created"), 1),
    }
    for part, (owners, counts, wanted) in parts.items():
        found += [f"{name}: {part} {counts.get(pk, 0)}" for pk, name in owners.items() if counts.get(pk, 0) != wanted]
        found += [f"{part} of nobody: {pk}" for pk in counts.keys() - owners.keys()]
    return found


@contextmanager
def answering(folder: Path, backend: str) -> Iterator[tuple[World, Api]]:
    """A world whose web process answers."""
    with running_world(folder, backend=backend, records=20, streams={"fenced": {"max_msgs_per_subject": -1}}) as world:
        world.start("web")
        world.wait_for(lambda: is_answering(world), 60, "web does not answer")
        yield world, Api(world)


def is_answering(world: World) -> bool:
    try:
        with urllib.request.urlopen(f"{world.url}/healthz", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@on("postgres")
def test_what_a_killed_post_made_is_whole_or_absent(tmp_path: Path, backend: str, record_fault: Record) -> None:
    chance, kills, in_flight = random.Random(SEED), 0, 0
    with answering(tmp_path, backend) as (world, api):
        first = api.post_some()
        for poster in first:
            poster.join(60)
        assert [poster.status for poster in first] == [201] * AT_ONCE, [poster.answer for poster in first]
        usual_s = max(poster.took_s for poster in first)
        for _ in range(ROUNDS):
            posters = api.post_some()
            time.sleep(chance.uniform(0, usual_s))
            os.kill(world.pid("web") or 0, signal.SIGKILL)
            for poster in posters:
                poster.join(60)
            kills += 1
            in_flight += sum(poster.status == 0 for poster in posters)
            assert {poster.status for poster in posters} <= {0, 201}, [poster.answer for poster in posters]
            world.wait_for(lambda: is_answering(world), 60, "web does not answer again")
            assert what_is_not_whole(world) == []
        tables = ("syncs_sync", "consumers_natsconsumer")
        made = {name for table in tables for (name,) in world.query(f"SELECT name FROM {table}")}
        assert {poster.body["name"] for poster in api.sent if poster.status == 201} <= made
        record_fault(
            what="SIGKILL of web while it answers POSTs of syncs and consumers",
            times=kills,
            counted=in_flight,
            outcome="what they made is whole or absent; what was answered 201 is there",
            backend=world.on.label,
        )
        assert in_flight, "every POST was answered before the kill"
        world.start("syncs", "scheduler")
        world.wait_for(world.is_read, 90, "what was made does not work")


def test_sync_whose_connection_came_along_can_be_posted_again(tmp_path: Path) -> None:
    """Killed between the two, the connection stays, unused; the same POST takes it and makes no second one."""
    with answering(tmp_path, backends.name()) as (world, api):
        key = world.sandbox.control("POST", "keys", {"provider": "stripe", "mode": "test"})["secret"]
        credential = {"properties": {"kind": "stripe_key", "secret": key, "name": "Billing"}}
        body = {
            "provider": "stripe",
            "name": "Billing",
            "collection_ids": ["stripe:customer"],
            "credential": credential,
        }
        first = Poster(world, api.token, "syncs", body)
        first.start()
        eventually(
            lambda: world.query("SELECT 1 FROM syncs_credential WHERE provider = 'stripe'"), told="no connection"
        )
        os.kill(world.pid("web") or 0, signal.SIGKILL)
        first.join(60)
        world.wait_for(lambda: is_answering(world), 60, "web does not answer again")
        count = "SELECT count(*) FROM syncs_sync WHERE provider = 'stripe'"
        ((made,),) = world.query(count)  # it may have been made, and only the answer lost
        assert made in ((1,) if first.status == 201 else (0, 1))
        again = Poster(world, api.token, "syncs", body)
        again.start()
        again.join(60)
        assert again.status == 201, again.answer
        assert world.query("SELECT count(*) FROM syncs_credential WHERE provider = 'stripe'") == [(1,)]
        assert world.query(count) == [(made + 1,)]
