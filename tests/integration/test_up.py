"""`manage.py up` for real: everything comes up, what dies or hangs is replaced, nothing is lost or left behind."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from tests import backends
from tests.children import free_port
from tests.running_up import ROOT, RunningUp, clean_environment, eventually, processes_of, running_up

pytestmark = pytest.mark.queue
CHILDREN = {"web", "syncs", "consumers", "scheduler", "nats", "sandbox"}
ANY_PORT = ("--port", "0")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    with (
        backends.console(migrated=False) as console,
        running_up(tmp_path_factory.mktemp("up"), *ANY_PORT, env=console) as up,
    ):
        up.wait_until_ready()
        yield up


async def messages_on_stream(url: str) -> int:
    client = await nats.connect(url)
    try:
        return (await client.jetstream().stream_info("SEQUIN-RECORDS")).state.messages
    finally:
        await client.close()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def idle_workers(cluster_pid: int) -> list[int]:
    """All that the cluster's guard has forked: workers, pusher, monitor."""
    return [grandchild for child in children_of(cluster_pid) for grandchild in children_of(child)]


def wait_for_beat(up: RunningUp, cluster: str, within_s: float = 30.0) -> None:
    """Until a worker of this cluster gives a sign of life that is younger than this call."""
    asked_s = time.monotonic()

    def has_beaten() -> bool:
        _status, parts = up.get("/readyz")
        found = re.search(r"sign of life (\d+) seconds ago", parts["workers"][cluster]["detail"]) if parts else None
        return found is not None and int(found[1]) + 1 < time.monotonic() - asked_s  # seconds are rounded

    eventually(has_beaten, within_s, f"no sign of life from {cluster}")


async def test_records_flow_from_the_sandbox_to_the_stream(up: RunningUp) -> None:
    up.wait_until_said("records flow from the sandbox to the stream SEQUIN-RECORDS")
    assert await messages_on_stream(up.facts["nats_url"]) > 0


def test_run_file_names_every_process(up: RunningUp) -> None:
    pids = up.facts["pids"]
    assert pids.keys() == CHILDREN | {"supervisor"}
    assert pids["supervisor"] == up.process.pid
    assert set(pids.values()) <= processes_of(up.data_dir).keys()
    assert (up.data_dir / "run.json").stat().st_mode & 0o777 == 0o600


def test_sign_in_link_opens_the_console(up: RunningUp) -> None:
    link = re.search(r"Sign in +(http\S+)", up.output)
    assert link
    with urllib.request.urlopen(link[1], timeout=20) as page:
        assert page.status == 200


def test_second_up_on_the_same_data_says_so_and_stops(up: RunningUp) -> None:
    command = [sys.executable, "manage.py", "up", *ANY_PORT]
    second = subprocess.run(command, cwd=ROOT, env=clean_environment(up.data_dir), capture_output=True, text=True)
    assert second.returncode == 1
    assert f"process {up.process.pid} at {up.url}" in second.stderr
    assert second.stdout == ""


@pytest.mark.parametrize("name", sorted(CHILDREN))
def test_killed_child_is_started_again(up: RunningUp, name: str) -> None:
    first = up.facts["pids"][name]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: up.facts["pids"][name] not in (None, first))
    up.wait_until_said(f"{name} was killed by signal 9. Starting it again")
    up.wait_until_ready()


def test_hung_cluster_is_replaced_within_30_seconds(up: RunningUp) -> None:
    """Stopped workers are as a lock that never comes: the cluster's processes live, and nothing is done."""
    wait_for_beat(up, "consumers")  # after the kills above
    first = up.facts["pids"]["consumers"]
    for pid in idle_workers(first):
        os.kill(pid, signal.SIGSTOP)
    eventually(lambda: up.facts["pids"]["consumers"] not in (None, first), within_s=30)
    up.wait_until_ready()


async def test_restart_keeps_data_and_ports(up: RunningUp) -> None:
    before, count = up.facts, await messages_on_stream(up.facts["nats_url"])
    started_s = time.monotonic()
    assert up.stop() == 0
    assert time.monotonic() - started_s < 15
    assert processes_of(up.data_dir) == {}
    assert up.facts == {}
    with running_up(up.data_dir, env=up.given) as again:
        again.wait_until_ready()
        for name in ("console_url", "nats_url", "sandbox_url"):
            assert again.facts[name] == before[name]
        again.wait_until_said("the workspace is there already")
        assert await messages_on_stream(again.facts["nats_url"]) >= count


def test_nothing_outlives_a_killed_supervisor(up: RunningUp) -> None:
    """And the next `up` starts as if nothing had been."""
    up.stop()
    with running_up(up.data_dir, env=up.given) as killed:
        killed.wait_until_ready()
        killed.kill()
        eventually(lambda: processes_of(up.data_dir) == {}, within_s=5)
    with running_up(up.data_dir, env=up.given) as again:
        again.wait_until_ready()
        assert "taken" not in again.output


def test_a_database_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    url = f"postgres://nobody@127.0.0.1:{free_port()}/none"
    with running_up(tmp_path, *ANY_PORT, "--no-demo", env={"DATABASE_URL": url}) as up:
        assert up.process.wait(60) == 1
    assert "The database does not answer: connection" in up.output
    assert "Traceback" not in up.output
    assert processes_of(up.data_dir) == {}
