"""Routes of consumers under /v1/nats_consumers. Thin: inputs.py reads bodies, services change, queries list."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Body, Query, Router

from consumers import queries, schemas, services
from consumers.connection import split_host
from consumers.models import NatsConsumer
from consumers.queries import ConsumerRow
from consumers.schemas import ConsumerOut
from sequin_console.common import rest
from sequin_console.common.rest import MessagesIn, MessagesQuery, Removing, actor, chosen_messages, get_or_404

consumers = Router()


@consumers.post("", response={201: ConsumerOut}, summary="Create a NATS consumer")
def create_consumer(request: HttpRequest, body: schemas.ConsumerIn) -> ConsumerOut:
    """Create a consumer and start it: records go to `{subject_prefix}.{sync_id}.{collection_id}.{upstream_id}`.

    JWT and seed are compared and the server is tried first. When they do not fit, nobody answers or the sign-in is
    refused, the answer is 422, names the field (`nats.jwt`, `nats.nkey_seed`, `nats.host`), and nothing is kept. A
    stream or a right that is missing is no error here: `preflight` tells of it, and delivery begins when it is there.
    """
    NatsConsumer.objects.editable_by(actor(request))
    return _out(services.create_consumer(_data(body), by=actor(request)).pk)


@consumers.get("", response=schemas.ConsumerList, summary="List NATS consumers")
def list_consumers(request: HttpRequest, query: Query[schemas.ConsumerQuery]) -> schemas.ConsumerList:
    """All consumers, newest first, each with its lag. `sync_id` finds those of one sync alone."""
    columns = {"name": query.name, "sync_id": query.sync_id, "state": query.status}
    wanted = {column: value for column, value in columns.items() if value}
    rows = rest.with_metadata(NatsConsumer.objects.visible_to(actor(request)).filter(**wanted), query.metadata)
    page, next_cursor = rest.newest_first(rows.only("id", "created_at"), query)
    return schemas.ConsumerList(data=[ConsumerOut.of(row) for row in _rows([c.pk for c in page])], next=next_cursor)


@consumers.get("/{uuid:consumer_id}", response=ConsumerOut, summary="Get a NATS consumer")
def get_consumer(request: HttpRequest, consumer_id: UUID) -> ConsumerOut:
    """One consumer: how far it is in each sync, what it lags behind, what is wrong."""
    return _out(get_or_404(NatsConsumer.objects.visible_to(actor(request)), pk=consumer_id).pk)


@consumers.patch("/{uuid:consumer_id}", response=ConsumerOut, summary="Change a NATS consumer")
def update_consumer(request: HttpRequest, consumer_id: UUID, body: schemas.ConsumerPatch) -> ConsumerOut:
    """Change what the body names; the rest stays. A new connection is tried first, as when creating.

    Another account, server or subject prefix, or more collections, begin a new run: everything is sent again.
    """
    consumer = _editable(request, consumer_id)
    services.update_consumer(consumer, _data(body, consumer), by=actor(request))
    return _out(consumer_id)


@consumers.delete("/{uuid:consumer_id}", response={202: Removing}, summary="Delete a NATS consumer")
def delete_consumer(
    request: HttpRequest,
    consumer_id: UUID,
    query: Query[MessagesQuery],
    body: MessagesIn | None = Body(None),
) -> Removing:
    """Delete a consumer. `messages`, in the query or the body, says what becomes of what it sent.

    It answers at once; with `tombstones` and `purge` the consumer is gone when the stream has confirmed them.
    """
    services.remove(_editable(request, consumer_id), chosen_messages(body, query), by=actor(request))
    return Removing(id=consumer_id)


@consumers.post("/{uuid:consumer_id}/pause", response=ConsumerOut, summary="Pause a NATS consumer")
def pause_consumer(request: HttpRequest, consumer_id: UUID) -> ConsumerOut:
    """Stop delivering. The log keeps everything; nothing is lost. Pausing twice is no error."""
    services.pause(_editable(request, consumer_id), by=actor(request))
    return _out(consumer_id)


@consumers.post("/{uuid:consumer_id}/resume", response=ConsumerOut, summary="Resume a NATS consumer")
def resume_consumer(request: HttpRequest, consumer_id: UUID) -> ConsumerOut:
    """Go on where delivery stopped. One in trouble is tried at once."""
    services.resume(_editable(request, consumer_id), by=actor(request))
    return _out(consumer_id)


@consumers.post("/{uuid:consumer_id}/replay", response=ConsumerOut, summary="Replay from the beginning")
def replay_consumer(request: HttpRequest, consumer_id: UUID, body: schemas.ReplayIn | None = Body(None)) -> ConsumerOut:
    """Send everything again as a new run, so that a purged stream fills again."""
    services.replay(_editable(request, consumer_id), by=actor(request), sync_id=body.sync_id if body else None)
    return _out(consumer_id)


@consumers.post("/{uuid:consumer_id}/preflight", response=schemas.NatsCheckList, summary="Run the checks")
def run_preflight(request: HttpRequest, consumer_id: UUID) -> schemas.NatsCheckList:
    """Try everything delivery needs, in order, each with its cause and remedy. The stream is not changed."""
    consumer = _editable(request, consumer_id)
    return schemas.NatsCheckList.of(consumer, services.run_preflight(consumer))


@consumers.post("/{uuid:consumer_id}/create-stream", response=schemas.NatsCheckList, summary="Create the stream")
def create_stream(
    request: HttpRequest, consumer_id: UUID, body: schemas.StreamIn | None = Body(None)
) -> schemas.NatsCheckList:
    """Create the stream with the recommended settings, then run the checks.

    One message per subject, discard old, no maximum age, atomic batches allowed.
    """
    consumer, chosen = _editable(request, consumer_id), body or schemas.StreamIn()
    checks = services.create_stream(consumer, by=actor(request), name=chosen.name, replicas=chosen.replicas)
    return schemas.NatsCheckList.of(consumer, checks)


@consumers.post("/{uuid:consumer_id}/allow-atomic", response=schemas.NatsCheckList, summary="Allow atomic batches")
def allow_atomic(request: HttpRequest, consumer_id: UUID) -> schemas.NatsCheckList:
    """Switch atomic batches on for the stream, for exactly-once delivery into it, then run the checks."""
    consumer = _editable(request, consumer_id)
    return schemas.NatsCheckList.of(consumer, services.allow_atomic(consumer, by=actor(request)))


def _editable(request: HttpRequest, consumer_id: UUID) -> NatsConsumer:
    return get_or_404(NatsConsumer.objects.editable_by(actor(request)), pk=consumer_id)


def _data(body: schemas.ConsumerIn | schemas.ConsumerPatch, consumer: NatsConsumer | None = None) -> dict[str, Any]:
    """The body as the services take it: what was sent. Null is a value only where it means something: all, or none.

    A new port alone holds for the hosts there are.
    """
    sent = body.model_dump(exclude_unset=True)
    data = {key: value for key, value in sent.items() if value is not None or key in _NULLABLE}
    nats = {key: value for key, value in (sent.get("nats") or {}).items() if value is not None or key != "tls"}
    if consumer is not None and nats.get("port") and not (nats.get("host") or nats.get("hosts")):
        nats["hosts"] = [split_host(host)[0] for host in consumer.hosts]
    return {**data, "nats": nats}


_NULLABLE = ("sync_id", "collection_ids", "tombstone_ttl_h")


def _rows(pks: Sequence[UUID]) -> list[ConsumerRow]:
    """These consumers, in the order given; with their secrets, to tell which are set."""
    found = {row.consumer.pk: row for row in queries.rows(NatsConsumer.objects.filter(pk__in=pks))}
    for pk, consumer in NatsConsumer.objects.in_bulk(list(found)).items():
        found[pk].consumer = consumer
    return [found[pk] for pk in pks if pk in found]


def _out(consumer_id: UUID) -> ConsumerOut:
    return ConsumerOut.of(_rows([consumer_id])[0])
