"""What home shows: what runs, what lags, what is wrong, and the next step."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.timesince import timesince

from consumers import queries as consumer_queries
from consumers.models import NatsConsumer
from syncs import queries as sync_queries

LISTED = 8  # of each kind; the lists have all
TOPICS = ("syncs", "credentials", "consumers", "catch-up")


@dataclass(frozen=True)
class Step:
    """One of the three steps from nothing to a stream."""

    title: str
    text: str
    view: str
    button: str
    is_done: bool


@dataclass(frozen=True)
class Trouble:
    """Something wrong, as its own page tells it."""

    name: str
    url: str
    what: str
    next_step: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class Running:
    """A sync or consumer in one line. `state` is anything the status tag takes."""

    name: str
    url: str
    state: Any
    note: str
    topic: str


@dataclass
class Home:
    syncs: list[Running] = field(default_factory=list)
    consumers: list[Running] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    totals: dict[str, Any] = field(default_factory=dict)
    rate: float = 0.0  # messages a second over all consumers


def home_context(user: Any) -> dict[str, Any]:
    """The context of home.html and _home.html; a fixed number of queries."""
    home = Home(totals=sync_queries.totals())
    _add_syncs(home, user)
    _add_consumers(home, user)
    plan = steps(bool(home.totals["connections"]), bool(home.syncs), bool(home.consumers))
    topics = [*TOPICS, *(row.topic for row in (*home.syncs[:LISTED], *home.consumers[:LISTED]))]
    return {
        "home": home,
        "listed": LISTED,
        "steps": plan,
        "current_step": next((number for number, step in enumerate(plan, start=1) if not step.is_done), None),
        "trigger": ", ".join(f"{topic} from:body" for topic in topics),
    }


def steps(is_connected: bool, has_sync: bool, has_consumer: bool) -> list[Step]:
    """Connect, pick, stream: each done once there is one of its kind."""
    connect = "Give the console the right to read an account, such as Salesforce or Stripe."
    pick = "Choose what to read. New and changed records follow by themselves."
    stream = "Send every record to NATS JetStream, and watch it arrive."
    return [
        Step("Connect", connect, "syncs:connect", "Connect account", is_connected),
        Step("Pick", pick, "syncs:create", "Create sync", has_sync),
        Step("Stream", stream, "consumers:create", "Create consumer", has_consumer),
    ]


def _add_syncs(home: Home, user: Any) -> None:
    for row in sync_queries.sync_rows(user):
        url = row.sync.get_absolute_url()
        looked = f", looked at {timesince(row.looked_at, depth=1)} ago" if row.looked_at else ""
        note = f"{row.phase_summary}: {row.live_records:,} records{looked}"
        home.syncs.append(Running(row.sync.name, url, row.sync, note, row.sync.topic))
        if row.problem:
            what = f"{row.sync.name}, {row.problem.about}: {row.problem.message}"
            home.troubles.append(Trouble(row.sync.name, url, what, row.problem.next_step, row.problem.since))


def _add_consumers(home: Home, user: Any) -> None:
    for row in consumer_queries.rows(NatsConsumer.objects.visible_to(user)):
        consumer, url = row.consumer, row.consumer.get_absolute_url()
        waiting = f"{row.lag.text} records wait" if row.lag else "nothing waits"
        note = f"To {consumer.subject_prefix}: {waiting}, {row.rate:,.1f} messages a second"
        home.rate += row.rate
        home.consumers.append(Running(consumer.name, url, consumer, note, consumer.topic))
        if row.held:
            what = f"{consumer.name}: {row.held:,} records were set aside, for the stream cannot take them."
            home.troubles.append(Trouble(consumer.name, url, what, "Open the consumer to see why."))
        if consumer.error:
            what = f"{consumer.name}: {consumer.error}"
            home.troubles.append(Trouble(consumer.name, url, what, consumer.next_step, consumer.failed_at))
