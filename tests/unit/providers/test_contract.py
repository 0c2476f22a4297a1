"""What every provider must be and do: complete, with paging that ends, ids once, a cursor that never goes back."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from syncs.providers import PROVIDERS, provider
from syncs.providers.kit import errors
from syncs.providers.kit.catalogue import Collection, Deletes, Provider
from syncs.providers.kit.errors import ProviderError, RateLimited
from tests.unit.providers.fakes import BASE, Time, answer, client_for, script
from tests.unit.providers.hubspot_portal import Portal
from tests.unit.providers.jira_site import Site

ROOT = Path(__file__).resolve().parents[3]
ALL = pytest.mark.parametrize("key", list(PROVIDERS))


def contact(number: int) -> dict:
    stamp = f"2026-11-23T08:{number % 60:02d}:00.000+0000"
    return {"attributes": {"type": "Contact"}, "Id": f"003{number:015d}", "IsDeleted": number == 3,
            "CreatedDate": stamp, "SystemModstamp": stamp, "Name": "Ada"}  # fmt: skip


def salesforce_sample(request: httpx.Request) -> httpx.Response:
    """Five contacts on pages of two."""
    path, query = request.url.path, request.url.params.get("q", "")
    if path.endswith("/describe"):
        fields = [{"name": "Id", "type": "id"}, {"name": "IsDeleted", "type": "boolean"},
                  {"name": "CreatedDate", "type": "datetime"}, {"name": "SystemModstamp", "type": "datetime"},
                  {"name": "Name"}]  # fmt: skip
        return answer({"name": "Contact", "fields": fields})
    if "COUNT()" in query:
        return answer({"totalSize": 5, "done": True, "records": []})
    if "DESC" in query:
        return answer({"done": True, "records": [contact(5)]})
    start = int(path.rpartition("-")[2]) if "/query/0r8" in path else 0
    page: dict = {
        "totalSize": 5,
        "done": start >= 4,
        "records": [contact(n + 1) for n in range(start, min(start + 2, 5))],
    }
    if start < 4:
        page["nextRecordsUrl"] = f"/services/data/v67.0/query/0r8-{start + 2}"
    return answer(page)


def stripe_sample(request: httpx.Request) -> httpx.Response:
    """Five customers, newest first, on pages of two; an event for each."""
    path, after = request.url.path, request.url.params.get("starting_after", "")
    customers = [{"id": f"cus_{n}", "object": "customer", "created": 1795424000 + n} for n in range(5, 0, -1)]
    if path.startswith("/v1/customers/"):
        return answer(next(each for each in customers if path.endswith(each["id"])))
    if path == "/v1/events":
        customers = [{"id": f"evt_{each['id']}", "object": "event", "type": "customer.updated",
                      "created": each["created"], "data": {"object": each}} for each in customers]  # fmt: skip
    ids = [each["id"] for each in customers]
    start = ids.index(after) + 1 if after else 0
    body = {"object": "list", "data": customers[start : start + 2], "has_more": start + 2 < len(ids), "url": path}
    return answer(json.dumps(body, indent=2).encode())


def jira_sample() -> Site:
    """Five issues, changed a minute apart."""
    site = Site()
    for number in range(1, 6):
        site.put(number, datetime(2026, 11, 23, 8, number, tzinfo=UTC))
    site.page_size = 2
    return site


def hubspot_sample(request: httpx.Request) -> httpx.Response:
    """Five contacts on pages of two."""
    portal = Portal()
    portal.most_listed = 2
    for number in range(1, 6):
        portal.put(number)
    return portal(request)


def zendesk_sample(request: httpx.Request) -> httpx.Response:
    """Five tickets on export pages of two."""
    if request.url.path.endswith("account/settings.json"):
        return answer({"settings": {}})
    start = int(request.url.params.get("cursor") or 0)
    tickets = [{"id": n, "status": "open", "generated_timestamp": 1795424000 + n} for n in range(1, 6)]
    rest = {"after_cursor": str(min(start + 2, 5)), "end_of_stream": start + 2 >= 5}
    return answer({"tickets": tickets[start : start + 2], **rest})


def github_sample(request: httpx.Request) -> httpx.Response:
    """Five issues of one repository, on pages of two that go on by cursor."""
    if request.url.path == "/user/repos":
        return answer([{"id": 42, "full_name": "acme/site", "owner": {"id": 3, "login": "acme"}}])
    stamps = [f"2026-11-23T08:0{number}:00Z" for number in range(1, 6)]
    issues = [{"id": 900 + number, "number": number, "created_at": stamp, "updated_at": stamp}
              for number, stamp in enumerate(stamps, 1)]  # fmt: skip
    params = request.url.params
    left = [each for each in issues if each["updated_at"] >= params.get("since", "")]
    start = int(params.get("after", "0"))
    more = {"Link": f'<{BASE}{request.url.path}?after={start + 2}>; rel="next"'} if start + 2 < len(left) else {}
    return answer(left[start : start + 2], **more)


def linear_sample(request: httpx.Request) -> httpx.Response:
    """Five issues on pages of two."""
    asked = json.loads(request.content)
    if "viewer" in asked["query"]:
        return answer({"data": {"viewer": {"id": "u1"}, "organization": {"id": "o1", "name": "Acme"}}})
    start = int(asked["variables"].get("after") or 0)
    stamps = [f"2026-11-23T08:0{number}:00.000Z" for number in range(1, 6)]
    issues = [{"id": f"i{number}", "createdAt": stamp, "updatedAt": stamp, "archivedAt": None, "trashed": None}
              for number, stamp in enumerate(stamps, 1)]  # fmt: skip
    more = {"hasNextPage": start + 2 < 5, "endCursor": str(start + 2)}
    return answer({"data": {"issues": {"nodes": issues[start : start + 2], "pageInfo": more}}})


SAMPLES = {
    "salesforce": salesforce_sample,
    "stripe": stripe_sample,
    "jira": jira_sample(),
    "hubspot": hubspot_sample,
    "zendesk": zendesk_sample,
    "github": github_sample,
    "linear": linear_sample,
}
SAMPLED = {
    "salesforce": "salesforce:contact",
    "stripe": "stripe:customer",
    "jira": "jira:issue",
    "hubspot": "hubspot:contact",
    "zendesk": "zendesk:ticket",
    "github": "github:issue",
    "linear": "linear:issue",
}


def opened(key: str, upstream=None, **options):
    """The provider, its reader over sample pages, and the collection these hold."""
    found = PROVIDERS[key]
    reader = found.reader(client_for(upstream or SAMPLES[key], found, **options))
    return found, reader, next(each for each in found.collections if each.id == SAMPLED[key])


@ALL
def test_provider_is_complete(key):
    assert provider(key).key == key
    for path in (f"templates/providers/{key}.html", f"static/img/providers/{key}.svg", f"sandbox/{key}"):
        assert (ROOT / path).exists(), path
    assert key in SAMPLES, "sample pages"
    setup = (ROOT / f"templates/providers/{key}.html").read_text()
    assert 'href="https://' in setup, "a link to the provider's own key page"


@ALL
def test_catalogue_is_sound(key):
    found: Provider = PROVIDERS[key]
    ids = [each.id for each in found.collections]
    assert len(ids) == len(set(ids))
    assert found.kinds
    assert found.hosts
    assert found.dropped
    for each in found.collections:
        assert each.id.startswith(f"{key}:")
        assert each.title
        assert each.cost
        assert each.deletes is not Deletes.SWEEP or each.sweep_every_h or each.id == "stripe:account"
    for kind in found.kinds:
        assert kind.oauth is not None or any(field.secret for field in kind.fields)
        assert not kind.imports or any(field.key == kind.imports and field.secret for field in kind.fields)


@ALL
async def test_paging_ends_and_ids_come_once(key):
    _, reader, collection = opened(key)
    pages = [page async for page in reader.backfill(collection, None)]
    ids = [record.upstream_id for page in pages for record in page.records]
    assert len(ids) == len(set(ids)) == 5
    assert [page.done for page in pages] == [False] * (len(pages) - 1) + [True]
    assert all(record.data and b"attributes" not in record.data for page in pages for record in page.records)
    assert all(page.cursor is not None and json.loads(json.dumps(page.cursor)) == page.cursor for page in pages)


@ALL
async def test_changes_end_with_done_and_the_cursor_never_goes_back(key):
    _, reader, collection = opened(key)
    cursor = await reader.start(collection.feed, [collection])
    for _ in range(3):
        before = cursor["t"]
        pages = [page async for page in reader.changes(collection.feed, [collection], cursor)]
        assert [page.done for page in pages] == [False] * (len(pages) - 1) + [True]
        for page in pages:
            cursor = page.cursor if page.cursor is not None else cursor
            assert cursor["t"] >= before
            before = cursor["t"]


@ALL
async def test_a_walk_goes_on_from_every_cursor(key):
    _, reader, collection = opened(key)
    seen, cursor, done = set(), None, False
    for _ in range(20):
        walk: object = reader.backfill(collection, cursor)
        page = await anext(walk)
        await walk.aclose()
        seen |= {record.upstream_id for record in page.records}
        cursor, done = page.cursor, page.done
        if done or len(seen) == 5:
            break
    assert len(seen) == 5 or key == "salesforce"  # the sample does not filter by Id


@ALL
async def test_429_is_survived(key):
    struck = []

    def upstream(request):
        if not struck:
            struck.append(request)
            return answer({}, 429, Retry_After="1")
        return SAMPLES[key](request)

    time = Time()
    _, reader, collection = opened(key, upstream, time=time)
    records = [record async for page in reader.backfill(collection, None) for record in page.records]
    assert len(records) == 5
    assert sum(time.slept) >= 1


@ALL
async def test_long_429_is_told_with_its_time(key):
    _, reader, collection = opened(key, script([answer({}, 429, Retry_After="600")]))
    with pytest.raises(RateLimited) as caught:
        await reader.probe(collection)
    assert caught.value.retry_after_s == 600


@ALL
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'"x"', b"{}", b'{"data":3}', b'{"records":{}}', b'{"data":[3]}']
)
async def test_unknown_answers_are_told_and_nothing_else_is_raised(key, body):
    _, reader, collection = opened(key, lambda request: answer(body))
    for walk in (reader.backfill(collection, None), reader.changes(collection.feed, [collection], {"t": _T[key]})):
        with contextlib.suppress(ProviderError):
            async for _ in walk:
                pass


_T = {
    "salesforce": "2026-11-23T08:00:00.000Z",
    "stripe": 1795424000,
    "jira": "2026-11-23T08:00:00.000Z",
    "hubspot": "2026-11-23T08:00:00.000Z",
    "zendesk": 1795424000,
    "github": 1795424000,
    "linear": "2026-11-23T08:00:00.000Z",
}


def test_every_error_kind_has_a_next_step():
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ProviderError)]
    for each in kinds:
        error = each("Something happened.")
        assert error.kind
        assert error.next_step.endswith(".")


def test_unknown_provider_is_a_key_error():
    with pytest.raises(KeyError):
        provider("nobody")


def test_a_collection_is_a_plain_value():
    assert Collection("a:b", "B", "a:b", "B", Deletes.NONE) == Collection("a:b", "B", "a:b", "B", Deletes.NONE)
