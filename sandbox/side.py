"""What a provider's package implements, once: everything the rest of the sandbox knows of a provider.

`sides.py` lists them. See README.md, "A new side".
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute
from starlette.types import Scope

from sandbox.faults import KINDS, WEBHOOK_KINDS, Fault
from sandbox.kit.access import secret_of
from sandbox.kit.webhooks import Webhooks
from sandbox.rawjson import Fields
from sandbox.records import Records
from sandbox.refusals import Refusal

if TYPE_CHECKING:
    from sandbox.app import Sandbox

EDGE_PAGE = "<html><head><title>503 Service Unavailable</title></head><body><h1>Service Unavailable</h1></body></html>"
ReadyFault = tuple[str, Mapping[str, str]]
READY_FAULTS: tuple[ReadyFault, ...] = (
    ("Slow down (429), 5 requests", {"kind": "rate_limit", "times": "5", "retry_after": "2"}),
    ("Server error, 3 requests", {"kind": "server_error", "times": "3"}),
    ("Maintenance page, 3 requests", {"kind": "unavailable", "times": "3"}),
    ("Expired access token", {"kind": "expired_token", "times": "1"}),
    ("5 seconds slower", {"kind": "slow", "seconds": "5"}),
    ("Half a body, once", {"kind": "truncated", "times": "1"}),
    ("Dropped connection, once", {"kind": "drop", "times": "1"}),
    ("One in five requests fails", {"kind": "server_error", "share": "0.2"}),
)


class Side(ABC):
    """One provider as the sandbox plays it. Made anew at each reset, so it may remember what a reset forgets.

    key               the first part of its URLs, and its name in the control API
    modes             worlds that do not know each other, the usual one first: Stripe's test and live
    page_token_mark   what the URL of a request for a next page holds: where `lost_page_token` strikes
    lacks             fault kinds this upstream does not know
    own_faults        fault kinds that this upstream alone knows, each in words
    own_settings      settings of its own with their defaults: `{"time_zone": "UTC"}` is set as `<key>_time_zone`
    churned, edits    collections that change by themselves (twice: twice as often), and how each is edited
    main_fields       per collection, the fields its record page has inputs for; the first plain ones where it is silent
    system_fields     fields nobody edits
    sends_webhooks    it does, and sets `self.webhooks`
    undeletes         deleted records can be brought back
    """

    key: ClassVar[str]
    label: ClassVar[str]
    modes: ClassVar[tuple[str, ...]] = ("",)
    page_token_mark: ClassVar[str] = ""
    lacks: ClassVar[frozenset[str]] = frozenset({"lock_timeout", "no_read_right"})
    own_faults: ClassVar[Mapping[str, str]] = {}
    own_settings: ClassVar[Mapping[str, Any]] = {}
    ready_faults: ClassVar[Sequence[ReadyFault]] = READY_FAULTS
    edge_page: ClassVar[str] = EDGE_PAGE
    undeletes: ClassVar[bool] = False
    sends_webhooks: ClassVar[bool] = False
    churned: Sequence[str] = ()
    edits: Mapping[str, Callable[[random.Random], Fields]] = {}
    main_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    system_fields: ClassVar[frozenset[str]] = frozenset({"id", "created_at", "updated_at"})

    def __init__(self, sandbox: Sandbox):
        self.sandbox, self.store, self.clock = sandbox, sandbox.store, sandbox.clock
        self.webhooks: Webhooks | None = None

    def setting(self, name: str) -> Any:
        """The value of one of `own_settings`."""
        return self.sandbox.settings.own[f"{self.key}_{name}"]

    # ---- over HTTP

    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """Mounted at `/<key>`. An endpoint may be a method; functions find their side in `request.scope["side"]`."""

    @classmethod
    def control_routes(cls) -> Sequence[BaseRoute]:
        """What only this side can be told by the control API, below `/_control`."""
        return ()

    def refuse(self, scope: Scope) -> Response | None:
        """What the upstream's edge refuses before it reads anything: heads that are too long."""
        return None

    # ---- faults. What only spoils the transport is edge.py's

    @classmethod
    def fault_kinds(cls) -> dict[str, str]:
        """The kinds that can be laid in wait here, each in words."""
        lacks = cls.lacks if cls.sends_webhooks else cls.lacks | WEBHOOK_KINDS
        return {kind: words for kind, words in KINDS.items() if kind not in lacks} | dict(cls.own_faults)

    @abstractmethod
    def refusals(self, fault: Fault, token: str) -> Mapping[str, Refusal]:
        """How this upstream words each kind: rate_limit, quota, server_error, lost_page_token, forbidden, and its own;
        `revoked_grant` too where a revoked caller is told more than that its token is unknown."""

    def answer_fault(self, fault: Fault, headers: Headers) -> Response | None:
        """The answer of a fault; None when it only changes what the API itself will answer."""
        token = secret_of(headers)
        if fault.kind == "unavailable":
            return HTMLResponse(self.edge_page, 503)
        if fault.kind == "expired_token":
            self.expire({"token": token})
            return None
        if fault.kind == "revoked_grant":
            self.revoke_all()
        refusal = self.refusals(fault, token).get(fault.kind)
        if refusal is None:
            return None
        response = refusal.response()
        if fault.retry_after is not None:
            response.headers["Retry-After"] = f"{fault.retry_after:g}"
        return response

    # ---- what the control API does. Each is given the JSON that was posted

    @abstractmethod
    def records(self, mode: str = "") -> Records:
        """The collections, of one mode."""

    @abstractmethod
    def grant(self, client_id: str, asked: Mapping[str, Any], base: str) -> dict[str, Any]:
        """What a user's approval gives this app: tokens, and what else the token endpoint says."""

    def make_key(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A key that somebody makes by hand, as `{"secret": …}`."""
        raise ValueError(f"{self.label} has no keys")

    @abstractmethod
    def revoke(self, asked: Mapping[str, Any]) -> int:
        """End the `token` or `secret` named, or all grants (of the `client_id`). Returns how many ended."""

    def revoke_all(self) -> None:
        """End everything that a user ever granted."""
        self.revoke({})

    @abstractmethod
    def expire(self, asked: Mapping[str, Any]) -> int:
        """The access `token` named dies, or all do; grants live on. Returns how many died."""

    def forget_page_tokens(self) -> None:
        """All page tokens given out so far become invalid."""
        raise ValueError(f"{self.label} gives out no page tokens")

    # ---- seed and pages

    @abstractmethod
    def plant(self, demo: bool) -> None:
        """Fill a new store: a company's records; or, for an empty one, only what later records cannot be without."""

    @abstractmethod
    def connect(self, base: str) -> dict[str, str]:
        """What its page says of how to connect: label -> value."""

    def mode_of(self, asked: str | None) -> str:
        """The mode asked for, the usual one for None. Raises ValueError for one that does not exist."""
        if asked is None or self.modes == ("",):
            return self.modes[0]
        if asked not in self.modes:
            raise ValueError(f"mode must be one of {', '.join(self.modes)}")
        return asked
