"""Jira's webhooks: dynamic ones of OAuth apps, which end after 30 days, and those of an admin, which do not.

Source: https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-webhooks/, …/cloud/jira/platform/webhooks/
"""

from __future__ import annotations

import hmac
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.clock import DAY_MS, SECOND_MS
from sandbox.jira.errors import told
from sandbox.jira.people import SITE
from sandbox.jira.times import jira_time
from sandbox.kit.tables import Change
from sandbox.kit.webhooks import Habits, Hook, Webhooks
from sandbox.rawjson import dump, load, split_object

if TYPE_CHECKING:
    from sandbox.jira.side import Jira

MOST, LIFE_MS, TOKEN_S = 5, 30 * DAY_MS, 180
EVENTS = frozenset({
    "jira:issue_created", "jira:issue_updated", "jira:issue_deleted", "comment_created", "comment_updated",
    "comment_deleted", "issue_property_set", "issue_property_deleted",
})  # fmt: skip
CLAUSES = ("issuekey", "project", "issuetype", "status", "assignee", "reporter", "issue.property", "cf[")
CLAUSE = re.compile(r'\s*([\w.\[\]]+)\s*(!=|=|not in|in)\s*(\([^)]*\)|"[^"]*"|\S+)\s*', re.IGNORECASE)
RETRIED = frozenset({0, 408, 409, 425, 429})
HABITS = Habits(is_final=lambda status: status < 500 and status not in RETRIED)
NO_APP = told(403, "Access to this resource must be authenticated as an app.")
# What is told of a table, by an admin's webhook: how its events begin, and what the record is called there.
TOLD = {"issue": "jira:issue", "comment": "comment", "worklog": "worklog", "project": "project", "user": "user",
        "version": "jira:version", "board": "board", "sprint": "sprint"}  # fmt: skip


# ---- an app's own


async def register(side: Jira, request: Request) -> Response:
    """`{"url", "webhooks": [{"events", "jqlFilter"}]}`; refusals of single ones stand inside a good answer."""
    client = client_of(side, request)
    asked = load(await request.body())
    results: list[dict[str, Any]] = []
    for each in asked.get("webhooks") or ():
        errors = _errors(side, client, str(asked.get("url") or ""), each)
        if errors:
            results.append({"errors": errors})
            continue
        ends_ms = side.clock.now_ms() + LIFE_MS
        more = {"client": client, "jql": each["jqlFilter"], "ends_ms": ends_ms}
        hook = _webhooks(side).register(asked["url"], "", each["events"], **more)
        results.append({"createdWebhookId": hook.id})
    if not results:
        raise told(400, "The request must name at least one webhook.")
    return JSONResponse({"webhookRegistrationResult": results})


def _errors(side: Jira, client: str, url: str, asked: Mapping[str, Any]) -> list[str]:
    """What is wrong with one of those asked for; nothing when it can be made."""
    others = _own(side, client)
    errors = [f"Unsupported event: {name}" for name in asked.get("events", ()) if name not in EVENTS]
    errors += [] if asked.get("events") else ["At least one event must be given."]
    errors += _jql_errors(str(asked.get("jqlFilter") or ""))
    if other := next((hook.url for hook in others if hook.url != url), ""):
        errors.append(
            f"Only a single URL per app is allowed to be registered via REST API. Currently used URL: {other}"
        )
    if len(others) >= MOST:
        errors.append(f"The app has reached its limit of {MOST} webhooks for this user.")
    if not errors:
        try:
            _webhooks(side).check(url)
        except ValueError as error:
            errors.append(str(error))
    return errors


def _jql_errors(jql: str) -> list[str]:
    """A filter must be there; few clauses are supported, and few operators."""
    if not jql.strip():
        return ["The JQL filter must not be empty."]
    found = [CLAUSE.fullmatch(part) for part in re.split(r"\sAND\s", jql, flags=re.IGNORECASE)]
    if not all(found):
        return [f"The JQL query is invalid: {jql}"]
    names = [match[1] for match in found if match]
    return [f"The clause {name} is unsupported" for name in names if not name.lower().startswith(CLAUSES)]


async def listed(side: Jira, request: Request) -> Response:
    """The caller's own that have not ended."""
    found = _own(side, client_of(side, request))
    start = int(request.query_params.get("startAt", 0))
    size = min(int(request.query_params.get("maxResults", 100)), 100)
    values = [{"id": hook.id, "url": hook.url, "events": list(hook.events), "jqlFilter": hook.more["jql"],
               "expirationDate": jira_time(hook.more["ends_ms"])} for hook in found[start : start + size]]  # fmt: skip
    return JSONResponse({"startAt": start, "maxResults": size, "total": len(found), "values": values,
                         "isLast": start + size >= len(found)})  # fmt: skip


async def refresh(side: Jira, request: Request) -> Response:
    """`{"webhookIds"}`: 30 days more, for those that are the caller's; others are ignored."""
    ends_ms, ids = side.clock.now_ms() + LIFE_MS, load(await request.body()).get("webhookIds", ())
    for hook in _own(side, client_of(side, request)):
        if hook.id in ids:
            _webhooks(side).keep(replace(hook, more={**hook.more, "ends_ms": ends_ms}))
    return JSONResponse({"expirationDate": jira_time(ends_ms)})


