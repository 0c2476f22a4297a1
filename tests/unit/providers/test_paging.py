"""How upstream lists go on: each type by its sample, its end, and what would never end."""

import pytest

from syncs.providers.kit.answers import Answer
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.paging import LinkHeader, NextUrl, Offset, PageNumber, PageToken, Paging, Request, walk
from tests.unit.providers.fakes import BASE, answer, client_for, script
from tests.unit.providers.test_kit import page

ISSUES = Request("/repos/a/b/issues", {"per_page": 2})


# --- Link header -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "path"),
    [
        (
            '<https://a.test/x?page=2&per_page=2>; rel="next", <https://a.test/x?page=9>; rel="last"',
            "page=2&per_page=2",
        ),
        (
            '<https://a.test/x?page=1>; rel="prev", <https://a.test/x?page=2&per_page=2>; rel="next"',
            "page=2&per_page=2",
        ),
        ("<https://a.test/x?page=2&per_page=2>;rel=next", "page=2&per_page=2"),
        ('<https://a.test/x?q=a,b;c&page=2>; title="x, <y>; rel=\\"no\\""; REL="start next"', "q=a,b;c&page=2"),
    ],
)
def test_link_header_names_the_next_page(link, path):
    following = LinkHeader().after(page(link=link), ISSUES)
    assert following == Request(f"https://a.test/x?{path}")
    assert following.params is None  # given {}, httpx would drop the query the URL has


@pytest.mark.parametrize("link", ["", '<https://a.test/x?page=1>; rel="prev"', "<https://a.test/next>", "nonsense"])
def test_no_next_link_is_the_end(link):
    assert LinkHeader().after(page(link=link), ISSUES) is None


def test_relative_link_is_taken_from_the_request():
    assert LinkHeader().after(page(link='<?page=2>; rel="next"'), ISSUES) == Request("/repos/a/b/issues?page=2")


def test_link_to_the_same_page_is_told_and_not_followed_for_ever():
    with pytest.raises(UnexpectedShape):
        LinkHeader().after(page(link='<https://a.test/x?page=2>; rel="next"'), Request("https://a.test/x?page=2"))


# --- Next URL --------------------------------------------------------------------------------------------------------


def test_next_url_is_followed_while_there_is_more():
    paging = NextUrl("links.next", more="meta.has_more")
    body = b'{"tickets":[{"id":1}],"meta":{"has_more":%b},"links":{"next":"https://a.test/t.json?page[after]=e"}}'
    following = paging.after(page(body % b"true"), Request("/api/v2/tickets.json", {"page[size]": 100}))
    assert following == Request("https://a.test/t.json?page[after]=e")
    assert paging.after(page(body % b"false"), Request("/api/v2/tickets.json")) is None


def test_next_url_of_the_last_page_is_not_followed_where_an_end_is_told():
    paging = NextUrl("after_url", end="end_of_stream")
    body = b'{"tickets":[],"after_url":"https://a.test/i.json?cursor=c","end_of_stream":%b}'
    assert paging.after(page(body % b"false"), Request("/i.json")) == Request("https://a.test/i.json?cursor=c")
    assert paging.after(page(body % b"true"), Request("/i.json")) is None


@pytest.mark.parametrize("body", [b"{}", b'{"links":null}', b'{"links":{"next":null}}', b'{"links":[]}', b"[]"])
def test_no_next_url_is_the_end(body):
    assert NextUrl("links.next").after(page(body), Request("/t")) is None


# --- Page token ------------------------------------------------------------------------------------------------------


def test_page_token_goes_into_the_query_and_the_rest_stays():
    request = Request("/rest/api/3/search/jql", {"jql": "x", "maxResults": 100})
    following = PageToken("nextPageToken", "nextPageToken", end="isLast").after(
        page(b'{"issues":[],"nextPageToken":"CAEa","isLast":false}'), request
    )
    assert following == Request("/rest/api/3/search/jql", {"jql": "x", "maxResults": 100, "nextPageToken": "CAEa"})


def test_page_token_goes_into_the_body_of_a_post():
    request = Request("/changelog/bulkfetch", body={"issueIdsOrKeys": ["1"]})
    following = PageToken("nextPageToken", "nextPageToken").after(page(b'{"nextPageToken":"t"}'), request)
    assert following == Request("/changelog/bulkfetch", body={"issueIdsOrKeys": ["1"], "nextPageToken": "t"})


