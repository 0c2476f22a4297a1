"""A grant that opens several sites, kept until the person says which: encrypted, ten minutes, one browser session."""

import json
import secrets as random
from datetime import datetime, timedelta

from django.utils import timezone

from sequin_console.accounts.tokens import digest
from sequin_console.common.fields import Secrets
from sequin_console.common.problems import Problem
from sequin_console.common.troubled import NO_TROUBLE
from syncs import pendings
from syncs.models import Credential, PendingConnection
from syncs.providers.kit.catalogue import Site
from syncs.states import CredentialState

LIFETIME = timedelta(minutes=10)
_KEPT = ("secrets", "settings", "account_id", "name")


def keep(pending: PendingConnection, credential: Credential, found: tuple[Site, ...]) -> str:
    """Keep what was granted; the token returned is in the address of the page that asks."""
    token = random.token_urlsafe(32)
    expires_at = credential.access_expires_at
    granted = {
        "sites": [[site.id, site.label, site.api_url, dict(site.settings)] for site in found],
        "access_expires_at": expires_at and expires_at.isoformat(),
        **{column: getattr(credential, column) for column in _KEPT},
    }
    PendingConnection.objects.create(
        state_hash=digest(f"sites:{token}"),
        oauth_app=pending.oauth_app,
        kind=pending.kind,
        name=pending.name,
        secrets={"granted": json.dumps(granted)},
        credential=pending.credential,
        session_hash=pending.session_hash,
        started_by=pending.started_by,
        return_url=pending.return_url,
        return_state=pending.return_state,
        expires_at=timezone.now() + LIFETIME,
    )
    return token


def shown(token: str, *, session_key: str) -> tuple[PendingConnection, tuple[Site, ...]]:
    """The sites to choose from. Raises Problem when it is too late, or this is another browser."""
    pending = _in_time(pendings.find(**_named(token, session_key)))
    return pending, _sites(json.loads(pending.secrets["granted"])["sites"])


def take(token: str, *, session_key: str) -> tuple[PendingConnection, Credential, tuple[Site, ...]]:
    """What was granted, used up: the redirect it came by, the credential as far as it was, its sites."""
    pending = _in_time(pendings.use_up(**_named(token, session_key)))
    granted = json.loads(pending.secrets["granted"])
    credential = pending.credential or Credential(provider=pending.oauth_app.provider, kind=pending.kind)
    credential.oauth_app, credential.state = pending.oauth_app, CredentialState.OK
    for column in _KEPT:
        setattr(credential, column, granted[column])
    credential.secrets = Secrets(granted["secrets"])
    expires_at = granted["access_expires_at"]
    credential.access_expires_at = datetime.fromisoformat(expires_at) if expires_at else None
    for column, value in NO_TROUBLE.items():
        setattr(credential, column, value)
    return pending, credential, _sites(granted["sites"])


def _named(token: str, session_key: str) -> dict[str, str]:
    return {"state_hash": digest(f"sites:{token}"), "session_hash": digest(session_key)}


def _in_time(pending: PendingConnection | None) -> PendingConnection:
    """The choice under way. Raises Problem if it is unknown, old, used or another browser's."""
    if pending is None:
        raise Problem(
            "This choice has expired, was made already, or was begun in another browser.",
            kind="conflict",
            next_step="Press Connect again.",
            status=400,
        )
    return pending


def _sites(rows: list[tuple[str, str, str, dict[str, str]]]) -> tuple[Site, ...]:
    return tuple(Site(*row) for row in rows)
