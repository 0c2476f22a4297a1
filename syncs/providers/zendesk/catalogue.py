"""Which of Zendesk's lists are offered, and how each one's changes are found.

Docs    https://developer.zendesk.com/api-reference/ticketing/introduction/ (read 2026-11-23)
Exports https://developer.zendesk.com/documentation/ticketing/managing-tickets/using-the-incremental-export-api
"""

from dataclasses import replace
from urllib.parse import quote

from syncs.providers.kit.catalogue import KEPT, Collection, Deletes
from syncs.providers.zendesk.resource import API, OBJECT, PREFIX, Found, Resource

TICKETS, OF_TICKETS = "zendesk:tickets", "zendesk:of_tickets"


def _whole(name: str, title: str, path: str = "", **more: object) -> Resource:
    path = path or f"{API}/{name}s"
    more.setdefault("items", path.rpartition("/")[2])
    more.setdefault("one", path + "/{id}")
    return Resource(name, title, path, **more)  # type: ignore[arg-type]


_BELONGS = "Read anew with each change of its ticket."
DELETED_KEPT_S = 30 * 24 * 3600  # records of an account's own kinds; deleted tickets stay in their export
_MINUTES_5, _HOUR = 300, 3600

TICKET = Resource(
    "ticket",
    "Tickets",
    f"{API}/incremental/tickets/cursor.json",
    Found.EXPORT,
    "tickets",
    listed=f"{API}/tickets",
    one=f"{API}/tickets/{{id}}",
    many=f"{API}/tickets/show_many",
    mark="status",
    drop=("fields",),
    counted=True,
    stamped=True,
    deletes=Deletes.FLAG,
    help="With all fields and archived tickets; of AI agents’ own tickets those that reached your team.",
)
RESOURCES = (
    TICKET,
    Resource(
        "ticket_metric",
        "Ticket metrics",
        TICKET.path,
        Found.EXPORT,
        "metric_sets",
        listed=f"{API}/ticket_metrics",
        one=f"{API}/ticket_metrics/{{id}}",
        beside="metric_sets",
        help="Come beside their tickets, and change with them.",
    ),
    Resource(
        "ticket_comment",
        "Ticket comments",
        f"{API}/tickets/{{ticket}}/comments",
        Found.OF_TICKETS,
        "comments",
        reread_h=30 * 24,
        help=f"{_BELONGS} Comments of a deleted ticket are found by comparing ids, once a month.",
    ),
    Resource(
        "ticket_audit",
        "Ticket audits",
        f"{API}/tickets/{{ticket}}/audits",
        Found.OF_TICKETS,
        "audits",
        deletes=Deletes.NONE,
        help="Every change of every ticket. Entries never change; those of a deleted ticket stay in the log.",
    ),
    Resource(
        "side_conversation",
        "Side conversations",
        f"{API}/tickets/{{ticket}}/side_conversations",
        Found.OF_TICKETS,
        "side_conversations",
        reread_h=30 * 24,
        shown=False,
        help=f"{_BELONGS} Needs the add-on Collaboration.",
    ),
    Resource(
        "ticket_event",
        "Ticket events",
        f"{API}/incremental/ticket_events.json",
        Found.TIMED,
        "ticket_events",
        deletes=Deletes.NONE,
        shown=False,
        every_s=_MINUTES_5,
        help="A shorter form of the audits. Entries never change.",
    ),
    Resource(
        "ticket_metric_event",
        "Ticket metric events",
        f"{API}/incremental/ticket_metric_events.json",
        Found.TIMED,
        "ticket_metric_events",
        deletes=Deletes.NONE,
        shown=False,
        every_s=_MINUTES_5,
        help="When the clocks of reply times and SLAs start and stop. Entries never change.",
    ),
    Resource(
        "user",
        "Users",
        f"{API}/incremental/users/cursor.json",
        Found.EXPORT,
        "users",
        listed=f"{API}/users",
        one=f"{API}/users/{{id}}",
        many=f"{API}/users/show_many",
        mark="active",
        counted=True,
        stamped=True,
        deletes=Deletes.FLAG,
        help="Agents and customers.",
    ),
    Resource(
        "organization",
        "Organizations",
        f"{API}/incremental/organizations.json",
        Found.TIMED,
        "organizations",
        listed=f"{API}/organizations",
        one=f"{API}/organizations/{{id}}",
        many=f"{API}/organizations/show_many",
        mark="deleted_at",
        drop=("deleted_at",),
        counted=True,
        stamped=True,
    ),
    _whole(
        "group", "Groups", params=(("exclude_deleted", "false"),), mark="deleted", deletes=Deletes.FLAG, counted=True
    ),
    _whole("group_membership", "Group memberships"),
    _whole("organization_membership", "Organization memberships"),
    _whole("brand", "Brands", mark="is_deleted"),
    _whole("ticket_field", "Ticket fields", help="Names, kinds and choices of the fields that tickets have."),
    _whole("ticket_form", "Ticket forms", paged=False, help="Not in every plan."),
    _whole("user_field", "User fields"),
    _whole("organization_field", "Organization fields"),
    _whole("custom_status", "Ticket statuses", f"{API}/custom_statuses", paged=False),
    Resource(
        "satisfaction_rating",
        "Satisfaction ratings",
        f"{API}/satisfaction_ratings",
        Found.SINCE,
        "satisfaction_ratings",
        one=f"{API}/satisfaction_ratings/{{id}}",
        since="start_time",
        reread_h=24,
        help="Read whole once a day besides, for ratings that are changed later.",
    ),
    _whole("macro", "Macros", help="Personal ones only where the connected user may see them."),
    _whole("view", "Views", help="Personal ones only where the connected user may see them."),
    _whole("trigger", "Triggers"),
    _whole("automation", "Automations"),
    _whole("tag", "Tags", id_field="name", one="", help="The 20,000 used most, with how often each is used."),
    _whole("sla_policy", "SLA policies", f"{API}/slas/policies", items="sla_policies", paged=False, shown=False),
    _whole("schedule", "Schedules", f"{API}/business_hours/schedules", paged=False, shown=False),
    _whole("custom_role", "Roles", paged=False, shown=False, help="Enterprise plans only."),
    _whole("custom_object", "Custom objects", id_field="key", paged=False, shown=False, help="What kinds there are."),
    _whole(
        "deleted_ticket",
        "Deleted tickets",
        one="",
        shown=False,
        help="Who deleted which ticket, for 30 days: tickets themselves arrive as deleted without it.",
    ),
    Resource(
        "ticket_skip",
        "Ticket skips",
        f"{API}/skips",
        Found.SINCE,
        "skips",
        since="start_time",
        deletes=Deletes.NONE,
        shown=False,
        help="Tickets that agents passed over.",
    ),
)

