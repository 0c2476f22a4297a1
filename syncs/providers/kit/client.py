"""Requests to one account: paced, renewed, retried and limited in time. Answers come back whole or not at all."""

import asyncio
import random as chance
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import httpx

from syncs.providers.kit import raw
from syncs.providers.kit.access import Access, AccessSource, CannotRenew
from syncs.providers.kit.answers import Answer, no_error, no_quota, no_stop, retry_after
from syncs.providers.kit.errors import (
    CredentialsRefused,
    HostGone,
    ProviderError,
    RateLimited,
    UnexpectedShape,
    UpstreamFailed,
)
from syncs.providers.kit.guard import refusal
from syncs.providers.kit.http import TIMEOUT
from syncs.providers.kit.mask import excerpt
from syncs.providers.kit.quota import Quota
from syncs.providers.kit.times import parse_http_date
from syncs.providers.kit.urls import with_params as with_params
from syncs.providers.kit.urls import without_params

if TYPE_CHECKING:
    from syncs.providers.kit.catalogue import Provider

TRIES = 3
FIRST_WAIT_S = 0.5
PATIENCE_S = 3.0  # a pause this short is sat out here; a longer one goes back to the engine
TOTAL_S = 300.0
MAX_BODY_BYTES = 256 * 1024 * 1024


