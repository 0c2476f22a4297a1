"""A console inside the test, over a real sandbox and nats-server: quicker than processes where the fault is not ours.

    rig.connect("stripe")       a connection, and a sync of two of its collections
    rig.turn()                  what scheduler and workers do once: find what is due in the tables, and run it
    rig.later()                 waits are over: whatever was put off is due now
    rig.edit(20)                somebody works upstream
    rig.settle(); rig.judge()   until log, upstream and stream are the same; then every message ever stored is judged

Versions come from the sandbox's control API and from inside `data`, never from our own numbers.
"""

import json
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from consumers import scheduling
from consumers import tasks as consumer_tasks
from consumers.models import ConsumerCursor, NatsConsumer
from sandbox.process import RunningSandbox
from syncs import connections, oauth_apps, services
from syncs import tasks as sync_tasks
from syncs.models import Credential, Feed, Hint, Record, Sync, SyncCollection, SyncHead
from syncs.states import CredentialState
from tests.consumer_factories import make_consumer
from tests.faults.oracle import Key, Subject, Upstream, problems
from tests.nats_server import NatsServer, run

COLLECTIONS = {
    "salesforce": {"salesforce:contact": "Contact", "salesforce:lead": "Lead"},
    "stripe": {"stripe:customer": "customers", "stripe:product": "products"},
}
CHANGED = {"Contact": "LastName", "Lead": "LastName", "customers": "name", "products": "name"}
READ = "syncs.tasks.read_feeds"
TASKS: dict[str, Callable[[Any], None]] = {
    READ: sync_tasks.read_feeds,
    "consumers.tasks.drain": consumer_tasks.drain,
}
STREAM, PREFIX = "SEQUIN-RECORDS", "sequin-records"


