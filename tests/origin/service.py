"""What every handler may use, and the shapes that several of them share."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime

from tests.origin.errors import OriginError
from tests.origin.ids import Ids
from tests.origin.intake import Upload
from tests.origin.message import Fields, OriginRequest, Reply
from tests.origin.store import Bucket, Store, StoredObject

OWNER = "qcs::cam::uin/100000000001:uin/100000000001"
MAX_KEY = 850
STORED_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)


@dataclass
class Service:
    store: Store
    ids: Ids
    clock: Callable[[], float] = time.time
    min_part_size: int = 1 << 20
    append_crc: bool = True
    s3_delete_without_md5: bool = False
    judge_form: Callable[[Mapping[str, str]], OriginError | None] | None = None
    """Judges the signature in a form's fields, which no head has."""

    def bucket(self, request: OriginRequest) -> Bucket:
        return self.store.bucket(request.bucket, request.address.region, self.clock())


Handler = Callable[[Service, OriginRequest, Upload], Reply]


def http_date(moment: float) -> str:
    return formatdate(int(moment), usegmt=True)


def xml_date(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def parse_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


def check_key(key: str) -> None:
    if len(key.encode("utf-8", "surrogateescape")) > MAX_KEY:
        raise OriginError("KeyTooLong")


def metadata(request: OriginRequest) -> Fields:
    """What an upload's head says about the object, to be given back on GET."""
    kept: Fields = []
    for name, sent in request.headers:
        lower, value = name.lower(), sent
        if lower == "content-encoding":
            codings = [word.strip() for word in value.split(",")]
            value = ",".join(word for word in codings if word and word != "aws-chunked")
        if lower in STORED_HEADERS and value:
            kept.append(("-".join(word.capitalize() for word in lower.split("-")), value))
        elif lower.startswith(("x-cos-meta-", "x-amz-meta-")):
            kept.append(("x-cos-meta-" + lower[11:], value))
    return kept


def etag_header(etag: str) -> str:
    return f'"{etag}"'


def stored_reply(stored: StoredObject, reply: Reply) -> Reply:
    """Adds the fields that describe a stored object's bytes."""
    reply.add("ETag", etag_header(stored.etag))
    reply.add("x-cos-hash-crc64ecma", stored.crc64)
    reply.extend(stored.sse.echo())
    return reply.add("x-cos-version-id", stored.version_id)
