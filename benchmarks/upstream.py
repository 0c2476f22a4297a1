"""The upstream of the benchmarks: Stripe's URLs, with pages rendered beforehand so that it costs little.

    GET /v1/customers?limit=1..100&starting_after={id}&created[gte|lte|lt]=…   newest first, `has_more` says how it ends
    GET /v1/customers/{id}                   one record
    GET /v1/events?limit=&starting_after=&created[gte|lt]=…   what `bump` announced, newest first; else empty
    GET /v1/account                          whose account it is
    GET /_ctl/stats    requests, pages, records, bytes since the last reset; pid; when the first came and the last was
                       answered, unix seconds: first_at, last_at of all requests, first_page_at, last_page_at of pages
    GET /_ctl/reset    begin counting anew
    GET /_ctl/bump?permille=50&events=1      change so many of a thousand records (and announce it); {"changed": n}
    GET /_ctl/set?delay_ms=100               from now on every answer takes so long

Records are about 1 kB of JSON, a pure function of (index, revision). Environment: UP_N (50000), UP_DELAY_MS (0),
UP_TOKEN (`Authorization: Bearer` of it is demanded), UP_GZIP (set: compressed for those who accept it).
Run: `uvicorn benchmarks.upstream:app`, one worker. Knows nothing of the product.
"""

import asyncio
import gzip
import json
import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

PAGE = 100
NEWEST = 1_760_000_000  # creation of record 0, unix seconds; record 1 is a second older, and so on
Query = Mapping[str, str]


def record_id(index: int) -> str:
    return f"cus_{index:014d}"


def index_of(upstream_id: str) -> int:
    """Raises ValueError for what is no id of ours."""
    return int(upstream_id.removeprefix("cus_"))


def make_record(index: int, revision: int = 0) -> bytes:
    """One customer as compact JSON, about 1,050 bytes."""
    name = f"Example Person {index * 7919 % 99991}"
    address = {
        "city": f"City {index % 997}",
        "country": "US",
        "line1": f"{index % 9999} Main Street",
        "line2": None,
        "postal_code": f"{index % 99999:05d}",
        "state": "CA",
    }
    record = {
        "id": record_id(index),
        "object": "customer",
        "address": address,
        "balance": (index * 31 + revision) % 100_000,
        "created": NEWEST - index,
        "currency": "usd",
        "default_source": None,
        "delinquent": index % 17 == 0,
        "description": f"Account number {index}, revision {revision}",
        "discount": None,
        "email": f"person{index}@example.test",
        "invoice_prefix": f"{index * 2654435761 % 4294967296:08X}",
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {"order_id": str(index * 13), "segment": f"seg-{index % 23}", "crm": f"0015g{index:010d}AAA"},
        "name": name,
        "next_invoice_sequence": 1 + index % 12,
        "phone": f"+1555{index % 10_000_000:07d}",
        "preferred_locales": ["en", "de"],
        "shipping": {"address": address, "name": name, "phone": None},
        "tax_exempt": "none",
        "test_clock": None,
        "updated": NEWEST - index + revision * 100_000,
        "note": f"Lorem ipsum dolor sit amet, consectetur adipiscing elit, item {index}: sed do eiusmod tempor.",
    }
    return json.dumps(record, separators=(",", ":")).encode()


