"""Everything that can go wrong with a request, in the one shape: {"error": {kind, message, next_step, fields}}."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from sequin_console.common import database_trouble
from sequin_console.common.problems import Problem
from sequin_console.common.words import sentence

log = structlog.get_logger(__name__)

DOCS_STEP = "See /v1/docs for what this route takes."


def answer(problem: Problem) -> HttpResponse:
    """A problem as the API's answer."""
    response = JsonResponse({"error": problem.as_dict()}, status=problem.status)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    if problem.status == HTTPStatus.TOO_MANY_REQUESTS:
        response["Retry-After"] = "60"
    return response


def add_handlers(api: NinjaAPI) -> None:
    """Turn every exception a route can raise into an answer."""
    words: dict[type[Exception], Callable[[Any], Problem]] = {
        Problem: lambda problem: problem,
        ValidationError: wrong_input,
        PermissionDenied: denied,
        Http404: not_found,
        RequestDataTooBig: too_large,
        HttpError: from_http_error,
        **dict.fromkeys(database_trouble.AWAY, database_trouble.as_problem),
    }
    for kind, in_words in words.items():
        api.add_exception_handler(kind, partial(_answer_in, in_words))
    api.add_exception_handler(Exception, unforeseen)


def _answer_in(in_words: Callable[[Any], Problem], _request: HttpRequest, error: Any) -> HttpResponse:
    return answer(in_words(error))


def wrong_input(error: ValidationError) -> Problem:
    """Wrong types, missing and unknown fields, each at its dotted name."""
    fields: dict[str, list[str]] = {}
    for each in error.errors:
        source, *place = each["loc"]
        # a body's place begins with our name for the body, a query's may with the name of its group
        path = place[1:] if source == "body" else place[-1:]
        fields.setdefault(".".join(map(str, path)), []).append(sentence(each))
    if whole := fields.pop("", None):
        missing = any(each["type"] == "missing" for each in error.errors)
        message = "The request has no body." if missing else whole[0]
        return Problem(message, next_step=f"Send a JSON object. {DOCS_STEP}", fields=fields)
    name, words_of_first = next(iter(fields.items()))
    return Problem(f"{name}: {words_of_first[0]}", next_step=DOCS_STEP, fields=fields)


def denied(error: PermissionDenied) -> Problem:
    message = str(error) or "This token may not do this."
    return Problem(message, kind="permission", next_step="Use a token with a higher role.", status=403)


def not_found(_error: Http404) -> Problem:
    return Problem("There is no such thing.", kind="not_found", next_step="Check the id.", status=404)


def no_route(request: HttpRequest) -> Problem:
    step = "Leave out the slash at the end." if request.path.endswith("/") else "See /v1/docs for the routes there are."
    return Problem("There is nothing here.", kind="not_found", next_step=step, status=404)


def not_allowed(allowed: str) -> Problem:
    return Problem("This route does not take this method.", kind="method", next_step=f"It takes {allowed}.", status=405)


def too_large(_error: RequestDataTooBig) -> Problem:
    return Problem("The body is larger than 2 MB.", kind="too_large", next_step="Send less at once.", status=413)


def from_http_error(error: HttpError) -> Problem:
    """The framework's own errors; a Problem that it wrapped comes out again."""
    if isinstance(error.__cause__, Problem):
        return error.__cause__
    return Problem("The request could not be read.", next_step=DOCS_STEP, status=error.status_code)


def unforeseen(request: HttpRequest, error: Any) -> HttpResponse:
    """A mistake of ours: the caller learns that, the log learns where."""
    log.error("API request failed", method=request.method, path=request.path, exc_info=error)
    step = "Try again. If it stays, tell your administrator: the log has the details."
    return answer(Problem("Something went wrong in the console.", kind="internal", next_step=step, status=500))
