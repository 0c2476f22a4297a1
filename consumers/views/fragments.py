"""What other rooms' pages show of consumers, loaded by address: a sync's, and a record's."""

from dataclasses import dataclass
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse

from consumers import message, queries
from consumers.models import NatsConsumer
from consumers.queries import Position
from sequin_console.common import web
from syncs import queries as sync_queries

LOOKS = {
    "delivered": ("green", "circle-check", "On the stream"),
    "waiting": ("blue", "hourglass", "Waiting"),
    "paused": ("secondary", "player-pause", "Paused"),
    "held": ("red", "alert-circle", "Set aside"),
    "unwanted": ("secondary", "circle-minus", "Not sent"),
}


@dataclass(frozen=True)
class Standing:
    """Where one consumer stands on a record, as the fragment shows it."""

    position: Position
    subject: str

    @property
    def look(self) -> dict[str, str]:
        colour, icon, label = LOOKS[self.position.state]
        return {"status": self.position.state, "status_colour": colour, "status_icon": icon, "label": label}


def for_sync(request: HttpRequest, sync_id: UUID) -> HttpResponse:
    """How far every consumer is that carries this sync."""
    NatsConsumer.objects.visible_to(request.user)
    name = sync_queries.sync_names([sync_id]).get(sync_id)
    if name is None:
        raise Http404
    context = {"sync_id": sync_id, "sync_name": name, "rows": queries.of_sync(sync_id)}
    return web.page_or_fragment(request, "consumers/for_sync.html", "consumers/_for_sync.html", context)


def for_record(request: HttpRequest, sync_id: UUID, collection_id: str, upstream_id: str) -> HttpResponse:
    """Where each consumer stands on one record, and the subject its messages have."""
    record = sync_queries.record(request.user, sync_id, collection_id, upstream_id)
    if record is None:
        raise Http404
    found = queries.positions(sync_id, collection_id, record.pk, record.seq)
    context = {
        "record": record,
        "collection_id": collection_id,
        "standings": [Standing(each, subject(each.consumer, sync_id, collection_id, upstream_id)) for each in found],
        "encoded_id": message.encode_token(upstream_id),
    }
    return web.page_or_fragment(request, "consumers/for_record.html", "consumers/_for_record.html", context)


def subject(consumer: NatsConsumer, sync_id: UUID, collection_id: str, upstream_id: str) -> str:
    return message.subject_of(consumer.subject_prefix, sync_id, collection_id, upstream_id)
