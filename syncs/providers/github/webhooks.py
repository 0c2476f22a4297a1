"""GitHub's webhooks: of organisations and repositories, signed with a secret of ours; each names what to read again.

Docs    https://docs.github.com/webhooks, https://docs.github.com/rest/repos/webhooks, read 2026-11-23
Replay  GitHub signs no time. An old delivery sent again has us read a record once more, and that is all it can do
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from syncs.providers.github.catalogue import BY_ID, PREFIX
from syncs.providers.github.errors import Blocked, FeatureOff, Moved, NotThere
from syncs.providers.github.places import find
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import PermissionMissing, UnexpectedShape
from syncs.providers.kit.webhooks import Delivery, Registered, Told, Wanted, Webhook, is_same, signature

EVENT, SIGNATURE = "x-github-event", "x-hub-signature-256"
MOST_COMMITS = 20  # more are found by a look: it costs less
REFUSED = (NotThere, Blocked, FeatureOff, Moved, PermissionMissing, UnexpectedShape)
Body = Mapping[str, Any]
EVENTS = ("branch_protection_rule", "commit_comment", "create", "delete", "issue_comment", "issues", "label", "member",
          "membership", "milestone", "organization", "pull_request", "pull_request_review",
          "pull_request_review_comment", "push", "release", "repository", "team", "workflow_run")  # fmt: skip
OF_ORGANISATIONS = frozenset({"membership", "organization", "team"})


def verify(delivery: Delivery, secrets: Mapping[str, str]) -> bool:
    """`X-Hub-Signature-256: sha256=<hex>`: the HMAC of the raw body."""
    if not secrets.get("secret"):
        return False
    return is_same("sha256=" + signature(secrets["secret"], delivery.body), delivery.headers.get(SIGNATURE, ""))


# --- What it names ---------------------------------------------------------------------------------------------------


def told(delivery: Delivery) -> list[Told]:
    """The records an event names. Ids are those of the catalogue: `42/17` is issue 17 of repository 42."""
    try:
        body = msgspec.json.decode(delivery.body, type=dict[str, Any])
        names = _NAMES.get(delivery.headers.get(EVENT, ""))
        return list(dict.fromkeys(names(body))) if names else []
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise UnexpectedShape("GitHub sent an event in a form we do not know.", detail=str(error)[:200]) from None


def _in(place: Body, name: str, *keys: object) -> Told:
    """A record below a repository or organisation."""
    return Told(PREFIX + name, "/".join(str(each) for each in (place["id"], *keys)))


def _of(name: str, field: str, key: str = "id") -> Callable[[Body], Iterator[Told]]:
    def names(body: Body) -> Iterator[Told]:
        yield _in(body["repository"], name, body[field][key])

    return names


def _issue(body: Body) -> Iterator[Told]:
    yield _in(body["repository"], "issue", body["issue"]["number"])
    if "comment" in body:
        yield _in(body["repository"], "issue_comment", body["comment"]["id"])
    if "pull_request" in body["issue"]:
        yield _in(body["repository"], "pull_request", body["issue"]["number"])


def _pull(body: Body) -> Iterator[Told]:
    repository, number = body["repository"], body["pull_request"]["number"]
    yield _in(repository, "pull_request", number)
    yield _in(repository, "issue", number)
    if "review" in body:
        yield _in(repository, "review", number, body["review"]["id"])
    if "comment" in body:
        yield _in(repository, "review_comment", body["comment"]["id"])


def _push(body: Body) -> Iterator[Told]:
    """Commits of the default branch, and the branch itself; of a tag, the tag."""
    repository, ref = body["repository"], body["ref"]
    branch, tag = ref.removeprefix("refs/heads/"), ref.removeprefix("refs/tags/")
    if tag != ref:
        yield _in(repository, "tag", tag)
    if branch == ref:
        return
    yield _in(repository, "branch", branch)
    if branch == repository.get("default_branch"):
        commits = body.get("commits") or ()
        if body.get("forced") or len(commits) >= MOST_COMMITS:
            yield Told(PREFIX + "commit")
        else:
            yield from (_in(repository, "commit", each["id"]) for each in commits)


def _ref(body: Body) -> Iterator[Told]:
    if body["ref_type"] in ("branch", "tag"):
        yield _in(body["repository"], body["ref_type"], body["ref"])


def _repository(body: Body) -> Iterator[Told]:
    yield Told(PREFIX + "repository", str(body["repository"]["id"]))


def _team(body: Body) -> Iterator[Told]:
    if "organization" in body:
        yield _in(body["organization"], "team", body["team"]["id"])
    yield Told(PREFIX + "team_member")


def _member(body: Body) -> Iterator[Told]:
    if user := body.get("membership", {}).get("user"):
        yield _in(body["organization"], "member", user["id"])


_NAMES: Mapping[str, Callable[[Body], Iterator[Told]]] = {
    "issues": _issue,
    "issue_comment": _issue,
    "pull_request": _pull,
    "pull_request_review": _pull,
    "pull_request_review_comment": _pull,
    "push": _push,
    "create": _ref,
    "delete": _ref,
    "release": _of("release", "release"),
    "label": _of("label", "label"),
    "milestone": _of("milestone", "milestone", "number"),
    "workflow_run": _of("workflow_run", "workflow_run"),
    "commit_comment": _of("commit_comment", "comment"),
    "repository": _repository,
    "team": _team,
    "membership": _team,
    "organization": _member,
}
assert all(PREFIX + name in BY_ID for name in ("issue", "review", "team_member"))


# --- Registering -----------------------------------------------------------------------------------------------------


async def register(client: Client, wanted: Wanted) -> Registered:
    """A hook on each organisation that lets us, else on each repository; what has one already is left alone.

    `known`, and what is kept: {"hooks": {place: its hook's path}}. A place is `/orgs/acme` or `/repos/acme/site`.
    """
    found, known = await find(client), dict(wanted.known.get("hooks", {}))
    hooks: dict[str, str] = {}
    refused: list[str] = []
    covered = set()
    for place in found.organisations:
        if hook := await _hook(client, wanted, place.path, known):
            hooks[place.path] = hook
            covered.add(place.name.lower())
    for place in found.repositories:
        if place.name.lower().partition("/")[0] in covered:
            continue
        if hook := await _hook(client, wanted, place.path, known):
            hooks[place.path] = hook
        else:
            refused.append(place.name)
    if not hooks:
        raise PermissionMissing(
            "GitHub did not let us add webhooks.",
            next_step="Follow the steps; or let the token, or the app, write webhooks of what it reads.",
        )
    return Registered({"hooks": hooks}, lacking=_lacking(refused))


def _lacking(refused: Sequence[str]) -> str:
    if not refused:
        return ""
    more = f" and {len(refused) - 3:,} more" if len(refused) > 3 else ""
    return f"GitHub did not let us add a webhook to {', '.join(refused[:3])}{more}."


async def _hook(client: Client, wanted: Wanted, place: str, known: Mapping[str, str]) -> str:
    """The path of our hook at a place, made if there is none; empty where we may not."""
    try:
        rows = msgspec.json.decode((await client.get(f"{place}/hooks", {"per_page": 100})).body)
        for row in rows:
            if row.get("config", {}).get("url") == wanted.url:
                return f"{place}/hooks/{row['id']}"
        events = [each for each in EVENTS if place.startswith("/orgs/") or each not in OF_ORGANISATIONS]
        config = {"url": wanted.url, "content_type": "json", "secret": wanted.secret, "insecure_ssl": "0"}
        made = await client.post(f"{place}/hooks", {"name": "web", "active": True, "events": events, "config": config})
        return f"{place}/hooks/{msgspec.json.decode(made.body)['id']}"
    except REFUSED:
        return known.get(place, "")


async def remove(client: Client, known: Mapping[str, Any]) -> None:
    """Take the hooks away that we added; those that somebody took away already are no matter."""
    for path in known.get("hooks", {}).values():
        try:
            await client.send("DELETE", path, is_json=False)
        except REFUSED:
            continue


WEBHOOK = Webhook(
    verify=verify,
    told=told,
    steps=(
        "In GitHub, open the organisation’s (or repository’s) Settings, Webhooks, and press Add webhook. For a GitHub "
        "App, open the app’s settings and switch Webhook to Active instead.",
        "Paste the address shown here as the payload URL, and choose the content type application/json.",
        "Paste the signing secret shown here as the secret.",
        "Choose Send me everything, or the events of what you sync, and save.",
    ),
    register=register,
    remove=remove,
    kinds=("github_oauth2", "github_token"),
    rights="the right to write webhooks (classic tokens: admin:org_hook, admin:repo_hook; fine-grained: Webhooks, "
    "read and write)",
    tells="Issues, pull requests, reviews, comments, commits, branches, releases, labels, milestones, workflow runs, "
    "teams and members; deletions included.",
)
