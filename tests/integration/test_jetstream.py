"""The link to NATS: what it holds nats-py to, how connections are shared, and what streams are asked."""

import asyncio
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest

from consumers import jetstream, links, publishing, streams
from consumers.connection import CannotConnect, Denied, LinkLost, NatsSettings, NoAnswer, NobodyListens, Refused
from consumers.message import Message
from consumers.publishing import WrongLast
from tests.nats_server import NatsServer, NatsUser, free_port, nats_server, run


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


def settings_of(server: NatsServer, **more: Any) -> NatsSettings:
    return NatsSettings((f"127.0.0.1:{server.port}",), **more)


def message(n: int, *, subject: str = "", headers: bytes = b"", payload: bytes = b"{}") -> Message:
    head = headers + f"Sequin-Seq: {n}\r\nSequin-Run: 1\r\nSequin-Consumer: me\r\n".encode()
    return Message(subject or f"sequin-records.s.c.{n}", head, payload, n, n)


def test_nats_py_is_the_version_whose_insides_we_use() -> None:
    assert version("nats-py").startswith("2.16.")


def test_frames_written_by_hand_arrive_as_written(server: NatsServer) -> None:
    async def scenario() -> None:
        await server.make_stream()
        link = await jetstream.open_link(settings_of(server))
        answer = await link.request("sequin-records.s.c.ä", "grüß\n".encode(), headers="Key: wörld\r\n".encode())
        assert b'"seq":1' in answer
        await link.close()
        (stored,) = await server.messages()
        assert (stored.data.decode(), stored.headers["Key"]) == ("grüß\n", "wörld")

    run(scenario())


def test_connection_is_named_so_that_an_admin_sees_who_it_is(server: NatsServer) -> None:
    async def scenario() -> None:
        link = await jetstream.open_link(settings_of(server, name="sequin-console consumer 7"))
        assert b"sequin-console consumer 7" in link._client._connect_command()
        await link.close()

    run(scenario())


def test_connection_is_shared_until_any_setting_changes() -> None:
    with nats_server(users=[NatsUser("ada", "one"), NatsUser("ben", "two")]) as server:

        async def scenario() -> None:
            ada = settings_of(server, user="ada", password="one")
            first = await links.shared_link("7", ada)
            assert await links.shared_link("7", ada) is first
            assert await links.shared_link("8", ada) is not first
            second = await links.shared_link("7", settings_of(server, user="ben", password="two"))
            assert second is not first
            assert not first.is_open
            await links.drop_link("7")
            await links.drop_link("8")
            assert not second.is_open

        run(scenario())


def test_lost_connection_is_opened_anew(server: NatsServer) -> None:
    async def scenario() -> None:
        first = await links.shared_link("7", settings_of(server))
        server.kill()
        with pytest.raises((LinkLost, NoAnswer)):
            await first.request("$JS.API.INFO", wait_s=2)
        with pytest.raises(CannotConnect):
            await links.shared_link("7", settings_of(server))
        server.start()
        assert (await links.shared_link("7", settings_of(server))).is_open
        await links.drop_link("7")

    run(scenario())


