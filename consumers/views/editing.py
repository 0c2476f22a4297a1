"""A new consumer and changes to one: the form, and the two things it asks the server while being filled in."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from consumers import credentials, services
from consumers.credentials import BadCredentials
from consumers.forms import ConsumerForm
from consumers.models import NatsConsumer
from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import queries as sync_queries


@never_cache
@sensitive_post_parameters()
@sensitive_variables("form")
def consumer_create(request: HttpRequest) -> HttpResponse:
    NatsConsumer.objects.editable_by(request.user)
    form = bound(request)
    if form.is_valid():
        try:
            consumer = services.create_consumer(form.data_for_services(), by=request.user)
        except Problem as problem:
            web.form_problem(form, form.show(problem))
        else:
            return web.go_to(request, consumer, "Consumer started. Records are on their way.")
    return web.page_or_fragment(request, "consumers/create.html", "consumers/_form.html", form_context(form))


@never_cache
@sensitive_post_parameters()
@sensitive_variables("form")
def consumer_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    consumer = get_object_or_404(NatsConsumer.objects.editable_by(request.user), pk=pk)
    form = bound(request, consumer)
    if form.is_valid():
        try:
            services.update_consumer(consumer, form.data_for_services(), by=request.user)
        except Problem as problem:
            web.form_problem(form, form.show(problem))
        else:
            return web.go_to(request, consumer, "Changes saved.")
    return web.page_or_fragment(request, "consumers/edit.html", "consumers/_form.html", form_context(form))


@never_cache
@sensitive_post_parameters()
@sensitive_variables("form", "jwt", "seed")
@require_POST
def facts(request: HttpRequest) -> HttpResponse:
    """What pasted credentials say of themselves: account, user, rights, expiry. No server is asked."""
    NatsConsumer.objects.editable_by(request.user)
    context: dict[str, Any] = {}
    try:
        if text := request.POST.get("creds", "").strip():
            jwt, seed = credentials.parse_creds(text)
        else:
            jwt, seed = request.POST.get("jwt", "").strip(), request.POST.get("nkey_seed", "").strip()
        if jwt:
            found = credentials.check_pair(jwt, seed, now=timezone.now()) if seed else credentials.read_jwt(jwt)
            context = facts_context(found.as_dict())
    except BadCredentials as error:
        context = {"bad": error.message}
    return web.page_or_fragment(request, "consumers/facts.html", "consumers/_facts.html", context)


def collections(request: HttpRequest) -> HttpResponse:
    """The collections to choose from, of one sync or of all."""
    NatsConsumer.objects.editable_by(request.user)
    try:
        sync_id = UUID(request.GET["sync_id"]) if request.GET.get("sync_id") else None
    except ValueError:
        sync_id = None
    context = {"groups": picker(sync_queries.picked_collections(sync_id), request.GET.getlist("collection_ids"))}
    return web.page_or_fragment(request, "consumers/collections.html", "consumers/_collections.html", context)


# --- Parts ---------------------------------------------------------------------------------------------------------


def bound(request: HttpRequest, consumer: NatsConsumer | None = None) -> ConsumerForm:
    if request.method == "POST":
        return ConsumerForm(request.POST, request.FILES, consumer=consumer)
    return ConsumerForm(consumer=consumer)


def form_context(form: ConsumerForm) -> dict[str, Any]:
    """What `_form.html` shows."""
    if form.is_bound:
        form.is_valid()
    form.drop_optional_marks()
    chosen = form["collection_ids"].value() or []
    titles = dict(form.fields["collection_ids"].choices)  # type: ignore[attr-defined]
    context = {"form": form, "consumer": form.consumer, "groups": picker(titles, chosen), "chosen": chosen}
    if form.consumer is not None and form.consumer.jwt_facts:
        context |= facts_context(form.consumer.jwt_facts)
    return context


def picker(titles: dict[str, str], chosen: list[str]) -> list[tuple[str, list[dict[str, Any]]]]:
    options = [{"value": key, "label": title, "note": key, "checked": key in chosen} for key, title in titles.items()]
    return [("", options)] if options else []


def facts_context(found: dict[str, Any]) -> dict[str, Any]:
    """What a JWT says, with its expiry as a moment."""
    expires = found.get("expires_at")
    return {"facts": found, "expires_at": datetime.fromisoformat(expires) if expires else None}
