"""Zendesk Support: tickets and all around them, of one account.

Docs    https://developer.zendesk.com/api-reference/, API v2
Limits  200 to 2,500 calls a minute by plan; exports ten a minute. `Retry-After` and `ratelimit-reset` in seconds
Parts   resource, catalogue, objects, exports, lists, tickets (their parts), walks, reader, described, signin, errors
"""

from syncs.providers.kit.catalogue import Host, Provider
from syncs.providers.zendesk.catalogue import COLLECTIONS
from syncs.providers.zendesk.errors import classify, read_quota, spare_quota
from syncs.providers.zendesk.reader import ZendeskReader
from syncs.providers.zendesk.signin import KINDS
from syncs.providers.zendesk.webhooks import WEBHOOK

ACCOUNT = "https://{subdomain}.zendesk.com"

PROVIDER = Provider(
    key="zendesk",
    label="Zendesk",
    docs="https://developer.zendesk.com/api-reference/",
    kinds=KINDS,
    hosts=(Host("zendesk", "Zendesk", ACCOUNT),),
    api_url=ACCOUNT,
    reader=ZendeskReader,
    classify=classify,
    read_quota=read_quota,
    spare_quota=spare_quota,
    poll_s=60,
    concurrency=4,
    collections=COLLECTIONS,
    webhook=WEBHOOK,
    dropped=(
        "White space between JSON tokens.",
        "`fields` of a ticket, which says the same as `custom_fields`.",
        "`ticket_id` is added to comments, which do not say whose they are.",
        "`deleted_at` of an organization, which only one of Zendesk’s routes tells: the record arrives as deleted.",
        "The values of a deleted custom object record, all `[DELETED]`: it arrives with the last known content.",
    ),
)
