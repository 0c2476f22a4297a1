"""What every PostgreSQL session of ours is told."""

from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

LIMIT = "idle_in_transaction_session_timeout"


def limit_idle_transactions(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """A transaction that says nothing for as long as a lease is ended by the server, and its locks with it.

    A node that freezes or drops off the network in the middle of a transaction would else keep its rows locked, for
    hours, and the scheduler, which touches the same rows, would wait for it: one sick node would stop them all. Our
    transactions never wait for anything but the database (ADR 0004), so none that is well is silent for that long.
    Told by a statement and not when connecting, for poolers such as pgbouncer refuse that.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, false)", [LIMIT, f"{settings.LEASE_S}s"])
