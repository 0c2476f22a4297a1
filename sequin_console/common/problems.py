"""One way to say that something cannot be done: what happened, and what to do about it.

Services raise `Problem`; forms show it at the right field, the API renders it in its one error shape, the log gets the
kind. Nothing in a Problem may be a secret.
"""

from collections.abc import Mapping, Sequence


class Problem(Exception):
    """What went wrong, in a sentence a person can act on.

    kind       a stable word for programs: `validation`, `credentials`, `permission`, `rate_limit`, `upstream`,
               `shape`, `broker`, `conflict`, `not_found`
    message    what happened, one sentence
    next_step  what to do, one sentence; may be empty only where the message already says it
    fields     errors by input field, dotted as in the API (`nats.jwt`)
    status     the HTTP status an API answer carries
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "validation",
        next_step: str = "",
        fields: Mapping[str, Sequence[str]] | None = None,
        status: int = 422,
    ) -> None:
        super().__init__(message)
        self.kind, self.message, self.next_step, self.status = kind, message, next_step, status
        self.fields = {name: list(errors) for name, errors in (fields or {}).items()}

    def as_dict(self) -> dict[str, object]:
        """The API's one error shape, without its `error` envelope."""
        return {"kind": self.kind, "message": self.message, "next_step": self.next_step, "fields": self.fields}


def field_problem(field: str, message: str, *, next_step: str = "", kind: str = "validation") -> Problem:
    """A problem with one input field; the message stands both at the field and on its own."""
    return Problem(message, kind=kind, next_step=next_step, fields={field: [message]})
