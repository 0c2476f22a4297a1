"""GitHub's adapter: issues of both repositories, by a token. The reader's ids are not the sandbox's."""

from typing import Any

from sandbox.process import RunningSandbox
from tests.integration.provider_adapters.adapter import Adapter


class GitHub(Adapter):
    """Issues are known by repository and number; the sandbox's control API knows them by their id."""

    def current(self, sandbox: RunningSandbox, table: str = "") -> dict[str, int]:
        return {key: version for key, (_, version) in self._known(sandbox).items()}

    def create(self, sandbox: RunningSandbox, number: int = 1) -> str:
        own = super().create(sandbox, number)
        return next(key for key, (known, _) in self._known(sandbox).items() if known == own)

    def change(self, sandbox: RunningSandbox, record: str, number: int = 7) -> None:
        super().change(sandbox, self._known(sandbox)[record][0], number)

    def delete(self, sandbox: RunningSandbox, record: str) -> None:
        super().delete(sandbox, self._known(sandbox)[record][0])

    def _known(self, sandbox: RunningSandbox) -> dict[str, tuple[str, int]]:
        """`42/17` -> its id and version, of what is live."""
        versions = super().current(sandbox)
        bodies: dict[str, Any] = sandbox.control("GET", "records/github/issues?bodies=1")["records"]
        named = {own: f"{bodies[own]['sandbox_repository']}/{bodies[own]['number']}" for own in versions}
        return {named[own]: (own, version) for own, version in versions.items()}


ADAPTER = GitHub(
    key="github",
    collection="github:issue",
    table="issues",
    version="sandbox_version",
    edit=lambda number: {"title": f"Number {number}"},
    kind="github_token",
    secrets={"secret": "github_pat_sandbox_demo"},
    oauth_kind="github_oauth2",
    imports=lambda grant: ({"secret": grant["refresh_token"]}, {}),
    rotating={},
    four=("github:pull_request", "github:branch", "github:label", "github:team"),
    closed=("github:release", "/releases"),
    settings={"github_token_ttl_s": 28_800.0},  # tokens without an end have no refresh token
)
