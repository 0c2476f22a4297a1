"""Linear: the issues, projects and people of one workspace, as its GraphQL API has them.

Docs    https://linear.app/developers/graphql; one address, no versions; facts are marked in the modules they matter to
Limits  by key 2,500 requests and 3,000,000 points of complexity an hour, by OAuth 5,000 and 2,000,000
Parts   catalogue and resource (lists and their queries), lists (pages), walks, reader, signin, webhooks, errors
Chosen  over Intercom, for Linear publishes the schema itself: every field, filter and argument could be checked
"""

from syncs.providers.kit.catalogue import Provider
from syncs.providers.linear.catalogue import COLLECTIONS
from syncs.providers.linear.errors import classify, read_quota
from syncs.providers.linear.reader import LinearReader
from syncs.providers.linear.signin import API_URL, HOSTS, KINDS
from syncs.providers.linear.webhooks import WEBHOOK

PROVIDER = Provider(
    key="linear",
    label="Linear",
    docs="https://linear.app/developers/graphql",
    kinds=KINDS,
    hosts=HOSTS,
    api_url=API_URL,
    reader=LinearReader,
    classify=classify,
    read_quota=read_quota,
    poll_s=60,
    quiet_poll_s=300,
    concurrency=3,
    collections=COLLECTIONS,
    webhook=WEBHOOK,
    dropped=(
        "White space between JSON tokens.",
        "Fields we do not ask for: GraphQL sends what is named, and what is named is in the catalogue.",
        "Lists inside a record (subscribers, relations, members), but for `labelIds`.",
    ),
)
