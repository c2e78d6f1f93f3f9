"""Buckets, objects with their versions, and unfinished multipart uploads."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tests.origin.checksums import sums_of
from tests.origin.content import EMPTY, Content
from tests.origin.errors import OriginError
from tests.origin.message import Fields
from tests.origin.sse import NONE, Sse

ARCHIVED = frozenset({"ARCHIVE", "DEEP_ARCHIVE", "MAZ_ARCHIVE", "MAZ_DEEP_ARCHIVE"})


@dataclass
class StoredObject:
    key: str
    content: Content
    etag: str
    """Without quotes."""
    md5: str | None
    """Of the plain bytes; None where it was not worked out (multipart, hashing off)."""
    crc64: int | None
    modified: float
    headers: Fields = field(default_factory=list)
    """Stored metadata as it comes back on GET: Content-Type, Cache-Control, x-cos-meta-…"""
    sse: Sse = NONE
    storage_class: str = "STANDARD"
    kind: Literal["normal", "appendable"] = "normal"
    version_id: str = ""
    """Empty in a bucket that never had versioning."""
    delete_marker: bool = False
    acl: bytes | None = None
    tagging: bytes | None = None
    restore: str = ""
    """The value of x-cos-restore; empty before a restore was asked for."""

    @property
    def size(self) -> int:
        return self.content.size

    def plain_md5(self) -> str:
        if self.md5 is None:
            self.md5 = sums_of(self.content).md5
        return self.md5 or ""


@dataclass
class Part:
    number: int
    content: Content
    etag: str
    crc64: int | None
    modified: float


@dataclass
class Multipart:
    upload_id: str
    key: str
    started: float
    headers: Fields
    sse: Sse
    storage_class: str
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass
class Bucket:
    name: str
    region: str
    created: float
    declared: bool = False
    """Made by PUT Bucket or by the test, not on demand."""
    versioning: str = ""
    """Empty, ``Enabled`` or ``Suspended``."""
    history: dict[str, list[StoredObject]] = field(default_factory=dict)
    """The versions of each key, oldest first."""
    uploads: dict[str, Multipart] = field(default_factory=dict)
    settings: dict[str, bytes] = field(default_factory=dict)
    """The document of each sub-resource that was PUT (``cors``, ``acl``, …)."""

    def current(self, key: str) -> StoredObject | None:
        """The newest version, unless it is a delete marker."""
        versions = self.history.get(key)
        if not versions or versions[-1].delete_marker:
            return None
        return versions[-1]

    def find(self, key: str, version_id: str = "") -> StoredObject:
        if not version_id:
            found = self.current(key)
            if found is None:
                raise OriginError("NoSuchKey")
            return found
        for stored in self.history.get(key, ()):
            if (stored.version_id or "null") == version_id:
                if stored.delete_marker:
                    raise OriginError("MethodNotAllowed")
                return stored
        raise OriginError("NoSuchVersion")

    def add(self, stored: StoredObject, version_id: str) -> None:
        """Stores a new version; ``version_id`` is used only where versioning is on."""
        versions = self.history.setdefault(stored.key, [])
        stored.version_id = {"Enabled": version_id, "Suspended": "null"}.get(self.versioning, "")
        if self.versioning != "Enabled":
            versions[:] = [old for old in versions if old.version_id not in ("", "null")]
        versions.append(stored)

    def remove(self, key: str, version_id: str, new_id: str, now: float) -> StoredObject | None:
        """Deletes a version, or puts a delete marker on top. Returns what was removed
        or the new marker; None when nothing was there."""
        versions = self.history.get(key, [])
        if version_id:
            for stored in versions:
                if (stored.version_id or "null") == version_id:
                    versions.remove(stored)
                    if not versions:
                        del self.history[key]
                    return stored
            return None
        if self.versioning:
            marker = StoredObject(key, EMPTY, "", None, None, now, delete_marker=True)
            self.add(marker, new_id)
            return marker
        gone = self.current(key)
        self.history.pop(key, None)
        return gone

    def objects(self) -> Iterator[StoredObject]:
        """The current version of every key, in the order of COS (UTF-8 bytes)."""
        for key in sorted(self.history, key=order):
            stored = self.current(key)
            if stored is not None:
                yield stored

    def upload(self, upload_id: str, key: str) -> Multipart:
        found = self.uploads.get(upload_id)
        if found is None or found.key != key:
            raise OriginError("NoSuchUpload")
        return found


def order(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


class Store:
    """All buckets. ``lock`` guards them between the server's thread and the test's."""

    def __init__(self, auto_buckets: bool) -> None:
        self.auto_buckets = auto_buckets
        self.buckets: dict[str, Bucket] = {}
        self.lock = threading.RLock()

    def bucket(self, name: str, region: str = "ap-guangzhou", now: float = 0.0) -> Bucket:
        found = self.buckets.get(name)
        if found is None:
            if not self.auto_buckets or not name:
                raise OriginError("NoSuchBucket")
            found = self.buckets[name] = Bucket(name, region, now)
        return found
