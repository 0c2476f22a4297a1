"""The OAuth 2 redirect: begin it, and take the person back in with a connection. Renewal lives in access.py.

Authorization code with PKCE (RFC 7636, S256). `state` is random, single-use, bound to the browser session that began,
stored as a hash, and good for ten minutes.
"""

import json
import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from authlib.common.security import generate_token
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from sequin_console.accounts.models import User
from sequin_console.accounts.tokens import digest
from sequin_console.common import audit, changes, runner
from sequin_console.common.fields import Secrets
from sequin_console.common.problems import Problem
from syncs import access, connections, hosts, pasted, site_choice, sites
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, OAuthApp, PendingConnection, SyncCollection
from syncs.providers.kit.catalogue import Collection, OAuth2, Site
from syncs.providers.kit.errors import ProviderError
from syncs.providers.kit.values import fill

LIFETIME = timedelta(minutes=10)


def redirect_uri(provider_key: str) -> str:
    """The redirect URL to register at the provider. PUBLIC_URL alone builds it."""
    return settings.PUBLIC_URL + reverse("syncs:oauth_callback", args=[provider_key])


def begin(
    app: OAuthApp,
    kind_key: str,
    *,
    by: Any,
    session_key: str,
    name: str = "",
    settings: Mapping[str, str] | None = None,
    credential: Credential | None = None,
    return_url: str = "",
    return_state: str = "",
) -> str:
    """Where to send the person: the provider's authorize URL. With `credential`, the grant replaces that one's.

    settings  what the connection shall read, cleaned; kept until the person is back
    """
    oauth = oauth_of(app, kind_key)
    state, verifier = generate_token(48), generate_token(64)
    PendingConnection.objects.filter(expires_at__lt=timezone.now()).delete()
    PendingConnection.objects.create(
        state_hash=digest(state),
        oauth_app=app,
        kind=kind_key,
        name=name,
        secrets={"code_verifier": verifier, "settings": json.dumps(dict(settings or {}))},
        credential=credential,
        session_hash=digest(session_key),
        started_by=getattr(by, "username", "") or getattr(by, "actor_name", ""),
        return_url=return_url,
        return_state=return_state,
        expires_at=timezone.now() + LIFETIME,
    )
    return authorize_url(app, oauth, _wanted(app, credential), state=state, verifier=verifier)


def _wanted(app: OAuthApp, credential: Credential | None) -> list[Collection]:
    """The collections to ask rights for: those shown to pick from, and those that syncs read through it already."""
    shown = [row for row in PROVIDERS[app.provider].collections if row.shown]
    picked = SyncCollection.objects.filter(sync__credential=credential) if credential else SyncCollection.objects.none()
    return [*shown, *(connections.spec_of(row) for row in picked)]


def authorize_url(app: OAuthApp, oauth: OAuth2, wanted: list[Collection], *, state: str, verifier: str) -> str:
    """The provider's authorize URL. Asked for is what reading these collections needs, and no more."""
    extra = dict(oauth.authorize_params)
    if oauth.pkce:
        extra |= {"code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256"}
    needed = dict.fromkeys(scope for collection in wanted for scope in collection.scopes)
    asked = list(dict.fromkeys([*oauth.scopes, *([] if oauth.optional_param else needed)]))
    if oauth.optional_param and (optional := [scope for scope in needed if scope not in oauth.scopes]):
        extra[oauth.optional_param] = oauth.scope_separator.join(optional)
    url = prepare_grant_uri(
        hosts.place_of(app).login + fill(oauth.authorize_path, app.settings),
        client_id=app.client_id,
        response_type="code",
        redirect_uri=redirect_uri(app.provider),
        scope=oauth.scope_separator.join(asked) or None,
        state=state,
        **extra,
    )
    address, _, query = url.partition("?")
    return f"{address}?{query.replace('+', '%20')}"  # not all providers take a plus for a space


def oauth_of(app: OAuthApp, kind_key: str) -> OAuth2:
    """The OAuth 2 description of a credential kind. Raises Problem when that kind knows no redirect."""
    try:
        oauth = PROVIDERS[app.provider].kind(kind_key).oauth
    except KeyError:
        oauth = None
    if oauth is None:
        raise Problem(
            f"“{kind_key}” is not connected by a redirect.", fields={"credential_kind": ["Not an OAuth kind."]}
        )
    if lacking := lacking_of(app, oauth):
        raise Problem(
            f"The OAuth app {app.name} has no {' and no '.join(lacking)}.",
            next_step="An admin adds it under Connections, OAuth apps.",
            fields={"oauth_app_id": [f"It has no {', '.join(lacking)}."]},
        )
    return oauth