def test_who_waits_for_the_same_connection_shares_its_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty cursors of a consumer whose host is dead wait for its time-out once, not twenty times."""
    tries = []

    async def dead(*_args: Any, **_options: Any) -> None:
        tries.append(1)
        await asyncio.sleep(0.05)
        raise CannotConnect("dead")

    monkeypatch.setattr(links, "open_link", dead)

    async def scenario() -> None:
        wish = NatsSettings(("192.0.2.1:4222",))
        results = await asyncio.gather(*(links.shared_link("7", wish) for _ in range(20)), return_exceptions=True)
        assert [type(result) for result in results] == [CannotConnect] * 20
        assert len(tries) == 1
        with pytest.raises(CannotConnect):  # a later one tries anew
            await links.shared_link("7", wish)
        assert len(tries) == 2

    run(scenario())


def test_waiting_requests_end_at_once_when_the_connection_does(server: NatsServer) -> None:
    async def scenario() -> None:
        await server.make_stream(no_ack=True)
        link = await jetstream.open_link(settings_of(server))
        asyncio.get_running_loop().call_later(0.2, server.kill)
        with pytest.raises(LinkLost):
            await asyncio.wait_for(link.request("sequin-records.x", b"{}", wait_s=20), 5)
        await link.close()

    run(scenario())


def test_denied_publish_is_told_at_once_and_by_name() -> None:
    with nats_server(users=[NatsUser("ada", "pw", ["allowed.>"], ["_INBOX_sequin.>"])]) as server:

        async def scenario() -> None:
            link = await jetstream.open_link(settings_of(server, user="ada", password="pw"))
            with pytest.raises(Denied, match=r"may not publish to Secret\.Place"):
                await asyncio.wait_for(link.request("Secret.Place", b"{}", wait_s=20), 5)
            assert link.is_open
            await link.close()

        run(scenario())


def test_streams_are_found_created_and_changed(server: NatsServer) -> None:
    async def scenario() -> None:
        link = await jetstream.open_link(settings_of(server))
        with pytest.raises(NobodyListens, match="No stream takes messages"):
            await streams.find(link, "sequin-records.>")
        created = await streams.create(link, "SEQUIN-RECORDS", "sequin-records")
        assert created.is_atomic
        for name, value in streams.RECOMMENDED.items():
            assert created.config[name] == value
        found = await streams.find(link, "sequin-records.>", known_name="GONE")
        assert (found.name, found.created) == ("SEQUIN-RECORDS", created.created)
        await server.make_stream("OLD", "old", allow_atomic=False, max_age=10**12)
        changed = await streams.allow_atomic(link, "OLD")
        assert (changed.is_atomic, changed.config["max_age"]) == (True, 10**12)
        with pytest.raises(Refused):
            await streams.create(link, "OVERLAP", "old")
        await link.close()

    run(scenario())


def test_last_message_count_and_purge_under_a_filter(server: NatsServer) -> None:
    async def scenario() -> None:
        await server.make_stream()
        link = await jetstream.open_link(settings_of(server))
        assert await streams.last_message(link, "SEQUIN-RECORDS", "sequin-records.s.>") is None
        batch = [message(n) for n in range(1, 6)]
        options = {"stream": "SEQUIN-RECORDS", "subject": "sequin-records.s.>"}
        assert await publishing.publish_batch(link, batch, last_seq=0, **options) == 5
        last = await streams.last_message(link, "SEQUIN-RECORDS", "sequin-records.s.>")
        assert last is not None
        assert (last.seq, last.record_seq, last.run, last.consumer, last.ends_batch) == (5, 5, 1, "me", True)
        with pytest.raises(WrongLast) as caught:
            await publishing.publish_batch(link, batch, last_seq=3, **options)
        assert caught.value.last_seq == 5
        await publishing.publish_batch(link, [message(9)], last_seq=5, **options)
        assert await streams.subject_count(link, "SEQUIN-RECORDS", "sequin-records.s.>") == 6
        assert await streams.purge(link, "SEQUIN-RECORDS", "sequin-records.s.>") == 6
        await link.close()

    run(scenario())


def test_full_batch_of_a_thousand_and_a_window_of_a_thousand(server: NatsServer) -> None:
    async def scenario() -> None:
        await server.make_stream()
        link = await jetstream.open_link(settings_of(server))
        thousand = [message(n) for n in range(1, 1_001)]
        options = {"stream": "SEQUIN-RECORDS", "subject": "sequin-records.s.>"}
        assert await publishing.publish_batch(link, thousand, last_seq=0, **options) == 1_000
        results = await publishing.publish_window(link, [(m, 0) for m in thousand], stream="SEQUIN-RECORDS")
        assert [result.last_seq for result in results if isinstance(result, WrongLast)] == list(range(1, 1_001))
        learnt = [(m, result.last_seq) for m, result in zip(thousand, results, strict=True)]  # type: ignore[union-attr]
        assert sorted(await publishing.publish_window(link, learnt, stream="SEQUIN-RECORDS")) == list(
            range(1_001, 2_001)
        )
        await link.close()

    run(scenario())


def test_jetstream_domain_is_honoured() -> None:
    folder_domain = {"jetstream": True}
    with nats_server(**folder_domain) as server:
        server.stop()
        server.config["jetstream"]["domain"] = "hub"
        server.start()

        async def scenario() -> None:
            link = await jetstream.open_link(settings_of(server, domain="hub"))
            created = await streams.create(link, "S", "p")
            assert created.name == "S"
            await link.close()
            elsewhere = await jetstream.open_link(settings_of(server, domain="nowhere"))
            with pytest.raises((NobodyListens, NoAnswer)):
                await streams.find(elsewhere, "p.>")
            await elsewhere.close()

        run(scenario())


def test_embedded_status_is_a_true_round_trip() -> None:
    with nats_server() as server:
        assert run(links.embedded_status(server.url)) == "ok"
    with nats_server(jetstream=False) as server:
        assert "JetStream is not enabled" in run(links.embedded_status(server.url))
    assert "refused a connection" in run(links.embedded_status(f"nats://127.0.0.1:{free_port()}"))
