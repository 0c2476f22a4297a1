"""What users have granted to apps: codes, refresh tokens and the sessions opened with them.

Source: Salesforce help, "OAuth 2.0 Web Server Flow", "PKCE extension", "Refresh token rotation"; a user may hold at
most 5 live refresh tokens an app, a sixth approval silently ends the oldest
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.clock import SECOND_MS
from sandbox.kit.consent import challenge_of
from sandbox.rawjson import dump, load
from sandbox.salesforce.errors import OAuthError
from sandbox.salesforce.org import Org

MAX_GRANTS = 5
CODE_LIFE_MS = 15 * 60 * SECOND_MS


@dataclass(frozen=True)
class Grant:
    """One approval. `number` is its age among all; `refresh_token` changes when rotation is on."""

    number: int
    client_id: str
    user_id: str
    scope: str
    refresh_token: str
    used_ms: int


@dataclass(frozen=True)
class Code:
    """An authorization code on its way from the consent page to the token endpoint."""

    client_id: str
    redirect_uri: str
    scope: str
    challenge: str
    user_id: str
    made_ms: int


@dataclass(frozen=True)
class Session:
    """An access token. `grant` is None for the client-credentials flow."""

    user_id: str
    grant: int | None
    expires_ms: int
    scope: str


class Grants:
    """Everything that lets a caller in."""

    def __init__(self, org: Org):
        self.org = org
        self.store = org.store
        self._sessions = {token: Session(**load(note)) for token, note in self.store.notes("sf_session").items()}

    # ---- codes

    def issue_code(self, client_id: str, redirect_uri: str, scope: str, challenge: str) -> str:
        """A code for a user who pressed Allow. It ends in `==`, so it must be decoded once on the way back."""
        code = f"aPrx{secrets.token_urlsafe(40)}=="
        made = Code(client_id, redirect_uri, scope, challenge, self.org.admin_id, self.org.clock.now_ms())
        self.store.keep_note("sf_code", code, dump(asdict(made)).decode())
        return code

    def redeem_code(self, code: str, client_id: str, redirect_uri: str, verifier: str) -> dict[str, Any]:
        """The token answer for a code. Each code works once, for 15 minutes, with the verifier of its challenge."""
        note = self.store.note("sf_code", code)
        self.store.drop_note("sf_code", code)
        if note is None:
            raise OAuthError("invalid_grant", "invalid authorization code")
        kept = Code(**load(note))
        if kept.client_id != client_id:
            raise OAuthError("invalid_grant", "invalid authorization code")
        if kept.made_ms < self.org.clock.now_ms() - CODE_LIFE_MS:
            raise OAuthError("invalid_grant", "expired authorization code")
        if kept.redirect_uri != redirect_uri:
            raise OAuthError("redirect_uri_mismatch", "redirect_uri must match configuration")
        if kept.challenge and not verifier:
            raise OAuthError("invalid_grant", "missing code verifier")
        if kept.challenge and challenge_of(verifier) != kept.challenge:
            raise OAuthError("invalid_request", "invalid code verifier")
        return self.open_grant(kept.client_id, kept.user_id, kept.scope)

    # ---- grants

    def open_grant(self, client_id: str, user_id: str = "", scope: str = "refresh_token api") -> dict[str, Any]:
        """A new grant with its first session, as the token endpoint's answer without the host."""
        user_id = user_id or self.org.admin_id
        number = self.store.count_up("salesforce/grants")
        grant = Grant(number, client_id, user_id, scope, new_refresh_token(), self.org.clock.now_ms())
        self._keep(grant)
        mine = [old for old in self.all_grants() if (old.client_id, old.user_id) == (client_id, user_id)]
        for old in sorted(mine, key=lambda grant: grant.number)[:-MAX_GRANTS]:
            self.end_grant(old)
        answer = self.open_session(user_id, scope, number)
        return answer | {"refresh_token": grant.refresh_token} if _may_refresh(scope) else answer

    def refresh(self, refresh_token: str, client_id: str) -> dict[str, Any]:
        """A new session for a grant; with rotation on, a new refresh token too, and the old one is dead at once."""
        grant = self._find(refresh_token)
        settings, now_ms = self.org.settings(), self.org.clock.now_ms()
        if grant is None or grant.client_id != client_id:
            raise OAuthError("invalid_grant", "expired access/refresh token")
        if settings.refresh_idle_s and grant.used_ms < now_ms - settings.refresh_idle_s * SECOND_MS:
            self.end_grant(grant)
            raise OAuthError("invalid_grant", "expired access/refresh token")
        rotated = new_refresh_token() if settings.rotate_refresh_tokens else grant.refresh_token
        self.store.drop_note("sf_grant", grant.refresh_token)
        self._keep(Grant(grant.number, grant.client_id, grant.user_id, grant.scope, rotated, now_ms))
        answer = self.open_session(grant.user_id, grant.scope, grant.number)
        return answer | {"refresh_token": rotated} if settings.rotate_refresh_tokens else answer

    def all_grants(self) -> list[Grant]:
        return [Grant(**load(note)) for note in self.store.notes("sf_grant").values()]

    def end_grant(self, grant: Grant) -> None:
        """The refresh token and all its sessions die."""
        self.store.drop_note("sf_grant", grant.refresh_token)
        for token in [token for token, session in self._sessions.items() if session.grant == grant.number]:
            self.end_session(token)

    def revoke(self, token: str) -> bool:
        """End a grant (refresh token given) or one session (access token given). False for an unknown token."""
        grant = self._find(token)
        if grant is not None:
            self.end_grant(grant)
            return True
        if token in self._sessions:
            self.end_session(token)
            return True
        return False

    def revoke_client(self, client_id: str | None) -> int:
        """End all grants of an app, or of all apps. Returns how many."""
        grants = [grant for grant in self.all_grants() if client_id in (None, grant.client_id)]
        for grant in grants:
            self.end_grant(grant)
        return len(grants)

    # ---- sessions

    def open_session(self, user_id: str, scope: str, grant: int | None = None) -> dict[str, Any]:
        """A new access token. No expiry is announced: upstream sends no `expires_in`."""
        now_ms = self.org.clock.now_ms()
        token = f"00D5e000000Sand!AQEA{secrets.token_urlsafe(60)}"
        self._remember(token, Session(user_id, grant, now_ms + self._life_ms(), scope))
        return {"access_token": token, "scope": scope, "token_type": "Bearer", "issued_at": str(now_ms)}

    def session(self, token: str) -> Session | None:
        """The living session of an access token; use in the second half of its life extends it."""
        session, now_ms = self._sessions.get(token), self.org.clock.now_ms()
        if session is None:
            return None
        if session.expires_ms <= now_ms:
            self.end_session(token)
            return None
        if session.expires_ms - now_ms < self._life_ms() / 2:
            session = Session(session.user_id, session.grant, now_ms + self._life_ms(), session.scope)
            self._remember(token, session)
        return session

    def end_session(self, token: str) -> None:
        self._sessions.pop(token, None)
        self.store.drop_note("sf_session", token)

    def end_all_sessions(self) -> int:
        """All access tokens die; the grants live on. Returns how many died."""
        tokens = list(self._sessions)
        for token in tokens:
            self.end_session(token)
        return len(tokens)

    def _life_ms(self) -> int:
        return round(self.org.settings().token_ttl_s * SECOND_MS)

    def _remember(self, token: str, session: Session) -> None:
        self._sessions[token] = session
        self.store.keep_note("sf_session", token, dump(asdict(session)).decode())

    def _keep(self, grant: Grant) -> None:
        self.store.keep_note("sf_grant", grant.refresh_token, dump(asdict(grant)).decode())

    def _find(self, refresh_token: str) -> Grant | None:
        note = self.store.note("sf_grant", refresh_token)
        return Grant(**load(note)) if note else None


def new_refresh_token() -> str:
    return f"5Aep861{secrets.token_urlsafe(48)}"


def _may_refresh(scope: str) -> bool:
    return bool({"refresh_token", "offline_access"} & set(scope.split()))
