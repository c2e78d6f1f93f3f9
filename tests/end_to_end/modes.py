"""The same traffic for every mode that mitmproxy has, and what its reports must say."""

import random
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import httpx
import pytest
import urllib3.exceptions
from qcloud_cos import CosConfig, CosS3Client

from tests.end_to_end.harness import BUCKET, HOST, REGION, SECRET_ID, SECRET_KEY, Report, checks
from tests.end_to_end.lab import found
from tests.origin.client_http3 import Call, send_http3
from tests.origin.damage import Damage, Effect, key
from tests.origin.effects import flip_body, truncate, wrong_crc
from tests.origin.server import Origin

MIB = 1 << 20
SMALL = b"[Object Content]"
LARGE = random.Random(7).randbytes(MIB + 300_077)
"""More than ``cos_stream``, so that it is checked as it passes."""
FLIPPED_AT = MIB + 5
CUT_AFTER = MIB + 200_000

UPLOADED = {("content-length", "request"), ("etag", "request"), ("crc64", "request")}
DOWNLOADED = {("content-length", "response"), ("etag", "response"), ("crc64", "response")}


class Store(Protocol):
    """A client of COS."""

    def put(self, name: str, data: bytes) -> None:
        """Raises where the upload is refused."""

    def get(self, name: str) -> bytes:
        """What came, also where it broke off."""


class Sdk:
    """The Python SDK, which does not try again. ``CosConfig`` gets the settings."""

    def __init__(self, ca_pem: str, **settings: Any) -> None:
        self.client = CosS3Client(
            CosConfig(
                **{
                    "Region": REGION,
                    "SecretId": SECRET_ID,
                    "SecretKey": SECRET_KEY,
                    "Scheme": "https",
                    "VerifySSL": ca_pem,
                    **settings,
                }
            )
        )
        self.client._retry = 0

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object(BUCKET, data, name)

    def get(self, name: str) -> bytes:
        stream = self.client.get_object(BUCKET, name)["Body"].get_raw_stream()
        came = b""
        try:
            while piece := stream.read(65536):
                came += piece
        except urllib3.exceptions.HTTPError:
            pass
        return came


class Http2:
    """A client that speaks HTTP/2 alone."""

    def __init__(self, ca_pem: str, proxy: str) -> None:
        self._client = httpx.Client(
            http1=False,
            http2=True,
            proxy=proxy,
            verify=httpx.create_ssl_context(verify=ca_pem),
            timeout=30,
            headers={"User-Agent": "modes/1"},
        )

    def close(self) -> None:
        self._client.close()

    def put(self, name: str, data: bytes) -> None:
        answer = self._client.put(f"https://{HOST}/{name}", content=data)
        answer.raise_for_status()
        assert answer.http_version == "HTTP/2"

    def get(self, name: str) -> bytes:
        came = b""
        with self._client.stream("GET", f"https://{HOST}/{name}") as answer:
            try:
                for piece in answer.iter_raw():
                    came += piece
            except httpx.RemoteProtocolError:
                pass
        return came


class Http3:
    """A connection for each request. There is no HEAD in it: mitmproxy fails at that over
    HTTP/3, with and without an addon."""

    def __init__(self, ca_pem: str, port: int) -> None:
        self._ca_pem = ca_pem
        self._port = port

    def _send(self, call: Call) -> tuple[int, bytes]:
        (came,) = send_http3(self._port, HOST, self._ca_pem, call)
        return came.status, bytes(came.body)

    def put(self, name: str, data: bytes) -> None:
        status, _ = self._send(Call("PUT", f"/{name}", data, {"user-agent": "modes/1"}))
        assert status == 200

    def get(self, name: str) -> bytes:
        status, body = self._send(Call("GET", f"/{name}", b"", {"user-agent": "modes/1"}))
        assert status == 200
        return body


def exercise(origin: Origin, store: Store, folder: str = "mode") -> None:
    """Sends clean traffic and three kinds of damage. Every byte arrives as it was sent."""

    def damage(name: str, effect: Effect) -> str:
        origin.damage(Damage(effect, when=key(f"{folder}/{name}")))
        return f"{folder}/{name}"

    for name, data in ((f"{folder}/small", SMALL), (f"{folder}/large", LARGE)):
        store.put(name, data)
        assert origin.get_object(BUCKET, name) == data
        assert store.get(name) == data
    flipped = damage("flipped", flip_body(FLIPPED_AT))
    origin.put_object(BUCKET, flipped, LARGE)
    wrong = bytearray(LARGE)
    wrong[FLIPPED_AT] ^= 0xFF
    assert store.get(flipped) == wrong
    store.put(damage("crc", wrong_crc()), SMALL)
    cut = damage("cut", truncate(CUT_AFTER))
    origin.put_object(BUCKET, cut, LARGE)
    came = store.get(cut)
    assert len(came) <= CUT_AFTER
    assert LARGE.startswith(came)


def judge(
    origin: Origin,
    reports: Sequence[Report],
    *folders: str,
    bucket: str | None = BUCKET,
) -> None:
    """Everything that ``exercise`` sent into these folders was recognised, checked and judged
    rightly, and nothing else is reported. ``bucket`` is None where no host names it."""
    for folder in folders or ("mode",):
        _judge_folder(reports, folder, bucket)
    assert {report["ids"]["request_id"] for report in reports} == {
        record.request_id for record in origin.requests
    }


def _judge_folder(reports: Sequence[Report], folder: str, bucket: str | None) -> None:
    told = {
        (report["cos"]["key"], report["cos"]["operation"]): report
        for report in reports
        if (report["cos"]["key"] or "").startswith(f"{folder}/")
    }
    expected = {
        ("small", "PutObject"): (UPLOADED, ""),
        ("small", "GetObject"): (DOWNLOADED, ""),
        ("large", "PutObject"): (UPLOADED, ""),
        ("large", "GetObject"): (DOWNLOADED, ""),
        ("flipped", "GetObject"): (set(), "crc64-mismatch error, etag-mismatch error"),
        ("crc", "PutObject"): (set(), "crc64-mismatch error"),
        ("cut", "GetObject"): (set(), "body-truncated error"),
    }
    assert {(name.removeprefix(f"{folder}/"), verb) for name, verb in told} == set(expected)
    for (name, verb), (matching, findings) in expected.items():
        report = told[f"{folder}/{name}", verb]
        wanted = frozenset(findings.split(", ") if findings else ())
        assert accusations(report) == wanted, (name, verb, report["findings"])
        matched = {check for check, status in checks(report).items() if status == "match"}
        assert matched >= matching, (name, verb, checks(report))
        assert report["cos"]["bucket"] == bucket


def accusations(report: Report) -> frozenset[str]:
    """Findings but for slowness, which is true of a machine that is busy."""
    return found(report) - {"slow-transfer notice"}


@contextmanager
def all_names_are(address: str) -> Iterator[None]:
    """In this process every host name leads to one address."""
    true: Callable[..., Any] = socket.getaddrinfo

    def lookup(host: Any, *given: Any, **named: Any) -> Any:
        is_name = isinstance(host, str) and not host.replace(".", "").isdigit()
        return true(address if is_name else host, *given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lookup)
        yield
