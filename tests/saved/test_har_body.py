"""Bodies of HAR entries: digests only where the text is provably the wire's bytes."""

import base64
import gzip
from pathlib import Path

import pytest

from tests.saved.hars import (
    BINARY,
    HOST,
    MEBIBYTES,
    TEXT,
    Entry,
    Reading,
    answer_headers,
    as_base64,
    as_latin1,
    download,
    fields,
    har,
    outcomes,
    rules,
    text,
    upload,
)

NAMELESS = "中文".encode()


LONG = TEXT * 9


GZIPPED = gzip.compress(LONG, mtime=0)


MATCH = {
    "chromium text": download(TEXT, text(TEXT)),
    "chromium base64": download(BINARY, as_base64(BINARY)),
    "firefox base64": download(BINARY, as_base64(BINARY, comment="")),
    "safari without size of the body": download(TEXT, text(TEXT), time="20.5"),
    "charles with null compression": download(BINARY, as_base64(BINARY, compression=None)),
    "fiddler": download(BINARY, as_base64(BINARY), _connectionInfo="", comment="[#1]"),
    "proxyman lines in base64": download(
        BINARY,
        {"encoding": "BASE64", "text": base64.encodebytes(BINARY).decode()},
    ),
    "mitmproxy latin-1": download(BINARY, as_latin1(BINARY)),
    "charset of the header": download(
        "é".encode("iso-8859-1"), {"mimeType": "text/plain; charset=iso-8859-1", "text": "é"}
    ),
    "chromium without a charset": download(
        NAMELESS, {"mimeType": "text/plain", "text": NAMELESS.decode("cp1252")}
    ),
    "large base64": download(MEBIBYTES, as_base64(MEBIBYTES)),
    "large text": download(TEXT * 200_000, text(TEXT * 200_000)),
}


@pytest.mark.parametrize("entry", MATCH.values(), ids=MATCH.keys())
def test_a_download_whose_bytes_are_there(entry: Entry, tmp_path: Path) -> None:
    reading = Reading(tmp_path / "a.har", har([entry]))
    assert not reading.notes
    (report,) = reading.reports
    assert report.verdict == "ok"
    found = outcomes(report, "response")
    assert (found["crc64"], found["etag"], found["content-length"]) == ("match",) * 3


SKIPPED = {
    "decoded gzip": (
        download(GZIPPED, text(LONG), headers=answer_headers(GZIPPED, Content_Encoding="gzip")),
        "re-encoded",
    ),
    "decoded gzip as base64": (
        download(
            GZIPPED, as_base64(LONG), headers=answer_headers(GZIPPED, Content_Encoding="gzip")
        ),
        "re-encoded",
    ),
    "decoded, and Content-Encoding taken away": (download(GZIPPED, as_base64(LONG)), "re-encoded"),
    "charset decoded with loss": (
        download(BINARY, {"text": BINARY.decode("utf-8", "replace"), "size": len(BINARY)}),
        "re-encoded",
    ),
    "replacement characters of the same length": (
        download(b"\xff\xfe\xfd", {"text": "�", "size": 3}),
        "re-encoded",
    ),
    "half of a pair": (download(b"\xff\xfe\xfd", {"text": "\ud83d", "size": 3}), "re-encoded"),
    "byte order mark taken off": (download(b"\xef\xbb\xbfabc", text(b"abc")), "re-encoded"),
    "letters that have two bytes in both": (
        download("Привет".encode("gbk"), {"mimeType": "text/plain; charset=gbk", "text": "Привет"}),
        "re-encoded",
    ),
    "the other order of bytes": (
        download(
            b"\xfe\xff" + "é".encode("utf-16-be"),
            {"mimeType": "text/plain; charset=utf-16", "text": "é"},
        ),
        "re-encoded",
    ),
    "line ends changed": (download(b"a\r\nb", text(b"a\nb")), "re-encoded"),
    "no text": (download(BINARY, {"size": len(BINARY), "mimeType": "image/png"}), "not-captured"),
    "null text": (download(BINARY, {"size": len(BINARY), "text": None}), "not-captured"),
    "empty text, as mitmproxy for what it streamed": (
        download(BINARY, {"size": 0, "text": ""}),
        "not-captured",
    ),
    "null content": (download(BINARY, None), "not-captured"),
    "firefox cut": (
        download(MEBIBYTES, text(b"a" * 99, comment="Response body was truncated")),
        "not-captured",
    ),
    "shorter base64": (download(BINARY, as_base64(BINARY[:100])), "not-captured"),
    "no base64": (download(BINARY, {"encoding": "base64", "text": "%%%"}), "not-captured"),
    "large and no base64": (
        download(BINARY, {"encoding": "base64", "text": "%" * 3_000_000}),
        "not-captured",
    ),
    "http toolkit": (
        download(BINARY, {"size": 9}, _responseBodyStatus="discarded:too-large"),
        "not-captured",
    ),
}


