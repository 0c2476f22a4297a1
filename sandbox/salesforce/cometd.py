"""The Streaming API: Bayeux messages over long polling, with Salesforce's replay extension.

Source: Streaming API Developer Guide, v67.0: "Streaming API Error Codes", "Handling Streaming API Errors", "Clients and
Timeouts", "Message Durability"; the Bayeux protocol 1.0, https://docs.cometd.org
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.clock import DAY_MS
from sandbox.salesforce.change_events import ALL, event_name, is_captured
from sandbox.salesforce.errors import unsupported_object
from sandbox.salesforce.rest import DATA, resource

if TYPE_CHECKING:
    from sandbox.salesforce.side import Salesforce

OLDEST_VERSION = 37.0
COOKIE = "BAYEUX_BROWSER"
LOOKED_AT_EVERY_S = 0.05
RETURN_WITHIN_S = 40.0  # "the client must reconnect within 40 seconds"
RETRY = {"reconnect": "retry", "interval": 0}
Message = dict[str, Any]

UNKNOWN_CLIENT = "403::Unknown client"
EXPIRED = "401::Authentication invalid"
DAILY_LIMIT = "403::Organization total events daily limit exceeded"
CLIENTS_LIMIT = "403::Organization concurrent user limit exceeded"


@dataclass
class Subscriber:
    """One CometD client: the cookie it was given, its channels with the replay id each has come to."""

    cookie: str
    seen_at: float
    places: dict[str, int] = field(default_factory=dict)
    is_fresh: bool = True  # its first connect is answered at once


class Streaming:
    """Who listens to this org. Forgotten when the sandbox ends, as upstream forgets on a scale-down."""

    def __init__(self, side: Salesforce):
        self.side, self.events = side, side.events
        self.subscribers: dict[str, Subscriber] = {}
        self._delivered: deque[int] = deque()

    def delivered(self) -> int:
        """Events delivered in the last 24 hours, to all clients together."""
        since = self.side.clock.now_ms() - DAY_MS
        while self._delivered and self._delivered[0] < since:
            self._delivered.popleft()
        return len(self._delivered)

    def is_used_up(self) -> bool:
        return self.delivered() >= self.side.setting("events_max")

    # ---- one message each

    def handshake(self, message: Message, request: Request) -> tuple[Message, str]:
        """The answer, and the cookie that goes with it."""
        reason = ""
        if not token_of(request):
            reason = "401::Request requires authentication"
        elif not self._is_let_in(request):
            reason = EXPIRED
        elif len(self._living()) >= self.side.setting("streaming_clients"):
            reason = CLIENTS_LIMIT
        if reason:
            denied = refused(message, "403::Handshake denied", {"reconnect": "none"})
            return denied | {"ext": {"sfdc": {"failureReason": reason}, "replay": True}}, ""
        client_id, cookie = secrets.token_hex(14), secrets.token_hex(12)
        self.subscribers[client_id] = Subscriber(cookie, time.monotonic())
        answer = done(message) | {"clientId": client_id, "version": "1.0", "minimumVersion": "1.0"}
        return answer | {"supportedConnectionTypes": ["long-polling"], "ext": {"replay": True}}, cookie

    def find(self, message: Message, request: Request) -> tuple[Subscriber | None, str]:
        """The client a message is from; or None, and what is wrong with it."""
        self._living()
        client_id = str(message.get("clientId"))
        subscriber = self.subscribers.get(client_id)
        if subscriber is None:
            return None, UNKNOWN_CLIENT
        if not request.cookies.get(COOKIE):
            return None, f"400::Client {client_id} has established a session, but no {COOKIE} cookie present"
        if request.cookies[COOKIE] != subscriber.cookie:
            return None, UNKNOWN_CLIENT
        subscriber.seen_at = time.monotonic()
        return subscriber, ""

    def subscribe(self, message: Message, subscriber: Subscriber) -> Message:
        channel = str(message.get("subscription"))
        told = done(message) | {"subscription": channel}
        if why := self._unsubscribable(channel):
            return told | refused(message, why, RETRY)
        replay = ((message.get("ext") or {}).get("replay") or {}).get(channel, -1)
        if replay >= 0 and not self.events.knows(replay):
            words = f"400::The replayId {{{replay}}} you provided was invalid.  Please provide a valid ID, -2 to replay"
            return told | refused(message, f"{words} all events, or -1 to replay only new events.", RETRY)
        subscriber.places[channel] = self.events.newest() if replay == -1 else max(replay, 0)
        return told

    def _unsubscribable(self, channel: str) -> str:
        if self.is_used_up():
            return DAILY_LIMIT
        names = {f"/data/{event_name(name)}" for name in self.side.org.objects if is_captured(name)}
        if channel != ALL and channel not in names:
            return f"400::The channel you requested to subscribe to doesn't exist {{{channel}}}"
        if channel != ALL and not self.side.setting("view_all"):
            return "403::User not allowed to subscribe CDC without View All Data permissions"
        return ""

    async def connect(self, message: Message, subscriber: Subscriber, request: Request) -> list[Message]:
        """Events as soon as there are some, else nothing once the socket was held long enough."""
        held_s = 0.0 if subscriber.is_fresh else self.side.setting("hold_s")
        subscriber.is_fresh = False
        until = time.monotonic() + held_s
        while True:
            subscriber.seen_at = time.monotonic()
            if not self._is_let_in(request):
                return [refused(message, EXPIRED, {"reconnect": "none", "interval": 0})]
            if message["clientId"] not in self.subscribers:
                return [refused(message, UNKNOWN_CLIENT, {"reconnect": "handshake", "interval": 0})]
            if self.is_used_up():
                return [refused(message, DAILY_LIMIT, {"reconnect": "none"})]
            if found := self.events.after(subscriber.places):
                return [*self._deliver(subscriber, found), done(message)]
            if time.monotonic() >= until or await request.is_disconnected():
                advice = {**RETRY, "timeout": round(self.side.setting("hold_s") * 1000)}
                return [done(message) | {"advice": advice}]
            await asyncio.sleep(LOOKED_AT_EVERY_S)

    def _deliver(self, subscriber: Subscriber, found: list[tuple[str, dict[str, Any]]]) -> list[Message]:
        now_ms = self.side.clock.now_ms()
        for channel, event in found:
            subscriber.places[channel] = event["event"]["replayId"]
            self._delivered.append(now_ms)
        return [{"channel": channel, "data": event} for channel, event in found]

    def _is_let_in(self, request: Request) -> bool:
        return self.side.grants.session(token_of(request)) is not None

    def _living(self) -> dict[str, Subscriber]:
        """All clients but those that have not come back in time."""
        since = time.monotonic() - RETURN_WITHIN_S
        self.subscribers = {key: each for key, each in self.subscribers.items() if each.seen_at >= since}
        return self.subscribers


def token_of(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "oauth") else ""


def done(message: Message) -> Message:
    """A message's good answer."""
    same = {name: message[name] for name in ("channel", "id", "clientId") if name in message}
    return same | {"successful": True}


