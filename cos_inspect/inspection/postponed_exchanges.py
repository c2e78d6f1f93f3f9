"""Exchanges that wait until the history that they belong to is read from its file.

Like ``SpillMap`` in memory and in a temporary file without a name, but what is added to an entry
lies beside what it has already, which is not read for it.
"""

import sqlite3
from collections.abc import Iterator

import msgspec

from cos_inspect.inspection.transfer_summary import TransferNote
from cos_inspect.model.plain_text import packed
from cos_inspect.model.spill_map import as_text, open_temporary, stored
from cos_inspect.transfers.observation import Observation

_TABLE = (
    "CREATE TABLE waiting (name BLOB NOT NULL, count INTEGER, value BLOB NOT NULL)",
    "CREATE INDEX by_name ON waiting (name)",
)


class PostponedExchange(msgspec.Struct, frozen=True, array_like=True):
    """One exchange, as a history takes it in."""

    seen: Observation
    marks: tuple[tuple[int, int], ...] = ()
    note: TransferNote | None = None
    is_told: bool = False
    """All that is to be said of it was said."""
    is_late: bool = False
    """It ended before another one that came first."""


class PostponedExchanges:
    """By the name of the history. ``most``: exchanges in memory; ``most_on_disk``: entries of
    the file, each with one exchange or several."""

    def __init__(self, most: int, most_on_disk: int) -> None:
        self._most = most
        self._most_on_disk = most_on_disk
        self._held: dict[str, list[PostponedExchange]] = {}
        self._count = 0
        self._file: sqlite3.Connection | None = None
        self._on_disk = 0
        self._decode = msgspec.msgpack.Decoder(list[PostponedExchange]).decode
        self.forgotten = 0
        """Exchanges that are no longer known."""

    def add(self, name: str, waiting: PostponedExchange) -> None:
        """Keeps one more that waits for the history of this name."""
        self._held.setdefault(name, []).append(waiting)
        self._count += 1
        if self._count > self._most:
            self._spill()

    def take(self, name: str) -> list[PostponedExchange]:
        """All that waits for one history, in the order in which it came."""
        found = [each for value in self._from_disk(name) for each in self._decode(value)]
        held = self._held.pop(name, [])
        self._count -= len(held)
        return found + held

    def names(self) -> Iterator[str]:
        """Of the histories for which something waits. Each is to be taken before the next one is
        asked for."""
        while True:
            name = next(iter(self._held), None) or self._name_on_disk()
            if name is None:
                return
            yield name

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Gives the file back; what lies in it is gone."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _name_on_disk(self) -> str | None:
        if self._file is None:
            return None
        try:
            row = self._file.execute("SELECT name FROM waiting LIMIT 1").fetchone()
        except sqlite3.Error:
            self._give_up()
            return None
        return as_text(row[0]) if row is not None else None

    def _from_disk(self, name: str) -> list[bytes]:
        if self._file is None:
            return []
        try:
            query = "SELECT value FROM waiting WHERE name = ? ORDER BY rowid"
            key = stored(name)
            found = [row[0] for row in self._file.execute(query, (key,))]
            if found:
                self._file.execute("DELETE FROM waiting WHERE name = ?", (key,))
        except sqlite3.Error:
            self._give_up()
            return []
        self._on_disk -= len(found)
        return found

    def _spill(self) -> None:
        rows = [(stored(name), len(each), packed(each)) for name, each in self._held.items()]
        count, self._count = self._count, 0
        self._held.clear()
        try:
            if self._file is None:
                self._file = open_temporary(*_TABLE)
            self._file.execute("BEGIN")
            self._file.executemany("INSERT INTO waiting VALUES (?, ?, ?)", rows)
            self._file.execute("COMMIT")
            self._on_disk += len(rows)
            self._forget(self._on_disk - self._most_on_disk)
        except sqlite3.Error:
            self.forgotten += count
            self._give_up()

    def _forget(self, too_many: int) -> None:
        if too_many <= 0 or self._file is None:
            return
        found = self._file.execute(
            "DELETE FROM waiting WHERE rowid IN (SELECT rowid FROM waiting ORDER BY rowid LIMIT ?)"
            " RETURNING count",
            (too_many,),
        )
        self.forgotten += sum(row[0] for row in found.fetchall())
        self._on_disk -= too_many

    def _give_up(self) -> None:
        """The file is of no use any more."""
        self.forgotten += self._on_disk
        self._on_disk = 0
        self.close()
