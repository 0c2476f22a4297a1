"""The live viewer's socket, reading a real stream."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from consumers import live
from consumers.models import NatsConsumer
from consumers.stream_reader import StreamReader
from sequin_console.accounts.models import User
from sequin_console.common import watcher
from syncs.models import Record, RecordChange, Sync, SyncCollection, SyncHead
from tests.fake_provider import Upstream
from tests.nats_server import NatsServer, NatsUser, nats_server
from tests.sockets import Socket

pytestmark = pytest.mark.django_db(transaction=True)
PREFIX = "sequin-records"
BrowserOf = Callable[[User], Client]


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    guide = NatsUser("guide", "pw", publish=[f"{PREFIX}.>"], subscribe=[f"{PREFIX}.>"])
    writer = NatsUser(
        "writer",
        "pw",
        publish=[f"{PREFIX}.>", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.SEQUIN-RECORDS"],
        subscribe=["_INBOX_sequin.>"],
    )
    full = NatsUser("full", "pw")
    viewer = NatsUser(
        "viewer",
        "pw",
        publish=[*(writer.publish or ()), "$JS.API.CONSUMER.CREATE.SEQUIN-RECORDS.>", "$JS.FC.>"],
        subscribe=["_INBOX_sequin.>"],
    )
    with nats_server(users=[guide, writer, viewer, full]) as running:
        yield running


@pytest.fixture
async def stream(server: NatsServer) -> NatsServer:
    await server.ask("STREAM.DELETE.SEQUIN-RECORDS")
    await server.make_stream()
    return server


@pytest.fixture(autouse=True)
def fresh_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_watcher", None, raising=False)


@pytest.fixture
def sync(db: None) -> Iterator[Sync]:
    world = Upstream()
    with world.registered():
        yield world.sync("thing")


def make_consumer(server: NatsServer, user: str = "full", **fields: Any) -> NatsConsumer:
    values = {"name": f"To NATS {uuid4().hex[:6]}", "hosts": [f"127.0.0.1:{server.port}"], "port": server.port}
    return NatsConsumer.objects.create(**values | {"secrets": {"user": user, "password": "pw"}} | fields)


def subject(sync: Sync, upstream_id: str, collection: str = "fake:thing") -> str:
    return f"{PREFIX}.{sync.pk}.{collection}.{upstream_id}"


def headers(consumer: NatsConsumer, seq: int, operation: str = "create") -> dict[str, str]:
    return {"Sequin-Seq": str(seq), "Sequin-Consumer": str(consumer.pk), "Sequin-Operation": operation}


async def publish_many(server: NatsServer, subjects: list[str], **options: Any) -> None:
    """Quickly: past acknowledgements, then one that is waited for."""
    client = await server.connect()
    try:
        for number, name in enumerate(subjects):
            await client.publish(name, json.dumps({"data": {"n": number}}).encode(), **options)
            if number % 500 == 499:
                await client.flush()
        await client.flush()
    finally:
        await client.close()


class Viewer:
    """A socket with all it was told."""

    def __init__(self, browser: Client, consumer: NatsConsumer) -> None:
        self.socket = Socket(browser, f"/ws/records/{consumer.pk}/")
        self.frames: list[dict[str, Any]] = []
        self.at: list[float] = []

    async def watch(self, **wish: Any) -> None:
        await self.socket.send(text=json.dumps({"watch": wish}))

    async def next(self) -> dict[str, Any]:
        frame = await self.socket.receive_json()
        self.frames.append(frame)
        self.at.append(time.monotonic())
        return frame

    async def until(self, met: Callable[["Viewer"], bool], seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not met(self):
            assert time.monotonic() < deadline, self.frames[-3:]
            await self.next()

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for frame in self.frames for row in frame.get("rows", [])]

    @property
    def ids(self) -> list[str]:
        return [row["id"] for row in self.rows]

    @property
    def state(self) -> str:
        return next((frame["state"] for frame in reversed(self.frames) if "state" in frame), "")

    @property
    def counts(self) -> dict[str, Any]:
        return next((frame for frame in reversed(self.frames) if "seen" in frame), {"seen": 0})


@pytest.fixture
async def viewer_of(browser_of: BrowserOf):
    """`await viewer_of(vera, consumer)`: an open viewer, closed when the test ends."""
    opened: list[Viewer] = []

    async def make(user: User, consumer: NatsConsumer) -> Viewer:
        viewer = Viewer(await sync_to_async(browser_of)(user), consumer)
        assert await viewer.socket.open()
        opened.append(viewer)
        return viewer

    yield make
    for viewer in opened:
        await viewer.socket.leave()


@pytest.fixture
async def consumer(stream: NatsServer, sync: Sync) -> NatsConsumer:
    return await sync_to_async(make_consumer)(stream)


# --- Who may watch ------------------------------------------------------------------------------------------------


async def test_stranger_is_turned_away(consumer, browser_of) -> None:
    socket = Socket(browser_of(None), f"/ws/records/{consumer.pk}/")
    await socket.open()
    assert await socket.closed_with() == 4401


async def test_person_without_the_right_is_turned_away(consumer, vera, browser_of) -> None:
    browser = await sync_to_async(browser_of)(vera)
    await sync_to_async(User.objects.filter(pk=vera.pk).update)(role="")
    socket = Socket(browser, f"/ws/records/{consumer.pk}/")
    await socket.open()
    assert await socket.closed_with() == 4403


async def test_missing_consumer_is_said(vera, browser_of) -> None:
    socket = Socket(await sync_to_async(browser_of)(vera), f"/ws/records/{uuid4()}/")
    await socket.open()
    assert await socket.closed_with() == 4404


# --- What is shown ------------------------------------------------------------------------------------------------


async def test_last_n_then_what_comes(stream, sync, consumer, vera, viewer_of) -> None:
    """The last 50 of 300 in order, though half of the sequence are holes; then new ones, ours and from outside."""
    await publish_many(stream, [subject(sync, f"t{n}") for n in range(300)])
    await publish_many(stream, [subject(sync, f"t{n % 7}") for n in range(400)])
    viewer = await viewer_of(vera, consumer)
    await viewer.watch(last=50)
    await viewer.until(lambda v: len(v.rows) >= 50)
    assert viewer.ids == [f"t{n}" for n in range(257, 300)] + [f"t{n % 7}" for n in range(393, 400)]
    await stream.publish(subject(sync, "t1000"), b'{"data":{"x":1}}', headers(consumer, 1000))
    await stream.publish(f"{PREFIX}.from.elsewhere.altogether.entirely", b"<script>not json</script>")
    await viewer.until(lambda v: len(v.rows) >= 52)
    ours, foreign = viewer.rows[-2:]
    assert (ours["id"], ours["foreign"], ours["operation"], ours["sync"]) == ("t1000", "", "create", "Fake sync")
    assert ours["url"] == f"/records/{sync.pk}/fake:thing/t1000/"
    assert (foreign["foreign"], foreign["url"], foreign["json"]) == ("outside", "", "<script>not json</script>")
    assert viewer.state == "live"
    assert viewer.counts["seen"] == 52


async def test_from_now_on_shows_nothing_old(stream, sync, consumer, vera, viewer_of) -> None:
    await publish_many(stream, [subject(sync, "old")])
    viewer = await viewer_of(vera, consumer)
    await viewer.watch(last=0)
    await viewer.until(lambda v: v.state == "live")
    await stream.publish(subject(sync, "new"), b"{}")
    await viewer.until(lambda v: bool(v.rows))
    assert viewer.ids == ["new"]


async def test_coming_back_goes_on_after_the_last_seen(stream, sync, consumer, vera, viewer_of) -> None:
    await publish_many(stream, [subject(sync, f"t{n}") for n in range(9)])
    viewer = await viewer_of(vera, consumer)
    await viewer.watch(last=50, after=5)
    await viewer.until(lambda v: len(v.rows) >= 4)
    assert viewer.ids == ["t5", "t6", "t7", "t8"]


async def test_filter_by_sync_collection_and_text(stream, sync, consumer, vera, viewer_of) -> None:
    other = f"{PREFIX}.{uuid4()}.fake:thing.x"
    await publish_many(stream, [subject(sync, "a"), subject(sync, "b", "fake:other"), other])
    await stream.publish(subject(sync, "hit"), '{"data":{"Name":"Ärger GmbH"}}'.encode())
    viewer = await viewer_of(vera, consumer)
    for wish, expected in (
        ({"sync": str(sync.pk)}, ["a", "b", "hit"]),
        ({"collection": "fake:other"}, ["b"]),
        ({"sync": str(sync.pk), "collection": "fake:thing"}, ["a", "hit"]),
        ({"text": "gmbh"}, ["hit"]),
        ({"sync": "no uuid at all"}, ["a", "b", "x", "hit"]),
    ):
        viewer.frames.clear()
        await viewer.watch(last=50, **wish)
        await viewer.until(lambda v, n=len(expected): len(v.rows) >= n and v.state == "live")
        await asyncio.sleep(0.2)
        assert viewer.ids == expected, wish


async def test_pause_counts_what_waits_and_resume_shows_it(stream, sync, consumer, vera, viewer_of) -> None:
    viewer = await viewer_of(vera, consumer)
    await viewer.watch(last=0)
    await viewer.until(lambda v: v.state == "live")
    await viewer.socket.send(text='{"pause": true}')
    await viewer.until(lambda v: v.counts.get("paused"))
    await publish_many(stream, [subject(sync, f"t{n}") for n in range(300)])
    await viewer.until(lambda v: v.counts.get("waiting") == 300)
    assert not viewer.rows
    await viewer.socket.send(text='{"pause": false}')
    await viewer.until(lambda v: len(v.rows) == live.WAITING_MOST)
    assert viewer.ids == [f"t{n}" for n in range(200, 300)]
    assert viewer.counts["waiting"] == 0


async def test_update_comes_with_what_it_was_before(stream, sync, consumer, vera, viewer_of) -> None:
    await sync_to_async(remember)(sync, "t1", seq=7, previous='{"id":"t1","n":1}')
    await stream.publish(subject(sync, "t1"), b'{"data":{"id":"t1","n":2}}', headers(consumer, 7, "update"))
    viewer = await viewer_of(vera, consumer)
    await viewer.watch(last=50)
    await viewer.until(lambda v: bool(v.rows))
    assert viewer.rows[0]["previous"] == '{"id":"t1","n":1}'


def remember(sync: Sync, upstream_id: str, *, seq: int, previous: str | None = None) -> Record:
    from django.utils import timezone

    now = timezone.now()
    row = SyncCollection.objects.get(sync=sync, collection_id="fake:thing")
    SyncHead.objects.filter(sync=sync).update(head_seq=seq)
    record = Record.objects.create(
        sync=sync, collection=row, upstream_id=upstream_id, seq=seq, data=f'{{"id":"{upstream_id}","n":2}}', digest=b"",
        operation="update", read_no=seq, first_seen_at=now, changed_at=now,
    )  # fmt: skip
    if previous:
        RecordChange.objects.create(record=record, seq=seq, kind="update", seen_by="feed", at=now, previous=previous)
    return record


async def test_large_message_is_cut(stream, sync, consumer, vera, viewer_of) -> None:
    await stream.publish(subject(sync, "big"), b"x" * 200_000)
    viewer = await viewer_of(vera, consumer)
    await viewer.watch(last=50)
    await viewer.until(lambda v: bool(v.rows))
    assert (viewer.rows[0]["cut"], len(viewer.rows[0]["json"]), viewer.rows[0]["size"]) == (True, 65536, 200_000)


# --- Too much, too little -----------------------------------------------------------------------------------------


async def test_burst_is_counted_whole_and_shown_in_part(stream, sync, consumer, vera, viewer_of) -> None:
    """20,000 messages: every one counted, few frames, a bounded sample, the newest among what is shown."""
    viewer = await viewer_of(vera, consumer)
    await viewer.watch(last=0)
    await viewer.until(lambda v: v.state == "live")
    began = time.monotonic()
    await asyncio.gather(
        publish_many(stream, [subject(sync, f"t{n}") for n in range(20_000)]),
        viewer.until(lambda v: v.counts["seen"] == 20_000 and "t19999" in v.ids, seconds=60),
    )
    seconds = time.monotonic() - began
    assert viewer.counts["seen"] == 20_000
    assert len(viewer.frames) <= live.FRAMES_S * seconds + 5
    assert len(viewer.rows) <= live.SHOWN_AT_ONCE + live.SHOWN_S * seconds + live.WAITING_MOST
    assert max(len(frame.get("rows", [])) for frame in viewer.frames) <= live.WAITING_MOST
    assert viewer.ids == sorted(viewer.ids, key=lambda text: int(text[1:]))


async def test_slow_browser_keeps_nothing_growing(stream, sync, consumer, vera, viewer_of, monkeypatch) -> None:
    """A browser that takes nothing stops the sending, not the reading; what waits stays small."""
    feeds: list[live.RecordsFeed] = []
    stuck = asyncio.Event()
    send = live.RecordsFeed.send_json

    async def slow(self: live.RecordsFeed, content: Any, close: bool = False) -> None:
        feeds.append(self)
        if content.get("rows"):
            await stuck.wait()
        await send(self, content, close)

    monkeypatch.setattr(live.RecordsFeed, "send_json", slow)
    viewer = await viewer_of(vera, consumer)
    await viewer.watch(last=0)
    await viewer.until(lambda v: v.state == "live")
    await publish_many(stream, [subject(sync, f"t{n}") for n in range(5_000)])
    deadline = time.monotonic() + 10
    while feeds[0]._seen < 5_000 and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert feeds[0]._seen == 5_000
    assert len(feeds[0]._waiting) <= live.WAITING_MOST
    stuck.set()


@pytest.mark.parametrize(("user", "what"), [("guide", "subscribe to"), ("writer", "CONSUMER.CREATE")])
async def test_who_may_not_read_is_shown_our_log(stream, sync, vera, viewer_of, user, what) -> None:
    consumer = await sync_to_async(make_consumer)(stream, user, stream_name="SEQUIN-RECORDS")
    await sync_to_async(remember)(sync, "t1", seq=1)
    viewer = await viewer_of(vera, consumer)
    await viewer.watch(last=50)
    await viewer.until(lambda v: bool(v.rows) and v.state == "log")
    said = next(frame for frame in viewer.frames if frame.get("state") == "log")
    assert what in said["message"]
    assert "our own log" in said["message"]
    assert any("$JS.API.CONSUMER.CREATE.SEQUIN-RECORDS.>" in block["text"] for block in said["blocks"])
    assert json.loads(viewer.rows[0]["json"])["data"] == {"id": "t1", "n": 2}
    assert viewer.rows[0]["url"] == f"/records/{sync.pk}/fake:thing/t1/"


async def test_least_rights_suffice(stream, sync, vera, viewer_of) -> None:
    """The block we print for viewers is enough, through a burst with flow control."""
    consumer = await sync_to_async(make_consumer)(stream, "viewer")
    viewer = await viewer_of(vera, consumer)
    await publish_many(stream, [subject(sync, f"t{n}") for n in range(5_000)])
    await viewer.watch(last=200)
    await viewer.until(lambda v: len(v.rows) >= 200)
    assert viewer.ids[-1] == "t4999"


async def test_no_stream_and_no_server_are_said(server, sync, vera, viewer_of) -> None:
    await server.ask("STREAM.DELETE.SEQUIN-RECORDS")
    viewer = await viewer_of(vera, await sync_to_async(make_consumer)(server))
    await viewer.watch(last=50)
    await viewer.until(lambda v: v.state == "trouble")
    assert "No stream takes" in viewer.frames[-1]["message"]
    await server.make_stream()
    await stream_ready(viewer)


async def stream_ready(viewer: Viewer) -> None:
    await viewer.until(lambda v: v.state == "live")


async def test_lost_connection_is_said_and_nothing_is_missed(sync, vera, viewer_of) -> None:
    with nats_server() as own:
        await own.make_stream()
        consumer = await sync_to_async(make_consumer)(own, secrets={})
        await own.publish(subject(sync, "before"), b"{}")
        viewer = await viewer_of(vera, consumer)
        await viewer.watch(last=50)
        await viewer.until(lambda v: v.ids == ["before"])
        own.stop()
        await viewer.until(lambda v: v.state == "trouble")
        own.start()
        await own.publish(subject(sync, "after"), b"{}")
        await viewer.until(lambda v: v.ids == ["before", "after"], seconds=30)


async def test_gap_in_the_reader_is_healed(stream, sync, consumer, vera, viewer_of, monkeypatch) -> None:
    """A message that never came shows by the JetStream consumer's own sequence; reading begins again after the last."""
    whole = StreamReader._on_message
    lost: list[int] = []

    async def lossy(self: StreamReader, msg: Any) -> None:
        if msg.data and not lost:
            lost.append(1)
            return
        await whole(self, msg)

    monkeypatch.setattr(StreamReader, "_on_message", lossy)
    await publish_many(stream, [subject(sync, f"t{n}") for n in range(5)])
    viewer = await viewer_of(vera, consumer)
    await viewer.watch(last=0, after=1)
    await viewer.until(lambda v: len(v.rows) >= 4)
    assert viewer.ids == ["t1", "t2", "t3", "t4"]


async def test_removed_consumer_ends_the_viewer(stream, sync, consumer, vera, viewer_of) -> None:
    viewer = await viewer_of(vera, consumer)
    await viewer.watch(last=50)
    await viewer.until(lambda v: v.state == "live")
    await sync_to_async(NatsConsumer.objects.all().delete)()
    for tell in list(watcher.watcher()._tells):
        tell({consumer.topic})
    assert await viewer.socket.closed_with() == 4404


async def test_nonsense_from_the_browser_is_ignored(stream, consumer, vera, viewer_of) -> None:
    viewer = await viewer_of(vera, consumer)
    for word in (
        "no json",
        "[]",
        '{"watch": 7}',
        '{"pause": "yes"}',
        "x" * 10_000,
        '{"watch": {"last": "all", "after": -1}}',
    ):
        await viewer.socket.send(text=word)
    await viewer.until(lambda v: v.state == "live")
