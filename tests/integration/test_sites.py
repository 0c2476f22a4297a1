"""One grant, several sites; accounts on hosts of their own; tokens without an end. Upstream is a function."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from django.db import connection as database
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sequin_console.common.problems import Problem
from syncs import access, connections, hosts, oauth, oauth_apps, site_choice
from syncs.models import Credential, Feed, OAuthApp, PendingConnection, Sync, SyncCollection
from syncs.providers import PROVIDERS
from syncs.providers.kit.auth import TokenRequest, basic_by
from syncs.providers.kit.catalogue import (
    Account,
    ClientAuth,
    CredentialKind,
    Host,
    Mint,
    OAuth2,
    Provider,
    SetupField,
    Site,
)
from syncs.providers.kit.client import Client as Kit
from syncs.providers.kit.errors import CredentialsRefused
from syncs.providers.kit.values import host_label
from tests.api_client import ApiClient, error_of
from tests.fake_provider import FakeReader, Upstream, collection
from tests.guards import proves

pytestmark = pytest.mark.django_db(transaction=True)
BrowserOf = Callable[..., Client]
BROWSER = "session-of-ada"
SUBDOMAIN = SetupField("subdomain", "Subdomain", clean=host_label("upstream.test"))


async def cloud_sites(client: Kit) -> tuple[Site, ...]:
    """[{"id":"c1","name":"acme"}, …], as Atlassian lists them."""
    answer = await client.get("/oauth/token/accessible-resources")
    return tuple(Site(row["id"], row["name"], settings={"cloud_id": row["id"]}) for row in json.loads(answer.body))


def minted(values: Any, _login_url: str, _now: Any) -> TokenRequest:
    """As GitHub App installations: the app's own secret makes a token for the installation chosen."""
    key = {"Authorization": f"App {values['client_id']}:{values['app_key']}"}
    return TokenRequest(f"/app/installations/{values['cloud_id']}/access_tokens", headers=key)


CODE = OAuth2(
    "/authorize",
    "/oauth/token",
    scopes=("offline",),
    pkce=False,
    authorize_params=(("audience", "api.upstream.test"),),
    token_params=(("expires_in", "172800"),),
    token_json=True,
    client_auth=ClientAuth.BASIC,
    lifetime_s=None,
)
APP_KEY = SetupField("app_key", "App key", secret=True, required=False)


def provider(world: Upstream, **changed: Any) -> Provider:
    class Reader(FakeReader):
        def __init__(self, world: Upstream, client: Kit) -> None:
            super().__init__(world, client)
            self.client = client

        async def check(self) -> Account:
            await self.client.get("/me")
            return Account("", "Acme")

    kinds = (
        CredentialKind("multi_oauth", "Sign in", oauth=CODE, sites=cloud_sites, api_path="/ex/{cloud_id}"),
        CredentialKind(
            "multi_app",
            "Install",
            oauth=OAuth2("/authorize", "/oauth/token", fields=(APP_KEY,), lifetime_s=None),
            sites=cloud_sites,
            mint=Mint(minted, on_api=True, lifetime_s=None),
        ),
        CredentialKind(
            "multi_key",
            "Key",
            fields=(
                SetupField("secret", "Key", secret=True),
                SetupField("email", "E-mail"),
                SetupField("site_id", "Site", required=False),
            ),
            sites=cloud_sites,
            api_path="/ex/{cloud_id}",
            request_headers=basic_by("{email}/token", "{secret}"),
        ),
    )
    things = (collection("thing", scopes=("read:thing", "read:user")), collection("rare", shown=False, scopes=("x",)))
    known = {"hosts": (Host("main", "Main", "https://auth.upstream.test"),), "api_url": "https://api.upstream.test"}
    return Provider(
        key="multi",
        label="Multi",
        kinds=kinds,
        reader=lambda client: Reader(world, client),
        collections=things,
        **{**known, **changed},
    )


