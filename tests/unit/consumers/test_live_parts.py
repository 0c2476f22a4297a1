"""What the live viewer stands on, without a server: windows, budgets, rates, wishes, the search for the last N."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumers.live import RecordsFeed
from consumers.live_rows import parts_of
from consumers.live_source import Wish
from consumers.models import NatsConsumer
from consumers.sampling import Budget, Rate, Window
from consumers.stream_reader import NEAR, StreamReader, _place

SYNC = UUID("5293daee-9bcc-43cd-9069-e4d1921773be")


def test_window_keeps_the_newest_within_number_and_bytes() -> None:
    window: Window[int] = Window(3, 100)
    for number in range(5):
        window.add(number, 10)
    assert (len(window), window.dropped, window.take(2), window.size_bytes) == (3, 2, [2, 3], 10)
    window.add(9, 95)
    assert window.take(9) == [9]
    window.add(10, 1_000)  # larger than all allowed: alone, it stays
    assert (window.take(1), window.size_bytes) == ([10], 0)


def test_budget_allows_a_burst_then_so_many_a_second() -> None:
    budget = Budget(per_s=30, burst=60)
    assert budget.left(100.0) == 60
    budget.spend(60)
    assert [budget.left(100.0), budget.left(100.25), budget.left(101.0), budget.left(200.0)] == [0, 7, 30, 60]


def test_rate_looks_at_the_last_moments_only() -> None:
    rate = Rate(over_s=2)
    assert rate.at(0.0, 0) == 0
    assert rate.at(1.0, 2_000) == 2_000
    assert [rate.at(float(second), 2_000) for second in range(2, 6)][-1] == 0


@pytest.mark.parametrize(
    ("wish", "bound", "expected"),
    [
        (Wish(), None, "p.>"),
        (Wish(sync_id=SYNC), None, f"p.{SYNC}.>"),
        (Wish(collection="a.b c"), None, "p.*.a%2Eb%20c.>"),
        (Wish(), SYNC, f"p.{SYNC}.>"),
        (Wish(sync_id=uuid4()), SYNC, f"p.{SYNC}.>"),
        (Wish(collection="*"), SYNC, f"p.{SYNC}.%2A.>"),
    ],
)
def test_filter_never_leaves_what_the_consumer_carries(wish: Wish, bound: UUID | None, expected: str) -> None:
    assert wish.subject(NatsConsumer(subject_prefix="p", sync_id=bound)) == expected


def test_nonsense_in_a_wish_is_left_out() -> None:
    asked = {"last": 7, "after": "3", "sync": "x", "collection": 5, "text": "t" * 999}
    wish = Wish.read(asked)
    assert (wish.last, wish.after, wish.sync_id, wish.collection, len(wish.text)) == (0, 0, None, "5", 200)


def test_place_is_read_from_both_forms_of_the_reply() -> None:
    assert _place("$JS.ACK.S.c.1.20.3.1700000000000000000.4") == (20, 3, 1700000000000000000, 4)
    assert _place("$JS.ACK.hub.ACC.S.c.1.20.3.1700000000000000000.4.rnd") == (20, 3, 1700000000000000000, 4)


def test_subject_is_read_back_into_its_parts() -> None:
    assert parts_of(f"p.q.{SYNC}.fake:thing.a%2Eb", "p.q") == (SYNC, "fake:thing", "a.b")
    assert parts_of("p.q.somewhere.else", "p.q") == (None, "", "somewhere.else")


@pytest.mark.parametrize("wanted", [50, 200, 1000])
@pytest.mark.parametrize(
    "kept",
    [range(1, 100), range(1, 1_000_000, 1), [*range(1, 200_000), *range(3_000_000, 3_000_040)], [5], []],
    ids=["few", "dense", "old and thin", "one", "none"],
)
async def test_place_of_the_last_n_is_near_and_soon_found(wanted: int, kept: Any) -> None:
    """Whatever holes the sequence has: at least N from there on, at most NEAR times as many, in few looks."""
    last = 3_000_040 if len(kept) and kept[-1] > 2_000_000 else (kept[-1] if len(kept) else 0)
    reader = StreamReader(SimpleNamespace(), SimpleNamespace(last_seq=last, name="S"), "p.>", lambda _: None)  # type: ignore[arg-type]
    looks: list[int] = []

    async def ask(config: dict[str, Any]) -> int:
        looks.append(config["opt_start_seq"])
        return sum(1 for seq in kept if seq >= looks[-1]) if len(kept) < 300_000 else max(0, last - looks[-1] + 1)

    reader._ask = ask  # type: ignore[method-assign]
    place = await reader._place_of_last(wanted)
    found = len([seq for seq in kept if seq >= place])
    assert found >= min(wanted, len(kept))
    assert found <= max(NEAR * wanted, wanted)
    assert len(looks) <= 32


def test_feed_that_is_only_being_opened_is_not_upset_by_what_it_is_told() -> None:
    RecordsFeed().told({"consumer-1", "catch-up"})
