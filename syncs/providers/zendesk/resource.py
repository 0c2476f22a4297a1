"""One of Zendesk's lists, described: where it is, how its changes are found, what marks a deleted record."""

from dataclasses import dataclass
from enum import StrEnum

from syncs.providers.kit.catalogue import Deletes

PREFIX = "zendesk:"
API = "/api/v2"
OBJECT = "custom_object:"  # begins the name of an account's own kind of record


class Found(StrEnum):
    """How a list's changes are found."""

    EXPORT = "export"  # incremental export with a cursor
    TIMED = "timed"  # incremental export by time
    OF_TICKETS = "of_tickets"  # what belongs to tickets that changed: one request a ticket
    SINCE = "since"  # the list takes a time to begin at
    WHOLE = "whole"  # nothing tells: the whole list is read again


@dataclass(frozen=True)
class Resource:
    """One list.

    items     the key of its records in an answer
    listed    another path to list by, for a sample and where the export cannot serve
    one       path of a single record; empty: there is none
    mark      the field that tells a deleted record, see `objects.MARKS`
    paged     by `page[size]` and cursors; else by `page` and `per_page`, or not at all
    params    always sent
    since     the parameter that a SINCE list takes, unix seconds
    drop      top-level keys left out: two routes differ in them, or they say the same twice
    beside    it comes beside the tickets when this is included: `metric_sets`
    counted   `<listed>/count` says how many there are
    stamped   `updated_at` (of tickets `generated_timestamp`) orders versions
    """

    name: str
    title: str
    path: str
    found: Found = Found.WHOLE
    items: str = ""
    id_field: str = "id"
    listed: str = ""
    one: str = ""
    many: str = ""
    mark: str = ""
    paged: bool = True
    params: tuple[tuple[str, str], ...] = ()
    since: str = ""
    drop: tuple[str, ...] = ()
    beside: str = ""
    counted: bool = False
    stamped: bool = False
    deletes: Deletes = Deletes.SWEEP
    shown: bool = True
    every_s: int = 0
    reread_h: int | None = None
    help: str = ""

    @property
    def id(self) -> str:
        return PREFIX + self.name

    @property
    def list_path(self) -> str:
        return self.listed or self.path
