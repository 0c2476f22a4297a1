"""How a collection's deletions are found, how late at worst, and at what cost: in plain words. Pure."""

from dataclasses import dataclass

from syncs.providers.kit.catalogue import DELETES_IN_WORDS, Collection, Deletes


@dataclass(frozen=True)
class Coverage:
    """What pages and the API say of it.

    how      how deletions are found
    at_worst how late the stream hears of one, at worst
    cost     what comparing all ids costs each time; empty where it is never done
    """

    how: str
    at_worst: str
    cost: str

    @property
    def in_words(self) -> str:
        """All of it, as a short paragraph."""
        return " ".join(filter(None, [self.how, self.at_worst, self.cost]))


def coverage(spec: Collection, *, every_h: int | None, poll_s: int | None, live: int | None = None) -> Coverage:
    """What is known of a collection's deletions.

    every_h  ids are compared so often; None for never
    poll_s   between looks for changes; None where no sync has set it yet
    live     how many records it has; None when that is not known yet
    """
    if spec.deletes is Deletes.NONE:
        return Coverage(DELETES_IN_WORDS[Deletes.NONE], "", "")
    how = DELETES_IN_WORDS[spec.deletes]
    look_s = max(poll_s or 0, spec.every_s or 0)
    look = span(look_s) if look_s else "the interval between looks"
    told = f"So within {look}." if spec.deletes in (Deletes.FLAG, Deletes.EVENT) else ""
    if every_h is None:
        missed = "What it does not tell of is never found." if told else "They are never found: it is switched off."
        return Coverage(how, f"{told} {missed}".strip(), "")
    silent = f"Deletions it does not tell of: within {hours(every_h)}." if told else f"Within {hours(every_h)}."
    return Coverage(how, f"{told} {silent}".strip(), sweep_cost(spec, live))


def sweep_cost(spec: Collection, live: int | None = None) -> str:
    """What comparing all ids costs, in requests."""
    page = f"{spec.sweep_page:,} " + ("ids" if spec.ids_only else "records, for ids alone are not listed")
    if not live:
        return f"Comparing takes one request for {page}."
    requests = -(-live // spec.sweep_page)
    count = "one request" if requests == 1 else f"about {requests:,} requests"
    return f"Comparing takes {count} each time, one for {page}."


def hours(count: int) -> str:
    """`7 days`, `24 hours`, `1 hour`."""
    days, rest = divmod(count, 24)
    if days > 1 and not rest:
        return f"{days} days"
    return f"{count} hour" if count == 1 else f"{count} hours"


def span(seconds: int) -> str:
    """`30 seconds`, `5 minutes`, `1 hour`, `7 days`: whole units, rounded."""
    if seconds >= 3600:
        return hours(round(seconds / 3600))
    count, unit = (round(seconds / 60), "minute") if seconds >= 60 else (seconds, "second")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
