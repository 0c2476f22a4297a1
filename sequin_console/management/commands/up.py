import sys
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sequin_console.up import arguments, ground
from sequin_console.up.supervisor import Supervisor


class Command(BaseCommand):
    help = "Run everything on this machine: NATS, console, workers, scheduler and the demo. Ctrl-C stops it all."
    requires_system_checks = [Tags.compatibility]  # our own; the rest would load every page first

    def add_arguments(self, parser: CommandParser) -> None:
        arguments.add_to(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """manage.py took the ground before Django read its settings, for these come from there."""
        taken = ground.taken()
        if taken is None:
            raise CommandError("Start it as `python manage.py up`.")
        if code := Supervisor(taken).run():
            sys.exit(code)
