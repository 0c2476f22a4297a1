"""What is different in the processes of a world: some waits are shorter, and a guard can be taken out."""

import os

from django.apps import AppConfig


class Plain:
    """A cipher that is none: secrets stand in their columns as they are."""

    def encrypt(self, text: bytes) -> bytes:
        return text

    decrypt = encrypt


class FaultsConfig(AppConfig):
    """What a dead worker left behind is found again in seconds; for real it takes up to a minute."""

    name = "tests.faults"

    def ready(self) -> None:
        from consumers import scheduling, services
        from sequin_console.common import fields
        from sequin_console.management.commands import scheduler
        from syncs import tasks

        scheduling.QUEUED_S = tasks.QUEUED_S = 3
        services.GRACE_S = 2.0
        scheduler.LEASE_S = 5
        if os.environ.get("SEQUIN_FAULTS_PLAIN_SECRETS"):
            fields.cipher = Plain
