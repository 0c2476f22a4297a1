"""The client: paced, renewed, retried, limited; and silent about secrets."""

import asyncio
from dataclasses import replace

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey

from syncs.providers import PROVIDERS
from syncs.providers.kit.access import Access
from syncs.providers.kit.answers import Answer, retry_after
from syncs.providers.kit.client import Client, with_params
from syncs.providers.kit.errors import CredentialsRefused, HostGone, RateLimited, UnexpectedShape, UpstreamFailed
from syncs.providers.kit.http import make_http
from syncs.providers.kit.mask import excerpt
from syncs.providers.kit.quota import Quota
from tests.unit.providers.fakes import BASE, NOW, SECRET, Source, Time, answer, client_for, script


async def test_answer_carries_body_date_and_read_number():
    client = client_for(script([answer({"a": 1}), answer({"a": 2})]))
    first, second = await client.get("/x"), await client.get("/x")
    assert first.body == b'{"a":1}'
    assert first.moment().isoformat() == "2026-11-23T09:00:00+00:00"
    assert (first.read_no, second.read_no) == (1, 2)
    assert client.server_now() == first.date


async def test_parameters_are_added_to_a_query_that_is_there():
    upstream = script([answer({})])
    await client_for(upstream).get("/v1/items?subscription=sub_1", {"limit": 100, "created[gte]": 5})
    assert dict(upstream.asked[0].url.params) == {"subscription": "sub_1", "limit": "100", "created[gte]": "5"}


def test_next_page_url_keeps_its_query():
    assert with_params("https://a/b?c=d%2Fe", None) == "https://a/b?c=d%2Fe"


async def test_refused_token_is_renewed_once_and_the_request_repeated():
    upstream = script([answer({}, 401), answer({"ok": True})])
    assert (await client_for(upstream).get("/x")).body == b'{"ok":true}'
    assert [request.headers["authorization"][-1] for request in upstream.asked] == ["0", "1"]


async def test_token_refused_after_renewal_is_raised():
    with pytest.raises(CredentialsRefused):
        await client_for(script([answer({}, 401), answer({}, 401)]), source=Source(renewals=5)).get("/x")


@pytest.mark.parametrize(
    "fault",
    [
        answer({}, 500),
        answer(b"<html>maintenance</html>", 503),
        answer(b'{"records":[{"Id":'),
        answer(b"<html>"),
        httpx.ConnectError("no"),
        httpx.ReadError("cut"),
        TimeoutError(),
    ],
)
async def test_transient_fault_is_tried_again_with_growing_waits(fault):
    time = Time()
    client = client_for(script([fault, fault, answer({"ok": 1})]), time=time)
    assert (await client.get("/x")).body == b'{"ok":1}'
    assert time.slept == [0.5, 1.0]


async def test_three_failures_are_enough():
    with pytest.raises(UpstreamFailed) as caught:
        await client_for(script([answer({"why": "x"}, 502)] * 3)).get("/x")
    assert caught.value.detail.startswith("502 ")
    assert caught.value.next_step


async def test_long_rate_limit_is_raised_and_pauses_all_requests():
    upstream = script([answer({}, 429, Retry_After="60"), answer({})])
    time = Time()
    client = client_for(upstream, time=time)
    with pytest.raises(RateLimited) as caught:
        await client.get("/x")
    assert caught.value.retry_after_s == 60
    with pytest.raises(RateLimited) as caught:
        await client.get("/y")
    assert 0 < caught.value.retry_after_s <= 60
    assert len(upstream.asked) == 1
    time.now += 60
    await client.get("/y")


