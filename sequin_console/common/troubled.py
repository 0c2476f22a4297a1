"""Something that can be in trouble: the cause in words, the next step, and how often it failed in a row."""

from typing import Any

from django.db import models
from django.utils import timezone

NO_TROUBLE: dict[str, Any] = {"error_kind": "", "error": "", "next_step": "", "failures": 0, "failed_at": None}
"""Column values that say all is well."""


def trouble(kind: str, message: str, next_step: str, failures: int) -> dict[str, Any]:
    """Column values of something that has failed so many times in a row, just now."""
    words = {"error_kind": kind, "error": message[:500], "next_step": next_step[:500]}
    return {**words, "failures": failures, "failed_at": timezone.now()}


class Troubled(models.Model):
    """Columns every unit of work has, so that pages, API and log tell the same story about it."""

    error_kind = models.CharField(max_length=20, blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")
    next_step = models.CharField(max_length=500, blank=True, default="")
    failures = models.PositiveIntegerField(default=0, help_text="Failed tries since the last good one.")
    failed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
