"""The objects in the answer of GetBucket, read without trust in it."""

from typing import NamedTuple
from urllib.parse import unquote_plus

from cos_inspect.cos.xml_fields import can_walk, whole_number

LIST_SAMPLE = 1024 * 1024
"""Bytes of an answer that are read: a thousand objects with the longest keys have as many."""
_MOST_OBJECTS = 1000
"""COS documents, page 436/7734."""
_MAX_FIELD = 4096
_FIELDS = frozenset(("Key", "ETag", "Size", "LastModified"))


class ListedObject(NamedTuple):
    """One ``Contents`` of a listing."""

    key: str
    etag: str
    """As told."""
    size: int | None
    """Bytes."""
    last_modified: str = ""
    """As told, in ISO 8601."""


class _Walk:
    """Parser target that keeps key, ETag, size and time of each ``Contents``."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._fields: dict[str, str] = {}
        self.found: list[ListedObject] = []
        self.encoding = ""

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._path.append(tag.rpartition("}")[2])
        if self._path[1:] == ["Contents"]:
            self._fields = {}

    def data(self, data: str) -> None:
        path = self._path
        if len(path) == 3 and path[1] == "Contents" and path[2] in _FIELDS:
            self._fields[path[2]] = (self._fields.get(path[2], "") + data)[:_MAX_FIELD]
        elif path[1:] == ["EncodingType"]:
            self.encoding += data[:_MAX_FIELD]

    def end(self, _tag: str) -> None:
        if self._path[1:] == ["Contents"] and len(self.found) < _MOST_OBJECTS:
            self.found.append(
                ListedObject(
                    self._fields.get("Key", ""),
                    self._fields.get("ETag", "").strip(),
                    whole_number(self._fields.get("Size", "")),
                    self._fields.get("LastModified", "").strip(),
                )
            )
        self._path.pop()


def read_object_list(body: bytes | None) -> list[ListedObject]:
    """Empty where the body is absent or cannot be read."""
    if not body:
        return []
    walk = _Walk()
    if not can_walk(body, walk):
        return []
    if walk.encoding.strip().lower() != "url":
        return walk.found
    return [each._replace(key=unquote_plus(each.key)) for each in walk.found]
