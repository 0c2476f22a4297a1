"""Access to an account, out of the credential store: decrypted, renewed under a lease, handed to the kit's client.

Renewed is by a refresh token, or minted again from the credential's secrets (client credentials, signed assertions). A
rotating refresh token can be used once. So a renewal holds the credential's lease, is marked `refreshing` before the
request leaves, and what comes back is stored in one write before anybody uses it. A renewal found half-way after a
crash is tried once more; if the provider refuses, the person is asked to reconnect.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import structlog
from django.utils import timezone

from sequin_console.common import changes, leases, runner
from sequin_console.common.fields import Secrets
from sequin_console.common.runner import Orm
from sequin_console.common.troubled import NO_TROUBLE
from syncs import hosts, private_apis
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, OAuthApp
from syncs.providers.kit.access import Access, CannotRenew
from syncs.providers.kit.auth import TokenGrant, TokenRequest
from syncs.providers.kit.catalogue import CredentialKind, Mint, OAuth2, Provider
from syncs.providers.kit.errors import CredentialsRefused, ProviderError, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.guard import refusal
from syncs.providers.kit.http import make_http
from syncs.providers.kit.times import parse_http_date
from syncs.providers.kit.values import BadValue
from syncs.states import CredentialState

log = structlog.get_logger(__name__)

RENEW_LEASE_S = 60
GRANT_S = 15  # a token endpoint answers at once or not at all; a task must still have the time to say so
SKEW = timedelta(seconds=30)  # a clock further off than this is worth a second assertion
RENEW_AT = 0.75  # of the token's lifetime
SITE_ID = "site_id"  # the setting that says which of several sites a credential reads
Scout = Callable[[Mapping[str, str], str, datetime], dict[str, str]]
_https: dict[tuple[int, bool], httpx.AsyncClient] = {}


def shared_http() -> httpx.AsyncClient:
    """This process's HTTP client. Call it on the loop thread only: connections belong to a loop."""
    return _http_of_process(is_guarded=False)


def http_for(provider: Provider) -> httpx.AsyncClient:
    """The one for this provider: to addresses that people described it opens no socket inside private networks."""
    return _http_of_process(is_guarded=True) if provider.is_guarded else shared_http()


def _http_of_process(*, is_guarded: bool) -> httpx.AsyncClient:
    key = (os.getpid(), is_guarded)
    http = _https.get(key)
    if http is None:  # made once a process: loading the certificates that TLS trusts takes 20 ms
        http = _https[key] = make_http(allows=private_apis.allows if is_guarded else None)
        runner.at_end(http.aclose)
    return http


async def request_grant(provider: Provider, way: OAuth2 | Mint, base_url: str, request: TokenRequest) -> TokenGrant:
    """Ask a token endpoint (RFC 6749 4.1.3, 6). Never repeated here: codes and rotating tokens are good for one use."""
    return _grant_in(way, await _post(provider, base_url, request))


async def minted_grant(
    provider: Provider, mint: Mint, base_url: str, request_at: Callable[[datetime], TokenRequest]
) -> TokenGrant:
    """Access made anew. An assertion refused while our clock is wrong is made once more, by the provider's clock."""
    now = timezone.now()
    response = await _post(provider, base_url, request_at(now))
    try:
        return _grant_in(mint, response)
    except CredentialsRefused:
        theirs = parse_http_date(response.headers.get("date"))
        if theirs is None or abs(theirs - now) < SKEW:
            raise
        return _grant_in(mint, await _post(provider, base_url, request_at(theirs)))


async def _post(provider: Provider, base_url: str, request: TokenRequest) -> httpx.Response:
    body = {"json": dict(request.json)} if request.json is not None else {"data": dict(request.form or {})}
    try:
        async with asyncio.timeout(GRANT_S):
            headers = {"Accept": "application/json", **request.headers}
            return await http_for(provider).post(base_url + request.path, headers=headers, **body)
    except (httpx.HTTPError, OSError, TimeoutError) as fault:
        if refused := refusal(fault):
            raise refused from None
        raise UpstreamFailed("The provider's sign-in did not answer.", detail=type(fault).__name__) from None


def _grant_in(way: OAuth2 | Mint, response: httpx.Response) -> TokenGrant:
    """The grant an answer holds. GitHub refuses with a status of 200, too."""
    if response.status_code not in (200, 201):
        raise way.error(response.status_code, response.content)
    try:
        answer = response.json()
        if "error" in answer and not answer.get("access_token"):
            raise way.error(response.status_code, response.content)
        return way.parse(answer)
    except (ValueError, TypeError, AttributeError):
        raise UnexpectedShape("The provider's sign-in gave an answer we do not understand.") from None


