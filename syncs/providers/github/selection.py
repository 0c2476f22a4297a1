"""Which repositories a connection reads: names and patterns as people type them. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from syncs.providers.kit.values import BadValue

FORKS, ARCHIVED = "forks", "archived"
_OWNER = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,98})")  # with the underscore of enterprise-managed users
_NAME = re.compile(r"[a-z0-9._*-]{1,100}")


def clean_selection(text: str) -> str:
    """`acme/site, Acme/*` as typed, one spelling: small letters, commas. Raises BadValue naming what cannot be right.

    An owner alone, or its page's address, means all it has: `https://github.com/acme` is `acme/*`.
    """
    wanted = []
    for word in re.split(r"[\s,;]+", text.strip().lower()):
        if not word:
            continue
        path = re.sub(r"^(https?://[^/]+/|git@[^:]+:)", "", word).removesuffix(".git").strip("/")
        owner, _, name = path.partition("/")
        if word == "*":
            return ""
        if not _OWNER.fullmatch(owner) or not _NAME.fullmatch(name or "*"):
            raise BadValue(f"“{word}” is no repository. Write owner/name, or owner/* for all of an owner.")
        wanted.append(f"{owner}/{name or '*'}")
    return ", ".join(dict.fromkeys(wanted))


@dataclass(frozen=True)
class Selection:
    """What is read. `wanted` empty: every repository the credential sees."""

    wanted: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> "Selection":
        """From a connection's settings: `repositories` and `leave_out`."""
        wanted = clean_selection(str(settings.get("repositories") or ""))
        without = str(settings.get("leave_out") or "").replace(",", " ").split()
        return cls(tuple(wanted.split(", ")) if wanted else (), frozenset(without))

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose repositories are wanted by pattern, those created later among them."""
        return tuple(dict.fromkeys(each.partition("/")[0] for each in self.wanted if "*" in each))

    @property
    def named(self) -> tuple[str, ...]:
        """What is wanted by its whole name."""
        return tuple(each for each in self.wanted if "*" not in each)

    def has(self, full_name: str, *, fork: bool = False, archived: bool = False) -> bool:
        """Whether this repository is read. Who is named is read, fork or not."""
        name = full_name.lower()
        if name in self.wanted:
            return True
        if (fork and FORKS in self.without) or (archived and ARCHIVED in self.without):
            return False
        return not self.wanted or any(fnmatchcase(name, each) for each in self.wanted)
