"""Server-side encryption as headers (or form fields) tell of it.

COS documents three kinds: SSE-COS and SSE-KMS share one header that names
``AES256``, ``SM4`` or ``cos/kms``; SSE-C has a set of three whose key is never
echoed. The words stand in ``tables/sse_algorithms.tsv``.
The English page on common response headers shows SSE-KMS as a customer
algorithm and a KMS key id without the shared header; that form is read as
SSE-KMS too. S3 clients send the same under ``x-amz-`` names.
"""

import binascii
import hashlib
from functools import cache
from typing import Literal, cast

import msgspec

from cos_inspect.cos.tables import rows
from cos_inspect.model.flow_report import Side, SseMode
from cos_inspect.model.headers import Headers
from cos_inspect.model.masks import is_masked

Anomaly = Literal["unknown-algorithm", "conflict", "incomplete", "contradictory"]
EtagForm = Literal["md5", "other", "unknown"]
"""Whether an encryption leaves the ETag the MD5 of the plain bytes."""

_SSE = ("x-cos-server-side-encryption", "x-amz-server-side-encryption")
_CUSTOMER = tuple(f"{name}-customer" for name in _SSE)
_COPY_SOURCE_CUSTOMER = tuple(
    f"{family}-copy-source-server-side-encryption-customer" for family in ("x-cos", "x-amz")
)
_KMS_KEY_ID = (
    "x-cos-server-side-encryption-cos-kms-key-id",
    "x-amz-server-side-encryption-aws-kms-key-id",
    # Left over in the Java and PHP SDKs.
    "x-cos-server-side-encryption-qcloud-kms-key-id",
    "x-cos-server-side-encryption-aws-kms-key-id",
)
_NAMES = frozenset(
    {
        *_SSE,
        *_KMS_KEY_ID,
        *(f"{name}-{part}" for name in _CUSTOMER for part in ("algorithm", "key", "key-md5")),
    }
)
_KEY_BYTES = 32
_MAX_KEY_TEXT = 4096


class Encryption(msgspec.Struct, frozen=True, kw_only=True):
    """What one message says about the encryption of its object."""

    mode: SseMode = "none"
    """With an anomaly: the likelier reading."""
    algorithm: str | None = None
    """As sent: ``AES256``, ``cos/kms`` …"""
    kms_key_id: str | None = None
    customer_key_md5: str | None = None
    """Base64, as sent."""
    customer_key_sent: bool = False
    """The SSE-C key itself stands in the message."""
    anomaly: Anomaly | None = None
    detail: str | None = None
    """The anomaly in words."""
    etag: EtagForm = "md5"
    """What the ETag is under this encryption."""


NONE = Encryption()


