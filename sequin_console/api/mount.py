"""How the API hangs in the site: its addresses, how bodies are read, the OpenAPI document and its page."""

from collections.abc import Callable
from functools import cached_property, partial, wraps
from typing import Any

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import path, re_path
from django.utils.cache import patch_cache_control
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser

from sequin_console.accounts.rights import Right, may
from sequin_console.api import docs
from sequin_console.api.errors import answer, no_route, not_allowed
from sequin_console.common.problems import Problem

DEEPEST = 50
_BODY_STEP = "Send one JSON object."


class StrictParser(Parser):
    """JSON, and only JSON that can be stored and given back: no NaN, no lone surrogates, no NUL, not bottomless."""

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != "application/json":
            raise Problem(
                "The body is not announced as JSON.",
                kind="media_type",
                next_step="Send `Content-Type: application/json`.",
                status=415,
            )
        try:
            body = msgspec.json.decode(request.body)
            _check(body, DEEPEST)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, ValueError) else "it nests too deeply"
            raise Problem(f"The body is not valid JSON: {reason}.", next_step=_BODY_STEP, status=400) from None
        return body


def _check(value: Any, depth: int) -> None:
    if depth == 0:
        raise ValueError("it nests too deeply")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("a text holds the character U+0000")
    if isinstance(value, dict):
        for key in value:
            _check(key, depth)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check(inner, depth - 1)


class Console(NinjaAPI):
    """NinjaAPI with our parser, our errors down to the last address, and our page for the docs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, parser=StrictParser(), openapi_url=None, docs_url=None)

    def _get_urls(self) -> list[Any]:
        routes: list[Any] = super()._get_urls()
        patterns = [path(str(p.pattern), in_shape(p.callback), name=p.name) for p in routes]
        hyphened = [  # the old product wrote its other routes with a hyphen
            path(str(p.pattern).replace("_", "-", 1), p.callback)
            for p in patterns
            if str(p.pattern).startswith("nats_consumers")
        ]
        extra = [
            path("openapi.json", in_shape(partial(openapi_json, api=self)), name="openapi"),
            path("docs", partial(docs.page, api=self), name="docs"),
        ]
        return [*extra, *patterns, *hyphened, re_path(r"[\s\S]*", in_shape(nowhere), name="nowhere")]

    @cached_property
    def document(self) -> OpenAPISchema:
        """The OpenAPI document, made once a process: it takes a third of a second."""
        return self.get_openapi_schema()

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """The document; every route also says how its errors look."""
        document = super().get_openapi_schema(**options)
        document["components"]["schemas"]["Error"] = ERROR_SCHEMA
        for operation in docs.operations(document):
            content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
            operation["responses"]["default"] = {"description": "What went wrong", "content": content}
        return document


ERROR_SCHEMA = {
    "title": "Error",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["kind", "message", "next_step", "fields"],
            "properties": {
                "kind": {
                    "type": "string",
                    "description": "A stable word for programs: validation, credentials, permission, rate_limit, "
                    "upstream, shape, broker, conflict, not_found, method, too_large, media_type, internal.",
                },
                "message": {"type": "string", "description": "What happened, in a sentence."},
                "next_step": {"type": "string", "description": "What to do about it, in a sentence."},
                "fields": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                    "description": "What is wrong, by field of the body, dotted: `nats.jwt`.",
                },
            },
        }
    },
}


def in_shape(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The view, with what no exception handler sees in our shape as well, and its answers kept out of caches."""

    @wraps(view, updated=())
    def shaped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            if any("\0" in text for text in (request.path, *request.GET, *request.GET.values())):
                raise Http404
            response = view(request, *args, **kwargs)
        except Http404:
            response = answer(no_route(request))
        except Problem as problem:
            response = answer(problem)
        if response.status_code == 405:
            shaped_answer = answer(not_allowed(", ".join(sorted(response["Allow"].split(", ")))))
            shaped_answer["Allow"] = response["Allow"]
            response = shaped_answer
        patch_cache_control(response, private=True, no_store=True)
        return response

    shaped.csrf_exempt = True  # type: ignore[attr-defined]  # bearer tokens are no cookies
    return shaped


def openapi_json(request: HttpRequest, api: Console) -> HttpResponse:
    """The OpenAPI document, for whoever is signed in or sends a token."""
    if not may(request.user, Right.SEE):
        api.auth[0](request)  # type: ignore[index]
    return JsonResponse(api.document)


def nowhere(request: HttpRequest) -> HttpResponse:
    return answer(no_route(request))
