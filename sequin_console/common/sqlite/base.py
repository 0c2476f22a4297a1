"""SQLite for many processes: writers stand in one fair line, by a file lock taken before the transaction begins.

SQLite's own busy handler polls with growing sleeps, so that under load a writer can starve for seconds
(PERFORMANCE.md: p99 3 s with BEGIN IMMEDIATE alone, 6–43 ms with this). `flock` waits in the kernel instead. Autocommit
writes take the same lock for their one statement. Reads never take it: WAL lets them go on.
"""

import fcntl
import os
from typing import Any

from django.db.backends.sqlite3 import base

_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "ALTER", "DROP")


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's SQLite wrapper with a write lock beside the database file (`<name>.lock`)."""

    _lock_fd: int | None = None
    _locked = False

    def take_write_lock(self) -> None:
        """Wait for the right to write. Does nothing for an in-memory database."""
        if self._locked or self.is_in_memory_db():
            return
        if self._lock_fd is None:
            self._lock_fd = os.open(f"{self.settings_dict['NAME']}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        self._locked = True

    def release_write_lock(self) -> None:
        if self._locked and self._lock_fd is not None:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)
        self._locked = False

    def _start_transaction_under_autocommit(self) -> None:
        self.take_write_lock()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self.release_write_lock()
            raise

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self.release_write_lock()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self.release_write_lock()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self.release_write_lock()
            if self._lock_fd is not None:
                os.close(self._lock_fd)
                self._lock_fd = None

    def create_cursor(self, name: Any = None) -> Any:
        cursor = self.connection.cursor(factory=LockingCursor)
        cursor.wrapper = self
        return cursor


class LockingCursor(base.SQLiteCursorWrapper):
    """A cursor whose autocommit writes hold the write lock for that one statement."""

    wrapper: DatabaseWrapper

    def execute(self, query: Any, params: Any = None) -> Any:
        if self.wrapper.in_atomic_block or not query.lstrip()[:8].upper().startswith(_WRITES):
            return super().execute(query, params)
        return self._alone(super().execute, query, params)

    def executemany(self, query: Any, param_list: Any) -> Any:
        if self.wrapper.in_atomic_block:
            return super().executemany(query, param_list)
        return self._alone(super().executemany, query, param_list)

    def _alone(self, run: Any, query: Any, params: Any) -> Any:
        self.wrapper.take_write_lock()
        try:
            return run(query, params)
        finally:
            self.wrapper.release_write_lock()
