"""The benchmark's case of many transfers: one session over the parts of interleaved uploads."""

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from cos_inspect.digests import crc64
from cos_inspect.inspection.session import Session
from cos_inspect.model.exchange import Body, Exchange, Request, Response, Timing
from cos_inspect.model.headers import Headers
from tests.end_to_end.harness import HOST
from tests.transfers.build import complete

_BEGIN = 1_600_000_000.0
_SIZE = 1 << 20
_TENTHS = 10
_BAD = 20
RULE = "multipart-crc64-mismatch"


def _md5(upload: int, number: int) -> str:
    return hashlib.md5(b"%d of %d" % (number, upload), usedforsecurity=False).hexdigest()


def _id(upload: int) -> str:
    return f"160000000{upload:08x}"


def _bad_complete(upload: int, parts: int) -> Exchange:
    """COS says another CRC-64 than that of the parts together."""
    listed = [(number, _md5(upload, number)) for number in range(1, parts + 1)]
    key = f"folder/{upload}.bin"
    return complete(f"bad-{upload}", listed, 1, 0.0, key=key, upload=_id(upload))


def _part(flow: int, upload: int, number: int) -> Exchange:
    """An upload of a part, as it would be met on the wire."""
    md5, crc = _md5(upload, number), crc64(b"%d of %d" % (number, upload))
    begin = _BEGIN + flow / 100
    return Exchange(
        flow_id=f"{flow:08x}-0000-0000-0000-000000000000",
        request=Request(
            method="PUT",
            scheme="https",
            host=HOST,
            port=443,
            target=f"/folder/{upload}.bin?partNumber={number}&uploadId={_id(upload)}",
            http_version="HTTP/1.1",
            headers=Headers(
                [
                    ("Host", HOST),
                    ("User-Agent", "cos-python-sdk-v5.1.9.44"),
                    ("Content-Length", str(_SIZE)),
                ]
            ),
            body=Body(size=_SIZE, md5=md5, crc64=crc),
        ),
        response=Response(
            status=200,
            reason="OK",
            http_version="HTTP/1.1",
            headers=Headers(
                [
                    ("Server", "tencent-cos"),
                    ("Content-Length", "0"),
                    ("ETag", f'"{md5}"'),
                    ("x-cos-hash-crc64ecma", str(crc)),
                    ("x-cos-request-id", f"NWY1ZTE3MDBfZDMxNGNjMGFf{flow:08x}"),
                ]
            ),
        ),
        timing=Timing(
            request_start=begin,
            request_end=begin + 0.005,
            response_start=begin + 0.006,
            response_end=begin + 0.007,
        ),
        client_address="127.0.0.1",
    )


def _memory() -> int:
    """Bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def transfers_case(parts: int = 100_000, uploads: int = 1_000) -> dict[str, Any]:
    """CPU per flow of the last tenth against the first, how memory grows between, and whether
    uploads that go wrong at the end are found among all the others."""
    session = Session()
    tenth = max(1, parts // _TENTHS)
    taken, held = [], []
    flow = 0
    for _ in range(_TENTHS):
        exchanges = [
            _part(number, number % uploads, number // uploads + 1)
            for number in range(flow, flow + tenth)
        ]
        flow += tenth
        began = time.process_time()
        for exchange in exchanges:
            session.inspect(exchange)
        taken.append(time.process_time() - began)
        exchanges.clear()
        held.append(_memory())
    bad = range(0, uploads, max(1, uploads // _BAD))
    looks = [session.inspect(_bad_complete(upload, flow // uploads)) for upload in bad]
    found = sum(
        look is not None and RULE in {finding.rule for finding in look.report.findings}
        for look in looks
    )
    began = time.process_time()
    transfers = len(session.close().transfers)
    return {
        "case": f"{flow} parts of {uploads} uploads",
        "CPU us per flow, first tenth": round(taken[0] / tenth * 1e6),
        "CPU per flow, last tenth to first": round(taken[-1] / taken[0], 3),
        "bytes per part": round((held[-1] - held[0]) / (flow - tenth)),
        "transfers in the summary": transfers,
        "bad uploads found": f"{found} of {len(looks)}",
        "CPU ms of the summary": round((time.process_time() - began) * 1000),
    }


if __name__ == "__main__":
    print(transfers_case(*map(int, sys.argv[1:])))
