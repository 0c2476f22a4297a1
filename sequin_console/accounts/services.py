"""Every change to people: invite, change role, deactivate, activate. The last admin always stays."""

from typing import Any

from django.db import transaction

from sequin_console.accounts import links, sessions
from sequin_console.accounts.models import User
from sequin_console.accounts.rights import Right, Role, require
from sequin_console.common import audit, changes
from sequin_console.common.feeds import user_topic
from sequin_console.common.problems import Problem, field_problem


def invite(username: str, role: Role | str, by: Any, email: str = "") -> tuple[User, str]:
    """Create a person without a password; return her and the path of her one-time link. `by` None: command line."""
    if by is not None:
        require(by, Right.ADMIN)
    with transaction.atomic():
        if User.objects.filter(username__iexact=username).exists():
            raise field_problem("username", "Somebody has this name already.", next_step="Choose another name.")
        user = User(username=username, email=email, role=Role(role))
        user.set_unusable_password()
        user.save()
        audit.record(by, "user.invited", user, {"role": user.role})
        path = links.create(user)
    return user, path


def new_link(user: User, by: Any) -> str:
    """A fresh one-time link, for somebody who cannot sign in. Returns its path."""
    require(by, Right.ADMIN)
    if not user.is_active:
        raise Problem(f"{user.actor_name} is deactivated.", next_step="Activate the person first.", kind="conflict")
    with transaction.atomic():
        audit.record(by, "user.link_created", user)
        return links.create(user)


def change_role(user: User, role: Role | str, by: Any) -> None:
    """Takes effect with her next request, and for her open sockets at once."""
    require(by, Right.ADMIN)
    with transaction.atomic():
        if role != Role.ADMIN:
            _keep_an_admin(without=user)
        old = User.objects.get(pk=user.pk).role
        if old == role:
            return
        User.objects.filter(pk=user.pk).update(role=Role(role))
        audit.record(by, "user.role_changed", user, {"role": [old, str(role)]})
    changes.announce(user_topic(user.pk))


def deactivate(user: User, by: Any) -> None:
    """End her access at once: pages, fragments and sockets."""
    require(by, Right.ADMIN)
    with transaction.atomic():
        _keep_an_admin(without=user)
        if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
            return
        sessions.end(user)
        audit.record(by, "user.deactivated", user)
    changes.announce(user_topic(user.pk))


def activate(user: User, by: Any) -> None:
    require(by, Right.ADMIN)
    with transaction.atomic():
        if User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
            audit.record(by, "user.activated", user)


def _keep_an_admin(without: User) -> None:
    """Raises Problem if no other active admin would be left. The rows stay locked until the transaction ends."""
    admins = set(User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True).values_list("pk", flat=True))
    if admins == {without.pk}:
        raise Problem(
            f"{without.actor_name} is the last admin.",
            next_step="Make somebody else an admin first.",
            kind="conflict",
            status=409,
        )
