"""What lacks is fetched as root, told otherwise, and never started."""

import os
import stat
from pathlib import Path

import pytest

from tests import ensure
from tests.ensure import Program

APT = """#!/bin/sh
echo "$@" >> {folder}/asked
test -x {folder}/policy-rc.d && echo "no services" >> {folder}/asked
case "$*" in *thing*) printf '#!/bin/sh\\n' > {folder}/thing; chmod +x {folder}/thing;; esac
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose only package manager is ours, and which lacks the program `thing`."""
    apt = tmp_path / "apt-get"
    apt.write_text(APT.format(folder=tmp_path))
    apt.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(ensure, "POLICY", tmp_path / "policy-rc.d")
    thing = Program("thing", lambda: str(tmp_path / "thing") if (tmp_path / "thing").exists() else "", "thing", "THE")
    monkeypatch.setattr(ensure, "PROGRAMS", (thing,))
    return tmp_path


def test_root_gets_what_lacks_and_starts_nothing(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert ensure.main() == 0
    assert capfd.readouterr().out == f"export THE={machine}/thing\n"
    asked = (machine / "asked").read_text().splitlines()
    assert asked[:3] == ["update", "no services", "install --yes --no-install-recommends thing"]
    assert not (machine / "policy-rc.d").exists()
    assert ensure.main() == 0
    assert (machine / "asked").read_text().splitlines() == asked, "asked again for what is there"


def test_anybody_else_is_told_what_to_install(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert ensure.main() == 1
    assert not (machine / "asked").exists()
    assert "No thing. Install it: apt-get install thing" in capfd.readouterr().err


def test_a_policy_of_the_machine_is_left_alone(machine: Path) -> None:
    (machine / "policy-rc.d").write_text("#!/bin/sh\nexit 0\n")
    with ensure.nothing_started():
        pass
    assert (machine / "policy-rc.d").read_text() == "#!/bin/sh\nexit 0\n"
