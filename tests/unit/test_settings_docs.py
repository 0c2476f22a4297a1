"""docs/settings.md describes every environment variable that the code reads, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
READ = re.compile(r"""(?:environ(?:\.get)?[(\[]|env_flag\()\s*"([A-Z][A-Z_]+)\"""")
DESCRIBED = re.compile(r"^\| `([A-Z][A-Z_]+)`", re.MULTILINE)
FOR_CHILDREN = {"DJANGO_SETTINGS_MODULE"}  # Django's own, set by manage.py


def test_every_setting_is_described() -> None:
    read = {
        name
        for room in ("sequin_console", "syncs", "consumers")
        for file in (ROOT / room).rglob("*.py")
        for name in READ.findall(file.read_text())
    }
    described = set(DESCRIBED.findall((ROOT / "docs" / "settings.md").read_text()))
    assert described == read - FOR_CHILDREN
