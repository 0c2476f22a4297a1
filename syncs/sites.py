"""Which of the accounts that one grant opens a connection reads: asked once, when it is made."""

from collections.abc import Awaitable, Callable

from sequin_console.common.problems import Problem, field_problem
from syncs.access import SITE_ID
from syncs.asking import as_problem, ask_client
from syncs.catalogue import PROVIDERS
from syncs.models import Credential
from syncs.providers.kit.catalogue import Site
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import ProviderError
from syncs.providers.kit.values import places

Question = Callable[[Client], Awaitable[tuple[Site, ...]]]


def question_of(credential: Credential) -> Question | None:
    """How its kind asks for sites; None where there is nothing to choose."""
    return PROVIDERS[credential.provider].kind(credential.kind).sites


def offered(credential: Credential, question: Question) -> tuple[Site, ...]:
    """The sites a credential not stored yet opens, by label. Raises Problem when there is none.

    It forgets the site it may have had: that one's address is no place to ask for the others.
    """
    kind = PROVIDERS[credential.provider].kind(credential.kind)
    of_site = {SITE_ID, "instance_url", *places(kind.api_path)}
    credential.settings = {key: value for key, value in credential.settings.items() if key not in of_site}
    try:
        found = ask_client(credential, question, is_stored=False)
    except ProviderError as error:
        raise as_problem(error, "credential.properties.secret") from None
    if not found:
        label = PROVIDERS[credential.provider].label
        raise Problem(
            f"{label} let us in, but to none of its accounts.",
            kind="permission",
            next_step="Give the user (or the app) access to the account at the provider, then connect again.",
            status=400,
        )
    return tuple(sorted(found, key=lambda site: (site.label, site.id)))


def take(credential: Credential, site: Site) -> None:
    """From now on the credential reads this site."""
    place = {"instance_url": site.api_url} if site.api_url else {}
    credential.settings = {**credential.settings, **site.settings, **place, SITE_ID: site.id}
    credential.account_id = site.id


def settle(credential: Credential) -> None:
    """Let a pasted credential read the site it names (by id or label), or the only one. Raises Problem."""
    question = question_of(credential)
    if question is None:
        return
    named = credential.settings.get(SITE_ID, "")
    found = offered(credential, question)
    named = named or (credential.account_id if len(found) > 1 else "")
    site = found[0] if len(found) == 1 and not named else next((s for s in found if named in (s.id, s.label)), None)
    if site is None:
        names = ", ".join(f"{site.label} ({site.id})" for site in found)
        message = f"It does not open “{named}”." if named else "It opens several accounts."
        raise field_problem(SITE_ID, message, next_step=f"Name one of {names}.")
    take(credential, site)
