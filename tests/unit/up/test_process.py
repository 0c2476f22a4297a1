"""When a child that died is started again, and what is told of its log."""

from pathlib import Path

from sequin_console.up import logs
from sequin_console.up.process import LONGEST_DELAY_S, STEADY_AFTER_S, Child, Spec, restart_delay_s


def test_delay_doubles_and_is_capped() -> None:
    assert [restart_delay_s(failures) for failures in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert restart_delay_s(1000) == LONGEST_DELAY_S


def test_steady_life_wipes_out_old_failures(tmp_path: Path) -> None:
    child = Child(Spec("web", ("true",)), tmp_path)
    assert [child.plan_restart(now_s=1.0), child.plan_restart(now_s=2.0)] == [0.5, 1.0]
    assert child.plan_restart(now_s=STEADY_AFTER_S + 1) == 0.5


def test_log_of_the_last_run_is_kept_beside_it(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "web.log"
    log.parent.mkdir()
    log.write_text("old\n")
    logs.rotate(log)
    assert (log.exists(), (tmp_path / "logs" / "web.log.1").read_text()) == (False, "old\n")


def test_log_past_its_cap_is_moved_aside_while_somebody_writes(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        logs.cap(log, cap_bytes=99)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert len((tmp_path / "web.log.1").read_bytes()) == 100


def test_last_line_says_something_and_is_short(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    assert logs.last_line(log) == ""
    log.write_text("Traceback\n  ImportError: no\n\n \n")
    assert logs.last_line(log) == "ImportError: no"
    log.write_text("x" * 9000)
    assert len(logs.last_line(log)) == logs.LINE
