"""Everything, in at most 25 minutes: `python -m benchmarks [--quick] [--only PART,…]` (`make bench`).

Each part runs in a process of its own with a time limit; one that fails is reported as failed and the others go on. The
figures are written to benchmarks/results/{date}.json after every part, and at the end benchmarks.report renders them:
results/{date}.md, the tables in docs/performance.md, the charts in docs/img/. `--quick` measures less of everything, to
see that it all works, and leaves the figures in results/quick.json, which nobody keeps.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine, peers, report
from benchmarks.servers import ROOT
from tests.children import tie_to_us

LIMITS_S = {"whole_path": 720.0, "delayed": 150.0, "latency": 240.0, "idle": 300.0, "growth": 540.0}
BOUND_S = 24 * 60.0  # for all of it


def run_part(name: str, *, quick: bool, limit_s: float) -> dict[str, Any]:
    """The part's figures, or {"failed": why}."""
    with tempfile.TemporaryDirectory(prefix="sequin-bench-part-", ignore_cleanup_errors=True) as folder:
        out = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--out", str(out), *(["--quick"] if quick else [])]
        environ = {**os.environ, "TMPDIR": folder}  # what a part that is cut short has left goes with it
        process = subprocess.Popen(command, cwd=ROOT, env=environ, start_new_session=True, preexec_fn=tie_to_us())
        try:
            code: int | None = process.wait(max(limit_s, 1.0))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
                time.sleep(2)
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
        why = f"not done within {limit_s:.0f} s" if code is None else f"ended with code {code}"
        if not out.exists():
            return {"failed": why}
        found = dict(json.loads(out.read_text()))
        if code != 0:
            found["failed"] = {**found.get("failed", {}), "the rest": why}
        return found


def make_environments() -> None:
    """Before the clock runs: the peers' own environments. One that cannot be made is told in its turn."""
    for peer in peers.PEERS:
        with contextlib.suppress(peers.PeerFailed):
            peers.python_of(peer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(LIMITS_S), help="parts, by comma")
    options = parser.parse_args()
    make_environments()
    now = datetime.now(UTC)
    result: dict[str, Any] = {"at": now.isoformat(timespec="minutes"), "machine": machine.facts(), "parts": {}}
    file = report.RESULTS / ("quick.json" if options.quick else f"{now:%Y-%m-%d}.json")
    file.parent.mkdir(exist_ok=True)
    began = time.monotonic()
    for name in options.only.split(","):
        print(f"=== {name}", flush=True)
        left_s = BOUND_S - (time.monotonic() - began)
        result["parts"][name] = run_part(name, quick=options.quick, limit_s=min(LIMITS_S[name], left_s))
        result["minutes"] = round((time.monotonic() - began) / 60, 1)
        file.write_text(json.dumps(result, indent=1) + "\n")
    if options.quick:
        print("\n\n".join(report.tables(result).values()))
    else:
        report.publish(file)
        print(report.tables(result)["targets"])


if __name__ == "__main__":
    main()
