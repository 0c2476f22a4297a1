"""Jira's webhooks: dynamic ones of an OAuth app, which end after 30 days, and those that an admin sets up by hand.

Docs    https://developer.atlassian.com/cloud/jira/platform/webhooks/, read 2026-11-23
Proof   an admin's are signed (`X-Hub-Signature`) with our secret; an app's carry a JWT signed with the app's secret
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from syncs.providers.jira.catalogue import PREFIX
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import PermissionMissing, UnexpectedShape
from syncs.providers.kit.webhooks import (
    LOOK,
    RECORD,
    REPLAY_S,
    Delivery,
    Registered,
    Told,
    Wanted,
    Webhook,
    is_recent,
    is_same,
    signature,
)

PATH = "/rest/api/3/webhook"
SIGNATURE = "x-hub-signature"
EVERY_ISSUE = 'project != "__NONE__"'  # a filter must be there; only some clauses are taken
EVENTS = ("jira:issue_created", "jira:issue_updated", "jira:issue_deleted", "comment_created", "comment_updated",
          "comment_deleted")  # fmt: skip
LIFE = timedelta(days=30)
SCOPE = "manage:jira-webhook"
LACKING = (
    "Unless the app is shared (Distribution) in Atlassian’s console, Jira delivers only where the person who connected "
    "owns the app. Worklogs, projects, users, boards and sprints are not told of."
)
Body = Mapping[str, Any]


def verify(delivery: Delivery, secrets: Mapping[str, str]) -> bool:
    """By signature where there is one, else by the JWT of the app's webhooks."""
    given = delivery.headers.get(SIGNATURE, "")
    if given:
        return bool(secrets.get("secret")) and is_same("sha256=" + signature(secrets["secret"], delivery.body), given)
    scheme, _, token = delivery.headers.get("authorization", "").partition(" ")
    app_secret = secrets.get("client_secret", "")
    return bool(app_secret) and scheme.lower() in ("bearer", "jwt") and _is_ours(token.strip(), app_secret, delivery)


def _is_ours(token: str, app_secret: str, delivery: Delivery) -> bool:
    """Whether a JWT was signed with the app's secret (HS256 alone is taken), and not too long ago."""
    try:
        claims = jwt.decode(token, OctKey.import_key(app_secret), algorithms=["HS256"]).claims
        now, ends_at, made_at = delivery.now.timestamp(), claims.get("exp"), claims.get("iat")
        if ends_at is not None and float(ends_at) + REPLAY_S < now:
            return False
        return (ends_at is not None or made_at is not None) and (
            made_at is None or ends_at is not None or is_recent(float(made_at), delivery.now)
        )
    except (JoseError, ValueError, TypeError):
        return False


# --- What it names ---------------------------------------------------------------------------------------------------


def told(delivery: Delivery) -> list[Told]:
    """The records an event names. An issue's payload is in another form than ours, and often partial."""
    try:
        body = msgspec.json.decode(delivery.body, type=dict[str, Any])
        return list(dict.fromkeys(_named(body)))
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError) as error:
        raise UnexpectedShape("Jira sent an event in a form we do not know.", detail=str(error)[:200]) from None


def _named(body: Body) -> Iterator[Told]:
    event = str(body.get("webhookEvent", "")).removeprefix("jira:")
    kind = event.partition("_")[0]
    if issue := body.get("issue"):
        yield Told(PREFIX + "issue", str(issue["id"]))
    elif kind == "worklog" and body.get("worklog", {}).get("issueId"):
        yield Told(PREFIX + "issue", str(body["worklog"]["issueId"]))
    if kind == "issue" and body.get("changelog"):
        yield Told(PREFIX + "changelog")
    if kind in ("comment", "worklog"):
        yield Told(PREFIX + kind, str(body[kind]["id"]))
    if kind in ("project", "version", "sprint", "board", "user", "component") and isinstance(body.get(kind), Mapping):
        key = body[kind].get("accountId" if kind == "user" else "id")
        yield Told(PREFIX + kind, str(key or ""))


