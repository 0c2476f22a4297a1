"""Access to an account, against the sandbox over HTTP: renewed, rotated, revoked, lost half-way, connected anew."""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.db import connection
from django.utils import timezone

from sandbox.process import RunningSandbox, running
from sequin_console.common import leases
from sequin_console.common.problems import Problem
from syncs import access, connections, oauth, oauth_apps, services, tasks
from syncs.models import Credential, Feed, OAuthApp, PendingConnection, Record, Sync
from tests.guards import proves
from tests.running_up import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queued")]
TOKEN = "/services/oauth2/token"
BROWSER, OTHER_BROWSER = "session-of-ada", "session-of-stan"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: RunningSandbox, settings: Any) -> RunningSandbox:
    """Salesforce with three contacts, as new for each test."""
    shared.control("POST", "reset", {"seed": "empty"})
    shared.control("DELETE", "faults")
    shared.control("POST", "settings", {"rotate_refresh_tokens": False})
    shared.control("POST", "records/salesforce/Contact?count=3", {})
    settings.PROVIDER_URLS = f'{{"salesforce": "{shared.salesforce}"}}'
    return shared


# --- Making and using connections -----------------------------------------------------------------------------------


def make_app(sandbox: RunningSandbox, name: str = "Ours") -> OAuthApp:
    return oauth_apps.create({"provider": "salesforce", "name": name, **sandbox.control("POST", "apps", {})}, by=None)


def make_credential(sandbox: RunningSandbox, name: str = "Ours") -> Credential:
    """A connection whose grant was made elsewhere, with an app of its own."""
    app = make_app(sandbox, name)
    return connections.create_credential(imported(sandbox, app, "salesforce") | {"name": name}, by=None)


def imported(sandbox: RunningSandbox, app: OAuthApp, kind: str) -> dict[str, Any]:
    """What a person imports: a refresh token of this app, as either kind takes it."""
    grant = sandbox.control("POST", "grants", {"provider": "salesforce", "client_id": app.client_id})
    typed = {
        "salesforce": {"refresh_token": grant["refresh_token"]},
        "salesforce_oauth2": {"secret": grant["refresh_token"]},
    }
    place = {"instance_url": grant["instance_url"]} if kind == "salesforce" else {}
    return {"provider": "salesforce", "kind": kind, "oauth_app": app, "secrets": typed[kind], "settings": place}


def make_sync(credential: Credential, name: str = "Contacts") -> Sync:
    return services.create_sync(
        {"name": name, "credential": credential, "collection_ids": ["salesforce:contact"], "poll_s": 2}, by=None
    )


def read(sync: Sync) -> None:
    """One task's worth of reading, whatever the interval says."""
    Feed.objects.filter(sync=sync).update(looked_at=None, queued_until=None)
    tasks.read_feeds(list(sync.feeds.values_list("pk", flat=True)))


def count(sync: Sync) -> int:
    return Record.objects.filter(sync=sync).count()


def expire(sandbox: RunningSandbox) -> None:
    """Every access token dies; grants live on."""
    sandbox.control("POST", "expire", {"provider": "salesforce"})


def grow_stale(credential: Credential) -> None:
    """By our own reckoning it is time to renew."""
    Credential.objects.filter(pk=credential.pk).update(access_expires_at=timezone.now() - timedelta(seconds=1))


def fault(sandbox: RunningSandbox, kind: str, **more: Any) -> None:
    sandbox.control("POST", "faults", {"provider": "salesforce", "kind": kind, "path": TOKEN, **more})


def is_due(sync: Sync, queued: list[tuple[Any, ...]]) -> bool:
    """Whether the scheduler would queue this sync's feeds now."""
    queued.clear()
    tasks.enqueue_due()
    return sync.feeds.get().pk in {pk for _, pks in queued for pk in pks}


def test_a_reader_knows_its_connections_settings(sandbox):
    credential = make_credential(sandbox)

    async def told(reader: Any) -> dict[str, Any]:
        return reader.client.settings

    assert connections.ask(credential, told)["instance_url"] == sandbox.salesforce


@contextlib.contextmanager
def renewals() -> Iterator[list[str]]:
    """The refresh tokens sent to the token endpoint, in order."""
    sent: list[str] = []
    real = access.request_grant

    async def noted(provider: Any, oauth_: Any, url: str, request: Any) -> Any:
        if request.form["grant_type"] == "refresh_token":
            sent.append(request.form["refresh_token"])
        return await real(provider, oauth_, url, request)

    with mock.patch.object(access, "request_grant", noted):
        yield sent


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """All at once, each on a thread with a database connection of its own; results or exceptions, in order."""
    together = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        try:
            together.wait(10)
            return call()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


