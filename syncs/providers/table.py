"""`python -m syncs.providers.table` prints docs/providers.md's tables: one row a collection, out of the catalogue."""

import sys
from collections.abc import Iterator

from syncs.providers import PROVIDERS
from syncs.providers.kit.catalogue import DELETES_IN_WORDS, Collection, Provider

BEGIN, END = "<!-- tables: python -m syncs.providers.table -->", "<!-- end of tables -->"


def lines(provider: Provider) -> Iterator[str]:
    """One provider's part: how one is let in, its collections, and what does not arrive as sent."""
    kinds = ", ".join(f"`{kind.key}` ({kind.label})" for kind in provider.kinds)
    yield f"## {provider.label}"
    yield ""
    yield f"API: <{provider.docs}>. Credentials: {kinds}. Looks for changes every {provider.poll_s} s by default."
    yield ""
    yield "| Collection | Records | Upstream | Looks | Deletions | Note |"
    yield "|---|---|---|---|---|---|"
    for each in provider.collections:
        yield f"| `{each.id}` | {each.title} | `{each.upstream}` | {_looks(each)} | {each.deletes} | {each.help} |"
    yield ""
    yield "Not as sent:"
    yield ""
    for dropped in provider.dropped:
        yield f"- {dropped}"
    yield ""


def _looks(each: Collection) -> str:
    return f"every {each.every_s // 60} min, whole" if each.every_s else "changes"


def tables() -> str:
    """The part of docs/providers.md between the two marks, marks included."""
    words = [f"- *{key}*: {text}" for key, text in DELETES_IN_WORDS.items()]
    parts = ["How deletions are found:", "", *words, ""]
    for provider in PROVIDERS.values():
        parts += lines(provider)
    return "\n".join([BEGIN, "", *parts, END])


if __name__ == "__main__":
    sys.stdout.write(tables() + "\n")
