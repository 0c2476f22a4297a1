"""Everything that changes credentials, and what may be asked of their providers. What is stored was tried first."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sequin_console.common import audit, changes
from sequin_console.common.problems import field_problem
from sequin_console.common.troubled import NO_TROUBLE
from syncs import pasted, sites
from syncs.asking import as_problem as as_problem
from syncs.asking import ask_client
from syncs.catalogue import PROVIDERS
from syncs.models import Credential, Feed, SyncCollection
from syncs.providers.kit.catalogue import Account, Collection, CredentialKind, Field, Provider
from syncs.providers.kit.errors import ProviderError
from syncs.providers.kit.reading import Reader
from syncs.states import CredentialState, Phase, SyncState

T = TypeVar("T")
DISCOVERY_KEPT_S = 300


@dataclass(frozen=True)
class CheckResult:
    """One line of "Test connection"."""

    label: str
    ok: bool
    detail: str
    next_step: str = ""


def ask(credential: Credential, question: Callable[[Reader], Awaitable[T]], *, is_stored: bool = True) -> T:
    """Put one question to a credential's provider, from a page or the API. Raises ProviderError or Problem."""
    reader = PROVIDERS[credential.provider].reader
    return ask_client(credential, lambda client: question(reader(client)), is_stored=is_stored)


def check(credential: Credential) -> Account:
    """Whose account it is, for a credential not stored yet. Raises Problem when the provider will not have it.

    Access got on the way (an imported refresh token may rotate) is left on the object, to be stored with it.
    """
    try:
        return ask(credential, lambda reader: reader.check(), is_stored=False)
    except ProviderError as error:
        raise as_problem(error, "credential.properties.secret") from None


def discover(credential: Credential, *, fresh: bool = False) -> tuple[Collection, ...]:
    """All collections this account can offer; remembered for five minutes. Raises Problem."""
    key = f"collections-{credential.pk}"
    found: tuple[Collection, ...] | None = None if fresh else cache.get(key)
    if found is None:
        try:
            found = ask(credential, lambda reader: reader.discover())
        except ProviderError as error:
            raise as_problem(error) from None
        cache.set(key, found, DISCOVERY_KEPT_S)
    return found


def collection_of(credential: Credential, collection_id: str) -> Collection:
    """One collection by id. Raises Problem (`collection_ids`) when this account has none such."""
    return collections_of(credential, [collection_id])[0]


def collections_of(credential: Credential, collection_ids: list[str]) -> list[Collection]:
    """Collections by id, in the order given, without repeats. Raises Problem naming those the account lacks."""
    offered = {collection.id: collection for collection in discover(credential)}
    unknown = [key for key in collection_ids if key not in offered]
    if unknown:
        offered = {collection.id: collection for collection in discover(credential, fresh=True)}
        unknown = [key for key in collection_ids if key not in offered]
    if unknown:
        raise field_problem(
            "collection_ids",
            f"This account has no collection {', '.join(unknown)}.",
            next_step="Check the spelling against the list of this account's collections.",
        )
    return [offered[key] for key in dict.fromkeys(collection_ids)]


def collection_fields(credential: Credential, collection_id: str) -> tuple[Field, ...]:
    """The fields of one collection. Raises Problem."""
    collection = collection_of(credential, collection_id)
    try:
        return ask(credential, lambda reader: reader.fields(collection))
    except ProviderError as error:
        raise as_problem(error) from None


def estimate(credential: Credential, collection_ids: list[str]) -> dict[str, int | None]:
    """How many records each collection holds, where the provider tells; None where it does not or may not."""
    picked = collections_of(credential, collection_ids)

    async def count(reader: Reader) -> dict[str, int | None]:
        counts: dict[str, int | None] = {}
        for collection in picked:
            try:
                counts[collection.id] = await reader.count(collection)
            except ProviderError:
                counts[collection.id] = None
        return counts

    return ask(credential, count)


# --- Credentials ---------------------------------------------------------------------------------------------------


def create_credential(data: Mapping[str, Any], *, by: Any) -> Credential:
    """Check pasted or imported secrets with the provider, then store them.

    data  provider, kind, name, secrets, settings, oauth_app (an OAuthApp or None), metadata
    The same account through the same kind replaces what we have: importing twice changes nothing else.
    Raises Problem naming the field.
    """
    provider = provider_named(data.get("provider", ""))
    kind = _kind(provider, data.get("kind", ""))
    credential = Credential(provider=provider.key, kind=kind.key, oauth_app=data.get("oauth_app"))
    pasted.fill(credential, provider, kind, data)
    sites.settle(credential)
    account = check(credential)
    credential.account_id, credential.account_name = account.id or credential.account_id, account.name
    same = (
        credential.account_id
        and Credential.objects.filter(
            provider=provider.key, kind=kind.key, account_id=credential.account_id, oauth_app=credential.oauth_app
        ).first()
    )
    if same:
        credential.pk, credential._state.adding = same.pk, False
        credential.created_at = same.created_at
    return _store(credential, by, "connection.reconnected" if same else "connection.created")


