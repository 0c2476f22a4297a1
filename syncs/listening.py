"""Listening to providers over connections that are held open while syncs run; what they tell becomes hints.

One connection a credential, held by whichever scheduler process takes its lease first; the others stand by. A coroutine
on the process's loop waits, so no task is held. What is heard is stored with the place where to go on, under the lease,
and the feeds it is about are queued, as a webhook's are. Losing all of it loses nothing: polling remains the truth.
"""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, transaction
from django.db.models import F, Q
from django.utils import timezone

from sequin_console.common import changes, leases, runner, task_queue
from sequin_console.common.backoff import backoff_s
from sequin_console.common.troubled import NO_TROUBLE, trouble
from syncs import access, budget, hints, tasks
from syncs.connections import spec_of
from syncs.models import ChangeStream, Credential, Purpose, SyncCollection
from syncs.providers import PROVIDERS
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import PermissionMissing, ProviderError, RateLimited, UnexpectedShape
from syncs.providers.kit.streaming import Heard, Stream
from syncs.states import CredentialState, Phase, SyncState

LEASE_S, RENEW_S = 60.0, 20.0
MOST = 50  # connections a process holds open
NOT_OFFERED_S = 15 * 60.0  # then it is asked again: somebody may have switched it on
REFUSED_S = 3600.0
LONGEST_S = 2 * 3600.0  # between tries, after many
FRESH = timedelta(seconds=hints.KEPT_S)  # what was told longer ago was found by looking
PAUSE_S = 1.0  # before the next session on the same connection
STOP_S = 5.0
TOLD_EVERY = timedelta(seconds=10)  # pages are told of events no more often

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Session:
    """One connection under our lease. All but `is_over` is set when it begins."""

    row: ChangeStream
    collection_ids: frozenset[str]
    renewed_at: float
    tally: budget.Tally = field(default_factory=lambda: budget.Tally(Purpose.WEBHOOKS))
    titles: dict[str, str] = field(default_factory=dict)
    is_over: threading.Event = field(default_factory=threading.Event)
    task: Any = None

    def __post_init__(self) -> None:
        self.lease_no = self.row.lease_no  # ours, whoever holds the row when it is read again

    @property
    def stream(self) -> Stream:
        stream = PROVIDERS[self.row.credential.provider].stream
        assert stream is not None
        return stream

    def write(self, **columns: Any) -> None:
        """Write columns while the lease is ours. Raises LeaseLost."""
        mine = ChangeStream.objects.filter(pk=self.row.pk, lease_no=self.lease_no)
        if not mine.update(**columns):
            raise leases.LeaseLost(f"change events of {self.row.credential_id} are heard by another process")


