"""Shortens, in the processes of a world, the waits that are constants of the code."""

from django.apps import AppConfig


class FaultsConfig(AppConfig):
    """Work that was queued or under way when its worker died is found again in seconds, as it is in a minute for real."""

    name = "tests.faults"

    def ready(self) -> None:
        from consumers import scheduling, services
        from sequin_console.management.commands import scheduler
        from syncs import tasks

        scheduling.QUEUED_S = tasks.QUEUED_S = 3
        services.GRACE_S = 2.0
        scheduler.LEASE_S = 5
