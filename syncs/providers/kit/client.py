"""Requests to one account: paced, renewed, retried and limited in time. Answers come back whole or not at all."""

import asyncio
import random as chance
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from syncs.providers.kit import raw
from syncs.providers.kit.access import Access, AccessSource, FixedAccess
from syncs.providers.kit.errors import CredentialsRefused, ProviderError, RateLimited, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.mask import excerpt
from syncs.providers.kit.times import parse_http_date

if TYPE_CHECKING:
    from syncs.providers.kit.catalogue import Provider, Quota

TRIES = 3
FIRST_WAIT_S = 0.5
PATIENCE_S = 3.0  # a pause this short is sat out here; a longer one goes back to the engine
CONNECT_S = 10.0
READ_S = 130.0  # Salesforce lets a query run for 120 s
TOTAL_S = 300.0
MAX_BODY_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer. Header names are looked up without regard to case."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)
    read_no: int = 0
    date: datetime | None = None

    def moment(self) -> datetime:
        """The provider's own time when it answered. Raises UnexpectedShape when it did not say."""
        if self.date is None:
            raise UnexpectedShape("The provider answered without a date, so we cannot tell where reading stands.")
        return self.date


def no_error(_answer: Answer) -> ProviderError | None:
    return None


def no_quota(_headers: Mapping[str, str]) -> "Quota | None":
    return None


class Client:
    """Sends requests for one credential; every request passes the same gate, pause and classification.

    draw_read_no  called as a request leaves: later reads have higher numbers
    classify      the provider's reading of an answer: None if it is good, else what went wrong.
                  RateLimited pauses all requests of this client. UpstreamFailed is tried again at once
    settings      options for readers, by name; tests lower thresholds with it
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        source: AccessSource,
        *,
        draw_read_no: Callable[[], int],
        classify: Callable[[Answer], ProviderError | None] = no_error,
        read_quota: "Callable[[Mapping[str, str]], Quota | None]" = no_quota,
        on_quota: "Callable[[Quota], None] | None" = None,
        concurrency: int = 4,
        settings: Mapping[str, Any] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self.settings = dict(settings or {})
        self.concurrency = concurrency
        self._http, self._source = http, source
        self._draw_read_no, self._classify = draw_read_no, classify
        self._read_quota, self._on_quota = read_quota, on_quota
        self._sleep, self._clock, self._random = sleep, clock, random
        self._slots = asyncio.Semaphore(concurrency)
        self._paused_until = 0.0
        self._server_now: datetime | None = None

    @classmethod
    def of(cls, provider: "Provider", http: httpx.AsyncClient, source: AccessSource, **options: Any) -> "Client":
        """A client that reads answers as this provider means them."""
        options.setdefault("concurrency", provider.concurrency)
        return cls(http, source, classify=provider.classify, read_quota=provider.read_quota, **options)

    async def get(
        self, path: str, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """GET a path below the API's base URL, or a whole URL on the same host. The body is one whole JSON value.

        `params` are added to a query the path may already have.
        """
        return await self.send("GET", path, params=params, headers=headers)

    async def post(self, path: str, json: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """POST a JSON body. Only for requests that may be repeated: a lost answer is asked for again."""
        return await self.send("POST", path, json=json, headers=headers)

    def server_now(self) -> datetime:
        """The provider's time in its latest `Date` header, never ours. Raises UnexpectedShape before any answer."""
        if self._server_now is None:
            raise UnexpectedShape("The provider has not told its time yet.")
        return self._server_now

    async def wait(self, seconds: float) -> None:
        """Wait between two requests, as a reader must for a job upstream."""
        await self._sleep(seconds)

    async def access(self) -> Access:
        """The access that requests go out with."""
        return await self._source.access()

    async def send(self, method: str, path: str, *, is_json: bool = True, **parts: Any) -> Answer:
        """One good answer, or what went wrong.

        1. A refused token is renewed once, and the request repeated.
        2. A transient fault (no connection, 5xx, broken body) is tried three times, with growing, jittered waits.
        3. A rate limit pauses every request of this client; a short one is sat out, a long one is raised.
        """
        access = await self._source.access()
        renewed = False
        tries = 0
        while True:
            await self._sit_out_pause()
            error: ProviderError
            try:
                return await self._once(method, path, access, is_json, parts)
            except CredentialsRefused:
                if renewed or isinstance(self._source, FixedAccess):
                    raise
                access, renewed = await self._source.renew(access), True
                continue
            except RateLimited as limited:
                self._pause(limited.retry_after_s)
                if (limited.retry_after_s or 0.0) > PATIENCE_S:
                    raise
                error = limited
            except UpstreamFailed as failed:
                error = failed
            tries += 1
            if tries >= TRIES:
                raise error
            await self._sleep(FIRST_WAIT_S * 2 ** (tries - 1) * (0.5 + self._random() / 2))

    async def _once(self, method: str, path: str, access: Access, is_json: bool, parts: dict[str, Any]) -> Answer:
        url = with_params(self._url(access, path), parts.get("params"))
        headers = {**access.headers, **(parts.get("headers") or {})}
        async with self._slots:
            read_no = self._draw_read_no()
            try:
                async with asyncio.timeout(TOTAL_S):
                    answer = await self._exchange(method, url, headers, parts, read_no)
            except (httpx.HTTPError, aiohttp.ClientError, TimeoutError, OSError) as fault:
                # The exception's text may hold the URL; its type says enough.
                raise UpstreamFailed("The provider did not answer.", detail=type(fault).__name__) from None
        self._note(answer)
        error = self._classify(answer) or self._fault(answer, is_json)
        if error is None:
            return answer
        secrets = [word for value in access.headers.values() for word in value.split()]
        error.read_no = answer.read_no
        error.detail = f"{answer.status} {excerpt(answer.body, secrets)}"
        if error.retry_after_s is None:
            error.retry_after_s = retry_after(answer)
        raise error

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], parts: dict[str, Any], read_no: int
    ) -> Answer:
        request = self._http.build_request(method, url, headers=headers, json=parts.get("json"), timeout=_TIMEOUT)
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
        return Answer(response.status_code, response.headers, b"".join(chunks), read_no, date)

    def _note(self, answer: Answer) -> None:
        if answer.date is not None and (self._server_now is None or answer.date > self._server_now):
            self._server_now = answer.date
        quota = self._read_quota(answer.headers)
        if quota is not None and self._on_quota is not None:
            self._on_quota(quota)

    @staticmethod
    def _fault(answer: Answer, is_json: bool) -> ProviderError | None:
        """What is wrong with an answer whatever the provider: the last word after the provider's own."""
        if answer.status >= 500:
            return UpstreamFailed("The provider has trouble at the moment.")
        if answer.status == 429:
            return RateLimited("The provider asked us to slow down.")
        if answer.status == 401:
            return CredentialsRefused("The provider refused the credentials.")
        if answer.status >= 300:
            return UnexpectedShape("The provider gave an answer we do not understand.")
        if is_json and answer.status != 204 and not raw.is_json(raw.repaired(answer.body)):
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

    async def _sit_out_pause(self) -> None:
        left_s = self._paused_until - self._clock()
        if left_s > PATIENCE_S:
            raise RateLimited("The provider asked us to slow down.", retry_after_s=left_s)
        if left_s > 0:
            await self._sleep(left_s)