@dataclass
class Web:
    """Every host there is. What was asked of each, and what it answers."""

    sites: list[str] = field(default_factory=lambda: ["c1", "c2"])
    asked: list[httpx.Request] = field(default_factory=list)
    token: dict[str, Any] = field(default_factory=lambda: {"access_token": "at-1"})
    dead: set[str] = field(default_factory=set)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        path = request.url.path
        if path == "/oauth/token":
            return httpx.Response(200, json=self.token)
        if path.startswith("/app/installations/"):
            return httpx.Response(201, json={"access_token": f"ghs-{len(self.asked)}"})
        if request.headers.get("authorization", "").removeprefix("Bearer ") in self.dead:
            return httpx.Response(401, json={"message": "Bad credentials"})
        if path.endswith("tenant_info"):
            return httpx.Response(200, json={"cloudId": self.sites[0]})
        if path.endswith("accessible-resources"):
            return httpx.Response(200, json=[{"id": site, "name": f"Site {site}"} for site in self.sites])
        return httpx.Response(200, json={"ok": True})

    def last(self, end: str) -> httpx.Request:
        return next(request for request in reversed(self.asked) if request.url.path.endswith(end))


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Web]:
    settings.PROVIDER_URLS, settings.SANDBOX_URL = "", ""
    upstream, world = Web(), Upstream()
    http = httpx.AsyncClient(transport=httpx.MockTransport(upstream))
    monkeypatch.setattr(access, "shared_http", lambda: http)
    with mock.patch.dict(PROVIDERS, {"multi": provider(world)}):
        yield upstream


def make_app(**own: str) -> OAuthApp:
    data = {"provider": "multi", "client_id": "id-1", "client_secret": "s3cret", "properties": own}
    return oauth_apps.create(data, by=None)


def come_back(url: str, *, session_key: str = BROWSER, code: str = "c-1") -> oauth.Finished:
    state = parse_qs(urlsplit(url).query)["state"][0]
    return oauth.finish(state=state, code=code, error="", error_description="", session_key=session_key)


def signed_in(kind: str = "multi_oauth", credential: Credential | None = None, **own: str) -> oauth.Finished:
    app = credential.oauth_app if credential else make_app(**own)
    return come_back(oauth.begin(app, kind, by=None, session_key=BROWSER, credential=credential))


# --- What is asked for -----------------------------------------------------------------------------------------------


def test_redirect_asks_for_what_the_shown_collections_need(web: Web) -> None:
    url = urlsplit(oauth.begin(make_app(), "multi_oauth", by=None, session_key=BROWSER))
    asked = parse_qs(url.query)
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://auth.upstream.test/authorize"
    assert asked["scope"] == ["offline read:thing read:user"]
    assert asked["audience"] == ["api.upstream.test"]
    assert "%20" in url.query
    assert "+" not in url.query
    assert "code_challenge" not in asked


def test_token_request_is_json_with_the_apps_proof_in_its_header(web: Web) -> None:
    web.sites = ["c1"]
    signed_in()
    request = web.last("/oauth/token")
    proof = request.headers["authorization"].removeprefix("Basic ")
    assert (str(request.url), base64.b64decode(proof)) == ("https://auth.upstream.test/oauth/token", b"id-1:s3cret")
    body = json.loads(request.content)
    assert (body["grant_type"], body["code"], body["expires_in"]) == ("authorization_code", "c-1", "172800")
    assert "client_secret" not in body


def test_refusal_with_status_200_is_a_refusal(web: Web) -> None:
    web.token = {"error": "bad_verification_code", "error_description": "The code passed is incorrect or expired."}
    with pytest.raises(Problem) as refused:
        signed_in()
    assert refused.value.kind == "credentials"
    assert not Credential.objects.exists()


# --- Choosing --------------------------------------------------------------------------------------------------------


def test_the_only_site_is_taken(web: Web) -> None:
    web.sites = ["c1"]
    credential = signed_in().credential
    assert (credential.account_id, credential.settings["cloud_id"]) == ("c1", "c1")
    assert str(web.asked[-1].url) == "https://api.upstream.test/ex/c1/me"


