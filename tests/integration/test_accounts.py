"""The accounts pages, as a browser meets them."""

import re
from collections.abc import Callable

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient, Client
from django.urls import reverse

from sequin_console.accounts import tokens
from sequin_console.accounts.models import ApiToken, User
from sequin_console.accounts.rights import Role
from sequin_console.accounts.urls import urlpatterns
from sequin_console.common import audit
from sequin_console.common.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db
BrowserOf = Callable[..., Client]
SIGN_IN = "/accounts/sign-in/"
HTMX = {"HX-Request": "true"}
PUBLIC = {"sign_in", "link"}
OWN = {"profile", "sign_out", "end_sessions"}


def actions(user: User | None = None) -> list[str]:
    events = AuditEvent.objects.order_by("pk")
    return list((events.filter(user=user) if user else events).values_list("action", flat=True))


def path_of(name: str) -> str:
    pattern = next(pattern for pattern in urlpatterns if pattern.name == name)
    return reverse(f"accounts:{name}", kwargs=dict.fromkeys(pattern.pattern.converters, 1))


# --- Who may see what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [pattern.name for pattern in urlpatterns])
@pytest.mark.parametrize("method", ["get", "post"])
def test_every_page_asks_who_is_there(
    name: str, method: str, root: User, ada: User, browser_of: BrowserOf, stan
) -> None:
    """Stan is sent to sign in, Ada is refused what is an admin's; in neither case is anything changed."""
    before = actions()
    answer = getattr(browser_of(stan), method)(path_of(name))
    if name in PUBLIC:
        assert answer.status_code in (200, 405, 410)
    else:
        assert answer.status_code == 302
        assert answer.url.startswith(SIGN_IN)
    if name not in PUBLIC | OWN:
        browser = browser_of(ada)
        before = actions()
        for headers in ({}, HTMX):
            assert getattr(browser, method)(path_of(name), headers=headers).status_code in (403, 405)
    assert actions() == before


def test_a_viewer_is_told_why_in_words(vera: User, browser_of: BrowserOf) -> None:
    page = browser_of(vera).get("/settings/")
    assert page.status_code == 403
    assert "Your role is viewer" in page.content.decode()
    assert "An admin can do this." in page.content.decode()


def test_htmx_of_a_stranger_leaves_for_sign_in_and_comes_back_to_the_page(client: Client) -> None:
    headers = {**HTMX, "HX-Current-URL": "http://testserver/activity/?q=a&page=2"}
    answer = client.get("/activity/", headers=headers)
    assert answer["HX-Redirect"] == f"{SIGN_IN}?next=%2Factivity%2F%3Fq%3Da%26page%3D2"
    assert answer.content == b""


@pytest.mark.parametrize("name", ["home", "accounts:profile", "accounts:settings", "accounts:activity"])
def test_pages_draw_for_an_admin_without_inline_code(name: str, root: User, browser_of: BrowserOf) -> None:
    factories.make_token()
    page = browser_of(root).get(reverse(name))
    assert page.status_code == 200
    html = page.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)
    policy = page["Content-Security-Policy"]
    assert "'unsafe-inline'" not in policy
    assert "script-src 'self'" in policy


# --- Signing in and out ----------------------------------------------------------------------------------------


def sign_in(client: Client, username: str, password: str = factories.PASSWORD, **data: str):
    return client.post(SIGN_IN, {"username": username, "password": password, **data})


def test_the_session_gets_a_new_key_at_sign_in(ada: User, client: Client) -> None:
    session = client.session
    session["before"] = 1
    session.save()
    old = session.session_key
    client.cookies["sequin_session"] = old
    assert sign_in(client, "ada").url == "/"
    assert client.session.session_key != old
    assert actions(ada) == ["user.signed_in"]


def test_sign_in_goes_back_to_the_page_but_to_no_other_site(ada: User) -> None:
    assert sign_in(Client(), "ada", next="/activity/?page=2").url == "/activity/?page=2"
    assert sign_in(Client(), "ada", next="https://evil.example/").url == "/"


def test_sign_in_is_throttled_for_name_and_address_together(ada: User, vera: User, client: Client) -> None:
    for _ in range(4):
        assert sign_in(client, "ada", "wrong").status_code == 200
    assert sign_in(client, "ada", "wrong").status_code == 429
    locked = sign_in(client, "ada")
    assert locked.status_code == 429
    assert "paused" in locked.content.decode()
    assert "_auth_user_id" not in client.session
    assert sign_in(client, "vera").status_code == 302
    elsewhere = Client(REMOTE_ADDR="198.51.100.9")
    assert sign_in(elsewhere, "ada").status_code == 302
    assert "user.locked_out" in actions()


@pytest.mark.django_db(transaction=True)
async def test_it_all_holds_in_the_asynchronous_server_too(async_client: AsyncClient) -> None:
    """Behind ASGI the middleware runs in threads: throttling, sign-in and the noted address must still work."""
    await sync_to_async(factories.make_user)("ada", Role.OPERATOR)
    right = {"username": "ada", "password": factories.PASSWORD}
    answer = await async_client.post(SIGN_IN, right)
    assert answer.status_code == 302
    event = await AuditEvent.objects.aget(action="user.signed_in")
    assert event.ip == "127.0.0.1"
    stranger = AsyncClient()
    for _ in range(5):
        answer = await stranger.post(SIGN_IN, {**right, "password": "wrong"})
    assert answer.status_code == 429
    assert (await stranger.post(SIGN_IN, right)).status_code == 429
    assert (await stranger.get("/profile/")).status_code == 302


