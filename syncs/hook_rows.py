"""What pages and the API show of a connection's webhook: its state, in words, and the next step."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from syncs import webhooks
from syncs.catalogue import PROVIDERS
from syncs.engine import hooks
from syncs.models import Credential, SyncCollection, Webhook
from syncs.providers.kit.webhooks import Webhook as Way
from syncs.states import HookState

PATIENCE = timedelta(hours=1)  # with a webhook that has never told of anything
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class HookRow:
    """A webhook as it is shown. `message` and `next_step` are empty while all is well."""

    row: Webhook
    way: Way
    name: hooks.State
    message: str
    next_step: str

    @property
    def state(self) -> HookState:
        return HookState(self.name)


def hook_row(credential: Credential, changed_at: datetime | None) -> HookRow | None:
    """The connection's webhook; None when none is set up. No query if `credential` was read with its webhook.

    changed_at  when a record read through it last changed
    """
    row, way = getattr(credential, "webhook", None), PROVIDERS[credential.provider].webhook
    if row is None or way is None:
        return None
    now = timezone.now()
    name = hooks.state_of(
        now=now,
        has_secret=bool(row.secrets.get("secret")) or webhooks.signs_by_app(credential),
        last_event_at=row.last_event_at,
        refused=row.refused,
        expires_at=row.expires_at,
        changed_at=changed_at,
    )
    return HookRow(row, way, name, *_words(row, HookState(name), PROVIDERS[credential.provider].label, now))


def last_change(credential: Credential) -> datetime | None:
    """When a record read through this connection last changed. One query."""
    return SyncCollection.objects.filter(sync__credential=credential).aggregate(at=Max("changed_at"))["at"]


def _words(row: Webhook, state: HookState, label: str, now: datetime) -> tuple[str, str]:
    """What is the matter, and what to do."""
    if state == HookState.ENDED:
        return f"{label} has ended it: it could not be renewed in time.", "Register it again."
    if state == HookState.UNSIGNED:
        return "Without the signing secret no delivery can be proven.", f"Copy it from {label} and paste it here."
    if state == HookState.REFUSED:
        count = f"{row.refused:,} deliveries" if row.refused > 1 else "1 delivery"
        return f"{count} with a wrong signature.", "Check the signing secret. Nothing of them was taken."
    if state == HookState.SILENT:
        return f"Records changed of which {label} did not tell.", (
            f"Check at {label} that the webhook is enabled and chooses all events. Looks go on meanwhile."
        )
    if row.error:
        return row.error, row.next_step
    if state == HookState.WAITING and now - row.created_at > PATIENCE:
        step = f"Check at {label} that it is enabled, and that {label} can reach {settings.PUBLIC_URL}."
        return f"{label} has not told of anything yet.", step
    return "", ""


def is_unreachable() -> bool:
    """Whether providers on the internet cannot deliver: PUBLIC_URL names this very machine."""
    return (urlsplit(settings.PUBLIC_URL).hostname or "") in LOOPBACK
