"""The portal's database as the driver sees it: plain SQL, no code of the portal."""

import sqlite3
from contextlib import closing
from typing import Any

import psycopg


class Rows:
    """Reads, and the few writes by which a test lets time pass."""

    def __init__(self, address: str) -> None:
        self._address = address

    def all(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row of a query; `?` stands for a value."""
        with closing(self._connect()) as connection:
            return list(connection.execute(self._worded(sql), values).fetchall())

    def one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """The first row, or None."""
        found = self.all(sql, *values)
        return found[0] if found else None

    def count(self, sql: str, *values: object) -> int:
        """The first number of the first row."""
        found = self.one(sql, *values)
        return int(found[0]) if found else 0

    def write(self, sql: str, *values: object) -> None:
        """One statement, committed."""
        with closing(self._connect()) as connection:
            connection.execute(self._worded(sql), values)
            connection.commit()

    def is_locked(self) -> bool:
        """Whether somebody who does not let go holds SQLite's one lock for writers: who was stopped within a commit."""
        if not self.is_sqlite:
            return False
        with closing(self._connect(timeout=2)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            return False

    @property
    def is_sqlite(self) -> bool:
        return self._address.startswith("sqlite:///")

    def _worded(self, sql: str) -> str:
        return sql if self.is_sqlite else sql.replace("?", "%s")

    def _connect(self, timeout: float = 20) -> Any:
        if self.is_sqlite:
            return sqlite3.connect(self._address.removeprefix("sqlite:///"), timeout=timeout)
        return psycopg.connect(self._address)
