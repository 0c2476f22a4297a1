"""Change Data Capture by CometD long polling: Salesforce names the records that changed while we wait.

Docs    https://developer.salesforce.com/docs/platform/change-data-capture/guide/cdc-intro.html,
        https://developer.salesforce.com/docs/platform/api-streaming/guide/streaming-error-codes.html, read 2026-11-26
Limits  events delivered in 24 hours, to all clients of the org together (10,000 to 50,000 by edition); a wait is held
        for 110 s, and we must be back within 40; events are kept for 72 hours
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from syncs.providers.kit.access import Access
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import (
    CredentialsRefused,
    PermissionMissing,
    ProviderError,
    UnexpectedShape,
    UpstreamFailed,
)
from syncs.providers.kit.streaming import Heard, Stream
from syncs.providers.kit.webhooks import Told
from syncs.providers.salesforce.change_events import (
    Expired,
    cookies_of,
    error_of,
    event_of,
    meaning,
    selected,
    step_of,
    told_by,
)
from syncs.providers.salesforce.errors import RecordGone

COMETD = "/cometd/67.0"
SESSION_S = 15 * 60.0  # then it is begun anew: what is ticked in Setup may have changed
TRIES = 3  # sessions in a row that upstream forgot or refused
MOST_WAIT_S = 10.0  # of what upstream advises between two polls
QUICK_S = 0.5  # an empty answer that came sooner was not waited for: the first is, and should be the only one
LEAVE_S = 2.0
TOGETHER = 50  # subscriptions a request, which may have 32,768 bytes
NEW_ONLY = -1

TICK = "In Salesforce, go to Setup, Change Data Capture, and move {} to Selected Entities, where that is offered."
EDITION = "Change Data Capture comes with the Enterprise, Performance, Unlimited and Developer editions."


async def listen(client: Client, collections: Sequence[Collection], place: Mapping[str, Any]) -> AsyncIterator[Heard]:
    """What changes in these objects, as it happens.

    1. Ask what is ticked in Setup, where we may see it: an unticked object can be listened to, but says nothing.
    2. Handshake and subscribe to each object by itself: the allowance for events is the org's, not only ours.
    3. Wait, over and over. The replay id that each channel has come to is the place: {"/data/AccountChangeEvent": 17}.
    """
    lacking: dict[str, str] = {}
    chosen = await selected(client)
    if chosen is not None:
        unticked = [each for each in collections if event_of(each) not in chosen]
        step = TICK.format(", ".join(each.upstream for each in unticked))
        lacking = dict.fromkeys((each.id for each in unticked), step)
    session = Session(client, [each for each in collections if each.id not in lacking], place, lacking)
    if not session.channels:
        yield Heard(lacking=lacking)
        return
    try:
        async for heard in session.run():
            yield heard
    except RecordGone:  # no such address: this edition has no Streaming API
        yield Heard(lacking=dict.fromkeys((each.id for each in collections), EDITION))
    finally:
        await session.leave()


class Session:
    """One CometD client. What upstream forgets of it, it does again."""

    def __init__(
        self, client: Client, collections: Iterable[Collection], place: Mapping[str, Any], lacking: dict[str, str]
    ) -> None:
        self.client, self.lacking = client, lacking
        self.channels = {f"/data/{event_of(each)}": each for each in collections}
        self.place = {name: replay for name, replay in place.items() if isinstance(replay, int)}
        self._client_id = ""
        self._cookies: dict[str, str] = {}
        self._advised_s = 0.0
        self._numbers = itertools.count(1)
        self._used: Access | None = None

    async def run(self) -> AsyncIterator[Heard]:
        """Everything that is heard until the session has lasted long enough, or upstream has nothing to tell."""
        now = asyncio.get_running_loop().time
        until, lost, quick = now() + SESSION_S, 0, 0
        while now() < until:
            try:
                if not self._client_id:
                    await self._shake_hands()
                    told = await self._subscribe()
                    yield Heard(told, dict(self.place), dict(self.lacking))
                    if not self.channels:
                        return
                asked_at = now()
                heard = await self._poll()
            except (Expired, CredentialsRefused, UpstreamFailed) as error:
                lost += 1
                if lost >= TRIES:
                    raise _last_word(error) from None
                await self._begin_anew(error, lost)
                continue
            if heard.told or now() - asked_at >= QUICK_S:
                lost = quick = 0
            else:
                quick += 1
            yield heard
            await self.client.wait(max(self._advised_s, min(quick - 1.0, MOST_WAIT_S)))

    async def leave(self) -> None:
        """Tell upstream that we go: an org may have as few as 20 clients at once."""
        if not self._client_id:
            return
        with suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._send({"channel": "/meta/disconnect", "clientId": self._client_id})

    async def _begin_anew(self, error: ProviderError, lost: int) -> None:
        """Another client, from the place the last one came to: what went with a lost answer is told once more."""
        if isinstance(error, Expired) and self._used is not None:
            await self.client.renew(self._used)
        self._client_id, self._cookies = "", {}
        await self.client.wait((lost - 1) * (0.5 + random.random()))

    async def _shake_hands(self) -> None:
        asked = {"version": "1.0", "supportedConnectionTypes": ["long-polling"], "ext": {"replay": True}}
        answers = await self._send({"channel": "/meta/handshake", **asked})
        answer = _meta(answers, "/meta/handshake")
        if not answer.get("successful"):
            raise meaning(answer)
        self._client_id = str(answer.get("clientId") or "")
        if not self._client_id:
            raise UnexpectedShape("Salesforce's Streaming API gave us no client id.")

    async def _subscribe(self) -> tuple[Told, ...]:
        """Subscribe to every channel; a look is asked for where our place is lost. What cannot be had is left out."""
        lost: list[Told] = []
        pending = list(self.channels)
        while pending:
            part, pending = pending[:TOGETHER], pending[TOGETHER:]
            answers = await self._send(*(self._subscription(name) for name in part))
            for answer in (each for each in answers if each.get("channel") == "/meta/subscribe"):
                name = str(answer.get("subscription"))
                if answer.get("successful") or name not in self.channels:
                    continue
                collection, text = self.channels[name], error_of(answer)
                if "replayId" in text and name in self.place:
                    del self.place[name]
                    pending.append(name)
                    lost.append(Told(collection.id))
                    continue
                self.lacking[collection.id] = step_of(answer).format(collection.upstream)
                del self.channels[name]
        return tuple(lost)

    def _subscription(self, name: str) -> dict[str, Any]:
        replay = {"replay": {name: self.place.get(name, NEW_ONLY)}}
        return {"channel": "/meta/subscribe", "clientId": self._client_id, "subscription": name, "ext": replay}

    async def _poll(self) -> Heard:
        """One wait: it ends with the first events, or when Salesforce has held it for long enough."""
        asked = {"channel": "/meta/connect", "clientId": self._client_id, "connectionType": "long-polling"}
        answers = await self._send(asked, most_tries=1)
        told: dict[Told, None] = {}
        for message in answers:
            collection = self.channels.get(str(message.get("channel")))
            if collection is not None:
                told.update(dict.fromkeys(told_by(message, collection)))
                self._note_place(message)
        answer = _meta(answers, "/meta/connect")
        if not told and not answer.get("successful"):
            raise meaning(answer)
        interval = (answer.get("advice") or {}).get("interval") or 0
        self._advised_s = min(interval / 1000, MOST_WAIT_S) if isinstance(interval, int) else 0.0
        return Heard(tuple(told), dict(self.place) if told else None)

    def _note_place(self, message: Mapping[str, Any]) -> None:
        event = (message.get("data") or {}).get("event") or {}
        if isinstance(event.get("replayId"), int):
            self.place[str(message["channel"])] = event["replayId"]

    async def _send(self, *messages: dict[str, Any], most_tries: int = 0) -> list[dict[str, Any]]:
        """The answers to these messages. The cookies of the handshake go with each: they lead to the same server."""
        self._used = await self.client.access()
        token = self._used.headers.get("Authorization", "").rpartition(" ")[2]
        headers = {"Authorization": f"OAuth {token}"}  # Bearer is not taken by every org's Streaming API
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        numbered = [{**message, "id": str(next(self._numbers))} for message in messages]
        answer = await self.client.post(COMETD, json=numbered, headers=headers, most_tries=most_tries)
        self._cookies |= cookies_of(answer)
        try:
            return msgspec.json.decode(answer.body, type=list[dict[str, Any]])
        except msgspec.MsgspecError:
            raise UnexpectedShape("Salesforce's Streaming API answered in a form we do not know.") from None


def _meta(answers: Iterable[Mapping[str, Any]], channel: str) -> Mapping[str, Any]:
    """The answer to our own message. Some errors come without a channel."""
    own = [each for each in answers if each.get("channel") == channel]
    return next(iter(own), next((each for each in answers if each.get("error")), {}))


def _last_word(error: ProviderError) -> ProviderError:
    """What to say when it goes wrong again and again: readers find out for themselves whether the access is dead."""
    if isinstance(error, Expired | CredentialsRefused):
        return PermissionMissing(
            "Salesforce lets us read, but not listen to change events.",
            next_step="Nothing to do at once: changes are found by looking. Reconnecting the account may help.",
            detail=error.detail,
        )
    return error


STREAM = Stream(
    name="Change Data Capture",
    listen=listen,
    steps=(
        "In Salesforce, open Setup and search for “Change Data Capture”.",
        "Move the objects you sync from Available Entities to Selected Entities, and save. Five are free of charge.",
        "The connected user needs View All Records for them, or View All Data.",
    ),
)