def test_no_site_is_said_in_words_and_nothing_is_stored(web: Web) -> None:
    web.sites = []
    with pytest.raises(Problem, match="to none of its accounts"):
        signed_in()
    assert not Credential.objects.exists()


def test_of_several_the_person_chooses_one(web: Web) -> None:
    finished = signed_in()
    assert finished.site_token
    assert not Credential.objects.exists()
    shown = site_choice.shown(finished.site_token, session_key=BROWSER)[1]
    assert [site.label for site in shown] == ["Site c1", "Site c2"]
    credential = oauth.choose_site(finished.site_token, "c2", session_key=BROWSER).credential
    assert (credential.account_id, credential.secrets["access_token"]) == ("c2", "at-1")
    assert str(web.asked[-1].url) == "https://api.upstream.test/ex/c2/me"


def test_what_was_granted_waits_encrypted(web: Web) -> None:
    signed_in()
    with database.cursor() as cursor:
        cursor.execute("SELECT * FROM syncs_pendingconnection")
        stored = str(cursor.fetchall())
    assert "at-1" not in stored
    assert "Site c1" not in stored


@pytest.mark.parametrize("why", ["other browser", "too late", "twice", "unknown site", "guessed"])
def test_choice_is_good_once_for_ten_minutes_in_the_browser_that_began(web: Web, why: str) -> None:
    token, session, site = signed_in().site_token, BROWSER, "c1"
    if why == "other browser":
        session = "session-of-stan"
    elif why == "too late":
        assert PendingConnection.objects.filter(used_at=None, expires_at__lte=timezone.now() + timedelta(minutes=10))
        PendingConnection.objects.update(expires_at=timezone.now())
    elif why == "twice":
        oauth.choose_site(token, "c2", session_key=BROWSER)
    elif why == "unknown site":
        site = "c3"
    else:
        token = "guessed"
    before = Credential.objects.count()
    with pytest.raises(Problem):
        oauth.choose_site(token, site, session_key=session)
    assert Credential.objects.count() == before


def test_page_asks_and_leads_on(web: Web, ada, browser_of: BrowserOf) -> None:
    browser, app = browser_of(ada), make_app()
    begun = browser.post(reverse("syncs:oauth_begin", args=["multi"]), {"app": app.pk}, headers={"HX-Request": "true"})
    state = parse_qs(urlsplit(begun["HX-Redirect"]).query)["state"][0]
    answer = browser.get(reverse("syncs:oauth_callback", args=["multi"]), {"state": state, "code": "c-1"})
    page = answer["Location"]
    text = browser.get(page).content.decode()
    assert "Site c1" in text
    assert "at-1" not in text
    assert browser.post(page, {"site": "c9"}).status_code == 422
    assert browser_of(None).get(page).status_code == 400
    done = browser.post(page, {"site": "c2"})
    assert done["Location"] == reverse("syncs:connection", args=[Credential.objects.get().pk])
    assert browser.get(page).status_code == 400


def test_link_of_the_api_leads_through_the_choice_to_a_code(web: Web, stan, browser_of: BrowserOf) -> None:
    app, browser = make_app(), browser_of(stan)
    body = {
        "oauth_app_id": str(app.pk),
        "credential_kind": "multi_oauth",
        "redirect_url": "https://caller.example/back",
        "state": {"customer": 42},
    }
    start = ApiClient("operator").post("credentials/start-auth", body).json()["start_url"]
    authorize = browser.get(urlsplit(start).path)["Location"]
    state = parse_qs(urlsplit(authorize).query)["state"][0]
    page = browser.get(reverse("syncs:oauth_callback", args=["multi"]), {"state": state, "code": "c-1"})["Location"]
    done = browser.post(page, {"site": "c2"})
    back = parse_qs(urlsplit(done.context["url"]).query)  # a page of ours leads there: our CSP forbids the redirect
    assert done.context["url"].startswith("https://caller.example/back?")
    taken = (
        ApiClient(None)
        .post("link/oauth2/token", {"code": back["code"][0], "client_id": str(app.pk), "client_secret": "s3cret"})
        .json()
    )
    assert (taken["credential"]["properties"]["site_id"], taken["state"]) == ("c2", {"customer": 42})


