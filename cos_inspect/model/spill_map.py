"""A mapping that is bounded in memory: what was used longest ago lies in a temporary file.

The file has no name, so nothing is left behind and nobody else can read it. Where it cannot
be written, or has as many entries as it may, what is oldest is forgotten, and counted.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator

import msgspec

from cos_inspect.model.plain_text import packed

_CACHE_KIB = 256
_MOST_AT_ONCE = 64
"""Of the weight that is moved to the file beyond what must be: each costs some 50 us, in which
the proxy does nothing else."""
_TABLE = "CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL, marked INTEGER)"


def _one(_value: object) -> int:
    return 1


def _nothing(_key: str, _value: object) -> None:
    pass


def _unmarked(_key: str, _value: object) -> bool:
    return False


def _always(_value: object) -> bool:
    return True


class SpillMap[V]:
    """``most_weight``: how much is kept in memory, as ``weight`` counts each value;
    ``most_on_disk``: entries; ``is_worth_it``: whether a value is to be kept at all once it is
    old, what is not is no loss; ``on_spill`` and ``on_return`` are told of entries that leave
    memory, and come back; what ``on_spill`` marks by True is found again by ``marked``."""

    def __init__(
        self,
        kind: type[V],
        *,
        most_weight: int,
        most_on_disk: int = 1_000_000,
        weight: Callable[[V], int] = _one,
        is_worth_it: Callable[[V], bool] = _always,
        on_spill: Callable[[str, V], bool] = _unmarked,
        on_return: Callable[[str, V], None] = _nothing,
    ) -> None:
        self._most = most_weight
        self._most_on_disk = most_on_disk
        self._weigh = weight
        self._is_worth_it = is_worth_it
        self._on_spill = on_spill
        self._on_return = on_return
        self._held: OrderedDict[str, V] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._weight = 0
        self._file: sqlite3.Connection | None = None
        self._on_disk = 0
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self.forgotten = 0
        """Entries that are no longer known."""

    def get(self, key: str) -> V | None:
        """The value, which counts as used now."""
        value = self._held.get(key)
        if value is not None:
            self._held.move_to_end(key)
            return value
        return self._from_disk(key)

    def put(self, key: str, value: V) -> None:
        """Keeps a value; to be called as well when it has changed."""
        weight = self._weigh(value)
        self._weight += weight - self._weights.get(key, 0)
        self._weights[key] = weight
        self._held[key] = value
        self._held.move_to_end(key)
        if self._weight > self._most and len(self._held) > 1:
            self._spill()

    def holds(self, key: str) -> bool:
        """Whether the value is in memory."""
        return key in self._held

    def in_memory(self) -> Iterator[tuple[str, V]]:
        """What is held in memory, the least recently used first."""
        return iter(self._held.items())

    def marked(self) -> Iterator[tuple[str, V]]:
        """What lies in the file and is marked: copies, in which nothing is to be changed.
        Nothing is to be asked of the map meanwhile."""
        if self._file is None:
            return
        try:
            for key, value in self._file.execute("SELECT key, value FROM entries WHERE marked"):
                yield as_text(key), self._decode(value)
        except sqlite3.Error:
            self._give_up()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Gives the file back; what lies in it is gone."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _from_disk(self, key: str) -> V | None:
        if self._file is None:
            return None
        try:
            found = self._file.execute(
                "DELETE FROM entries WHERE key = ? RETURNING value", (stored(key),)
            ).fetchone()
        except sqlite3.Error:
            self._give_up()
            return None
        if found is None:
            return None
        self._on_disk -= 1
        value = self._decode(found[0])
        self._on_return(key, value)
        self.put(key, value)
        return value

    def _spill(self) -> None:
        """Moves what was used longest ago, and a little more than must be: together it is
        cheaper."""
        wanted = self._most - min(self._most // 8, _MOST_AT_ONCE)
        rows: list[tuple[bytes, bytes, bool]] = []
        while self._weight > wanted and len(self._held) > 1:
            key, value = self._held.popitem(last=False)
            self._weight -= self._weights.pop(key)
            if self._is_worth_it(value):
                is_marked = self._on_spill(key, value)
                rows.append((stored(key), packed(value), is_marked))
        if not rows:
            return
        try:
            if self._file is None:
                self._file = open_temporary(_TABLE)
            self._file.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", rows)
            self._on_disk += len(rows)
            too_many = self._on_disk - self._most_on_disk
            if too_many > 0:
                self._file.execute(
                    "DELETE FROM entries WHERE rowid IN"
                    " (SELECT rowid FROM entries ORDER BY rowid LIMIT ?)",
                    (too_many,),
                )
                self._on_disk -= too_many
                self.forgotten += too_many
        except sqlite3.Error:
            self.forgotten += len(rows)
            self._give_up()

    def _give_up(self) -> None:
        """The file is of no use any more."""
        self.forgotten += self._on_disk
        self._on_disk = 0
        self.close()


def stored(key: str) -> bytes:
    """A key as it is kept there: SQLite takes no text with half a surrogate pair."""
    return key.encode("utf-8", "surrogatepass")


def as_text(key: bytes) -> str:
    """And back."""
    return key.decode("utf-8", "surrogatepass")


def open_temporary(*statements: str) -> sqlite3.Connection:
    """A database with these tables that lives in a temporary file of SQLite's own, and in memory
    while it is small."""
    file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    for pragma in ("synchronous = OFF", "journal_mode = OFF", f"cache_size = -{_CACHE_KIB}"):
        file.execute(f"PRAGMA {pragma}")
    for statement in statements:
        file.execute(statement)
    return file
