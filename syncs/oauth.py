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
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from sequin_console.accounts.models import User
from sequin_console.accounts.tokens import digest
from sequin_console.common import audit, changes, runner
from sequin_console.common.fields import Secrets
from sequin_console.common.problems import Problem
from syncs import access, connections, hosts, oauth_apps, pasted, pendings, site_choice, sites
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, OAuthApp, PendingConnection
from syncs.providers.kit.catalogue import Site
from syncs.providers.kit.errors import ProviderError

LIFETIME = timedelta(minutes=10)


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
    oauth = oauth_apps.oauth_of(app, kind_key)
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
    wanted, more = oauth_apps.wanted_by(app, credential), oauth_apps.wanted_for_webhook(credential)
    return oauth_apps.authorize_url(app, oauth, wanted, state=state, verifier=verifier, more=more)


def take_pending(state: str, *, session_key: str) -> PendingConnection:
    """The redirect this `state` belongs to, used up. Raises Problem if it is unknown, old, used or somebody else's."""
    pending = pendings.use_up(state_hash=digest(state), session_hash=digest(session_key))
    if pending is None:
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
    app, oauth = pending.oauth_app, oauth_apps.oauth_of(pending.oauth_app, pending.kind)
    asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": oauth_apps.redirect_uri(app.provider)}
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
    oauth_apps.oauth_of(app, kind_key)
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
    pending = pendings.use_up(state_hash=digest("start:" + token))
    if pending is None:
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
    pending = pendings.use_up(code_hash=digest(code), oauth_app=app)
    if pending is None or pending.credential is None:
        raise Problem("This code has expired or was used already.", kind="credentials", status=400)
    return pending.credential, pending.return_state
