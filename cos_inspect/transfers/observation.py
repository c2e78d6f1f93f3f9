"""What the histories need of one finished exchange, as plain data.

An observation can be sent to another process and costs less memory than the
exchange. It is made once; nothing here judges.
"""

from typing import Literal

import msgspec

from cos_inspect.cos.encryption import EtagForm
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import SseMode
from cos_inspect.transfers.part_list import StoredPart

Unread = Literal["malformed", "not-inspected"]
"""Why an answer tells a CRC-64 that cannot be compared."""

MAX_TEXT = 1024
"""Characters of a value that is kept."""
UNDATED = 0.0
"""``started`` where nothing tells when."""
_REPLAYED = "\0"
_WRITES = frozenset(
    {
        "PutObject",
        "PostObject",
        "PutObjectCopy",
        "CompleteMultipartUpload",
        "AppendObject",
        "DeleteObject",
        "RenameObject",
        "PutSymlink",
    }
)
_MULTIPART = frozenset(
    {
        "InitiateMultipartUpload",
        "UploadPart",
        "UploadPartCopy",
        "CompleteMultipartUpload",
        "AbortMultipartUpload",
        "ListParts",
    }
)


class Observation(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Times are seconds since the epoch; digests are of whole bodies, MD5 as lower-case
    hex; ETags are without quotes and in lower case."""

    flow_id: str
    """What ``identity_of`` gives: the flow's id, but for replays."""
    operation: str
    place: str
    """The bucket, else the host without the zone of COS: where a key means the same object."""
    key: str | None = None
    bucket: str | None = None
    host: str
    client: str | None = None
    """The client's address."""
    started: float
    """When it was answered, where nobody noted when it began; 0 where nothing is known."""
    sent: float | None = None
    """When the request had ended."""
    answered: float | None = None
    """When the response's headers were whole."""
    ended: float
    """When it was over: answered, or given up."""

    status: int | None = None
    succeeded: bool = False
    """2xx, the body no error, and all of it came."""
    from_cos: bool = False
    through_cdn: bool = False
    answer_cut: bool = False
    request_cut: bool = False
    """The request's body broke off, which no early answer explains."""
    stopped: bool = False
    """The recording ended before the exchange did."""
    by_proxy: bool = False
    """The proxy answered it, or ended it: it has not met COS."""
    failure: str | None = None
    """What ended the exchange early, in the recorder's words."""
    error_code: str | None = None
    error_message: str | None = None
    request_id: bool = False
    """The answer has a request id."""

    same_request: str = ""
    """Equal for requests that ask the same; where nothing is stored, with the same length."""
    announced: int | None = None
    """Content-Length of the request."""
    stores_body: bool = False
    """The request's body is the object, or a part of it."""
    redirected: bool = False
    """The answer names another place."""
    sdk_retry: bool = False
    secret_id: str | None = None
    with_token: bool = False
    """A security token came with the request."""
    accepted: bool = False
    """COS took the signature."""
    sign_start: int | None = None
    """Where its signing time begins, in Unix seconds by the client's clock."""
    traffic_limit: int | None = None
    """Bits per second."""

    sent_size: int | None = None
    """Bytes of the request's body that passed."""
    size: int | None = None
    """Bytes of the object in the request."""
    md5: str | None = None
    crc64: int | None = None
    """Both of these bytes."""
    answer_size: int | None = None
    """Bytes of the answer's body that passed, also when it was cut."""
    answer_crc64: int | None = None
    """Of those bytes; None where they are not the object's."""
    answer_md5: str | None = None
    """Of a whole object that was downloaded."""
    content_length: int | None = None
    """Of the answer."""

    etag: str | None = None
    header_crc64: int | None = None
    version_id: str | None = None
    """These three as the answer's headers tell them."""
    wanted_version: str | None = None
    """The request's versionId."""
    span: tuple[int, int] | None = None
    """First and last byte of a 206 that does not hold the whole object."""
    from_end: bool = False
    """The range was counted from the end (``bytes=-500``)."""
    total: int | None = None
    """Size of the object, as the answer tells."""
    describes_object: bool = False
    """A plain success of a GET or HEAD: its headers are the object's own."""
    finds_nothing: bool = False
    """A GET or HEAD of an object that COS does not have."""
    age: float | None = None
    """Seconds since the object was made when the answer was, by COS's own clock."""
    appendable: bool = False
    """The answer says that AppendObject made the object."""
    reworked: bool = False
    """Image processing may have replaced what was uploaded."""

    upload_id: str | None = None
    part_number: int | None = None
    no_part_number: str | None = None
    """What stands in ``partNumber`` and is no number."""
    listed: tuple[tuple[int, str], ...] | None = None
    """Of a Complete: number and ETag of its parts in the order listed."""
    no_numbers: tuple[str, ...] = ()
    """What stands in that list where numbers belong."""
    stored_parts: tuple[StoredPart, ...] = ()
    """As ListParts answered."""
    result_etag: str | None = None
    result_crc64: int | None = None
    """Both as the answer's body tells them, of a copy and of a Complete."""
    copy_place: str | None = None
    """The bucket of what is copied."""
    copy_key: str | None = None
    copy_version: str | None = None
    copy_span: tuple[int, int] | None = None
    """First and last byte of what UploadPartCopy copies; (0, -1) where its range cannot be read."""
    crc64_unread: Unread | None = None
    """Why the answer tells a CRC-64 that cannot be compared."""
    etag_unread: bool = False
    """The ETag in the answer's body is none."""
    callback: bool = False
    """The answer is what a callback or the client's own template makes of it."""

    append_position: int | None = None
    """As the request asks: bytes from the object's beginning."""
    next_position: int | None = None
    """As the answer tells it."""
    encryption: SseMode = "none"
    """As confirmed, else as asked for."""
    etag_form: EtagForm = "md5"
    """What this encryption makes of the ETag."""

    echoes: tuple[tuple[bytes, str], ...] = ()
    """Secrets of the exchange that stand elsewhere than in their own place, folded, and what
    is shown in their place: they may be told of other exchanges as well."""

    @property
    def seconds(self) -> float:
        """From the request's first byte to the exchange's end."""
        return max(0.0, self.ended - self.started)

    @property
    def is_dated(self) -> bool:
        """Whether it has a place among others: anything says when it was, and it met COS."""
        return self.started != UNDATED and not self.by_proxy


def flow_of(identity: str) -> str:
    """The id under which a flow is reported."""
    return identity.partition(_REPLAYED)[0]


def identity_of(exchange: Exchange) -> str:
    """A replay is reported under the id of the flow that it repeats, and is another exchange."""
    if not exchange.is_replay:
        return exchange.flow_id
    return f"{exchange.flow_id}{_REPLAYED}{exchange.timing.request_start}"


def writes_object(operation: str) -> bool:
    """Whether a success makes the object another one."""
    return operation in _WRITES


def belongs_to_upload(operation: str) -> bool:
    """Whether an operation is one of the steps of a multipart upload."""
    return operation in _MULTIPART


def plain_etag(value: str | None) -> str:
    """An ETag of a header or a list in the form that observations have; empty for none."""
    return (value or "").strip().removeprefix("W/").strip('"').lower()[:MAX_TEXT]