def with_params(url: str, params: Mapping[str, Any] | None) -> str:
    """The URL with these parameters added to its query. (httpx would put them in its query's place, or drop it.)"""
    if not params:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"


def retry_after(answer: Answer) -> float | None:
    """Seconds to wait by the `Retry-After` header: a number, or a date less the answer's own date. None without."""
    text = (answer.headers.get("retry-after") or "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        until = parse_http_date(text)
    if until is None:
        return None
    return max(0.0, (until - (answer.date or datetime.now(UTC))).total_seconds())


_TIMEOUT = httpx.Timeout(connect=CONNECT_S, read=READ_S, write=30.0, pool=60.0)


def make_http(max_connections: int = 100) -> httpx.AsyncClient:
    """The HTTP client that all credentials of a process share: aiohttp's engine, no redirects, no cookies, no proxy.

    Cookies are refused twice (httpx and aiohttp each keep a jar): one account's must never reach another's requests.
    """
    limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=max_connections, ssl=transport.ssl_context, keepalive_timeout=20)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    transport = AiohttpTransport(limits=limits, client=session)
    http = httpx.AsyncClient(
        transport=transport,
        follow_redirects=False,
        timeout=_TIMEOUT,
        headers={"User-Agent": "Sequin-Console", "Accept-Encoding": "gzip"},
        trust_env=False,
    )
    http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return http