async def remove(side: Jira, request: Request) -> Response:
    ids = load(await request.body()).get("webhookIds", ())
    for hook in _own(side, client_of(side, request)):
        if hook.id in ids:
            _webhooks(side).drop(hook.id)
    return Response(status_code=202)


def client_of(side: Jira, request: Request) -> str:
    """The OAuth app that calls. Raises what everybody else is told."""
    caller = request.state.caller
    client = side.store.note("jira_grant_client", str(caller.grant)) if caller.grant else None
    if client is None:
        raise NO_APP
    return client


def _own(side: Jira, client: str) -> list[Hook]:
    now_ms = side.clock.now_ms()
    return [
        hook for hook in _webhooks(side).all() if hook.more.get("client") == client and hook.more["ends_ms"] > now_ms
    ]


def _webhooks(side: Jira) -> Webhooks:
    assert side.webhooks is not None
    return side.webhooks


# ---- an admin's


async def register_by_hand(side: Jira, request: Request) -> Response:
    """`{"name", "url", "events", "secret"}`; answers what was made, without its secret."""
    asked = load(await request.body())
    try:
        hook = _webhooks(side).register(asked["url"], asked.get("secret", ""), asked.get("events", ("*",)))
    except (KeyError, ValueError) as error:
        raise told(400, str(error)) from None
    made = {"name": asked.get("name", ""), "url": hook.url, "events": list(hook.events), "enabled": True,
            "isSigned": True, "self": f"{SITE}/rest/webhooks/1.0/webhook/{hook.id}"}  # fmt: skip
    return JSONResponse(made, 201)


# ---- what is sent


def sign(side: Jira, hook: Hook, body: bytes, now_ms: int) -> Mapping[str, str]:
    """An admin's by its secret over the body; an app's by a JWT of the app's secret, which says nothing of the body."""
    headers = {"X-Atlassian-Webhook-Flow": "Primary"}
    client = hook.more.get("client")
    if client is None:
        digest = hmac.new(hook.secret.encode(), body, "sha256").hexdigest()
        return {**headers, "X-Hub-Signature": f"sha256={digest}"}
    key = OctKey.import_key(side.sandbox.apps.secret(client) or "")
    now_s = now_ms // SECOND_MS
    claims = {"iss": client, "iat": now_s, "exp": now_s + TOKEN_S}
    return {**headers, "Authorization": f"Bearer {jwt.encode({'alg': 'HS256'}, claims, key, algorithms=['HS256'])}"}


def tell(side: Jira, change: Change) -> None:
    """Send what Jira sends of a change, to those whose webhook has not ended and whose filter lets it pass."""
    if change.table not in TOLD or change.what == "restored" or not _webhooks(side).all():
        return
    record, now_ms = load(change.row.body), side.clock.now_ms()
    event = f"{TOLD[change.table]}_{change.what}"
    body = {"timestamp": now_ms, "webhookEvent": event, change.table: record}
    project = _project_of(record) if change.table == "issue" else ""
    if change.table == "issue" and change.what == "updated":
        body |= {"issue_event_type_name": "issue_generic", "changelog": _changelog(change)}
    elif change.table in ("comment", "worklog") and change.row.facet:
        issue = side.tables.get("issue", change.row.facet, deleted=True)
        of = load(issue.body) if issue else {"id": change.row.facet}
        project = _project_of(of)
        if change.table == "comment":
            body["issue"] = {key: of[key] for key in ("id", "self", "key") if key in of}
    identifier = {"X-Atlassian-Webhook-Identifier": str(uuid.uuid4())}

    def hears(hook: Hook) -> bool:
        return "client" not in hook.more or (hook.more["ends_ms"] > now_ms and passes(hook.more["jql"], project))

    _webhooks(side).tell(event, dump(body), identifier, among=hears)


def passes(jql: str, project: str) -> bool:
    """Whether a filter lets an issue of this project pass; clauses about anything else always do."""
    for part in re.split(r"\sAND\s", jql, flags=re.IGNORECASE):
        match = CLAUSE.fullmatch(part)
        if match and match[1].lower() == "project":
            named = [each.strip().strip('"').lower() for each in match[3].strip("()").split(",")]
            if (project.lower() in named) != (match[2].lower() in ("=", "in")):
                return False
    return True


def _project_of(issue: Mapping[str, Any]) -> str:
    return str(((issue.get("fields") or {}).get("project") or {}).get("key") or "")


def _changelog(change: Change) -> dict[str, Any]:
    """The fields that differ, by name."""
    before, after = (
        split_object(split_object(row.body)["fields"]) for row in (change.before or change.row, change.row)
    )
    changed = [name for name in after if before.get(name) != after[name] and not name.startswith("customfield_109")]
    return {"id": str(change.row.version), "items": [{"field": name, "fieldId": name} for name in changed]}
