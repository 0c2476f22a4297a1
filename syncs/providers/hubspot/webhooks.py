"""HubSpot's webhooks: of an app, for all accounts that installed it, signed with the app's client secret.

Docs    https://developers.hubspot.com/docs/apps/developer-platform/add-features/authentication/request-validation
Account each event names its own (`portalId`): one address serves all connections of the app
"""

from collections.abc import Iterator, Mapping

import msgspec

from syncs.providers.hubspot.catalogue import BY_ID, PREFIX
from syncs.providers.kit.catalogue import SetupField
from syncs.providers.kit.errors import UnexpectedShape
from syncs.providers.kit.webhooks import RECORD, Delivery, Told, Webhook, is_recent, is_same, signature

SIGNATURE, STAMP = "x-hubspot-signature-v3", "x-hubspot-request-timestamp"
# Of `object.*` events; https://developers.hubspot.com/docs/guides/crm/understanding-the-crm#object-type-ids
TYPES = {"0-1": "contact", "0-2": "company", "0-3": "deal", "0-5": "ticket", "0-7": "product", "0-8": "line_item",
         "0-14": "quote", "0-27": "task", "0-46": "note", "0-47": "meeting", "0-48": "call",
         "0-49": "email"}  # fmt: skip
DECODED = {"%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")",
           "%2A": "*", "%2C": ",", "%3B": ";"}  # fmt: skip


class _Event(msgspec.Struct):
    subscriptionType: str = ""
    portalId: int | str = ""
    objectId: int | str = ""
    objectTypeId: str = ""
    primaryObjectId: int | str = ""
    newObjectId: int | str = ""
    mergedObjectIds: list[int | str] = []
    fromObjectId: int | str = ""  # of another type is what it is associated with


_events = msgspec.json.Decoder(list[_Event])


def verify(delivery: Delivery, secrets: Mapping[str, str]) -> bool:
    """Signature v3: base64 of the HMAC over method, address as HubSpot called it, body and time (ms)."""
    stamp = delivery.headers.get(STAMP, "")
    if not secrets.get("secret") or not (stamp.isascii() and stamp.isdigit()):
        return False
    url = delivery.url
    for code, letter in DECODED.items():
        url = url.replace(code, letter).replace(code.lower(), letter)
    ours = signature(secrets["secret"], b"POST" + url.encode() + delivery.body + stamp.encode(), "base64")
    return is_same(ours, delivery.headers.get(SIGNATURE, "")) and is_recent(int(stamp) / 1000, delivery.now)


def told(delivery: Delivery) -> list[Told]:
    """The objects that up to a hundred events name, each in its account."""
    try:
        events = _events.decode(delivery.body)
    except msgspec.MsgspecError as error:
        raise UnexpectedShape("HubSpot sent events in a form we do not know.", detail=str(error)[:200]) from None
    return list(dict.fromkeys(each for event in events for each in _named(event)))


def _named(event: _Event) -> Iterator[Told]:
    kind = event.subscriptionType.partition(".")[0]
    name = TYPES.get(event.objectTypeId, "") if kind == "object" else kind
    if PREFIX + name not in BY_ID:
        return
    ids = (event.objectId, event.primaryObjectId, event.newObjectId, event.fromObjectId, *event.mergedObjectIds)
    for each in dict.fromkeys(str(one) for one in ids if one):
        yield Told(PREFIX + name, each, account=str(event.portalId))


WEBHOOK = Webhook(
    verify=verify,
    told=told,
    steps=(
        "In HubSpot, open the app whose access this is (Development, Projects; or Legacy apps), and its Webhooks.",
        "Paste the address shown here as the target URL. An app has one: it serves all accounts connected through it.",
        "Subscribe to creation, deletion, property change, merge and restore of the objects you sync, and activate.",
        "Paste the app’s client secret here, unless this connection was made through that very app.",
        "A service key belongs to no app and has no webhooks: use an app of your own for them, in the same account.",
    ),
    secret=SetupField(
        "secret",
        "Client secret of the app",
        "On the app’s Auth page in HubSpot. Its webhooks are signed with it.",
        secret=True,
    ),
    app_signs=True,
    tells="Contacts, companies, deals, tickets, products, line items and other objects the app subscribes to.",
    about={PREFIX + name: RECORD for name in TYPES.values() if PREFIX + name in BY_ID},
)
