"""Signing in and out, as the activity log hears of it."""

from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from sequin_console.accounts import sessions
from sequin_console.common import audit


@receiver(user_logged_in)
def signed_in(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    sessions.note(request)
    audit.record(user, "user.signed_in", user, {"browser": request.session[sessions.SIGNED_IN]["browser"]})


@receiver(user_logged_out)
def signed_out(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    if user is not None:
        audit.record(user, "user.signed_out", user)


@receiver(user_locked_out)
def locked_out(sender: Any, username: str = "", **kwargs: Any) -> None:
    """Too many failed tries. The name is what was typed: it need not be anybody's."""
    audit.record(None, "user.locked_out", None, {"name": username or ""})