def lacking_of(app: OAuthApp, oauth: OAuth2) -> list[str]:
    """What this way to connect needs of an OAuth app, and this one has not: labels of fields."""
    held = access.app_values(app)
    return [field.label for field in oauth.fields if field.required and not held.get(field.key)]


def take_pending(state: str, *, session_key: str) -> PendingConnection:
    """The redirect this `state` belongs to, used up. Raises Problem if it is unknown, old, used or somebody else's."""
    pending = (
        PendingConnection.objects.select_related("oauth_app", "credential").filter(state_hash=digest(state)).first()
    )
    won = pending and PendingConnection.objects.filter(
        pk=pending.pk, used_at=None, expires_at__gt=timezone.now(), session_hash=digest(session_key)
    ).update(used_at=timezone.now())
    if not pending or not won:
        raise Problem(
            "This sign-in at the provider has expired, or was begun in another browser.",
            kind="conflict",
            next_step="Press Connect again.",
            status=400,
        )
    return pending


@dataclass(frozen=True)
class Finished:
    """A redirect that ended well: the connection, and where the person goes now (empty: wherever the page likes).

    site_token  set instead of a connection while the person still has to choose one of several sites
    """

    credential: Credential
    next_url: str
    site_token: str = ""


def finish(*, state: str, code: str, error: str, error_description: str, session_key: str) -> Finished:
    """The person is back: exchange the code, store the connection, or ask which of several sites it shall read.

    Raises Problem when they said no, the state is not good, or the provider refuses the code.
    """
    pending = take_pending(state, session_key=session_key)
    app = pending.oauth_app
    if error or not code:
        label = PROVIDERS[app.provider].label
        said_no = error == "access_denied"
        raise Problem(
            f"{label} was not connected: access was refused." if said_no else f"{label} could not connect us.",
            kind="credentials",
            next_step="Press Connect again and choose Allow." if said_no else (error_description or error)[:300],
            status=400,
        )
    credential = _granted(pending, code)
    question = sites.question_of(credential)
    if question is not None:
        known_id = credential.settings.get(access.SITE_ID)
        found = sites.offered(credential, question)
        site = found[0] if len(found) == 1 else next((site for site in found if site.id == known_id), None)
        if site is None:
            return Finished(credential, "", site_token=site_choice.keep(pending, credential, found))
        _take_site(credential, site)
    return _conclude(pending, credential)


def choose_site(token: str, site_id: str, *, session_key: str) -> Finished:
    """The person has chosen one of several sites. Raises Problem when it is too late, or no site of theirs."""
    pending, credential, found = site_choice.take(token, session_key=session_key)
    site = next((site for site in found if site.id == site_id), None)
    if site is None:
        raise Problem("This is none of the accounts you were shown.", next_step="Press Connect again.", status=400)
    _take_site(credential, site)
    return _conclude(pending, credential)


def _take_site(credential: Credential, site: Site) -> None:
    sites.take(credential, site)
    if PROVIDERS[credential.provider].kind(credential.kind).mint is not None:
        # The redirect has told whose account it is. From now on access is minted, and the person's token is not needed.
        credential.secrets, credential.access_expires_at = Secrets(), None


def _granted(pending: PendingConnection, code: str) -> Credential:
    """Turn a code into a credential, not stored yet (RFC 6749 4.1.3): once, a second use can revoke the grant."""
    app, oauth = pending.oauth_app, oauth_of(pending.oauth_app, pending.kind)
    asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri(app.provider)}
    if oauth.pkce:
        asked["code_verifier"] = pending.secrets["code_verifier"]
    request = oauth.request(app.client_id, app.secrets.get("client_secret", ""), asked)
    base_url, provider = hosts.place_of(app).token, PROVIDERS[app.provider]
    try:
        grant = runner.run(lambda _orm: access.request_grant(provider, oauth, base_url, request), timeout_s=60)
    except ProviderError as error:
        raise connections.as_problem(error) from None
    credential = pending.credential or Credential(provider=app.provider, kind=pending.kind)
    credential.oauth_app = app
    credential.name = credential.name or pending.name or f"{PROVIDERS[app.provider].label} account"
    picked = json.loads(pending.secrets.get("settings", "{}"))
    credential.settings = {**credential.settings, **picked, **pasted.app_place(app)}
    for column, value in access.granted_columns(credential, oauth, grant, timezone.now()).items():
        setattr(credential, column, value)
    return credential