class Listener:
    """This process's connections. `attend` and `stop` are one thread's; it starts nothing before there is something."""

    def __init__(self) -> None:
        self._sessions: dict[UUID, Session] = {}  # by credential
        self._orm: runner.Orm | None = None
        self._thread: threading.Thread | None = None

    def attend(self) -> None:
        """Take up what should be listened to and nobody does, let go of what should not. Every few seconds."""
        wanted = wanted_collections()
        if not wanted and not self._sessions:
            return
        for credential_id, session in list(self._sessions.items()):
            if (
                session.is_over.is_set()
                or session.collection_ids != wanted.get(credential_id)
                or not self._keeps(session)
            ):
                self._end([session])
        free = [key for key in wanted if key not in self._sessions]
        for row in take(free, MOST - len(self._sessions)):
            self._start(Session(row, wanted[row.credential_id], time.monotonic()))

    def stop(self) -> None:
        """Take leave upstream and give everything back. For a process that ends."""
        with contextlib.suppress(DatabaseError):  # leases run out by themselves
            self._end(list(self._sessions.values()))
        if self._orm is not None and self._thread is not None:
            self._orm.stop()
            self._thread.join(STOP_S)

    def _keeps(self, session: Session) -> bool:
        """Renew the lease when it is time to; False when it is lost."""
        if time.monotonic() - session.renewed_at < RENEW_S:
            return True
        session.renewed_at = time.monotonic()
        try:
            session.write(lease_until=leases.until(LEASE_S))
        except leases.LeaseLost:
            return False
        return True

    def _start(self, session: Session) -> None:
        loop = runner.event_loop()
        if self._orm is None:
            self._orm = runner.Orm(loop)
            self._thread = threading.Thread(target=self._orm.serve_alone, name="sequin-listener", daemon=True)
            self._thread.start()
        self._sessions[session.row.credential_id] = session
        session.task = asyncio.run_coroutine_threadsafe(self._listen(session, self._orm), loop)

    def _end(self, sessions: Sequence[Session]) -> None:
        for session in sessions:
            session.task.cancel()
        for session in sessions:
            session.is_over.wait(STOP_S)
            self._sessions.pop(session.row.credential_id, None)
            with contextlib.suppress(leases.LeaseLost):
                session.write(lease_until=None, connected_at=None)
                _announce(session.row.credential)

    # --- On the loop -----------------------------------------------------------------------------------------------

    async def _listen(self, session: Session, orm: runner.Orm) -> None:
        """Session after session, until one fails, or there is nothing to hear."""
        try:
            while await self._hear(session, orm):
                await asyncio.sleep(PAUSE_S)
        except leases.LeaseLost:
            log.info("another process listens", credential=str(session.row.credential_id))
        except Exception as error:
            with contextlib.suppress(leases.LeaseLost, DatabaseError):  # the lease runs out by itself
                await orm(_note_failure, session, error)
        finally:
            session.is_over.set()

    async def _hear(self, session: Session, orm: runner.Orm) -> bool:
        """One session to its end; whether another may follow at once."""
        collections, place = await orm(_begin, session)
        credential = session.row.credential
        provider = PROVIDERS[credential.provider]
        client = Client.of(
            provider,
            access.http_for(provider),
            access.StoredAccess(credential, orm),
            draw_read_no=lambda: 0,
            settings=credential.settings,
            on_quota=session.tally.note,
            before_leaving=session.tally.before_leaving,
        )
        is_offered = True
        walk = session.stream.listen(client, collections, place)
        async with contextlib.aclosing(walk):  # type: ignore[type-var]
            async for heard in walk:
                is_offered = await orm(_store, session, heard)
        return is_offered


# --- In the database -----------------------------------------------------------------------------------------------


def wanted_collections() -> dict[UUID, frozenset[str]]:
    """By credential, the collections that running syncs read where the provider lets us listen. One query.

    A connection that rests, or waits for a person, is left alone.
    """
    now = timezone.now()
    providers = [key for key, provider in PROVIDERS.items() if provider.stream is not None]
    rests = Q(sync__not_before__gt=now) | Q(sync__credential__not_before__gt=now)
    rows = SyncCollection.objects.filter(sync__provider__in=providers, sync__state=SyncState.ACTIVE).exclude(
        rests | Q(phase=Phase.REMOVING) | Q(sync__credential__state=CredentialState.RECONNECT)
    )
    found: dict[UUID, set[str]] = {}
    for credential_id, collection_id in rows.order_by().values_list("sync__credential", "collection_id").distinct():
        found.setdefault(credential_id, set()).add(collection_id)
    return {key: frozenset(ids) for key, ids in found.items()}


def take(wanted: Sequence[UUID], most: int) -> list[ChangeStream]:
    """The leases of some of these credentials' streams: of those that are due and nobody holds."""
    now = timezone.now()
    if not wanted or most <= 0:
        return []
    known = set(ChangeStream.objects.filter(credential__in=wanted).values_list("credential", flat=True))
    if missing := [key for key in wanted if key not in known]:
        there = Credential.objects.filter(pk__in=missing).values_list("pk", flat=True)
        ChangeStream.objects.bulk_create([ChangeStream(credential_id=pk) for pk in there], ignore_conflicts=True)
    due = ChangeStream.objects.filter(leases.is_free(now), Q(due_at=None) | Q(due_at__lte=now), credential__in=wanted)
    pks = list(due.values_list("pk", flat=True)[:most])
    return leases.take_many(ChangeStream, pks, seconds=LEASE_S, related=["credential__oauth_app"]) if pks else []


