"""Jira's refusals: the product's own, and those of the gateway in front of it.

Source: https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#status-codes,
https://developer.atlassian.com/cloud/jira/platform/rate-limiting
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import HTMLResponse, Response

from sandbox.refusals import JsonRefusal, Refusal


def told(status: int, *messages: str, headers: Mapping[str, str] | None = None) -> JsonRefusal:
    """A refusal of Jira itself."""
    return JsonRefusal(status, {"errorMessages": list(messages), "errors": {}}, headers)


def gateway(status: int, message: str, headers: Mapping[str, str] | None = None) -> JsonRefusal:
    """A refusal of the gateway, which knows tokens and scopes."""
    return JsonRefusal(status, {"code": status, "message": message}, headers)


class DeadLink(Refusal):
    """404 as a page: what is hidden, or was never there."""

    status, message = 404, "dead link"

    def response(self) -> Response:
        return HTMLResponse("<html><body><h1>Oops, you've found a dead link.</h1></body></html>", 404)


class PlainRefusal(Refusal):
    """A status and a line of text."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status, self.message = status, message

    def response(self) -> Response:
        return Response(self.message, self.status, media_type="text/plain")


UNBOUNDED = told(
    400, "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
)  # fmt: skip
BAD_TOKEN = told(400, "The provided nextPageToken is invalid or has expired.")
NO_ISSUE = told(404, "Issue does not exist or you do not have permission to see it.")
NO_PROJECT = told(404, "No project could be found.")
NO_SPRINTS = told(400, "The board does not support sprints")
REMOVED = told(410, "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API.")
