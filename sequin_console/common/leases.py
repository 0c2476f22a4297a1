"""Leases: the right of one worker to a unit of work until a given time, with a fencing number.

A lease saves wasted work; it does not by itself make writes safe. Safety comes from the fencing number: every write on
behalf of a unit goes through `fenced_update`, which fails once somebody else has taken the unit.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone


class LeaseLost(Exception):
    """Another worker has taken this unit since; whatever we still hold for it is stale."""


class Leased(models.Model):
    """A row that is a unit of work."""

    lease_no = models.PositiveBigIntegerField(default=0, help_text="Fencing number: grows each time it is taken.")
    lease_until = models.DateTimeField(null=True, blank=True, help_text="Held by a worker until then; null is free.")

    class Meta:
        abstract = True

    def fenced_update(self, **values: Any) -> None:
        """Write columns if this very lease still stands, and set them here too. Raises LeaseLost otherwise."""
        if not type(self)._base_manager.filter(pk=self.pk, lease_no=self.lease_no).update(**values):
            raise LeaseLost(f"{type(self).__name__} {self.pk} was taken by another worker")
        for name, value in values.items():
            setattr(self, name, value)

    def prove_lease(self) -> None:
        """Inside a transaction: fail unless this very lease still stands, and let nobody take it before commit."""
        self.fenced_update(lease_no=self.lease_no)

    def release(self) -> None:
        """Give the unit back early. Harmless when it was lost, or given back before."""
        if self.lease_until is not None:
            type(self)._base_manager.filter(pk=self.pk, lease_no=self.lease_no).update(lease_until=None)
            self.lease_until = None


T = TypeVar("T", bound=Leased)


def is_free(now: Any = None) -> Q:
    """A filter for rows nobody holds."""
    return Q(lease_until=None) | Q(lease_until__lt=now or timezone.now())


def until(seconds: float) -> datetime:
    """The end of a lease that begins now."""
    return timezone.now() + timedelta(seconds=seconds)


def take(model: type[T], pk: Any, *, seconds: float) -> T | None:
    """Take the lease of one row by compare-and-set; None when somebody else holds it or the row is gone."""
    now = timezone.now()
    won = model._base_manager.filter(is_free(now), pk=pk).update(lease_no=F("lease_no") + 1, lease_until=until(seconds))
    return model._base_manager.get(pk=pk) if won else None


def take_many(model: type[T], pks: Sequence[Any], *, seconds: float, related: Sequence[str] = ()) -> list[T]:
    """Take what is free among these rows, in their order, in three queries however many; `related` as select_related.

    A row that somebody just writes to is passed over, not waited for: so two takers can never block each other.
    """
    rows, now = model._base_manager.filter(pk__in=pks), timezone.now()
    with transaction.atomic():
        free = rows.filter(is_free(now)).order_by().select_for_update(skip_locked=True)
        won = list(free.values_list("pk", flat=True))
        if not won:
            return []
        rows.filter(pk__in=won).update(lease_no=F("lease_no") + 1, lease_until=until(seconds))
        taken = rows.select_related(*related).in_bulk(won) if related else rows.in_bulk(won)
    return [taken[pk] for pk in dict.fromkeys(pks) if pk in taken]


def seize(row: Leased, *, seconds: float) -> bool:
    """Take the lease of a row as it was just read; False when somebody holds it, or took it since."""
    as_read = type(row)._base_manager.filter(is_free(), pk=row.pk, lease_no=row.lease_no, lease_until=row.lease_until)
    lease_no, lease_until = row.lease_no + 1, until(seconds)
    if not as_read.update(lease_no=lease_no, lease_until=lease_until):
        return False
    row.lease_no, row.lease_until = lease_no, lease_until
    return True


@contextmanager
def hold_many(model: type[T], pks: Iterable[Any], *, seconds: float, related: Sequence[str] = ()) -> Iterator[list[T]]:
    """Take what is free among these rows, and release each afterwards, whatever happened."""
    taken = take_many(model, list(pks), seconds=seconds, related=related)
    try:
        yield taken
    finally:
        for row in taken:
            row.release()
