"""Exchanges as COS and its clients make them; digests by hashlib and crcmod, not by us."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import crcmod

from cos_inspect.cos.cos_exchange import read_exchange
from cos_inspect.model.exchange import EMPTY_BODY, Body, BodyEnd, Exchange, Timing
from cos_inspect.model.exchange import Request as ExchangeRequest
from cos_inspect.model.exchange import Response as ExchangeResponse
from cos_inspect.model.headers import Headers
from cos_inspect.transfers.observation import Observation
from cos_inspect.transfers.observe import observe

BUCKET = "examplebucket-1250000000"
HOST = f"{BUCKET}.cos.ap-guangzhou.myqcloud.com"
OTHER_HOST = f"{BUCKET}.cos.ap-guangzhou.tencentcos.cn"
UPLOAD = "1585130821cbb7df1d11846c073ad648e8f33b087cec2381df437acdc833cf654b9ecc6361"
START = 1_763_770_000.0
MIB = 1024 * 1024

crc64 = cast(
    Callable[[bytes], int],
    crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, rev=True, xorOut=0xFFFFFFFFFFFFFFFF),
)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def body_of(data: bytes, *, sample: bool = False, end: BodyEnd = BodyEnd.COMPLETE) -> Body:
    return Body(
        end=end,
        size=len(data),
        md5=md5(data) if end is BodyEnd.COMPLETE else None,
        crc64=crc64(data),
        sample=data if sample else None,
        sample_is_whole=sample and end is BodyEnd.COMPLETE,
    )


def exchange(
    flow_id: str,
    method: str,
    target: str,
    at: float,
    *,
    status: int | None = 200,
    sent: dict[str, str] | None = None,
    answered: dict[str, str] | None = None,
    body: Body = EMPTY_BODY,
    answer: Body = EMPTY_BODY,
    took: float = 0.1,
    wait: float | None = None,
    host: str = HOST,
    client: str = "10.0.0.7",
    error: str | None = None,
    from_cos: bool = True,
) -> Exchange:
    """``at``: seconds after a fixed start; ``wait``: until the answer's headers."""
    begin = START + at
    headers = {"Host": host, "User-Agent": "cos-python-sdk-v5.1.9.44"}
    if body.size:
        headers["Content-Length"] = str(body.size)
    headers |= sent or {}
    request_id = base64.b64encode(f"{int(begin):x}_64b82a09_1bc_1".encode()).decode()
    marks = {"Server": "tencent-cos", "x-cos-request-id": request_id} if from_cos else {}
    half = begin + took / 2
    return Exchange(
        flow_id=flow_id,
        request=ExchangeRequest(
            method=method,
            scheme="https",
            host=host,
            port=443,
            target=target,
            http_version="HTTP/1.1",
            headers=Headers(headers.items()),
            body=body,
        ),
        response=None
        if status is None
        else ExchangeResponse(
            status=status,
            reason="",
            http_version="HTTP/1.1",
            headers=Headers((marks | (answered or {})).items()),
            body=answer,
        ),
        timing=Timing(
            request_start=begin,
            request_end=half,
            response_start=None if status is None else half + (wait or 0.0),
            response_end=begin + took + (wait or 0.0),
        ),
        error=error,
        client_address=client,
    )


def seen(one: Exchange) -> Observation:
    cos = read_exchange(one)
    assert cos is not None
    return observe(cos)


def failure(status: int, code: str, message: str = "m") -> dict[str, Any]:
    """Keyword arguments of an answer that is an error."""
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return {"status": status, "answer": body_of(text, sample=True)}


def put(flow_id: str, data: bytes, at: float, *, key: str = "a", **more: Any) -> Exchange:
    arguments: dict[str, Any] = {
        "body": body_of(data),
        "answered": {"ETag": f'"{md5(data)}"', "x-cos-hash-crc64ecma": str(crc64(data))},
    }
    return exchange(flow_id, "PUT", f"/{key}", at, **(arguments | more))


def initiate(flow_id: str, at: float = 0.0, *, key: str = "a", **more: Any) -> Exchange:
    text = (
        f"<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{key}</Key>"
        f"<UploadId>{UPLOAD}</UploadId></InitiateMultipartUploadResult>"
    ).encode()
    arguments: dict[str, Any] = {"answer": body_of(text, sample=True)}
    return exchange(flow_id, "POST", f"/{key}?uploads", at, **(arguments | more))


def part(
    flow_id: str,
    number: int,
    data: bytes,
    at: float,
    *,
    key: str = "a",
    upload: str = UPLOAD,
    **more: Any,
) -> Exchange:
    arguments: dict[str, Any] = {
        "body": body_of(data),
        "answered": {"ETag": f'"{md5(data)}"', "x-cos-hash-crc64ecma": str(crc64(data))},
    }
    target = f"/{key}?partNumber={number}&uploadId={upload}"
    return exchange(flow_id, "PUT", target, at, **(arguments | more))


