"""Leases let one worker in; the fencing number stops one that was overtaken."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, models
from django.test.utils import isolate_apps
from django.utils import timezone

from sequin_console.common import leases


@pytest.fixture
def unit(transactional_db: None) -> Iterator[Any]:
    with isolate_apps("sequin_console.common"):

        class Unit(leases.Leased):
            done = models.IntegerField(default=0)

            class Meta:
                app_label = "common"

            def __str__(self) -> str:
                return "unit"

        with connection.schema_editor() as editor:
            editor.create_model(Unit)
        yield Unit
        with connection.schema_editor() as editor:
            editor.delete_model(Unit)


def test_a_taken_unit_is_nobody_elses(unit: Any) -> None:
    pk = unit.objects.create().pk
    first = leases.take(unit, pk, seconds=60)
    assert first is not None
    assert leases.take(unit, pk, seconds=60) is None
    first.release()
    second = leases.take(unit, pk, seconds=60)
    assert second is not None
    assert second.lease_no == first.lease_no + 1


def test_an_expired_lease_is_taken_over_and_its_old_holder_is_fenced_off(unit: Any) -> None:
    pk = unit.objects.create().pk
    old = leases.take(unit, pk, seconds=60)
    unit.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    new = leases.take(unit, pk, seconds=60)
    with pytest.raises(leases.LeaseLost):
        old.fenced_update(done=1)
    old.release()
    new.fenced_update(done=2)
    row = unit.objects.get()
    assert (row.done, row.lease_until is not None) == (2, True)


def test_hold_many_takes_what_is_free_and_gives_it_back(unit: Any) -> None:
    pks = [unit.objects.create().pk for _ in range(3)]
    leases.take(unit, pks[1], seconds=60)

    class Failed(Exception):
        pass

    def work() -> None:
        with leases.hold_many(unit, [*pks, 99], seconds=60) as held:
            assert [row.pk for row in held] == [pks[0], pks[2]]
            raise Failed

    with pytest.raises(Failed):
        work()
    assert unit.objects.filter(lease_until=None).count() == 2


def test_of_many_workers_one_wins(unit: Any) -> None:
    pk, together = unit.objects.create().pk, Barrier(6)

    def compete(_: int) -> Any:
        together.wait()
        try:
            return leases.take(unit, pk, seconds=60)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        winners = [row for row in threads.map(compete, range(6)) if row is not None]
    assert len(winners) == 1
