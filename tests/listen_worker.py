"""A process of its own that listens to change events, to be killed: `python -m tests.listen_worker DATABASE_NAME`."""

import os
import sys
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sequin_console.settings")


def main(database: str) -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()

    from sequin_console.common import task_queue
    from syncs import listening

    task_queue.async_task = lambda *args, **options: None
    listener = listening.Listener()
    while True:
        listener.attend()
        time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1])
