"""Where tables live on SQLite: the task queue in a file of its own, everything else in the main file."""

from typing import Any


class QueueRouter:
    """Send django-q2's tables to the `queue` database, and nothing else there."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "queue" if model._meta.app_label == "django_q" else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (db == "queue") == (app_label == "django_q")