def _conclude(pending: PendingConnection, credential: Credential) -> Finished:
    """Check the connection, store it, and send the person on."""
    by = User.objects.filter(username=pending.started_by).first()
    account = connections.check(credential)
    if pending.credential is not None:
        known_id = Credential.objects.values_list("account_id", flat=True).get(pk=pending.credential.pk)
        connections.check_same_account(known_id, account.id or credential.account_id, account.name)
    credential.account_id = account.id or credential.account_id
    credential.account_name = account.name
    same = _same_account(credential)
    with transaction.atomic():
        if same is not None:  # a new grant for an account we have replaces the old: grants are counted upstream
            credential.pk, credential.name, credential._state.adding = same.pk, same.name, False
            credential.created_at, credential.metadata = same.created_at, same.metadata
        is_new = credential._state.adding
        connections.save_fresh(credential)
        audit.record(by, "connection.created" if is_new else "connection.reconnected", credential)
        connections.wake_syncs(credential)
    changes.announce("credentials", f"credential-{credential.pk}")
    if not pending.return_url.startswith(("http://", "https://")):
        return Finished(credential, pending.return_url)
    query = urlencode({"code": hand_over(credential.pk, pending), "state": pending.return_state})
    return Finished(credential, pending.return_url + ("&" if "?" in pending.return_url else "?") + query)


def _same_account(credential: Credential) -> Credential | None:
    if not credential._state.adding or not credential.account_id:
        return None
    return Credential.objects.filter(
        provider=credential.provider, account_id=credential.account_id, oauth_app=credential.oauth_app
    ).first()


# --- For a caller of the API: a link to hand to somebody else, and a code to take the connection home with -----------


def start_link(app: OAuthApp, kind_key: str, *, by: Any, return_url: str, return_state: str) -> str:
    """A single-use link, good for five minutes, that sends whoever opens it through the redirect."""
    oauth_of(app, kind_key)
    token = random.token_urlsafe(32)
    PendingConnection.objects.create(
        state_hash=digest("start:" + token),
        oauth_app=app,
        kind=kind_key,
        started_by=getattr(by, "actor_name", ""),
        return_url=return_url,
        return_state=return_state,
        expires_at=timezone.now() + timedelta(minutes=5),
    )
    return settings.PUBLIC_URL + reverse("syncs:oauth_start", args=[token])


def follow_link(token: str, *, session_key: str) -> str:
    """Use up a start link; returns the provider's authorize URL. Raises Problem if it is old or used."""
    pending = PendingConnection.objects.select_related("oauth_app").filter(state_hash=digest("start:" + token)).first()
    won = pending and PendingConnection.objects.filter(
        pk=pending.pk, used_at=None, expires_at__gt=timezone.now()
    ).update(used_at=timezone.now())
    if not pending or not won:
        raise Problem("This link has expired or was used already.", next_step="Ask for a new one.", status=400)
    return begin(
        pending.oauth_app,
        pending.kind,
        by=None,
        session_key=session_key,
        return_url=pending.return_url,
        return_state=pending.return_state,
    )


def hand_over(credential_id: UUID, pending: PendingConnection) -> str:
    """A one-time code by which the API's caller takes the finished connection (start-auth's last leg)."""
    code = random.token_urlsafe(32)
    PendingConnection.objects.create(
        state_hash=digest(random.token_urlsafe(16)),
        oauth_app=pending.oauth_app,
        kind=pending.kind,
        credential_id=credential_id,
        return_state=pending.return_state,
        code_hash=digest(code),
        expires_at=timezone.now() + timedelta(minutes=5),
    )
    return code


def redeem(code: str, app: OAuthApp) -> tuple[Credential, str]:
    """The connection behind such a code, and the caller's own state. Raises Problem if it is old, used or foreign."""
    pending = (
        PendingConnection.objects.select_related("credential")
        .filter(code_hash=digest(code), oauth_app=app, used_at=None, expires_at__gt=timezone.now())
        .first()
    )
    won = pending and PendingConnection.objects.filter(pk=pending.pk, used_at=None).update(used_at=timezone.now())
    if not pending or not won or pending.credential is None:
        raise Problem("This code has expired or was used already.", kind="credentials", status=400)
    return pending.credential, pending.return_state
