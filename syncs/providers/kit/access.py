"""Where a client gets the right to call from, and where it goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from syncs.providers.kit.errors import CredentialsRefused


@dataclass(frozen=True)
class Access:
    """What a request needs: the API's base URL (no slash at its end); headers and parameters, which hold secrets."""

    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)


class CannotRenew(CredentialsRefused):
    """There is nothing to renew: a pasted key. What the provider said of it is then the better reason."""


class AccessSource(Protocol):
    """Hands out access, and renews it once upstream refuses it. Backed by the credential store, or fixed in tests."""

    async def access(self) -> Access:
        """Access that is believed good. Raises CredentialsRefused when the credential is known to be dead."""

    async def renew(self, refused: Access) -> Access:
        """Fresh access in place of the one just refused with 401.

        Raises CredentialsRefused when it cannot be had, CannotRenew when it never can. If somebody else renewed
        meanwhile, theirs comes back.
        """
