"""Requests as the handlers see them, replies as they hand them back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

from tests.origin.content import EMPTY, Content, Held, whole
from tests.origin.hosts import Address

Fields = list[tuple[str, str]]


@dataclass
class OriginRequest:
    """The head of a request. Damage may edit it before it is handled."""

    scheme: str
    method: str
    target: str
    version: str
    headers: Fields
    path: str
    query: Fields
    """Decoded names and values, in order; a name without ``=`` has an empty value."""
    host: str
    """Lower case, without port."""
    address: Address
    request_id: str
    trace_id: str
    moment: float
    """When the head was read, in seconds since the epoch."""
    s3: bool = False
    """Signed the AWS way, so that the answer uses AWS names."""
    operation: str = "Unknown"

    @property
    def bucket(self) -> str:
        return self.address.bucket

    @property
    def key(self) -> str:
        return self.address.key

    def header(self, name: str, default: str = "") -> str:
        """The first value of a header; ``x-cos-…`` finds the ``x-amz-…`` of an S3 client."""
        name = name.lower()
        names = {name, "x-amz-" + name[6:]} if self.s3 and name.startswith("x-cos-") else {name}
        return next((value for key, value in self.headers if key.lower() in names), default)

    def has(self, name: str) -> bool:
        """Whether a query parameter is there, with or without a value."""
        return any(key == name for key, _ in self.query)

    def param(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.query if key == name), default)

    def set_header(self, name: str, value: str | None) -> None:
        """Replaces every field of this name; ``None`` takes it away."""
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))


@dataclass
class Delivery:
    """How a reply goes over the wire, apart from what it says."""

    chunked: bool = False
    head_first: bool = False
    """Send the headers, and some blanks, before the body is worked out."""
    close: bool = False
    cut_after: int | None = None
    """Close the connection after so many body bytes, whatever was promised."""
    cut_by_reset: bool = False
    no_reply: bool = False
    """Reset the connection instead of answering."""
    stall: float = 0.0
    """Seconds to wait before the first byte."""
    stall_after: int | None = None
    """Wait inside the body, after so many bytes, instead of before the head."""


@dataclass
class Reply:
    status: int = 200
    headers: Fields = field(default_factory=list)
    body: Content = EMPTY
    reason: str | None = None
    delivery: Delivery = field(default_factory=Delivery)

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def add(self, name: str, value: str | int | None) -> "Reply":
        """Appends a field; ``None`` and the empty string add nothing."""
        if value is not None and value != "":
            self.headers.append((name, str(value)))
        return self

    def extend(self, fields: Iterable[tuple[str, str]]) -> "Reply":
        self.headers.extend(fields)
        return self

    def set(self, name: str, value: str) -> None:
        """Replaces the field where it stands, or appends it."""
        if self.get(name) is None:
            self.headers.append((name, value))
            return
        self.headers = [
            (key, value) if key.lower() == name.lower() else (key, old) for key, old in self.headers
        ]

    def drop(self, *names: str) -> None:
        gone = {name.lower() for name in names}
        self.headers = [pair for pair in self.headers if pair[0].lower() not in gone]

    def set_body(self, data: bytes, content_type: str | None = None) -> None:
        """Another body, with its Content-Length unless the body is chunked."""
        self.body = Held([data])
        if content_type is not None:
            self.set("Content-Type", content_type)
        if self.get("Transfer-Encoding") is None:
            self.set("Content-Length", str(len(data)))

    def text(self) -> bytes:
        return whole(self.body)

    @property
    def phrase(self) -> str:
        if self.reason is not None:
            return self.reason
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return "Unknown"


def xml_reply(data: bytes, status: int = 200) -> Reply:
    return Reply(status, [("Content-Type", "application/xml")], Held([data]))


@dataclass
class Record:
    """What arrived and what was answered, for tests to look at."""

    method: str
    host: str
    target: str
    headers: Fields
    scheme: str
    operation: str
    request_id: str
    body_size: int = 0
    """Bytes of body received, after transfer coding was taken off."""
    body_md5: str | None = None
    """Hex MD5 of these bytes; None while they arrive, or when hashing was off."""
    complete: bool = False
    """Whether the body arrived to its end."""
    status: int | None = None
    """None when no answer was sent."""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def names(self) -> Iterator[str]:
        return (key for key, _ in self.headers)
