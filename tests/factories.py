"""Plain functions that make what tests need. Each takes what matters to the test and fills in the rest."""

from itertools import count
from typing import Any

from sequin_console.accounts import tokens
from sequin_console.accounts.models import ApiToken, User
from sequin_console.accounts.rights import Role

PASSWORD = "correct horse battery"
_numbers = count(1)


def make_user(username: str = "", role: Role | str = Role.VIEWER, **fields: Any) -> User:
    """A person who signs in with PASSWORD."""
    return User.objects.create_user(username or f"person-{next(_numbers)}", password=PASSWORD, role=role, **fields)


def make_token(role: Role | str = Role.ADMIN, name: str = "", **fields: Any) -> tuple[ApiToken, str]:
    """An API token and its text."""
    return tokens.create(name or f"token {next(_numbers)}", role, None, **fields)