def test_reconnecting_takes_the_site_it_had(web: Web) -> None:
    credential = oauth.choose_site(signed_in().site_token, "c2", session_key=BROWSER).credential
    again = signed_in(credential=credential)
    assert web.last("accessible-resources").url.path == "/oauth/token/accessible-resources"  # not below a site
    assert (again.site_token, again.credential.pk, again.credential.account_id) == ("", credential.pk, "c2")


def test_another_site_is_refused_for_a_connection_that_syncs_read_through(web: Web) -> None:
    credential = oauth.choose_site(signed_in().site_token, "c2", session_key=BROWSER).credential
    web.sites = ["c1", "c3"]
    token = signed_in(credential=credential).site_token
    with pytest.raises(Problem, match="another account"):
        oauth.choose_site(token, "c1", session_key=BROWSER)
    credential.refresh_from_db()
    assert credential.settings["site_id"] == "c2"


# --- A redirect that finds the site, a key that mints ----------------------------------------------------------------


def test_person_chooses_the_installation_and_the_app_mints_for_it(web: Web) -> None:
    finished = signed_in("multi_app", app_key="k3y")
    credential = oauth.choose_site(finished.site_token, "c2", session_key=BROWSER).credential
    request = web.last("/access_tokens")
    assert str(request.url) == "https://api.upstream.test/app/installations/c2/access_tokens"
    assert request.headers["authorization"] == "App id-1:k3y"
    assert list(credential.secrets) == ["access_token"]
    assert credential.secrets["access_token"].startswith("ghs-")
    web.dead.add(credential.secrets["access_token"])
    connections.ask(credential, lambda reader: reader.check())
    credential.refresh_from_db()
    assert credential.secrets["access_token"] not in web.dead


def test_own_fields_of_an_app_are_kept_encrypted_and_masked(web: Web) -> None:
    body = {"provider": "multi", "client_id": "id-1", "client_secret": "s3cret", "properties": {"app_key": "k3y"}}
    made = ApiClient("admin").post("oauth-apps", body).json()
    app = OAuthApp.objects.get()
    assert (app.secrets["app_key"], app.settings) == ("k3y", {})
    assert "k3y" not in json.dumps(made)
    changed = ApiClient("admin").patch(f"oauth-apps/{app.pk}", {"properties": made["properties"], "name": "New"})
    assert changed.status_code == 200
    app.refresh_from_db()
    assert (app.secrets["app_key"], app.secrets["client_secret"], app.name) == ("k3y", "s3cret", "New")
    body["properties"] = {"app_kee": "k3y"}
    assert "properties.app_kee" in error_of(ApiClient("admin").post("oauth-apps", body), 422)["fields"]


# --- Pasted keys -----------------------------------------------------------------------------------------------------


def pasted(**settings: str) -> dict[str, Any]:
    settings = {"email": "a@acme.test", **settings}
    return {"provider": "multi", "kind": "multi_key", "secrets": {"secret": "k3y"}, "settings": settings}


def test_pasted_key_takes_its_only_site_or_the_one_named(web: Web) -> None:
    with pytest.raises(Problem) as several:
        connections.create_credential(pasted(), by=None)
    assert list(several.value.fields) == ["site_id"]
    assert "Site c1 (c1), Site c2 (c2)" in several.value.next_step
    assert connections.create_credential(pasted(site_id="Site c2"), by=None).settings["cloud_id"] == "c2"
    web.sites = ["c1"]
    credential = connections.create_credential(pasted(), by=None)
    assert credential.settings["cloud_id"] == "c1"
    packed = web.asked[-1].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(packed) == b"a@acme.test/token:k3y"
    with pytest.raises(Problem, match="does not open"):
        connections.create_credential(pasted(site_id="c9"), by=None)


