"""Records that could not be read: counted, shown, and remembered by id until they can be. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from syncs.providers.kit.records import Skipped

MOST = 200  # of a collection; beyond, it is the collection that is in trouble
SAMPLE = 20
AT_ONCE = 20  # tried again together
AGAIN_S = 600.0


@dataclass(frozen=True)
class Aside:
    """What of a collection is set aside.

    ids     to be tried again, the longest untried first
    count   of all, those without a known id among them
    sample  some of them with the reason, for people
    """

    ids: list[str]
    count: int
    sample: list[str]

    def after(self, came: Collection[str], skipped: Iterable[Skipped]) -> "Aside":
        """The same once these ids came after all, and these records did not."""
        ids = [each for each in self.ids if each not in came]
        count = self.count - (len(self.ids) - len(ids))
        sample = [line for line in self.sample if line.partition(": ")[0] not in came]
        for each in skipped:
            if each.upstream_id and each.upstream_id in ids:
                continue
            count += 1
            if each.upstream_id:
                ids.append(each.upstream_id)
            line = f"{each.upstream_id}: {each.reason}" if each.upstream_id else each.reason
            if len(sample) < SAMPLE and line not in sample:
                sample.append(line)
        return Aside(ids, max(count, len(ids)), sample)

    def retried(self, tried: Collection[str], came: Collection[str]) -> "Aside":
        """The same after another try: what came is off the list, what did not goes to its end."""
        left = self.after(came, ())
        ids = [each for each in left.ids if each not in tried] + [each for each in left.ids if each in tried]
        return Aside(ids, left.count, left.sample)

    @property
    def is_too_much(self) -> bool:
        return len(self.ids) > MOST
