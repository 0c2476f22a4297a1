"""Everything that changes a sync: made, changed, paused, read again, removed."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from sequin_console.common import audit, changes
from sequin_console.common.problems import Problem, field_problem
from sequin_console.common.troubled import NO_TROUBLE
from syncs import connections, field_picks
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, Feed, Sync, SyncCollection, SyncHead
from syncs.providers.kit.catalogue import Collection, Provider
from syncs.states import SYNC_TRANSITIONS, CredentialState, OnDrift, Phase, Removal, SyncState

SHORTEST_POLL_S, LONGEST_POLL_S = 2, 7 * 24 * 3600
BRAKE = ("brake_percent", "brake_at_least")
FRESH_BACKFILL: dict[str, Any] = {
    "phase": Phase.WAITING,
    "backfill_cursor": None,
    "backfill_read": 0,
    "backfill_total": None,
    "backfill_started_at": None,
    "retry_at": None,
    "removal": "",
    **NO_TROUBLE,
}


def create_sync(data: Mapping[str, Any], *, by: Any) -> Sync:
    """Make a sync and start it. Every collection is looked up at the provider first, so a typing error never starts.

    data  name, credential (a Credential), collection_ids, poll_s?, quota_percent?, external_id?, metadata?,
          brake_percent?, brake_at_least?, on_drift?, fields? (collection id to picked fields), paused? (to be set up
          before it reads)
    Raises Problem naming the field.
    """
    credential: Credential = data["credential"]
    if data.get("provider") and data["provider"] != credential.provider:
        raise field_problem("provider", f"The credential is for {credential.provider}, not {data['provider']}.")
    if credential.state == CredentialState.RECONNECT:
        raise field_problem("credential_id", "This connection must be reconnected first.")
    if not data.get("collection_ids"):
        raise field_problem("collection_ids", "No collection is picked.", next_step="Pick at least one.")
    picked = connections.collections_of(credential, list(data["collection_ids"]))
    sync = Sync(
        name=_name(data.get("name")),
        provider=credential.provider,
        credential=credential,
        poll_s=_poll_s(data.get("poll_s") or PROVIDERS[credential.provider].poll_s),
        quiet_poll_s=_quiet_poll_s(data, PROVIDERS[credential.provider]),
        state=SyncState.PAUSED if data.get("paused") else SyncState.ACTIVE,
        quota_percent=_percent(data.get("quota_percent")),
        external_id=data.get("external_id") or "",
        metadata=data.get("metadata") or {},
    )
    _set_brake(sync, data)
    _set_on_drift(sync, data)
    fields = _fields(data.get("fields") or {}, picked)
    with transaction.atomic():
        sync.save(force_insert=True)
        SyncHead.objects.create(sync=sync)
        _pick(sync, picked)
        for collection_id, chosen in fields.items():
            sync.collections.filter(collection_id=collection_id).update(fields=chosen)
        audit.record(by, "sync.created", sync, {"collections": [collection.id for collection in picked]})
    _announce(sync)
    return sync


def update_sync(sync: Sync, data: Mapping[str, Any], *, by: Any) -> Sync:
    """Change name, interval, collections or notes; what `data` does not name stays.

    `removal` says what becomes of the messages of collections no longer picked (Removal). Raises Problem.
    """
    if sync.state == SyncState.REMOVING:
        raise Problem("This sync is being removed.", kind="conflict", status=409)
    told: dict[str, Any] = {}
    if "name" in data:
        sync.name = told["name"] = _name(data["name"])
    if data.get("poll_s"):
        sync.poll_s = told["poll_s"] = _poll_s(data["poll_s"])
    if data.get("quota_percent") is not None:
        sync.quota_percent = told["quota_percent"] = _percent(data["quota_percent"])
    if data.get("quiet_poll_s") is not None:
        sync.quiet_poll_s = told["quiet_poll_s"] = _poll_s(data["quiet_poll_s"]) if data["quiet_poll_s"] else 0
    for key in ("external_id", "metadata"):
        if data.get(key) is not None:
            setattr(sync, key, data[key])
            told[key] = data[key]
    told |= _set_brake(sync, data) | _set_on_drift(sync, data)
    added: list[Collection] = []
    dropped: list[str] = []
    if data.get("collection_ids") is not None:
        wanted = list(data["collection_ids"])
        if not wanted:
            raise field_problem("collection_ids", "A sync needs a collection.", next_step="Or delete the sync.")
        has = set(sync.collections.exclude(phase=Phase.REMOVING).values_list("collection_id", flat=True))
        added = connections.collections_of(sync.credential, [key for key in wanted if key not in has])
        dropped = sorted(has - set(wanted))
        told |= {"added": [c.id for c in added], "removed": dropped}
    with transaction.atomic():
        columns = ("name", "poll_s", "quota_percent", *BRAKE, "on_drift", "external_id", "metadata", "updated_at")
        sync.save(update_fields=columns)
        if "quota_percent" in told:
            _let_spend(sync)
        if "poll_s" in told or "quiet_poll_s" in told:
            sync.feeds.update(pace_s=0)
        _pick(sync, added)
        if dropped:
            sync.collections.filter(collection_id__in=dropped).update(
                phase=Phase.REMOVING, removal=_removal(data.get("removal")), backfill_cursor=None, **NO_TROUBLE
            )
        audit.record(by, "sync.changed", sync, told)
    _announce(sync)
    return sync


def _let_spend(sync: Sync) -> None:
    """Its share has changed: if that is used up as well, the first request will tell."""
    Sync.objects.filter(pk=sync.pk).update(not_before=None)
    sync.feeds.update(due_at=timezone.now(), queued_until=None)


def _pick(sync: Sync, picked: Iterable[Collection]) -> None:
    """Add collections, each under its feed; one that was being removed is taken back and read from the beginning."""
    now = timezone.now()
    for collection in picked:
        feed, _ = Feed.objects.get_or_create(sync=sync, key=collection.feed)
        Feed.objects.filter(pk=feed.pk).update(due_at=now, **NO_TROUBLE)
        sweep_due_at = now + timedelta(hours=collection.sweep_every_h) if collection.sweep_every_h else None
        SyncCollection.objects.update_or_create(
            sync=sync,
            collection_id=collection.id,
            defaults={
                "feed": feed,
                "title": collection.title,
                "spec": asdict(collection),
                "sweep_due_at": sweep_due_at,
                **FRESH_BACKFILL,
            },
        )


def pause_sync(sync: Sync, *, by: Any) -> None:
    """Stop reading upstream; what is in the log is still delivered. Raises Problem if it is being removed."""
    _move(sync, SyncState.PAUSED, by, "sync.paused")


def resume_sync(sync: Sync, *, by: Any) -> None:
    """Read on from where it stopped. Raises Problem if it is being removed."""
    _move(sync, SyncState.ACTIVE, by, "sync.resumed")
    _wake(sync)


def look_now(sync: Sync, *, by: Any) -> None:
    """Look for changes at once, not when the interval says; a failed feed tries again too."""
    if sync.state != SyncState.ACTIVE:
        raise Problem("This sync is paused.", kind="conflict", next_step="Resume it first.", status=409)
    audit.record(by, "sync.looked_now", sync)
    _wake(sync)


def resync(sync: Sync, collection_ids: list[str] | None, *, by: Any) -> None:
    """Read collections (all if None) from their beginning again. Only what differs reaches the stream."""
    rows = sync.collections.exclude(phase=Phase.REMOVING)
    if collection_ids is not None:
        rows = rows.filter(collection_id__in=collection_ids)
        unknown = set(collection_ids) - set(rows.values_list("collection_id", flat=True))
        if unknown:
            raise field_problem("collection_ids", f"This sync has no collection {', '.join(sorted(unknown))}.")
    with transaction.atomic():
        rows.update(sweep_due_at=timezone.now(), **FRESH_BACKFILL)
        audit.record(by, "sync.resynced", sync, {"collections": collection_ids or "all"})
    _wake(sync)


def decide_deletes(collection: SyncCollection, decision: str, *, by: Any) -> None:
    """A person's answer to held deletes: `release` (they were deleted) or `drop` (we lost access). Raises Problem."""
    if decision not in ("release", "drop"):
        raise field_problem("decision", "Answer `release` or `drop`.")
    with transaction.atomic():
        won = SyncCollection.objects.filter(pk=collection.pk, held_deletes__gt=0).update(held_decision=decision)
        if not won:
            raise Problem("No deletes are held back here.", kind="conflict", status=409)
        audit.record(by, f"deletes.{decision}", collection, {"held": collection.held_deletes})
    _wake(collection.sync)


