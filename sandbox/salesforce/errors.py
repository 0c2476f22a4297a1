"""Salesforce's ways of saying no: a JSON list from the REST API, a JSON object from OAuth, HTML from the edge.

Source: REST API guide, "Status codes and error responses" (v67.0); OAuth error codes, Salesforce help
"""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from sandbox.refusals import Refusal

EDGE_PAGE = """<!DOCTYPE html>
<html><head><title>Service Unavailable</title></head>
<body><h1>We are down for maintenance.</h1><p>Sorry for the inconvenience. We will be back shortly.</p></body></html>
"""


class ApiError(Refusal):
    """Raised anywhere below a REST route; the answer is `[{"message", "errorCode"}]`."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def response(self) -> Response:
        return JSONResponse([{"message": self.message, "errorCode": self.code}], self.status)


class OAuthError(Exception):
    """Raised below an OAuth route; the answer is `{"error", "error_description"}`, status 400 unless said otherwise."""

    def __init__(self, error: str, description: str, status: int = 400):
        super().__init__(description)
        self.error, self.description, self.status = error, description, status

    def response(self) -> Response:
        return JSONResponse({"error": self.error, "error_description": self.description}, self.status)


def invalid_session() -> ApiError:
    return ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")


def over_quota() -> ApiError:
    return ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")


def not_found() -> ApiError:
    return ApiError(404, "NOT_FOUND", "The requested resource does not exist")


def invalid_locator() -> ApiError:
    return ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")


def unsupported_object(name: str, where: str = "") -> ApiError:
    """The same answer for an object that never was, is switched off, or may not be read."""
    return ApiError(
        400,
        "INVALID_TYPE",
        f"{where}sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to"
        " append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate"
        " names.",
    )


def no_such_column(column: str, entity: str, where: str = "") -> ApiError:
    return ApiError(
        400,
        "INVALID_FIELD",
        f"{where}No such column '{column}' on entity '{entity}'. If you are attempting to use a custom field, be sure"
        " to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the"
        " appropriate names.",
    )


def malformed_query(message: str) -> ApiError:
    return ApiError(400, "MALFORMED_QUERY", message)
