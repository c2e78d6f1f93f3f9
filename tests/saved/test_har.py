"""HAR in the dialects of its exporters: right verdicts, and never a false mismatch."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures import captured_flow as saved
from cos_inspect.captures import har_entries
from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.har import HarFile
from cos_inspect.captures.source import Stream
from cos_inspect.model.exchange import BodyEnd
from tests.saved.hars import (
    BINARY,
    HOST,
    MEBIBYTES,
    TEXT,
    URL,
    Reading,
    as_base64,
    download,
    har,
    outcomes,
    rules,
    text,
    upload,
)


def test_no_answer(tmp_path: Path) -> None:
    entry = download(b"", {})
    entry["response"] = {"status": 0, "headers": [], "content": {}, "_error": "net::ERR_TIMED_OUT"}
    (report,) = Reading(tmp_path / "a.har", har([entry])).reports
    assert report.response is None
    assert rules(report) == ["connection-failed"]
    assert "net::ERR_TIMED_OUT" in report.findings[0].detail


def test_a_body_that_broke_off(tmp_path: Path) -> None:
    entry = download(BINARY, {"size": 0})
    entry["response"]["_error"] = "net::ERR_CONTENT_LENGTH_MISMATCH"
    (report,) = Reading(tmp_path / "a.har", har([entry])).reports
    assert rules(report) == ["body-truncated"]


def test_a_download_that_the_browser_handed_on_is_not_cut(tmp_path: Path) -> None:
    entry = download(BINARY, {"size": 0})
    entry["response"]["_error"] = "net::ERR_ABORTED"
    (report,) = Reading(tmp_path / "a.har", har([entry])).reports
    assert report.verdict == "ok"
    assert outcomes(report, "response")["crc64"] == "not-captured"


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("said", ["net::ERR_ABORTED", "net::ERR_CONTENT_LENGTH_MISMATCH"])
def test_a_download_that_was_left_off_and_resumed(said: str, kept: bool, tmp_path: Path) -> None:
    """The bytes that had come count, where the browser kept them."""
    came = len(BINARY) // 2
    content: dict[str, Any] = {"size": came}
    if kept:
        content |= {"text": base64.b64encode(BINARY[:came]).decode(), "encoding": "base64"}
    first = download(BINARY, content)
    first["response"]["_error"] = said
    rest = base64.b64encode(BINARY[came:]).decode()
    second = download(BINARY, {"size": len(BINARY) - came, "text": rest, "encoding": "base64"})
    second["request"]["headers"].append({"name": "Range", "value": f"bytes={came}-"})
    span = f"bytes {came}-{len(BINARY) - 1}/{len(BINARY)}"
    for header in second["response"]["headers"]:
        if header["name"].lower() == "content-length":
            header["value"] = str(len(BINARY) - came)
    second["response"]["headers"].append({"name": "Content-Range", "value": span})
    second["response"]["status"] = 206
    reading = Reading(tmp_path / "a.har", har([first, second]))
    cut, resumed = reading.reports
    (found,) = [each for each in cut.findings if each.rule == "body-truncated"]
    assert found.evidence["actual"] == came
    assert (str(found.severity) == "warning") == (said == "net::ERR_ABORTED")
    assert resumed.findings == []


@pytest.mark.parametrize(
    ("said", "severity"),
    [
        ("net::ERR_ABORTED", "warning"),
        ("NS_BINDING_ABORTED", "warning"),
        ("net::ERR_CONNECTION_RESET", "error"),
        ("net::ERR_TIMED_OUT", "error"),
    ],
)
def test_who_gave_up_before_there_was_an_answer(said: str, severity: str, tmp_path: Path) -> None:
    entry = download(BINARY, {"size": 0})
    entry["response"] |= {"status": 0, "headers": [], "_error": said}
    (report,) = Reading(tmp_path / "a.har", har([entry])).reports
    assert [(each.rule, str(each.severity)) for each in report.findings] == [
        ("connection-failed", severity)
    ]


def test_an_answer_that_the_browser_kept_from_the_page_is_not_cut(tmp_path: Path) -> None:
    entry = download(BINARY, {"size": 0})
    entry["response"]["_error"] = "net::ERR_FAILED"
    (report,) = Reading(tmp_path / "a.har", har([entry])).reports
    assert report.verdict == "ok"
    assert outcomes(report, "response")["crc64"] == "not-captured"


def test_what_a_refused_preflight_kept_back_was_never_sent(tmp_path: Path) -> None:
    entry = upload(TEXT, {"text": TEXT.decode()})
    entry["response"] = {"status": 0, "headers": [], "content": {}, "_error": "net::ERR_FAILED"}
    reading = Reading(tmp_path / "a.har", har([entry]))
    assert not reading.reports
    (note,) = reading.notes
    assert note.endswith("skipped, it was never sent (net::ERR_FAILED)")


def test_http2_pseudo_headers(tmp_path: Path) -> None:
    entry = download(TEXT, text(TEXT))
    entry["request"] |= {
        "httpVersion": "h2",
        "headers": [{"name": ":authority", "value": HOST}, {"name": "user-agent", "value": "x"}],
    }
    (exchange,) = Reading(tmp_path / "a.har", har([entry])).exchanges
    assert exchange.request.host == HOST
    assert exchange.request.target == "/a%20b/c.bin"
    assert exchange.request.http_version == "HTTP/2.0"
    assert list(exchange.request.headers.names()) == ["user-agent"]


def test_headers_as_pairs_and_joined_by_lines(tmp_path: Path) -> None:
    entry = download(TEXT, text(TEXT))
    pairs: list[Any] = [[each["name"], each["value"]] for each in entry["response"]["headers"]]
    entry["response"]["headers"] = [*pairs, {"name": "Set-Cookie", "value": "a=1\nb=2"}, None, 3]
    (exchange,) = Reading(tmp_path / "a.har", har([entry])).exchanges
    assert exchange.response is not None
    assert exchange.response.headers.all("set-cookie") == ("a=1", "b=2")


def test_timings_begin_before_the_connection_but_for_mitmproxy(tmp_path: Path) -> None:
    timings = {"blocked": 10, "dns": -1, "connect": 50, "ssl": 30, "send": 1, "wait": 2}
    entry = download(TEXT, text(TEXT), timings=timings)
    (browser,) = Reading(tmp_path / "a.har", har([entry])).exchanges
    (proxy,) = Reading(tmp_path / "b.har", har([entry], "mitmproxy")).exchanges
    assert browser.timing.request_start is not None
    assert proxy.timing.request_start is not None
    assert browser.timing.request_start == pytest.approx(proxy.timing.request_start + 0.06)
    assert (browser.timing.connect_ms, browser.timing.tls_ms) == (20, 30)
    assert (proxy.timing.connect_ms, proxy.timing.tls_ms) == (50, 30)


def test_an_entry_without_an_answer_took_its_time(tmp_path: Path) -> None:
    nothing = {"status": 0, "headers": [], "content": {}, "_error": "net::ERR_TIMED_OUT"}
    for timings in ({"send": 1, "wait": 31999, "receive": 0}, {"blocked": 5, "send": -1}, None):
        entry = download(TEXT, {}, time=32000, timings=timings, response=nothing)
        (report,) = Reading(tmp_path / "a.har", har([entry])).reports
        assert report.timing.total_ms == pytest.approx(
            32000 - (5 if timings and "blocked" in timings else 0)
        )
    (report,) = Reading(tmp_path / "a.har", har([entry], "mitmproxy")).reports
    assert report.timing.total_ms is None, "there the time of the failure is not told"


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59-14:00", 9e14],
)
def test_a_time_that_can_be_none_is_unknown(moment: object, tmp_path: Path) -> None:
    reading = Reading(tmp_path / "a.har", har([download(TEXT, text(TEXT), startedDateTime=moment)]))
    (report,) = reading.reports
    assert report.started is None
    assert report.timing.total_ms is None
    assert report.verdict == "ok"


def test_odd_entries_are_skipped_and_named(tmp_path: Path) -> None:
    good = download(TEXT, text(TEXT))
    nowhere = download(TEXT, text(TEXT), request={"method": "GET", "url": None})
    never = download(TEXT, text(TEXT), startedDateTime="?")
    never["response"]["headers"] = []
    entries = [good, None, {"request": 5}, nowhere, never, good | {"time": 1}]
    content = har(entries).replace(b"null,", b"17,", 1)
    reading = Reading(tmp_path / "a.har", content)
    assert len(reading.exchanges) == 1
    assert reading.error is not None
    assert "list of entries is broken" in str(reading.error)

    reading = Reading(tmp_path / "a.har", har([good, {}, {"request": 5}, nowhere, never, good]))
    assert len(reading.exchanges) == 2
    assert reading.error is None
    for number, (note, why) in enumerate(
        zip(
            reading.notes,
            ("request is missing", "request is no object", "no URL", "when it was"),
            strict=True,
        ),
        start=2,
    ):
        assert f"entry {number}, at byte " in note
        assert why in note


def test_entries_out_of_a_cache_do_not_count(tmp_path: Path) -> None:
    cached = download(TEXT, text(TEXT), _fromCache="disk")
    reading = Reading(tmp_path / "a.har", har([cached]))
    assert not reading.exchanges
    assert "1 entries came out of a cache" in reading.notes[0]


def test_other_traffic_is_counted(tmp_path: Path) -> None:
    other = download(TEXT, text(TEXT))
    other["request"] |= {"url": "https://www.example.com/", "headers": []}
    other["response"]["headers"] = []
    data = download(TEXT, text(TEXT))
    data["request"]["url"] = "data:text/plain,abc"
    reading = Reading(tmp_path / "a.har", har([other, data]))
    assert (reading.others, len(reading.exchanges)) == (2, 0)


def test_a_byte_order_mark_and_a_bare_log(tmp_path: Path) -> None:
    content = har([download(TEXT, text(TEXT))])
    assert len(Reading(tmp_path / "a.har", b"\xef\xbb\xbf" + content).exchanges) == 1
    bare = json.dumps(json.loads(content)["log"]).encode()
    assert len(Reading(tmp_path / "b.har", bare).exchanges) == 1


WHOLE = har([download(TEXT, text(TEXT)), upload(BINARY, as_base64(BINARY))])


@given(st.integers(0, len(WHOLE) - 1))
def test_a_cut_file_gives_what_it_holds(tmp_path_factory: pytest.TempPathFactory, at: int) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.har"
    reading = Reading(path, WHOLE[:at])
    first = WHOLE.index(b'{"startedDateTime"')
    second = WHOLE.index(b'{"startedDateTime"', first + 1)
    ends = (second - 2, WHOLE.rindex(b"]}}"))
    assert len(reading.exchanges) == sum(at >= end for end in ends)
    if at <= ends[1]:
        assert reading.error is not None
        assert reading.error.offset in (first, second, at)


@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=3))
def test_a_broken_file_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.har"
    reading = Reading(path, WHOLE[:at] + noise + WHOLE[at + len(noise) :])
    assert len(reading.reports) <= 2


def test_a_file_without_entries(tmp_path: Path) -> None:
    reading = Reading(tmp_path / "a.json", b'{"log": {"pages": [{"id": "x"}]}}')
    assert str(reading.error).endswith("this JSON holds no list of entries, at byte 33")


def test_the_same_entry_has_the_same_id(tmp_path: Path) -> None:
    one, other = download(TEXT, text(TEXT)), download(BINARY, as_base64(BINARY))
    first = Reading(tmp_path / "a.har", har([one, other])).exchanges
    second = Reading(tmp_path / "b.har", har([other, one], "other")).exchanges
    assert [each.flow_id for each in first] == [each.flow_id for each in reversed(second)]
    assert first[0].flow_id != first[1].flow_id


def test_what_is_met_is_not_kept(tmp_path: Path) -> None:
    entry = download(MEBIBYTES, as_base64(MEBIBYTES))
    (exchange,) = Reading(tmp_path / "a.har", har([entry])).exchanges
    assert exchange.response is not None
    body = exchange.response.body
    assert (body.end, body.size) == (BodyEnd.COMPLETE, len(MEBIBYTES))
    assert len(body.sample or b"") < 1000
    assert exchange.request.url == URL


def test_bytes_that_are_no_utf8_are_read(tmp_path: Path) -> None:
    entry = download(b"caf\xe9", {"mimeType": "text/plain; charset=iso-8859-1", "text": "PLACE"})
    entry["request"]["headers"] += [{"name": "X-Who", "value": "PLACE"}]
    content = har([entry, download(TEXT, text(TEXT))]).replace(b"PLACE", b"caf\xe9")
    reading = Reading(tmp_path / "a.har", content)
    assert not reading.notes
    first, second = reading.reports
    assert outcomes(first, "response")["crc64"] == "match"
    assert first.request.headers[1].value == "caf\N{REPLACEMENT CHARACTER}"
    assert (first.verdict, second.verdict) == ("ok", "ok")


def test_an_entry_that_is_too_large_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(har_entries, "_LARGEST_ENTRY", 300_000)
    good = download(TEXT, text(TEXT))
    for large in (
        good | {"comment": ["a" * 1000] * 1000},
        good | {"comment": " " * 400_000},
        good | {"comment": {str(number): "x" * 1_200_000 for number in range(70)}},
    ):
        content = har([large, good])
        reading = Reading(tmp_path / "a.har", content)
        assert len(reading.exchanges) == 1
        assert reading.error is None
        (fault,) = reading.remarks.faults
        assert f"entry 1, at byte {content.index(b'[') + 1}: skipped, it is too large" in fault


ENDLESS = {
    "a string before the entries": b'{"log": {"comment": "' + b"x" * 5_000_000,
    "objects in an entry": b'{"log": {"entries": [{"a": [' + b"[]," * 300_000,
    "entries that are none": b'{"log": {"entries": [' + b"{}," * 3000,
    "nothing between entries": b'{"log": {"entries": [' + b" , " * 1_000_000 + b"x",
}


@pytest.mark.parametrize("content", ENDLESS.values(), ids=ENDLESS)
def test_what_goes_on_and_on_ends(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(har_entries, "_LARGEST_ENTRY", 1_000_000)
    monkeypatch.setattr(har_entries, "_MOST_PARTS", 1000)
    monkeypatch.setattr(saved, "_MOST_LOST", 1000)
    reading = Reading(tmp_path / "a.har", content)
    assert reading.error is not None
    assert reading.error.offset is not None
    assert len(reading.remarks.faults) <= 101


def test_what_is_appended_meanwhile_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    content = har([download(TEXT, text(TEXT), time=number) for number in range(2)])
    path.write_bytes(content[:-3])
    stream = Stream(str(path))
    with path.open("ab") as file:
        file.write(b"," + content[content.index(b"[") + 1 :])
    found = HarFile(stream, ()).saved(InputRemarks(str(path)))
    assert next(found).entry == 1
    assert next(found).entry == 2
    with pytest.raises(CaptureError, match="ends before its list of entries does"):
        next(found)
    stream.close()


ONE_PART = bytes(range(256)) * 4096
WORDS = ("Green " * 20 + '\\ "so" \u2028').encode() * 10_000


@pytest.mark.parametrize(
    "content", [as_base64(ONE_PART), {"size": len(WORDS), "text": WORDS.decode()}]
)
@pytest.mark.parametrize("kind", [download, upload])
def test_an_entry_is_the_same_wherever_it_stands(
    kind: Callable[..., Any], content: dict[str, Any], tmp_path: Path
) -> None:
    """Whether all of a long string lies in one piece that is read is a matter of luck."""
    body = ONE_PART if "encoding" in content else WORDS
    alone = har([kind(body, content)])
    begin = alone.index(b'"entries": [') + len(b'"entries": [')
    told = []
    for padding in (0, 400_000, 1_000_000, 1_500_000):
        moved = alone[:begin] + b" " * padding + alone[begin:]
        path = tmp_path / f"{padding}.har"
        told += Reading(path, moved).reports
    assert len(told) == 4
    assert all(each == told[0] for each in told)
