"""A disk that a test can fill."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path


class SmallDisk:
    """A folder on a disk of its own; where that is not ours to mount, a limit on what its processes may write.

    processes  pids of those that write there
    """

    def __init__(self, folder: Path, size_mb: int, processes: Callable[[], Iterable[int]]) -> None:
        self.folder, self.processes = folder, processes
        folder.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=755", "tmpfs", str(folder)]
        self.is_mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0

    def fill(self) -> None:
        """Until not one byte more can be written."""
        if not self.is_mounted:
            self._limit(1)
            return
        with contextlib.suppress(OSError), (self.folder / "ballast").open("wb") as ballast:  # closing writes, too
            while True:
                ballast.write(bytes(64 * 1024))
                ballast.flush()

    def free(self) -> None:
        if self.is_mounted:
            (self.folder / "ballast").unlink()
        else:
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                uid = Path(f"/proc/{pid}").stat().st_uid
                if uid == os.geteuid():
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
                else:  # PostgreSQL's own user: where we may not mount, we may not limit others either
                    most = "unlimited" if size < 0 else str(size)
                    limit = ["prlimit", f"--pid={pid}", f"--fsize={most}:unlimited"]
                    # One that ends meanwhile need not be limited; its successors have the postmaster's limit.
                    subprocess.run(["setpriv", "--reuid", str(uid), "--clear-groups", *limit], capture_output=True)

    def close(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


@contextlib.contextmanager
def small_disk(folder: Path, size_mb: int, processes: Callable[[], Iterable[int]]) -> Iterator[SmallDisk]:
    disk = SmallDisk(folder, size_mb, processes)
    try:
        yield disk
    finally:
        disk.close()
