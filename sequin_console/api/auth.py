"""Who may call: a bearer token that accounts/tokens.py knows. Who fails too often is asked to wait."""

from django.http import HttpRequest
from ninja.security import HttpBearer

from sequin_console.accounts import tokens
from sequin_console.accounts.models import ApiToken
from sequin_console.common.problems import Problem
from sequin_console.common.rest import note_failure


class BearerToken(HttpBearer):
    """An API token of Settings, API tokens."""

    openapi_description = "An API token, made under Settings."

    def __call__(self, request: HttpRequest) -> ApiToken:
        token: ApiToken | None = super().__call__(request)
        if token is None:
            note_failure(request)
            sent = "Authorization" in request.headers
            raise Problem(
                "This API token is not valid." if sent else "The request carries no API token.",
                kind="credentials",
                next_step="Send `Authorization: Bearer` with a token from Settings, API tokens.",
                status=401,
            )
        return token

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        return tokens.authenticate(token.strip())
