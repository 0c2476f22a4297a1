"""Checks as pages show them: a state with an icon, and paste-ready blocks in tabs."""

from collections.abc import Mapping, Sequence
from typing import Any

from consumers.models import NatsConsumer
from consumers.preflight import FAILED, LABELS, NOT_TRIED, OK, WARNING

STATES = {OK: "passed", FAILED: "failed", WARNING: "warning", NOT_TRIED: "waiting"}
WORDS = {
    "passed": "Passed",
    "failed": "Failed",
    "warning": "Worth a look",
    "waiting": "Not tried",
    "running": "Checking",
}


def check(raw: Mapping[str, Any]) -> dict[str, Any]:
    """One check as `_check.html` takes it."""
    state = STATES[raw["state"]]
    return {
        "key": raw["key"],
        "label": raw["label"],
        "state": state,
        "word": WORDS[state],
        "what": raw["detail"],
        "next_step": raw["remedy"],
        "groups": groups(raw["commands"]),
        "action": raw["action"],
    }


def expected(running: str = "resolve") -> list[dict[str, Any]]:
    """All checks before any has an answer."""
    states = {key: "running" if key == running else "waiting" for key in LABELS}
    return [{"key": key, "label": LABELS[key], "state": state, "word": WORDS[state]} for key, state in states.items()]


def groups(commands: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Blocks labelled `title: way` gathered under their title, a tab a way; any other stands alone."""
    found: dict[str, list[dict[str, str]]] = {}
    for block in commands:
        title, _, way = block["label"].partition(": ")
        found.setdefault(title, []).append({"way": _capital(way), "text": block["text"]})
    return [{"title": title, "blocks": blocks} for title, blocks in found.items()]


def _capital(text: str) -> str:
    short = text.partition(",")[0]
    return short if short == "nsc" else short[:1].upper() + short[1:]


def summary(checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the checks came out, in a sentence."""
    states = [raw["state"] for raw in checks]
    if FAILED in states:
        return {"state": "failed", "words": "One thing stops delivery: see above."}
    if NOT_TRIED in states:
        return {"state": "warning", "words": "Not everything could be tried."}
    if WARNING in states:
        return {"state": "warning", "words": "It works. Something is worth a look."}
    return {"state": "passed", "words": "All is well."}


def checks_context(consumer: NatsConsumer) -> dict[str, Any]:
    """What `_checks.html` shows of a stored consumer."""
    return {
        "consumer": consumer,
        "checks": [check(raw) for raw in consumer.checks],
        "summary": summary(consumer.checks),
        "checked_at": consumer.checked_at,
    }
