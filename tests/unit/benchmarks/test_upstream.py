"""The benchmarks' upstream keeps Stripe's contract, or the product and its peers would not do the same work."""

import json
from typing import Any

from benchmarks import upstream
from benchmarks.upstream import Upstream, record_id


def ask(app: Upstream, path: str, **query: str) -> Any:
    status, body = app.ask(path, query)
    assert status == 200, body
    return json.loads(body)


def walk(app: Upstream, path: str, limit: int) -> list[Any]:
    """A whole list, by Stripe's rules."""
    members: list[Any] = []
    query = {"limit": str(limit)}
    while True:
        page = ask(app, path, **query)
        members += page["data"]
        if not page["has_more"]:
            return members
        query["starting_after"] = page["data"][-1]["id"]


def test_a_walk_meets_every_record_once_newest_first() -> None:
    found = walk(Upstream({"UP_N": "250"}), "/v1/customers", 100)
    assert [record["id"] for record in found] == [record_id(index) for index in range(250)]
    created = [record["created"] for record in found]
    assert created == sorted(created, reverse=True)


def test_a_page_is_rendered_as_its_records_are() -> None:
    app = Upstream({"UP_N": "30"})
    listed = ask(app, "/v1/customers", limit="30")["data"]
    assert listed == [ask(app, f"/v1/customers/{record_id(index)}") for index in range(30)]


def test_records_are_of_about_a_kilobyte() -> None:
    sizes = [len(upstream.make_record(index)) for index in (0, 49_999, 999_999)]
    assert all(950 < size < 1_150 for size in sizes), sizes


def test_a_list_can_be_entered_by_creation_time() -> None:
    app = Upstream({"UP_N": "50"})
    newest = ask(app, "/v1/customers", **{"created[lte]": str(upstream.NEWEST - 7), "limit": "1"})["data"][0]
    assert newest["id"] == record_id(7)


def test_a_bump_changes_records_and_says_so_where_asked() -> None:
    app = Upstream({"UP_N": "1000"})
    before = {record["id"]: record for record in walk(app, "/v1/customers", 100)}
    assert app.control("bump", {"permille": "50", "events": "1"}) == {"changed": 50}
    after = {record["id"]: record for record in walk(app, "/v1/customers", 100)}
    changed = {key for key in before if before[key] != after[key]}
    assert len(changed) == 50
    events = walk(app, "/v1/events", 20)
    assert {event["data"]["object"]["id"] for event in events} == changed
    assert len({event["id"] for event in events}) == 50


def test_there_are_no_events_before_something_changed() -> None:
    assert ask(Upstream({"UP_N": "10"}), "/v1/events", limit="1") == {
        "object": "list",
        "url": "/v1/events",
        "has_more": False,
        "data": [],
    }


def test_unknown_places_and_keys_are_refused() -> None:
    app = Upstream({"UP_N": "10", "UP_TOKEN": "secret"})
    assert app.ask("/v1/customers", {})[0] == 401
    assert app.ask("/v1/customers", {}, "Bearer secret")[0] == 200
    assert app.ask("/v1/customers", {"starting_after": "cus_none"}, "Bearer secret")[0] == 400
    assert app.ask("/v1/elsewhere", {}, "Bearer secret")[0] == 404
