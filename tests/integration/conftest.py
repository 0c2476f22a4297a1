"""Sandboxes for tests of one provider. Modules that need them otherwise have their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.process import RunningSandbox, running


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A demo that nobody changes."""
    with running(tmp_path_factory.mktemp("planted"), seed="demo") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    """An empty one, and a process of its own."""
    with running(tmp_path) as sandbox:
        yield sandbox
