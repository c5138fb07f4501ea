"""Features that were computed before, kept in the user's cache: a row for each image and view.

The store saves time and never changes a byte: a row's key names all that its values depend on, and
a row that does not fit its checksum counts as absent. Trainings that run at once share the store;
SQLite locks it only while rows are read or written. Its file can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

MOST_BYTES = 2 * 10**9  # of the whole file; the oldest rows go first
WAIT_SECONDS = 60.0  # for another process that writes
CHECKSUM_BYTES = 8
TABLE = "CREATE TABLE IF NOT EXISTS features (key BLOB UNIQUE, checksum BLOB, content BLOB)"
DROPPED_ROWS = 1000  # at once, while the file is too large

Row = npt.NDArray[np.float32]
Result = TypeVar("Result")


class FeatureStore:
    """Rows (features,) by key. If the file cannot be used, `fault` says why and nothing is kept."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self.path, self.most_bytes, self.fault = path, most_bytes, ""

    def read(self, keys: Iterable[bytes]) -> dict[bytes, Row]:
        """The rows that are there and whole."""
        return self.use(lambda connection: read_rows(connection, keys)) or {}

    def write(self, rows: dict[bytes, Row]) -> None:
        self.use(lambda connection: write_rows(connection, rows, self.most_bytes))

    def use(self, action: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """What the action gives; None if the file cannot be used. A damaged one is made anew."""
        if self.fault:
            return None
        try:
            try:
                return self.open_and(action)
            except sqlite3.OperationalError:  # no room, no permission, locked for long
                raise
            except sqlite3.DatabaseError:
                self.path.unlink()
                return self.open_and(action)
        except (sqlite3.Error, OSError) as error:
            self.fault = str(error)
            return None

    def open_and(self, action: Callable[[sqlite3.Connection], Result]) -> Result:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=WAIT_SECONDS)) as connection, connection:
            connection.execute(TABLE)
            return action(connection)


def read_rows(connection: sqlite3.Connection, keys: Iterable[bytes]) -> dict[bytes, Row]:
    found = {}
    for key in keys:
        for checksum, content in connection.execute(
            "SELECT checksum, content FROM features WHERE key = ?", (key,)
        ):
            if checksum_of(key, content) == checksum:
                found[key] = np.frombuffer(content, np.float32)
    return found


def write_rows(connection: sqlite3.Connection, rows: dict[bytes, Row], most_bytes: int) -> None:
    contents = ((key, row.tobytes()) for key, row in rows.items())
    connection.executemany(
        "INSERT OR REPLACE INTO features VALUES (?, ?, ?)",
        ((key, checksum_of(key, content), content) for key, content in contents),
    )
    while used_bytes(connection) > most_bytes:
        oldest = "SELECT rowid FROM features ORDER BY rowid LIMIT ?"
        connection.execute(f"DELETE FROM features WHERE rowid IN ({oldest})", (DROPPED_ROWS,))  # noqa: S608


def used_bytes(connection: sqlite3.Connection) -> int:
    """The bytes of the file that hold something; SQLite writes into the others first."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def checksum_of(key: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(key + content, digest_size=CHECKSUM_BYTES).digest()
