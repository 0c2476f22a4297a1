"""Start-up checks: settings that would lose work or secrets are refused, each with a hint."""

import os
from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.compatibility)
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    rules = (queue_errors, time_errors, database_errors, data_folder_errors, address_errors, provider_errors)
    return [error for rule in rules for error in rule()]


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
    if q.get("save_limit") != -1:
        hint = "Set save_limit=-1: nobody reads stored results, and counting them slows every task."
        yield Error("Q_CLUSTER stores results.", hint=hint, id="sequin.E005")


def time_errors() -> Iterable[CheckMessage]:
    q: dict[str, Any] = settings.Q_CLUSTER
    budget_s, timeout_s, lease_s = settings.BUDGET_S, q.get("timeout") or 0, settings.LEASE_S
    if not budget_s < timeout_s < lease_s:
        text = f"BUDGET_S {budget_s}, the queue's timeout {timeout_s} and LEASE_S {lease_s} must grow in this order."
        yield Error(text, hint="Else a second worker starts what the first still works on.", id="sequin.E006")


def database_errors() -> Iterable[CheckMessage]:
    database = settings.DATABASES["default"]
    age_s = database.get("CONN_MAX_AGE", 0)
    if "postgresql" in database["ENGINE"] and age_s is not None and age_s < 60:
        hint = "Take conn_max_age out of DATABASE_URL or set it to 600: opening connections costs more than the work."
        yield Error(f"CONN_MAX_AGE is {age_s} seconds; at least 60 are needed.", hint=hint, id="sequin.E007")


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
    from syncs import hosts  # it brings every provider along: loaded when checks run, not with every command

    for problem in hosts.problems():
        hint = "Give JSON, provider to base URL; only https and loopback addresses are taken."
        yield Error(problem, hint=hint, id="sequin.E010")


def is_address(text: str) -> bool:
    """Whether this is `scheme://host[:port]` and no more."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    is_bare = not (parts.path or parts.query or parts.fragment or parts.username)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_bare