def granted_columns(credential: Credential, way: OAuth2 | Mint, grant: TokenGrant, now: datetime) -> dict[str, Any]:
    """The credential columns a grant changes. A refresh token that came replaces ours; none that came leaves it."""
    secrets = Secrets(credential.secrets)
    secrets["access_token"] = grant.access_token
    if grant.refresh_token:
        secrets["refresh_token"] = grant.refresh_token
    columns = {
        "secrets": secrets,
        "state": CredentialState.OK,
        "access_expires_at": renewal_time(grant, way.lifetime_s, now),
        **NO_TROUBLE,
    }
    if grant.api_url:  # else settings are left alone: a person may be changing them
        columns["settings"] = {**credential.settings, "instance_url": grant.api_url}
    return columns | ({"account_id": grant.account_id} if grant.account_id else {})


def app_values(app: OAuthApp | None) -> dict[str, str]:
    """What an OAuth app brings into a request for a token, its secrets among it."""
    return {} if app is None else {**app.settings, **app.secrets, "client_id": app.client_id}


def renewal_time(grant: TokenGrant, usual_s: int | None, now: datetime) -> datetime | None:
    """When to renew what was granted: a good while before its end. None for a token that has no known end."""
    lifetime_s = (grant.expires_at - now).total_seconds() if grant.expires_at else grant.lifetime_s or usual_s
    return None if lifetime_s is None else now + timedelta(seconds=max(0.0, lifetime_s) * RENEW_AT)


