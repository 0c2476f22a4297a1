"""GitHub: repositories, and what is in them, chosen by name or all of an owner.

Docs    https://docs.github.com/rest, API version 2022-11-28
Limits  5,000 requests an hour and user (installations more); answers of 304 are free. No more than 100 at once
Parts   catalogue (lists), selection and places (repositories), lists (pages), walks and commits, reader, signin, errors
"""

from syncs.providers.github.catalogue import COLLECTIONS
from syncs.providers.github.errors import classify, read_quota
from syncs.providers.github.reader import GitHubReader
from syncs.providers.github.signin import KINDS, request_headers
from syncs.providers.github.webhooks import WEBHOOK
from syncs.providers.kit.catalogue import Host, Provider

API_URL = "https://api.github.com"

PROVIDER = Provider(
    key="github",
    label="GitHub",
    docs="https://docs.github.com/rest",
    kinds=KINDS,
    hosts=(
        Host("github", "GitHub", "https://github.com", api_url=API_URL),
        Host("ghe", "GitHub Enterprise Server", "", "Your server's address.", api_url="{login_url}/api/v3"),
        Host(
            "ghe_com",
            "GitHub Enterprise Cloud with data residency",
            "https://{subdomain}.ghe.com",
            "At ghe.com. Give the subdomain below.",
            api_url="https://api.{subdomain}.ghe.com",
        ),
    ),
    api_url=API_URL,
    reader=GitHubReader,
    request_headers=request_headers,
    classify=classify,
    read_quota=read_quota,
    poll_s=60,
    concurrency=4,
    collections=COLLECTIONS,
    webhook=WEBHOOK,
    dropped=(
        "White space between JSON tokens.",
        "`temp_clone_token` of repositories, which is a secret.",
        "What only single reads have: `mergeable`, `additions` and the like of pull requests; `stats` and `files` of "
        "commits.",
        "Added: `organization_id` (to teams, members and team members) and `team_id` (to team members), for GitHub's "
        "own rows do not say it.",
    ),
)
