"""The docs page: the OpenAPI document as a plain page, every route with its fields, an example and a line to copy."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify

from sequin_console.accounts.rights import Right, require

if TYPE_CHECKING:
    from sequin_console.api.mount import Console

Json = dict[str, Any]
DEEPEST = 8
_SAMPLES = {"string": "…", "integer": 1, "number": 1.5, "boolean": True, "null": None}
_FORMATS = {
    "uuid": "b3f6c2c8-1d94-4c1a-8f0e-6f8f1b7f2a10",
    "date-time": "2026-11-23T16:20:35Z",
}


@login_required
def page(request: HttpRequest, api: "Console") -> HttpResponse:
    """All routes, grouped as in the document."""
    require(request.user, Right.SEE)
    context = {
        "about": prose(api.description),
        "groups": groups(api.document),
        "error_text": pretty({"error": ERROR_EXAMPLE}),
        "base_url": f"{settings.PUBLIC_URL}/v1",
    }
    return render(request, "api/docs.html", context)


ERROR_EXAMPLE = {
    "kind": "validation",
    "message": "The JWT and the nkey seed do not belong together.",
    "next_step": "Correct the marked fields.",
    "fields": {"nats.jwt": ["The JWT and the nkey seed do not belong together."]},
}


def operations(document: Mapping[str, Any]) -> Iterator[Json]:
    """Every operation of the document."""
    for methods in document["paths"].values():
        yield from methods.values()


def groups(document: Json) -> list[Json]:
    """Routes by tag, in the order they were mounted."""
    found: dict[str, Json] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["Other"])[0]
            group = found.setdefault(tag, {"title": tag, "mark": slugify(tag), "routes": []})
            group["routes"].append(route(method.upper(), path, operation, document))
    return list(found.values())


def route(method: str, path: str, operation: Json, document: Json) -> Json:
    """One operation as the page shows it."""
    body = operation.get("requestBody")
    schema = body["content"]["application/json"]["schema"] if body else None
    sent = example(schema, document) if schema else None
    status, answer = next((status, answer) for status, answer in operation["responses"].items() if status != "default")
    answered = answer.get("content", {}).get("application/json", {}).get("schema")
    return {
        "mark": slugify(f"{method} {path}"),
        "method": method,
        "path": path,
        "summary": operation["summary"],
        "description": prose(operation.get("description", "")),
        "parameters": [parameter(each) for each in operation["parameters"]],
        "fields": list(fields(schema, document)) if schema else [],
        "is_open": not operation.get("security"),
        "sent": pretty(sent) if sent is not None else "",
        "status": status,
        "answer_label": f"Answer {status}",
        "answered": pretty(example(answered, document)) if answered else "",
        "curl": curl(method, path, sent, needs_token=bool(operation.get("security"))),
    }


def parameter(details: Json) -> Json:
    return {
        "name": details["name"],
        "place": details["in"],
        "type": type_in_words(details["schema"]),
        "required": details["required"],
        "description": inline(details.get("description", "")),
    }


def fields(schema: Json, document: Json, prefix: str = "", depth: int = 2) -> Iterator[Json]:
    """A body's fields, dotted as errors name them."""
    schema = resolved(schema, document)
    for name, details in schema.get("properties", {}).items():
        inner = resolved(details, document)
        yield {
            "name": prefix + name,
            "type": type_in_words(inner),
            "required": name in schema.get("required", []),
            "description": inline(details.get("description") or inner.get("description", "")),
        }
        if depth and inner.get("properties"):
            yield from fields(inner, document, f"{prefix}{name}.", depth - 1)


def resolved(schema: Json, document: Json) -> Json:
    """The schema itself: references followed, "or null" left out, and what stands beside them kept."""
    beside = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf", "allOf")}
    if "$ref" in schema:
        return {**resolved(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document), **beside}
    choices = [each for each in (schema.get("anyOf") or schema.get("allOf") or []) if each.get("type") != "null"]
    if len(choices) == 1:
        return {**resolved(choices[0], document), **beside}
    return schema


def type_in_words(schema: Json) -> str:
    """`text`, `whole number`, `list of text`, `all or new`."""
    choices = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    if len(choices) == 1:
        schema = choices[0]
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {type_in_words(schema.get('items', {}))}"
    if schema.get("format") == "uuid":
        return "id"
    if schema.get("format") == "date-time":
        return "moment"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return words.get(schema.get("type", ""), "object" if schema.get("type") == "object" or "$ref" in schema else "any")


def example(schema: Json, document: Json, depth: int = DEEPEST) -> Any:
    """A value such a schema takes: its own example, or one put together from its parts."""
    schema = resolved(schema, document)
    for key in ("example", "const"):
        if key in schema:
            return schema[key]
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [example(schema["items"], document, depth - 1)] if depth and schema.get("items") else []
    if "properties" in schema and depth:
        return {name: example(each, document, depth - 1) for name, each in schema["properties"].items()}
    if schema.get("type") == "object":
        return {}
    return _FORMATS.get(schema.get("format", ""), schema.get("default") or _SAMPLES.get(schema.get("type", "null")))


def curl(method: str, path: str, sent: Any, *, needs_token: bool) -> str:
    """A line for a shell. Single quotes cannot stand inside, so what is quoted has none."""
    parts = ["curl -sS" if method == "GET" else f"curl -sS -X {method}", f"'{settings.PUBLIC_URL}{path}'"]
    if needs_token:
        parts.append('-H "Authorization: Bearer $SEQUIN_TOKEN"')
    if sent is not None:
        text = json.dumps(sent, ensure_ascii=False).replace("'", "’")
        parts += ["-H 'Content-Type: application/json'", f"-d '{text}'"]
    return " \\\n  ".join(parts)


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def prose(text: str) -> SafeString:
    """Paragraphs, with what stands in backticks as code."""
    paragraphs = [part for part in text.strip().split("\n\n") if part]
    return mark_safe("".join(f"<p>{inline(part)}</p>" for part in paragraphs))  # escaped by inline()


def inline(text: str) -> SafeString:
    """One line of text, escaped; `this` becomes code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
