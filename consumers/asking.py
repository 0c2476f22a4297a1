"""One question to a NATS, for a page or the API, on a connection of its own."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from consumers import jetstream
from consumers.connection import LinkError, NatsSettings
from sequin_console.common import runner
from sequin_console.common.problems import Problem

T = TypeVar("T")
WAIT_S = 45.0


def ask(settings: NatsSettings, question: Callable[[jetstream.Link], Awaitable[T]]) -> T:
    """The answer. Raises Problem with NATS's own reason."""

    async def work(_orm: runner.Orm) -> T:
        async with jetstream.linked(settings) as link:
            return await question(link)

    try:
        return runner.run(work, timeout_s=WAIT_S)
    except LinkError as error:
        raise Problem(error.message, kind=error.kind, next_step=error.next_step, status=409) from None
    except TimeoutError:
        raise Problem("NATS did not answer in time.", kind="broker", next_step="Try again.", status=409) from None
