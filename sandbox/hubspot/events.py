"""HubSpot's webhooks: an app's, subscribed to in the app's settings alone, so that there is nothing to register here.

Docs    https://developers.hubspot.com/docs/api-reference/webhooks-webhooks-v3/guide,
        https://developers.hubspot.com/docs/apps/developer-platform/add-features/authentication/request-validation
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sandbox.hubspot.kinds import BY_NAME, PORTAL, Kind
from sandbox.kit.tables import Change
from sandbox.kit.webhooks import Habits, Hook
from sandbox.rawjson import dump, load

if TYPE_CHECKING:
    from sandbox.hubspot.side import HubSpot

HABITS = Habits(most_events=100)
NAMES = {"created": "creation", "deleted": "deletion", "restored": "restore", "updated": "propertyChange"}
KEPT = ("sandbox_version", "hs_lastmodifieddate", "lastmodifieddate")  # properties that move with every change


def sign(hook: Hook, body: bytes, now_ms: int) -> Mapping[str, str]:
    """Signature v3: method, address, body and time, by the app's secret."""
    text = f"POST{hook.url}".encode() + body + str(now_ms).encode()
    proof = base64.b64encode(hmac.digest(hook.secret.encode(), text, "sha256")).decode()
    return {"X-HubSpot-Signature-v3": proof, "X-HubSpot-Request-Timestamp": str(now_ms)}


def tell(side: HubSpot, change: Change) -> None:
    """One event for each property that changed; up to a hundred go together. Owners and pipelines are silent."""
    kind = BY_NAME.get(change.table)
    if kind is None or side.webhooks is None or not side.webhooks.all():
        return
    what = NAMES[change.what]
    if change.what != "updated":
        _send(side, kind, what, {"objectId": int(change.row.id), "changeFlag": change.what.upper()})
        return
    for name, value in _changed(change).items():
        _send(side, kind, what, {"objectId": int(change.row.id), "propertyName": name, "propertyValue": value})


def tell_of_merge(side: HubSpot, name: str, winner: str, losers: Sequence[str]) -> None:
    """One event tells of all of them."""
    ids = {"primaryObjectId": int(winner), "mergedObjectIds": [int(each) for each in losers]}
    _send(side, BY_NAME[name], "merge", {**ids, "newObjectId": int(winner), "numberOfPropertiesMoved": 1})


def _send(side: HubSpot, kind: Kind, what: str, own: Mapping[str, Any]) -> None:
    """A list of one event, to whoever was subscribed by hand."""
    assert side.webhooks is not None
    event = f"{'object' if kind.custom else kind.singular.lower()}.{what}"
    number = side.store.count_up("hubspot/events")
    around = {"eventId": number, "subscriptionId": 7, "portalId": PORTAL, "appId": 55, "subscriptionType": event,
              "occurredAt": side.clock.now_ms(), "attemptNumber": 0, "objectTypeId": kind.type_id,
              "changeSource": "CRM"}  # fmt: skip
    side.webhooks.tell(event, dump([{**around, **own}]))


def _changed(change: Change) -> dict[str, str | None]:
    """The properties that differ, with their values."""
    before, after = (load(row.body)["properties"] for row in (change.before or change.row, change.row))
    return {name: value for name, value in after.items() if name not in KEPT and before.get(name) != value}
