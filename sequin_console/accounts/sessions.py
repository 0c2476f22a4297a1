"""A person's open sessions: which browsers are signed in, and how to end them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from sequin_console.accounts.tokens import digest
from sequin_console.common import changes
from sequin_console.common.feeds import user_topic

SIGNED_IN = "signed_in"  # where the session keeps what `note` writes
BROWSERS = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
SYSTEMS = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS": "macOS"}


@dataclass(frozen=True)
class OpenSession:
    """One browser that is signed in. `id` names it on pages; the key itself is a secret."""

    id: str
    key: str
    browser: str
    ip: str
    at: datetime | None
    is_current: bool


def note(request: HttpRequest) -> None:
    """Keep in the session from where it was opened; called at sign-in."""
    agent = request.headers.get("User-Agent", "")
    names = [next((name for mark, name in marks.items() if mark in agent), "") for marks in (BROWSERS, SYSTEMS)]
    request.session[SIGNED_IN] = {
        "browser": " on ".join(filter(None, names)) or agent[:60] or "Unknown browser",
        "ip": request.META.get("REMOTE_ADDR", ""),
        "at": timezone.now().isoformat(),
    }


def of(user: Any, current_key: str | None = None) -> list[OpenSession]:
    """This person's sessions, newest first. Django keeps no index of them by user: all live ones are read."""
    found = []
    for session in Session.objects.filter(expire_date__gt=timezone.now()):
        content = session.get_decoded()
        if content.get(SESSION_KEY) != str(user.pk):
            continue
        seen, key = content.get(SIGNED_IN, {}), session.session_key
        at = parse_datetime(seen["at"]) if seen.get("at") else None
        named = {"browser": seen.get("browser", "Unknown browser"), "ip": seen.get("ip", "")}
        found.append(OpenSession(id=digest(key)[:16], key=key, at=at, is_current=key == current_key, **named))
    return sorted(found, key=lambda one: (one.at is not None, one.at), reverse=True)


def end(user: Any, *, only: str | None = None, keep_key: str | None = None) -> int:
    """End her sessions: the one with id `only`, or all but `keep_key`. Her sockets close at once. Returns how many."""
    keys = [one.key for one in of(user) if one.key != keep_key and only in (None, one.id)]
    ended, _ = Session.objects.filter(session_key__in=keys).delete()
    changes.announce(user_topic(user.pk))
    return ended