class Rig:
    """One console; everything runs on the calling thread, when it says so."""

    def __init__(self, sandbox: RunningSandbox, nats: NatsServer, queue: deque[tuple[str, Any]], seed: int) -> None:
        self.sandbox, self.nats, self._queue = sandbox, nats, queue
        self.random = random.Random(seed)
        self.providers: list[str] = []
        run(nats.make_stream(STREAM, PREFIX, max_msgs_per_subject=-1))
        self.consumer = make_consumer(nats)

    # --- The console ------------------------------------------------------------------------------------------------

    def connect(self, provider: str, *, records: int = 0) -> Sync:
        """A connection to the sandbox's account, and a sync of two collections with so many records each."""
        for name in COLLECTIONS[provider].values():
            if records:
                self.sandbox.control("POST", f"records/{provider}/{name}?count={records}&spread_s=3000", {})
        self.providers.append(provider)
        credential = self._salesforce() if provider == "salesforce" else self._stripe()
        wanted = {"name": provider, "credential": credential, "collection_ids": list(COLLECTIONS[provider])}
        return services.create_sync({**wanted, "poll_s": 2}, by=None)

    def _salesforce(self) -> Credential:
        grant = self.sandbox.control("POST", "grants", {"provider": "salesforce"})
        names = {"client_id": grant["client_id"], "client_secret": grant["client_secret"]}
        app = oauth_apps.create({"provider": "salesforce", **names}, by=None)
        data = {"provider": "salesforce", "kind": "salesforce", "oauth_app": app}
        secrets, place = {"refresh_token": grant["refresh_token"]}, {"instance_url": grant["instance_url"]}
        return connections.create_credential({**data, "secrets": secrets, "settings": place}, by=None)

    def _stripe(self) -> Credential:
        data = {"provider": "stripe", "kind": "stripe_key", "secrets": {"secret": self._key()}}
        return connections.create_credential(data, by=None)

    def _key(self) -> str:
        return self.sandbox.control("POST", "keys", {"provider": "stripe", "mode": "test"})["secret"]

    def reconnect(self, provider: str) -> None:
        """A person connects the account anew, if the console asks for it."""
        for credential in Credential.objects.filter(provider=provider, state=CredentialState.RECONNECT):
            data: dict[str, Any] = {"secrets": {"secret": self._key()}}
            if credential.oauth_app is not None:
                app = {"provider": provider, "client_id": credential.oauth_app.client_id}
                grant = self.sandbox.control("POST", "grants", app)
                place = {"instance_url": grant["instance_url"]}
                data = {"secrets": {"refresh_token": grant["refresh_token"]}, "settings": place}
            connections.update_credential(credential, data, by=None)

    def turn(self) -> None:
        """Whatever the scheduler finds, done once; what reading queues to go on with waits for the next turn."""
        sync_tasks.enqueue_due()
        scheduling.enqueue_due(timezone.now())
        reads = sum(name == READ for name, _ in self._queue)
        rest = []
        while self._queue:
            name, ids = self._queue.popleft()
            if name == READ and (reads := reads - 1) < 0:
                rest.append((name, ids))
            elif name in TASKS:
                TASKS[name](ids)
        self._queue.extend(rest)

    def later(self) -> None:
        """Time has passed: nothing that was put off need wait any longer."""
        now = timezone.now()
        long_ago = now - timedelta(hours=2)
        Feed.objects.filter(due_at__isnull=False).update(due_at=now, queued_until=None)
        Feed.objects.filter(looked_at__isnull=False).update(looked_at=long_ago)
        SyncCollection.objects.filter(retry_at__isnull=False).update(retry_at=now)
        SyncCollection.objects.filter(aside_due_at__isnull=False).update(aside_due_at=now)
        Hint.objects.update(due_at=now)
        Credential.objects.update(not_before=None)
        Sync.objects.update(not_before=None)
        ConsumerCursor.objects.update(queued_until=None)
        NatsConsumer.objects.update(retry_at=None)

    def settle(self, *, within_s: float = 60) -> None:
        """Turns, each some time after the last, until log, upstream and stream agree. Raises AssertionError."""
        deadline = time.monotonic() + within_s
        while True:
            self.later()
            self.turn()
            amiss = self.log_problems() or self.undelivered()
            if not amiss:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"not at rest: {amiss[:5]}\n{self.told()}")

    def told(self) -> list[Any]:
        """What people are told of every unit in trouble."""
        columns = ("error_kind", "error", "next_step", "failures")
        return [
            *Credential.objects.values_list("provider", "state", "error", "next_step", "not_before"),
            *Feed.objects.exclude(error="").values_list("key", *columns),
            *SyncCollection.objects.exclude(error="").values_list("collection_id", "phase", *columns),
            *NatsConsumer.objects.exclude(error="").values_list("name", *columns),
        ]

    # --- Upstream ---------------------------------------------------------------------------------------------------

    def fault(self, provider: str, kind: str, **more: Any) -> int:
        """Lay a fault in wait; its number."""
        return self.sandbox.control("POST", "faults", {"provider": provider, "kind": kind, **more})["id"]

    def hits(self, fault_id: int) -> int:
        """how often a fault has struck; -1 once it is used up."""
        active = self.sandbox.control("GET", "faults")["faults"]
        return next((fault["hits"] for fault in active if fault["id"] == fault_id), -1)

    def heal(self) -> None:
        self.sandbox.control("DELETE", "faults")

    def edit(self, count: int) -> None:
        """So many edits at the connected providers, as the seed chooses: most change, some create, some delete."""
        for number in range(count):
            provider = self.random.choice(self.providers)
            name = self.random.choice(list(COLLECTIONS[provider].values()))
            place, chance = f"records/{provider}/{name}", self.random.random()
            records = self.sandbox.control("GET", place)["records"]
            live = sorted(key for key, row in records.items() if not row["deleted"])
            if chance < 0.15 or not live:
                self.sandbox.control("POST", place, {})
            elif chance < 0.25:
                self.sandbox.control("DELETE", f"{place}/{self.random.choice(live)}")
            else:
                record = self.random.choice(live[:10] if chance < 0.6 else live)
                self.sandbox.control("PATCH", f"{place}/{record}", {CHANGED[name]: f"edit {number} {chance}"})

    # --- The judge --------------------------------------------------------------------------------------------------

    def upstream(self, *providers: str) -> dict[Key, Upstream]:
        """The newest version of every record that ever was, at these providers or at all."""
        found: dict[Key, Upstream] = {}
        for provider in providers or self.providers:
            for collection_id, name in COLLECTIONS[provider].items():
                for row in self.sandbox.control("GET", f"versions/{provider}/{name}")["versions"]:
                    key = collection_id, row["id"]
                    if key not in found or row["version"] > found[key].version:
                        found[key] = Upstream(row["version"], row["deleted"] > 0)
        return found

    def log(self, *providers: str) -> dict[Key, Upstream]:
        rows = Record.objects.filter(sync__provider__in=providers or self.providers).values_list(
            "collection__collection_id", "upstream_id", "data", "deleted"
        )
        return {(where, key): Upstream(version_in(json.loads(data)), deleted) for where, key, data, deleted in rows}

    def log_problems(self, *providers: str) -> list[str]:
        upstream, log = self.upstream(*providers), self.log(*providers)
        lost = [f"{key} {was} is not in the log" for key, was in upstream.items() if key not in log and not was.deleted]
        stale = [
            f"{key}: {log[key]} in the log, {was} upstream" for key, was in upstream.items() if differs(log, key, was)
        ]
        return lost + stale + [f"{key} never existed" for key in log.keys() - upstream.keys()]

    def subjects(self) -> dict[Key, Subject]:
        found: dict[Key, Subject] = defaultdict(Subject)
        for message in run(self.nats.messages(STREAM)):
            body = json.loads(message.data)
            place = body["seq"], int(message.headers["Sequin-Run"])
            version = version_in(body["data"])
            found[body["collection_id"], body["upstream_id"]].messages.append((version, body["deleted"], *place))
        return found

    def judge(self) -> dict[Key, Subject]:
        """Every message ever stored against every version there ever was. Raises AssertionError; gives the messages."""
        subjects = self.subjects()
        assert problems(self.seen_upstream(), subjects, exactly_once=True) == []
        return subjects

    def seen_upstream(self) -> Mapping[Key, Upstream]:
        """Upstream, its deleted Stripe objects with the version last readable: a deletion brings no new content."""
        log = self.log()
        return {key: log[key] if was.deleted and key in log else was for key, was in self.upstream().items()}

    def undelivered(self, *syncs: Sync) -> list[str]:
        heads = dict(SyncHead.objects.values_list("sync_id", "head_seq"))
        behind = ConsumerCursor.objects.filter(acked_seq__lt=F("sync__head__head_seq"))
        behind = behind.filter(sync__in=syncs) if syncs else behind
        return [f"cursor at {cursor.acked_seq} of {heads[cursor.sync_id]}" for cursor in behind]


def version_in(data: dict[str, Any]) -> int:
    """The sandbox's own version of a record, from inside it."""
    return int(data["Sandbox_Version__c"] if "Sandbox_Version__c" in data else data["metadata"]["sandbox_version"])


def differs(log: Mapping[Key, Upstream], key: Key, was: Upstream) -> bool:
    """Whether the log holds something else. Of a deleted Stripe object it keeps the last version it could read."""
    held = log.get(key, was)
    if was.deleted and held.deleted and key[0].startswith("stripe:"):
        return held.version > was.version
    return held != was