# --- Registering: for OAuth apps alone -------------------------------------------------------------------------------


async def register(client: Client, wanted: Wanted) -> Registered:
    """Renew what is there, else ask anew: webhooks of an app end after 30 days. Refusals stand inside a good answer.

    What is there is found by its address: an answer that was lost has made one, too. Those of an old address are taken
    back first, for an app may have one address alone.
    """
    known = {int(each) for each in wanted.known.get("webhooks", ())}
    listed = msgspec.json.decode((await client.get(PATH, {"maxResults": 100})).body).get("values", [])
    ours = [each for each in listed if int(each["id"]) in known or each.get("url") == wanted.url]
    good = [int(each["id"]) for each in ours if _is_as_wanted(each, wanted)]
    if outdated := [int(each["id"]) for each in ours if int(each["id"]) not in good]:
        await remove(client, {"webhooks": outdated})
    if good:
        answer = await client.send("PUT", f"{PATH}/refresh", json={"webhookIds": good})
        return Registered({"webhooks": good}, expires_at=_end(msgspec.json.decode(answer.body)), lacking=LACKING)
    asked = {"url": wanted.url, "webhooks": [{"events": list(EVENTS), "jqlFilter": EVERY_ISSUE}]}
    results = msgspec.json.decode((await client.post(PATH, asked)).body).get("webhookRegistrationResult", [])
    made = [int(each["createdWebhookId"]) for each in results if "createdWebhookId" in each]
    if not made:
        errors = "; ".join(str(text) for each in results for text in each.get("errors", ()))
        raise PermissionMissing(
            f"Jira did not take the webhook: {errors[:200] or 'it gave no reason'}.",
            next_step="An app has one address and five webhooks at most: remove the app's other webhook, or follow the "
            "steps for a webhook of an admin.",
        )
    return Registered({"webhooks": made}, expires_at=datetime.now(UTC) + LIFE, lacking=LACKING)


def _is_as_wanted(row: Body, wanted: Wanted) -> bool:
    """Whether a webhook tells all of what we ask for, to the address we have; addresses may be left out of the list."""
    return row.get("url", wanted.url) == wanted.url and set(EVENTS) <= set(row.get("events", EVENTS))


def _end(answer: Body) -> datetime:
    """When it ends, as text or as milliseconds: both are documented."""
    told_end = answer.get("expirationDate")
    if isinstance(told_end, int | float):
        return datetime.fromtimestamp(told_end / 1000, UTC)
    try:
        return datetime.strptime(str(told_end), "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:
        return datetime.now(UTC) + LIFE


async def remove(client: Client, known: Mapping[str, Any]) -> None:
    """Take the webhooks back; unknown ids are ignored."""
    await client.send("DELETE", PATH, json={"webhookIds": list(known.get("webhooks", ()))}, is_json=False)


ADMINS = f"{RECORD}, admin’s"  # told of by a webhook that a Jira admin set up, and not by an app's
ABOUT = {
    **dict.fromkeys((PREFIX + "issue", PREFIX + "comment"), RECORD),
    PREFIX + "changelog": LOOK,
    **{PREFIX + name: ADMINS for name in ("worklog", "project", "version", "sprint", "board", "user")},
}

WEBHOOK = Webhook(
    verify=verify,
    told=told,
    steps=(
        "In Jira, open Settings, System, WebHooks (under Advanced), and press Create a WebHook. It takes a Jira admin.",
        "Paste the address shown here as the URL, and the signing secret shown here as the secret.",
        "Leave the JQL empty, and tick created, updated and deleted of issues, comments and worklogs, and what else "
        "you sync.",
        "Leave Exclude body unticked, and save.",
    ),
    register=register,
    remove=remove,
    kinds=("jira_oauth2",),
    scopes=(SCOPE,),
    rights="the app’s scopes manage:jira-webhook and read:jira-work",
    tells="Issues, comments and worklogs; by an admin’s webhook also projects, versions, users, boards and sprints.",
    about=ABOUT,
)
