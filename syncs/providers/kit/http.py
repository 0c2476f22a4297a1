"""The HTTP client under all requests: aiohttp's engine in httpx's clothes."""

from http.cookiejar import DefaultCookiePolicy

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from syncs.providers.kit.guard import Allows, guarded_socket

CONNECT_S = 10.0
READ_S = 130.0  # Salesforce lets a query run for 120 s
TIMEOUT = httpx.Timeout(connect=CONNECT_S, read=READ_S, write=30.0, pool=60.0)


def make_http(max_connections: int = 100, *, allows: Allows | None = None) -> httpx.AsyncClient:
    """The HTTP client that all credentials of a process share: aiohttp's engine, no redirects, no cookies, no proxy.

    Cookies are refused twice (httpx and aiohttp each keep a jar): one account's must never reach another's requests.
    allows  for addresses that people described: opens sockets to public addresses only, and to what this lets pass
    """
    limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=max_connections,
            ssl=transport.ssl_context,
            keepalive_timeout=20,
            socket_factory=guarded_socket(allows) if allows else None,
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    transport = AiohttpTransport(limits=limits, client=session)
    http = httpx.AsyncClient(
        transport=transport,
        follow_redirects=False,
        timeout=TIMEOUT,
        headers={"User-Agent": "Sequin-Console", "Accept-Encoding": "gzip"},
        trust_env=False,
    )
    http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return http
