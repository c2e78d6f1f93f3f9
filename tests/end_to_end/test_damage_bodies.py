"""Bodies and their headers are damaged on the way: what is found, and on which flow."""

import base64
import hashlib
from collections.abc import Iterator

import pytest

from tests.end_to_end.harness import BUCKET, checks
from tests.end_to_end.lab import CRC, Case, Lab, Send, case, evidence, found, get, provoke, put
from tests.origin.content import Repeated
from tests.origin.damage import flip_upload
from tests.origin.effects import (
    add_header,
    chunked,
    drop_headers,
    etag_unquoted,
    etag_upper_case,
    flip_body,
    gzip_body,
    set_header,
    truncate,
    wrong_crc,
    wrong_etag,
)
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

BIG = bytes(range(256)) * 6000
"""1.5 MB, so that it is streamed."""
OTHER_MD5 = base64.b64encode(hashlib.md5(b"another buffer").digest()).decode()
HEX_MD5 = hashlib.md5(b"[Object Content]").hexdigest()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Origin() as origin, Lab(origin, tmp_path_factory.mktemp("bodies")) as made:
        yield made
        assert not origin.faults
        assert "Traceback" not in made.output


def append(lab: Lab, name: str) -> None:
    lab.send("POST", name, query="?append&position=0", data=b"[Object Content]")


def head(lab: Lab, name: str) -> None:
    lab.origin.put_object(BUCKET, name, b"[Object Content]")
    lab.send("HEAD", name)


def cut_upload(announced: str, sent: bytes) -> Send:
    """A client that goes away inside its upload."""

    def send(lab: Lab, name: str) -> None:
        with lab.raw(f"PUT /{name}\n{announced}") as connection:
            connection.sendall(sent)

    return send


def two_content_types(lab: Lab, name: str) -> None:
    fields = "Content-Length: 2\nContent-Type: text/plain\nContent-Type: image/png"
    with lab.raw(f"PUT /{name}\n{fields}\nConnection: close") as connection:
        connection.sendall(b"ab")
        while connection.recv(65536):
            pass


BOTH = "crc64-mismatch error, etag-mismatch error"
CASES: list[Case] = [
    case("down-flipped", get(), BOTH, flip_body(3)),
    case("down-flipped-big", get(BIG), BOTH, flip_body(-1)),
    case("down-flipped-chunked", get(BIG), BOTH, chunked(), flip_body(700_000)),
    case("down-flipped-multipart", get(etag="a" * 32 + "-2"), "crc64-mismatch error", flip_body()),
    case("down-flipped-old", get(hashed=False), "etag-mismatch error", flip_body()),
    case("up-flipped", put(), BOTH, flip_upload(5)),
    case("up-flipped-big", put(BIG), BOTH, flip_upload(1_400_000)),
    case(
        "append-flipped",
        append,
        "crc64-mismatch error, append-md5-mismatch error",
        flip_upload(),
    ),
    case(
        "append-other-digest",
        append,
        "append-md5-mismatch error",
        set_header("x-cos-content-sha1", "22e024392de860289f0baa7d6cf8a549"),
    ),
    case("append-sha1", append, "", set_header("x-cos-content-sha1", "28" * 20)),
    case("down-wrong-etag", get(), "etag-mismatch warning", wrong_etag()),
    case("up-wrong-etag", put(), "etag-mismatch warning", wrong_etag()),
    case("down-wrong-crc", get(), "crc64-mismatch error", wrong_crc()),
    case("up-wrong-crc", put(BIG), "crc64-mismatch error", wrong_crc(2**64 - 1)),
    case("down-gzip-unasked", get(), BOTH, gzip_body()),
    case(
        "up-other-md5",
        put(headers={"Content-MD5": OTHER_MD5}),
        "content-md5-mismatch error, error-response warning",
    ),
    case(
        "up-other-md5-big",
        put(BIG, {"Content-MD5": OTHER_MD5}),
        "content-md5-mismatch error, error-response warning",
    ),
    case("down-cut", get(), "body-truncated error", truncate(7)),
    case("down-cut-at-once", get(), "body-truncated error", truncate(0)),
    case("down-cut-big", get(BIG), "body-truncated error", truncate(1_100_000)),
    case("down-reset-big", get(BIG), "body-truncated error", truncate(1_100_000, by_reset=True)),
    case("down-cut-chunked", get(BIG), "body-truncated error", chunked(), truncate(600_000)),
    case("up-cut", cut_upload("Content-Length: 1000", b"a" * 500), "body-truncated warning"),
    case(
        "up-cut-big",
        cut_upload("Content-Length: 3000000", b"a" * 900_000),
        "body-truncated warning",
    ),
    case(
        "up-cut-chunked",
        cut_upload("Transfer-Encoding: chunked", b"4\r\nabcd\r\n8\r\nab"),
        "body-truncated warning",
    ),
    case("up-no-crc", put(), "crc64-missing notice", drop_headers(CRC)),
    case("up-no-etag", put(), "etag-missing notice", drop_headers("ETag")),
    case("down-no-etag", get(), "etag-missing notice", drop_headers("ETag")),
    case("head-no-etag", head, "etag-missing notice", drop_headers("ETag")),
    case("down-no-crc", get(), "", drop_headers(CRC)),
    case("up-etag-unquoted", put(), "header-malformed warning", etag_unquoted()),
    case("down-etag-upper-case", get(), "header-malformed warning", etag_upper_case()),
    case("down-date-odd", get(), "header-malformed warning", set_header("Date", "yesterday")),
    case("up-acl-odd", put(headers={"x-cos-acl": "everybody"}), "header-malformed warning"),
    case(
        "down-two-etags",
        get(),
        "header-duplicated warning",
        add_header("ETag", f'"{"0" * 32}"'),
    ),
    case("down-same-etag-twice", get(), "", add_header("ETag", f'"{HEX_MD5}"')),
    case(
        "up-not-processed",
        put(headers={"Pic-Operations": '{"is_pic_info": 1}'}),
        "processing-not-applied warning",
    ),
    case("up-escaped%3D照片%20twice", put(), ""),
    case("up-escaped%3Dtwice%20over", put(), "key-escaped-twice notice"),
    case(
        "down-forced.png",
        get(),
        "forced-download notice",
        set_header("Content-Disposition", "attachment"),
        set_header("x-cos-force-download", "true"),
    ),
    case("down-without-type.html", get(), "forced-download notice"),
    case("down-typed.html", get(), "", set_header("Content-Type", "text/html")),
    case("up-two-types", two_content_types, "header-duplicated warning"),
]


