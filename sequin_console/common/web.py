"""What views are made of: redirects, pages or fragments, problems as answers, paging."""

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required as public  # noqa: F401 - views say @web.public
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_vary_headers

from sequin_console.common.problems import Problem


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asked for a piece of a page; a boosted link or a restored history entry wants the whole."""
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def go_to(request: HttpRequest, to: Any, message: str = "") -> HttpResponse:
    """Send the reader to an object's page, a URL or a URL name, with a message shown there."""
    if message:
        messages.success(request, message)
    url = resolve_url(to)
    if wants_fragment(request):
        return HttpResponse(status=204, headers={"HX-Redirect": url, "Vary": "HX-Request"})
    return HttpResponse(status=303, headers={"Location": url})


def page_or_fragment(
    request: HttpRequest, page: str, fragment: str, context: Mapping[str, Any], status: int | None = None
) -> HttpResponse:
    """Render the fragment for htmx, the page for everybody else; 422 when a form in the context has errors."""
    if status is None:
        has_errors = any(isinstance(value, forms.BaseForm) and value.errors for value in context.values())
        status = 422 if has_errors else 200
    response = render(request, fragment if wants_fragment(request) else page, dict(context), status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def paginate(request: HttpRequest, queryset: QuerySet, per_page: int = 50) -> Page:
    """The page named by `?page=`; a page that does not exist becomes the nearest that does."""
    return Paginator(queryset, per_page).get_page(request.GET.get("page"))


def form_problem(form: forms.BaseForm, problem: Problem) -> None:
    """Show a service's problem at the form's fields; what belongs to no field of it stands above the form.

    A dotted name (`nats.jwt`) is looked up whole, then by its last part.
    """
    shown = False
    for name, errors in problem.fields.items():
        field = next((n for n in (name, name.replace(".", "_"), name.rpartition(".")[2]) if n in form.fields), None)
        for error in errors:
            form.add_error(field, error if field else f"{name}: {error}")
            shown = True
    if not shown:
        form.add_error(None, " ".join(filter(None, (problem.message, problem.next_step))))
    elif problem.next_step:
        form.add_error(None, problem.next_step)


class ProblemMiddleware:
    """Turn a Problem or PermissionDenied raised by a view into an answer people can read."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, PermissionDenied):
            message = str(exception) or "You may not do this."
            return answer(request, Problem(message, kind="permission", status=403))
        if isinstance(exception, Problem):
            return answer(request, exception)
        return None


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """A problem as a page of its own; for htmx as a toast, the page staying as it is."""
    if wants_fragment(request):
        response = HttpResponse(status=403 if problem.status == 403 else 422, headers={"HX-Reswap": "none"})
        if problem.status != 403:  # console.js has words for 403
            text = " ".join(filter(None, (problem.message, problem.next_step)))
            response["HX-Trigger"] = json.dumps({"toast": {"text": text, "level": "error"}})
    else:
        response = render(request, "problem.html", {"problem": problem}, status=problem.status)
    patch_vary_headers(response, ["HX-Request"])
    return response
