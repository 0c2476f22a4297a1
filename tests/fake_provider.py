"""A provider that lives in memory: the engine's tests decide what upstream has, when it fails, and what it forgets."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from syncs.models import Credential, Feed, Sync, SyncCollection, SyncHead
from syncs.providers import PROVIDERS
from syncs.providers.kit.catalogue import (
    Account,
    Collection,
    CredentialKind,
    Deletes,
    Field,
    Host,
    Provider,
    SetupField,
)
from syncs.providers.kit.client import Client
from syncs.providers.kit.records import Cursor, IdPage, Page, RawRecord, Skipped
from syncs.providers.kit.webhooks import Webhook
from syncs.services import create_sync


def collection(name: str, feed: str = "", **extra: Any) -> Collection:
    return Collection(
        id=f"fake:{name}",
        title=name.title(),
        feed=feed or f"fake:{name}",
        upstream=name,
        deletes=Deletes.EVENT,
        **extra,
    )


@dataclass
class Upstream:
    """What the other side has. `write` and `delete` are noticed by the next look for changes."""

    collections: tuple[Collection, ...] = (collection("thing"),)
    page_size: int = 3
    things: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    journal: list[tuple[str, str]] = field(default_factory=list)
    sick: set[str] = field(default_factory=set)
    """Ids of things that cannot be read."""
    fields: tuple[Field, ...] = (Field("id", "string", primary_key=True),)
    """How it describes its fields."""
    places: dict[str, str] = field(default_factory=dict)
    """What the connection sees, by id: things hang on it."""
    way: Webhook | None = None
    """How it tells of changes by itself."""
    silent: bool = False
    """Whether things change without a word."""
    before_page: Callable[[str, str], None] = lambda walk, collection_id: None
    """Called before each page is read, with the walk (`backfill`, `changes`, `sweep`) and the collection: may raise."""

    def write(self, upstream_id: str, name: str = "thing", **content: Any) -> None:
        self.things.setdefault(f"fake:{name}", {})[upstream_id] = {"id": upstream_id, **content}
        self.journal.append((f"fake:{name}", upstream_id))

    def fill(self, count: int, name: str = "thing") -> None:
        for number in range(count):
            self.write(f"{name}-{number:04}", name, n=number)

    def delete(self, upstream_id: str, name: str = "thing", *, quietly: bool = False) -> None:
        del self.things[f"fake:{name}"][upstream_id]
        if not quietly:
            self.journal.append((f"fake:{name}", upstream_id))

    @contextmanager
    def registered(self) -> Iterator[Provider]:
        """Make it a provider called `fake` for as long as the block runs."""
        PROVIDERS["fake"] = Provider(
            key="fake",
            label="Fake",
            kinds=(CredentialKind("fake_key", "Key", (SetupField("secret", "Key", secret=True),)),),
            reader=lambda client: FakeReader(self, client),
            hosts=(Host("main", "Main", "https://fake.example"),),
            api_url="https://fake.example",
            poll_s=2,
            collections=self.collections,
            webhook=self.way,
        )
        try:
            yield PROVIDERS["fake"]
        finally:
            del PROVIDERS["fake"]

    def sync(self, *names: str, **fields: Any) -> Sync:
        """A running sync of the named collections (all when none are named)."""
        credential = Credential.objects.create(
            provider="fake", kind="fake_key", name="Fake account", secrets={"secret": "fake-key"}
        )
        picked = [f"fake:{name}" for name in names] or [c.id for c in self.collections]
        return create_sync({"name": "Fake sync", "credential": credential, "collection_ids": picked} | fields, by=None)


class FakeReader:
    """The kit's Reader over an Upstream."""

    def __init__(self, upstream: Upstream, client: Client) -> None:
        self.upstream, self.draw = upstream, client._draw_read_no

    async def check(self) -> Account:
        return Account("acct-1", "Fake Inc.")

    async def discover(self) -> tuple[Collection, ...]:
        return self.upstream.collections

    async def fields(self, collection: Collection) -> tuple[Field, ...]:
        self.upstream.before_page("fields", collection.id)
        return self.upstream.fields

    async def probe(self, collection: Collection) -> None:
        self.upstream.before_page("probe", collection.id)

    async def count(self, collection: Collection) -> int | None:
        return len(self.upstream.things.get(collection.id, {}))

    async def start(self, feed: str, collections: Sequence[Collection]) -> Cursor:
        return {"at": len(self.upstream.journal)}

    async def backfill(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[Page]:
        after = (cursor or {}).get("after", "")
        while True:
            read_no = self.draw()
            self.upstream.before_page("backfill", collection.id)
            ids = sorted(key for key in self.upstream.things.get(collection.id, {}) if key > after)
            page = ids[: self.upstream.page_size]
            done = len(ids) <= len(page)
            after = page[-1] if page else after
            yield self._page([(collection.id, key) for key in page], {"after": after}, done, read_no)
            if done:
                return

    async def changes(self, feed: str, collections: Sequence[Collection], cursor: Cursor) -> AsyncIterator[Page]:
        wanted, at = {c.id for c in collections}, cursor["at"]
        while True:
            self.upstream.before_page("changes", next(iter(wanted)))
            news = self.upstream.journal[at : at + self.upstream.page_size]
            at += len(news)
            done = at >= len(self.upstream.journal)
            yield self._page([each for each in dict.fromkeys(news) if each[0] in wanted], {"at": at}, done)
            if done:
                return

    async def read(self, collection: Collection, ids: Sequence[str]) -> list[RawRecord]:
        self.upstream.before_page("read", collection.id)
        return [self._raw(collection.id, key, self.draw()) for key in ids if key not in self.upstream.sick]

    async def changes_silently(self, collection: Collection) -> bool:
        return self.upstream.silent

    async def reach(self, collection: Collection) -> dict[str, str]:
        return dict(self.upstream.places)

    async def sweep(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[IdPage]:
        ids = sorted(self.upstream.things.get(collection.id, {}))
        start = (cursor or {}).get("at", 0)
        while True:
            self.upstream.before_page("sweep", collection.id)
            page, start = ids[start : start + self.upstream.page_size], start + self.upstream.page_size
            yield IdPage(page, {"at": start}, start >= len(ids))
            if start >= len(ids):
                return

    def _page(self, named: list[tuple[str, str]], cursor: Cursor, done: bool, read_no: int = 0) -> Page:
        records = [
            self._raw(where, key, read_no or self.draw()) for where, key in named if key not in self.upstream.sick
        ]
        skipped = tuple(Skipped(where, key, "Sick.") for where, key in named if key in self.upstream.sick)
        return Page(records, cursor, done, skipped=skipped)

    def _raw(self, collection_id: str, key: str, read_no: int) -> RawRecord:
        content = self.upstream.things.get(collection_id, {}).get(key)
        if content is None:
            return RawRecord(collection_id, key, None, read_no, deleted=True)
        return RawRecord(collection_id, key, json.dumps(content, separators=(",", ":")).encode(), read_no)


def make_log(*names: str) -> tuple[Sync, Feed, dict[str, SyncCollection]]:
    """A sync with one feed and these collections, made straight in the tables; for tests of the log alone."""
    credential = Credential.objects.create(provider="fake", kind="fake_key", name="Fake", secrets={"secret": "k"})
    sync = Sync.objects.create(name="Log", provider="fake", credential=credential)
    SyncHead.objects.create(sync=sync)
    feed = Feed.objects.create(sync=sync, key="all")
    rows = {
        f"fake:{name}": SyncCollection.objects.create(
            sync=sync, feed=feed, collection_id=f"fake:{name}", title=name, spec={"id": f"fake:{name}"}
        )
        for name in (names or ("thing",))
    }
    return sync, feed, rows


def raw(upstream_id: str, content: Any, *, read_no: int = 1, name: str = "thing", **fields: Any) -> RawRecord:
    """A raw record of collection `fake:<name>`; content None for a deletion without content."""
    data = None if content is None else json.dumps(content, separators=(",", ":")).encode()
    return RawRecord(f"fake:{name}", upstream_id, data, read_no, **fields)
