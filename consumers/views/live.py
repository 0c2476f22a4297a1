"""The live viewer: which consumer, and its page. The records come by the socket of live.py."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from consumers import live_rows, queries
from consumers.connection import LinkError
from consumers.live_source import LAST_CHOICES, Wish, last_messages
from consumers.models import NatsConsumer
from sequin_console.common import runner, web
from syncs import queries as sync_queries

PLAIN_WAIT_S = 15.0


def live(request: HttpRequest) -> HttpResponse:
    """Choose a consumer; the only one there is needs no choosing."""
    rows = queries.rows(NatsConsumer.objects.visible_to(request.user))
    if len(rows) == 1:
        return redirect("consumers:live_detail", rows[0].consumer.pk)
    return web.page_or_fragment(request, "consumers/live.html", "consumers/_live_choice.html", {"rows": rows})


def live_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The viewer; `?plain=1` lists the last messages at this moment, for browsers without JavaScript."""
    consumer = get_object_or_404(NatsConsumer.objects.visible_to(request.user).select_related("sync"), pk=pk)
    wish = Wish.read({name: request.GET.get(name) for name in ("sync", "collection", "text")})
    context: dict[str, Any] = {
        "consumer": consumer,
        "syncs": {} if consumer.sync_id else sync_queries.sync_names(),
        "collections": collections_of(consumer),
        "others": NatsConsumer.objects.visible_to(request.user).exclude(pk=pk),
        "wish": wish,
        "last_choices": LAST_CHOICES,
        "chosen_last": asked_last(request),
        "is_plain": "plain" in request.GET,
    }
    if context["is_plain"]:
        context |= plain(consumer, Wish(context["chosen_last"], 0, wish.sync_id, wish.collection, wish.text))
    return render(request, "consumers/live_detail.html", context)


def asked_last(request: HttpRequest) -> int:
    """How far back to begin; 0: from now on."""
    asked = request.GET.get("last", "")
    found = [*LAST_CHOICES, 0]
    return next((choice for choice in found if str(choice) == asked), LAST_CHOICES[0])


def collections_of(consumer: NatsConsumer) -> dict[str, str]:
    titles = sync_queries.picked_collections(consumer.sync_id)
    wanted = consumer.collection_ids
    return titles if wanted is None else {key: titles.get(key, key) for key in wanted}


def plain(consumer: NatsConsumer, wish: Wish) -> dict[str, Any]:
    """The last messages as rows, newest first; or why they cannot be read."""
    if not wish.last:
        wish = Wish(LAST_CHOICES[0], 0, wish.sync_id, wish.collection, wish.text)
    try:
        found = runner.run(lambda _orm: last_messages(consumer, wish), timeout_s=PLAIN_WAIT_S)
    except LinkError as error:
        return {"trouble": error}
    except TimeoutError:
        return {"trouble": LinkError("NATS did not answer in time.", "Try again in a moment.")}
    shown = [live_rows.of_message(msg, consumer) for msg in reversed(found)]
    return {"rows": shown}