# --- Renewal --------------------------------------------------------------------------------------------------------


def test_expired_token_is_renewed_and_the_request_repeated(sandbox: RunningSandbox) -> None:
    credential = make_credential(sandbox)
    sync = make_sync(credential)
    before = credential.secrets["access_token"]
    expire(sandbox)
    with renewals() as sent:
        read(sync)
    credential.refresh_from_db()
    assert (count(sync), credential.state, len(sent)) == (3, "ok", 1)
    assert credential.secrets["access_token"] != before
    assert credential.lease_until is None


def test_token_is_renewed_before_it_expires(sandbox: RunningSandbox) -> None:
    """A request that would be refused is not sent."""
    credential = make_credential(sandbox)
    sync = make_sync(credential)
    grow_stale(credential)
    with renewals() as sent:
        read(sync)
    credential.refresh_from_db()
    assert len(sent) == 1
    assert credential.access_expires_at is not None
    assert credential.access_expires_at > timezone.now()


def test_rotated_token_is_stored_and_the_next_renewal_uses_it(sandbox: RunningSandbox) -> None:
    sandbox.control("POST", "settings", {"rotate_refresh_tokens": True})
    credential = make_credential(sandbox)
    sync = make_sync(credential)
    with renewals() as sent:
        for _ in range(3):
            expire(sandbox)
            read(sync)
    credential.refresh_from_db()
    assert (count(sync), credential.state) == (3, "ok")
    assert len(set(sent)) == len(sent) == 3
    assert credential.secrets["refresh_token"] not in sent


@contextlib.contextmanager
def without_lease() -> Iterator[None]:
    """The guard taken out: whoever wants to renew, renews."""
    with mock.patch.object(leases, "take", lambda model, pk, seconds: model._base_manager.get(pk=pk)):
        yield


def test_two_workers_renewing_at_once_use_a_rotated_token_once(sandbox: RunningSandbox) -> None:
    sandbox.control("POST", "settings", {"rotate_refresh_tokens": True})

    def scenario() -> None:
        Credential.objects.all().delete()
        OAuthApp.objects.all().delete()
        credential = make_credential(sandbox)
        fault(sandbox, "slow", seconds=0.7, times=2)
        grow_stale(credential)

        def ask() -> str:
            own = Credential.objects.get(pk=credential.pk)
            return str(connections.ask(own, lambda reader: reader.check()).name)

        with renewals() as sent:
            answers = in_threads(ask, ask)
        sandbox.control("DELETE", "faults")
        credential.refresh_from_db()
        assert len(sent) == 1
        assert answers == [credential.account_name] * 2
        assert credential.state == "ok"

    proves(scenario, without=without_lease)


def test_waiting_worker_takes_what_the_other_got_though_it_sees_it_late(sandbox: RunningSandbox) -> None:
    """It has read the row as it was before; the lease it then takes shows that there is nothing left to do."""
    credential = make_credential(sandbox)
    grow_stale(credential)
    real, others = leases.take, [credential]

    def late(model: Any, pk: Any, *, seconds: float) -> Any:
        if model is Credential and others:  # between our read and our lease, another is through
            other = others.pop()
            other.refresh_from_db()
            connections.ask(other, lambda reader: reader.check())
        return real(model, pk, seconds=seconds)

    own = Credential.objects.get(pk=credential.pk)
    with renewals() as sent:
        answer = in_threads(lambda: _ask_with(late, own))
    assert isinstance(answer[0], str), answer
    assert len(sent) == 1


def _ask_with(take: Any, credential: Credential) -> str:
    with mock.patch.object(leases, "take", take):
        return str(connections.ask(credential, lambda reader: reader.check()).name)


# --- Lost half-way --------------------------------------------------------------------------------------------------


def crash_while_renewing(sandbox: RunningSandbox, credential: Credential, *, answered: bool) -> None:
    """A worker died between mark and store; its lease has run out. `answered`: the grant was rotated and lost."""
    if answered:
        app = credential.oauth_app
        assert app is not None
        form = {"grant_type": "refresh_token", "refresh_token": credential.secrets["refresh_token"]}
        form |= {"client_id": app.client_id, "client_secret": app.secrets["client_secret"]}
        httpx.post(sandbox.salesforce + TOKEN, data=form).raise_for_status()
    expire(sandbox)
    past = timezone.now() - timedelta(seconds=1)
    Credential.objects.filter(pk=credential.pk).update(
        state="refreshing", lease_no=7, lease_until=past, access_expires_at=past
    )