@pytest.mark.parametrize(("entry", "reason"), SKIPPED.values(), ids=SKIPPED.keys())
def test_a_download_whose_bytes_are_not_there(entry: Entry, reason: str, tmp_path: Path) -> None:
    (report,) = Reading(tmp_path / "a.har", har([entry])).reports
    found = outcomes(report, "response")
    assert (found["crc64"], found["etag"]) == (reason, reason)
    assert report.verdict == "ok"


def test_other_bytes_are_a_mismatch(tmp_path: Path) -> None:
    other = BINARY[:-1] + b"\0"
    (report,) = Reading(tmp_path / "a.har", har([download(BINARY, as_base64(other))])).reports
    assert rules(report) == ["crc64-mismatch", "etag-mismatch"]


def test_large_bodies_are_judged_too(tmp_path: Path) -> None:
    other = MEBIBYTES[:-1] + b"\0"
    entries = [download(MEBIBYTES, as_base64(other)), download(BINARY, as_base64(BINARY))]
    wrong, right = Reading(tmp_path / "a.har", har(entries)).reports
    assert rules(wrong) == ["crc64-mismatch", "etag-mismatch"]
    assert rules(right) == []


UPLOADS = {
    "text": (upload(TEXT, {"text": TEXT.decode()}), "match"),
    "binary as latin-1": (upload(BINARY, as_latin1(BINARY)), "match"),
    "base64": (upload(BINARY, as_base64(BINARY)), "match"),
    "surrogates for bytes, as mitmproxy": (
        upload(b"a\xff", {"text": "a\udcff"}),
        "match",
    ),
    "loss": (upload(BINARY, {"text": BINARY.decode("utf-8", "replace")}), "re-encoded"),
    "chromium leaves large ones out": (upload(MEBIBYTES, None), "not-captured"),
    "mitmproxy writes null for what it streamed": (upload(BINARY, {"text": None}), "not-captured"),
    "parameters alone": (upload(TEXT, {"params": [{"name": "a"}]}), "not-captured"),
    "http toolkit": (
        upload(BINARY, None, _requestBodyStatus="discarded:not-decodable"),
        "not-captured",
    ),
}


@pytest.mark.parametrize(("entry", "expected"), UPLOADS.values(), ids=UPLOADS.keys())
def test_uploads(entry: Entry, expected: str, tmp_path: Path) -> None:
    (report,) = Reading(tmp_path / "a.har", har([entry])).reports
    found = outcomes(report, "request")
    assert (found["crc64"], found["etag"], found["content-md5"]) == (expected,) * 3
    assert report.verdict == "ok"


def test_an_error_is_explained_also_where_it_was_decoded(tmp_path: Path) -> None:
    document = "<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"
    entry = download(b"", {"text": document, "size": len(document)})
    entry["response"] |= {
        "status": 404,
        "headers": answer_headers(
            b"x" * 60, Content_Encoding="gzip", ETag="", x_cos_hash_crc64ecma=""
        ),
    }
    (report,) = Reading(tmp_path / "a.har", har([entry])).reports
    assert report.error is not None
    assert report.error.code == "NoSuchKey"


def test_an_error_is_explained_also_in_a_charset_of_two_bytes(tmp_path: Path) -> None:
    document = "<Error><Code>NoSuchKey</Code><Message>没有</Message></Error>"
    wire = document.encode("gbk")
    content = {"text": document, "mimeType": "application/xml; charset=gbk"}
    entry = download(wire, content, headers=answer_headers(wire, ETag="", x_cos_hash_crc64ecma=""))
    entry["response"]["status"] = 404
    (report,) = Reading(tmp_path / "a.har", har([entry])).reports
    assert report.error is not None
    assert (report.error.code, report.error.message) == ("NoSuchKey", "没有")


@pytest.mark.parametrize("size", [None, -1, 9, 90])
def test_base64_whose_length_nothing_tells_may_be_cut(tmp_path: Path, size: int | None) -> None:
    """Of an upload in chunks an exporter has kept the beginning."""
    body = bytes(range(90))
    entry = upload(body, {"text": base64.b64encode(body[:9]).decode(), "encoding": "base64"})
    entry["request"]["headers"] = fields(Host=HOST, Transfer_Encoding="chunked")
    if size is not None:
        entry["request"]["postData"]["size"] = size
    entry["request"]["bodySize"] = -1
    (report,) = Reading(tmp_path / "a.har", har([entry])).reports
    if size == 9:
        assert outcomes(report, "request")["crc64"] == "mismatch"
    else:
        assert outcomes(report, "request")["crc64"] in ("re-encoded", "not-captured")
        assert rules(report) == []
