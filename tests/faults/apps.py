"""What is different in the processes of a world: some waits are shorter, and a guard can be taken out."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from django.apps import AppConfig
from django.db import transaction


class Plain:
    """A cipher that is none: secrets stand in their columns as they are."""

    def encrypt(self, text: bytes) -> bytes:
        return text

    decrypt = encrypt


def cursor_first(append: Callable[..., Any]) -> Callable[..., Any]:
    """Storing a page without the guard of invariant 1: its cursor moves in a transaction of its own, before it."""

    def apart(*args: Any, with_last: Callable[[], None] | None = None, **kwargs: Any) -> Any:
        if with_last is not None:
            with transaction.atomic():
                with_last()
        return append(*args, **kwargs)

    return apart


def acked_first(publish: Callable[..., Any]) -> Callable[..., Any]:
    """Publishing without the guard of invariant 6: the cursor moves a moment before the messages leave."""

    async def early(job: Any, batch: Any, orm: Any) -> Any:
        await orm(job.cursor.fenced_update, acked_seq=batch.reached)
        await asyncio.sleep(0.2)
        return await publish(job, batch, orm)

    return early


class FaultsConfig(AppConfig):
    """What a dead worker left behind is found again in seconds; for real it takes up to a minute."""

    name = "tests.faults"

    def ready(self) -> None:
        from consumers import basic, fenced, services
        from sequin_console.common import fields, task_queue
        from sequin_console.management.commands import scheduler
        from syncs import log

        task_queue.QUEUED_S = 3
        services.GRACE_S = 2.0
        scheduler.LEASE_S, scheduler.RENEW_S = 5, 1
        if os.environ.get("SEQUIN_FAULTS_PLAIN_SECRETS"):
            fields.cipher = Plain
        if os.environ.get("SEQUIN_FAULTS_CURSOR_FIRST"):
            log.append = cursor_first(log.append)
        if os.environ.get("SEQUIN_FAULTS_ACKED_FIRST"):
            fenced.publish, basic.publish = acked_first(fenced.publish), acked_first(basic.publish)
