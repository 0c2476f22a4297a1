"""What every PostgreSQL session of ours is told."""

from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper


def tell_session(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Two settings, told by a statement and not when connecting, for poolers such as pgbouncer refuse that.

    idle_in_transaction_session_timeout: a transaction that says nothing for as long as a lease is ended by the server,
    and its locks with it. A node that freezes or drops off the network in the middle of a transaction would else keep
    its rows locked, for hours, and the scheduler, which touches the same rows, would wait for it: one sick node would
    stop them all. Our transactions never wait for anything but the database (ADR 0004), so none that is well is silent
    for that long.

    random_page_cost: that of memory and solid disks. By that of a turning disk, which is PostgreSQL's default, reading
    all of a log of ten thousand records is thought cheaper than looking up a thousand, and done for each group of them.
    """
    if connection.vendor == "postgresql":
        told = {"idle_in_transaction_session_timeout": f"{settings.LEASE_S}s", "random_page_cost": "1.1"}
        calls = ", ".join(["set_config(%s, %s, false)"] * len(told))
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {calls}", [word for pair in told.items() for word in pair])