def _begin(session: Session) -> tuple[list[Collection], dict[str, Any]]:
    """What is listened to, and where to go on: from now, after so long a silence that looks found all it told."""
    session.write(connected_at=None)
    row = session.row = ChangeStream.objects.select_related("credential__oauth_app").get(pk=session.row.pk)
    rows = SyncCollection.objects.filter(sync__credential=row.credential, collection_id__in=session.collection_ids)
    specs = {each.collection_id: spec_of(each) for each in rows.order_by("collection_id", "pk")}
    session.titles = {key: each.title for key, each in specs.items()}
    return list(specs.values()), row.place if row.heard_at and timezone.now() - row.heard_at < FRESH else {}


def _store(session: Session, heard: Heard) -> bool:
    """Remember what was heard, with the place where to go on (one transaction); whether it tells of anything."""
    now, row = timezone.now(), session.row
    columns: dict[str, Any] = {"heard_at": now, **NO_TROUBLE}
    is_news = row.connected_at is None
    if heard.lacking is not None:
        named = heard.lacking.items()
        row.lacking = [{"id": key, "title": session.titles[key], "step": step} for key, step in named]
        row.is_offered = len(heard.lacking) < len(session.titles)
        columns |= {"lacking": row.lacking, "is_offered": row.is_offered}
        is_news = True
    row.connected_at = (row.connected_at or now) if row.is_offered else None
    columns["connected_at"] = row.connected_at
    columns["due_at"] = None if row.is_offered else now + timedelta(seconds=NOT_OFFERED_S)
    if heard.place is not None:
        columns["place"] = dict(heard.place)
    if heard.told:
        columns |= {"last_event_at": now, "received": F("received") + len(heard.told)}
        is_news = is_news or row.last_event_at is None or now - row.last_event_at > TOLD_EVERY
        row.last_event_at = now
    with transaction.atomic():
        feeds = hints.note([row.credential_id], heard.told) if heard.told else []
        session.write(**columns)
    if feeds:
        with contextlib.suppress(task_queue.QueueAway):  # the scheduler finds the hints a second later
            tasks.enqueue_due(Q(pk__in=feeds))
    else:
        session.tally.save(row.credential)
    if is_news:
        _announce(row.credential)
    return row.is_offered


def _note_failure(session: Session, error: Exception) -> None:
    """Say what went wrong and when it is tried again. The trouble is this connection's: readers find out theirs."""
    row = ChangeStream.objects.get(pk=session.row.pk)
    kind, message, next_step = "internal", "Something went wrong on our side.", "We try again. Please report this."
    if isinstance(error, ProviderError):
        kind, message, next_step = error.kind, error.message, error.next_step
        log.warning("listening failed", credential=str(row.credential_id), message=message, detail=error.detail)
    else:
        log.error("listening failed in a way we did not foresee", credential=str(row.credential_id), exc_info=error)
    due_at = timezone.now() + timedelta(seconds=_wait_s(error, row.failures))
    session.tally.save(row.credential)
    session.write(
        connected_at=None, lease_until=None, due_at=due_at, **trouble(kind, message, next_step, row.failures + 1)
    )
    _announce(row.credential)


def _wait_s(error: Exception, failures: int) -> float:
    """Seconds until the next try: what upstream asks for, doubling; long where only a person can help. With jitter."""
    if isinstance(error, RateLimited) and error.retry_after_s:
        wait_s = min(error.retry_after_s * 2 ** min(failures, 10), LONGEST_S)
    elif isinstance(error, PermissionMissing | UnexpectedShape):
        wait_s = REFUSED_S
    else:
        return backoff_s(failures + 1, random.random, longest_s=NOT_OFFERED_S)
    return wait_s * (1 + random.random() / 4)


def _announce(credential: Credential) -> None:
    changes.announce(f"credential-{credential.pk}", *(sync.topic for sync in credential.syncs.all()))
