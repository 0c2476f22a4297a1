"""What a change of a definition means for those who use it: refused, read from the beginning, or taken over."""

from dataclasses import asdict, dataclass

from django.db.models import F, QuerySet
from django.utils import timezone

from sequin_console.common.fields import Secrets
from sequin_console.common.problems import Problem, field_problem
from syncs.models import Credential, CustomProvider, Feed, OAuthApp, SyncCollection
from syncs.providers.custom.catalogue import collections_of
from syncs.providers.custom.definition import CustomCollection, Definition, origins
from syncs.providers.custom.signin import SUFFIXES
from syncs.services import FRESH_BACKFILL
from syncs.states import CredentialState, Phase

# What says which records there are, and what they are called. Other things change how they are fetched.
_IDENTITY = ("path", "params", "list_at", "id_at", "updated_at")
MOVED = "The address of this API has changed, and stored secrets do not follow to another one."


@dataclass(frozen=True)
class Anew:
    """Collections to be read from their beginning again: their ids and titles, and the syncs that read them."""

    ids: list[str]
    titles: list[str]
    syncs: list[str]

    def __bool__(self) -> bool:
        return bool(self.ids)


def users_of(row: CustomProvider) -> list[str]:
    """Names of the connections and OAuth apps that use a described API."""
    names = [
        f"connection “{name}”" for name in Credential.objects.filter(provider=row.key).values_list("name", flat=True)
    ]
    return names + [
        f"OAuth app “{name}”" for name in OAuthApp.objects.filter(provider=row.key).values_list("name", flat=True)
    ]


def check_kept(row: CustomProvider, before: Definition, after: Definition) -> None:
    """Raises Problem where the change would take away what connections or syncs stand on."""
    if SUFFIXES[before.auth.type] != SUFFIXES[after.auth.type] and (used := users_of(row)):
        step = f"Delete these first, or describe another API: {', '.join(used)}."
        raise field_problem("auth.type", "Connections were made the other way.", next_step=step, kind="conflict")
    kept = {f"{row.key}:{each.id}" for each in after.collections}
    lost = _picked(row).exclude(collection_id__in=kept).values_list("title", "sync__name")
    for title, sync in lost[:1]:
        raise Problem(
            f"The sync “{sync}” reads “{title}”.",
            kind="conflict",
            next_step="Take it out of the sync first, or keep the collection and its id.",
            fields={"collections": [f"“{title}” is being read."]},
            status=409,
        )


def to_read_anew(row: CustomProvider, before: Definition, after: Definition) -> Anew:
    """The collections whose records are others by the new definition, of those that syncs read."""
    changed = [f"{row.key}:{each.id}" for each in after.collections if _is_other(before.collection(each.id), each)]
    rows = list(_picked(row).filter(collection_id__in=changed).select_related("sync"))
    ids, titles = [each.collection_id for each in rows], [each.title for each in rows]
    return Anew(
        list(dict.fromkeys(ids)), list(dict.fromkeys(titles)), list(dict.fromkeys(each.sync.name for each in rows))
    )


def _is_other(before: CustomCollection | None, after: CustomCollection) -> bool:
    return before is not None and any(getattr(before, name) != getattr(after, name) for name in _IDENTITY)


def follow(row: CustomProvider, before: Definition, after: Definition, anew: Anew) -> None:
    """Bring connections and syncs along, in the transaction of the change."""
    now = timezone.now()
    for spec in collections_of(after):
        rows = _picked(row).filter(collection_id=spec.id)
        rows.update(title=spec.title, spec=asdict(spec))
        if spec.id in anew.ids:
            rows.update(**FRESH_BACKFILL, sweep_due_at=now if spec.sweep_every_h else None)
    feeds = Feed.objects.filter(sync__provider=row.key)
    # A place in a list, or a time to ask by, means nothing to another definition: looks start anew where they stand.
    feeds.filter(key__in=anew.ids).update(cursor=None)
    feeds.update(due_at=now, queued_until=None)
    if not origins(after) <= origins(before):
        _unpin(row)


def _unpin(row: CustomProvider) -> None:
    """Secrets were given for another address: forget them, and ask people to connect again."""
    for credential in Credential.objects.filter(provider=row.key):
        Credential.objects.filter(pk=credential.pk).update(
            secrets=Secrets(),
            access_expires_at=None,
            state=CredentialState.RECONNECT,
            error_kind="credentials",
            error=MOVED,
            next_step="Reconnect the account.",
            failed_at=timezone.now(),
            lease_no=F("lease_no") + 1,  # a renewal under way is void: it would bring the old secrets back
            lease_until=None,
        )
    for app in OAuthApp.objects.filter(provider=row.key):
        app.secrets = Secrets()
        app.save(update_fields=["secrets", "updated_at"])


def check_same_place(credential: Credential, definition: Definition) -> None:
    """A stored secret tries no address but those it was given for. Raises Problem."""
    row = CustomProvider.objects.filter(key=credential.provider).first()
    stored = Definition.model_validate(row.definition) if row else None
    if stored is None or stored.key != definition.key or not origins(definition) <= origins(stored):
        raise field_problem("base_url", MOVED, next_step="Type a secret for the trial.")
    if SUFFIXES[stored.auth.type] != SUFFIXES[definition.auth.type]:
        raise field_problem("credential_id", "This connection was made another way.", next_step="Type a secret.")


def _picked(row: CustomProvider) -> QuerySet[SyncCollection]:
    return SyncCollection.objects.filter(sync__provider=row.key).exclude(phase=Phase.REMOVING)
