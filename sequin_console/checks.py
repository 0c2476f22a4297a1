"""Start-up checks: settings that would lose work or secrets are refused, each with a hint."""

import os
from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from sequin_console import database_checks

PRIVATE_CACHES = ("LocMemCache", "DummyCache")


@register(Tags.compatibility)
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [error for rule in RULES for error in rule()]


def queue_errors() -> Iterable[CheckMessage]:
    """django-q2 must neither start a task twice while it runs, nor lose one, nor keep one for ever."""
    q: dict[str, Any] = settings.Q_CLUSTER
    timeout, workers = q.get("timeout"), max(1, int(q.get("workers") or 1))
    if not timeout:
        yield Error(
            "Q_CLUSTER has no timeout.", hint="Set timeout: a task that hangs holds a worker.", id="sequin.E001"
        )
        return
    queued = (q.get("queue_limit") or workers**2) + (q.get("bulk") or 1)
    least = timeout * (1 + ceil(queued / workers))
    if (q.get("retry") or 60) <= least:
        hint = (
            f"Set retry above timeout x (1 + ceil((queue_limit + bulk) / workers)) = {least} seconds: its clock starts "
        )
        yield Error("Q_CLUSTER retry is too short.", hint=hint + "when a task is fetched, not run.", id="sequin.E002")
    if not q.get("max_attempts"):
        hint = "Set max_attempts: a task that kills its worker would come back for ever."
        yield Error("Q_CLUSTER has no max_attempts.", hint=hint, id="sequin.E003")
    if not q.get("ack_failures"):
        hint = "Set ack_failures=True: the scheduler finds failed work again by itself."
        yield Error("Q_CLUSTER does not acknowledge failures.", hint=hint, id="sequin.E004")
    yield from _limit_errors(q, workers)
    if q.get("save_limit") != -1:
        hint = "Set save_limit=-1: nobody reads stored results, and counting them slows every task."
        yield Error("Q_CLUSTER stores results.", hint=hint, id="sequin.E005")


def _limit_errors(q: dict[str, Any], workers: int) -> Iterable[CheckMessage]:
    """What waits in a worker's hands is late, and lost if the cluster is killed."""
    if (q.get("queue_limit") or workers**2) > 2 * workers:
        hint = f"Set queue_limit to the number of workers ({workers}): with Redis what is fetched ahead dies with it."
        yield Error("Q_CLUSTER fetches too many tasks ahead.", hint=hint, id="sequin.E011")
    if (q.get("bulk") or 1) > workers:
        hint = "Set bulk to 1: our tasks are long, and those fetched together wait for one another."
        yield Error("Q_CLUSTER fetches too many tasks at once.", hint=hint, id="sequin.E012")
    if (q.get("recycle") or 500) < 100:
        hint = "Set recycle to 5000: a new worker opens every connection to NATS and APIs anew."
        yield Error("Q_CLUSTER replaces its workers after a few tasks.", hint=hint, id="sequin.E026")
    if not 0.02 <= (q.get("poll") or 0.2) <= 1:
        hint = "Set poll to 0.25: less keeps the database busy with looking, more delays every task."
        yield Error(f"Q_CLUSTER poll is {q.get('poll')} seconds.", hint=hint, id="sequin.E027")


def broker_errors() -> Iterable[CheckMessage]:
    """The queue stands where settings.py puts it: Redis, or the database; on SQLite in a file of its own."""
    q: dict[str, Any] = settings.Q_CLUSTER
    if q.get("sync"):
        hint = "Take sync out: every page would do the work of its tasks itself."
        yield Error("Q_CLUSTER runs tasks where they are queued.", hint=hint, id="sequin.E028")
    wanted = None if q.get("redis") else ("queue" if "queue" in settings.DATABASES else "default")
    if q.get("orm") != wanted:
        hint = "Set DATABASE_URL and REDIS_URL only: on SQLite the queue has its own file, so as not to wait."
        yield Error(f"Q_CLUSTER's orm is {q.get('orm')}, not {wanted}.", hint=hint, id="sequin.E029")
    own = f"sequin_console.common.{'redis_queue.RedisBroker' if q.get('redis') else 'task_queue.OrmBroker'}"
    if q.get("broker_class") != own:
        hint = f"Set broker_class to {own}: django-q2's own waits for ever for a server that is silent."
        yield Error("Q_CLUSTER has another broker than ours.", hint=hint, id="sequin.E030")


def session_errors() -> Iterable[CheckMessage]:
    """Who signs in at one process must be known to the next."""
    cache = settings.CACHES.get(settings.SESSION_CACHE_ALIAS, {}).get("BACKEND", "")
    if settings.SESSION_ENGINE.endswith(".cache") and cache.rpartition(".")[2] in PRIVATE_CACHES:
        hint = "Use django.contrib.sessions.backends.db: this cache belongs to one process and ends with it."
        yield Error("Sessions live in a cache that processes do not share.", hint=hint, id="sequin.E031")


def time_errors() -> Iterable[CheckMessage]:
    q: dict[str, Any] = settings.Q_CLUSTER
    budget_s, timeout_s, lease_s = settings.BUDGET_S, q.get("timeout") or 0, settings.LEASE_S
    if not budget_s < timeout_s < lease_s:
        text = f"BUDGET_S {budget_s}, the queue's timeout {timeout_s} and LEASE_S {lease_s} must grow in this order."
        yield Error(text, hint="Else a second worker starts what the first still works on.", id="sequin.E006")


def data_folder_errors() -> Iterable[CheckMessage]:
    """Only asked where something is kept there: SQLite files or the keys file."""
    folder: Path = settings.DATA_DIR
    is_used = not settings.DATABASE_URL or not os.environ.get("SECRET_KEY")
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if is_used and not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        hint = "Give this user the right to write there, or name another folder by SEQUIN_DATA_DIR."
        yield Error(f"The data folder {folder} cannot be written to.", hint=hint, id="sequin.E008")


def address_errors() -> Iterable[CheckMessage]:
    if not is_address(settings.PUBLIC_URL):
        hint = "Give scheme and host, without a path: https://console.example.com"
        yield Error(f"PUBLIC_URL is malformed: {settings.PUBLIC_URL}", hint=hint, id="sequin.E009")


def provider_errors() -> Iterable[CheckMessage]:
    from syncs import (
        hosts,
        private_apis,
    )  # hosts brings every provider along: loaded when checks run, not with every command

    for problem in hosts.problems():
        hint = "Give JSON, provider to base URL; only https and loopback addresses are taken."
        yield Error(problem, hint=hint, id="sequin.E010")
    for problem in private_apis.problems():
        yield Error(problem, hint="Give networks by commas: 10.1.0.0/16,127.0.0.1", id="sequin.E020")


def is_address(text: str) -> bool:
    """Whether this is `scheme://host[:port]` and no more."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    is_bare = not (parts.path or parts.query or parts.fragment or parts.username)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_bare


RULES = (
    queue_errors,
    broker_errors,
    time_errors,
    database_checks.setting_errors,
    session_errors,
    data_folder_errors,
    address_errors,
    provider_errors,
)
