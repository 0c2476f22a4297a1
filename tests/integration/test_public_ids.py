"""Records are found by their public id, at once and for ever, by keys that follow the log."""

from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from sequin_console.accounts.models import User
from sequin_console.accounts.rights import Role
from syncs import listing, log, public_ids, removal
from syncs.models import Record, RecordKey, Sync, SyncHead
from tests import factories
from tests.consumer_factories import Log

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada() -> User:
    return factories.make_user("ada", Role.ADMIN)


def id_of(own: Log, upstream_id: str, name: str = "thing") -> UUID:
    return log.public_id(own.sync.pk, f"fake:{name}", upstream_id)


def found(ada: User, public_id: UUID) -> str | None:
    row = listing.record_by_id(ada, public_id)
    return row.upstream_id if row else None


def test_a_record_is_found_before_its_key_is_there_and_after(ada: User) -> None:
    own = Log("thing", "other")
    own.fill(5)
    own.fill(5, name="other")
    assert not RecordKey.objects.exists()
    assert found(ada, id_of(own, "thing-00003")) == "thing-00003"
    assert public_ids.follow(budget_s=60) == 10
    assert SyncHead.objects.get().keyed_seq == own.head
    assert found(ada, id_of(own, "thing-00003")) == "thing-00003"
    assert found(ada, id_of(own, "other-00003", "other")) == "other-00003"
    assert found(ada, id_of(own, "thing-00003", "other")) is None
    assert found(ada, UUID(int=7)) is None


def test_a_changed_or_deleted_record_keeps_its_key(ada: User) -> None:
    own = Log()
    own.fill(3)
    public_ids.follow(budget_s=60)
    own.write("thing-00001", {"n": "changed"})
    own.delete("thing-00002")
    assert public_ids.follow(budget_s=60) == 2
    assert RecordKey.objects.count() == 3
    assert found(ada, id_of(own, "thing-00001")) == "thing-00001"
    assert found(ada, id_of(own, "thing-00002")) == "thing-00002"
    assert public_ids.follow(budget_s=60) == 0


def test_looking_up_takes_as_many_rows_for_two_thousand_records_as_for_two(ada: User) -> None:
    own = Log()

    def rows_compared() -> int:
        public_ids.follow(budget_s=60)
        return len(list(public_ids.candidates(id_of(own, "thing-00001"))))

    own.fill(2)
    few = rows_compared()
    own.fill(2_000, start=2)
    assert few == rows_compared() == 1
    assert found(ada, id_of(own, "thing-01999")) == "thing-01999"


def test_many_keys_are_written_in_parts_and_a_spent_budget_goes_on_where_it_stood(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, ticks = Log(), count()
    own.fill(25)
    monkeypatch.setattr(public_ids, "AT_ONCE", 10)
    monkeypatch.setattr(public_ids.time, "monotonic", lambda: next(ticks))
    assert public_ids.follow(budget_s=1.5) == 10
    assert SyncHead.objects.get().keyed_seq == 10
    assert found(ada, id_of(own, "thing-00024")) == "thing-00024"
    assert public_ids.follow(budget_s=60) == 15
    assert RecordKey.objects.count() == 25


def test_keys_are_written_many_a_statement() -> None:
    """One by one they cost PostgreSQL as much as the records."""
    own, written = Log(), []
    own.fill(1_000)

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if "INSERT" in sql:
            written.append(many)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        public_ids.follow(budget_s=60)
    assert RecordKey.objects.count() == 1_000
    assert written == [False] * (10 if connection.vendor == "sqlite" else 1)


def test_of_two_records_with_the_same_key_the_later_one_is_found_by_it() -> None:
    public_ids._write([(7, 1), (7, 2), (8, 3)])
    assert dict(RecordKey.objects.values_list("key", "record_pk")) == {7: 2, 8: 3}
    public_ids._write([(7, 4), (9, 5)])
    assert dict(RecordKey.objects.values_list("key", "record_pk")) == {7: 4, 8: 3, 9: 5}


def test_two_ids_with_the_same_key_are_not_taken_for_each_other(ada: User) -> None:
    own = Log()
    own.fill(1)
    public_ids.follow(budget_s=60)
    public_id = id_of(own, "thing-00000")
    assert found(ada, UUID(int=public_id.int ^ 1)) is None


def test_keys_go_with_their_records_and_a_record_read_anew_has_the_same_id(ada: User) -> None:
    own = Log()
    own.fill(3)
    public_ids.follow(budget_s=60)
    before = id_of(own, "thing-00000")
    Record.objects.all().delete()  # its key stays behind, and points nowhere
    own.fill(3)
    assert found(ada, before) == "thing-00000"
    public_ids.follow(budget_s=60)
    assert found(ada, before) == "thing-00000"
    Sync.objects.update(state="removing", removal="leave")
    removal.carry_on()
    assert not RecordKey.objects.exists()
