"""HubSpot: the CRM of one account, custom objects among it, by a service key or an app of the operator's own.

Docs    https://developers.hubspot.com/docs/api-reference, API version 2026-09
Limits  keys 100 to 250 requests in 10 s and 250,000 and more a day, apps by OAuth 110 in 10 s; searches 5 a second
Parts   catalogue (lists), custom (their discovery), objects (list, batch, search), harvest (what is taken of them),
        walks (history, changes, recycle bin), lists (the rest), reader, signin, errors
"""

from syncs.providers.hubspot.catalogue import COLLECTIONS
from syncs.providers.hubspot.errors import classify, read_quota, spare_quota
from syncs.providers.hubspot.reader import HubSpotReader
from syncs.providers.hubspot.signin import API_URL, HOSTS, KINDS
from syncs.providers.hubspot.webhooks import WEBHOOK
from syncs.providers.kit.catalogue import Provider

PROVIDER = Provider(
    key="hubspot",
    label="HubSpot",
    docs="https://developers.hubspot.com/docs/api-reference",
    kinds=KINDS,
    hosts=HOSTS,
    api_url=API_URL,
    reader=HubSpotReader,
    classify=classify,
    read_quota=read_quota,
    spare_quota=spare_quota,
    poll_s=60,
    concurrency=3,
    collections=COLLECTIONS,
    webhook=WEBHOOK,
    dropped=(
        "White space between JSON tokens.",
        "`url` and `objectWriteTraceId` of records: which of them come depends on the route.",
        "Sensitive properties, which HubSpot leaves out unless an app may read them.",
        "The order of properties (by name here), and of associations (by id here): HubSpot promises none.",
        "A record's associations stand in collections of their own.",
    ),
)