@pytest.mark.parametrize("given", CASES, ids=lambda given: given.name)
def test_damage_is_found_on_its_flow(lab: Lab, given: Case) -> None:
    provoke(lab, given)


def test_flipped_part_is_found(lab: Lab) -> None:
    name = "part-flipped"
    client = lab.client()
    upload_id = client.create_multipart_upload(BUCKET, name)["UploadId"]
    lab.damage(name, flip_upload(1))
    client.upload_part(BUCKET, name, b"[Part]", 1, upload_id)
    report = lab.report_on(name, "UploadPart")
    assert found(report) == {"crc64-mismatch error", "etag-mismatch error"}
    assert found(lab.report_on(name, "InitiateMultipartUpload")) == frozenset()


def test_mismatch_names_what_was_expected_and_what_came(lab: Lab) -> None:
    name = "evidence-of-mismatch"
    body = provoke(lab, case(name, get(), BOTH, flip_body()))
    stored = lab.origin.stored(BUCKET, name)
    (crc,) = evidence(body, "crc64-mismatch")
    assert crc["expected"] == str(stored.crc64)
    assert crc["actual"] == body["response"]["body"]["crc64ecma"] != crc["expected"]
    (etag,) = evidence(body, "etag-mismatch")
    assert etag["expected"] == f'"{HEX_MD5}"'
    flipped = bytes([b"["[0] ^ 0xFF]) + b"Object Content]"
    assert etag["actual"] == f'"{hashlib.md5(flipped).hexdigest()}"'


def test_hex_in_content_md5_is_told(lab: Lab) -> None:
    name = "up-hex-md5"
    lab.send("PUT", name, data=b"[Object Content]", headers={"Content-MD5": HEX_MD5})
    report = lab.report_on(name)
    assert found(report) == {"error-response warning", "header-malformed warning"}


@pytest.mark.parametrize(
    ("name", "announced", "came"),
    [("cut-facts-small", 16, 7), ("cut-facts-big", 1_536_000, 1_100_000)],
)
def test_cut_download_tells_how_much_came(lab: Lab, name: str, announced: int, came: int) -> None:
    body = b"[Object Content]" if announced == 16 else BIG
    report = provoke(lab, case(name, get(body), "body-truncated error", truncate(came)))
    (facts,) = evidence(report, "body-truncated")
    assert facts["expected"] == str(announced)
    # mitmproxy throws away what it kept of a body that breaks off; only taps have counted it.
    assert facts["actual"] == came
    assert report["response"]["body"]["complete"] is False
    assert checks(report)["crc64", "response"] == "incomplete"


def test_cut_upload_tells_how_much_was_sent(lab: Lab) -> None:
    name = "cut-upload-facts"
    cut_upload("Content-Length: 3000000", b"a" * 900_000)(lab, name)
    report = lab.report_on(name)
    (facts,) = evidence(report, "body-truncated")
    assert (facts["body"], facts["expected"]) == ("request", "3000000")
    assert 0 < facts["actual"] <= 900_000
    assert report["response"] is None
    assert checks(report)["content-length", "request"] in ("mismatch", "incomplete")


def test_download_of_a_repeated_pattern_is_clean(lab: Lab) -> None:
    name = "undamaged"
    content = Repeated(b"0123456789abcdef", 3_000_001)
    lab.origin.put_object(BUCKET, name, content)
    assert len(lab.send("GET", name).content) == 3_000_001
    report = lab.report_on(name)
    assert found(report) == frozenset()
    assert checks(report)["crc64", "response"] == checks(report)["etag", "response"] == "match"
