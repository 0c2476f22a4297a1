"""Home: the next step for who begins, and what is wrong for who goes on."""

from collections.abc import Callable

import pytest
from django.test import Client

from sequin_console.accounts.models import User
from sequin_console.home import home_context, steps
from syncs.models import Credential, Feed, Sync, SyncHead

pytestmark = pytest.mark.django_db
BrowserOf = Callable[..., Client]


def make_syncs(count: int, **feed: object) -> None:
    credential = Credential.objects.create(provider="stripe", kind="stripe_key", name="Acme", secrets={"secret": "sk"})
    for number in range(count):
        sync = Sync.objects.create(name=f"Sync {number}", provider="stripe", credential=credential)
        SyncHead.objects.create(sync=sync)
        Feed.objects.create(sync=sync, key="stripe:events", **feed)


def test_an_empty_workspace_shows_the_first_of_three_steps(ada: User, vera: User, browser_of: BrowserOf) -> None:
    page = browser_of(ada).get("/")
    assert page.context["current_step"] == 1
    assert "Connect account" in page.content.decode()
    assert "Connect account" not in browser_of(vera).get("/").content.decode()


@pytest.mark.parametrize(
    ("done", "current"), [((False, False, False), 1), ((True, False, False), 2), ((True, True, False), 3)]
)
def test_a_step_is_done_once_there_is_one_of_its_kind(done: tuple[bool, bool, bool], current: int) -> None:
    assert [step.is_done for step in steps(*done)].index(False) + 1 == current


def test_what_is_wrong_comes_with_its_next_step(vera: User, browser_of: BrowserOf) -> None:
    make_syncs(1, error="Stripe did not answer.", next_step="We try again in 5 minutes.", error_kind="upstream")
    html = browser_of(vera).get("/").content.decode()
    assert "Stripe did not answer." in html
    assert "We try again in 5 minutes." in html


def test_home_asks_as_often_for_1_sync_as_for_20(vera: User, django_assert_num_queries) -> None:
    make_syncs(1)
    with django_assert_num_queries(9, exact=False) as first:
        home_context(vera)
    make_syncs(19)
    with django_assert_num_queries(len(first.captured_queries)):
        context = home_context(vera)
    assert len(context["home"].syncs) == 20


def test_the_fragment_has_its_root_and_listens_to_what_it_shows(vera: User, browser_of: BrowserOf) -> None:
    make_syncs(1)
    html = browser_of(vera).get("/", headers={"HX-Request": "true"}).content.decode().strip()
    assert html.startswith('<div id="home"')
    assert f"sync-{Sync.objects.get().pk} from:body" in html
