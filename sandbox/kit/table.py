"""One collection of a side that serves plain JSON records, described."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.clock import SECOND_MS
from sandbox.rawjson import Fields

if TYPE_CHECKING:
    from sandbox.kit.maker import Maker
    from sandbox.store import Row


def iso_z(at_ms: int) -> str:
    """`2026-11-20T08:15:00Z`: GitHub, Zendesk."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def iso_ms_z(at_ms: int) -> str:
    """`2026-11-20T08:15:00.123Z`: HubSpot."""
    return f"{iso_z(at_ms)[:-1]}.{at_ms % 1000:03d}Z"


def whole_number(number: int) -> int:
    """1, 2, 3 …"""
    return number


def _nothing(rng: random.Random) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Table:
    """What a collection's records look like. Fields are dotted paths: `fields.updated`; several hold the same value.

    make       a believable record's values, without what is named below
    demo       how many a demo begins with; `always`: how many every sandbox does
    edit       the changes somebody makes; the churn's
    weight     how often the churn picks it: 0 for never
    new_id     the id of the n-th record made
    ids, created, updated, versions, marks   where id, stamps, version (1, 2, 3 …) and delete mark are written
    time       how a stamp is written; `unit_ms` what it is cut to
    version    how a version is written: `str` where all values are text
    facet      the one value its lists are narrowed by: a comment's issue
    numeric    ids are numbers, and sorted as such
    finish     the last touch before a version is stored: links to itself, totals, a version or mark in an odd place
    unique     fields no two records may share
    """

    name: str
    make: Callable[[Maker], dict[str, Any]]
    demo: int = 0
    always: int = 0
    edit: Callable[[random.Random], dict[str, Any]] = _nothing
    weight: int = 0
    new_id: Callable[[int], Any] = whole_number
    ids: tuple[str, ...] = ("id",)
    created: tuple[str, ...] = ("created_at",)
    updated: tuple[str, ...] = ("updated_at",)
    versions: tuple[str, ...] = ("sandbox_version",)
    marks: tuple[str, ...] = ()
    time: Callable[[int], Any] = iso_z
    unit_ms: int = SECOND_MS
    version: Callable[[int], Any] = whole_number
    facet: str = ""
    numeric: bool = True
    unique: tuple[str, ...] = ()
    finish: Callable[[Fields, Row], Fields] | None = None
