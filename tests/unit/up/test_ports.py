"""Which ports `up` takes. Nothing listens here: whether a port is free comes in as an argument."""

import json
from pathlib import Path

import pytest

from sequin_console.up import ports
from sequin_console.up.ports import DEFAULTS, PortBook, PortTaken

WEB = 41_800  # high, for a console may run on this machine


@pytest.fixture(autouse=True)
def high_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEFAULTS, "web", WEB)
    monkeypatch.setitem(DEFAULTS, "nats", WEB + 100)


def book(tmp_path: Path, *taken: int) -> PortBook:
    return PortBook(tmp_path / "ports.json", probe=lambda host, port: port not in taken)


def test_default_port_is_used_and_kept(tmp_path: Path) -> None:
    assert book(tmp_path).choose("web", "127.0.0.1") == WEB
    assert json.loads((tmp_path / "ports.json").read_text()) == {"web": WEB}


def test_next_port_is_used_when_the_default_is_taken(tmp_path: Path) -> None:
    assert book(tmp_path, WEB, WEB + 1).choose("web", "127.0.0.1") == WEB + 2


def test_kept_port_is_used_again_though_the_default_is_free(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text(json.dumps({"web": WEB + 7}))
    assert book(tmp_path).choose("web", "127.0.0.1") == WEB + 7


def test_kept_port_that_is_taken_stays_kept_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text(json.dumps({"web": WEB + 7}))
    kept = book(tmp_path, WEB + 7)
    assert kept.choose("web", "127.0.0.1", patience_s=0) == WEB + 8
    assert kept.notes == [f"port {WEB + 7} of the console is taken by another program; {WEB + 8} for now"]
    assert json.loads((tmp_path / "ports.json").read_text()) == {"web": WEB + 7}


def test_asked_port_is_used_and_kept(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text(json.dumps({"web": WEB, "nats": 1}))
    assert book(tmp_path).choose("web", "127.0.0.1", asked=WEB + 30) == WEB + 30
    assert json.loads((tmp_path / "ports.json").read_text()) == {"web": WEB + 30, "nats": 1}


def test_any_port_is_not_the_default_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "any_free", lambda host: 51_999)
    assert book(tmp_path).choose("web", "127.0.0.1", asked=0) == 51_999
    assert book(tmp_path).choose("web", "127.0.0.1") == 51_999


def test_asked_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PortTaken, match=str(WEB)):
        book(tmp_path, WEB).choose("web", "127.0.0.1", asked=WEB, patience_s=0)


def test_two_that_start_at_once_never_choose_the_same(tmp_path: Path) -> None:
    one, other = book(tmp_path), PortBook(tmp_path / "other.json", probe=lambda host, port: True)
    try:
        assert one.choose("web", "127.0.0.1") != other.choose("web", "127.0.0.1")
    finally:
        one.release()
        other.release()


def test_unreadable_ports_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("[half")
    assert book(tmp_path).choose("web", "127.0.0.1") == WEB
