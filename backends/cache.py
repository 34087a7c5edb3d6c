"""Times of kernels, kept between runs: a kernel is timed once per target and clock, whatever network it is part of."""

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_SCHEMA = "CREATE TABLE IF NOT EXISTS times (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_WAIT_SECONDS = 60
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_log = logging.getLogger(__name__)

Value = Mapping[str, Any]
"""What is stored: JSON values by name."""


class LatencyCache:
    """A table from keys to times in one SQLite file, which several processes may use at once.

    Everything in it can be measured again: a file that SQLite finds corrupt is replaced by an empty one, a value that
    is none counts as missing, and one that cannot be stored is used all the same. What a measurement raises is passed
    on and never stored.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        path.parent.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> Value | None:
        """Return what is stored under `key`."""
        rows = self._execute("SELECT CAST(value AS BLOB) FROM times WHERE key = ?", key)
        try:
            found = json.loads(rows[0][0]) if rows else None
        except ValueError:
            found = "damaged"
        if found is None or isinstance(found, dict):
            return found
        _log.warning("%s: an entry is damaged and measured anew", self._path)
        return None

    def put(self, key: str, value: Value) -> None:
        """Store `value` under `key`."""
        self._execute("INSERT OR REPLACE INTO times VALUES (?, ?)", key, json.dumps(value))

    def get_or(self, key: str, measure: Callable[[], Value]) -> Value:
        """Return what is stored under `key`; measure and store it when there is nothing."""
        found = self.get(key)
        if found is None:
            found = measure()
            self._keep(key, found)
        return found

    def _keep(self, key: str, value: Value) -> None:
        try:
            self.put(key, value)
        except sqlite3.OperationalError as error:  # a full disk, or another's lock for a minute
            _log.warning("%s: %s; what was measured is not kept", self._path, error)

    def _execute(self, statement: str, *values: str) -> list[tuple[bytes, ...]]:
        try:
            return self._try(statement, *values)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) not in _BROKEN:
                raise
            _log.warning("%s: %s; begun anew", self._path, error)
            self._discard()
            return self._try(statement, *values)

    def _try(self, statement: str, *values: str) -> list[tuple[bytes, ...]]:
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(_SCHEMA)
        return self._connection.execute(statement, values).fetchall()

    def _discard(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
