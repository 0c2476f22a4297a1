"""Webhooks of connections: set up, proven, mapped to hints, renewed, taken away.

A connection has one address, with an unguessable end. What comes to it is proven by the provider's own rule, and only
what it names is kept: polling remains the truth, so nothing depends on a delivery's order, number or content.
"""

import secrets as chance
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from sequin_console.accounts.tokens import digest
from sequin_console.common import audit, changes
from sequin_console.common.fields import Secrets
from sequin_console.common.problems import Problem, field_problem
from sequin_console.common.troubled import NO_TROUBLE, trouble
from syncs import access, asking, hints
from syncs.catalogue import PROVIDERS
from syncs.connections import spec_of
from syncs.models import Credential, SyncCollection, Webhook
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.errors import ProviderError, UnexpectedShape
from syncs.providers.kit.webhooks import Delivery, Registered, Told, Wanted
from syncs.providers.kit.webhooks import Webhook as Way
from syncs.states import CredentialState, Phase

MOST_BYTES = 2 * 1024 * 1024
TEND_EVERY = timedelta(days=1)  # what was registered by the API is looked after: new repositories, a lost hook
AGAIN_AFTER = timedelta(hours=1)
RENEW_BEFORE = timedelta(days=7)
TOLD_EVERY = timedelta(seconds=10)  # pages are told of deliveries no more often

log = structlog.get_logger(__name__)


def way_of(credential: Credential) -> Way:
    """How this connection's provider tells of changes. Raises Problem when it does not."""
    way = PROVIDERS[credential.provider].webhook
    if way is None:
        label = PROVIDERS[credential.provider].label
        raise Problem(f"{label} has no webhooks that we can use.", kind="conflict", status=409)
    return way


def url_of(row: Webhook) -> str:
    """The address to give to the provider. PUBLIC_URL alone builds it."""
    return settings.PUBLIC_URL + reverse("syncs:hook", args=[row.credential.provider, row.secrets["path"]])


def may_register(credential: Credential) -> bool:
    """Whether this connection's access can register by the API."""
    way = PROVIDERS[credential.provider].webhook
    return way is not None and way.register is not None and credential.kind in way.kinds


def signs_by_app(credential: Credential) -> bool:
    """Whether deliveries are signed with the OAuth app's secret, so that there is none to paste."""
    way = PROVIDERS[credential.provider].webhook
    return way is not None and way.app_signs and credential.oauth_app_id is not None


# --- What people do ------------------------------------------------------------------------------------------------


def set_up(credential: Credential, *, by: Any) -> Webhook:
    """Give the connection an address and, where that can be done, register it at the provider.

    Raises no Problem when the provider refuses to register: why is kept, and a person follows the steps.
    """
    way = way_of(credential)
    with transaction.atomic():
        row, is_new = Webhook.objects.select_for_update().get_or_create(credential=credential, defaults=_fresh(way))
        if is_new:
            audit.record(by, "webhook.set_up", credential)
    if may_register(credential):
        register(row)
    _announce(credential)
    return row


def _fresh(way: Way) -> dict[str, Any]:
    path = chance.token_urlsafe(32)
    made = {"path": path} | ({} if way.secret else {"secret": chance.token_hex(24)})
    return {"path_hash": digest(path), "secrets": Secrets(made)}


def keep_secret(row: Webhook, secret: str, *, by: Any) -> None:
    """Keep the signing secret that the provider shows. Raises Problem naming the field."""
    text = secret.strip()
    if not text or not text.isascii() or len(text) > 400:
        raise field_problem("secret", "This is no signing secret.", next_step="Copy it from the provider, as it is.")
    with transaction.atomic():
        row.secrets = Secrets({**row.secrets, "secret": text})
        row.refused, row.refused_at = 0, None
        row.save(update_fields=["secrets", "refused", "refused_at"])
        audit.record(by, "webhook.secret_changed", row.credential)
    _announce(row.credential)


def remove(row: Webhook, *, by: Any) -> None:
    """Take the address away, and the registration at the provider as far as it lets us; polling goes on alone."""
    way = way_of(row.credential)
    if row.is_registered and way.remove is not None:
        take_back, known = way.remove, dict(row.upstream)
        try:
            asking.ask_client(row.credential, lambda client: take_back(client, known))
        except (ProviderError, Problem) as error:
            log.warning("a webhook stays at its provider", credential=str(row.credential_id), error=str(error))
    with transaction.atomic():
        audit.record(by, "webhook.removed", row.credential)
        row.delete()
    _announce(row.credential)


def _announce(credential: Credential) -> None:
    topics = [f"credential-{credential.pk}", *(sync.topic for sync in credential.syncs.all())]
    transaction.on_commit(lambda: changes.announce(*topics))


# --- At the provider -----------------------------------------------------------------------------------------------