@pytest.mark.parametrize(
    "body",
    [b'{"isLast":true}', b'{"nextPageToken":null,"isLast":false}', b'{"nextPageToken":"t","isLast":true}', b"{}"],
)
def test_token_ends_by_word_or_by_absence(body):
    assert PageToken("nextPageToken", "nextPageToken", end="isLast").after(page(body), Request("/s")) is None


def test_nested_token_and_a_number_as_token():
    paging = PageToken("paging.next.after", "after")
    assert paging.after(page(b'{"results":[],"paging":{"next":{"after":525}}}'), Request("/c")) == Request(
        "/c", {"after": "525"}
    )


def test_the_same_token_twice_is_told():
    with pytest.raises(UnexpectedShape):
        PageToken("next", "after").after(page(b'{"next":"t"}'), Request("/c", {"after": "t"}))


# --- Offset and page number ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paging", "body", "start"),
    [
        (Offset("values", end="isLast"), b'{"startAt":2,"isLast":false,"values":[1,2]}', 4),
        (Offset("values", end="isLast", total="total"), b'{"total":4,"isLast":false,"values":[1,2]}', 4),
        (Offset("values", end="isLast"), b'{"isLast":true,"values":[1,2]}', None),
        (Offset("values", end="isLast"), b'{"isLast":false,"values":[]}', None),
        (Offset("values", total="total"), b'{"total":5,"values":[1,2]}', 4),
        (Offset("values", total="total"), b'{"total":4,"values":[1,2]}', None),
        (Offset(""), b"[1,2,3]", 5),
        (Offset(""), b"[1,2]", 4),  # not full: the server may have cut it short, or taken out what is hidden
        (Offset(""), b"[]", None),
    ],
)
def test_offset_goes_on_by_what_came(paging: Offset, body: bytes, start: int | None):
    asked = Request("/p", {"startAt": 2, "maxResults": 3, "expand": "x"})
    following = paging.after(page(body), asked)
    assert following == (start and Request("/p", {"startAt": start, "maxResults": 3, "expand": "x"}))


@pytest.mark.parametrize(
    ("paging", "body", "params", "number"),
    [
        (PageNumber("data"), b'{"data":[1,2]}', {"per_page": 2}, 2),
        (PageNumber("data"), b'{"data":[1]}', {"per_page": 2, "page": 7}, 8),
        (PageNumber("data"), b'{"data":[]}', {}, None),
        (PageNumber("data"), b'{"data":[1]}', {"page": "7"}, 8),
        (PageNumber("data", pages="total_pages"), b'{"data":[1],"total_pages":2}', {"per_page": 2}, 2),
        (PageNumber("data", pages="total_pages"), b'{"data":[1,2],"total_pages":2}', {"per_page": 2, "page": 2}, None),
        (PageNumber("", first=0), b"[1,2]", {"per_page": 2}, 1),
    ],
)
def test_page_number_is_counted_on(paging: PageNumber, body: bytes, params: dict[str, int], number: int | None):
    assert paging.after(page(body), Request("/p", params)) == (number and Request("/p", {**params, "page": number}))


@pytest.mark.parametrize("paging", [Offset("values"), PageNumber("values")])
def test_page_without_its_list_is_told(paging: Paging):
    with pytest.raises(UnexpectedShape):
        paging.after(page(b'{"errors":[]}'), Request("/p"))


# --- Walking ---------------------------------------------------------------------------------------------------------


async def test_walk_follows_a_url_whose_query_is_complete():
    upstream = script([answer([1], Link=f'<{BASE}/x?page=2&per_page=1>; rel="next"'), answer([2])])
    pages: list[Answer] = [
        each async for each in walk(client_for(upstream), Request("/x", {"per_page": 1}), LinkHeader())
    ]
    assert [each.body for each in pages] == [b"[1]", b"[2]"]
    assert [str(request.url) for request in upstream.asked] == [f"{BASE}/x?per_page=1", f"{BASE}/x?page=2&per_page=1"]


async def test_walk_posts_where_there_is_a_body():
    upstream = script([answer({"next": "t"}), answer({})])
    request = Request("/x", body={"ids": [1]})
    assert len([each async for each in walk(client_for(upstream), request, PageToken("next", "token"))]) == 2
    assert [(each.method, each.content) for each in upstream.asked] == [
        ("POST", b'{"ids":[1]}'),
        ("POST", b'{"ids":[1],"token":"t"}'),
    ]


async def test_walk_does_not_carry_the_token_to_another_host():
    upstream = script([answer([1], Link='<https://evil.test/x?page=2>; rel="next"')])
    with pytest.raises(UnexpectedShape):
        _ = [each async for each in walk(client_for(upstream), Request("/x"), LinkHeader())]
    assert len(upstream.asked) == 1
