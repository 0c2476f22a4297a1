"""One-time links to sign in by: for the first admin, for invited people, and for who forgot her password."""

import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from sequin_console.accounts.models import SignInLink, User
from sequin_console.accounts.tokens import digest

GOOD_FOR = timedelta(hours=24)
FORGOTTEN_AFTER = timedelta(days=30)


def create(user: User) -> str:
    """Return the URL path of a new link for this user; only its digest is kept."""
    secret, now = secrets.token_urlsafe(32), timezone.now()
    with transaction.atomic():
        SignInLink.objects.filter(expires_at__lt=now - FORGOTTEN_AFTER).delete()
        SignInLink.objects.create(user=user, digest=digest(secret), expires_at=now + GOOD_FOR)
    return reverse("accounts:link", args=[secret])


def full_url(path: str, base_url: str = "") -> str:
    return (base_url or settings.PUBLIC_URL).rstrip("/") + path


def consume(secret: str) -> tuple[User | None, str]:
    """Use the link up: (its user, "") to one caller only; (None, "used" or "expired") to all others."""
    now, link = timezone.now(), SignInLink.objects.select_related("user").filter(digest=digest(secret)).first()
    if link is None or not link.user.is_active:
        return None, "expired"
    if SignInLink.objects.filter(pk=link.pk, used_at=None, expires_at__gt=now).update(used_at=now) == 1:
        return link.user, ""
    return None, "used" if SignInLink.objects.filter(pk=link.pk).exclude(used_at=None).exists() else "expired"