def refused(message: Message, error: str, advice: Message) -> Message:
    return done(message) | {"successful": False, "error": error, "advice": advice}


async def cometd(request: Request) -> Response:
    """A list of messages, answered in their order; the answers of one connect may be long in coming."""
    version = request.path_params.get("version", "")
    if not is_version(version):
        words = "API version in the URI is mandatory" if not version else "Unsupported API version"
        return JSONResponse([{"successful": False, "error": f"400::{words}. URI format: '/cometd/67.0'"}], 400)
    try:
        messages = json.loads(await request.body())
    except ValueError:
        return Response("", 400)
    streaming: Streaming = request.scope["side"].streaming
    answers: list[Message] = []
    cookie = ""
    for message in messages if isinstance(messages, list) else [messages]:
        kind = message.get("channel")
        if kind == "/meta/handshake":
            answer, cookie = streaming.handshake(message, request)
            answers.append(answer)
            continue
        subscriber, why = streaming.find(message, request)
        if subscriber is None:
            answers.append(refused(message, why, {"reconnect": "handshake", "interval": 0}))
        elif kind == "/meta/subscribe":
            answers.append(streaming.subscribe(message, subscriber))
        elif kind == "/meta/connect":
            answers += await streaming.connect(message, subscriber, request)
        elif kind == "/meta/disconnect":
            del streaming.subscribers[message["clientId"]]
            answers.append(done(message))
        else:
            answers.append(refused(message, "404::Unknown channel", RETRY))
    response = JSONResponse(answers)
    if cookie:
        response.set_cookie(COOKIE, cookie, path="/", httponly=True)
    return response


def is_version(text: str) -> bool:
    try:
        return float(text) >= OLDEST_VERSION
    except ValueError:
        return False


@resource
async def tooling_query(request: Request) -> Response:
    """`PlatformEventChannelMember`: which objects were chosen in Setup. Not to be seen without *View Setup*."""
    side = request.scope["side"]
    name = "PlatformEventChannelMember"
    if name not in request.query_params.get("q", "") or not side.setting("shows_setup"):
        raise unsupported_object(name)
    kind = {"type": name, "url": f"/services/data/v67.0/tooling/sobjects/{name}/0v8000000000001AAA"}
    found = [{"attributes": kind, "SelectedEntity": event_name(chosen)} for chosen in side.events.chosen()]
    body = {"size": len(found), "totalSize": len(found), "done": True, "queryLocator": None, "entityTypeName": name}
    return JSONResponse(body | {"records": found})


ROUTES = [
    Route("/cometd/", cometd, methods=["POST"]),
    Route("/cometd/{version}", cometd, methods=["POST"]),
    Route("/cometd/{version}/", cometd, methods=["POST"]),
    Route(f"{DATA}/tooling/query", tooling_query),
    Route(f"{DATA}/tooling/query/", tooling_query),
]
