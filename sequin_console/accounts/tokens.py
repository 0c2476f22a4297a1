"""API tokens: shown once, kept as a digest, checked on every request."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from sequin_console.accounts.models import ApiToken
from sequin_console.accounts.rights import Role
from sequin_console.common import audit

__all__ = ["ApiToken", "authenticate", "create", "revoke"]

MARK = "sqn_"  # lets secret scanners know our tokens
USE_NOTED_EVERY = timedelta(minutes=1)


def digest(text: str) -> str:
    """SHA-256 in hex. Enough without salt or stretching: what is hashed has 256 random bits."""
    return hashlib.sha256(text.encode()).hexdigest()


@transaction.atomic
def create(name: str, role: Role | str, by: Any, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """Return a new token and its text, which nobody can read again. `by` is None on the command line."""
    text = MARK + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        name=name,
        prefix=text[:8],
        digest=digest(text),
        role=Role(role),
        created_by=by if getattr(by, "_meta", None) and by._meta.model_name == "user" else None,
        expires_at=expires_at,
    )
    audit.record(by, "api_token.created", token, {"role": token.role, "expires": expires_at})
    return token, text


def authenticate(text: str) -> ApiToken | None:
    """The token this text is, if it is one and still good. Notes its use, to the minute."""
    if not text.startswith(MARK):
        return None
    wanted, now = digest(text), timezone.now()
    token = ApiToken.objects.filter(digest=wanted).first()
    if token is None or not hmac.compare_digest(token.digest, wanted) or not token.is_active:
        return None
    if token.last_used_at is None or token.last_used_at < now - USE_NOTED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token


@transaction.atomic
def revoke(token: ApiToken, by: Any) -> None:
    """End the token's access at once. Harmless when it was revoked before."""
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
        audit.record(by, "api_token.revoked", token)