def test_renewal_found_half_way_is_tried_once_and_goes_well_if_it_was_never_sent(sandbox: RunningSandbox) -> None:
    sandbox.control("POST", "settings", {"rotate_refresh_tokens": True})
    credential = make_credential(sandbox)
    sync = make_sync(credential)
    crash_while_renewing(sandbox, credential, answered=False)
    with renewals() as sent:
        read(sync)
    credential.refresh_from_db()
    assert (credential.state, count(sync), len(sent)) == ("ok", 3, 1)


def test_renewal_whose_answer_was_lost_is_tried_once_then_a_person_is_asked(
    sandbox: RunningSandbox, queued: list[tuple[Any, ...]]
) -> None:
    sandbox.control("POST", "settings", {"rotate_refresh_tokens": True})
    credential = make_credential(sandbox)
    sync = make_sync(credential)
    crash_while_renewing(sandbox, credential, answered=True)
    with renewals() as sent:
        read(sync)
        read(sync)
    credential.refresh_from_db()
    assert (credential.state, credential.error_kind, len(sent)) == ("reconnect", "credentials", 1)
    assert credential.next_step
    assert credential.lease_until is None
    assert not is_due(sync, queued)


def test_sign_in_that_does_not_answer_is_tried_again_later(sandbox: RunningSandbox) -> None:
    """Nobody is asked to reconnect because of a 503."""
    credential = make_credential(sandbox)
    sync = make_sync(credential)
    grow_stale(credential)
    fault(sandbox, "unavailable", times=1)
    read(sync)
    credential.refresh_from_db()
    assert (credential.state, count(sync)) == ("ok", 0)
    Feed.objects.update(due_at=timezone.now())
    read(sync)
    assert count(sync) == 3


# --- Revoked, and connected anew ------------------------------------------------------------------------------------


def revoke(sandbox: RunningSandbox, credential: Credential) -> None:
    assert credential.oauth_app is not None
    sandbox.control("POST", "revoke", {"provider": "salesforce", "client_id": credential.oauth_app.client_id})