class Shelf:
    """The records and their rendered pages. `bump` changes some."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._revisions: dict[int, int] = {}
        self._records = [make_record(index) for index in range(count)]
        self._pages: dict[tuple[int, int, bool], bytes] = {}
        self._events: list[dict[str, Any]] = []
        self.warm()

    def warm(self) -> None:
        """Render every page that a walk from the beginning asks for."""
        for start in range(0, self.count, PAGE):
            self.page(start, PAGE)

    def record(self, index: int) -> bytes | None:
        return self._records[index] if 0 <= index < self.count else None

    def page(self, start: int, limit: int, *, packed: bool = False) -> bytes:
        """`limit` records from index `start` on."""
        key = (start, limit, packed)
        if key not in self._pages:
            self._pages[key] = _listed(
                "/v1/customers", self._records[start : start + limit], start + limit < self.count
            )
            if packed:
                self._pages[key] = gzip.compress(self._pages[key], 5)
        return self._pages[key]

    def start_of(self, query: Query) -> int:
        """The index where the asked page begins. Raises ValueError for an unknown id."""
        if after := query.get("starting_after"):
            return index_of(after) + 1
        newest = (
            int(query["created[lte]"]) if "created[lte]" in query else int(query.get("created[lt]", NEWEST + 1)) - 1
        )
        return max(0, NEWEST - newest)

    def bump(self, permille: int, *, announced: bool = False) -> int:
        """Change so many of a thousand records, spread evenly; returns how many."""
        changed = [index for index in range(self.count) if index * 7919 % 1000 < permille]
        for index in changed:
            revision = self._revisions[index] = self._revisions.get(index, 0) + 1
            self._records[index] = make_record(index, revision)
        self._pages.clear()
        self.warm()
        if announced:
            now = int(time.time())
            first = len(self._events)
            self._events[:0] = [_event(first + n, now, record_id(index)) for n, index in enumerate(changed)][::-1]
        return len(changed)

    def events(self, query: Query, limit: int) -> bytes:
        """What was announced, newest first, within the asked times."""
        least, below = int(query.get("created[gte]", 0)), int(query.get("created[lt]", 1 << 60))
        found = [event for event in self._events if least <= event["created"] < below]
        if after := query.get("starting_after"):
            found = found[[event["id"] for event in found].index(after) + 1 :]
        return _listed("/v1/events", [json.dumps(event).encode() for event in found[:limit]], len(found) > limit)


def _listed(url: str, members: list[bytes], more: bool) -> bytes:
    head = b'{"object":"list","url":"' + url.encode() + b'","has_more":' + (b"true" if more else b"false")
    return head + b',"data":[' + b",".join(members) + b"]}"


def _event(number: int, created: int, upstream_id: str) -> dict[str, Any]:
    told = {"object": {"id": upstream_id, "object": "customer"}}
    return {"id": f"evt_{number:014d}", "object": "event", "type": "customer.updated", "created": created, "data": told}


class Upstream:
    """The ASGI application."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.shelf = Shelf(int(environ.get("UP_N", "50000")))
        self.delay_s = float(environ.get("UP_DELAY_MS", "0")) / 1000
        self.token, self.packs = environ.get("UP_TOKEN", ""), bool(environ.get("UP_GZIP"))
        self.stats: dict[str, Any] = {}
        self.reset()

    def reset(self) -> None:
        self.stats = {"requests": 0, "pages": 0, "records": 0, "bytes": 0}
        self.stats |= dict.fromkeys(("first_at", "last_at", "first_page_at", "last_page_at"))

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        headers = dict(scope["headers"])
        if scope["path"].startswith("/_ctl/"):
            answer = json.dumps(self.control(scope["path"].removeprefix("/_ctl/"), query)).encode()
            await _answer(send, 200, answer)
            return
        if self.stats["first_at"] is None:
            self.stats["first_at"] = time.time()
        is_page = scope["path"] == "/v1/customers"
        if is_page and self.stats["first_page_at"] is None:
            self.stats["first_page_at"] = time.time()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        packed = self.packs and b"gzip" in headers.get(b"accept-encoding", b"")
        status, body = self.ask(scope["path"], query, headers.get(b"authorization", b"").decode(), packed=packed)
        self.stats["requests"] += 1
        self.stats["bytes"] += len(body)
        self.stats["last_at"] = time.time()
        if is_page:
            self.stats["last_page_at"] = time.time()
        await _answer(send, status, body, packed=body[:2] == b"\x1f\x8b")

    def ask(self, path: str, query: Query, authorization: str = "", *, packed: bool = False) -> tuple[int, bytes]:
        """Status and body for a GET."""
        if self.token and authorization != f"Bearer {self.token}":
            return 401, _error("Invalid API Key provided")
        parts, limit = path.strip("/").split("/"), min(PAGE, int(query.get("limit", "10")))
        try:
            if parts == ["v1", "customers"]:
                start = self.shelf.start_of(query)
                self.stats["pages"] += 1
                self.stats["records"] += max(0, min(limit, self.shelf.count - start))
                return 200, self.shelf.page(start, limit, packed=packed)
            if parts[:2] == ["v1", "customers"] and (record := self.shelf.record(index_of(parts[2]))):
                return 200, record
            if parts == ["v1", "events"]:
                return 200, self.shelf.events(query, limit)
        except ValueError:
            return 400, _error("No such customer")
        if parts == ["v1", "account"]:
            return 200, b'{"id":"acct_benchmark","object":"account","email":"bench@example.test"}'
        return 404, _error("Unrecognized request URL")

    def control(self, what: str, query: Query) -> dict[str, Any]:
        if what == "bump":
            return {"changed": self.shelf.bump(int(query["permille"]), announced=bool(query.get("events")))}
        if what == "reset":
            self.reset()
        if what == "set":
            self.delay_s = float(query["delay_ms"]) / 1000
        return {**self.stats, "pid": os.getpid()}


def _error(message: str) -> bytes:
    return json.dumps({"error": {"type": "invalid_request_error", "message": message}}).encode()


async def _answer(send: Any, status: int, body: bytes, *, packed: bool = False) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"content-encoding", b"gzip")] if packed else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def __getattr__(name: str) -> Any:
    """`app`, made when a server asks for it: importing this module renders nothing."""
    if name == "app":
        return Upstream(os.environ)
    raise AttributeError(name)