class Client:
    """Sends requests for one credential; every request passes the same gate, pause and classification.

    draw_read_no  called as a request leaves: later reads have higher numbers
    classify      the provider's reading of an answer: None if it is good, else what went wrong.
                  RateLimited pauses all requests of this client. UpstreamFailed is tried again at once
    on_quota      told each budget that an answer tells of
    spare_quota   such a budget -> why no further request may leave, None while it may
    before_leaving  awaited before a request leaves; raises what forbids it
    may_move      the token answer says where the API lives: a host name that is gone is worth a renewal, once
    settings      what readers go by, by name: the connection's settings; tests lower thresholds with it
    waiting       entered while an answer is waited for
    give_up_at    by `clock`: no answer is waited for beyond, for then our own work must be over
    per_s         requests a second at most; 0: as fast as they go
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        source: AccessSource,
        *,
        draw_read_no: Callable[[], int],
        classify: Callable[[Answer], ProviderError | None] = no_error,
        read_quota: Callable[[Mapping[str, str]], Sequence[Quota]] = no_quota,
        on_quota: Callable[[Quota], None] | None = None,
        spare_quota: Callable[[Quota], ProviderError | None] = no_stop,
        before_leaving: Callable[[], Awaitable[None]] | None = None,
        may_move: bool = False,
        concurrency: int = 4,
        per_s: float = 0.0,
        settings: Mapping[str, Any] | None = None,
        waiting: Callable[[], AbstractContextManager[Any]] = nullcontext,
        give_up_at: float = float("inf"),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self.settings = dict(settings or {})
        self.concurrency = concurrency
        self._http, self._source = http, source
        self._draw_read_no, self._classify = draw_read_no, classify
        self._read_quota, self._on_quota, self._spare_quota = read_quota, on_quota, spare_quota
        self._quotas: dict[str, Quota] = {}
        self._before_leaving = before_leaving
        self._may_move = may_move
        self._waiting, self._give_up_at = waiting, give_up_at
        self._sleep, self._clock, self._random = sleep, clock, random
        self._slots = asyncio.Semaphore(concurrency)
        self._paused_until = 0.0
        self._per_s = per_s
        self._server_now: datetime | None = None
        self._lanes: dict[str, float] = {}

    @classmethod
    def of(cls, provider: "Provider", http: httpx.AsyncClient, source: AccessSource, **options: Any) -> "Client":
        """A client that reads answers as this provider means them."""
        own = {"concurrency": provider.concurrency, "per_s": provider.per_s, "spare_quota": provider.spare_quota}
        options = {**own, "may_move": not provider.api_url, **options}
        return cls(http, source, classify=provider.classify, read_quota=provider.read_quota, **options)

    async def get(
        self, path: str, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """GET a path below the API's base URL, or a whole URL on the same host.

        The body is one whole JSON value, its text repaired (`raw.repaired`).
        `params` are added to a query the path may already have.
        """
        return await self.send("GET", path, params=params, headers=headers)

    async def post(
        self, path: str, json: Any = None, headers: Mapping[str, str] | None = None, *, most_tries: int = 0
    ) -> Answer:
        """POST a JSON body. Unless `most_tries` is 1 it must be repeatable: a lost answer is asked for again."""
        return await self.send("POST", path, most_tries=most_tries, json=json, headers=headers)

    def server_now(self) -> datetime:
        """The provider's time in its latest `Date` header, never later than ours. Raises UnexpectedShape before any."""
        if self._server_now is None:
            raise UnexpectedShape("The provider has not told its time yet.")
        return self._server_now

    async def wait(self, seconds: float) -> None:
        """Wait between two requests, as a reader must for a job upstream."""
        await self._sleep(seconds)

    async def turn(self, lane: str, per_s: float) -> None:
        """Wait until a request of this lane may leave, `per_s` a second: where upstream counts some kinds apart."""
        now = self._clock()
        at = max(now, self._lanes.get(lane, now))
        self._lanes[lane] = at + 1 / per_s
        if at > now:
            await self._sleep(at - now)

    async def access(self) -> Access:
        """The access that requests go out with."""
        return await self._source.access()

    async def renew(self, refused: Access) -> Access:
        """Fresh access in place of what was refused inside an answer that looks good. Raises CredentialsRefused."""
        return await self._source.renew(refused)

    async def send(self, method: str, path: str, *, is_json: bool = True, most_tries: int = 0, **parts: Any) -> Answer:
        """One good answer, or what went wrong.

        1. A refused token is renewed once, and the request repeated.
        2. A transient fault (no connection, 5xx, broken body) is tried three times (or `most_tries`), with growing,
           jittered waits.
        3. A rate limit pauses every request of this client; a short one is sat out, a long one is raised.
        4. A host whose name is gone has moved, perhaps: renewed access names the new one.

        parts  params, headers, and the body as `json` or `data` (a form)
        """
        access = await self._source.access()
        renewed = False
        tries = 0
        while True:
            await self._gate()
            error: ProviderError
            try:
                return await self._once(method, path, access, is_json, parts)
            except CredentialsRefused as refusal:
                if renewed:
                    raise
                try:
                    access, renewed = await self._source.renew(access), True
                except CannotRenew:
                    raise refusal from None
                continue
            except RateLimited as limited:
                self._pause(limited.retry_after_s)
                if (limited.retry_after_s or 0.0) > PATIENCE_S:
                    raise
                error = limited
            except UpstreamFailed as failed:
                if isinstance(failed, HostGone) and self._may_move:
                    self._may_move = False
                    with suppress(CredentialsRefused):  # a pasted key has no renewal, and is none the worse for it
                        access = await self._source.renew(access)
                    continue
                error = failed
            tries += 1
            if tries >= (most_tries or TRIES) or self._clock() >= self._give_up_at:
                raise error
            await self._sleep(FIRST_WAIT_S * 2 ** (tries - 1) * (0.5 + self._random() / 2))

    async def _once(self, method: str, path: str, access: Access, is_json: bool, parts: dict[str, Any]) -> Answer:
        url = with_params(without_params(self._url(access, path), access.params), parts.get("params"))
        url = with_params(url, access.params)
        headers = {**access.headers, **(parts.get("headers") or {})}
        async with self._slots:
            read_no = self._draw_read_no()
            try:
                with self._waiting():
                    async with asyncio.timeout(min(TOTAL_S, self._give_up_at - self._clock())):
                        answer = await self._exchange(method, url, headers, is_json, parts, read_no)
            except TimeoutError:
                raise UpstreamFailed("The provider did not answer in time.", detail="TimeoutError") from None
            except (httpx.HTTPError, aiohttp.ClientError, OSError) as fault:
                if refused := refusal(fault):
                    raise refused from None
                # The exception's text may hold the URL; its type says enough.
                gone = isinstance(fault.__cause__ or fault, aiohttp.ClientConnectorDNSError)
                kind = HostGone if gone else UpstreamFailed
                raise kind("The provider did not answer.", detail=type(fault).__name__) from None
        self._note(answer)
        error = self._classify(answer) or self._fault(answer, is_json)
        if error is None:
            return answer
        secrets = [word for value in access.headers.values() for word in value.split()]
        secrets += [word for value in access.params.values() for word in (value, quote(value, safe=""))]
        error.read_no = answer.read_no
        error.detail = f"{answer.status} {excerpt(answer.body, secrets)}"
        if error.retry_after_s is None:
            error.retry_after_s = retry_after(answer)
        raise error

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], is_json: bool, parts: dict[str, Any], read_no: int
    ) -> Answer:
        sent = {name: parts[name] for name in ("json", "data") if parts.get(name) is not None}
        request = self._http.build_request(method, url, headers=headers, timeout=TIMEOUT, **sent)
        response = await self._http.send(request, stream=True)
        try:
            chunks, size = [], 0
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise UnexpectedShape("The provider sent an answer far larger than any page.")
                chunks.append(chunk)
        finally:
            await response.aclose()
        date = parse_http_date(response.headers.get("date"))
        body = b"".join(chunks)
        return Answer(response.status_code, response.headers, raw.repaired(body) if is_json else body, read_no, date)

    def _note(self, answer: Answer) -> None:
        if answer.date is not None and (self._server_now is None or answer.moment() > self._server_now):
            self._server_now = answer.moment()
        for quota in self._read_quota(answer.headers):
            self._quotas[quota.name] = quota
            if self._on_quota is not None:
                self._on_quota(quota)

    @staticmethod
    def _fault(answer: Answer, is_json: bool) -> ProviderError | None:
        """What is wrong with an answer whatever the provider: the last word after the provider's own."""
        if answer.status == 304:  # only who asked with `If-None-Match` gets it, and knows what has not changed
            return None
        if answer.status >= 500:
            return UpstreamFailed("The provider has trouble at the moment.")
        if answer.status == 429:
            return RateLimited("The provider asked us to slow down.")
        if answer.status == 401:
            return CredentialsRefused("The provider refused the credentials.")
        if answer.status >= 300:
            return UnexpectedShape("The provider gave an answer we do not understand.")
        if is_json and answer.status != 204 and not raw.is_json(answer.body):
            return UpstreamFailed("The provider's answer was cut off.")
        return None

    @staticmethod
    def _url(access: Access, path: str) -> str:
        if not path.startswith(("http://", "https://")):
            return access.base_url + path
        if path == access.base_url or path.startswith(access.base_url + "/"):
            return path
        raise UnexpectedShape("The provider pointed us to another host; the access token does not go there.")

    def _pause(self, seconds: float | None) -> None:
        wait_s = seconds if seconds is not None else FIRST_WAIT_S
        self._paused_until = max(self._paused_until, self._clock() + wait_s)

    async def _gate(self) -> None:
        """Let a request pass once no pause stands. Raises when there is one too long to sit out, or no quota for it."""
        for quota in self._quotas.values():
            if stop := self._spare_quota(quota):
                raise stop
        left_s = self._paused_until - self._clock()
        if left_s > PATIENCE_S:
            raise RateLimited("The provider asked us to slow down.", retry_after_s=left_s)
        if left_s > 0:
            await self._sleep(left_s)
        if self._per_s:
            await self.turn("", self._per_s)
        if self._before_leaving is not None:
            await self._before_leaving()