def consent(url: str, answer: str = "allow") -> dict[str, str]:
    """A person at the provider's consent page: reads it, presses a button, is sent back. What they bring along."""
    page = httpx.get(url).raise_for_status().text
    form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    target = httpx.post(url, data={**form, "answer": answer})
    assert target.status_code == 303, target.text
    parts = urlsplit(target.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == oauth_apps.redirect_uri("salesforce")
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def come_back(brought: dict[str, str], *, session_key: str = BROWSER) -> oauth.Finished:
    names = ("state", "code", "error", "error_description")
    return oauth.finish(session_key=session_key, **{name: brought.get(name, "") for name in names})


def begin(app: OAuthApp, credential: Credential | None = None) -> str:
    kind = credential.kind if credential else "salesforce_oauth2"
    return oauth.begin(app, kind, by=None, session_key=BROWSER, credential=credential)


def test_revoked_grant_holds_back_its_own_syncs_alone(sandbox: RunningSandbox, queued: list[tuple[Any, ...]]) -> None:
    """Invariant 9."""
    ended, well = make_credential(sandbox, "ended"), make_credential(sandbox, "well")
    stopped, going = make_sync(ended, "stopped"), make_sync(well, "going")
    revoke(sandbox, ended)
    Feed.objects.update(looked_at=None)
    tasks.read_feeds(list(Feed.objects.values_list("pk", flat=True)))
    ended.refresh_from_db()
    well.refresh_from_db()
    assert (ended.state, well.state) == ("reconnect", "ok")
    assert (count(stopped), count(going)) == (0, 3)
    assert not is_due(stopped, queued)


def test_reconnecting_wakes_the_syncs_that_waited(sandbox: RunningSandbox, queued: list[tuple[Any, ...]]) -> None:
    credential = make_credential(sandbox)
    sync = make_sync(credential)
    revoke(sandbox, credential)
    read(sync)
    assert not is_due(sync, queued)
    assert credential.oauth_app is not None
    finished = come_back(consent(begin(credential.oauth_app, credential)))
    assert finished.credential.pk == credential.pk
    credential.refresh_from_db()
    assert (credential.state, credential.error) == ("ok", "")
    assert Credential.objects.count() == 1
    assert is_due(sync, queued)
    read(sync)
    assert count(sync) == 3


@contextlib.contextmanager
def without_voiding() -> Iterator[None]:
    """The guard taken out: storing a new grant does not tell a renewal under way that it is out of date."""
    with mock.patch.object(connections, "save_fresh", lambda credential: credential.save()):
        yield


def test_reconnecting_while_a_renewal_is_under_way_is_not_undone_by_it(sandbox: RunningSandbox) -> None:
    """The old grant's refusal arrives after the new grant: it is about secrets nobody uses any more."""

    def scenario() -> None:
        Sync.objects.all().delete()
        Credential.objects.all().delete()
        OAuthApp.objects.all().delete()
        credential = make_credential(sandbox)
        sync = make_sync(credential)
        assert credential.oauth_app is not None
        brought = consent(begin(credential.oauth_app, credential))
        old = credential.secrets["refresh_token"]
        sandbox.control("POST", "revoke", {"provider": "salesforce", "token": old})
        fault(sandbox, "slow", seconds=3, times=1)
        with ThreadPoolExecutor(1) as pool:
            worker = pool.submit(lambda: in_threads(lambda: read(sync)))
            eventually(lambda: Credential.objects.get(pk=credential.pk).state == "refreshing", 20)
            come_back(brought)
            assert worker.result(60) == [None]
        credential.refresh_from_db()
        assert (credential.state, credential.error) == ("ok", "")
        assert credential.secrets["refresh_token"] != old
        assert count(sync) == 3  # the worker itself went on with what the person had brought

    proves(scenario, without=without_voiding)


def test_renaming_does_not_bring_back_an_old_token(sandbox: RunningSandbox) -> None:
    """A page was opened before a worker renewed, and is saved after it."""
    sandbox.control("POST", "settings", {"rotate_refresh_tokens": True})
    credential = make_credential(sandbox)
    opened = Credential.objects.get(pk=credential.pk)
    grow_stale(credential)
    connections.ask(Credential.objects.get(pk=credential.pk), lambda reader: reader.check())
    connections.update_credential(opened, {"name": "Renamed"}, by=None)
    expire(sandbox)
    credential.refresh_from_db()
    assert credential.name == "Renamed"
    assert connections.ask(credential, lambda reader: reader.check()).name == credential.account_name


# --- The redirect ---------------------------------------------------------------------------------------------------


def test_sign_in_makes_a_connection_that_reads(sandbox: RunningSandbox) -> None:
    finished = come_back(consent(begin(make_app(sandbox))))
    sync = make_sync(finished.credential)
    read(sync)
    assert (finished.credential.state, count(sync)) == ("ok", 3)
    assert not re.search(r"[A-Za-z0-9_-]{40}", str(finished.credential.settings))


def test_same_account_again_replaces_its_grant(sandbox: RunningSandbox) -> None:
    app = make_app(sandbox)
    first = come_back(consent(begin(app))).credential
    again = come_back(consent(begin(app))).credential
    assert first.pk == again.pk
    assert first.secrets["refresh_token"] != Credential.objects.get().secrets["refresh_token"]


def test_another_account_is_refused_for_a_connection_that_syncs_read_through(sandbox: RunningSandbox) -> None:
    """Records of two accounts must not mix."""
    credential = make_credential(sandbox)
    Credential.objects.update(account_id="00DsomebodyElses")
    credential.refresh_from_db()
    assert credential.oauth_app is not None
    with pytest.raises(Problem, match="another account"):
        come_back(consent(begin(credential.oauth_app, credential)))
    pasted = imported(sandbox, credential.oauth_app, "salesforce")
    with pytest.raises(Problem, match="another account"):
        connections.update_credential(credential, {name: pasted[name] for name in ("secrets", "settings")}, by=None)
    assert Credential.objects.get().account_id == "00DsomebodyElses"


def test_answer_of_no_is_said_and_nothing_is_stored(sandbox: RunningSandbox) -> None:
    with pytest.raises(Problem, match="access was refused"):
        come_back(consent(begin(make_app(sandbox)), answer="deny"))
    assert not Credential.objects.exists()


def test_wrong_verifier_is_refused_by_the_provider(sandbox: RunningSandbox) -> None:
    """PKCE: whoever stole the code on its way cannot use it."""
    brought = consent(begin(make_app(sandbox)))
    PendingConnection.objects.update(secrets={"code_verifier": "x" * 64})
    with pytest.raises(Problem):
        come_back(brought)
    assert not Credential.objects.exists()


@pytest.mark.parametrize("why", ["unknown", "used", "late", "another browser"])
def test_state_is_good_once_for_ten_minutes_in_the_browser_that_began(sandbox: RunningSandbox, why: str) -> None:
    brought, session = consent(begin(make_app(sandbox))), BROWSER
    if why == "unknown":
        brought["state"] += "x"
    elif why == "used":
        oauth.take_pending(brought["state"], session_key=BROWSER)
    elif why == "late":
        PendingConnection.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    else:
        session = OTHER_BROWSER
    with pytest.raises(Problem, match="expired, or was begun in another browser"):
        come_back(brought, session_key=session)
    assert not Credential.objects.exists()


def test_state_and_verifier_are_not_stored_as_they_are(sandbox: RunningSandbox) -> None:
    url = begin(make_app(sandbox))
    state = parse_qs(urlsplit(url).query)["state"][0]
    verifier = PendingConnection.objects.get().secrets["code_verifier"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM syncs_pendingconnection")
        stored = str(cursor.fetchall())
    assert state not in stored
    assert verifier not in stored
    assert verifier not in url


# --- Imported, and for a caller of the API --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["salesforce", "salesforce_oauth2"])
@pytest.mark.parametrize("rotate", [False, True])
def test_imported_refresh_token_connects(sandbox: RunningSandbox, kind: str, rotate: bool) -> None:
    sandbox.control("POST", "settings", {"rotate_refresh_tokens": rotate})
    data = imported(sandbox, make_app(sandbox), kind)
    credential = connections.create_credential(data, by=None)
    given = next(iter(data["secrets"].values()))
    assert (credential.secrets["refresh_token"] != given) == rotate
    sync = make_sync(credential)
    expire(sandbox)
    read(sync)
    assert (credential.state, count(sync)) == ("ok", 3)


@pytest.mark.parametrize("kind", ["salesforce", "salesforce_oauth2"])
def test_imported_token_that_is_dead_is_refused_and_not_stored(sandbox: RunningSandbox, kind: str) -> None:
    app = make_app(sandbox)
    data = imported(sandbox, app, kind)
    sandbox.control("POST", "revoke", {"provider": "salesforce", "client_id": app.client_id})
    with pytest.raises(Problem) as refused:
        connections.create_credential(data, by=None)
    assert refused.value.kind == "credentials"
    assert not Credential.objects.exists()


def test_link_leads_through_consent_to_a_code_that_is_redeemed_once(sandbox: RunningSandbox) -> None:
    app = make_app(sandbox)
    caller = {"return_url": "https://caller.example/back", "return_state": "their own"}
    link = oauth.start_link(app, "salesforce_oauth2", by=None, **caller)
    token = Path(urlsplit(link).path).name
    url = oauth.follow_link(token, session_key=OTHER_BROWSER)
    finished = come_back(consent(url), session_key=OTHER_BROWSER)
    back = parse_qs(urlsplit(finished.next_url).query)
    assert finished.next_url.startswith("https://caller.example/back?")
    assert back["state"] == ["their own"]
    credential, state = oauth.redeem(back["code"][0], app)
    assert (credential.pk, state) == (finished.credential.pk, "their own")
    with pytest.raises(Problem):
        oauth.redeem(back["code"][0], app)
    with pytest.raises(Problem, match="expired or was used"):
        oauth.follow_link(token, session_key=OTHER_BROWSER)


def test_code_of_another_app_is_not_redeemed(sandbox: RunningSandbox) -> None:
    app, foreign = make_app(sandbox, "ours"), make_app(sandbox, "theirs")
    credential = come_back(consent(begin(app))).credential
    code = oauth.hand_over(credential.pk, PendingConnection.objects.get())
    with pytest.raises(Problem):
        oauth.redeem(code, foreign)
    assert oauth.redeem(code, app)[0].pk == credential.pk


def test_a_process_makes_its_http_client_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client loads the certificates that TLS trusts, which costs more than a whole look at an idle account."""
    made, make = [], access.make_http
    monkeypatch.setattr(access, "_https", {})
    monkeypatch.setattr(access, "make_http", lambda **options: made.append(make(**options)) or made[-1])
    assert access.shared_http() is access.shared_http()
    assert len(made) == 1
