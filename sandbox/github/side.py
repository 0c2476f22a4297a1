"""GitHub as the sandbox plays it: one user, two organisations, and one GitHub App installed in both."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from sandbox import seed
from sandbox.faults import Fault
from sandbox.github import hooks, routes, shapes
from sandbox.github.apps import APP_ID, INSTALLATION, PERMISSIONS, GitHubApp, access_tokens
from sandbox.github.errors import bad_credentials, not_accessible, primary_limit, said, secondary_limit
from sandbox.github.events import events_of
from sandbox.github.issues import issue_of
from sandbox.github.making import KEY, PARENT
from sandbox.github.oauth import RULES, Flow
from sandbox.github.projects import branch_of
from sandbox.github.tables import CATALOGUE
from sandbox.kit.access import Pass, Presented, presented
from sandbox.kit.budget import Left
from sandbox.kit.maker import Maker
from sandbox.kit.query import Wanted
from sandbox.kit.rest_side import RestSide
from sandbox.kit.tables import Change
from sandbox.kit.webhooks import Habits, Hook
from sandbox.rawjson import dump_fields, load
from sandbox.refusals import Refusal

USUAL_LIMIT = 5_000


class GitHub(RestSide):
    """All of it."""

    key, label = "github", "GitHub"
    catalogue = CATALOGUE
    rules, flow_type = RULES, Flow
    sends_webhooks, habits = True, Habits(again_after_s=())  # what fails is lost: nobody tries again
    ready_keys: ClassVar[Mapping[str, Pass]] = {"github_pat_sandbox_demo": Pass(), "ghp_sandbox_demo": Pass()}
    key_prefix = "github_pat_"
    page_token_mark = "after="
    own_settings: ClassVar[Mapping[str, Any]] = {"budget_calls": 0, "token_ttl_s": 0.0, "installation_ttl_s": 3_600.0}
    own_faults: ClassVar[Mapping[str, str]] = {
        "secondary_limit": "403: a secondary rate limit, with Retry-After only when it is given",
        "flaky_401": "401 without a word, as GitHub now and then answers good tokens",
        "blocked": "451: closed for legal reasons",
        "sso": "403: the organisation wants its single sign-on",
    }
    main_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {"issues": ("title", "state", "body")}
    system_fields = frozenset({"id", "node_id", "number", "created_at", "updated_at", "url", PARENT, KEY})

    def __init__(self, sandbox: Any):
        super().__init__(sandbox)
        self.app = GitHubApp(self.store, self.clock, self.passes)
        self.tables.listeners.append(self.follow)

    def routes(self) -> Sequence[BaseRoute]:
        assert self.flow is not None
        minted = Route("/app/installations/{id:int}/access_tokens", access_tokens, methods=["POST"])
        return [*self.flow.routes(), minted, *routes.of(self), *hooks.routes(self)]

    @classmethod
    def control_routes(cls) -> Sequence[BaseRoute]:
        return [Route("/github/app", routes.app, methods=["GET"]),
                Route("/github/installations/{id:int}", routes.installation, methods=["POST"])]  # fmt: skip

    # ---- webhooks

    def sign(self, hook: Hook, body: bytes, now_ms: int) -> Mapping[str, str]:
        return hooks.sign(hook, body)

    def tell(self, change: Change) -> None:
        if self.webhooks is not None and change.what != "restored" and self.webhooks.all():
            for event in events_of(self, change):
                hooks.tell(self.webhooks, event)

    # ---- what belongs together

    def follow(self, change: Change) -> None:
        """A pull request is an issue, too; a repository has a branch, and keeps answering to its old name."""
        if change.table == "pulls" and change.what == "created":
            self.tables.create("issues", [dump_fields(self._twin(load(change.row.body)))])
        elif change.table == "pulls" and change.what == "updated":
            wanted = {"number": [load(change.row.body)["number"]]}
            for twin in self.tables.page("issues", Wanted(among=wanted), limit=1):
                self.tables.update("issues", twin.id, {})
        elif change.table == "repositories" and change.what == "created":
            self.tables.create("branches", [dump_fields(branch_of(int(change.row.id), "main", "0" * 40))])
        elif change.table == "repositories" and change.before is not None:
            before, after = load(change.before.body)["full_name"], load(change.row.body)["full_name"]
            if before != after:
                self.store.keep_note("github_renamed", before.lower(), change.row.id)

    def _twin(self, pull: dict[str, Any]) -> dict[str, Any]:
        maker = Maker(self.tables, self.sandbox.rng)
        return issue_of(maker, pull[PARENT], pull["title"], pull["number"]) | {"state": pull["state"]}

    def plant(self, demo: bool) -> None:
        super().plant(demo)
        rng = random.Random(f"{seed.SEED}/{self.key}/twins")
        for repository in self.tables.page("repositories", limit=100):
            main = dump_fields(branch_of(int(repository.id), "main", "0" * 40))
            self.tables.plant("branches", [main], [repository.created_ms])
        for pull in self.tables.page("pulls", limit=100):
            body = load(pull.body)
            twin = issue_of(Maker(self.tables, rng), body[PARENT], body["title"], body["number"])
            self.tables.plant("issues", [dump_fields(twin)], [pull.created_ms], [pull.stamp_ms])

    # ---- callers

    def identify(self, shown: Presented) -> Pass | None:
        """Bearer and token mean the same; Basic carries the token as the password."""
        return self.passes.find(shown.secret or shown.user)

    def give_back(self, request: Request) -> None:
        """A 304 does not count."""
        self.budget.spend(presented(request.headers).secret, 0, -1)

    def unauthorized(self, shown: Presented, is_expired: bool) -> Refusal:
        return bad_credentials() if shown.secret else said(401, "Requires authentication")

    def missing_scope(self, scopes: Sequence[str]) -> Refusal:
        return not_accessible(scopes[0])

    def over_budget(self, left: Left) -> Refusal:
        return primary_limit(left.reset_ms // 1000)

    def headers(self, request: Request, left: Left) -> Mapping[str, str]:
        limit = left.limit or USUAL_LIMIT
        return {
            "x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(max(limit - left.used, 0)),
            "x-ratelimit-used": str(left.used), "x-ratelimit-reset": str(left.reset_ms // 1000),
            "x-ratelimit-resource": "core", "x-github-request-id": f"C0FE:{left.used:04X}",
            "x-github-api-version-selected": request.headers.get("x-github-api-version", "2022-11-28"),
        }  # fmt: skip

    def refusals(self, fault: Fault, token: str) -> Mapping[str, Refusal]:
        reset_s = self.clock.now_ms() // 1000 + 120
        sso = {"X-GitHub-SSO": "required; url=https://github.com/orgs/sandbox-coffee/sso?authorization_request=AAA"}
        return {
            "rate_limit": secondary_limit(429), "secondary_limit": secondary_limit(403),
            "quota": primary_limit(reset_s), "server_error": said(502, "Server Error"),
            "lost_page_token": said(422, "The pagination cursor is invalid or has expired."),
            "forbidden": not_accessible("issues"), "flaky_401": said(401, ""),
            "blocked": said(451, "Repository access blocked", block={"reason": "dmca"}),
            "sso": said(403, "Resource protected by organization SAML enforcement.", sso),
        }  # fmt: skip

    # ---- the control API

    def grant(self, client_id: str, asked: Mapping[str, Any], base: str) -> dict[str, Any]:
        """A user's grant; with `"installation": 51001`, a token of that installation, which has no refresh token."""
        if "installation" in asked:
            life_s = float(self.setting("installation_ttl_s"))
            return {"access_token": self.app.token(int(asked["installation"]), life_s)["token"]}
        return super().grant(client_id, asked, base)

    def connect(self, base: str) -> dict[str, str]:
        shown = super().connect(base)
        return {**shown, "App ID": str(APP_ID), "Installation of sandbox-coffee": str(INSTALLATION),
                "Private key": "GET /_control/github/app", "Permissions": ", ".join(PERMISSIONS),
                "Organisations": f"{shapes.ORGANISATION}, {shapes.OTHER}"}  # fmt: skip
