"""The one table of who may do what."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from sequin_console.accounts.models import ApiToken, User
from sequin_console.accounts.rights import RIGHTS, Right, Role, may, require

TABLE = {
    Role.VIEWER: {Right.SEE},
    Role.OPERATOR: {Right.SEE, Right.OPERATE},
    Role.ADMIN: {Right.SEE, Right.OPERATE, Right.ADMIN},
}
ACTORS = {
    "user": lambda role: User(username="ada", role=role),
    "token": lambda role: ApiToken(name="export", role=role),
}


@pytest.mark.parametrize("kind", ACTORS)
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("right", Right)
def test_a_role_has_exactly_its_rights(kind: str, role: Role, right: Right) -> None:
    actor = ACTORS[kind](role)
    assert may(actor, right) is (right in TABLE[role])
    if right in TABLE[role]:
        require(actor, right)
    else:
        with pytest.raises(PermissionDenied, match=f"(?i)your role is {role.label}.*can do this"):
            require(actor, right)


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize(
    "actor",
    [
        None,
        AnonymousUser(),
        User(username="gone", role=Role.ADMIN, is_active=False),
        User(username="odd", role="no such role"),
        ApiToken(name="revoked", role=Role.ADMIN, revoked_at=timezone.now()),
        ApiToken(name="expired", role=Role.ADMIN, expires_at=timezone.now() - timedelta(seconds=1)),
    ],
    ids=str,
)
def test_who_is_nobody_here_may_nothing(actor: object, right: Right) -> None:
    assert not may(actor, right)


def test_every_role_has_rights_and_a_meaning() -> None:
    assert set(RIGHTS) == set(Role)
    for role in Role:
        assert role.meaning.endswith(".")


def test_a_superuser_flag_alone_gives_no_right() -> None:
    assert not may(User(username="eve", role=Role.VIEWER, is_superuser=True, is_staff=True), Right.OPERATE)


def test_querysets_ask_the_table(ada: User, vera: User, root: User, stan: AnonymousUser) -> None:
    people = User.objects.all()
    for actor, allowed in (
        (root, "visible editable administered"),
        (ada, "visible editable"),
        (vera, "visible"),
        (stan, ""),
    ):
        for name, rows in (
            ("visible", people.visible_to),
            ("editable", people.editable_by),
            ("administered", people.administered_by),
        ):
            if name in allowed.split():
                assert rows(actor).count() == 3
            else:
                with pytest.raises(PermissionDenied):
                    rows(actor)
