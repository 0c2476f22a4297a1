"""Stripe's error bodies.

Source: https://docs.stripe.com/api/errors and https://docs.stripe.com/error-codes
"""

from __future__ import annotations

import json

from starlette.responses import Response

from sandbox.refusals import Refusal

INVALID_REQUEST = "invalid_request_error"


class StripeError(Refusal):
    """Raised anywhere below a Stripe route; the answer is `{"error": {…}}`."""

    def __init__(
        self, status: int, message: str, *, code: str = "", param: str = "", kind: str = INVALID_REQUEST,
        retry: bool | None = None, headers: dict[str, str] | None = None,
    ):  # fmt: skip
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.kind = status, message, code, param, kind
        self.headers = dict(headers or {})
        if retry is not None:
            self.headers["stripe-should-retry"] = "true" if retry else "false"

    def response(self) -> Response:
        error = {"message": self.message, "type": self.kind}
        if self.code:
            error |= {
                "code": self.code,
                "doc_url": f"https://docs.stripe.com/error-codes/{self.code.replace('_', '-')}",
            }
        if self.param:
            error["param"] = self.param
        body = json.dumps({"error": dict(sorted(error.items()))}, indent=2)
        return Response(body, self.status, media_type="application/json", headers=self.headers)


def no_such(what: str, record: str, param: str = "id", status: int = 404) -> StripeError:
    return StripeError(status, f"No such {what}: '{record}'", code="resource_missing", param=param)


def invalid_key(secret: str) -> StripeError:
    return StripeError(401, f"Invalid API Key provided: {masked(secret)}")


def missing_permission(secret: str, account: str, permission: str) -> StripeError:
    return StripeError(
        403,
        f"The provided key '{masked(secret)}' does not have the required permissions for this endpoint on account"
        f" '{account}'. Having the '{permission}' permission would allow this request to continue.",
    )


def unknown_parameter(name: str) -> StripeError:
    return StripeError(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def masked(secret: str) -> str:
    """A key as error texts show it: its prefix, stars, the last 4 characters."""
    prefix = "_".join(secret.split("_")[:2]) + "_" if secret.count("_") >= 2 else ""
    rest = secret[len(prefix) :]
    return prefix + "*" * max(len(rest) - 4, 4) + rest[-4:]
