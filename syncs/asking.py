"""One question to a provider, from a page or the API."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sequin_console.common import runner
from sequin_console.common.problems import Problem
from syncs import access, budget, catalogue
from syncs.catalogue import PROVIDERS
from syncs.models import Credential
from syncs.providers.kit.catalogue import Provider
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import ProviderError

T = TypeVar("T")
ASK_TIMEOUT_S = 45


def ask_client(
    credential: Credential,
    question: Callable[[Client], Awaitable[T]],
    *,
    is_stored: bool = True,
    provider: Provider | None = None,
) -> T:
    """Put one question to a credential's API, whatever the reader knows. Raises ProviderError or Problem.

    provider  one that is no provider yet: a definition being tried
    """
    catalogue.look_for({credential.provider})
    asked = provider or PROVIDERS[credential.provider]

    tally = budget.Tally()

    async def work(orm: runner.Orm) -> T:
        source = access.StoredAccess(credential, orm, is_stored=is_stored, provider=asked)
        client = Client.of(
            asked,
            access.http_for(asked),
            source,
            draw_read_no=lambda: 0,
            settings=credential.settings,
            on_quota=tally.note,
            before_leaving=tally.before_leaving,
        )
        return await question(client)

    try:
        return runner.run(work, timeout_s=ASK_TIMEOUT_S)
    except TimeoutError:
        raise Problem("The provider did not answer in time.", kind="upstream", next_step="Try again later.") from None
    finally:
        if is_stored:
            tally.save(credential)


def as_problem(error: ProviderError, field: str = "") -> Problem:
    """A provider's error as the problem a form or the API shows."""
    fields = {field: [error.message]} if field else {}
    return Problem(error.message, kind=error.kind, next_step=error.next_step, fields=fields)
