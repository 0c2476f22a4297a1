"""Every provider there is: those of `syncs.providers`, and those that admins described.

`PROVIDERS` is looked up like a dict. A described one is built from its row once a version. The table is looked at once
a second at most, and whenever all providers are gone through; never on the event loop, which has no database: whoever
goes there looks before (`look`).
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from uuid import UUID

import structlog
from pydantic import ValidationError

from syncs.models import CustomProvider
from syncs.providers import PROVIDERS as OURS
from syncs.providers.custom import PREFIX, Definition, provider_of
from syncs.providers.kit.catalogue import Provider

log = structlog.get_logger(__name__)
FRESH_S = 1.0
_Version = tuple[UUID, int]


class Catalogue(Mapping[str, Provider]):
    """Providers by key."""

    def __init__(self) -> None:
        self._described: dict[str, tuple[_Version, Provider]] = {}
        self._looked_at = float("-inf")

    def __getitem__(self, key: str) -> Provider:
        if key in OURS:
            return OURS[key]
        if not key.startswith(PREFIX):
            raise KeyError(key)
        if time.monotonic() - self._looked_at > FRESH_S and not _is_on_loop():
            self.look()
        return self._described[key][1]

    def __iter__(self) -> Iterator[str]:
        self.look()
        return iter([*OURS, *self._described])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def forget(self) -> None:
        """A description has changed: the next who asks looks at the table."""
        self._looked_at = float("-inf")

    def look(self) -> None:
        """Read what admins described, as it is now. One query, and one more for what is new."""
        versions = {row.key: (row.pk, row.version) for row in CustomProvider.objects.only("key", "version")}
        known = {key: each for key, each in self._described.items() if versions.get(key) == each[0]}
        new = [key for key in versions if key not in known]
        for row in CustomProvider.objects.filter(key__in=new) if new else ():
            try:
                known[row.key] = ((row.pk, row.version), provider_of(Definition.model_validate(row.definition)))
            except ValidationError as error:  # of another version of ours; the others are none the worse for it
                log.error("a described provider cannot be read", key=row.key, errors=error.error_count())
        self._described = dict(sorted(known.items()))
        self._looked_at = time.monotonic()


PROVIDERS = Catalogue()


def look_for(keys: set[str]) -> None:
    """Before going on the loop: what admins described of these, as it is now."""
    if any(key.startswith(PREFIX) for key in keys):
        PROVIDERS.look()


def is_described(key: str) -> bool:
    """Whether a provider of that key is an admin's description, not ours."""
    return key.startswith(PREFIX)


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
