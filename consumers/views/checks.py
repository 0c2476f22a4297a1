"""The checks: of a form not saved yet, of a stored consumer; each result is sent as soon as it is there.

With JavaScript (checks.js, which asks by the header `X-Stream`) an answer is lines of JSON, `{"id", "html"}`: each
replaces the element with this id. Without, it is one page with all results.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from consumers import services, tryout
from consumers.forms import ConsumerForm
from consumers.models import NatsConsumer
from consumers.preflight import LABELS, Preflight
from consumers.views import shown
from consumers.views.editing import bound, form_context
from sequin_console.common import web
from sequin_console.common.problems import Problem


@never_cache
@sensitive_post_parameters()
@sensitive_variables("form")
@require_POST
def test(request: HttpRequest) -> HttpResponseBase:
    """Try what the form of a new consumer says, before anything is stored."""
    NatsConsumer.objects.editable_by(request.user)
    return try_form(request, bound(request))


@never_cache
@sensitive_post_parameters()
@sensitive_variables("form")
@require_POST
def test_edit(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """The same for changes to a consumer; secrets left empty are the stored ones."""
    consumer = get_object_or_404(NatsConsumer.objects.editable_by(request.user), pk=pk)
    return try_form(request, bound(request, consumer))


@never_cache
@sensitive_post_parameters()
@sensitive_variables("form")
@require_POST
def create_stream_first(request: HttpRequest) -> HttpResponseBase:
    """Create the stream for a consumer that is not stored yet, then test again."""
    NatsConsumer.objects.editable_by(request.user)
    form = bound(request)
    if form.is_valid():
        try:
            tryout.create_stream(form.data_for_services(), None, by=request.user)
        except Problem as problem:
            web.form_problem(form, form.show(problem))
            return form_again(request, form)
    return try_form(request, form)


def shown_checks(request: HttpRequest, consumer: NatsConsumer) -> HttpResponse:
    return web.page_or_fragment(
        request, "consumers/checks.html", "consumers/_checks.html", shown.checks_context(consumer), status=200
    )


def stored(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The last checks of a consumer; 204 when they are those the page has, so that open blocks stay open."""
    consumer = get_object_or_404(NatsConsumer.objects.visible_to(request.user), pk=pk)
    if consumer.checked_at and request.GET.get("at") == str(consumer.checked_at.timestamp()):
        return HttpResponse(status=204)
    return shown_checks(request, consumer)


@require_POST
def run(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Run the checks again. Asks NATS, so operators only."""
    consumer = get_object_or_404(NatsConsumer.objects.editable_by(request.user), pk=pk)
    if "X-Stream" in request.headers:
        return streamed(
            services.preflight_of(consumer), {"consumer": consumer, "can_operate": True}, store_for=consumer
        )
    services.run_preflight(consumer)
    return done(request, consumer, "Checked.")


@require_POST
def create_stream(request: HttpRequest, pk: UUID) -> HttpResponse:
    consumer = get_object_or_404(NatsConsumer.objects.editable_by(request.user), pk=pk)
    services.create_stream(consumer, by=request.user)
    return done(request, consumer, "The stream is there. Records are on their way.")


@require_POST
def allow_atomic(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Switch atomic batches on, for delivery exactly once."""
    consumer = get_object_or_404(NatsConsumer.objects.editable_by(request.user), pk=pk)
    services.allow_atomic(consumer, by=request.user)
    return done(request, consumer, "Atomic batches are on: records now arrive exactly once.")


# --- Parts ---------------------------------------------------------------------------------------------------------


def done(request: HttpRequest, consumer: NatsConsumer, text: str) -> HttpResponse:
    """The checks as they are now, with a toast; without htmx the consumer's page with a message."""
    if not web.wants_fragment(request):
        return web.go_to(request, consumer, text)
    consumer.refresh_from_db()
    response = shown_checks(request, consumer)
    response["HX-Trigger"] = json.dumps({"toast": {"text": text, "level": "success"}})
    return response


def try_form(request: HttpRequest, form: ConsumerForm) -> HttpResponseBase:
    """Run the checks of a form; the form with its errors when it cannot be right by itself."""
    if not form.is_valid():
        return form_again(request, form)
    try:
        preflight = services.preflight_of_data(form.data_for_services(), form.consumer)
    except Problem as problem:
        web.form_problem(form, form.show(problem))
        return form_again(request, form)
    context: dict[str, Any] = {"for_form": True, "is_new": form.consumer is None, "can_operate": True}
    if "X-Stream" in request.headers:
        return streamed(preflight, context)
    raw = services.run_preflight_of_data(form.data_for_services(), form.consumer)
    context |= {"checks": [shown.check(one) for one in raw], "summary": shown.summary(raw)}
    return render(request, "consumers/test.html", context | {"consumer": form.consumer})


def form_again(request: HttpRequest, form: ConsumerForm) -> HttpResponse:
    """The form with its errors; checks.js puts it in the form's place and keeps what was typed into secret fields."""
    page = "consumers/create.html" if form.consumer is None else "consumers/edit.html"
    name = "consumers/_form.html" if "X-Stream" in request.headers else page
    return render(request, name, form_context(form), status=422)


def streamed(
    preflight: Preflight, context: Mapping[str, Any], *, store_for: NatsConsumer | None = None
) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        results(preflight, context, store_for), content_type="application/x-ndjson", headers={"X-Accel-Buffering": "no"}
    )


async def results(
    preflight: Preflight, context: Mapping[str, Any], store_for: NatsConsumer | None
) -> AsyncIterator[str]:
    """The list of checks, then each result with the next check marked as running, then the sum."""
    keys = list(LABELS)
    start = {**context, "checks": shown.expected(), "is_running": True}
    yield _piece("consumer-checks", "consumers/_checks.html", start)
    async with aclosing(preflight.run()) as checks:  # type: ignore[type-var]
        async for result in checks:
            one = shown.check(result.as_dict())
            yield _piece(f"check-{result.key}", "consumers/_check.html", {**context, "check": one})
            after = keys[keys.index(result.key) + 1 :]
            if after and not preflight.failed:
                waiting = next(each for each in shown.expected(after[0]) if each["key"] == after[0])
                yield _piece(f"check-{after[0]}", "consumers/_check.html", {**context, "check": waiting})
    raw = [result.as_dict() for result in preflight.checks]
    if store_for is not None:
        await database_sync_to_async(services.store_preflight)(store_for, preflight)
    yield _piece("check-sum", "consumers/_check_sum.html", {**context, "summary": shown.summary(raw)})


def _piece(id: str, template: str, context: Mapping[str, Any]) -> str:
    return json.dumps({"id": id, "html": render_to_string(template, dict(context)).strip()}) + "\n"
