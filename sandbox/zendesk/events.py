"""What Zendesk tells its webhooks of a change: one event for each field that changed, by its type.

Source: https://developer.zendesk.com/api-reference/webhooks/event-types/ticket-events/, …/user-events/,
…/organization-events/
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.kit.table import iso_z
from sandbox.kit.tables import Change
from sandbox.rawjson import dump, load
from sandbox.zendesk.desk import VERSION_FIELD

PREFIX, BY_TRIGGER = "zen:event-type:", "conditional_ticket_events"
TICKET_FIELDS = {
    "status": "status_changed", "custom_status_id": "custom_status_changed", "priority": "priority_changed",
    "type": "type_changed", "subject": "subject_changed", "description": "description_changed",
    "tags": "tags_changed", "custom_fields": "custom_field_changed", "assignee_id": "agent_assignment_changed",
    "group_id": "group_assignment_changed", "organization_id": "organization_changed",
    "requester_id": "requester_changed", "submitter_id": "submitter_changed", "brand_id": "brand_changed",
    "ticket_form_id": "form_changed", "external_id": "external_id_changed", "problem_id": "problem_link_changed",
    "due_at": "task_due_at_changed", "email_cc_ids": "email_ccs_changed", "follower_ids": "followers_changed",
}  # fmt: skip
USER_FIELDS = {
    "name": "name_changed", "role": "role_changed", "tags": "tags_changed", "external_id": "external_id_changed",
    "user_fields": "custom_field_changed", "alias": "alias_changed", "details": "details_changed",
    "notes": "notes_changed", "active": "active_changed", "email": "identity_changed",
    "default_group_id": "default_group_changed", "suspended": "suspended_changed", "time_zone": "time_zone_changed",
    "custom_role_id": "custom_role_changed",
}  # fmt: skip
ORGANIZATION_FIELDS = {
    "name": "name_changed", "tags": "tags_changed", "external_id": "external_id_changed",
    "organization_fields": "custom_field_changed",
}  # fmt: skip
FIELDS = {"tickets": TICKET_FIELDS, "users": USER_FIELDS, "organizations": ORGANIZATION_FIELDS}
OTHERS = {
    "tickets": ("created", "comment_added", "comment_made_private", "comment_redacted", "merged", "marked_as_spam",
                "soft_deleted", "permanently_deleted", "undeleted"),
    "users": ("created", "deleted", "merged", "identity_created", "identity_deleted", "last_login_changed",
              "group_membership_created", "group_membership_deleted", "organization_membership_created",
              "organization_membership_deleted", "only_private_comments_changed", "password_changed",
              "photo_changed"),
    "organizations": ("created", "deleted"),
}  # fmt: skip
TYPES = frozenset(
    f"{PREFIX}{table.removesuffix('s')}.{name}"
    for table in FIELDS
    for name in (*FIELDS[table].values(), *OTHERS[table])
)
DELETED = {"tickets": "soft_deleted", "users": "deleted", "organizations": "deleted"}


def events_of(change: Change, now_ms: int) -> Iterator[tuple[str, bytes]]:
    """Type and body of each; a comment is told of as its ticket's."""
    if change.table == "comments" and change.what == "created" and change.row.facet:
        yield _event("ticket", "comment_added", change.row.facet, now_ms, comment={"id": change.row.id})
    if change.table not in FIELDS:
        return
    kind = change.table.removesuffix("s")
    if change.what == "updated" and change.before is not None:
        before, after = load(change.before.body), load(change.row.body)
        for field, name in FIELDS[change.table].items():
            was, now = _plain(before.get(field)), _plain(after.get(field))
            if was != now:
                yield _event(kind, name, change.row.id, now_ms, previous=was, current=now)
        return
    what = {"deleted": DELETED[change.table], "restored": "undeleted" if kind == "ticket" else ""}
    if name := what.get(change.what, "created"):
        yield _event(kind, name, change.row.id, now_ms)


def _plain(value: Any) -> Any:
    """A value without the sandbox's own version in it."""
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if key != "sandbox_version"}
    if isinstance(value, list):
        return [each for each in value if not isinstance(each, Mapping) or each.get("id") != VERSION_FIELD]
    return value


def _event(kind: str, name: str, record: str, now_ms: int, **event: Any) -> tuple[str, bytes]:
    """Ids are texts here, whatever they are in the API."""
    now, called = iso_z(now_ms), f"{PREFIX}{kind}.{name}"
    return called, dump({
        "type": called, "account_id": 20001234, "id": str(uuid.uuid4()), "time": now,
        "zendesk_event_version": "2022-11-06", "subject": f"zen:{kind}:{record}",
        "detail": {"id": record, "updated_at": now}, "event": event,
    })  # fmt: skip
