"""A PostgreSQL server of the test's own: `with postgres_server.running(folder) as url: …` (DATABASE_URL form)."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))


def _as_somebody_else() -> list[str]:
    """PostgreSQL refuses to run as root: then it runs as `postgres`, or `nobody` where there is no such user."""
    if os.geteuid() != 0:
        return []
    names = {entry.pw_name for entry in pwd.getpwall()}
    return ["setpriv", "--reuid", "postgres" if "postgres" in names else "nobody", "--clear-groups"]


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start a server on a free port of 127.0.0.1, its data in `folder`; stop it afterwards. Fails without binaries."""
    assert BIN is not None, "no PostgreSQL binaries: install Debian's postgresql package"
    data, user = folder / "data", _as_somebody_else()
    data.mkdir(parents=True)
    if user:
        shutil.chown(folder, user[2])
        shutil.chown(data, user[2])
        for parent in folder.parents:  # the server's user must be able to come this far
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([*user, BIN / "initdb", "-D", data, "-U", "sequin", "-A", "trust", "--no-sync"], **run)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    control = [*user, BIN / "pg_ctl", "-D", data, "-w", "-t", "60"]
    subprocess.run([*control, "-o", options, "-l", folder / "log", "start"], **run)
    try:
        url = f"postgres://sequin@127.0.0.1:{port}/postgres"
        yield url
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **run)
