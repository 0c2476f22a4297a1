"""An API as anybody might have made it: contacts and orders, behind `/{way in}/{way of paging}/contacts`.

Ways in: `header` (X-Api-Key), `query` (api_key), `basic`, `bearer`, `oauth` (code or client credentials).
Ways of paging: `all`, `link`, `next`, `token`, `offset`, `page`, `keyset`. Lists are ordered by change time and id,
`updated_since` narrows them, `limit` (100 at most) is the size of a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.clock import SECOND_MS
from sandbox.faults import Fault
from sandbox.kit.access import Pass, Presented, presented
from sandbox.kit.maker import Maker
from sandbox.kit.oauth import CodeFlow, OAuthRefusal, Rules
from sandbox.kit.query import Span, Wanted
from sandbox.kit.rest_side import Endpoint, RestSide
from sandbox.kit.table import Table, iso_ms_z
from sandbox.rawjson import dump
from sandbox.refusals import JsonRefusal, Refusal
from sandbox.store import Row
from sandbox.words import FIRST_NAMES, LAST_NAMES

WAYS_IN = ("header", "query", "basic", "bearer", "oauth")
MOST = 100


def _contact(make: Maker) -> dict[str, Any]:
    number = make.serial("contacts")
    name = f"{make.pick(*FIRST_NAMES)} {make.pick(*LAST_NAMES)}"
    return {"name": name, "email": f"person{number}@sandbox.example", "score": make.rng.randint(0, 100)}


def _order(make: Maker) -> dict[str, Any]:
    return {"contact_id": make.link("contacts"), "total": make.rng.randint(100, 99_999), "currency": "EUR"}


STAMPS: dict[str, Any] = {
    "created": ("meta.created",), "updated": ("meta.updated",), "versions": ("sandbox_version",), "time": iso_ms_z,
    "unit_ms": 1,
}  # fmt: skip
CONTACTS = Table("contacts", _contact, demo=250, edit=lambda rng: {"score": rng.randint(0, 100)}, weight=2, **STAMPS)
ORDERS = Table("orders", _order, demo=120, edit=lambda rng: {"total": rng.randint(100, 99_999)}, weight=1, **STAMPS)


class Flow(CodeFlow):
    """The code flow, and client credentials beside it (RFC 6749 4.4)."""

    def _granted(self, form: Mapping[str, Any], client_id: str, client_secret: str) -> dict[str, Any]:
        if form.get("grant_type") != "client_credentials":
            return super()._granted(form, client_id, client_secret)
        if not self.side.sandbox.apps.is_genuine(client_id, client_secret):
            raise OAuthRefusal("invalid_client", "client authentication failed", 401)
        tokens = self.open_grant(client_id)
        return {name: tokens[name] for name in ("access_token", "token_type", "expires_in") if name in tokens}


class AnyApi(RestSide):
    key, label, page_token_mark = "anyapi", "Any API", "cursor="
    catalogue, flow_type = (CONTACTS, ORDERS), Flow
    rules = Rules("/oauth/authorize", "/oauth/token", {"read": "Read contacts and orders"}, "any_", rotates=True)
    ready_keys = {"sandbox-anyapi-key": Pass(), "sandbox-anyapi-password": Pass(user="ada")}
    key_prefix = "anykey_"
    own_settings = {"budget_calls": 0, "token_ttl_s": 3_600}

    def routes(self) -> Sequence[Route]:
        assert self.flow is not None
        made = [*self.flow.routes()]
        for table in self.catalogue:
            made.append(Route(f"/{{way_in}}/{{paging}}/{table.name}", self._in(self.listed)))
            made.append(Route(f"/{{way_in}}/{{paging}}/{table.name}/{{id}}", self._in(self.one)))
        return made

    # ---- the way in

    def _in(self, endpoint: Endpoint) -> Endpoint:
        guarded = self.guarded(endpoint)

        async def entered(request: Request) -> Response:
            """One way in a path: a secret shown in another way counts for nothing."""
            headers = [(name, value) for name, value in request.scope["headers"] if name != b"authorization"]
            if secret := self._secret(request):
                headers.append((b"authorization", f"Bearer {secret}".encode()))
            return await guarded(Request({**request.scope, "headers": headers}, request.receive))

        return entered

    def _secret(self, request: Request) -> str:
        way, shown = request.path_params["way_in"], presented(request.headers)
        if way == "header":
            return request.headers.get("x-api-key", "")
        if way == "query":
            return request.query_params.get("api_key", "")
        if way == "basic":
            return shown.secret if (shown.scheme, shown.user) == ("basic", "ada") else ""
        return shown.secret if way in WAYS_IN and shown.scheme == "bearer" else ""

    # ---- lists

    async def one(self, request: Request) -> Response:
        row = self.tables.get(self._table(request), request.path_params["id"])
        if row is None:
            raise JsonRefusal(404, {"error": "no such record"})
        return Response(f'{{"data":{row.body}}}', media_type="application/json")

    async def listed(self, request: Request) -> Response:
        way = getattr(self, f"_by_{request.path_params['paging']}", None)
        if way is None:
            raise JsonRefusal(404, {"error": "no such way of paging"})
        answer: Response = way(request, self._table(request), self._wanted(request))
        return answer

    def _by_all(self, request: Request, name: str, wanted: Wanted) -> Response:
        rows: list[Row] = []
        while page := self.tables.page(name, wanted, offset=len(rows), limit=10_000):  # whatever pages are cut to
            rows += page
        return _answer(rows)

    def _by_link(self, request: Request, name: str, wanted: Wanted) -> Response:
        rows, cursor = self._from_cursor(request, name, wanted, "cursor")
        return _answer(rows, headers={"Link": f'<{_again(request, cursor=cursor)}>; rel="next"'} if cursor else {})

    def _by_next(self, request: Request, name: str, wanted: Wanted) -> Response:
        rows, cursor = self._from_cursor(request, name, wanted, "cursor")
        return _answer(rows, {"links": {"next": _again(request, cursor=cursor) if cursor else None}})

    def _by_token(self, request: Request, name: str, wanted: Wanted) -> Response:
        rows, cursor = self._from_cursor(request, name, wanted, "cursor")
        return _answer(rows, {"next_cursor": cursor, "has_more": cursor is not None})

    def _by_offset(self, request: Request, name: str, wanted: Wanted) -> Response:
        rows = self.tables.page(name, wanted, limit=_limit(request), offset=_number(request, "offset", 0))
        return _answer(rows, {"total": self.tables.count(name, wanted)})

    def _by_page(self, request: Request, name: str, wanted: Wanted) -> Response:
        size = min(_limit(request), self.sandbox.settings.page_size_cap or MOST)
        offset = (max(_number(request, "page", 1), 1) - 1) * size
        return _answer(self.tables.page(name, wanted, limit=size, offset=offset))

    def _by_keyset(self, request: Request, name: str, wanted: Wanted) -> Response:
        after = request.query_params.get("after_id")
        place = [_moment_ms(request, "after_time"), int(after)] if after else None
        return _answer(self.tables.page(name, wanted, after=place, limit=_limit(request)))

    def _from_cursor(self, request: Request, name: str, wanted: Wanted, param: str) -> tuple[list[Row], str | None]:
        token, limit = request.query_params.get(param), _limit(request)
        place = self.page_tokens.read(token) if token else None
        if token and place is None:
            raise JsonRefusal(400, {"error": "unknown cursor"})
        rows = self.tables.page(name, wanted, after=place, limit=limit)
        is_full = len(rows) >= min(limit, self.sandbox.settings.page_size_cap or limit)
        return rows, self.page_tokens.make(*self.tables.place(name, rows[-1], "updated")) if is_full else None

    def _table(self, request: Request) -> str:
        return request.url.path.split("/")[4]

    def _wanted(self, request: Request) -> Wanted:
        if "updated_since" not in request.query_params:
            return Wanted()
        return Wanted(spans=(Span("updated", _moment_ms(request, "updated_since")),))

    # ---- refusals

    def unauthorized(self, shown: Presented, is_expired: bool) -> Refusal:
        return JsonRefusal(401, {"error": "this token has expired" if is_expired else "who are you?"})

    def missing_scope(self, scopes: Sequence[str]) -> Refusal:
        return JsonRefusal(403, {"error": f"needs {scopes[0]}"})

    def over_budget(self, left: Any) -> Refusal:
        return JsonRefusal(429, {"error": "slow down"}, {"Retry-After": "2"})

    def refusals(self, fault: Fault, token: str) -> Mapping[str, Refusal]:
        kinds = {"rate_limit": 429, "quota": 429, "server_error": 500, "lost_page_token": 400, "forbidden": 403}
        return {kind: JsonRefusal(status, {"error": kind}) for kind, status in kinds.items()}

    def connect(self, base: str) -> dict[str, str]:
        return super().connect(base) | {
            "A list": f"{base}/header/token/contacts",
            "Basic": "ada, and key 2 as password",
        }


def _answer(
    rows: Sequence[Row], more: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    rest = "".join(f",{dump(name).decode()}:{dump(value).decode()}" for name, value in (more or {}).items())
    body = f'{{"data":{{"items":[{",".join(row.body for row in rows)}]}}{rest}}}'
    return Response(body, headers=headers and dict(headers), media_type="application/json")


def _again(request: Request, **params: Any) -> str:
    """This request's address with other parameters, as upstreams give it: with the caller's key in it, too."""
    url = request.url
    return f"{url.scheme}://{url.netloc}{url.path}?{urlencode({**request.query_params, **params})}"


def _limit(request: Request) -> int:
    return min(max(_number(request, "limit", MOST), 1), MOST)


def _number(request: Request, name: str, usual: int) -> int:
    text = request.query_params.get(name, "")
    if text and not text.isdecimal():
        raise JsonRefusal(400, {"error": f"{name} is no number"})
    return int(text) if text else usual


def _moment_ms(request: Request, name: str) -> int:
    try:
        moment = datetime.fromisoformat(request.query_params.get(name, ""))
    except ValueError:
        raise JsonRefusal(400, {"error": f"{name} is no time"}) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * SECOND_MS)