def test_new_key_is_asked_for_its_sites_below_none_of_them(web: Web, ada, browser_of: BrowserOf) -> None:
    credential = connections.create_credential(pasted(site_id="c2"), by=None)
    path = reverse("syncs:connection_reconnect", args=[credential.pk])
    answer = browser_of(ada).post(path, {"secret": "n3w", "email": "a@acme.test", "site_id": "c2"})
    assert answer.status_code == 303
    assert web.last("accessible-resources").url.path == "/oauth/token/accessible-resources"
    credential.refresh_from_db()
    assert (credential.secrets["secret"], credential.settings["cloud_id"]) == ("n3w", "c2")


# --- Tokens without an end -------------------------------------------------------------------------------------------


def test_token_without_an_end_is_used_until_it_is_refused(web: Web) -> None:
    web.sites = ["c1"]
    credential = signed_in().credential
    assert credential.access_expires_at is None
    connections.ask(credential, lambda reader: reader.check())
    assert len([request for request in web.asked if request.url.path == "/oauth/token"]) == 1
    web.dead.add("at-1")
    with pytest.raises(CredentialsRefused, match="refused the credentials"):
        connections.ask(credential, lambda reader: reader.check())
    assert len([request for request in web.asked if request.url.path == "/oauth/token"]) == 1


def test_token_that_ends_without_a_refresh_token_asks_a_person(web: Web) -> None:
    web.sites, web.token = ["c1"], {"access_token": "at-1", "expires_in": 60}
    credential = signed_in().credential
    Credential.objects.update(access_expires_at=timezone.now())
    with pytest.raises(CredentialsRefused, match="has ended"):
        connections.ask(Credential.objects.get(), lambda reader: reader.check())
    credential.refresh_from_db()
    assert credential.state == "reconnect"


# --- Accounts on hosts of their own ----------------------------------------------------------------------------------


@pytest.fixture
def own_hosts(web: Web) -> Iterator[Web]:
    """As Zendesk: login and API live on the account's subdomain. And as GitHub Enterprise: on any host."""
    kinds = (
        CredentialKind("sub_oauth", "Sign in", oauth=OAuth2("/authorize", "/oauth/token", fields=(SUBDOMAIN,))),
        CredentialKind("sub_key", "Key", fields=(SUBDOMAIN, SetupField("secret", "Key", secret=True)), hosts=("sub",)),
        CredentialKind("ghe_key", "Key", fields=(SetupField("secret", "Key", secret=True),), hosts=("own",)),
    )
    place = "https://{subdomain}.upstream.test"
    offered = (
        Host("sub", "Cloud", place, api_url=place + "/api"),
        Host("own", "Own server", api_url="{login_url}/api/v3"),
    )
    changed = PROVIDERS["multi"]
    made = Provider(
        key="multi", label="Multi", kinds=kinds, reader=changed.reader, hosts=offered, collections=changed.collections
    )
    with mock.patch.dict(PROVIDERS, {"multi": made}):
        yield web


def test_login_and_api_are_on_the_subdomain_of_the_app(own_hosts: Web) -> None:
    app = make_app(subdomain="https://acme.upstream.test/agent")
    url = oauth.begin(app, "sub_oauth", by=None, session_key=BROWSER)
    assert url.startswith("https://acme.upstream.test/authorize?")
    come_back(url)
    assert [str(request.url) for request in own_hosts.asked] == [
        "https://acme.upstream.test/oauth/token",
        "https://acme.upstream.test/api/me",
    ]


HOSTILE = ["evil.test", "acme.evil.test", "evil.test/.upstream.test", "a@evil.test", "acme:8443", "evil.test#", "a.b"]


@pytest.mark.parametrize("typed", HOSTILE)
def test_no_secret_goes_to_a_host_of_somebody_elses_choosing(own_hosts: Web, typed: str) -> None:
    with pytest.raises(Problem) as refused:
        make_app(subdomain=typed)
    assert list(refused.value.fields) == ["subdomain"]
    key = {"provider": "multi", "kind": "sub_key", "secrets": {"secret": "k3y"}, "settings": {"subdomain": typed}}
    with pytest.raises(Problem) as refused:
        connections.create_credential(key, by=None)
    assert list(refused.value.fields) == ["subdomain"]
    row = Credential(provider="multi", kind="sub_key", settings={"subdomain": typed, "host": "sub"})
    row.secrets = {"secret": "k3y"}
    with pytest.raises(CredentialsRefused):
        connections.ask(row, lambda reader: reader.check(), is_stored=False)
    assert own_hosts.asked == []


