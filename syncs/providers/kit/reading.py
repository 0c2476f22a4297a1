"""The one interface between the engine and a provider."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, runtime_checkable

from syncs.providers.kit.catalogue import Account, Collection, Field
from syncs.providers.kit.records import Cursor, IdPage, Page, RawRecord


class Reader(Protocol):
    """One credential's view of a provider. Made from a Client; holds no state that must survive a crash.

    All methods raise the kit's ProviderError family and nothing else on purpose.
    """

    async def check(self) -> Account:
        """Prove that the credential works, with the cheapest honest request; say whose account it is."""

    async def discover(self) -> tuple[Collection, ...]:
        """All collections this account can offer, custom ones among them."""

    async def fields(self, collection: Collection) -> tuple[Field, ...]:
        """The fields of a collection, as upstream describes them now (or as a sample record shows them)."""

    async def probe(self, collection: Collection) -> None:
        """Read one record of it: raises PermissionMissing or CollectionGone if that may not be."""

    async def count(self, collection: Collection) -> int | None:
        """How many records there are, when that costs one request; None when upstream does not tell."""

    async def start(self, feed: str, collections: Sequence[Collection]) -> Cursor:
        """Where looking for changes starts. Asked *before* the first backfill page, so that nothing falls between."""

    def backfill(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[Page]:
        """All records there are, page by page, from the beginning or from a cursor of an earlier page."""

    async def changes_silently(self, collection: Collection) -> bool:
        """Whether its records can change without upstream telling; asked where the catalogue says `reread_every_h`."""

    def changes(self, feed: str, collections: Sequence[Collection], cursor: Cursor) -> AsyncIterator[Page]:
        """What was created, changed or deleted since the cursor, and then the page with `done` set."""

    async def read(self, collection: Collection, ids: Sequence[str]) -> list[RawRecord]:
        """These records as they are now; one that is gone comes back with `deleted` set.

        One that cannot be read, though upstream answers otherwise, is left out.
        """

    def sweep(self, collection: Collection, cursor: Cursor | None) -> AsyncIterator[IdPage]:
        """The ids of all live records upstream."""


@runtime_checkable
class TellsReach(Protocol):
    """A reader whose connection sees only some places: repositories, projects. Asked when a sweep has ended."""

    async def reach(self, collection: Collection) -> dict[str, str]:
        """The places it sees now that this collection's records hang on: id to name.

        What hangs on a place that is no longer seen is missing for that reason, and says nothing of deletions.
        """
