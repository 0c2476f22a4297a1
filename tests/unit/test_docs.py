"""The docs describe every command, state and API route there is."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.db import models

from consumers.states import ConsumerState, Messages, Promise
from syncs.providers import PROVIDERS
from syncs.states import CredentialState, HookState, Phase, Removal, StreamState, SyncState

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
OURS = ("sequin_console", "sequin_console.accounts", "syncs", "consumers")


def read(name: str) -> str:
    return (DOCS / name).read_text()


@pytest.mark.parametrize("command", sorted(name for name, app in get_commands().items() if app in OURS))
def test_every_command_is_described(command: str) -> None:
    assert f"manage.py {command}" in read("states-and-commands.md")


@pytest.mark.parametrize(
    "states",
    [CredentialState, HookState, StreamState, SyncState, Phase, Removal, ConsumerState, Messages, Promise],
    ids=lambda s: s.__name__,
)
def test_every_state_is_described(states: type[models.TextChoices]) -> None:
    text = read("states-and-commands.md")
    assert [state.label for state in states if state.value and f"**{state.label}**" not in text] == []


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_provider_has_a_page_for_its_account_owner(provider: str) -> None:
    assert read(f"connect-{provider}.md")
    assert PROVIDERS[provider].label in read("providers.md")


def test_every_api_route_is_described() -> None:
    from sequin_console.api import api

    text = read("api.md")
    missing = [
        f"{method.upper()} {path}"
        for path, operations in api.get_openapi_schema()["paths"].items()
        for method in operations
        if f"{method.upper()} {path.removeprefix('/v1')}" not in text.replace("/v1", "")
    ]
    assert missing == []


def test_every_link_between_the_docs_leads_somewhere() -> None:
    root = DOCS.parent
    broken = []
    for page in [*root.glob("*.md"), *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(root)} -> {target}")
    assert broken == []


# --- ARCHITECTURE.md: what it names is there --------------------------------------------------------------------------

ROOT = DOCS.parent
SOURCES = {
    path.relative_to(ROOT).with_suffix("").as_posix(): path.read_text()
    for room in ("sequin_console", "syncs", "consumers")
    for path in (ROOT / room).rglob("*.py")
}


def named(column: int) -> list[str]:
    """What stands in backticks in a column of the tables of invariants and mechanisms."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    tables = text[text.index("## Invariants") : text.index("## Where we left")]
    cells = [line.split("|")[1:-1][column] for line in tables.splitlines() if line.startswith("|")]
    return sorted({name for cell in cells for name in re.findall(r"`([^`]+)`", cell)})


def is_there(name: str) -> bool:
    """A module (with its folder where a name is several), `module.name` or `Class.attribute`, in one of our rooms."""
    place, _, attribute = name.partition("(")[0].partition(".")
    inside = [text for path, text in SOURCES.items() if f"/{path}".endswith(f"/{place}")]
    inside += [text for text in SOURCES.values() if re.search(rf"^class {place}\b", text, re.MULTILINE)]
    return any(re.search(rf"\b{attribute}\b(\(| =|: )", text) if attribute else True for text in inside)


def test_every_guard_and_mechanism_that_the_architecture_names_is_there() -> None:
    names = [name for name in named(0) + named(2) if not re.match(r"\{|Sequin-", name)]
    assert len(names) > 30
    assert [name for name in names if not is_there(name)] == []


def test_every_test_that_the_architecture_names_is_there() -> None:
    names = named(3)
    assert len(names) > 15
    assert [name for name in names if not [*ROOT.glob(f"tests/**/{name}.py"), *ROOT.glob(f"tests/{name}/")]] == []


def test_every_module_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    names = set(re.findall(r"`(?:[\w/]+/)?(\w+\.py)`", text))
    assert len(names) > 15
    assert sorted(name for name in names if not list(ROOT.glob(f"[!.]*/**/{name}"))) == []