def test_key_reads_at_its_own_host(own_hosts: Web) -> None:
    key = {"provider": "multi", "kind": "ghe_key", "secrets": {"secret": "k3y"}}
    with pytest.raises(Problem) as refused:
        connections.create_credential(key | {"settings": {"login_url": "http://ghe.acme.test"}}, by=None)
    assert list(refused.value.fields) == ["login_url"]
    connections.create_credential(key | {"settings": {"login_url": "ghe.acme.test/"}}, by=None)
    assert str(own_hosts.asked[-1].url) == "https://ghe.acme.test/api/v3/me"


@contextmanager
def without_place_names() -> Iterator[None]:
    with mock.patch.object(hosts, "place_names", return_value=set()):
        yield


def test_stored_secret_does_not_follow_to_another_address(own_hosts: Web) -> None:
    """Whoever may edit a connection could else send its secret to a server of theirs."""

    def scenario() -> None:
        Credential.objects.all().delete()
        own_hosts.asked.clear()
        sent = {"kind": "ghe_key", "secret": "k3y", "login_url": "https://ghe.acme.test"}
        made = ApiClient("operator").post("credentials", {"properties": sent})
        assert made.status_code == 201, made.content
        moved = {"properties": {"login_url": "https://evil.test"}}
        answer = ApiClient("operator").patch(f"credentials/{made.json()['id']}", moved)
        assert {request.url.host for request in own_hosts.asked} == {"ghe.acme.test"}
        assert "properties.login_url" in error_of(answer, 422)["fields"]

    proves(scenario, without=without_place_names)


def test_apps_stored_secret_does_not_follow_to_another_subdomain(own_hosts: Web) -> None:
    app = make_app(subdomain="acme")
    with pytest.raises(Problem) as refused:
        oauth_apps.update(app, {"properties": {"subdomain": "evil"}}, by=None)
    assert list(refused.value.fields) == ["client_secret"]
    moved = {"properties": {"subdomain": "acme2"}, "client_secret": "new"}
    oauth_apps.update(OAuthApp.objects.get(), moved, by=None)
    assert OAuthApp.objects.get().settings == {"subdomain": "acme2"}


# --- Sites asked for elsewhere, or by the app itself -----------------------------------------------------------------


async def tenant(client: Kit) -> tuple[Site, ...]:
    answer = await client.get("/_edge/tenant_info")
    cloud_id = json.loads(answer.body)["cloudId"]
    return (Site(cloud_id, cloud_id, settings={"cloud_id": cloud_id}),)


async def installations(client: Kit) -> tuple[Site, ...]:
    answer = await client.get("/app/accessible-resources")
    return tuple(Site(row["id"], row["name"], settings={"cloud_id": row["id"]}) for row in json.loads(answer.body))


@pytest.fixture
def found_elsewhere(web: Web) -> Iterator[Web]:
    secret = SetupField("secret", "Key", secret=True)
    kinds = (
        CredentialKind(
            "gate_key",
            "Scoped token",
            fields=(SUBDOMAIN, secret),
            sites=tenant,
            sites_url="https://{subdomain}.upstream.test",
            api_path="/ex/{cloud_id}",
        ),
        CredentialKind(
            "app_key",
            "App and its key",
            fields=(SetupField("client_id", "App id"), SetupField("app_key", "Key", secret=True),
                    SetupField("site_id", "Installation", required=False)),
            sites=installations,
            mint=Mint(minted, on_api=True, lifetime_s=None,
                      scout=lambda values, _url, _now: {"Authorization": f"App {values['client_id']}"}),
        ),
    )  # fmt: skip
    with mock.patch.dict(PROVIDERS, {"multi": replace(PROVIDERS["multi"], kinds=kinds)}):
        yield web


