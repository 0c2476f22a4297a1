"""Who may do what: three roles, three rights, and the one table between them.

Pages, fragments, WebSockets and the API all ask here, and nowhere else.
"""

from enum import Enum
from typing import Any, Self

from django.core.exceptions import PermissionDenied
from django.db import models


class Role(models.TextChoices):
    """What a person or an API token may do. Each role may do all that the roles before it may."""

    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator"
    ADMIN = "admin", "Admin"

    @property
    def meaning(self) -> str:
        """The role in one sentence, for forms."""
        return _MEANINGS[self.value]


_MEANINGS = {
    "viewer": "Sees everything except secrets, and changes nothing.",
    "operator": "Connects accounts, and creates, changes, runs, pauses and deletes syncs and consumers; sees all.",
    "admin": "Does all an operator does; manages people, API tokens and OAuth apps, and reads the activity log.",
}


class Right(Enum):
    """The value ends the sentence "You may not …"."""

    SEE = "see this console"
    OPERATE = "change connections, syncs or consumers"
    ADMIN = "manage people, API tokens, OAuth apps or settings"


RIGHTS: dict[str, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.SEE}),
    Role.OPERATOR: frozenset({Right.SEE, Right.OPERATE}),
    Role.ADMIN: frozenset(Right),
}
_WHO_CAN = {Right.SEE: "A signed-in person", Right.OPERATE: "An operator or admin", Right.ADMIN: "An admin"}


def may(actor: Any, right: Right) -> bool:
    """Whether this User or ApiToken has the right. Anonymous, deactivated, expired and revoked actors have none."""
    if actor is None or not getattr(actor, "is_active", False):
        return False
    return right in RIGHTS.get(getattr(actor, "role", ""), frozenset())


def require(actor: Any, right: Right) -> None:
    """Raises PermissionDenied, in a sentence a person can act on, unless the actor has the right."""
    if not may(actor, right):
        who = (
            f"Your role is {Role(actor.role).label.lower()}" if getattr(actor, "role", "") else "You are not signed in"
        )
        raise PermissionDenied(f"{who}, so you may not {right.value}. {_WHO_CAN[right]} can do this.")


class RightsQuerySet(models.QuerySet):
    """Rows by right. One workspace an installation: a right covers all rows or none."""

    def visible_to(self, actor: Any) -> Self:
        require(actor, Right.SEE)
        return self.all()

    def editable_by(self, actor: Any) -> Self:
        require(actor, Right.OPERATE)
        return self.all()

    def administered_by(self, actor: Any) -> Self:
        require(actor, Right.ADMIN)
        return self.all()
