"""Which reads are news."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from syncs.engine.changes import Known, digest, news
from tests.fake_provider import raw

T1, T2 = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)


def held(content: object, *, read_no: int = 1, deleted: bool = False, updated_at: datetime | None = None) -> Known:
    data = raw("a", content).data or b""
    return Known(1, digest(data), deleted, read_no, updated_at)


def test_unknown_record_is_created() -> None:
    (change,) = news([raw("a", {"n": 1})], {})
    assert (change.kind, change.known) == ("create", None)


def test_unchanged_record_is_silent() -> None:
    assert news([raw("a", {"n": 1})], {"a": held({"n": 1})}) == []
    assert news([raw("a", {"n": 1}, updated_at=T1)], {"a": held({"n": 1})}, versioned_by_time=True) == []


def test_newer_read_that_finds_nothing_new_is_noted_so_that_no_older_one_follows() -> None:
    assert [c.kind for c in news([raw("a", {"n": 1}, read_no=9)], {"a": held({"n": 1})})] == ["same"]


def test_changed_record_is_updated() -> None:
    assert [c.kind for c in news([raw("a", {"n": 2}, read_no=9)], {"a": held({"n": 1})})] == ["update"]


def test_deletion_keeps_the_digest_of_what_was() -> None:
    known = held({"n": 1})
    (change,) = news([raw("a", None, read_no=9, deleted=True)], {"a": known})
    assert (change.kind, change.digest) == ("delete", known.digest)


def test_deletion_of_what_we_never_had_is_not_news() -> None:
    assert news([raw("a", None, deleted=True), raw("b", {"n": 1}, deleted=True)], {}) == []


def test_deleted_twice_is_silent() -> None:
    assert news([raw("a", None, deleted=True)], {"a": held({"n": 1}, deleted=True)}) == []


def test_record_that_came_back_is_created_even_if_it_reads_the_same() -> None:
    assert [c.kind for c in news([raw("a", {"n": 1}, read_no=9)], {"a": held({"n": 1}, deleted=True)})] == ["create"]


def test_older_read_never_overwrites() -> None:
    assert news([raw("a", {"n": 0}, read_no=4)], {"a": held({"n": 1}, read_no=5)}) == []


def test_upstream_time_decides_over_the_order_of_reading() -> None:
    known = {"a": held({"n": 1}, read_no=5, updated_at=T2)}
    assert news([raw("a", {"n": 0}, read_no=9, updated_at=T1)], known, versioned_by_time=True) == []
    newer = news([raw("a", {"n": 2}, read_no=4, updated_at=T2.replace(hour=1))], known, versioned_by_time=True)
    assert [c.kind for c in newer] == ["update"]


def test_of_equal_times_the_later_read_counts() -> None:
    """A formula field changes without touching the change time."""
    known = {"a": held({"n": 1}, read_no=5, updated_at=T1)}
    assert news([raw("a", {"n": 0}, read_no=4, updated_at=T1)], known, versioned_by_time=True) == []
    assert len(news([raw("a", {"n": 2}, read_no=6, updated_at=T1)], known, versioned_by_time=True)) == 1


def test_of_several_reads_in_a_page_the_newest_counts() -> None:
    (change,) = news([raw("a", {"n": 2}, read_no=2), raw("a", {"n": 1}, read_no=1)], {})
    assert change.record.data == b'{"n":2}'


def test_volatile_paths_alone_are_no_change() -> None:
    old = raw("a", {"n": 1, "seen": {"at": 1, "by": "x"}}).data or b""
    known = {"a": Known(1, digest(old, ("seen.at",)), False, 1, None)}
    same = raw("a", {"n": 1, "seen": {"at": 2, "by": "x"}}, read_no=2)
    other = raw("a", {"n": 1, "seen": {"at": 2, "by": "y"}}, read_no=2)
    assert [c.kind for c in news([same], known, volatile=("seen.at",))] == ["same"]
    assert len(news([other], known, volatile=("seen.at",))) == 1


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 3), st.booleans()), max_size=12))
def test_whatever_the_order_the_newest_read_wins(reads: list[tuple[int, int, bool]]) -> None:
    """Folding reads one by one, in any order, ends where the newest of them says (ties: the first of them)."""
    known = {"a": held({"v": 0}, read_no=0)}
    numbered = {read_no: (value, gone) for read_no, value, gone in reversed(reads)}
    for read_no, (value, gone) in numbered.items():
        for change in news([raw("a", {"v": value}, read_no=read_no, deleted=gone)], known):
            known["a"] = Known(1, change.digest, change.record.deleted, read_no, None)
    if numbered:
        newest = max(numbered)
        value, gone = numbered[newest]
        assert known["a"].deleted == gone
        assert known["a"].digest == digest(raw("a", {"v": value}).data or b"")
