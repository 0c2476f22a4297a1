"""Change events as they come, and what the Streaming API's refusals mean. Pure, but for one question about Setup.

Docs    https://developer.salesforce.com/docs/platform/change-data-capture/guide/cdc-intro.html,
        https://developer.salesforce.com/docs/platform/api-streaming/guide/streaming-error-codes.html, read 2026-11-26
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any

from syncs.providers.kit import raw
from syncs.providers.kit.answers import Answer
from syncs.providers.kit.catalogue import Collection
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import (
    CollectionGone,
    PermissionMissing,
    ProviderError,
    RateLimited,
    UnexpectedShape,
    UpstreamFailed,
)
from syncs.providers.kit.webhooks import Told
from syncs.providers.salesforce import soql
from syncs.providers.salesforce.errors import FieldGone, RecordGone
from syncs.providers.salesforce.rest import decode

CHOSEN = soql.select(["SelectedEntity"], "PlatformEventChannelMember", "EventChannel = 'ChangeEvents'")
LIMIT_PAUSE_S = 15 * 60.0
VIEW_ALL = "Give the connected user View All Records for {}, or View All Data."
UNCAPTURED = "Salesforce captures no changes of {}."
_ID = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")
_NO_RECORD = "000"  # the prefix of an id that is none


def event_of(collection: Collection) -> str:
    """`Account` as `AccountChangeEvent`, `Invoice__c` as `Invoice__ChangeEvent`."""
    name = collection.upstream
    return f"{name[:-1]}ChangeEvent" if name.endswith("__c") else f"{name}ChangeEvent"


async def selected(client: Client) -> frozenset[str] | None:
    """The change events that are chosen in Setup; None for a user without *View Setup and Configuration*."""
    query = soql.url(CHOSEN, deleted=False).replace("/query?", "/tooling/query?")
    try:
        answer = await client.get(query)
    except (CollectionGone, PermissionMissing, RecordGone, FieldGone):
        return None
    return frozenset(raw.text_of(row.get("SelectedEntity")) or "" for row in decode(answer).records)


class Forgotten(UpstreamFailed):
    """Upstream knows this client no more: shake hands again."""


class Expired(ProviderError):
    """Upstream wants another access token, and another handshake."""


def told_by(message: Mapping[str, Any], collection: Collection) -> list[Told]:
    """The records a change event names, each once.

    A gap event names them as well. An overflow event, and the wildcard `001*` that stands for all records of an object,
    ask for a look; so does what cannot be understood: nothing is lost with it.
    """
    payload = (message.get("data") or {}).get("payload") or {}
    header = payload.get("ChangeEventHeader") or {}
    ids = header.get("recordIds")
    names_all = isinstance(ids, list) and all(
        isinstance(each, str) and _ID.fullmatch(each) and not each.startswith(_NO_RECORD) for each in ids
    )
    if not ids or not names_all or header.get("changeType") == "GAP_OVERFLOW":
        return [Told(collection.id)]
    return [Told(collection.id, each) for each in dict.fromkeys(ids)]


def error_of(answer: Mapping[str, Any]) -> str:
    """What went wrong: `403::Unknown client`. The cause that some errors carry inside says more than they do."""
    cause = ((answer.get("ext") or {}).get("sfdc") or {}).get("failureReason")
    return str(cause or answer.get("error") or "")


def meaning(answer: Mapping[str, Any]) -> ProviderError:
    """What a refused handshake or poll means."""
    text = error_of(answer)
    code, _, words = text.partition("::")
    detail = text[:200]
    if code == "401":
        return Expired("Salesforce no longer accepts our session.", detail=detail)
    if "daily limit" in words:
        return RateLimited(
            "Salesforce has delivered all the events it allows your org for 24 hours.",
            next_step="Nothing to do: changes are found by looking, and we listen again later.",
            detail=detail,
            retry_after_s=LIMIT_PAUSE_S,
        )
    if "concurrent user limit" in words or "simultaneous connections" in words:
        return RateLimited(
            "Too many programs listen to your Salesforce at once.",
            next_step="Nothing to do: changes are found by looking, and we listen again later.",
            detail=detail,
            retry_after_s=LIMIT_PAUSE_S,
        )
    must_shake_hands = (answer.get("advice") or {}).get("reconnect") == "handshake"
    if must_shake_hands or "Unknown client" in words or "handshake" in words or "cookie" in words:
        return Forgotten("Salesforce forgot that we listen.", detail=detail)
    if code == "503":
        return UpstreamFailed("Salesforce is too busy to tell us of changes.", detail=detail)
    if code == "403":
        return PermissionMissing(
            "The connected Salesforce user may not listen to change events.",
            next_step='Give the user the permission "View All Data". Changes are found by looking meanwhile.',
            detail=detail,
        )
    return UnexpectedShape("Salesforce's Streaming API refused us in a way we do not know.", detail=detail)


def step_of(answer: Mapping[str, Any]) -> str:
    """What a person can do about a channel that cannot be subscribed to. Raises what concerns all channels."""
    text = error_of(answer)
    if text.startswith("400") and "exist" in text:
        return UNCAPTURED
    if text.startswith("403") and not re.search("limit|Unknown client|handshake", text):
        return VIEW_ALL
    raise meaning(answer)


def cookies_of(answer: Answer) -> dict[str, str]:
    """The cookies an answer sets. The kit's clients keep none, for they are shared; a session carries its own."""
    found: dict[str, str] = {}
    for line in answer.headers.get_list("set-cookie"):
        with suppress(CookieError):
            found |= {name: each.coded_value for name, each in SimpleCookie(line).items()}
    return found
