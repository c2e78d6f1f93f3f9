"""Server-side encryption: what a request asks for and what the answer confirms."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.origin.checksums import Sums, md5_base64, md5_hex
from tests.origin.errors import OriginError
from tests.origin.ids import Ids
from tests.origin.message import Fields

PREFIX = "x-cos-server-side-encryption"
COPY_SOURCE = "x-cos-copy-source-server-side-encryption"
KEY_ID = PREFIX + "-cos-kms-key-id"
CUSTOMER_ALGORITHM = PREFIX + "-customer-algorithm"
CUSTOMER_KEY_MD5 = PREFIX + "-customer-key-MD5"
DEFAULT_KMS_KEY = "a1b2c3d4-5e6f-4a7b-8c9d-0123456789ab"


@dataclass(frozen=True)
class Sse:
    mode: Literal["none", "SSE-COS", "SSE-KMS", "SSE-C"] = "none"
    algorithm: str = "AES256"
    """Of SSE-COS."""
    kms_key_id: str = ""
    customer_key_md5: str = ""

    def echo(self) -> Fields:
        """The header fields that confirm the encryption."""
        if self.mode == "SSE-COS":
            return [(PREFIX, self.algorithm)]
        if self.mode == "SSE-KMS":
            return [(PREFIX, "cos/kms"), (KEY_ID, self.kms_key_id)]
        if self.mode == "SSE-C":
            return [(CUSTOMER_ALGORITHM, "AES256"), (CUSTOMER_KEY_MD5, self.customer_key_md5)]
        return []

    def etag(self, sums: Sums, ids: Ids) -> str:
        """The MD5 for plain and SSE-COS, per upload for KMS, per key and body for SSE-C."""
        if sums.md5 is None or self.mode == "SSE-KMS":
            return ids.hex(32)
        if self.mode == "SSE-C":
            return md5_hex(f"{self.customer_key_md5}/{sums.md5}".encode())
        return sums.md5


NONE = Sse()


def customer_key(get: Callable[[str], str], prefix: str = PREFIX) -> Sse | None:
    """The SSE-C set, checked; None when none of its fields is there."""
    algorithm = get(f"{prefix}-customer-algorithm")
    key = get(f"{prefix}-customer-key")
    key_md5 = get(f"{prefix}-customer-key-md5")
    if not (algorithm or key or key_md5):
        return None
    if algorithm != "AES256":
        raise OriginError("InvalidArgument", "The SSE-C algorithm must be AES256.")
    try:
        raw = base64.b64decode(key, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise OriginError("InvalidArgument", "The SSE-C key must be 32 bytes in base64.")
    if md5_base64(raw) != key_md5:
        raise OriginError("InvalidArgument", "The MD5 of the SSE-C key does not fit the key.")
    return Sse("SSE-C", customer_key_md5=key_md5)


def asked_for(get: Callable[[str], str]) -> Sse:
    """What an upload asks for. ``get`` looks up a header (or a form field) by its
    lower-case name and gives an empty string where there is none."""
    algorithm = get(PREFIX)
    customer = customer_key(get)
    if customer is not None:
        if algorithm:
            raise OriginError("InvalidArgument", "SSE-C excludes the other kinds of encryption.")
        return customer
    if not algorithm:
        return NONE
    if algorithm.upper() in ("AES256", "SM4"):
        return Sse("SSE-COS", algorithm=algorithm.upper())
    if algorithm in ("cos/kms", "aws:kms"):
        return Sse("SSE-KMS", kms_key_id=get(KEY_ID) or DEFAULT_KMS_KEY)
    raise OriginError("InvalidArgument", "Unknown server-side encryption.")


def check_read(stored: Sse, get: Callable[[str], str], prefix: str = PREFIX) -> None:
    """Refuses a read whose headers do not fit the stored object."""
    if prefix == PREFIX and get(PREFIX):
        raise OriginError("SSEHeaderNotAllowed")
    try:
        given = customer_key(get, prefix)
    except OriginError:
        raise OriginError("SsecDecryptHeaderInvalid") from None
    if stored.mode == "SSE-C":
        if given is None or given.customer_key_md5 != stored.customer_key_md5:
            raise OriginError("SsecDecryptHeaderInvalid")
    elif given is not None:
        raise OriginError("SSEHeaderNotAllowed")
