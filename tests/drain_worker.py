"""A worker process of its own, to be killed: drains one consumer and tells on stdout when a batch is in flight.

    python -m tests.drain_worker DATABASE_NAME CONSUMER_ID

Prints `flight` before the messages of a batch leave and `landed` once the stream has confirmed them.
"""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sequin_console.settings")


def main(database: str, consumer_id: str) -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()

    from consumers import publishing, working
    from consumers.models import ConsumerCursor
    from sequin_console.common import leases, task_queue

    def telling(name: str) -> None:
        publish = getattr(publishing, name)

        async def told(*args, **options):
            print("flight", flush=True)
            result = await publish(*args, **options)
            print("landed", flush=True)
            return result

        setattr(publishing, name, told)

    telling("publish_batch")
    telling("publish_window")
    task_queue.async_task = lambda *args, **options: None
    pks = list(ConsumerCursor.objects.filter(consumer=consumer_id).values_list("pk", flat=True))
    with leases.hold_many(ConsumerCursor, pks, seconds=60) as cursors:
        working.drain(cursors, budget_s=20)


if __name__ == "__main__":
    main(*sys.argv[1:])
