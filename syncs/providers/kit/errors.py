"""Everything that can go wrong upstream, as one small tree. Each carries a sentence and a next step; never a secret.

ProviderError
├── CredentialsRefused   the key or grant is dead: reconnect (kind `credentials`)
├── PermissionMissing    let in, but not to this (kind `permission`)
├── CollectionGone       the collection no longer exists for this account (kind `permission`)
├── AddressRefused       the address is one we do not send to: a private one (kind `permission`)
├── RateLimited          asked to slow down, or the quota is used up (kind `rate_limit`)
├── UpstreamFailed       no answer, 5xx, broken body: worth another try (kind `upstream`)
│   └── HostGone         its host is not there any more, or sends us elsewhere: the account may have moved
├── CursorLost           upstream forgot our place: start that walk again (kind `upstream`)
└── UnexpectedShape      an answer we do not understand: stop, keep what we have (kind `shape`)
"""


class ProviderError(Exception):
    """kind, message (what happened) and next_step are for people; `detail` (status, body excerpt) is for the log.

    read_no        of the request that was refused, where one was sent
    collection_id  the collection it is about, where a walk over several tells
    """

    kind = "upstream"
    next_step = "We try again by ourselves."

    def __init__(
        self, message: str, *, next_step: str = "", detail: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step or type(self).next_step
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.read_no = 0
        self.collection_id = ""


class CredentialsRefused(ProviderError):
    kind = "credentials"
    next_step = "Reconnect the account."


class PermissionMissing(ProviderError):
    kind = "permission"
    next_step = "Give the connected user read access, then press Test connection."


class CollectionGone(ProviderError):
    kind = "permission"
    next_step = "Check that the collection still exists and that the connected user may read it."


class AddressRefused(ProviderError):
    kind = "permission"
    next_step = "If that is meant, the operator of this console allows it by SEQUIN_PRIVATE_APIS."


class RateLimited(ProviderError):
    """`retry_after_s` says when to go on; None lets the engine back off."""

    kind = "rate_limit"
    next_step = "Nothing to do: the sync goes on by itself."


class UpstreamFailed(ProviderError):
    kind = "upstream"


class HostGone(UpstreamFailed):
    """The API host's name does not resolve, or all it does is to name another host."""


class CursorLost(ProviderError):
    kind = "upstream"
    next_step = "Nothing to do: we read this collection again from its beginning."


class UnexpectedShape(ProviderError):
    kind = "shape"
    next_step = "Earlier records are safe. Please report this."
