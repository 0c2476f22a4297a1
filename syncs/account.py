"""One credential at work during a task."""

from collections.abc import Callable
from contextvars import ContextVar
from uuid import UUID

from django.utils import timezone

from sequin_console.common import trace
from sequin_console.common.runner import Orm
from syncs import access, budget
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, Sync
from syncs.providers.kit.client import Client
from syncs.providers.kit.quota import Quota

draw_read_no: ContextVar[Callable[[], int]] = ContextVar("draw_read_no")  # of the feed that is being read


class Account:
    """One credential during a task: its feeds share a client, hence its pace, its pause and its budget.

    give_up_at  time.monotonic(): no answer is waited for beyond, so that a provider's silence can still be told
    """

    def __init__(self, credential: Credential, orm: Orm, give_up_at: float) -> None:
        self.credential = credential
        self._orm = orm
        self._told: dict[str, budget.Told] = {}
        self._purses: dict[UUID, budget.Purse] = {}
        self.source = access.StoredAccess(credential, orm)
        provider = PROVIDERS[credential.provider]
        self.client = Client.of(
            provider,
            access.http_for(provider),
            self.source,
            draw_read_no=lambda: draw_read_no.get()(),
            on_quota=self._note_quota,
            before_leaving=budget.before_leaving,
            settings=credential.settings,
            waiting=lambda: trace.span("fetch"),
            give_up_at=give_up_at,
        )

    def purse(self, sync: Sync) -> budget.Purse:
        """What pays for this sync's requests."""
        if sync.pk not in self._purses:
            self._purses[sync.pk] = budget.Purse(sync, self._orm, self._allowance)
        return self._purses[sync.pk]

    def _allowance(self) -> budget.Told | None:
        return budget.main_of((budget.told_by(self.credential) | self._told).values())

    def _note_quota(self, quota: Quota) -> None:
        self._told[quota.name] = budget.Told(quota, timezone.now())

    def save(self) -> None:
        """Write down what was sent since the last time, and what the provider told of its budgets."""
        sent = {sync_id: dict(purse.sent) for sync_id, purse in self._purses.items()}
        for purse in self._purses.values():
            purse.sent.clear()
            purse.give_back()
        budget.add_counts(self.credential.pk, sent)
        if self._told:
            budget.save_told(self.credential, self._told)
