"""One Stripe account, read: backfill by list, changes by events, by creation time or whole, sweeps."""

import re
from collections.abc import AsyncIterator, Sequence

import msgspec

from syncs.providers.kit import raw
from syncs.providers.kit.catalogue import Account, Collection, Field
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import PermissionMissing, UnexpectedShape
from syncs.providers.kit.records import Cursor, IdPage, Page, RawRecord
from syncs.providers.kit.times import to_unix
from syncs.providers.stripe import events, objects, parts
from syncs.providers.stripe.catalogue import BY_ID, COLLECTIONS, EVENTS_FEED
from syncs.providers.stripe.errors import ObjectGone, PlaceGone
from syncs.providers.stripe.lists import ListPage, Lists, created
from syncs.providers.stripe.resource import Found, Resource

OVERLAP_S = 15 * 60  # the list of newly created objects runs late
PENDING_S = 14 * 24 * 3600  # a balance transaction's status settles within days
REREAD_PENDING_EVERY_S = 6 * 3600
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]+")


class StripeReader:
    """Reads one Stripe account through a client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lists = Lists(client)

    async def check(self) -> Account:
        """The list of events proves the key and the one permission that is always needed; the name is a courtesy.

        Not every key that may read all may read `/v1/account`; the refusal tells the account's id.
        """
        await self.client.get(events.PATH, {"limit": 1})
        live = "_test_" not in (await self.client.access()).headers.get("Authorization", "")
        try:
            answer = await self.client.get("/v1/account")
        except (PermissionMissing, ObjectGone) as error:
            found = _ACCOUNT.search(error.detail)
            account_id = found[0] if found else ""
            return Account(account_id, account_id or "Stripe account", live)
        parts = raw.split(answer.body)
        account_id = raw.text_of(parts.get("id")) or ""
        return Account(account_id, _display_name(parts) or account_id or "Stripe account", live)

    async def discover(self) -> tuple[Collection, ...]:
        return COLLECTIONS

    async def fields(self, collection: Collection) -> tuple[Field, ...]:
        """The fields of the newest record: Stripe describes objects in its docs only. Empty while there is none."""
        resource = _resource(collection)
        async for page in objects.pages(self.lists, resource, {"limit": 20 if resource.owner else 1}):
            for record in page.records:
                parts = raw.split(record.data or b"{}")
                return tuple(Field(name, raw.value_type(value), name, name == "id") for name, value in parts.items())
            break
        return ()

    async def probe(self, collection: Collection) -> None:
        await objects.probe(self.lists, _resource(collection))

    async def count(self, collection: Collection) -> int | None:
        return None

    async def start(self, feed: str, collections: Sequence[Collection]) -> Cursor:
        """The newest there is. Every look begins 15 minutes before its cursor."""
        if feed == EVENTS_FEED:
            return await events.start(self.lists)
        resource = _resource(collections[0])
        if resource.found is Found.WHOLE:
            return {}
        async for page in objects.pages(self.lists, resource, {"limit": 1}):
            return {"t": page.last_created or 0, "pending_at": to_unix(self.client.server_now())}
        return {"t": 0}

    async def backfill(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[Page]:
        """The list from newest to oldest. New objects appear at its head and do not disturb the walk."""
        async for page, place in self._walk(_resource(collection), dict(cursor or {})):
            yield Page(page.records, place, done=not page.more, skipped=page.skipped)

    async def _walk(
        self, resource: Resource, place: Cursor, since: int | None = None
    ) -> AsyncIterator[tuple[ListPage, Cursor]]:
        """Pages of a list from a place on, down to a creation time, each with the place after it.

        Place: {"after": last id, "created": its creation, unix seconds}. An id deleted meanwhile can no longer be
        started after: the walk then goes on from its creation time, where the list takes one, else from the beginning.
        """
        while True:
            params: dict[str, str | int] = created(gte=since)
            if place.get("after"):
                params["starting_after"] = place["after"]
            elif resource.by_created and place.get("created") is not None:
                params |= created(lte=place["created"])
            try:
                async for page in objects.pages(self.lists, resource, params):
                    place = _place(page, place)
                    yield page, place
                return
            except PlaceGone:
                place = {"created": place.get("created")} if resource.by_created else {}

    async def changes_silently(self, collection: Collection) -> bool:
        """The catalogue says which lists do; nothing more can be learned of Stripe."""
        return True

    def changes(self, feed: str, collections: Sequence[Collection], cursor: Cursor) -> AsyncIterator[Page]:
        if feed == EVENTS_FEED:
            return events.changes(self.lists, [each.id for each in collections], cursor)
        resource = _resource(collections[0])
        if resource.found is Found.CREATED:
            return self._lately_created(resource, cursor)
        return self._whole(resource, cursor)

    async def _lately_created(self, resource: Resource, cursor: Cursor) -> AsyncIterator[Page]:
        """What was created since the cursor; every few hours also what may have been pending.

        Cursor: {"t": creation of the newest, "pending_at": when the last longer look was}, unix seconds; while a look
        is under way also {"look": where it stands}.
        """
        since, look = int(cursor["t"]), cursor.get("look")
        if look is None:
            await self.client.get(resource.path, {"limit": 1})
            now = to_unix(self.client.server_now())
            is_due = now - int(cursor.get("pending_at") or 0) >= REREAD_PENDING_EVERY_S
            begin = min(since - OVERLAP_S, now - PENDING_S) if is_due else since - OVERLAP_S
            look = {"begin": max(0, begin), "newest": since, "place": {}}
            look["pending_at"] = now if is_due else cursor.get("pending_at")
        async for page, place in self._walk(resource, look["place"], look["begin"]):
            made = [to_unix(record.created_at) for record in page.records if record.created_at]
            look = {**look, "place": place, "newest": max([look["newest"], *made])}
            yield Page(page.records, {**cursor, "look": look}, done=False, skipped=page.skipped)
        yield Page([], {"t": look["newest"], "pending_at": look["pending_at"]}, done=True)

    async def _whole(self, resource: Resource, cursor: Cursor) -> AsyncIterator[Page]:
        """The whole list once more: Stripe tells of no changes here. The catalogue says how often.

        Cursor: {}; while a look is under way {"place": where it stands}.
        """
        async for page, place in self._walk(resource, cursor.get("place") or {}):
            yield Page(page.records, {"place": place}, done=False, skipped=page.skipped)
        yield Page([], {}, done=True)

    async def read(self, collection: Collection, ids: Sequence[str]) -> list[RawRecord]:
        resource = _resource(collection)
        wanted = parts.by_owner(ids) if resource.owner else {each: frozenset() for each in ids}
        records, _ = await objects.read(
            self.lists, [objects.Wanted(resource, each, members=members) for each, members in wanted.items()]
        )
        return records

    async def sweep(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[IdPage]:
        """All ids, from the list itself: Stripe has no shorter one."""
        async for page in self.backfill(collection, cursor):
            yield IdPage([record.upstream_id for record in page.records], page.cursor, page.done)


def _resource(collection: Collection) -> Resource:
    try:
        return BY_ID[collection.id]
    except KeyError:
        raise UnexpectedShape(f"{collection.id} is no collection of Stripe.") from None


def _place(page: ListPage, before: Cursor) -> Cursor:
    if not page.last_id:
        return before
    made = page.last_created if page.last_created is not None else before.get("created")
    return {"after": page.last_id, "created": made}


def _display_name(parts: raw.Split) -> str:
    """The name people gave the account: on its dashboard, to its business, or its e-mail address."""
    for path in (("settings", "dashboard", "display_name"), ("business_profile", "name"), ("email",)):
        value: msgspec.Raw | bytes | None = None
        level = parts
        for key in path:
            value = level.get(key)
            level = raw.split(value) if value is not None and raw.value_type(value) == "object" else {}
        if found := raw.text_of(value):
            return found
    return ""
