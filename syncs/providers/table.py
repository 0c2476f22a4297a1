"""`python -m syncs.providers.table` prints docs/providers.md's tables: one row a collection, out of the catalogue."""

import sys
from collections.abc import Iterator

from syncs.providers import PROVIDERS
from syncs.providers.kit.catalogue import DELETES_IN_WORDS, Collection, Provider

HOUR_S = 3_600  # whole lists are not read more often
BEGIN, END = "<!-- tables: python -m syncs.providers.table -->", "<!-- end of tables -->"


def lines(provider: Provider) -> Iterator[str]:
    """One provider's part: how one is let in, its collections, and what does not arrive as sent."""
    kinds = ", ".join(f"`{kind.key}` ({kind.label})" for kind in provider.kinds)
    yield f"## {provider.label}"
    yield ""
    yield f"API: <{provider.docs}>. Credentials: {kinds}. Looks for changes every {provider.poll_s} s by default."
    yield f"Tells of changes by itself: {_told(provider)}."
    yield ""
    yield "| Collection | Records | Upstream | Looks | Webhook | Deletions | Ids compared | Remembers | Note |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for each in provider.collections:
        told = provider.webhook.about.get(each.id, "") if provider.webhook else ""
        found = f"{_looks(each)} | {told} | {each.deletes} | {_compared(each)} | {_remembers(each)}"
        yield f"| `{each.id}` | {each.title} | `{each.upstream}` | {found} | {each.help} |"
    yield ""
    yield "Not as sent:"
    yield ""
    for dropped in provider.dropped:
        yield f"- {dropped}"
    yield ""


def _told(provider: Provider) -> str:
    """How the provider lets us know at once, where it does."""
    if provider.stream is not None:
        return f"by {provider.stream.name}, where that is switched on"
    return "by webhooks" if provider.webhook is not None else "no"


def _looks(each: Collection) -> str:
    if not each.every_s:
        return "changes"
    return f"every {each.every_s // 60} min" + (", whole" if each.every_s >= HOUR_S else "")


def _compared(each: Collection) -> str:
    """How often ids are compared by default, and how many a request brings; `*` where those are whole records."""
    if each.sweep_every_h is None:
        return "never"
    days, rest = divmod(each.sweep_every_h, 24)
    return f"{f'{each.sweep_every_h} h' if rest else f'{days} d'}, {each.sweep_page}{'' if each.ids_only else '*'}"


def _remembers(each: Collection) -> str:
    """How far back all changes can be told: away longer, everything is read again."""
    return f"{each.remembers_s // 86_400} d" if each.remembers_s else "always"


def tables() -> str:
    """The part of docs/providers.md between the two marks, marks included."""
    hooks = [
        "- *Webhook*: what an event brings: the record it names, read again, or a look at the list. Empty: it is found",
        "  by looking alone. *admin’s*: told of by a webhook that a Jira admin set up, not by one that we registered.",
    ]
    words = [f"- *{key}*: {text}" for key, text in DELETES_IN_WORDS.items()]
    more = [
        "- *Ids compared*: how often by default, to find what is not told of; and how many a request brings,",
        "  `*`: in whole records, for it lists no ids alone. A sync may choose another interval for each collection.",
        "- *Remembers*: after a longer absence everything is read again and ids are compared, by itself (a census).",
    ]
    parts = ["How deletions are found:", "", *words, *hooks, *more, ""]
    for provider in PROVIDERS.values():
        parts += lines(provider)
    return "\n".join([BEGIN, "", *parts, END])


if __name__ == "__main__":
    sys.stdout.write(tables() + "\n")
