"""A worker that heeds no lease: it drains one cursor again and again although another does so, too.

    python -m tests.faults.rogue_worker DATABASE_NAME CONSUMER_ID MODE SEED [GUARD]

MODE   `disabled`: leases are neither taken nor asked for; `stolen`: taken each time, as if the other's had run out
GUARD  the guard of invariant 7 to take out: `fence` or `fence_subject`

Prints `refused` for each batch or window that was. Ends when its stdin does, and then prints how many it sent and how
drains ended, as JSON. It pauses now and then between reading a batch and sending it, as a worker does that the machine
forgets for a while.
"""

import json
import os
import random
import sys
import threading
import time
from collections import Counter
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
LONGEST_PAUSE_S = 0.06


def main(database: str, consumer_id: str, mode: str, seed: str, guard: str = "") -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()

    from consumers import job as jobs
    from consumers import publishing, working
    from consumers.models import ConsumerCursor
    from sequin_console.common import leases, task_queue

    chance, told, stopped = random.Random(seed), Counter[str](), threading.Event()
    task_queue.async_task = lambda *args, **options: None
    read = jobs.read_batch

    def read_and_pause(*args: Any) -> Any:
        batch = read(*args)
        time.sleep(chance.uniform(0, LONGEST_PAUSE_S))
        return batch

    def refused() -> None:
        told["refused"] += 1
        print("refused", flush=True)

    def counted(name: str) -> None:
        publish = getattr(publishing, name)

        async def told_of(*args: Any, **options: Any) -> Any:
            told["sent"] += 1
            try:
                result = await publish(*args, **options)
            except publishing.WrongLast:
                refused()
                raise
            if isinstance(result, list) and any(isinstance(one, publishing.WrongLast) for one in result):
                refused()
            return result

        setattr(publishing, name, told_of)

    jobs.read_batch = read_and_pause
    counted("publish_batch")
    counted("publish_window")
    if guard:
        setattr(publishing, guard, lambda *_: b"")
    if mode == "disabled":
        leases.Leased.fenced_update = unfenced_update

    def take() -> Any:
        if mode == "disabled":
            return ConsumerCursor.objects.get(consumer=consumer_id)
        ConsumerCursor.objects.filter(consumer=consumer_id).update(lease_until=None)
        return leases.take(ConsumerCursor, ConsumerCursor.objects.get(consumer=consumer_id).pk, seconds=60)

    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    while not stopped.is_set():
        cursor = take()
        if cursor is not None:
            for result in working.drain([cursor], budget_s=1).values():
                told["failed" if isinstance(result, Exception) else result[0].name] += 1
    print(json.dumps(told), flush=True)


def unfenced_update(self: Any, **values: Any) -> None:
    """As Leased.fenced_update, without the fence."""
    type(self)._base_manager.filter(pk=self.pk).update(**values)
    for name, value in values.items():
        setattr(self, name, value)


if __name__ == "__main__":
    main(*sys.argv[1:])
