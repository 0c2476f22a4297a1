"""HubSpot, account 4242424: the CRM's objects, what belongs together, owners and pipelines.

Docs    https://developers.hubspot.com/docs/api-reference, API version 2026-09
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.clock import SECOND_MS
from sandbox.control import body_of, plain
from sandbox.faults import Fault
from sandbox.hubspot import associations, errors, events, objects, search
from sandbox.hubspot.demo import TABLES
from sandbox.hubspot.kinds import BY_NAME, KINDS, PAIRS, PIPED, PORTAL, Kind
from sandbox.hubspot.oauth import RULES, HubSpotFlow
from sandbox.kit.access import Pass, Presented
from sandbox.kit.budget import Budget, Left
from sandbox.kit.query import Select, Wanted
from sandbox.kit.rest_side import RestSide
from sandbox.kit.tables import Change
from sandbox.kit.webhooks import Hook
from sandbox.rawjson import dump, load
from sandbox.refusals import Refusal
from sandbox.store import LIVE

V = "2026-09"
DAY_S = 86_400
MOVING_S = 600


class HubSpot(RestSide):
    """One account. Searches lag by `hubspot_index_delay_s`; everything else shows what is written at once."""

    key, label, catalogue, page_token_mark = "hubspot", "HubSpot", TABLES, "after="
    rules, flow_type, sends_webhooks, habits, undeletes = RULES, HubSpotFlow, True, events.HABITS, True
    ready_keys = {"pat-na1-sandbox-demo": Pass()}
    key_prefix = "pat-na1-"
    budget_s = 10
    lacks = frozenset({"no_read_right"})
    own_faults = {"search_limit": "429 of the search, which may be asked 5 times a second",
                  "moving": "477: the account is being moved to another data centre"}  # fmt: skip
    own_settings = {"budget_calls": 0, "token_ttl_s": 1_800, "rotate_refresh_tokens": False, "lacking_scopes": "",
                    "index_delay_s": 0.0, "searches_per_s": 5, "daily_calls": 250_000, "daily_used": 0,
                    "extra_properties": 0, "associations_page": 500, "has_custom_objects": True}  # fmt: skip
    main_fields = {kind.name: ("properties",) for kind in KINDS}
    system_fields = frozenset({"id", "createdAt", "updatedAt", "archived", "archivedAt", "sandbox_version"})

    def __init__(self, sandbox: Any):
        super().__init__(sandbox)
        self.searches = Budget(self.clock, 1)
        self.days = Budget(self.clock, DAY_S)
        self.merging = False

    # ---- over HTTP

    def routes(self) -> Sequence[BaseRoute]:
        of_type = f"/crm/objects/{V}/{{type}}"
        return [
            *self.flow.routes(),  # type: ignore[union-attr]
            self.open(f"/account-info/{V}/details", account, "oauth"),
            self.open(f"{of_type}/search", search.search, methods=("POST",)),
            self.open(f"{of_type}/batch/read", objects.batch_read, methods=("POST",)),
            self.open(f"{of_type}/{{id}}", objects.one),
            self.open(of_type, objects.listed),
            self.open(f"/crm/properties/{V}/{{type}}", objects.properties),
            self.open(f"/crm/associations/{V}/{{from}}/{{to}}/batch/read", associations.batch_read, methods=("POST",)),
            self.open(f"/crm/owners/{V}", owners, "crm.objects.owners.read"),
            self.open(f"/crm/pipelines/{V}/{{type}}", pipelines),
            self.open(f"/crm-object-schemas/{V}/schemas", schemas, "crm.schemas.custom.read"),
        ]

    def open(self, path: str, endpoint: Callable[..., Any], *scopes: str, methods: Sequence[str] = ("GET",)) -> Route:
        """A route whose calls count for the account's day."""

        async def entered(request: Request) -> Response:
            if self._day(request).is_over:
                raise errors.over_day()
            return await endpoint(self, request)

        return self.get(path, entered, *scopes, methods=methods)

    def _day(self, request: Request) -> Left:
        limit, used = int(self.setting("daily_calls")), int(self.setting("daily_used"))
        if getattr(request.state, "day", None) is None:
            spent = self.days.spend("portal", limit)
            request.state.day = Left(limit, spent.used + used, spent.reset_ms)
        return request.state.day

    def headers(self, request: Request, left: Left) -> Mapping[str, str]:
        """None on searches; the day's only for keys."""
        if request.url.path.endswith("/search"):
            return {}
        limit, spare = (left.limit, left.left) if left.limit else (190, 189)
        told = {"X-HubSpot-RateLimit-Max": str(limit), "X-HubSpot-RateLimit-Remaining": str(spare),
                "X-HubSpot-RateLimit-Interval-Milliseconds": str(errors.BURST_MS)}  # fmt: skip
        caller = getattr(request.state, "caller", None)
        if caller is not None and not caller.grant:
            day = self._day(request)
            told |= {"X-HubSpot-RateLimit-Daily": str(day.limit), "X-HubSpot-RateLimit-Daily-Remaining": str(day.left)}
        return told

    def unauthorized(self, shown: Presented, is_expired: bool) -> Refusal:
        if is_expired:
            return errors.refusal(
                401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired 32 second(s) ago."
            )
        return errors.refusal(
            401, "INVALID_AUTHENTICATION", "Authentication credentials not found. This API supports OAuth 2.0."
        )

    def missing_scope(self, scopes: Sequence[str]) -> Refusal:
        return errors.missing_scopes(scopes)

    def over_budget(self, left: Left) -> Refusal:
        return errors.over_ten_seconds()

    def refusals(self, fault: Fault, token: str) -> Mapping[str, Refusal]:
        moving = {"Retry-After": str(MOVING_S)}
        return {
            "rate_limit": errors.over_ten_seconds(), "search_limit": errors.over_second(), "quota": errors.over_day(),
            "server_error": errors.refusal(500, "INTERNAL_ERROR", "internal error"),
            "lock_timeout": errors.refusal(423, "LOCKED", "This resource is locked by another process."),
            "moving": errors.refusal(477, "MIGRATION_IN_PROGRESS", "The account is being moved.", moving),
            "lost_page_token": errors.invalid("Invalid input for paging: the after value is not valid."),
            "forbidden": errors.missing_scopes(["crm.objects.contacts.read"]),
        }  # fmt: skip

    # ---- webhooks

    def sign(self, hook: Hook, body: bytes, now_ms: int) -> Mapping[str, str]:
        return events.sign(hook, body, now_ms)

    def tell(self, change: Change) -> None:
        if not self.merging:
            events.tell(self, change)

    @classmethod
    def control_routes(cls) -> Sequence[BaseRoute]:
        return [Route("/records/hubspot/{collection}/{id}/merge", merge, methods=["POST"])]

    def merge(self, name: str, winner: str, losers: Sequence[str]) -> None:
        """The losers vanish, and are in no recycle bin; the winner names them. One event tells of all."""
        self.merging = True
        try:
            for loser in losers:
                self.tables.delete(name, loser, hard=True)
            before = load(self.tables.find(name, winner).body)["properties"].get("hs_merged_object_ids")
            merged = ";".join(filter(None, [before, *losers]))
            self.tables.update(name, winner, {"properties": dump({"hs_merged_object_ids": merged})})
        finally:
            self.merging = False
        events.tell_of_merge(self, name, winner, losers)

    def connect(self, base: str) -> dict[str, str]:
        return super().connect(base) | {"Account": str(PORTAL)}