BY_ID = {resource.id: resource for resource in RESOURCES}

_COST = {
    Found.EXPORT: "One request for 1,000 records. Zendesk allows ten of these a minute, for all your tools together.",
    Found.TIMED: "One request for 1,000 records. Zendesk allows ten of these a minute, for all your tools together.",
    Found.OF_TICKETS: "One request for each ticket, and then for each that changes.",
    Found.SINCE: "One request for 100 records, then one for each look for changes.",
    Found.WHOLE: "One request for 100 records, every hour.",
}
_DAY_H = 24
_PAGE = {Found.EXPORT: 1_000, Found.OF_TICKETS: 1}  # a ticket's parts at least: a request for each ticket
_SWEEP_H = {Found.EXPORT: 30 * _DAY_H, Found.OF_TICKETS: 30 * _DAY_H, Found.SINCE: 7 * _DAY_H}


def of_object(key: str) -> Resource:
    """The records of one of an account's own kinds of object."""
    safe = quote(key, safe="")
    own = f"{API}/custom_objects/{safe}/records"
    return Resource(
        OBJECT + key,
        key,
        f"{API}/incremental/custom_objects/{safe}/cursor.json",
        Found.EXPORT,
        "custom_object_records",
        listed=own,
        one=own + "/{id}",
        mark="custom_object_fields",
        stamped=True,
        deletes=Deletes.FLAG,
        every_s=_MINUTES_5,
        help="A deleted record is told of for 30 days.",
    )


def resource_of(collection_id: str) -> Resource | None:
    """The list of a collection; None for one that is none of ours."""
    name = collection_id.removeprefix(PREFIX)
    if name.startswith(OBJECT):
        return of_object(name.removeprefix(OBJECT))
    return BY_ID.get(collection_id)


def _feed(resource: Resource) -> str:
    if resource.found is Found.OF_TICKETS:
        return OF_TICKETS
    return TICKETS if resource.path == TICKET.path else resource.id


def to_collection(resource: Resource) -> Collection:
    """The resource as the console shows it."""
    whole = resource.found is Found.WHOLE
    return Collection(
        id=resource.id,
        title=resource.title,
        feed=_feed(resource),
        upstream=resource.path,
        deletes=resource.deletes,
        versioned_by_time=resource.stamped,
        every_s=_HOUR if whole else resource.every_s or None,
        reread_every_h=resource.reread_h,
        kept=(*KEPT, resource.id_field),
        remembers_s=DELETED_KEPT_S if resource.name.startswith(OBJECT) else None,
        page_size=_PAGE.get(resource.found, 100),
        sweep_page=_PAGE.get(resource.found, 100),
        sweep_every_h=None if resource.deletes is Deletes.NONE else _SWEEP_H.get(resource.found, _DAY_H),
        custom=resource.name.startswith(OBJECT),
        shown=resource.shown,
        volatile=("generated_timestamp",) if resource is TICKET else (),
        help=resource.help,
        cost=_COST[resource.found],
    )


def own_collection(key: str, title: str) -> Collection:
    """The collection of an account's own kind of object, by the name people gave it."""
    return to_collection(replace(of_object(key), title=title or key))


COLLECTIONS = tuple(to_collection(resource) for resource in RESOURCES)