def test_a_deactivated_person_cannot_sign_in(ada: User, client: Client) -> None:
    User.objects.update(is_active=False)
    assert sign_in(client, "ada").status_code == 200
    assert "_auth_user_id" not in client.session


def test_signing_out_ends_the_session_and_needs_a_post(ada: User, browser_of: BrowserOf, announcer) -> None:
    browser = browser_of(ada)
    assert browser.get("/accounts/sign-out/").status_code == 405
    assert browser.post("/accounts/sign-out/").status_code == 303
    assert browser.get("/profile/").status_code == 302
    assert "user.signed_out" in actions(ada)


def test_posts_need_a_csrf_token(root: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.post("/settings/tokens/create/", {"name": "x", "role": "admin"}).status_code == 403
    assert not ApiToken.objects.exists()


# --- Her own profile -------------------------------------------------------------------------------------------


def test_a_new_password_keeps_this_browser_and_ends_the_others(ada: User, browser_of: BrowserOf) -> None:
    here, elsewhere = browser_of(ada), browser_of(ada)
    new = {
        "old_password": factories.PASSWORD,
        "new_password1": "another good pass",
        "new_password2": "another good pass",
    }
    assert here.post("/profile/", new).status_code == 303
    assert here.get("/profile/").status_code == 200
    assert elsewhere.get("/profile/").status_code == 302
    assert sign_in(Client(), "ada", "another good pass").status_code == 302
    assert "user.password_changed" in actions(ada)


def test_a_weak_password_is_refused_at_its_field(ada: User, browser_of: BrowserOf) -> None:
    weak = {"old_password": factories.PASSWORD, "new_password1": "short", "new_password2": "short"}
    answer = browser_of(ada).post("/profile/", weak, headers=HTMX)
    assert answer.status_code == 422
    assert "at least 10 characters" in answer.content.decode()
    assert 'id="password"' in answer.content.decode()


def test_who_came_by_a_link_sets_a_first_password(browser_of: BrowserOf) -> None:
    grace = User(username="grace", role=Role.VIEWER)
    grace.set_unusable_password()
    grace.save()
    browser = browser_of(grace)
    assert b"old_password" not in browser.get("/profile/").content
    browser.post("/profile/", {"new_password1": "a first password", "new_password2": "a first password"})
    assert sign_in(Client(), "grace", "a first password").status_code == 302


def test_sessions_are_listed_and_ended_without_showing_their_keys(ada: User, browser_of: BrowserOf) -> None:
    here, elsewhere, third = browser_of(ada), browser_of(ada), browser_of(ada)
    page = here.get("/profile/")
    listed = page.context["sessions"]
    assert len(listed) == 3
    assert [one.is_current for one in listed].count(True) == 1
    keys = [browser.session.session_key for browser in (here, elsewhere, third)]
    assert not any(key in page.content.decode() for key in keys)
    other = next(one for one in listed if one.key == elsewhere.session.session_key)
    here.post("/profile/sessions/end/", {"session": other.id})
    assert [browser.get("/profile/").status_code for browser in (here, elsewhere, third)] == [200, 302, 200]
    here.post("/profile/sessions/end/")
    assert [browser.get("/profile/").status_code for browser in (here, third)] == [200, 302]


def test_nobody_ends_anothers_session(ada: User, vera: User, browser_of: BrowserOf) -> None:
    veras = browser_of(vera)
    hers = veras.get("/profile/").context["sessions"][0]
    browser_of(ada).post("/profile/sessions/end/", {"session": hers.id})
    assert veras.get("/profile/").status_code == 200


# --- People ----------------------------------------------------------------------------------------------------


def test_an_invited_person_signs_in_by_the_link_shown_once(root: User, browser_of: BrowserOf) -> None:
    browser = browser_of(root)
    invited = browser.post("/settings/people/invite/", {"username": "grace", "role": "operator"}, headers=HTMX)
    url = re.search(r"http://127\.0\.0\.1:\d+(/accounts/link/[\w-]+/)", invited.content.decode())
    assert url
    assert url[1] not in browser.get("/settings/").content.decode()
    graces = Client()
    assert graces.get(url[1]).url == "/"
    grace = User.objects.get(username="grace")
    assert (grace.role, grace.has_usable_password()) == (Role.OPERATOR, False)
    assert graces.get("/profile/").status_code == 200
    assert "user.invited" in actions(root)


@pytest.mark.parametrize("name", ["ROOT", "", "with space"])
def test_a_name_that_is_taken_or_no_name_is_refused_at_its_field(name: str, root: User, browser_of: BrowserOf) -> None:
    answer = browser_of(root).post("/settings/people/invite/", {"username": name, "role": "viewer"}, headers=HTMX)
    assert answer.status_code == 422
    assert answer.context["invite_form"].errors["username"]
    assert User.objects.count() == 1


def test_a_changed_role_holds_with_the_next_request(root: User, vera: User, browser_of: BrowserOf) -> None:
    veras = browser_of(vera)
    browser_of(root).post(f"/settings/people/{vera.pk}/role/", {"role": "admin"})
    assert veras.get("/settings/").status_code == 200
    event = AuditEvent.objects.get(action="user.role_changed")
    assert (event.changes, event.ip) == ({"role": ["viewer", "admin"]}, "192.0.2.7")


def test_an_invented_role_is_refused(root: User, vera: User, browser_of: BrowserOf) -> None:
    assert browser_of(root).post(f"/settings/people/{vera.pk}/role/", {"role": "god"}).status_code == 422


def test_deactivating_ends_access_at_once(root: User, vera: User, browser_of: BrowserOf) -> None:
    veras = browser_of(vera)
    browser_of(root).post(f"/settings/people/{vera.pk}/deactivate/")
    assert veras.get("/profile/").status_code == 302
    browser_of(root).post(f"/settings/people/{vera.pk}/activate/")
    assert veras.get("/profile/").status_code == 302  # the old session stays ended
    assert sign_in(Client(), "vera").status_code == 302
    assert [a for a in actions(root) if "activated" in a] == ["user.deactivated", "user.activated"]


@pytest.mark.parametrize(("what", "data"), [("deactivate", {}), ("role", {"role": "operator"})])
def test_the_last_admin_stays(root: User, browser_of: BrowserOf, what: str, data: dict[str, str]) -> None:
    factories.make_user("gone", Role.ADMIN, is_active=False)
    browser = browser_of(root)
    answer = browser.post(f"/settings/people/{root.pk}/{what}/", data)
    assert answer.status_code == 409
    assert "Make somebody else an admin first." in answer.content.decode()
    root.refresh_from_db()
    assert (root.is_active, root.role) == (True, Role.ADMIN)
    factories.make_user("second", Role.ADMIN)
    assert browser.post(f"/settings/people/{root.pk}/{what}/", data).status_code == 303


# --- API tokens ------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_works_until_revoked(root: User, browser_of: BrowserOf) -> None:
    browser = browser_of(root)
    data = {"name": "export", "role": "viewer", "expires": "30"}
    shown = browser.post("/settings/tokens/create/", data, headers=HTMX)
    assert "no-store" in shown["Cache-Control"]
    text = re.search(r"sqn_[\w-]{43}", shown.content.decode())[0]
    assert text not in browser.get("/settings/").content.decode()
    token = tokens.authenticate(text)
    assert (token.name, token.role) == ("export", Role.VIEWER)
    assert token.expires_at is not None
    assert browser.post(f"/settings/tokens/{token.pk}/revoke/").status_code == 303
    assert tokens.authenticate(text) is None
    assert [a for a in actions(root) if "token" in a] == ["api_token.created", "api_token.revoked"]


def test_a_token_is_no_session(client: Client) -> None:
    _, text = factories.make_token()
    answer = client.get("/settings/", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 302


# --- Activity --------------------------------------------------------------------------------------------------


def test_the_activity_page_asks_as_often_for_1_entry_as_for_60(
    root: User, browser_of: BrowserOf, django_assert_num_queries
) -> None:
    browser = browser_of(root)
    browser.get("/activity/")
    for count in (1, 60):
        for _ in range(count):
            audit.record(root, "sync.created", root, {"name": "Sales"})
        with django_assert_num_queries(4):
            browser.get("/activity/")


def test_activity_is_filtered_and_paged(root: User, browser_of: BrowserOf) -> None:
    token, _ = factories.make_token(name="export")
    for number in range(60):
        audit.record(token, "sync.paused", root, {"n": number})
    browser = browser_of(root)
    page = browser.get("/activity/", {"actor": "token"}).context["page"]
    assert (page.paginator.count, len(page.object_list)) == (60, 50)
    assert len(browser.get("/activity/", {"actor": "token", "page": "2"}).context["page"].object_list) == 10
    assert browser.get("/activity/", {"q": "sync paused"}).context["page"].paginator.count == 60
    assert browser.get("/activity/", {"q": "nothing like it"}).context["page"].paginator.count == 0
    assert browser.get("/activity/", {"day": "2001-01-01"}).context["page"].paginator.count == 0
    nonsense = browser.get("/activity/", {"actor": "martian", "day": "soon", "page": "last one"})
    assert nonsense.status_code == 200


def test_what_others_wrote_is_shown_as_text(root: User, browser_of: BrowserOf) -> None:
    audit.record(None, "sync.created", root, {"name": "<script>alert(1)</script>"})
    for headers in ({}, HTMX):
        html = browser_of(root).get("/activity/", headers=headers).content.decode()
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)" in html


def test_the_activity_fragment_has_its_root(root: User, browser_of: BrowserOf) -> None:
    fragment = browser_of(root).get("/activity/", headers=HTMX)
    assert fragment.content.decode().strip().startswith('<div id="activity-rows"')
    assert "HX-Request" in fragment["Vary"]
