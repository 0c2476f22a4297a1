from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sequin_console.accounts import links, services
from sequin_console.accounts.models import User
from sequin_console.accounts.rights import Role
from sequin_console.common import audit


class Command(BaseCommand):
    help = "Print a link, and nothing else, that signs this person in once within 24 hours."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="user name; created as an admin without a password when new")
        parser.add_argument("--base-url", default="", help="instead of PUBLIC_URL")

    def handle(self, *args: Any, user: str, base_url: str, **options: Any) -> None:
        person = User.objects.filter(username=user).first()
        if person is None:
            person, path = services.invite(user, Role.ADMIN, None)
            self.stderr.write(f"Created {user} as an admin without a password.")
        elif not person.is_active:
            raise CommandError(f"{user} is deactivated; an admin can activate the person under Settings.")
        else:
            audit.record(None, "user.link_created", person)
            path = links.create(person)
        self.stdout.write(links.full_url(path, base_url))
