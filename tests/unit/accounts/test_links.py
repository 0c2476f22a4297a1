"""One-time links sign one person in, once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from threading import Barrier

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from sequin_console.accounts import links
from sequin_console.accounts.models import SignInLink, User
from sequin_console.accounts.rights import Role
from sequin_console.common.models import AuditEvent


def test_one_click_signs_in_and_a_second_does_not(ada: User, client: Client) -> None:
    path = links.create(ada)
    assert client.get(path).url == "/"
    assert client.session["_auth_user_id"] == str(ada.pk)
    answer = Client().get(path)
    assert answer.status_code == 410
    assert answer.context["link_problem"] == "used"
    assert AuditEvent.objects.filter(action="user.signed_in", user=ada).exists()


def test_who_is_signed_in_and_clicks_again_goes_home(ada: User, client: Client) -> None:
    path = links.create(ada)
    client.get(path)
    assert client.get(path).url == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"Sec-Fetch-Dest": "image"},
    ],
)
def test_a_browser_that_looks_ahead_does_not_use_it_up(ada: User, client: Client, headers: dict[str, str]) -> None:
    path = links.create(ada)
    assert client.get(path, headers=headers).status_code == 204
    assert client.head(path).status_code == 204
    assert "_auth_user_id" not in client.session
    assert client.get(path, headers={"Sec-Fetch-Dest": "document"}).status_code == 302


def test_a_link_is_good_for_a_day(ada: User, client: Client) -> None:
    path = links.create(ada)
    SignInLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get(path).context["link_problem"] == "expired"
    assert "_auth_user_id" not in client.session


def test_a_deactivated_person_cannot_use_hers(ada: User, client: Client) -> None:
    path = links.create(ada)
    User.objects.update(is_active=False)
    assert client.get(path).status_code == 410


def test_an_invented_link_says_no_more_than_an_expired_one(db: None, client: Client) -> None:
    assert client.get("/accounts/link/invented/").context["link_problem"] == "expired"


def test_the_secret_is_not_stored(ada: User) -> None:
    secret = links.create(ada).rstrip("/").rpartition("/")[2]
    assert secret not in str(SignInLink.objects.values().get())


@pytest.mark.django_db(transaction=True)
def test_of_two_threads_one_gets_in(ada: User) -> None:
    secret = links.create(ada).rstrip("/").rpartition("/")[2]
    together = Barrier(2)

    def consume(_: int) -> tuple[User | None, str]:
        together.wait()
        try:
            return links.consume(secret)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(consume, range(2)))
    assert sorted(problem for _, problem in found) == ["", "used"]


def test_the_command_prints_the_url_alone_and_makes_an_admin(db: None, client: Client, settings) -> None:
    settings.PUBLIC_URL = "https://console.example.com"
    out, err = StringIO(), StringIO()
    call_command("signin_link", "grace", stdout=out, stderr=err)
    url = out.getvalue().strip()
    assert url.startswith("https://console.example.com/accounts/link/")
    assert "grace" in err.getvalue()
    grace = User.objects.get()
    assert (grace.role, grace.has_usable_password()) == (Role.ADMIN, False)
    client.get(url.removeprefix("https://console.example.com"))
    assert client.session["_auth_user_id"] == str(grace.pk)


def test_the_command_takes_another_base_and_an_existing_person(vera: User) -> None:
    out, err = StringIO(), StringIO()
    call_command("signin_link", "vera", "--base-url", "http://10.0.0.1:99/", stdout=out, stderr=err)
    assert out.getvalue().startswith("http://10.0.0.1:99/accounts/link/")
    assert err.getvalue() == ""
    vera.refresh_from_db()
    assert vera.role == Role.VIEWER


def test_the_command_makes_no_link_for_who_is_deactivated(vera: User) -> None:
    User.objects.update(is_active=False)
    with pytest.raises(CommandError, match="deactivated"):
        call_command("signin_link", "vera")


def test_a_link_page_is_not_cached(ada: User, client: Client, browser_of: Callable[..., Client]) -> None:
    assert "no-store" in client.get(links.create(ada))["Cache-Control"]
