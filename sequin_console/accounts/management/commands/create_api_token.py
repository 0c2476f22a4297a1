from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from sequin_console.accounts import tokens
from sequin_console.accounts.rights import Role


class Command(BaseCommand):
    help = "Create an API token and print it, and nothing else. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the token is for")
        parser.add_argument("--role", choices=Role.values, default=Role.ADMIN)
        parser.add_argument("--expires-days", type=int, metavar="N", help="default: never")

    def handle(self, *args: Any, name: str, role: str, expires_days: int | None, **options: Any) -> None:
        expires_at = timezone.now() + timedelta(days=expires_days) if expires_days else None
        _, text = tokens.create(name, role, None, expires_at)
        self.stdout.write(text)
