"""What our readers ask and what our sandbox answers, held against what each provider publishes of its own API.

The sandbox is written from fact sheets, as our readers are: both could be wrong alike. The descriptions are not ours.
Salesforce publishes none of its REST API, Zendesk none that others may copy.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

import httpx
import pytest

from sandbox.process import RunningSandbox, running
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.errors import CollectionGone
from syncs.providers.kit.http import make_http
from tests.described import Described, Exchange
from tests.integration.provider_adapters import ADAPTERS, adapter
from tests.integration.provider_bench import Bench

KEYS = ("github", "hubspot", "jira", "stripe")
# Where a description is wrong or silent: what a fault's sentence has in it, and why it is none.
KNOWN = {
    "github": {},
    "hubspot": {
        "sent sorts.*": "described as texts; HubSpot's guide to searching sends objects",
        ".properties.": "described as texts; HubSpot's other client says that one unset is null",
        "to.*.toObjectId": "a text here, a number in HubSpot's guide to associations; our reader takes both",
    },
    "jira": {
        "changeHistories.*.created": "described as a text; Atlassian's example of this one answer has milliseconds",
    },
    "stripe": {},
}
OBJECTS = ("contact", "deal", "owner", "deal_pipeline", "contact_to_companies", "custom:machine")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running(tmp_path_factory.mktemp("described"), seed="demo") as sandbox:
        yield sandbox


class Exchanges:
    """What a reader and the sandbox said to each other while every collection was read, each way once."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox, self._of = sandbox, dict[str, list[Exchange]]()

    async def of(self, key: str, patch: pytest.MonkeyPatch) -> list[Exchange]:
        if key not in self._of:
            self._of[key] = await self._read(key, patch)
        return self._of[key]

    async def _read(self, key: str, patch: pytest.MonkeyPatch) -> list[Exchange]:
        found: list[Exchange] = []
        below = len(self._sandbox.side(key))

        async def note(response: httpx.Response) -> None:
            body, request = await response.aread(), response.request
            path = str(request.url)[below:].replace(".json", "", 1)
            sent = json.loads(request.content) if request.content else None
            found.append(Exchange(request.method, path, sent, response.status_code, json.loads(body or b"null")))

        def noting() -> httpx.AsyncClient:
            http = make_http()
            http.event_hooks = {"response": [note]}
            return http

        patch.setattr(adapter, "make_http", noting)
        ours = ADAPTERS[key]
        if ours.settings:
            self._sandbox.control("POST", "settings", dict(ours.settings))
        async with ours.bench(self._sandbox) as bench:
            await bench.reader.check()
            for collection in bench.collections.values():
                if key != "hubspot" or collection.id.removeprefix("hubspot:") in OBJECTS:
                    with suppress(CollectionGone):  # products that the demo account does not use
                        await read(bench, collection)
        return found


async def read(bench: Bench, collection: Collection) -> None:
    """A page or two of history, of ids and of changes, and two records alone."""
    cursor = await bench.start(collection.id)
    await bench.reader.fields(collection)
    await bench.reader.count(collection)
    pages = await first(bench.reader.backfill(collection, None))
    records = [record.upstream_id for page in pages for record in page.records]
    if records:
        await bench.reader.read(collection, list(islice(records, 2)))
    await first(bench.reader.sweep(collection, None))
    await first(bench.reader.changes(collection.feed, [collection], cursor))


async def first(pages: AsyncIterator[Any], count: int = 2) -> list[Any]:
    """So many pages, and no request for more."""
    found: list[Any] = []
    async for page in pages:
        found.append(page)
        if len(found) == count:
            break
    return found


@pytest.fixture(scope="module")
def exchanges(sandbox: RunningSandbox) -> Exchanges:
    return Exchanges(sandbox)


@pytest.mark.parametrize("key", KEYS)
async def test_requests_and_answers_are_as_the_provider_describes_them(exchanges, key, monkeypatch):
    api, said = Described.load(key), await exchanges.of(key, monkeypatch)
    found = {fault for exchange in said for fault in api.faults(exchange)}
    assert {fault for fault in found if not any(known in fault for known in KNOWN[key])} == set()


@pytest.mark.parametrize("key", KEYS)
async def test_a_wrong_type_is_found_in_every_described_answer(exchanges, key, monkeypatch):
    """Each answer once more, its parts turned into lists of lists, which nobody describes."""
    api, said = Described.load(key), await exchanges.of(key, monkeypatch)
    answered = {api.operation(each): each for each in said if each.status == 200 and each.answer}
    answered.pop(None, None)
    assert len(answered) >= 8
    for name, exchange in answered.items():
        whole = exchange.answer
        wrong = [[[]]] if isinstance(whole, list) else {name: [[]] for name in whole}
        spoilt = [fault for fault in api.faults(replace(exchange, answer=wrong)) if "answered" in fault]
        assert spoilt, name
