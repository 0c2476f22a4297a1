"""`manage.py scheduler`: each second, find due and lagging work in the tables and queue it. Safe to run twice."""

import signal
import threading
import time
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import DatabaseError, close_old_connections

from consumers import tasks as consumer_tasks
from sequin_console import housekeeping
from sequin_console.common import heartbeats, leases, task_queue, trace
from sequin_console.common.models import Duty
from syncs import listening, public_ids
from syncs import tasks as sync_tasks

log = structlog.get_logger(__name__)

TICK_S, BEAT_S, SWEEP_S = 1.0, 5.0, 3600.0
LEASE_S, RENEW_S = 15, 5
BITE_S = 0.3  # of the time between two ticks at most


class Command(BaseCommand):
    """Everything queued can be lost (invariant 11): this finds it again, from the tables alone."""

    help = "Queues due work once a second. Several may run; one of them works, the others wait to take over."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        Duty.objects.get_or_create(name="scheduler")
        own, duty = chores(), None
        listener = listening.Listener()
        attending = Chore("change events", BEAT_S, listener.attend)  # standing by or not: each connection has a lease
        while not stop.is_set():
            try:
                duty = hold(duty)
                heartbeats.beat("scheduler")  # one that stands by lives, too
                if duty is not None:
                    with trace.span("tick"):
                        for chore in own:
                            chore.run_if_due()
                attending.run_if_due()
            except DatabaseError as error:  # the database is away: the only thing to do is to wait for it
                log.warning("scheduler waits for the database", error=type(error).__name__)
                duty = None
            close_old_connections()
            stop.wait(TICK_S)
        listener.stop()
        if duty is not None:
            duty.release()


def chores() -> list["Chore"]:
    """What the scheduler does, and how often."""
    return [
        Chore("beat", BEAT_S, queue_beats),
        Chore("removals", BEAT_S, sync_tasks.enqueue_removals),
        Chore("public ids", BEAT_S, lambda: public_ids.follow(BITE_S)),
        Chore("webhooks", BEAT_S, sync_tasks.enqueue_webhooks),
        Chore("history", BEAT_S, lambda: housekeeping.prune_history(BITE_S)),
        Chore("housekeeping", SWEEP_S, housekeeping.prune),
        Chore("syncs", TICK_S, sync_tasks.enqueue_due),
        Chore("consumers", TICK_S, consumer_tasks.enqueue_due),
    ]


def hold(duty: Duty | None) -> Duty | None:
    """Keep the scheduler's lease, or take it if it is free; None while another process has it."""
    if duty is not None:
        if duty.lease_until is not None and duty.lease_until > leases.until(LEASE_S - RENEW_S):
            return duty
        try:
            duty.fenced_update(lease_until=leases.until(LEASE_S))
            return duty
        except leases.LeaseLost:
            log.warning("another scheduler took over")
    return leases.take(Duty, "scheduler", seconds=LEASE_S)


def queue_beats() -> None:
    """Tasks for each queue whose only work is to show that somebody does it.

    One where one node works. Where several do, whoever is quickest takes a task: then so many that each will have one.
    """
    for queue in (sync_tasks.QUEUE, consumer_tasks.QUEUE):
        nodes = heartbeats.nodes_of(queue)
        for _ in range(2 * nodes if nodes > 1 else 1):
            task_queue.async_task(f"{queue}.tasks.beat", cluster=queue)


class Chore:
    """Something to do every so often; one that fails is logged and tried again at its next time."""

    def __init__(self, name: str, every_s: float, run: Any) -> None:
        self.name, self.every_s, self.run = name, every_s, run
        self.due_at = 0.0

    def run_if_due(self) -> None:
        if time.monotonic() < self.due_at:
            return
        self.due_at = time.monotonic() + self.every_s
        try:
            self.run()
        except DatabaseError:
            raise
        except task_queue.QueueAway as error:
            log.warning("scheduler waits for the queue", chore=self.name, error=str(error))
        except Exception:
            log.exception("chore failed", chore=self.name)