async def account(side: HubSpot, request: Request) -> Response:
    return JSONResponse({"portalId": PORTAL, "accountType": "DEVELOPER_TEST", "timeZone": "Europe/Berlin",
                         "companyCurrency": "EUR", "additionalCurrencies": [], "utcOffset": "+01:00",
                         "utcOffsetMilliseconds": 3600 * SECOND_MS, "uiDomain": "app.hubspot.com",
                         "dataHostingLocation": "eu1"})  # fmt: skip


async def owners(side: HubSpot, request: Request) -> Response:
    """The one list with page tokens that are no ids."""
    query = request.query_params
    is_bin, limit = query.get("archived") == "true", objects.number_of(query.get("limit", "100"), "limit")
    place = side.page_tokens.read(query["after"]) if query.get("after") else [0]
    if place is None or not 0 < limit <= 500:
        raise errors.invalid("Invalid input for paging: the after value or the limit is not valid.")
    select = Select(side.tables.shelf("owners"), True, Wanted(deleted=is_bin))
    select.narrow(f"{select.number} > ?", place[0])
    if is_bin:
        select.narrow("deleted <> ?", LIVE)
    side.store.settle(side.clock.now_ms())
    limit = min(limit, side.sandbox.settings.page_size_cap or limit)
    rows = select.rows(side.store, "id", False, limit + 1, 0)
    found = {"results": b"[" + b",".join(row.body.encode() for row in rows[:limit]) + b"]"}
    if len(rows) > limit:
        found["paging"] = objects.paging(side.page_tokens.make(int(rows[limit - 1].id)))
    return objects.json_of(found)


async def pipelines(side: HubSpot, request: Request) -> Response:
    name = request.path_params["type"]
    if name not in PIPED:
        raise errors.unknown_type(name)
    if not request.state.caller.may(PIPED[name]):
        raise errors.missing_scopes([PIPED[name]])
    rows = side.tables.page(f"{name}_pipelines", order="id")
    return objects.json_of({"results": b"[" + b",".join(row.body.encode() for row in rows) + b"]"})


async def schemas(side: HubSpot, request: Request) -> Response:
    """The account's own object types; an account below Enterprise may not have any."""
    if not side.setting("has_custom_objects"):
        raise errors.missing_scopes(["crm.schemas.custom.read"])
    return JSONResponse({"results": [described(kind) for kind in KINDS if kind.custom]})


def described(kind: Kind) -> dict[str, Any]:
    """One own type's schema, less its properties."""
    name = kind.singular.lower()
    pairs = [pair for one, other, *_ in PAIRS if kind.name == one for pair in ((one, other), (other, one))]
    ends = [{"fromObjectTypeId": BY_NAME[one].type_id, "toObjectTypeId": BY_NAME[other].type_id, "name": name}
            for one, other in pairs]  # fmt: skip
    labels = {"singular": kind.singular.title(), "plural": kind.name.title()}
    return {"id": kind.type_id.partition("-")[2], "name": name, "objectTypeId": kind.type_id, "archived": False,
            "fullyQualifiedName": f"p{PORTAL}_{name}", "requiredProperties": ["model"], "labels": labels,
            "associations": ends}  # fmt: skip


@plain
async def merge(request: Request) -> Any:
    """`{"losers": [ids]}` are merged into the record of the URL."""
    losers = (await body_of(request))["losers"]
    name, winner = request.path_params["collection"], request.path_params["id"]
    request.app.state.sandbox.sides["hubspot"].merge(name, winner, losers)
    return {"merged": [winner]}
