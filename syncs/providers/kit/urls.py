"""Parameters put into a URL's query, and taken out, the rest of it untouched."""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote_plus, urlencode


def with_params(url: str, params: Mapping[str, Any] | None) -> str:
    """The URL with these parameters added to its query. (httpx would put them in its query's place, or drop it.)"""
    if not params:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"


def without_params(url: str, names: Collection[str]) -> str:
    """The URL without these parameters: an upstream may repeat our key in the URL of the next page."""
    address, mark, query = url.partition("?")
    if not names or not mark:
        return url
    kept = [part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in names]
    return f"{address}?{'&'.join(kept)}" if kept else address