async def test_short_rate_limit_is_sat_out():
    time = Time()
    client = client_for(script([answer({}, 429, Retry_After="2"), answer({"ok": 1})]), time=time)
    assert (await client.get("/x")).status == 200
    assert sum(time.slept) >= 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("Mon, 23 Nov 2026 09:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 08:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_providers_clock(text, seconds):
    from syncs.providers.kit.times import parse_http_date

    assert retry_after(Answer(429, httpx.Headers({"Retry-After": text}), b"", 1, parse_http_date(NOW))) == seconds


async def test_token_does_not_go_to_another_host():
    upstream = script([])
    client = client_for(upstream)
    for url in ("https://evil.test/x", f"{BASE}.evil.test/x", f"{BASE}@evil.test/x"):
        with pytest.raises(UnexpectedShape):
            await client.get(url)
    assert upstream.asked == []


async def test_no_more_requests_at_once_than_allowed():
    running, most = 0, 0

    async def upstream(request):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return answer({})

    client = client_for(upstream, concurrency=3)
    await asyncio.gather(*(client.get("/x") for _ in range(12)))
    assert most == 3


async def test_secrets_stay_out_of_errors():
    body = {"error": f"Invalid API Key provided: {SECRET}-0", "access_token": "abcdefgh12345"}
    with pytest.raises(CredentialsRefused) as caught:
        await client_for(script([answer(body, 401)] * 2)).get("/x")
    told = caught.value.detail + str(caught.value) + repr(caught.value)
    assert "0123456789" not in told
    assert "abcdefgh12345" not in told
    assert "0123456789" not in repr(await Source().access())


def test_excerpt_is_short_and_masked():
    text = excerpt(
        b'{"refresh_token":"5Aep861abcdefgh","id":"sk_live_abcdefgh1234","x":"00D000000000001!AQEA.xyz"}' + b"y" * 9000
    )
    assert len(text) <= 500
    for secret in ("5Aep861", "abcdefgh1234", "AQEA"):
        assert secret not in text


def test_what_the_provider_masked_itself_is_masked_whole():
    """Stripe's refusal shows how a key begins and its last four characters."""
    assert excerpt(b"Invalid API Key provided: rk_live_********************b087") == "Invalid API Key provided: ***"


async def test_quota_is_reported():
    told = []
    client = client_for(script([answer({})]), read_quota=lambda headers: [Quota(1, 2)], on_quota=told.append)
    await client.get("/x")
    assert told == [Quota(1, 2)]


async def test_what_is_asked_before_leaving_can_keep_a_request_here():
    upstream, left = script([answer({})]), [1]

    async def spend():
        if not left:
            raise RateLimited("No more.", retry_after_s=60)
        left.pop()

    client = client_for(upstream, before_leaving=spend)
    await client.get("/x")
    with pytest.raises(RateLimited):
        await client.get("/x")
    assert len(upstream.asked) == 1


async def test_redirects_and_cookies_are_not_followed():
    async with make_http() as http:
        assert http.follow_redirects is False
        assert http.trust_env is False
        request = httpx.Request("GET", BASE)
        http.cookies.extract_cookies(httpx.Response(200, headers={"Set-Cookie": "a=b"}, request=request))
        assert not list(http.cookies.jar)


async def test_redirect_is_an_error_of_its_own():
    with pytest.raises(UnexpectedShape):
        await client_for(script([answer({}, 302, Location="https://elsewhere.test")])).get("/x")


def test_client_shows_no_secret():
    assert SECRET not in repr(Client(httpx.AsyncClient(), Source(), draw_read_no=lambda: 1))


def name_not_found() -> httpx.ConnectError:
    """What is raised for a host that no name server knows."""
    key = ConnectionKey("gone.test", 443, True, True, None, None, None)
    error = httpx.ConnectError("gone")
    error.__cause__ = aiohttp.ClientConnectorDNSError(key, OSError("unknown name"))
    return error


async def test_a_host_whose_name_is_gone_has_moved_and_is_asked_for_once():
    upstream = script([name_not_found(), answer({"id": 1})])
    source = Source()
    client = client_for(upstream, source=source, may_move=True)
    assert (await client.get("/x")).status == 200
    assert source.count == 1


async def test_a_name_that_stays_gone_is_trouble_and_costs_one_renewal():
    source = Source(renewals=9)
    client = client_for(script(name_not_found() for _ in range(9)), source=source, may_move=True)
    for _ in range(2):
        with pytest.raises(HostGone):
            await client.get("/x")
    assert source.count == 1


async def test_a_fixed_host_whose_name_is_gone_leaves_the_key_alone():
    source = Source()
    with pytest.raises(HostGone):
        await client_for(script(name_not_found() for _ in range(9)), source=source).get("/x")
    assert source.count == 0


async def test_a_key_that_cannot_be_renewed_is_none_the_worse_for_a_missing_name():
    source = Source(renewals=0)
    with pytest.raises(HostGone):
        await client_for(script(name_not_found() for _ in range(9)), source=source, may_move=True).get("/x")


async def test_no_request_leaves_once_the_share_of_the_quota_is_used():
    upstream = script([answer({"id": 1}), answer({"id": 2})])
    client = client_for(
        upstream,
        read_quota=lambda headers: [Quota(1, 10, "burst"), Quota(8, 10)],
        spare_quota=lambda quota: RateLimited("Enough.", retry_after_s=900) if quota.used >= 8 else None,
    )
    await client.get("/x")
    with pytest.raises(RateLimited) as caught:
        await client.get("/x")
    assert caught.value.retry_after_s == 900
    assert len(upstream.asked) == 1


async def test_an_unchanged_answer_is_a_good_one_though_it_has_no_body():
    client = client_for(script([httpx.Response(304, headers={"Date": NOW})]))
    assert (await client.get("/x", headers={"If-None-Match": '"1"'})).status == 304


async def test_a_lane_has_a_pace_of_its_own():
    time = Time()
    client = client_for(lambda request: answer({}), time=time)
    for _ in range(3):
        await client.turn("search", 4)
    await client.turn("other", 1)
    assert time.slept == [0.25, 0.25]


async def test_a_provider_s_client_leaves_it_the_calls_it_wants_spared():
    def spare(quota):
        return RateLimited("Enough.", retry_after_s=900) if quota.used >= 2 else None

    provider = replace(PROVIDERS["salesforce"], spare_quota=spare)
    limits = answer({}, Sforce_Limit_Info="api-usage=2/10")
    client = client_for(lambda request: limits, provider)
    await client.get("/limits")
    with pytest.raises(RateLimited, match="Enough"):
        await client.get("/limits")


class Keyed(Source):
    """A key that stands in the query."""

    async def access(self):
        return Access(BASE, {}, {"api_key": "k&y-0123456789"})


async def test_key_in_the_query_comes_once_and_never_into_an_error():
    upstream = script([answer({}), answer({}), answer({"asked": "k&y-0123456789 k%26y-0123456789"}, 418)])
    client = client_for(upstream, source=Keyed())
    await client.get("/x", {"page": 1})
    await client.get(f"{BASE}/x?api_key=old&page=2")
    assert [str(request.url) for request in upstream.asked] == [
        f"{BASE}/x?page=1&api_key=k%26y-0123456789",
        f"{BASE}/x?page=2&api_key=k%26y-0123456789",
    ]
    with pytest.raises(UnexpectedShape) as refused:
        await client.get("/x")
    assert "0123456789" not in refused.value.detail
    assert "0123456789" not in repr(await Keyed().access())


async def test_requests_leave_at_their_pace():
    time, upstream = Time(), script([answer({}) for _ in range(4)])
    client = client_for(upstream, time=time, per_s=2)
    await asyncio.gather(*[client.get("/x") for _ in range(3)])
    assert time.now - 1000.0 >= 1.0
    time.now += 60
    slept = len(time.slept)
    await client.get("/x")
    assert len(time.slept) == slept
