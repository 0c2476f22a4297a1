"""Consumers: the list, one with how far it is, and ending it."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from consumers import permissions, queries, services
from consumers.forms import RemovalForm
from consumers.live_rows import parts_of
from consumers.models import HeldMessage, NatsConsumer
from consumers.queries import ConsumerRow
from consumers.states import ConsumerState, DeliverPolicy, Promise
from consumers.views.shown import checks_context
from sequin_console.common import web
from syncs import queries as sync_queries

HELD_SHOWN = 20


def consumer_list(request: HttpRequest) -> HttpResponse:
    context = {"rows": queries.rows(NatsConsumer.objects.visible_to(request.user))}
    return web.page_or_fragment(request, "consumers/list.html", "consumers/_rows.html", context)


def consumer_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One consumer: how far it is in each sync, what holds it up, what delivery promises, and how to read it."""
    consumer = get_object_or_404(NatsConsumer.objects.visible_to(request.user), pk=pk)
    context = detail_context(consumer)
    if not web.wants_fragment(request):
        context |= checks_context(consumer) | page_context(consumer)
    return web.page_or_fragment(request, "consumers/detail.html", "consumers/_detail.html", context)


def consumer_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    consumer = get_object_or_404(NatsConsumer.objects.editable_by(request.user), pk=pk)
    form = RemovalForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        services.remove(consumer, form.cleaned_data["messages"], by=request.user)
        return web.go_to(request, "consumers:list", f"Consumer {consumer.name} is being removed.")
    context = {"consumer": consumer, "row": queries.detail(consumer), "form": form}
    return web.page_or_fragment(request, "consumers/delete.html", "consumers/_delete_form.html", context)


@dataclass(frozen=True)
class Held:
    """A record set aside, with where its own page is."""

    message: HeldMessage
    prefix: str

    @property
    def place(self) -> tuple[UUID | None, str, str]:
        return parts_of(self.message.subject, self.prefix)


def detail_context(consumer: NatsConsumer) -> dict[str, Any]:
    """What `_detail.html` shows."""
    row = queries.detail(consumer)
    held = queries.held_messages(row.consumer)[:HELD_SHOWN] if row.held else []
    return {
        "consumer": row.consumer,
        "row": row,
        "state_words": state_words(row),
        "held": [Held(message, row.consumer.subject_prefix) for message in held],
        "rates": rate_chart(row.consumer),
    }


def state_words(row: ConsumerRow) -> str:
    """What the consumer is doing, in a sentence."""
    consumer = row.consumer
    if consumer.state == ConsumerState.REMOVING:
        return "It disappears once its messages are dealt with as you chose."
    waiting = "1 record" if row.lag.records == 1 else f"{row.lag.text} records"
    if consumer.state == ConsumerState.PAUSED:
        return f"Waiting until you resume it: {waiting}." if row.lag else "Nothing waits."
    if consumer.state == ConsumerState.ERROR:
        return "We try again by ourselves. Nothing is lost meanwhile."
    return f"On the way: {waiting}." if row.lag else "Everything read so far is on the stream."


def rate_chart(consumer: NatsConsumer) -> str:
    """The last hour in ten-second steps, as JSON that chart.js draws; nothing was sent where no sample is."""
    values = {int(at.timestamp()): rate for at, rate in queries.rate_series(consumer)}
    end = int(timezone.now().timestamp()) // 10 * 10
    x = list(range(end - 3600, end, 10))
    series = {"label": "Messages a second", "values": [values.get(at, 0) for at in x]}
    return json.dumps({"x": x, "series": [series]})


def page_context(consumer: NatsConsumer) -> dict[str, Any]:
    """What stands still on the page: where it sends, as whom, and how to read it."""
    titles = sync_queries.picked_collections() if consumer.collection_ids else {}
    sync_id = str(consumer.sync_id) if consumer.sync_id else ""
    lines = permissions.reading_lines(consumer.subject_prefix, consumer.stream_name, sync_id)
    return {
        "collections": [titles.get(key, key) for key in consumer.collection_ids or []],
        "start_words": DeliverPolicy(consumer.deliver_policy).label,
        "reading": zip(READING_WORDS, [f"{line[:4]}{nats_options(consumer)}{line[4:]}" for line in lines], strict=True),
        "promise": Promise(consumer.promise),
        "signs_in_by": signs_in_by(consumer),
    }


READING_WORDS = (
    "If the stream is not there yet: create it",
    "Make a reader that remembers its place",
    "Read the next record",
)


def nats_options(consumer: NatsConsumer) -> str:
    """`nats -s … --creds my.creds`: where and as whom, without a secret."""
    scheme = "tls" if consumer.tls else "nats"
    options = f" -s {','.join(f'{scheme}://{host}' for host in consumer.hosts)}"
    if consumer.secrets.get("jwt"):
        options += " --creds my.creds"
    elif consumer.secrets.get("user"):
        options += " --user USER --password PASSWORD"
    elif consumer.secrets.get("token"):
        options += " --user TOKEN"
    if consumer.ca_pem:
        options += " --tlsca ca.pem"
    if consumer.secrets.get("client_cert_pem"):
        options += " --tlscert cert.pem --tlskey key.pem"
    if consumer.jetstream_domain and "." not in consumer.jetstream_domain:
        options += f" --js-domain {consumer.jetstream_domain}"
    return options


def signs_in_by(consumer: NatsConsumer) -> str:
    """Which kind of credentials is stored, in words."""
    secrets = consumer.secrets
    if secrets.get("jwt"):
        return "JWT and nkey seed"
    return "User and password" if secrets.get("user") else "Token" if secrets.get("token") else "No sign-in needed"
