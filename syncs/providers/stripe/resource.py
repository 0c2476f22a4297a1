"""One Stripe list, as the reader sees it: where it is, what events call its members, how its changes are found."""

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "stripe:"


class Found(StrEnum):
    """How a list's changes are found."""

    EVENTS = "events"  # one feed for all: each event names an object, which is read again
    CREATED = "created"  # no events and (almost) no changes: what was created lately is listed again
    WHOLE = "whole"  # neither: the whole list is read again from time to time
    SELF = "self"  # the events themselves
    OWNER = "owner"  # a list inside each member of another: an event names the owner, and its list is read again


@dataclass(frozen=True)
class Resource:
    """One list.

    object      the `object` of its members, as events name it
    deletable   members can be deleted, and an event says so
    by_created  the list takes `created[gte]` and the like
    params      always sent when listing
    listed_too  creation raises no event: what was created lately is listed with each look at the events
    single      not a list: the path answers one object
    partly      some edits raise no event: the whole list is read again once a day

    Of lists that hang on each member of another:

    owner       that other list's name; the member's id stands for `{owner}` in the path
    inside      its key in the owner, which bears the first ones; empty: each owner's list is asked for
    expanded    it is inside only when asked for (`expand[]`)
    told_by     the field that names the owner; added where Stripe leaves it out
    """

    name: str
    title: str
    path: str
    object: str
    found: Found = Found.EVENTS
    deletable: bool = False
    by_created: bool = True
    params: tuple[tuple[str, str], ...] = ()
    listed_too: bool = False
    single: bool = False
    partly: bool = False
    shown: bool = True
    help: str = ""
    owner: str = ""
    inside: str = ""
    expanded: bool = False
    told_by: str = ""

    @property
    def id(self) -> str:
        return PREFIX + self.name
