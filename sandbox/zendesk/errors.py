"""Zendesk's refusals: four kinds of bodies, plain text, and HTML.

Source: https://developer.zendesk.com/api-reference/introduction/requests/ and …/rate-limits/
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import HTMLResponse, Response

from sandbox.refusals import JsonRefusal, Refusal


def told(status: int, error: str, description: str) -> JsonRefusal:
    """`{"error": code, "description": text}`."""
    return JsonRefusal(status, {"error": error, "description": description})


def listed(status: int, code: str, title: str, detail: str) -> JsonRefusal:
    """`{"errors": [{"code", "title", "detail"}]}`: what paging says."""
    return JsonRefusal(status, {"errors": [{"code": code, "title": title, "detail": detail}]})


class TextRefusal(Refusal):
    """A status and a text that is no JSON."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None, *, html: bool = False):
        super().__init__(message)
        self.status, self.message, self.headers, self.html = status, message, headers, html

    def response(self) -> Response:
        kind = HTMLResponse if self.html else Response
        return kind(self.message, self.status, self.headers, "text/html" if self.html else "text/plain")


def too_many(retry_after_s: float | None = None) -> TextRefusal:
    headers = {} if retry_after_s is None else {"Retry-After": f"{max(1, round(retry_after_s))}"}
    return TextRefusal(429, "Number of allowed API requests per minute exceeded", headers)


NOT_FOUND = told(404, "RecordNotFound", "Not found")
NO_ENDPOINT = told(404, "InvalidEndpoint", "Not found")
NO_ACCESS = JsonRefusal(403, {"description": "You do not have access to this page. Please contact the account owner."})
RESTRICTED = JsonRefusal(403, {"error": {
    "title": "Forbidden",
    "message": "Access to this resource is restricted. Please contact the account administrator for assistance.",
}})  # fmt: skip
TOO_RECENT = told(422, "InvalidValue", "Too recent start_time. Use a start_time older than 60 seconds")
TOO_DEEP = listed(400, "InvalidPaginationDepth", "Pagination depth exceeded", "Use cursor pagination beyond 10,000.")
BAD_CURSOR = listed(400, "InvalidPaginationParameter", "Invalid page parameter", "The cursor is not valid.")
BAD_EXPORT_CURSOR = told(400, "InvalidValue", "The cursor is invalid")
SLOW = TextRefusal(504, "upstream request timeout")
NO_ACCOUNT = TextRefusal(404, "<html><body><h1>Oops, this help center no longer exists</h1></body></html>", html=True)
