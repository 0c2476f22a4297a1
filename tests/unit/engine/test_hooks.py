"""How webhooks and change events are doing, decided."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncs.engine.hooks import state_of, stream_state_of

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
AGO = timedelta(hours=1)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "waiting"),
        ({"has_secret": False}, "unsigned"),
        ({"last_event_at": NOW}, "receiving"),
        ({"last_event_at": NOW - AGO, "changed_at": NOW - AGO}, "receiving"),
        ({"last_event_at": NOW - AGO, "changed_at": NOW}, "silent"),
        ({"last_event_at": NOW - AGO, "refused": 3, "changed_at": NOW}, "refused"),
        ({"refused": 1}, "refused"),
        ({"last_event_at": NOW, "expires_at": NOW}, "ended"),
        ({"last_event_at": NOW, "expires_at": NOW + AGO}, "receiving"),
        ({"changed_at": NOW}, "waiting"),
    ],
)
def test_state(facts: dict[str, Any], state: str) -> None:
    known: dict[str, Any] = {"has_secret": True, "last_event_at": None, "refused": 0, "expires_at": None}
    assert state_of(**{**known, "now": NOW, "changed_at": None, **facts}) == state


def stream_state(**more: Any) -> str:
    told = {"is_wanted": True, "is_held": True, "connected_at": NOW, "is_offered": True, "error": ""}
    return stream_state_of(**{**told, **more})


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "listening"),
        ({"connected_at": None}, "connecting"),
        ({"is_held": False}, "connecting"),  # whoever listened is dead
        ({"is_offered": False, "connected_at": None, "is_held": False}, "absent"),
        ({"error": "Used up."}, "interrupted"),
        ({"is_wanted": False, "error": "Used up."}, "idle"),
    ],
)
def test_state_of_change_events(facts: dict[str, Any], state: str) -> None:
    assert stream_state(**facts) == state
