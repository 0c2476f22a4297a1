"""What makers of GitHub's records share: people, titles, the repository something belongs to.

`sandbox_version` and `sandbox_repository` (the parent's id) are ours: GitHub has no room for them.
"""

from __future__ import annotations

import hashlib
import random
from typing import Any

from sandbox.github import shapes
from sandbox.github.shapes import user
from sandbox.kit.maker import Maker

PARENT = "sandbox_repository"
KEY = "sandbox_key"
TOPICS = ("grinder settings", "invoice export", "dark mode", "roast curve", "login page", "stock alert", "CSV import",
          "checkout", "label printing", "time zones", "search", "offline mode")  # fmt: skip
VERBS = ("Fix", "Add", "Rework", "Document", "Speed up", "Remove", "Test")


def title(rng: random.Random) -> str:
    return f"{rng.choice(VERBS)} the {rng.choice(TOPICS)}"


def person(make: Maker) -> dict[str, Any]:
    return user(shapes.FIRST_PERSON + make.rng.randrange(len(shapes.LOGINS)))


def in_repository(make: Maker) -> tuple[dict[str, Any], int]:
    """Some repository, and its id for `sandbox_repository`."""
    found = make.row("repositories")
    assert found is not None, "a sandbox always has a repository"
    return found, found["id"]


def sha(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
