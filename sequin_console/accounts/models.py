"""Who acts here: people, API tokens, and the one-time links people sign in by."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.utils import timezone

from sequin_console.accounts.rights import RightsQuerySet, Role

__all__ = ["ApiToken", "Role", "SignInLink", "User"]


class PeopleManager(UserManager.from_queryset(RightsQuerySet)):  # type: ignore[misc]
    """People by right, and Django's ways to create them."""

    use_in_migrations = False

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **fields: Any
    ) -> Any:
        """For `manage.py createsuperuser`: here a superuser is an admin, no more."""
        return self.create_user(username, email, password, **{**fields, "role": Role.ADMIN})


class User(AbstractUser):
    """A person. Deactivated, never deleted: the activity log keeps naming her."""

    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)

    objects: ClassVar = PeopleManager()

    class Meta(AbstractUser.Meta):
        ordering = ("username",)

    @property
    def actor_name(self) -> str:
        """How she is called in the activity log."""
        return self.get_full_name() or self.username


class ApiToken(models.Model):
    """A program's right to use the API. Only the token's digest is stored; see tokens.py."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, help_text="The token's first letters, so that people can tell it apart.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token, in hex.")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = RightsQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def actor_name(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        is_expired = self.expires_at is not None and self.expires_at <= timezone.now()
        return self.revoked_at is None and not is_expired

    is_authenticated = True  # as on User, so that either can be `request.user`

    @property
    def state(self) -> str:
        """In a word, for pages: active, expired or revoked."""
        if self.revoked_at:
            return "revoked"
        return "active" if self.is_active else "expired"


class SignInLink(models.Model):
    """A link that signs one person in, once; see links.py."""

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the link's secret, in hex.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"sign-in link of {self.user_id}"