def update_credential(credential: Credential, data: Mapping[str, Any], *, by: Any) -> Credential:
    """Rename, replace the secrets (they are checked first), or change what is read. Raises Problem naming the field."""
    provider = PROVIDERS[credential.provider]
    if data.get("secrets"):
        pasted.fill(
            credential, provider, provider.kind(credential.kind), {**data, "name": data.get("name", credential.name)}
        )
        known_id = credential.account_id  # an imported refresh token tells whose it is only when it is used
        sites.settle(credential)
        account = check(credential)
        check_same_account(known_id, account.id or credential.account_id, account.name)
    elif "settings" in data:
        _edit(credential, provider.kind(credential.kind), data["settings"])
    credential.name = pasted.text(data, "name", credential.name)
    credential.metadata = data.get("metadata", credential.metadata) or {}
    is_fresh = bool(data.get("secrets"))
    return _store(credential, by, "connection.changed", is_fresh=is_fresh, is_edited="settings" in data)


def _edit(credential: Credential, kind: CredentialKind, typed: Mapping[str, Any]) -> None:
    """Change what may be changed without the secrets; what is not among it stays. Raises Problem naming the field."""
    fields = [field for field in kind.editable if field.key in typed]
    credential.refresh_from_db(fields=["settings"])
    kept = {key: value for key, value in credential.settings.items() if key not in {field.key for field in fields}}
    credential.settings = {**kept, **pasted.cleaned(fields, {key: str(value) for key, value in typed.items()})}
    cache.delete(f"collections-{credential.pk}")


def check_same_account(known_id: str, found_id: str, name: str) -> None:
    """Raises Problem when a connection that syncs read through would from now on open another account."""
    if known_id and found_id and known_id != found_id:
        raise field_problem(
            "secret",
            f"This opens another account ({name or found_id}).",
            next_step="Make a new connection for it, or its records would mix with the old account's.",
        )


def _store(
    credential: Credential, by: Any, action: str, *, is_fresh: bool = True, is_edited: bool = False
) -> Credential:
    """is_fresh: the secrets are new, too; else they stay as stored, for a worker may have renewed them meanwhile.

    is_edited: so are settings; else they stay as stored.
    """
    with transaction.atomic():
        if is_fresh:
            save_fresh(credential)
        else:
            columns = ["name", "metadata", "updated_at", *(["settings"] if is_edited else [])]
            credential.save(update_fields=columns)
        audit.record(by, action, credential, {"provider": credential.provider, "kind": credential.kind})
        wake_syncs(credential)
    changes.announce("credentials", f"credential-{credential.pk}")
    return credential


def save_fresh(credential: Credential) -> None:
    """Store what a person has just given us, and void any renewal under way: what it brings is about the old grant."""
    if not credential._state.adding:
        credential.lease_no, credential.lease_until = F("lease_no") + 1, None
    credential.save()
    credential.refresh_from_db(fields=["lease_no"])


def test_credential(credential: Credential) -> list[CheckResult]:
    """Try the connection: who it is, then one record of every collection that syncs read through it."""
    specs = SyncCollection.objects.filter(sync__credential=credential).exclude(phase=Phase.REMOVING)
    picked = {row.collection_id: spec_of(row) for row in specs}

    async def probe(reader: Reader) -> list[CheckResult]:
        account = await reader.check()
        results = [CheckResult("Sign in", True, f"Connected to {account.name or account.id}.")]
        for collection in picked.values():
            try:
                await reader.probe(collection)
                results.append(CheckResult(f"Read {collection.title}", True, "One record read."))
            except ProviderError as error:
                results.append(CheckResult(f"Read {collection.title}", False, error.message, error.next_step))
        return results

    try:
        results = ask(credential, probe)
    except ProviderError as error:
        return [CheckResult("Sign in", False, error.message, error.next_step)]
    if all(result.ok for result in results):
        _store_good(credential)
    return results


test_credential.__test__ = False  # type: ignore[attr-defined]  # a service, not a test


def _store_good(credential: Credential) -> None:
    Credential.objects.filter(pk=credential.pk).exclude(state=CredentialState.REFRESHING).update(
        state=CredentialState.OK, **NO_TROUBLE
    )
    wake_syncs(credential)


def wake_syncs(credential: Credential) -> None:
    """After a connection was mended: what waited for it goes on now."""
    Feed.objects.filter(sync__credential=credential, sync__state=SyncState.ACTIVE).update(
        due_at=timezone.now(), queued_until=None, **NO_TROUBLE
    )
    Credential.objects.filter(pk=credential.pk).update(not_before=None)


def spec_of(row: SyncCollection) -> Collection:
    """A picked collection's catalogue entry, as it was discovered."""
    return msgspec.convert(row.spec, Collection)


def provider_named(key: str) -> Provider:
    """The provider by key. Raises Problem (`provider`)."""
    if key not in PROVIDERS:
        raise field_problem("provider", f"“{key}” is no provider.", next_step=f"Use one of {', '.join(PROVIDERS)}.")
    return PROVIDERS[key]


def _kind(provider: Provider, key: str) -> CredentialKind:
    try:
        return provider.kind(key)
    except KeyError:
        kinds = ", ".join(kind.key for kind in provider.kinds)
        raise field_problem(
            "credential.properties.kind", f"{provider.label} knows no credential “{key}”.", next_step=f"Use {kinds}."
        ) from None
