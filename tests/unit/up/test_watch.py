"""Which cluster is hung. Time is passed in; heartbeat values only need to differ."""

from collections.abc import Iterable
from itertools import count

import pytest

from sequin_console.up.watch import BLIND_S, FIRST_BEAT_S, HUNG_AFTER_S, Watch

STARTED_S = {"scheduler": 0.0, "syncs": 0.0, "consumers": 0.0}
_values = count()


class Watched:
    """A watch that is fed each second: those in `alive` beat, the others keep their old row."""

    def __init__(self) -> None:
        self.watch, self.now_s, self.rows = Watch(), 0.0, {name: next(_values) for name in STARTED_S}

    def live(self, seconds: float, alive: Iterable[str]) -> set[str]:
        """Who was called hung in that time."""
        hung: set[str] = set()
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s += 1
            self.rows |= {name: next(_values) for name in alive}
            self.watch.see(self.rows, self.now_s)
            hung |= set(self.watch.hung(STARTED_S, self.now_s))
        return hung


@pytest.fixture
def watched() -> Watched:
    watched = Watched()
    assert watched.live(10, STARTED_S) == set()
    return watched


def test_cluster_that_gives_signs_of_life_is_left_alone(watched: Watched) -> None:
    assert watched.live(300, STARTED_S) == set()


def test_silent_cluster_is_hung_within_30_seconds(watched: Watched) -> None:
    assert watched.live(HUNG_AFTER_S, ["scheduler", "consumers"]) == set()
    assert watched.live(2, ["scheduler", "consumers"]) == {"syncs"}


def test_silent_scheduler_is_hung_and_so_is_who_may_keep_it_from_writing(watched: Watched) -> None:
    assert watched.live(HUNG_AFTER_S + 2, []) == {"scheduler", "syncs", "consumers"}


def test_healthy_cluster_outlives_a_silent_scheduler(watched: Watched) -> None:
    assert watched.live(HUNG_AFTER_S + 2, ["syncs", "consumers"]) == {"scheduler"}


def test_healthy_node_does_not_speak_for_a_hung_one() -> None:
    """Both work on one queue; each `up` watches its own."""
    watched, silent = Watched(), Watched()
    watched.watch, silent.watch = Watch("here"), Watch("there")
    rows = [f"{name}@{node}" for name in STARTED_S for node in ("here", "there")]
    assert watched.live(10, rows) == silent.live(10, rows) == set()
    alive = [row for row in rows if row != "syncs@there"]
    assert watched.live(HUNG_AFTER_S + 2, alive) == set()
    assert silent.live(HUNG_AFTER_S + 2, alive) == {"syncs"}


def test_scheduler_of_another_node_asks_for_heartbeats_too() -> None:
    watched = Watched()
    watched.watch = Watch("here")
    watched.live(10, [f"{name}@here" for name in STARTED_S])
    alive = ["scheduler@there", "consumers@here"]
    assert watched.live(HUNG_AFTER_S + 2, alive) == {"syncs", "scheduler"}


def test_old_rows_of_the_last_run_prove_nothing() -> None:
    """A cluster gets longer for its first sign of life than for the next ones."""
    watched = Watched()
    assert watched.live(FIRST_BEAT_S, ["scheduler"]) == set()
    assert watched.live(3, ["scheduler"]) == {"syncs", "consumers"}


def test_cluster_started_anew_gets_its_time(watched: Watched) -> None:
    watched.live(HUNG_AFTER_S + 2, ["scheduler", "consumers"])
    assert watched.watch.hung({**STARTED_S, "syncs": watched.now_s}, watched.now_s) == {}


def test_process_that_does_not_run_is_not_called_hung(watched: Watched) -> None:
    watched.live(HUNG_AFTER_S + 2, ["scheduler"])
    assert watched.watch.hung({"scheduler": 0.0}, watched.now_s) == {}


def test_nobody_is_hung_while_we_cannot_read(watched: Watched) -> None:
    assert watched.watch.hung(STARTED_S, watched.now_s + 1000) == {}


def test_waiting_starts_anew_after_we_could_not_read(watched: Watched) -> None:
    """A database that was away let nobody write a sign of life either."""
    watched.live(HUNG_AFTER_S - 1, ["scheduler"])
    watched.now_s += BLIND_S + 100
    assert watched.live(HUNG_AFTER_S, ["scheduler"]) == set()
    assert watched.live(2, ["scheduler"]) == {"syncs", "consumers"}
