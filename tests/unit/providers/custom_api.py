"""An API in memory that can page in every way, and definitions of it: tests decide what it has and what befalls it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from syncs.providers.custom.definition import Definition
from tests.unit.providers.fakes import BASE, answer

WAYS: dict[str, dict[str, Any]] = {
    "none": {"type": "none"},
    "link_header": {"type": "link_header"},
    "next_url": {"type": "next_url", "path": "links.next"},
    "page_token": {"type": "page_token", "path": "next", "param": "token"},
    "offset": {"type": "offset", "param": "offset"},
    "page_number": {"type": "page_number", "param": "page"},
    "keyset": {"type": "keyset", "id_param": "after_id", "time_param": "after_time"},
}


def definition(way: str = "keyset", auth: dict[str, Any] | None = None, **changed: Any) -> Definition:
    """A definition of the API below, paged in one way."""
    collection = {
        "id": "things", "title": "Things", "path": "/things", "list_at": "data.items", "updated_at": "meta.changed",
        "created_at": "created", "size_param": "limit", "size": 3, "paging": WAYS[way],
        "incremental": {"param": "since", "format": "unix_ms", "overlap_s": 10}, "record_path": "/things/{id}",
        **changed,
    }  # fmt: skip
    return Definition.model_validate(
        {"key": "acme", "label": "Acme", "base_url": BASE, "auth": auth or {"type": "bearer"}, "per_s": 1000,
         "collections": [collection]}
    )  # fmt: skip


@dataclass
class Api:
    """`things` by id, in order of (changed, id); `before` is called as a request comes in."""

    things: dict[int, int] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)
    before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
    ignores: frozenset[str] = frozenset()
    size: int = 3

    def fill(self, count: int, changed: int = 1_795_424_000_000) -> None:
        self.things |= dict.fromkeys(range(1, count + 1), changed)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        told = self.before(request)
        if told is not None:
            return told
        params = {name: value for name, value in request.url.params.items() if name not in self.ignores}
        if request.url.path.startswith("/things/"):
            number = int(request.url.path.rpartition("/")[2])
            return answer(thing(number, self.things[number])) if number in self.things else answer({}, 404)
        return self.listed(params)

    def listed(self, params: dict[str, str]) -> httpx.Response:
        rows = sorted((changed, number) for number, changed in self.things.items())
        rows = [row for row in rows if row[0] >= int(params.get("since", 0))]
        if "after_time" in params:
            rows = [row for row in rows if row > (int(params["after_time"]), int(params["after_id"]))]
        elif "after_id" in params:
            rows = [row for row in rows if row[1] > int(params["after_id"])]
        size = min(int(params.get("limit", 3)), self.size)
        start = int(params.get("offset", params.get("token", (int(params.get("page", 1)) - 1) * size)))
        page, is_last = rows[start : start + size], start + size >= len(rows)
        query = f"limit={size}&since={params.get('since', 0)}&token={start + size}"
        body: dict[str, Any] = {"data": {"items": [thing(number, changed) for changed, number in page]}}
        body |= {"total": len(rows)} if is_last else {"next": str(start + size), "total": len(rows)}
        body["links"] = {"next": None if is_last else f"/things?{query}"}
        headers = {} if is_last else {"Link": f'<{BASE}/things?{query}>; rel="next"'}
        return answer(json.dumps(body).encode(), **headers)


def thing(number: int, changed: int) -> dict[str, Any]:
    return {"id": number, "price": 1.10, "created": "2026-11-01", "meta": {"changed": changed}}
