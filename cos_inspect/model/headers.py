"""Header fields of a message, of which no more is looked at than any server takes."""

from collections.abc import Callable, Iterable, Iterator, KeysView, Sequence
from typing import Self

MAX_VALUE = 65_536
"""Characters of a header's name or value; no server sends more, and none longer is judged."""
MAX_FIELDS = 1000
"""Header fields of a message; what stands behind them is not judged either. Apache takes 100,
Node 2,000 at most, nginx 32 KiB of them."""
MAX_HEAD = 131_072
"""Characters of a message's header fields together; those behind them are not judged."""
SHOWN_OF_LONG = 1024
"""Characters that are shown of a name or value beyond ``MAX_VALUE``."""

RawFields = tuple[tuple[bytes, bytes], ...]


class Headers:
    """Header fields in wire order, with case-insensitive lookup by name.

    Of a message with more than any server takes the first ``MAX_FIELDS``, or those within
    ``MAX_HEAD``, are ``fields``; of the others nothing but the name is read.
    """

    __slots__ = ("_repeated", "_unread", "beyond", "fields", "first", "get")

    def __init__(self, fields: Iterable[tuple[str, str]] = (), beyond: RawFields = ()) -> None:
        """``beyond``: further fields, of which it is known that they are too many."""
        self.fields: tuple[tuple[str, str], ...] = tuple(fields)
        within = fields_within(self.fields)
        if within < len(self.fields):
            more = [(_encoded(name), _encoded(value)) for name, value in self.fields[within:]]
            self.fields, beyond = self.fields[:within], (*more, *beyond)
        self.beyond: RawFields = beyond
        """The fields that are not looked at."""
        first: dict[str, str] = {}
        repeated: dict[str, list[str]] = {}
        for name, value in self.fields:
            key = name.lower()
            if key not in first:
                first[key] = value
            elif key in repeated:
                repeated[key].append(value)
            else:
                repeated[key] = [first[key], value]
        unread = None
        if beyond:
            # All at once: there may be tens of thousands.
            text = b"\n".join([name for name, _ in beyond]).decode("utf-8", "replace")
            unread = self._too_long().union(text.lower().split("\n"))
        self._index(first, {key: tuple(values) for key, values in repeated.items()}, unread)

    @classmethod
    def of_distinct(cls, names: Sequence[str], lower: Sequence[str], values: Sequence[str]) -> Self:
        """The same, quicker, for names of which none stands twice; ``lower`` are they in
        lower case."""
        headers = cls.__new__(cls)
        headers.fields, headers.beyond = tuple(zip(names, values, strict=True)), ()
        headers._index(dict(zip(lower, values, strict=True)), _NO_REPEATS)  # noqa: SLF001
        return headers

    def _index(
        self,
        first: dict[str, str],
        repeated: dict[str, tuple[str, ...]],
        unread: frozenset[str] | None = None,
    ) -> None:
        self._unread = unread
        self.first = first
        """The first value of each name, by its lower-case name, of those that are looked at."""
        self._repeated = repeated
        self.get: Callable[[str], str | None] = (
            first.get
            if unread is None
            else lambda name: first.get(name, "" if name in unread else None)
        )
        """The first value of a header, by its lower-case name; "" where it stands among those
        that are not looked at."""

    def all(self, name: str) -> tuple[str, ...]:
        """All values of a header, by its lower-case name."""
        if name in self._repeated:
            return self._repeated[name]
        value = self.get(name)
        return () if value is None else (value,)

    def tells(self, name: str) -> bool:
        """Whether a header has a value, be it one that is not read."""
        return bool(self.first.get(name)) or name in self.unread

    def names(self) -> KeysView[str]:
        """The lower-case names, each once, of those that are looked at."""
        return self.first.keys()

    def repeated(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The lower-case names that stand more than once, with all their values, in the order
        of their first ones."""
        if self._repeated:
            for name in dict.fromkeys([name.lower() for name, _ in self.fields]):
                if name in self._repeated:
                    yield name, self._repeated[name]

    @property
    def unread(self) -> frozenset[str]:
        """Lower-case names of fields that are too long, or stand behind too many others:
        whatever they say, nothing is to be held against it."""
        if self._unread is None:
            self._unread = self._too_long()
        return self._unread

    def _too_long(self) -> frozenset[str]:
        names = [
            name.lower()
            for name, value in self.fields
            if len(value) > MAX_VALUE or len(name) > MAX_VALUE
        ]
        return frozenset(names) if names else _NO_NAMES

    def __contains__(self, name: object) -> bool:
        return name in self.first or (bool(self.beyond) and name in self.unread)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields) + len(self.beyond)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Headers)
            and self.fields == other.fields
            and self.beyond == other.beyond
        )

    def __hash__(self) -> int:
        return hash((self.fields, len(self.beyond)))

    def __repr__(self) -> str:
        more = f" and {len(self.beyond)} more" if self.beyond else ""
        return f"Headers({list(self.fields)!r}{more})"


def fields_within(fields: Sequence[tuple[str, str]] | RawFields) -> int:
    """How many header fields of a message, from its first, are within ``MAX_FIELDS`` and
    ``MAX_HEAD``. Of one that is itself too long only its beginning counts."""
    size = 0
    for place, (name, value) in enumerate(fields[:MAX_FIELDS]):
        if len(name) > MAX_VALUE or len(value) > MAX_VALUE:
            size += 2 * SHOWN_OF_LONG
        else:
            size += len(name) + len(value)
        if size > MAX_HEAD:
            return place
    return min(len(fields), MAX_FIELDS)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


_NO_REPEATS: dict[str, tuple[str, ...]] = {}
_NO_NAMES: frozenset[str] = frozenset()
