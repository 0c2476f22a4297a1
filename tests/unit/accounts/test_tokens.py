"""API tokens: shown once, kept as a digest."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from sequin_console.accounts import tokens
from sequin_console.accounts.models import ApiToken, User
from sequin_console.accounts.rights import Role
from sequin_console.common.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_token_is_known_by_its_text_and_stored_as_a_digest(root: User) -> None:
    token, text = tokens.create("export", Role.VIEWER, root)
    assert re.fullmatch(r"sqn_[\w-]{43}", text)
    assert tokens.authenticate(text) == token
    stored = " ".join(str(value) for value in ApiToken.objects.values().get().values())
    assert text not in stored
    assert text[8:] not in stored
    assert token.created_by == root
    assert token.prefix == text[:8]


@pytest.mark.parametrize("text", ["", "sqn_", "sqn_wrong", "Bearer x", "sqn_" + "é" * 43, "sqn_" + "\0" * 5])
def test_another_text_is_no_token(text: str) -> None:
    factories.make_token()
    assert tokens.authenticate(text) is None


def test_a_revoked_token_is_refused(root: User) -> None:
    token, text = factories.make_token()
    tokens.revoke(token, root)
    tokens.revoke(token, root)
    assert tokens.authenticate(text) is None
    assert AuditEvent.objects.filter(action="api_token.revoked").count() == 1


def test_an_expired_token_is_refused() -> None:
    _, text = factories.make_token(expires_at=timezone.now() - timedelta(seconds=1))
    assert tokens.authenticate(text) is None


def test_use_is_noted_at_most_once_a_minute(django_assert_num_queries) -> None:
    token, text = factories.make_token()
    tokens.authenticate(text)
    with django_assert_num_queries(1):
        tokens.authenticate(text)
    token.refresh_from_db()
    first = token.last_used_at
    assert first is not None
    ApiToken.objects.update(last_used_at=first - timedelta(seconds=61))
    tokens.authenticate(text)
    token.refresh_from_db()
    assert token.last_used_at is not None
    assert token.last_used_at >= first


def test_the_command_prints_the_token_and_nothing_else() -> None:
    out = StringIO()
    call_command("create_api_token", "script", stdout=out)
    token = tokens.authenticate(out.getvalue().rstrip("\n"))
    assert token is not None
    assert (token.name, token.role, token.expires_at) == ("script", Role.ADMIN, None)


def test_the_command_takes_role_and_expiry() -> None:
    out = StringIO()
    call_command("create_api_token", "script", "--role", "viewer", "--expires-days", "2", stdout=out)
    token = ApiToken.objects.get()
    assert token.role == Role.VIEWER
    assert timedelta(days=1) < token.expires_at - timezone.now() <= timedelta(days=2)


def test_creating_is_in_the_activity_log_without_the_token(root: User) -> None:
    _, text = tokens.create("export", Role.VIEWER, root)
    event = AuditEvent.objects.get(action="api_token.created")
    assert (event.actor_name, event.object_name) == ("root", "export")
    assert text not in str(event.__dict__)
