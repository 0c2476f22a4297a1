"""What GitHub's refusals mean, and what its headers say of limits.

Docs: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api and …/troubleshooting-the-rest-api
Answers carry `{"message": "…", "documentation_url": "…"}`; what matters may stand in headers instead.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from syncs.providers.kit.answers import Answer, retry_after
from syncs.providers.kit.errors import (
    CredentialsRefused,
    CursorLost,
    PermissionMissing,
    ProviderError,
    RateLimited,
    UnexpectedShape,
    UpstreamFailed,
)
from syncs.providers.kit.quota import HOUR_S, MINUTE_S, Quota
from syncs.providers.kit.times import parse_http_date

SECONDARY_S = 60.0  # GitHub's advice where a secondary limit names no time
_PASTE_ANEW = "Create a new token in GitHub (Settings, Developer settings) and paste it into the connection."


class NotThere(ProviderError):
    """404: it does not exist, or is hidden from us. GitHub does not say which."""


class Deleted(NotThere):
    """410 that says so: it was there once."""


class FeatureOff(ProviderError):
    """410 otherwise (issues turned off), or an empty git repository: there is nothing here, and that is no fault."""


class Blocked(ProviderError):
    """The whole repository is closed to everybody, by law or by GitHub."""


class Moved(ProviderError):
    """301 and the like: a repository was renamed or transferred. `url` is where it lives now."""

    def __init__(self, message: str, url: str) -> None:
        super().__init__(message)
        self.url = url


class PlaceLost(CursorLost):
    """GitHub does not know the page any more that the last one pointed at."""


class NotTaken(ProviderError):
    """A webhook that GitHub does not make: there are too many, it cannot reach the address. The message is GitHub's."""


class _Body(msgspec.Struct):
    message: str = ""
    url: str = ""
    errors: Any = None


def classify(answer: Answer) -> ProviderError | None:
    """None for a good answer (304 is one), else the error it means. The unknown is left to the client's last word."""
    status = answer.status
    if status < 300 or status == 304:
        return None
    said = _said(answer.body)
    if status in (301, 302, 307, 308):
        return Moved("The repository has moved.", answer.headers.get("location") or said.url)
    if status == 401:
        return _refused(said.message)
    if status in (403, 429):
        return _limited(answer, said.message) or _forbidden(answer, said.message)
    if status in (404, 451):
        return _absent(status)
    if status == 410 and "deleted" in said.message:
        return Deleted("It was deleted in GitHub.")
    if status == 410 or (status == 409 and "empty" in said.message):
        return FeatureOff("There is nothing of this kind in the repository.")
    if status == 422 and (about := _about_hook(said)):
        return NotTaken(about)
    if status == 422:
        return PlaceLost("GitHub no longer knows the page our reading stood at.")
    if status >= 500 or status == 408:
        return UpstreamFailed("GitHub has trouble at the moment.")
    if status == 400:
        return UnexpectedShape("GitHub did not understand our request.", next_step="Please report this.")
    return None


def _said(body: bytes) -> _Body:
    try:
        return msgspec.json.decode(body, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Body()


def _about_hook(said: _Body) -> str:
    """GitHub's words for a webhook it does not make; empty when it speaks of something else. Details may be texts."""
    first = said.errors[0] if isinstance(said.errors, list) and said.errors else None
    if not isinstance(first, dict) or first.get("resource") != "Hook":
        return ""
    return str(first.get("message") or said.message).rstrip(".")


def _refused(message: str) -> ProviderError:
    """401 means the token only where it says so: GitHub now and then answers 401 to good ones."""
    if "Bad credentials" in message or "Requires authentication" in message or "expired" in message:
        return CredentialsRefused("GitHub refused the token: it has expired or was revoked.", next_step=_PASTE_ANEW)
    return UpstreamFailed("GitHub has trouble at the moment.")


def _limited(answer: Answer, message: str) -> RateLimited | None:
    """The primary limit has a reset time, secondary ones a Retry-After or nothing; 403 and 429 both mean either."""
    words = message.lower()
    wait_s = retry_after(answer)
    if wait_s is None and answer.headers.get("x-ratelimit-remaining") == "0":
        resets_in_s = _resets_in_s(answer.headers, answer.date)
        wait_s = SECONDARY_S if resets_in_s is None else resets_in_s + 1
    if wait_s is None and (answer.status == 429 or "rate limit" in words or "abuse detection" in words):
        wait_s = SECONDARY_S
    return None if wait_s is None else RateLimited("GitHub asked us to slow down.", retry_after_s=wait_s)


def _forbidden(answer: Answer, message: str) -> ProviderError:
    if answer.headers.get("x-github-sso", "").startswith("required"):
        return PermissionMissing(
            "The organisation wants its single sign-on for this token.",
            next_step="In GitHub, open the token (Settings, Developer settings) and choose Configure SSO.",
        )
    if "blocked" in message or "disabled" in message:
        return Blocked("GitHub has closed this repository.")
    if "User-Agent" in message or "administrative rules" in message:
        return UnexpectedShape("GitHub did not understand our request.", next_step="Please report this.")
    wanted = answer.headers.get("x-accepted-github-permissions") or answer.headers.get("x-accepted-oauth-scopes") or ""
    shown = wanted.split(";")[0].strip()
    return PermissionMissing(
        f"The token or app may not read this ({shown})." if shown else "The token or app may not read this.",
        next_step="Give it this permission in GitHub (an app's installation must accept it, too), "
        "then press Test connection.",
    )


def _absent(status: int) -> ProviderError:
    if status == 451:
        return Blocked("GitHub has closed this repository for legal reasons.")
    return NotThere("GitHub does not show this to us: it does not exist, or access is missing.")


def read_quota(headers: Mapping[str, str]) -> Sequence[Quota]:
    """`x-ratelimit-used` of `x-ratelimit-limit`, of the budget that `x-ratelimit-resource` names: core, search …"""
    used, allowed = (headers.get(f"x-ratelimit-{name}") or "" for name in ("used", "limit"))
    if not (used.isdigit() and allowed.isdigit()):
        return ()
    name = headers.get("x-ratelimit-resource") or "core"
    period_s = MINUTE_S if "search" in name else HOUR_S
    date = parse_http_date(headers.get("date"))
    return (Quota(int(used), int(allowed), name, period_s, _resets_in_s(headers, date)),)


def _resets_in_s(headers: Mapping[str, str], date: datetime | None) -> float | None:
    """`x-ratelimit-reset: 1795600000`, by GitHub's own clock, as its `Date` is."""
    reset = headers.get("x-ratelimit-reset") or ""
    return max(0.0, int(reset) - date.timestamp()) if reset.isdigit() and date else None
