"""Requests as a budget: counted by purpose as they leave, and kept within the share a sync was granted.

Counts stay in memory during a run and are added to the hour's with its end (`Account.save`). A sync with a share takes
requests out of its window some at a time, before they leave, so that several workers never exceed it together; what a
run took and did not use goes back. Whoever dies in between has used it: the share errs on the safe side.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from sequin_console.common.runner import Orm
from syncs.engine.quota import granted, used_now, window_end
from syncs.models import NO_SYNC, Credential, Purpose, RequestCount, Sync
from syncs.providers.kit.errors import RateLimited
from syncs.providers.kit.quota import Quota

AT_A_TIME = 20  # requests taken out of a sync's share at once
ALL = 100  # percent: no share is kept


class ShareUsed(RateLimited):
    """A sync has sent what it may send in this window. `until`: when the next one begins. Nobody else waits."""

    def __init__(self, until: datetime) -> None:
        super().__init__("This sync has used its share of the requests.")
        self.until = until


@dataclass(frozen=True)
class Told:
    """A provider's budget, and when it told of it."""

    quota: Quota
    at: datetime

    @property
    def resets_at(self) -> datetime:
        """When the window that runs now ends: told by the provider, or by the clock where it says nothing."""
        return window_end(self.quota, told_at=self.at, now=timezone.now())

    @property
    def used(self) -> int:
        return used_now(self.quota, told_at=self.at, now=timezone.now())

    @property
    def left(self) -> int:
        return max(0, self.quota.allowed - self.used)  # some let themselves be overdrawn


def budgets(credential: Credential) -> list[Told]:
    """The budgets a connection's provider told of last; first the one that shares are measured by."""
    return sorted(told_by(credential).values(), key=lambda each: -each.quota.period_s)


def told_by(credential: Credential) -> dict[str, Told]:
    """The budgets a connection's provider told of last, by name."""
    rows = ({**row, "at": datetime.fromisoformat(row["at"])} for row in credential.quotas)
    found = [Told(at=row.pop("at"), quota=Quota(**row)) for row in rows]
    return {each.quota.name: each for each in found}


def main_of(told: Iterable[Told]) -> Told | None:
    """The budget that shares are measured by: the one with the longest window."""
    return max(told, key=lambda each: each.quota.period_s, default=None)


# --- Spending --------------------------------------------------------------------------------------------------------


class Purse:
    """One sync's requests in one task: what it has sent, by purpose, and what it has taken of its share.

    allowance  the budget its share is measured by, as last told; None before the provider told of any
    """

    def __init__(self, sync: Sync, orm: Orm, allowance: Callable[[], Told | None]) -> None:
        self.sync, self.sent = sync, Counter[str]()
        self._orm, self._allowance = orm, allowance
        self._taking = asyncio.Lock()
        self._taken = 0
        self._owed = 0  # sent before anything was known to share
        self._ends_at: datetime | None = None

    async def spend(self, purpose: str) -> None:
        """Count a request that is about to leave. Raises ShareUsed when the sync may send no more in this window."""
        if self.sync.quota_percent < ALL:
            async with self._taking:
                if self._allowance() is None:
                    self._owed += 1
                else:
                    if not self._taken:
                        await self._orm(self._take)
                    self._taken -= 1
        self.sent[purpose] += 1

    def _take(self) -> None:
        told, now = self._allowance(), timezone.now()
        assert told is not None
        with transaction.atomic():
            row = Sync.objects.select_for_update().get(pk=self.sync.pk)
            used, ends_at = row.quota_used, row.quota_resets_at
            if ends_at is None or ends_at <= now:
                used, ends_at = 0, told.resets_at
            used += self._owed
            limit = granted(told.quota, row.quota_percent) if row.quota_percent < ALL else used + AT_A_TIME
            taken = max(0, min(AT_A_TIME, limit - used))
            Sync.objects.filter(pk=row.pk).update(quota_used=used + taken, quota_resets_at=ends_at)
        self._owed, self._taken, self._ends_at = 0, taken, ends_at
        if not taken:
            raise ShareUsed(ends_at)

    def give_back(self) -> None:
        """Return what was taken and not sent, to the window it was taken from."""
        if self._taken:
            mine = Sync.objects.filter(pk=self.sync.pk, quota_resets_at=self._ends_at, quota_used__gte=self._taken)
            mine.update(quota_used=F("quota_used") - self._taken)
        self._taken = 0


_purse: ContextVar[Purse] = ContextVar("purse")
_purpose: ContextVar[str] = ContextVar("purpose")


def spend_from(purse: Purse) -> None:
    """What this coroutine, and what it starts, sends from now on is this sync's."""
    _purse.set(purse)


def spend_for(purpose: Purpose) -> None:
    """What this coroutine, and what it starts, sends from now on is sent for this purpose."""
    _purpose.set(purpose)


async def before_leaving() -> None:
    """What a client asks before a request leaves. Raises ShareUsed."""
    await _purse.get().spend(_purpose.get(Purpose.POLLING))


# --- In the database -------------------------------------------------------------------------------------------------


def save_told(credential: Credential, told: Mapping[str, Told]) -> None:
    """Remember what the provider told; what it did not speak of stays."""
    after = {**told_by(credential), **told}
    rows = [asdict(each.quota) | {"at": each.at.isoformat()} for each in after.values()]
    Credential.objects.filter(pk=credential.pk).update(quotas=rows)
    credential.quotas = rows


def add_counts(credential_id: UUID, sent: Mapping[UUID, Mapping[str, int]]) -> None:
    """Add what was sent, by sync and purpose, to the counts of this hour. One statement."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    rows = sorted((sync_id, purpose, count) for sync_id, own in sent.items() for purpose, count in own.items() if count)
    if not rows:
        return
    values: list[Any] = []
    for sync_id, purpose, count in rows:
        row = RequestCount(credential_id=credential_id, sync_id=sync_id, purpose=purpose, hour=hour, count=count)
        fields = [field for field in RequestCount._meta.concrete_fields if not field.primary_key]
        values += [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    table, places = RequestCount._meta.db_table, ", ".join(["(%s, %s, %s, %s, %s)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (credential_id, sync_id, purpose, hour, count) VALUES {places} "
            "ON CONFLICT (credential_id, sync_id, purpose, hour) "
            f"DO UPDATE SET count = {table}.count + excluded.count",
            values,
        )


class Tally:
    """Requests of a page, the API or a listener: they are no sync's, and have no share."""

    def __init__(self, purpose: Purpose = Purpose.ASKING) -> None:
        self.purpose, self.sent, self.told = purpose, 0, dict[str, Told]()

    async def before_leaving(self) -> None:
        self.sent += 1

    def note(self, quota: Quota) -> None:
        self.told[quota.name] = Told(quota, timezone.now())

    def save(self, credential: Credential) -> None:
        """Write down what was sent and told since the last time."""
        sent, told, self.sent, self.told = self.sent, self.told, 0, {}
        if told:
            save_told(credential, told)
        add_counts(credential.pk, {NO_SYNC: {self.purpose: sent}})
