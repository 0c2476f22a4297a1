"""Whether this installation truly works: what /readyz answers."""

from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError

from consumers.links import embedded_status
from sequin_console.common import database_trouble, heartbeats, runner

SILENT_AFTER_S = 30
NATS_TIMEOUT_S = 3
CLUSTERS = ("syncs", "consumers")

log = structlog.get_logger(__name__)
Check = dict[str, Any]


def readiness() -> dict[str, Any]:
    """Each part as {"ok", "detail"}, and "ok" when all are. Takes a few milliseconds, or NATS_TIMEOUT_S at worst."""
    database, ages = _database()
    clusters = {name: _alive(name, ages) for name in CLUSTERS}
    parts = {
        "database": database,
        "workers": _all_of(clusters),
        "scheduler": _alive("scheduler", ages),
        "nats": _nats(),
    }
    return {"ok": all(part["ok"] for part in parts.values()), **parts}


def _check(ok: bool, detail: str) -> Check:
    return {"ok": ok, "detail": detail}


def _database() -> tuple[Check, dict[str, float]]:
    """Whether it can be read, and whether it takes a write: a full or locked one answers and does nothing."""
    ages: dict[str, float] = {}
    try:
        ages = heartbeats.ages()
        database_trouble.try_to_write()
    except database_trouble.AWAY as error:
        log.warning("readiness: database failed", error=str(error))
        problem = database_trouble.as_problem(error)
        return _check(False, f"{problem.message} {problem.next_step}"), ages
    except DatabaseError as error:
        log.warning("readiness: database failed", error=str(error))
        return _check(False, "The database does not answer, or its migrations have not run."), ages
    return _check(True, "The database answers."), ages


def _alive(name: str, ages: dict[str, float]) -> Check:
    age_s = ages.get(name)
    if age_s is None:
        return _check(False, f"{name} has not started yet.")
    if age_s > SILENT_AFTER_S:
        return _check(False, f"{name} gave its last sign of life {age_s:.0f} seconds ago.")
    return _check(True, f"{name} gave a sign of life {age_s:.0f} seconds ago.")


def _all_of(clusters: dict[str, Check]) -> Check:
    return {
        **_check(all(c["ok"] for c in clusters.values()), " ".join(c["detail"] for c in clusters.values())),
        **clusters,
    }


def _nats() -> Check:
    """A real round trip to JetStream, where `up` runs a server of its own."""
    if not settings.EMBEDDED_NATS_URL:
        return _check(True, "No embedded NATS server here: each consumer names its own.")
    try:
        status = runner.run(lambda _orm: embedded_status(settings.EMBEDDED_NATS_URL), timeout_s=NATS_TIMEOUT_S)
    except TimeoutError:
        status = f"it did not answer within {NATS_TIMEOUT_S} seconds"
    if status != "ok":
        log.warning("readiness: embedded NATS failed", status=status)
        return _check(False, f"JetStream on the embedded NATS server does not work: {status}")
    return _check(True, "JetStream on the embedded NATS server answers.")
