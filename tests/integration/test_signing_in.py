"""Every way to be let in beside the plain redirect: minted access, an app's own key, a choice of several sites."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sandbox.process import RunningSandbox, running
from sequin_console.common.problems import Problem
from syncs import access, connections, hosts, oauth, oauth_apps
from syncs.models import Credential, OAuthApp
from syncs.providers.kit.errors import CredentialsRefused
from tests.api_client import ApiClient, error_of
from tests.guards import proves
from tests.integration.test_access import in_threads, without_lease

pytestmark = pytest.mark.django_db(transaction=True)
BrowserOf = Callable[..., Client]
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC = (
    KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)
ADMIN = "admin@sandbox.example"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: RunningSandbox, settings: Any) -> RunningSandbox:
    shared.control("POST", "reset", {"seed": "empty"})
    shared.control("DELETE", "faults")
    shared.control("POST", "settings", {"clock_skew_s": 0.0})
    settings.PROVIDER_URLS = json.dumps({"salesforce": shared.salesforce, "stripe": shared.stripe})
    return shared


def ask(credential: Credential) -> str:
    own = Credential.objects.get(pk=credential.pk)
    return connections.ask(own, lambda reader: reader.check()).name


# --- Salesforce without a person -------------------------------------------------------------------------------------


def typed(sandbox: RunningSandbox, kind: str, **changed: str) -> dict[str, Any]:
    """What is pasted for a new app that trusts our key."""
    app = sandbox.control("POST", "apps", {})
    sent = httpx.post(f"{sandbox.salesforce}/setup/apps/{app['client_id']}/certificate", content=PUBLIC)
    assert sent.status_code == 204
    secrets = {"client_secret": app["client_secret"]} if kind.endswith("credentials") else {"private_key": PEM}
    settings = {"client_id": app["client_id"], "login_url": "acme.my.salesforce.com"}
    settings |= {} if kind.endswith("credentials") else {"username": ADMIN}
    known = {key: changed.get(key, value) for key, value in secrets.items()}
    shown = {key: changed.get(key, value) for key, value in settings.items()}
    return {"provider": "salesforce", "kind": kind, "secrets": known, "settings": shown}


MINTED = ["salesforce_client_credentials", "salesforce_jwt"]


@pytest.mark.parametrize("kind", MINTED)
def test_access_is_minted_when_it_is_checked_and_again_when_it_ends(sandbox: RunningSandbox, kind: str) -> None:
    credential = connections.create_credential(typed(sandbox, kind), by=None)
    first = credential.secrets["access_token"]
    assert credential.account_id.startswith("00D")
    assert credential.access_expires_at is not None
    sandbox.control("POST", "expire", {"provider": "salesforce"})
    assert ask(credential) == credential.account_name
    credential.refresh_from_db()
    assert credential.secrets["access_token"] != first
    assert (credential.state, credential.lease_until) == ("ok", None)
    Credential.objects.update(access_expires_at=timezone.now() - timedelta(seconds=1))
    second = credential.secrets["access_token"]
    ask(credential)
    credential.refresh_from_db()
    assert credential.secrets["access_token"] != second


@pytest.mark.parametrize("kind", MINTED)
def test_secrets_of_minted_access_stay_secret(sandbox: RunningSandbox, kind: str) -> None:
    credential = connections.create_credential(typed(sandbox, kind), by=None)
    answer = ApiClient("viewer").get(f"credentials/{credential.pk}").content.decode()
    for secret in (*credential.secrets.values(), PEM.splitlines()[3]):
        assert json.dumps(secret)[1:-1] not in answer
    assert credential.settings["client_id"] in answer


@pytest.mark.parametrize(
    ("kind", "changed", "next_step"),
    [
        ("salesforce_client_credentials", {"client_secret": "wrong"}, "Copy consumer key and secret"),
        ("salesforce_client_credentials", {"client_id": "nobody"}, "Copy consumer key and secret"),
        ("salesforce_jwt", {"client_id": "nobody"}, "Copy consumer key and secret"),
        ("salesforce_jwt", {"username": "nobody@acme.test"}, "pre-authorized"),
    ],
)
def test_refusal_names_the_next_step_and_nothing_is_stored(
    sandbox: RunningSandbox, kind: str, changed: dict[str, str], next_step: str
) -> None:
    with pytest.raises(Problem) as refused:
        connections.create_credential(typed(sandbox, kind, **changed), by=None)
    assert next_step in refused.value.next_step
    assert refused.value.kind == "credentials"
    assert not Credential.objects.exists()


def test_assertion_by_another_key_is_refused(sandbox: RunningSandbox) -> None:
    other = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    with pytest.raises(Problem, match="signature"):
        connections.create_credential(
            typed(sandbox, "salesforce_jwt", private_key=other.private_bytes(*form).decode()), by=None
        )


@pytest.mark.parametrize("key", ["no key", PUBLIC, PEM[:400] + PEM[600:]])
def test_bad_key_is_told_at_its_field_before_anything_is_asked(sandbox: RunningSandbox, key: str) -> None:
    before = sandbox.control("GET", "state")["requests"]
    data = typed(sandbox, "salesforce_jwt", private_key=key)
    with pytest.raises(Problem) as refused:
        connections.create_credential(data, by=None)
    assert list(refused.value.fields) == ["private_key"]
    token_requests = {k: v for k, v in sandbox.control("GET", "state")["requests"].items() if "token" in k}
    assert token_requests == {k: v for k, v in before.items() if "token" in k}


def test_lost_right_asks_a_person_with_the_next_step(sandbox: RunningSandbox) -> None:
    credential = connections.create_credential(typed(sandbox, "salesforce_jwt"), by=None)
    wrong = rsa.generate_private_key(65537, 2048).public_key()
    pem = wrong.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    httpx.post(f"{sandbox.salesforce}/setup/apps/{credential.settings['client_id']}/certificate", content=pem)
    sandbox.control("POST", "expire", {"provider": "salesforce"})
    with pytest.raises(CredentialsRefused):
        ask(credential)
    credential.refresh_from_db()
    assert (credential.state, credential.lease_until) == ("reconnect", None)
    assert "certificate" in credential.next_step


@pytest.mark.parametrize("ahead_s", [600.0, -600.0])
def test_assertion_is_made_by_the_providers_clock_when_ours_is_wrong(sandbox: RunningSandbox, ahead_s: float) -> None:
    sandbox.control("POST", "settings", {"clock_skew_s": ahead_s})
    assert connections.create_credential(typed(sandbox, "salesforce_jwt"), by=None).state == "ok"


def test_two_workers_mint_once(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real, minted = access.minted_grant, []

    async def counted(*parts: Any) -> Any:
        minted.append(1)
        return await real(*parts)

    monkeypatch.setattr(access, "minted_grant", counted)

    def scenario() -> None:
        Credential.objects.all().delete()
        credential = connections.create_credential(typed(sandbox, "salesforce_client_credentials"), by=None)
        Credential.objects.update(access_expires_at=timezone.now() - timedelta(seconds=1))
        fault = {"provider": "salesforce", "kind": "slow", "path": "/services/oauth2/token", "seconds": 0.7, "times": 2}
        sandbox.control("POST", "faults", fault)
        minted.clear()
        answers = in_threads(lambda: ask(credential), lambda: ask(credential))
        sandbox.control("DELETE", "faults")
        assert answers == [credential.account_name] * 2
        assert len(minted) == 1

    proves(scenario, without=without_lease)


def test_client_credentials_go_to_a_salesforce_host_alone(settings: Any) -> None:
    settings.PROVIDER_URLS = ""
    data = {"provider": "salesforce", "kind": "salesforce_client_credentials", "secrets": {"client_secret": "s"}}
    for url in ("", "https://evil.example", "https://acme.my.salesforce.com.evil.example", "https://a.b@evil.example"):
        with pytest.raises(Problem) as refused:
            connections.create_credential(data | {"settings": {"client_id": "c", "login_url": url}}, by=None)
        assert list(refused.value.fields) == ["login_url"]


def test_key_form_is_posted_in_lines_and_not_sent_back(sandbox: RunningSandbox, ada, browser_of: BrowserOf) -> None:
    data = typed(sandbox, "salesforce_jwt")
    path = reverse("syncs:connect_provider", args=["salesforce"]) + "?way=salesforce_jwt"
    form = {"name": "", "host": "production", **data["settings"], "private_key": PEM}
    refused = browser_of(ada).post(path, form | {"username": ""})
    assert refused.status_code == 422
    assert PEM.splitlines()[3] not in refused.content.decode()
    assert browser_of(ada).post(path, form).status_code == 303
    assert Credential.objects.get().settings["host"] == "production"


def test_api_takes_the_key_and_names_its_field(sandbox: RunningSandbox) -> None:
    data = typed(sandbox, "salesforce_jwt")
    body = {"properties": {"kind": "salesforce_jwt", "host": "my_domain", **data["settings"], "private_key": PEM}}
    made = ApiClient("operator").post("credentials", body)
    assert made.status_code == 201, made.content
    assert made.json()["properties"]["private_key"] != PEM
    body["properties"]["private_key"] = "broken"
    assert "properties.private_key" in error_of(ApiClient("operator").post("credentials", body), 422)["fields"]


# --- A Stripe App ----------------------------------------------------------------------------------------------------


def stripe_app(secret: str = "sk_test_sandbox_console", **own: str) -> OAuthApp:
    data = {"provider": "stripe", "client_id": "sandbox-console", "client_secret": secret, "properties": own}
    return oauth_apps.create(data, by=None)


def installed(app: OAuthApp, mode: str = "test", credential: Credential | None = None) -> Credential:
    url = oauth.begin(app, "stripe_app", by=None, session_key="s", credential=credential)
    form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', httpx.get(url).text))
    target = httpx.post(url, data={**form, "answer": "allow", "mode": mode}).headers["Location"]
    brought = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    names = ("state", "code", "error", "error_description")
    return oauth.finish(session_key="s", **{name: brought.get(name, "") for name in names}).credential


def test_installed_app_reads_and_its_rotating_token_is_kept(sandbox: RunningSandbox) -> None:
    credential = installed(stripe_app(link="chnlink_1"))
    assert (credential.kind, credential.account_id[:5]) == ("stripe_app", "acct_")
    tokens = [credential.secrets["refresh_token"]]
    for _ in range(2):
        Credential.objects.update(access_expires_at=timezone.now() - timedelta(seconds=1))
        ask(credential)
        tokens.append(Credential.objects.get().secrets["refresh_token"])
    assert len(set(tokens)) == 3
    sandbox.control("POST", "expire", {"provider": "stripe", "token": Credential.objects.get().secrets["access_token"]})
    ask(credential)
    assert Credential.objects.get().secrets["refresh_token"] not in tokens


def test_key_of_the_other_mode_is_told_in_words(sandbox: RunningSandbox) -> None:
    with pytest.raises(Problem) as refused:
        installed(stripe_app(), mode="live")
    assert "both be live, or both test" in refused.value.next_step
    with pytest.raises(Problem, match="secret key"):
        installed(stripe_app("sk_test_nobody"))


def test_uninstalled_app_asks_a_person(sandbox: RunningSandbox) -> None:
    credential = installed(stripe_app())
    sandbox.control("POST", "revoke", {"provider": "stripe"})
    with pytest.raises(CredentialsRefused):
        ask(credential)
    credential.refresh_from_db()
    assert credential.state == "reconnect"
    assert installed(credential.oauth_app, credential=credential).state == "ok"


def test_stripe_signs_in_at_one_host_and_gives_tokens_at_another(settings: Any) -> None:
    settings.PROVIDER_URLS = ""
    app = stripe_app(link="chnlink_1")
    url = oauth.begin(app, "stripe_app", by=None, session_key="s")
    assert url.startswith("https://marketplace.stripe.com/oauth/v2/chnlink_1/authorize?")
    assert "code_challenge" not in url

    assert hosts.place_of(app).token == "https://api.stripe.com"