def test_site_is_asked_for_at_the_account_and_read_at_the_gateway(found_elsewhere: Web) -> None:
    key = {"provider": "multi", "kind": "gate_key", "secrets": {"secret": "k3y"}, "settings": {"subdomain": "acme"}}
    connections.create_credential(key, by=None)
    assert [str(request.url) for request in found_elsewhere.asked] == [
        "https://acme.upstream.test/_edge/tenant_info",
        "https://api.upstream.test/ex/c1/me",
    ]


def test_app_lists_its_installations_before_it_can_mint(found_elsewhere: Web) -> None:
    data = {"provider": "multi", "kind": "app_key", "secrets": {"app_key": "k3y"}, "settings": {"client_id": "9"}}
    with pytest.raises(Problem) as several:
        connections.create_credential(data, by=None)
    assert list(several.value.fields) == ["site_id"]
    data["settings"]["site_id"] = "c2"
    credential = connections.create_credential(data, by=None)
    assert [request.url.path for request in found_elsewhere.asked[1:]] == [
        "/app/accessible-resources",
        "/app/installations/c2/access_tokens",
        "/me",
    ]
    assert found_elsewhere.asked[1].headers["authorization"] == "App 9"
    assert credential.settings["cloud_id"] == "c2"


# --- Several redirects, optional scopes ------------------------------------------------------------------------------


def test_each_redirect_is_begun_as_itself_through_an_app_that_has_what_it_needs(
    web: Web, ada, browser_of: BrowserOf
) -> None:
    needs = replace(APP_KEY, required=True)
    changed = replace(PROVIDERS["multi"].kind("multi_app"), oauth=OAuth2("/install", "/oauth/token", fields=(needs,)))
    kinds = (PROVIDERS["multi"].kind("multi_oauth"), changed)
    with mock.patch.dict(PROVIDERS, {"multi": replace(PROVIDERS["multi"], kinds=kinds)}):
        plain, keyed = make_app(), make_app(app_key="k3y")
        page = browser_of(ada).get(reverse("syncs:connect_provider", args=["multi"]) + "?way=multi_app")
        assert list(page.context["form"].fields["app"].queryset) == [keyed]
        path = reverse("syncs:oauth_begin", args=["multi"]) + "?way=multi_app"
        assert f'action="{path}"' in page.content.decode()
        begun = browser_of(ada).post(path, {"app": keyed.pk}, headers={"HX-Request": "true"})
        assert "/install?" in begun["HX-Redirect"]
        assert browser_of(ada).post(path, {"app": plain.pk}).status_code == 422
        with pytest.raises(Problem, match="App key"):
            oauth.begin(plain, "multi_app", by=None, session_key=BROWSER)


def test_scopes_of_collections_may_be_optional(web: Web) -> None:
    asking = replace(CODE, optional_param="optional_scope", scope_separator=",")
    changed = replace(PROVIDERS["multi"].kind("multi_oauth"), oauth=asking)
    with mock.patch.dict(PROVIDERS, {"multi": replace(PROVIDERS["multi"], kinds=(changed,))}):
        url = oauth.begin(make_app(), "multi_oauth", by=None, session_key=BROWSER)
    asked = parse_qs(urlsplit(url).query)
    assert (asked["scope"], asked["optional_scope"]) == (["offline"], ["read:thing,read:user"])


def test_reconnecting_asks_for_what_syncs_read_as_well(web: Web) -> None:
    web.sites = ["c1"]
    credential = signed_in().credential
    sync = Sync.objects.create(name="s", provider="multi", credential=credential)
    feed = Feed.objects.create(sync=sync, key="fake:rare")
    spec = msgspec.to_builtins(PROVIDERS["multi"].collections[1])
    SyncCollection.objects.create(sync=sync, feed=feed, collection_id="fake:rare", title="Rare", spec=spec)
    url = oauth.begin(credential.oauth_app, "multi_oauth", by=None, session_key=BROWSER, credential=credential)
    assert parse_qs(urlsplit(url).query)["scope"] == ["offline read:thing read:user x"]
