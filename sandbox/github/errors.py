"""GitHub's refusals.

Source: https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api and …/rate-limits-for-the-rest-api
"""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.refusals import JsonRefusal

DOCS = "https://docs.github.com/rest"


def said(status: int, message: str, headers: Mapping[str, str] | None = None, **more: object) -> JsonRefusal:
    """`{"message", "documentation_url", "status"}`, as all of GitHub's refusals."""
    return JsonRefusal(status, {"message": message, **more, "documentation_url": DOCS, "status": str(status)}, headers)


def not_found() -> JsonRefusal:
    return said(404, "Not Found")


def bad_credentials() -> JsonRefusal:
    return said(401, "Bad credentials")


def not_accessible(permission: str, right: str = "read") -> JsonRefusal:
    """What a fine-grained token or an app is told whose permissions do not cover this."""
    headers = {"X-Accepted-GitHub-Permissions": f"{permission}={right}"}
    return said(403, "Resource not accessible by personal access token", headers)


def primary_limit(reset_s: int) -> JsonRefusal:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset_s), "x-ratelimit-resource": "core"}
    return said(403, "API rate limit exceeded for user ID 501.", headers)


def secondary_limit(status: int) -> JsonRefusal:
    return said(status, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")


def deep_page() -> JsonRefusal:
    return said(422, "Pagination with the page parameter is not supported for large datasets, please use cursor based"
                     " pagination (after/before)")  # fmt: skip


def moved(url: str) -> JsonRefusal:
    return said(301, "Moved Permanently", {"Location": url}, url=url)
