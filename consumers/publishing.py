"""Publishing so that the stream judges: fenced atomic batches, and windows with an expected sequence per subject.

Every guard is a function of its own, so that tests can take it out and see the promise break (DESIGN.md, Delivery).
Source: ADR-50 https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md; tried on 2.15.1.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import orjson

from consumers.connection import REMEDIES, BadAck, LinkError, NoAnswer, Refused
from consumers.jetstream import Answer, Link, frame
from consumers.message import Message

FEW = 10  # messages go one by one: an atomic batch costs the server 5 to 20 ms, however small it is
ACK_S = 15.0
WRONG_LAST = 10071
NOT_YET = frozenset({10163, 10164})  # an earlier write to this subject is still under way
_LAST = re.compile(r"wrong last sequence: (\d+)")


class WrongLast(Refused):
    """The stream is further than we thought: it tells where (`last_seq`)."""

    def __init__(self, last_seq: int) -> None:
        super().__init__(WRONG_LAST, f"wrong last sequence: {last_seq}")
        self.last_seq = last_seq


# --- Guards --------------------------------------------------------------------------------------------------------


def fence(subject: str, last_seq: int) -> bytes:
    """Guard of invariant 7, fenced: store the batch only if nobody wrote under this filter since `last_seq`."""
    return (
        f"Nats-Expected-Last-Subject-Sequence: {last_seq}\r\nNats-Expected-Last-Subject-Sequence-Subject: {subject}\r\n"
    ).encode()


def fence_subject(last_seq: int) -> bytes:
    """Guard of invariant 7, basic: store the message only if its subject still is where we saw it."""
    return b"Nats-Expected-Last-Subject-Sequence: %d\r\n" % last_seq


def confirm(ack: dict[str, Any], *, stream: str, batch: str = "", count: int = 0) -> int:
    """Guard of invariant 6: the stream sequence, if this answer confirms this very batch or message by our stream.

    Raises WrongLast, Refused or BadAck.
    """
    if error := ack.get("error"):
        raise refusal(error)
    if ack.get("stream") != stream:
        raise BadAck(f"The stream {ack.get('stream')} answered in place of {stream}.", "Look for overlapping streams.")
    if ack.get("duplicate"):
        raise BadAck("The stream took a message for a duplicate and did not store it.", "Please report this.")
    if batch and (ack.get("batch") != batch or ack.get("count") != count):
        raise BadAck("The stream confirmed another batch than the one sent.", "Nothing to do: it is sent again.")
    seq = ack.get("seq")
    if not isinstance(seq, int) or seq <= 0:
        raise BadAck("The stream answered without a sequence number.", "Check that the stream is not set to no_ack.")
    return seq


def refusal(error: dict[str, Any]) -> Refused:
    """The error part of an ack as an exception."""
    code, description = int(error.get("err_code") or error.get("code") or 0), str(error.get("description", ""))
    found = _LAST.search(description)
    if code == WRONG_LAST and found:
        return WrongLast(int(found.group(1)))
    unknown = "" if code in REMEDIES else "Run the checks: the stream's settings may have changed."
    return Refused(code, description, unknown)


# --- Fenced --------------------------------------------------------------------------------------------------------


async def publish_batch(link: Link, messages: Sequence[Message], *, stream: str, subject: str, last_seq: int) -> int:
    """Store these messages, in order and behind a fence; return the stream sequence of the last one.

    Many are stored as one atomic batch, all or none. A few go one by one, each behind the fence of the one before.
    subject   the filter that the fence watches; last_seq: the stream sequence we believe is its newest
    Raises WrongLast when somebody wrote there since, Refused, BadAck; NoAnswer and LinkLost leave the outcome unknown:
    settle it by reading the stream.
    """
    if len(messages) <= FEW:
        for message in messages:
            headers = message.headers + fence(subject, last_seq)
            answer = await link.request(message.subject, message.payload, headers=headers, wait_s=ACK_S)
            last_seq = confirm(read_ack(answer), stream=stream)
        return last_seq
    batch, last = uuid4().hex, messages[-1]
    lines = f"Nats-Batch-Id: {batch}\r\nNats-Batch-Sequence: ".encode()
    condition = fence(subject, last_seq)

    def framed() -> Iterator[bytes]:
        for no, message in enumerate(messages[:-1], 1):
            headers = b"%b%b%d\r\n%b" % (message.headers, lines, no, condition if no == 1 else b"")
            yield frame(message.subject, message.payload, headers)

    count = len(messages)
    await link.write(framed())
    headers = b"%b%b%d\r\nNats-Batch-Commit: 1\r\n" % (last.headers, lines, count)
    answer = await link.request(last.subject, last.payload, headers=headers, wait_s=ACK_S)
    return confirm(read_ack(answer), stream=stream, batch=batch, count=count)


# --- Basic ---------------------------------------------------------------------------------------------------------


async def publish_window(link: Link, messages: Sequence[tuple[Message, int]], *, stream: str) -> list[int | Refused]:
    """Send messages all at once, each with the sequence its subject is expected to be at; wait for every answer.

    One message a subject. Returns, in order, the stream sequence or the refusal. Raises what concerns the whole window:
    LinkLost, NoAnswer, Denied, NobodyListens, BadAck.
    """
    loop = asyncio.get_running_loop()
    answers: list[Answer | None] = [None] * len(messages)
    done: asyncio.Future[None] = loop.create_future()
    left = len(messages)

    def arrived(at: int, answer: Answer) -> None:
        nonlocal left
        answers[at], left = answer, left - 1
        if not done.done() and (left == 0 or isinstance(answer, LinkError)):
            done.set_result(None)

    replies: list[str] = []
    began = time.monotonic()

    def framed() -> Iterator[bytes]:
        for at, (message, last_seq) in enumerate(messages):
            replies.append(link.expect(message.subject, partial(arrived, at)))
            headers = message.headers + fence_subject(last_seq)
            yield frame(message.subject, message.payload, headers, replies[-1])

    try:
        await link.write(framed())
        if messages:
            await asyncio.wait_for(done, ACK_S)
    except TimeoutError:
        raise NoAnswer(f"NATS did not confirm {left} messages.", "Check that NATS runs. They are sent again.") from None
    finally:
        link.doubt_if_unanswered(done, began)
        for reply in replies:
            link.forget(reply)
    failed = next((answer for answer in answers if isinstance(answer, LinkError)), None)
    if failed is not None:
        raise failed
    return [_outcome(answer, stream) for answer in answers]


def _outcome(answer: Answer | None, stream: str) -> int | Refused:
    if answer is None or isinstance(answer, LinkError):
        raise NoAnswer("NATS did not confirm every message.", "Nothing is lost: they are sent again.")
    try:
        return confirm(read_ack(answer), stream=stream)
    except Refused as error:
        return error


def read_ack(raw: bytes) -> dict[str, Any]:
    """An acknowledgement's body. Raises BadAck for anything but a JSON object: no stream answered then."""
    try:
        ack = orjson.loads(raw)
    except orjson.JSONDecodeError:
        ack = None
    if not isinstance(ack, dict):
        raise BadAck("Something other than a stream answered.", "Look for a service that listens under the prefix.")
    return ack