def remove_sync(sync: Sync, removal: str, *, by: Any) -> None:
    """Begin to remove a sync. Its rows go once the consumers have done with the messages what `removal` asks."""
    removal = _removal(removal)
    with transaction.atomic():
        Sync.objects.filter(pk=sync.pk).update(state=SyncState.REMOVING, removal=removal)
        audit.record(by, "sync.deleted", sync, {"messages": removal})
    sync.state, sync.removal = SyncState.REMOVING, removal
    _announce(sync)


def _move(sync: Sync, to: SyncState, by: Any, action: str) -> None:
    """Change state by compare-and-set; moving to where it is already is no error."""
    allowed = [old for old, new in SYNC_TRANSITIONS.items() if to in new]
    with transaction.atomic():
        if Sync.objects.filter(pk=sync.pk, state__in=allowed).update(state=to):
            audit.record(by, action, sync)
        elif not Sync.objects.filter(pk=sync.pk, state=to).exists():
            raise Problem("This sync is being removed.", kind="conflict", status=409)
    sync.state = to
    _announce(sync)


def _wake(sync: Sync) -> None:
    sync.feeds.update(due_at=timezone.now(), queued_until=None, **NO_TROUBLE)
    sync.collections.exclude(retry_at=None).update(retry_at=timezone.now())
    _announce(sync)


