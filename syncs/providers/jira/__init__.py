"""Jira Cloud: issues of one site and what belongs to them, as one user may see them.

Docs    https://developer.atlassian.com/cloud/jira/platform/rest/v3 and …/cloud/jira/software/rest (agile 1.0)
Limits  65,000 points an hour for an OAuth app (a page of 100 issues costs 101), none for tokens; 100 requests a second
Parts   catalogue (lists), jql (times), search (issues), harvest (what is taken of them), walks (history, changes),
        worklogs, lists (the rest), reader, signin (hosts, tokens, sites), errors
"""

from syncs.providers.jira.catalogue import COLLECTIONS
from syncs.providers.jira.errors import classify, read_quota
from syncs.providers.jira.reader import JiraReader
from syncs.providers.jira.signin import HOSTS, KINDS
from syncs.providers.jira.webhooks import WEBHOOK
from syncs.providers.kit.catalogue import Provider

PROVIDER = Provider(
    key="jira",
    label="Jira Cloud",
    docs="https://developer.atlassian.com/cloud/jira/platform/rest/v3",
    kinds=KINDS,
    hosts=HOSTS,
    api_url="https://api.atlassian.com",
    reader=JiraReader,
    classify=classify,
    read_quota=read_quota,
    poll_s=60,
    concurrency=5,
    collections=COLLECTIONS,
    webhook=WEBHOOK,
    dropped=(
        "White space between JSON tokens.",
        "`expand` of issues, which names what else could be asked for.",
        "The fields `comment` and `worklog` of issues, which Jira cuts off after some 20: take their collections.",
        "`issueId` is added in front of comments and changelog entries: Jira leaves out whose they are.",
        "A change of `lastViewed` alone (when the connected user saw the issue) counts as none.",
    ),
)
