"""Lists of parts, read without trust in them: in the body of a CompleteMultipartUpload, and in
the answer to ListParts."""

from typing import NamedTuple

from cos_inspect.cos.xml_fields import can_walk, whole_number

MAX_PARTS = 10_000
_MAX_LISTED = 3 * MAX_PARTS
_MAX_BYTES = 4 * 1024 * 1024
_MAX_FIELD = 128
_MAX_DEPTH = 32
_MAX_ELEMENTS = 10 * MAX_PARTS
"""Lists have three or four a part, and stand three deep."""
_FIELDS = ("PartNumber", "ETag", "Size")

StoredPart = tuple[int, str, int | None]
"""Number, ETag as told, and size in bytes."""


class PartList(NamedTuple):
    """The parts that the body of a CompleteMultipartUpload lists."""

    parts: tuple[tuple[int, str], ...]
    """Number and ETag (as sent) in the order listed."""
    no_numbers: tuple[str, ...] = ()
    """What stands where the number of a part belongs and is none; empty texts too."""


class _TooManyError(ValueError):
    """The list exceeds every documented size."""


class _Walk:
    """Parser target that keeps number, ETag and size of each ``Part``."""

    def __init__(self) -> None:
        self.sizes: list[int | None] = []
        self._depth = 0
        self._elements = 0
        self._name: str | None = None
        self._fields: dict[str, str] = {}
        self.parts: list[tuple[int, str]] = []
        self.no_numbers: list[str] = []

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > _MAX_DEPTH or self._elements > _MAX_ELEMENTS:
            raise _TooManyError
        name = tag.rpartition("}")[2]
        if self._depth == 2 and name == "Part":
            self._fields = {}
        self._name = name if self._depth == 3 and name in _FIELDS else None

    def data(self, data: str) -> None:
        if self._name is not None:
            before = self._fields.get(self._name, "")
            self._fields[self._name] = (before + data)[:_MAX_FIELD]

    def end(self, tag: str) -> None:
        if self._depth == 2 and tag.rpartition("}")[2] == "Part":
            number = self._fields.get("PartNumber", "").strip()
            if number.isascii() and number.isdigit() and len(number) < 10:
                self.parts.append((int(number), self._fields.get("ETag", "").strip()))
                self.sizes.append(whole_number(self._fields.get("Size", "")))
            else:
                self.no_numbers.append(number)
            if len(self.parts) + len(self.no_numbers) > _MAX_LISTED:
                raise _TooManyError
        self._name = None
        self._depth -= 1


def read_part_list(body: bytes | None) -> PartList | None:
    """None when the body is absent, too large, or cannot be read."""
    walk = _walked(body)
    return None if walk is None else PartList(tuple(walk.parts), tuple(walk.no_numbers))


def read_stored_parts(body: bytes | None) -> tuple[StoredPart, ...]:
    """What ListParts answers (COS documents, page 436/7747); empty where that cannot be read."""
    walk = _walked(body)
    if walk is None:
        return ()
    listed = zip(walk.parts, walk.sizes, strict=True)
    return tuple((number, etag, size) for (number, etag), size in listed)


def _walked(body: bytes | None) -> _Walk | None:
    if not body or len(body) > _MAX_BYTES:
        return None
    walk = _Walk()
    return walk if can_walk(body, walk) else None