def _announce(sync: Sync) -> None:
    transaction.on_commit(lambda: changes.announce(sync.topic, "syncs"))


def _name(text: Any) -> str:
    name = str(text or "").strip()
    if not name:
        raise field_problem("name", "The sync has no name.", next_step="Give it one that your team will know it by.")
    if len(name) > 100:
        raise field_problem("name", "The name is longer than 100 characters.")
    return name


def _poll_s(value: Any) -> int:
    seconds = int(value)
    if not SHORTEST_POLL_S <= seconds <= LONGEST_POLL_S:
        raise field_problem("poll_s", f"The interval is from {SHORTEST_POLL_S} seconds to 7 days.")
    return seconds


def _set_brake(sync: Sync, data: Mapping[str, Any]) -> dict[str, int]:
    """How many records may go at once before a person is asked, where it is named; returns what was set."""
    told = {key: int(data[key]) for key in BRAKE if data.get(key) is not None}
    if not 0 <= told.get("brake_percent", 0) <= 100:
        raise field_problem("brake_percent", "The share is from 0 to 100 percent.")
    if not 0 <= told.get("brake_at_least", 0) <= 1_000_000_000:
        raise field_problem("brake_at_least", "The number of records is from 0 to 1,000,000,000.")
    for key, value in told.items():
        setattr(sync, key, value)
    return told


def _percent(value: Any) -> int:
    percent = 100 if value is None else int(value)
    if not 1 <= percent <= 100:
        raise field_problem("quota_percent", "The share is from 1 to 100 percent.")
    return percent


def _set_on_drift(sync: Sync, data: Mapping[str, Any]) -> dict[str, str]:
    """What to do when fields change, where it is named; returns what was set."""
    if not data.get("on_drift"):
        return {}
    if data["on_drift"] not in OnDrift.values:
        raise field_problem("on_drift", f"Answer one of {', '.join(OnDrift.values)}.")
    sync.on_drift = str(data["on_drift"])
    return {"on_drift": sync.on_drift}


def _fields(sent: Mapping[str, Any], picked: Iterable[Collection]) -> dict[str, dict[str, Any]]:
    """Picked fields by collection, as they are stored. Raises Problem."""
    specs = {collection.id: collection for collection in picked}
    if unknown := sorted(set(sent) - set(specs)):
        raise field_problem("fields", f"{unknown[0]} is not among this sync's collections.")
    return {key: field_picks.parsed(chosen, specs[key].kept) for key, chosen in sent.items()}


def _quiet_poll_s(data: Mapping[str, Any], provider: Provider) -> int:
    """What was asked for; who named no interval at all is given the provider's two."""
    if data.get("quiet_poll_s") is not None:
        return _poll_s(data["quiet_poll_s"]) if data["quiet_poll_s"] else 0
    return 0 if data.get("poll_s") else provider.quiet_poll_s


def _removal(value: Any) -> str:
    if value not in Removal.values:
        raise field_problem(
            "messages",
            "Say what becomes of the messages on the stream.",
            next_step="`leave` them, send `tombstones`, or `purge` their subjects.",
        )
    return str(value)
