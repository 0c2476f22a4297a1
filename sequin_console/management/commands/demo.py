from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from sequin_console import demo
from sequin_console.common.problems import Problem


class Command(BaseCommand):
    help = "Make the demo's workspace ready, once. `up` runs it; the sandbox and the embedded NATS server must run."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.SANDBOX_URL and settings.EMBEDDED_NATS_URL):
            raise CommandError("The demo runs under `python manage.py up` only.")
        try:
            demo.prepare(self.stdout.write)
        except Problem as problem:
            raise CommandError(f"{problem} {problem.next_step}".strip()) from problem
        except (httpx.HTTPError, TimeoutError) as error:
            raise CommandError(str(error) or type(error).__name__) from error
        finally:
            demo.close()
