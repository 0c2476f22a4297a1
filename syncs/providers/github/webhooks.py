"""GitHub's webhooks: of organisations and repositories, signed with a secret of ours; each names what to read again.

Docs    https://docs.github.com/webhooks, https://docs.github.com/rest/repos/webhooks, read 2026-11-23
Replay  GitHub signs no time. An old delivery sent again has us read a record once more, and that is all it can do
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from syncs.providers.github.catalogue import PREFIX
from syncs.providers.github.errors import Blocked, FeatureOff, Moved, NotTaken, NotThere
from syncs.providers.github.places import Place, find
from syncs.providers.kit.client import Client
from syncs.providers.kit.errors import PermissionMissing, ProviderError, UnexpectedShape
from syncs.providers.kit.webhooks import LOOK, RECORD, Delivery, Registered, Told, Wanted, Webhook, is_same, signature

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
_RECORDS = ("issue", "issue_comment", "pull_request", "review", "review_comment", "commit", "branch", "tag", "release",
            "label", "milestone", "workflow_run", "commit_comment", "repository", "team", "member")  # fmt: skip
ABOUT = {PREFIX + name: RECORD for name in _RECORDS} | {PREFIX + "team_member": LOOK}


# --- Registering -----------------------------------------------------------------------------------------------------


async def register(client: Client, wanted: Wanted) -> Registered:
    """A hook on each organisation that lets us, else on each repository; what has one already is left alone.

    `known`, and what is kept: {"hooks": {place: its hook's path}}. A place is `/orgs/acme` or `/repos/acme/site`.
    Where GitHub stops answering in the middle, what was made is kept, and the rest is asked for again later.
    """
    found, known = await find(client), dict(wanted.known.get("hooks", {}))
    asked = _Asked(client, wanted, known)
    await asked.at(found.organisations)
    covered = {place.name.lower() for place in found.organisations if place.path in asked.hooks}
    rest = [place for place in found.repositories if place.name.lower().partition("/")[0] not in covered]
    await asked.at(rest)
    if not asked.hooks:
        raise asked.stopped or PermissionMissing(
            f"GitHub did not let us add webhooks{': ' + asked.reason if asked.reason else ''}.",
            next_step="Follow the steps; or let the token, or the app, write webhooks of what it reads.",
        )
    refused = [place.name for place in rest if place.path not in asked.hooks]
    # A hook of a place that is not asked about any more is ours, too: it is known, so that it can be taken back.
    return Registered({"hooks": {**known, **asked.hooks}}, lacking=_lacking(refused, asked))


class _Asked:
    """The hooks asked for so far. stopped: why no further place is asked. reason: GitHub's words for a refusal."""

    def __init__(self, client: Client, wanted: Wanted, known: Mapping[str, str]) -> None:
        self.client, self.wanted, self.known = client, wanted, known
        self.hooks: dict[str, str] = {}
        self.reason = ""
        self.stopped: ProviderError | None = None

    async def at(self, places: Sequence[Place]) -> None:
        """Ask at these places, as many at a time as the client's requests may be under way."""
        for start in range(0, len(places), self.client.concurrency):
            await asyncio.gather(*(self._one(place.path) for place in places[start : start + self.client.concurrency]))

    async def _one(self, place: str) -> None:
        if self.stopped is not None:
            return
        try:
            self.hooks[place] = await self._hook(place)
        except NotTaken as error:
            self.reason = error.message
        except REFUSED:
            if place in self.known:  # it may be there still
                self.hooks[place] = self.known[place]
        except ProviderError as error:
            self.stopped = error

    async def _hook(self, place: str) -> str:
        """The path of our hook at a place: found by its address, moved to it, or made."""
        events = [each for each in EVENTS if place.startswith("/orgs/") or each not in OF_ORGANISATIONS]
        config = {"url": self.wanted.url, "content_type": "json", "secret": self.wanted.secret, "insecure_ssl": "0"}
        rows = msgspec.json.decode((await self.client.get(f"{place}/hooks", {"per_page": 100})).body)
        for row in rows:
            path = f"{place}/hooks/{row['id']}"
            is_here = row.get("config", {}).get("url") == self.wanted.url
            if is_here and set(events) <= set(row["events"]):
                return path
            if is_here or path == self.known.get(place):
                await self.client.send("PATCH", path, json={"events": events, "config": config})
                return path
        asked = {"name": "web", "active": True, "events": events, "config": config}
        made = await self.client.post(f"{place}/hooks", asked)
        return f"{place}/hooks/{msgspec.json.decode(made.body)['id']}"


def _lacking(refused: Sequence[str], asked: _Asked) -> str:
    if asked.stopped is not None:
        return f"Not all webhooks could be added yet. {asked.stopped.message} We go on tomorrow; or register again."
    if not refused:
        return ""
    more = f" and {len(refused) - 3:,} more" if len(refused) > 3 else ""
    why = f" {asked.reason}." if asked.reason else ""
    return f"GitHub did not let us add a webhook to {', '.join(refused[:3])}{more}.{why}"


async def remove(client: Client, known: Mapping[str, Any]) -> None:
    """Take the hooks away that we added; those that somebody took away already, or that we may not touch, stay so."""
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
    scopes=("admin:repo_hook", "admin:org_hook"),
    rights="the right to write webhooks (classic tokens: admin:org_hook, admin:repo_hook; fine-grained: Webhooks, "
    "read and write)",
    tells="Issues, pull requests, reviews, comments, commits, branches, releases, labels, milestones, workflow runs, "
    "teams and members; deletions included.",
    about=ABOUT,
)