class StoredAccess:
    """The kit's AccessSource over one credential. Lives on the loop; its database calls go through `orm`.

    is_stored  False while a credential is being checked before it is stored: what renewal brings then stays on the
               object, and no lease is needed, for nobody else has it
    provider   one that is no provider yet: a definition being tried
    """

    def __init__(
        self, credential: Credential, orm: Orm, *, is_stored: bool = True, provider: Provider | None = None
    ) -> None:
        self._credential, self._orm, self._is_stored = credential, orm, is_stored
        self._provider = provider or PROVIDERS[credential.provider]
        self._kind: CredentialKind = self._provider.kind(credential.kind)
        self._way: OAuth2 | Mint | None = self._kind.mint or self._kind.oauth
        self._renewing = asyncio.Lock()

    async def access(self) -> Access:
        async with self._renewing:
            if self._is_stale():
                await self._renew("")
            return self._granted()

    async def renew(self, refused: Access) -> Access:
        async with self._renewing:
            if self._granted() == refused:
                await self._renew(self._credential.secrets.get("access_token", ""))
            return self._granted()

    def _granted(self) -> Access:
        row = self._credential
        try:
            if scout := self._scout():
                where, values = self._place(None)
                headers = scout(values, where.login, timezone.now())
            else:
                headers = (self._kind.request_headers or self._provider.request_headers)(row.secrets, row.settings)
            params = self._kind.request_params(row.secrets, row.settings) if self._kind.request_params else {}
            return Access(hosts.api_url(self._provider, self._kind, row.settings), headers, params)
        except BadValue as error:
            raise CredentialsRefused(str(error), next_step="Connect the account again.") from None

    def _scout(self) -> Scout | None:
        """How to ask for sites while nothing can be minted yet; None once one is chosen, or a person has signed in."""
        row = self._credential
        chosen = row.settings.get(SITE_ID) or row.secrets.get("access_token")
        return self._way.scout if isinstance(self._way, Mint) and not chosen else None

    def _place(self, app: OAuthApp | None) -> tuple[hosts.Place, dict[str, str]]:
        """Where to sign in, and all that a request for a token may be made of."""
        row = self._credential
        values = {**app_values(app), **row.settings, **row.secrets}
        if app is not None:
            return hosts.place_of(app), values
        return hosts.place(self._provider, values.get("host", ""), values.get("login_url", ""), values), values

    def _is_stale(self) -> bool:
        row = self._credential
        if row.state == CredentialState.RECONNECT:
            message = row.error or "The provider no longer accepts this connection."
            raise CredentialsRefused(message, next_step=row.next_step)
        if self._way is None or self._scout():
            return False
        expired = row.access_expires_at is not None and row.access_expires_at <= timezone.now()
        return expired or not row.secrets.get("access_token")

    async def _renew(self, refused_token: str) -> None:
        """Renew under the lease, or wait for whoever holds it and take what they got."""
        if self._way is None or self._scout():
            raise CannotRenew("The provider refused the key.", next_step="Create a new key and paste it in.")
        if refused_token and isinstance(self._way, OAuth2) and not self._credential.secrets.get("refresh_token"):
            raise CannotRenew("The provider no longer accepts this connection.")
        for _ in range(2 * RENEW_LEASE_S):
            if await self._orm(self._take, refused_token):
                break
            if not self._is_stale() and self._credential.secrets.get("access_token") != refused_token:
                return
            await asyncio.sleep(0.5)
        else:
            raise UpstreamFailed("Renewing access takes longer than it should.")
        try:
            grant = await self._new_grant()
        except ProviderError as error:
            if await self._orm(self._failed, error):
                return
            raise
        await self._orm(self._renewed, grant)

    def _take(self, refused_token: str) -> bool:
        """Re-read the row; take its lease if it still needs renewal. Afterwards `_credential` is as stored."""
        if not self._is_stored:
            return True
        self._read_again()
        token = self._credential.secrets.get("access_token", "")
        if token and token != refused_token and not self._is_stale():
            return False
        taken = leases.take(Credential, self._credential.pk, seconds=RENEW_LEASE_S)
        if taken is None:
            return False
        if taken.secrets != self._credential.secrets:  # somebody was done just before we took it
            taken.release()
            return self._take(refused_token)
        taken.fenced_update(state=CredentialState.REFRESHING)
        self._credential = taken
        return True

    def _read_again(self) -> None:
        self._credential = Credential.objects.select_related("oauth_app").get(pk=self._credential.pk)

    async def _new_grant(self) -> TokenGrant:
        row = self._credential
        app = await self._orm(lambda: row.oauth_app)
        if isinstance(self._way, Mint):
            return await self._mint(self._way, app)
        refresh_token = row.secrets.get("refresh_token")
        if self._way is None or app is None or not refresh_token:
            raise CredentialsRefused("This connection's access has ended, and it cannot renew it.")
        asked = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        request = self._way.request(app.client_id, app.secrets.get("client_secret", ""), asked)
        return await request_grant(self._provider, self._way, hosts.place_of(app).token, request)

    async def _mint(self, mint: Mint, app: OAuthApp | None) -> TokenGrant:
        where, values = self._place(app)
        try:
            on_api = hosts.api_host(self._provider, self._kind, self._credential.settings)
            base_url = on_api if mint.on_api else where.token
            return await minted_grant(
                self._provider, mint, base_url, lambda now: mint.request(values, where.login, now)
            )
        except BadValue as error:
            raise CredentialsRefused(str(error), next_step="Paste it in again.") from None

    def _renewed(self, grant: TokenGrant) -> None:
        assert self._way is not None
        row, columns = self._credential, granted_columns(self._credential, self._way, grant, timezone.now())
        if not self._is_stored:
            for name, value in columns.items():
                setattr(row, name, value)
            return
        try:
            row.fenced_update(**columns)
        except leases.LeaseLost:  # a person has reconnected meanwhile: what they brought counts
            self._read_again()
            return
        row.release()
        log.info("access renewed", credential=str(row.pk), provider=row.provider)

    def _failed(self, error: ProviderError) -> bool:
        """Write the failure down; True if it no longer matters, because a person has reconnected meanwhile."""
        if not self._is_stored:
            return False
        row = self._credential
        try:
            if isinstance(error, CredentialsRefused):
                row.prove_lease()
                self.refuse(error)
            else:
                row.fenced_update(state=CredentialState.OK)
        except leases.LeaseLost:
            self._read_again()
            return True
        row.release()
        return False

    def refuse(self, error: CredentialsRefused) -> None:
        """The provider will not have what we showed it; whoever reconnected or renewed it since is left alone."""
        refuse(self._credential.pk, error, lease_no=self._credential.lease_no)


def refuse(credential_id: UUID, error: CredentialsRefused, *, lease_no: int) -> None:
    """The provider will not have this credential any more: everything that uses it waits for a person.

    lease_no  of the credential that was refused; another one by now means other secrets, of which nothing is known
    """
    refused = Credential.objects.filter(pk=credential_id, lease_no=lease_no).update(
        state=CredentialState.RECONNECT,
        error_kind=error.kind,
        error=error.message[:500],
        next_step=error.next_step[:500],
        failed_at=timezone.now(),
    )
    if not refused:
        return
    log.warning("credential refused", credential=str(credential_id), message=error.message, detail=error.detail)
    changes.announce(f"credential-{credential_id}", "credentials")