class CustomerKey(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said of an SSE-C key without keeping it."""

    key_valid: bool
    """Base64 of 32 bytes."""
    problem: str | None = None
    """What is wrong with the key, such as ``31 bytes, not 32``; None also where it was masked
    before it was recorded."""
    computed_md5: str | None = None
    """Base64 of the MD5 of the decoded key; None when it is not base64."""
    sent_md5: str | None = None


def read_encryption(headers: Headers, side: Side = "response") -> Encryption:
    """The encryption that headers ask for or confirm; form fields may be passed as headers.

    ``side`` matters only for SSE-C: a request needs the key, an answer never has it.
    """
    if _NAMES.isdisjoint(headers.names()):
        return NONE
    algorithm = _first(headers, _SSE)
    kms_key_id = _first(headers, _KMS_KEY_ID)
    customer = _customer_set(headers, _CUSTOMER, side)
    # The form of the English page: a customer algorithm that only says KMS, or that
    # comes with a KMS key id and nothing else of SSE-C.
    if (
        customer is not None
        and customer.customer_key_md5 is None
        and not customer.customer_key_sent
    ):
        kms_word = _mode(customer.algorithm, "customer") == "SSE-KMS"
        if algorithm is None and (kms_key_id is not None or kms_word):
            return Encryption(
                mode="SSE-KMS",
                algorithm=customer.algorithm,
                kms_key_id=kms_key_id,
                etag="other",
            )
        if kms_word and _mode(algorithm) == "SSE-KMS":
            customer = None
    if algorithm is None:
        return _without_shared_header(kms_key_id, customer)
    shared = _shared(headers, algorithm, kms_key_id)
    if customer is None:
        return shared
    return msgspec.structs.replace(
        shared,
        customer_key_md5=customer.customer_key_md5,
        customer_key_sent=customer.customer_key_sent,
        anomaly="conflict",
        detail=f"headers of {shared.mode} and of SSE-C together",
    )


def read_copy_source_encryption(headers: Headers) -> Encryption:
    """The SSE-C set with which a copy's source is to be read; mode ``none`` without one."""
    return _customer_set(headers, _COPY_SOURCE_CUSTOMER, "request") or NONE


def read_customer_key(headers: Headers, *, copy_source: bool = False) -> CustomerKey | None:
    """The SSE-C key of a request, or that of its copy source, checked; None without a key."""
    names = _COPY_SOURCE_CUSTOMER if copy_source else _CUSTOMER
    text = _first(headers, tuple(f"{name}-key" for name in names))
    if text is None:
        return None
    sent_md5 = _first(headers, tuple(f"{name}-key-md5" for name in names))
    if len(text) > _MAX_KEY_TEXT:
        return CustomerKey(key_valid=False, problem="far too long", sent_md5=sent_md5)
    if is_masked(text):
        return CustomerKey(key_valid=False, sent_md5=sent_md5)
    try:
        key = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError:
        return CustomerKey(key_valid=False, problem="not base64", sent_md5=sent_md5)
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    valid = len(key) == _KEY_BYTES
    return CustomerKey(
        key_valid=valid,
        problem=None if valid else f"{len(key)} bytes, not {_KEY_BYTES}",
        computed_md5=binascii.b2a_base64(digest, newline=False).decode("ascii"),
        sent_md5=sent_md5,
    )


def _first(headers: Headers, names: tuple[str, ...]) -> str | None:
    """The first value that is not empty, in the order of the names."""
    for name in names:
        value = headers.get(name)
        if value and (value := value.strip()):
            return value
    return None


class _Word(msgspec.Struct, frozen=True):
    mode: SseMode
    etag: EtagForm


@cache
def _words() -> dict[tuple[str, str], _Word]:
    """By the header that takes it, ``cos``, ``amz`` or ``customer``, and the word."""
    return {
        (header, row["word"]): _Word(cast(SseMode, row["mode"]), cast(EtagForm, row["etag"]))
        for row in rows("sse_algorithms")
        for header in row["header"].split(",")
    }


def _mode(algorithm: str | None, header: str = "amz") -> SseMode:
    """The mode that an algorithm belongs to; of one that is not known the likelier one."""
    if algorithm is None:
        return "none"
    known = _words().get((header, algorithm.lower()))
    if known is not None:
        return known.mode
    if header == "customer":
        return "SSE-C"
    return "SSE-KMS" if "kms" in algorithm.lower() else "SSE-COS"


def _shared(headers: Headers, algorithm: str, kms_key_id: str | None) -> Encryption:
    """The reading of the header that SSE-COS and SSE-KMS share."""
    mode = _mode(algorithm)
    anomaly: Anomaly | None = None
    detail = None
    # The words of S3 are right under the name of S3 only.
    cos, amz = _first(headers, _SSE[:1]), _first(headers, _SSE[1:])
    known = _words().get(("cos" if cos else "amz", algorithm.lower()))
    etag: EtagForm = known.etag if known else "unknown"
    unknown = algorithm if known is None else None
    if cos and amz and unknown is None and ("amz", amz.lower()) not in _words():
        unknown = amz
    if unknown is not None:
        anomaly, detail = "unknown-algorithm", f"{unknown[:64]!r} is no documented encryption"
    elif amz is not None and _mode(amz) != mode:
        anomaly, detail = "conflict", "the x-cos and the x-amz header ask for different kinds"
    elif mode == "SSE-COS" and kms_key_id is not None:
        mode, etag = "SSE-KMS", "other"
        anomaly, detail = "contradictory", f"{algorithm} (SSE-COS) with a KMS key id"
    return Encryption(
        mode=mode,
        algorithm=algorithm,
        kms_key_id=kms_key_id,
        anomaly=anomaly,
        detail=detail,
        etag=etag,
    )


def _without_shared_header(kms_key_id: str | None, customer: Encryption | None) -> Encryption:
    if customer is None:
        if kms_key_id is None:
            return NONE
        return Encryption(mode="SSE-KMS", kms_key_id=kms_key_id, etag="other")
    if kms_key_id is None:
        return customer
    return msgspec.structs.replace(
        customer,
        kms_key_id=kms_key_id,
        anomaly="conflict",
        detail="a KMS key id together with headers of SSE-C",
    )


def _customer_set(headers: Headers, names: tuple[str, ...], side: Side) -> Encryption | None:
    """The SSE-C set under one of the names; None when nothing of it is there."""
    algorithm = _first(headers, tuple(f"{name}-algorithm" for name in names))
    key_md5 = _first(headers, tuple(f"{name}-key-md5" for name in names))
    key_sent = _first(headers, tuple(f"{name}-key" for name in names)) is not None
    if algorithm is None and key_md5 is None and not key_sent:
        return None
    missing = []
    if algorithm is None:
        missing.append("algorithm")
    if side == "request" and not key_sent:
        missing.append("key")
    if key_md5 is None:
        missing.append("key MD5")
    anomaly: Anomaly | None = None
    detail = None
    if missing:
        anomaly, detail = "incomplete", f"SSE-C without {' and '.join(missing)}"
    elif _mode(algorithm, "customer") == "SSE-KMS":
        anomaly, detail = "conflict", f"{algorithm} (SSE-KMS) with a key of SSE-C"
    elif algorithm is not None and ("customer", algorithm.lower()) not in _words():
        anomaly = "unknown-algorithm"
        detail = f"{algorithm[:64]!r} is no documented algorithm of SSE-C"
    return Encryption(
        mode="SSE-C",
        algorithm=algorithm,
        customer_key_md5=key_md5,
        customer_key_sent=key_sent,
        anomaly=anomaly,
        detail=detail,
        etag="other",
    )