def part_list(parts: Sequence[tuple[int, str]]) -> bytes:
    listed = "".join(
        f'<Part><PartNumber>{number}</PartNumber><ETag>"{etag}"</ETag></Part>'
        for number, etag in parts
    )
    return f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()


def complete(
    flow_id: str,
    parts: Sequence[tuple[int, str]],
    whole: int | None,
    at: float,
    *,
    key: str = "a",
    upload: str = UPLOAD,
    count: int | None = None,
    **more: Any,
) -> Exchange:
    """``whole``: the CRC-64 that COS tells; ``count``: the N of its ETag."""
    count = len(parts) if count is None else count
    result = (
        "<CompleteMultipartUploadResult><ETag>&quot;"
        f"{md5(b'x')}-{count}&quot;</ETag></CompleteMultipartUploadResult>"
    )
    arguments: dict[str, Any] = {
        "body": body_of(part_list(parts), sample=True),
        "answer": body_of(result.encode(), sample=True),
        "answered": {} if whole is None else {"x-cos-hash-crc64ecma": str(whole)},
    }
    return exchange(flow_id, "POST", f"/{key}?uploadId={upload}", at, **(arguments | more))


def upload_of(chunks: Sequence[bytes], *, key: str = "a", upload: str = UPLOAD) -> list[Exchange]:
    """A clean upload, one part after the other."""
    prefix = f"{key}-{upload[:6]}"
    flows = [
        part(f"{prefix}-p{number}", number, data, float(number), key=key, upload=upload)
        for number, data in enumerate(chunks, 1)
    ]
    listed = [(number, md5(data)) for number, data in enumerate(chunks, 1)]
    whole = crc64(b"".join(chunks))
    return [
        *flows,
        complete(f"{prefix}-done", listed, whole, len(chunks) + 1.0, key=key, upload=upload),
    ]


def list_parts(
    parts: Sequence[tuple[int, str, int]], at: float, *, flow_id: str = "list"
) -> Exchange:
    """``parts``: number, ETag and size of each that COS has."""
    told = "".join(
        f"<Part><PartNumber>{number}</PartNumber><LastModified>x</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size></Part>"
        for number, etag, size in parts
    )
    text = f"<ListPartsResult><UploadId>{UPLOAD}</UploadId>{told}</ListPartsResult>".encode()
    return exchange(flow_id, "GET", f"/a?uploadId={UPLOAD}", at, answer=body_of(text, sample=True))


def ranged(
    flow_id: str,
    data: bytes,
    first: int,
    end: int,
    at: float,
    *,
    key: str = "a",
    got: bytes | None = None,
    cut_at: int | None = None,
    **more: Any,
) -> Exchange:
    """Bytes ``first`` up to ``end`` of ``data``; ``got``: what came instead."""
    piece = data[first:end] if got is None else got
    end_of_body = BodyEnd.COMPLETE
    if cut_at is not None:
        piece, end_of_body = piece[:cut_at], BodyEnd.CUT
    arguments: dict[str, Any] = {
        "status": 206,
        "sent": {"Range": f"bytes={first}-{end - 1}"},
        "answered": {
            "ETag": f'"{md5(data)}"',
            "x-cos-hash-crc64ecma": str(crc64(data)),
            "Content-Range": f"bytes {first}-{end - 1}/{len(data)}",
            "Content-Length": str(end - first),
        },
        "answer": body_of(piece, end=end_of_body),
    }
    return exchange(flow_id, "GET", f"/{key}", at, **(arguments | more))


def get(flow_id: str, data: bytes, at: float, *, key: str = "a", **more: Any) -> Exchange:
    arguments: dict[str, Any] = {
        "answered": {
            "ETag": f'"{md5(data)}"',
            "x-cos-hash-crc64ecma": str(crc64(data)),
            "Content-Length": str(len(data)),
        },
        "answer": body_of(data),
    }
    return exchange(flow_id, "GET", f"/{key}", at, **(arguments | more))


def append(
    flow_id: str,
    data: bytes,
    position: int,
    at: float,
    *,
    whole: bytes | None = None,
    **more: Any,
) -> Exchange:
    """``whole``: the object after it, of which COS tells the CRC-64."""
    answered = {
        "ETag": f'"{md5(data)}"',
        "x-cos-next-append-position": str(position + len(data)),
    }
    if whole is not None:
        answered["x-cos-hash-crc64ecma"] = str(crc64(whole))
    arguments: dict[str, Any] = {"body": body_of(data), "answered": answered}
    return exchange(flow_id, "POST", f"/log?append&position={position}", at, **(arguments | more))