def register(row: Webhook) -> bool:
    """Ask the provider for deliveries, or renew what it was asked before; whether it agreed. Why not is kept."""
    way, credential = way_of(row.credential), row.credential
    assert way.register is not None
    ask = way.register
    wanted = Wanted(url_of(row), row.secrets.get("secret", ""), picked(credential), row.upstream)
    try:
        done = asking.ask_client(credential, lambda client: ask(client, wanted))
    except (ProviderError, Problem) as error:
        columns = trouble(error.kind, error.message, error.next_step, row.failures + 1)
        columns["tend_at"] = timezone.now() + AGAIN_AFTER if row.is_registered else None
    else:
        columns = _registered(row, done)
    Webhook.objects.filter(pk=row.pk).update(**columns)
    row.refresh_from_db()
    _announce(credential)
    return not row.error


def _registered(row: Webhook, done: Registered) -> dict[str, Any]:
    now = timezone.now()
    tend_at = now + TEND_EVERY
    if done.expires_at is not None:
        tend_at = min(tend_at, max(done.expires_at - RENEW_BEFORE, now + AGAIN_AFTER))
    columns: dict[str, Any] = {
        "upstream": dict(done.upstream),
        "is_registered": True,
        "expires_at": done.expires_at,
        "lacking": done.lacking[:500],
        "tend_at": tend_at,
        **NO_TROUBLE,
    }
    if done.secret:
        columns["secrets"] = Secrets({**row.secrets, "secret": done.secret})
    return columns


def picked(credential: Credential) -> tuple[Collection, ...]:
    """The collections that syncs read through this connection, each once."""
    rows = SyncCollection.objects.filter(sync__credential=credential).exclude(phase=Phase.REMOVING)
    return tuple({row.collection_id: spec_of(row) for row in rows.order_by("collection_id", "pk")}.values())


def to_tend() -> list[int]:
    """The webhooks to renew or to register again now, some at a time. Each is marked: nobody else takes it soon."""
    now = timezone.now()
    rows = Webhook.objects.filter(tend_at__lte=now).exclude(credential__state=CredentialState.RECONNECT)
    ids = list(rows.order_by("tend_at").values_list("pk", flat=True)[:20])
    if ids:
        Webhook.objects.filter(pk__in=ids).update(tend_at=now + AGAIN_AFTER)
    return ids


def tend(ids: list[int]) -> None:
    """Renew these registrations, or make them anew."""
    for row in Webhook.objects.filter(pk__in=ids, is_registered=True).select_related("credential__oauth_app"):
        register(row)


# --- What the provider sends ---------------------------------------------------------------------------------------


def find(provider_key: str, path: str) -> Webhook | None:
    """The webhook an address belongs to. One query."""
    rows = Webhook.objects.select_related("credential__oauth_app")
    return rows.filter(path_hash=digest(path), credential__provider=provider_key).first()


def receive(row: Webhook, headers: Mapping[str, str], body: bytes) -> list[int] | None:
    """Take one delivery: prove it, remember what it names, and return the feeds to wake.

    None when it cannot be proven: nothing of it is kept but that it came.
    """
    credential, now = row.credential, timezone.now()
    delivery = Delivery(headers, body, url_of(row), now)
    secrets = {**access.app_values(credential.oauth_app), **row.secrets}
    if signs_by_app(credential) and not row.secrets.get("secret"):
        secrets["secret"] = secrets.get("client_secret", "")
    way = way_of(credential)
    if not way.verify(delivery, secrets):
        Webhook.objects.filter(pk=row.pk).update(refused=F("refused") + 1, refused_at=now)
        log.warning("a webhook's delivery could not be proven", credential=str(credential.pk), bytes=len(body))
        _announce(credential)
        return None
    try:
        told = list(way.told(delivery))
    except UnexpectedShape as error:
        log.warning("a webhook's delivery is not understood", credential=str(credential.pk), detail=error.detail)
        told = []
    with transaction.atomic():
        feeds = [
            feed
            for account, part in _by_account(told).items()
            for feed in hints.note(_whose(credential, account), part)
        ]
        Webhook.objects.filter(pk=row.pk).update(
            received=F("received") + 1, last_event_at=now, refused=0, refused_at=None
        )
    if _is_news(row, now):
        _announce(credential)
    return feeds


def _by_account(told: Iterable[Told]) -> dict[str, list[Told]]:
    parts: dict[str, list[Told]] = {}
    for each in told:
        parts.setdefault(each.account, []).append(each)
    return parts


def _whose(credential: Credential, account: str) -> list[UUID]:
    """The connections an event is for: this one, or those to the account it names through the same OAuth app."""
    if not account or account == credential.account_id or credential.oauth_app_id is None:
        return [credential.pk] if account in ("", credential.account_id) else []
    same = Credential.objects.filter(oauth_app=credential.oauth_app_id, account_id=account)
    return list(same.values_list("pk", flat=True))


def _is_news(row: Webhook, now: datetime) -> bool:
    return row.refused > 0 or row.last_event_at is None or now - row.last_event_at > TOLD_EVERY
