"""Archives of Fiddler: bytes of the wire are checked, other bytes accuse nobody."""

import gzip
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.exports import archive as archives
from cos_inspect.captures.exports.saz import SazFile
from cos_inspect.captures.source import Stream
from cos_inspect.digests import crc64
from cos_inspect.model.exchange import BodyEnd
from cos_inspect.model.flow_report import Severity
from tests.saved.exports.archives import (
    CHUNKED,
    DATE,
    HOST,
    TIMERS,
    URL,
    Session,
    answer,
    archive,
    checks,
    chunked,
    exchange,
    get,
    message,
    meta,
    put,
    read_bytes,
    report,
    stored_answer,
)

BODY = bytes(range(256)) * 5
TEXT = b"Some lines of text that can be packed well. " * 40


def rules(given_report: Any) -> list[str]:
    return [
        finding.rule for finding in given_report.findings if finding.severity is not Severity.NOTICE
    ]


def body_of(session: Session, folder: Path) -> Any:
    found = exchange(session, folder)
    assert found.response is not None
    return found.response.body


def test_a_download_is_checked(tmp_path: Path) -> None:
    found = exchange(Session(get(), answer(BODY), meta(len(BODY))), tmp_path)
    assert found.request.url == URL
    assert found.client_address == "10.0.0.5"
    assert found.connection is not None
    assert found.connection.tls == "TLSv1.2"
    said = report(found)
    assert checks(said)["crc64", "response"] == "match"
    assert checks(said)["etag", "response"] == "match"
    assert checks(said)["content-length", "response"] == "match"
    assert not rules(said)


def test_an_upload_is_checked(tmp_path: Path) -> None:
    said = report(exchange(Session(put(BODY), stored_answer(BODY), meta(0)), tmp_path))
    assert checks(said)["crc64", "request"] == "match"
    assert checks(said)["etag", "request"] == "match"
    assert not rules(said)


@pytest.mark.parametrize("coded", [gzip.compress(TEXT), zlib.compress(TEXT)], ids=["gzip", "zlib"])
@pytest.mark.parametrize("framed", [False, True])
def test_codings_are_left_on_and_checked(coded: bytes, framed: bool, tmp_path: Path) -> None:
    stored = chunked(coded, 100) if framed else coded
    fields = {"Content-Encoding": "gzip", **(CHUNKED if framed else {})}
    session = Session(get(), answer(coded, stored, fields=fields), meta(len(stored)))
    found = exchange(session, tmp_path)
    assert found.response is not None
    assert found.response.body.end is BodyEnd.COMPLETE
    assert found.response.body.crc64 == crc64(coded)
    assert checks(report(found))["crc64", "response"] == "match"


def test_damage_is_found(tmp_path: Path) -> None:
    damaged = BODY[:-1] + b"x"
    for session in (
        Session(get(), answer(BODY, damaged), meta(len(BODY))),
        Session(
            get(),
            answer(BODY, chunked(damaged), Content_Length=None, Transfer_Encoding="chunked"),
            meta(len(chunked(damaged))),
        ),
        Session(put(BODY, stored=damaged), stored_answer(BODY), meta(0)),
    ):
        assert "crc64-mismatch" in rules(report(exchange(session, tmp_path)))


def test_a_body_that_broke_off_is_cut(tmp_path: Path) -> None:
    part = BODY[:500]
    framed = chunked(BODY)[:500]
    for session in (
        Session(get(), answer(BODY, part), meta(len(part))),
        Session(
            get(),
            answer(BODY, framed, Content_Length=None, Transfer_Encoding="chunked"),
            meta(len(framed)),
        ),
    ):
        found = exchange(session, tmp_path)
        assert found.response is not None
        assert found.response.body.end is BodyEnd.CUT
        assert rules(report(found)) == ["body-truncated"]


NOT_OF_THE_WIRE = {
    "a body that was dropped": (
        Session(get(), answer(BODY, b""), meta(len(BODY), bits=0x20000)),
        "not-captured",
    ),
    "a body that is not there": (Session(get(), answer(BODY, b""), meta(0)), "not-captured"),
    "a short one that nobody counted": (
        Session(get(), answer(BODY, BODY[:9]), meta()),
        "not-captured",
    ),
    "a short one of a session that was not over": (
        Session(
            get(),
            answer(BODY, BODY[:9]),
            meta(9, timers=TIMERS | {"ServerDoneResponse": "0001-01-01T00:00:00"}),
        ),
        "not-captured",
    ),
    "decoded, with a length to fit": (
        Session(get(), answer(gzip.compress(TEXT), TEXT, Content_Length=str(len(TEXT))), meta(99)),
        "re-encoded",
    ),
    "decoded, with the old length": (
        Session(get(), answer(gzip.compress(TEXT), TEXT), meta(len(gzip.compress(TEXT)))),
        "re-encoded",
    ),
    "without its framing, and decoded": (
        Session(
            get(),
            answer(gzip.compress(TEXT), TEXT, Content_Length=None, Transfer_Encoding="chunked"),
            meta(),
        ),
        "re-encoded",
    ),
}


@pytest.mark.parametrize("name", NOT_OF_THE_WIRE)
def test_what_is_not_of_the_wire_accuses_nobody(name: str, tmp_path: Path) -> None:
    session, reason = NOT_OF_THE_WIRE[name]
    said = report(exchange(session, tmp_path))
    assert checks(said)["crc64", "response"] == reason
    assert not rules(said)


def test_bytes_without_their_framing_are_known_by_their_digest(tmp_path: Path) -> None:
    session = Session(get(), answer(BODY, fields=CHUNKED), meta())
    assert body_of(session, tmp_path).end is BodyEnd.COMPLETE


def test_whistles_bodies(tmp_path: Path) -> None:
    """It takes codings off together with their headers, and drops what is long."""
    facts = meta(x_processinfo="whistle", x_transfer_size="0")
    noted = json.dumps({"version": "2.10.10", "times": {"startTime": 1605232800000}}).encode()
    packed = gzip.compress(TEXT)
    for stored, of, end in (
        (BODY, BODY, BodyEnd.COMPLETE),
        (b"", BODY, BodyEnd.NOT_CAPTURED),
        (BODY[-9:], BODY, BodyEnd.NOT_CAPTURED),
        (TEXT, packed, BodyEnd.RE_ENCODED),
    ):
        size = meta(x_processinfo="whistle", x_transfer_size=str(len(of)))
        session = Session(get(), answer(of, stored), size, noted)
        assert body_of(session, tmp_path).end is end
        sent = Session(put(of, stored=stored), stored_answer(of), facts, noted)
        found = exchange(sent, tmp_path)
        assert found.request.body.end is end
        assert not rules(report(found))


def test_a_text_that_gzip_makes_no_shorter(tmp_path: Path) -> None:
    """Whether Whistle has unpacked it, no length tells."""
    text = next(
        text
        for size in range(20, 400)
        if len(gzip.compress(text := bytes(97 + i * i % 11 for i in range(size)))) == len(text)
    )
    packed = gzip.compress(text)
    noted = meta(x_processinfo="whistle", x_transfer_size=str(len(packed)))
    session = Session(get(), answer(packed, text), noted, b"{}")
    assert body_of(session, tmp_path).end is BodyEnd.RE_ENCODED
    assert body_of(Session(get(), answer(text), noted, b"{}"), tmp_path).end is BodyEnd.COMPLETE


def test_what_fiddler_answers_itself(tmp_path: Path) -> None:
    failed = message("HTTP/1.1 502 Fiddler - Connection Failed", {"Date": DATE}, b"[Fiddler] ...")
    found = exchange(Session(get(), failed, meta(13, bits=0x100)), tmp_path)
    assert found.response is None
    assert found.error == "Fiddler - Connection Failed"
    assert rules(report(found)) == ["connection-failed"]
    mapped = exchange(Session(get(), answer(b"x"), meta(1, bits=0x100)), tmp_path)
    assert mapped.response is not None
    assert (mapped.response.by, mapped.response.option) == ("proxy", "Fiddler")


def test_an_answer_that_is_not_there(tmp_path: Path) -> None:
    for missing in (None, b""):
        found = exchange(Session(get(), missing, meta()), tmp_path)
        assert found.response is None
        assert found.stopped
        assert not rules(report(found))


def test_whistles_502_of_a_client_that_left(tmp_path: Path) -> None:
    bare = message("HTTP/1.1 502 Bad Gateway", {}, b"")
    left = exchange(Session(get(), bare, None, b'{"reqError": true}'), tmp_path)
    assert left.broken_by_client
    assert left.response is None
    failed = exchange(Session(get(), bare, None, b'{"resError": true}'), tmp_path)
    assert failed.response is None
    assert rules(report(failed)) == ["connection-failed"]
    real = message("HTTP/1.1 502 Bad Gateway", {"Server": "x", "Content-Length": "0"})
    assert exchange(Session(get(), real, None, b"{}"), tmp_path).response is not None


def test_what_is_no_exchange_is_counted(tmp_path: Path) -> None:
    sessions = [
        Session(
            message(f"CONNECT {HOST}:443 HTTP/1.1", {"Host": HOST}), b"HTTP/1.1 200 OK\r\n\r\n"
        ),
        Session(get(Upgrade="websocket"), b"HTTP/1.1 101 x\r\n\r\n"),
        Session(get(), answer(b"x"), meta(1, bits=0x40000)),
        Session(get(), answer(b"x"), meta(1, bits=0x4000)),
        Session(get(), answer(b"x"), meta(1), None, b"frames"),
        Session(get(f"ftp://{HOST}/a"), answer(b"x"), meta(1)),
        Session(get(), answer(BODY), meta(len(BODY))),
    ]
    saved = read_bytes(archive(sessions), tmp_path)
    assert saved.remarks.facts.left_out == {
        "tunnel (CONNECT)": 1,
        "WebSocket": 3,
        "answered out of Fiddler's cache": 1,
        "of another scheme than HTTP": 1,
    }
    assert [flow.entry for flow in saved.flows] == [7]
    assert saved.remarks.facts.program == "Fiddler v5.0.20253.3311"
    assert not saved.remarks.faults


def test_hosts_that_are_no_cos(tmp_path: Path) -> None:
    asked = message("GET http://example.com/ HTTP/1.1", {"Host": "example.com"})
    plain = message("HTTP/1.1 200 OK", {"Content-Length": "1"}, b"x")
    (flow,) = read_bytes(archive([Session(asked, plain)]), tmp_path).flows
    assert (flow.exchange, flow.host) == (None, "example.com")


def test_targets_without_a_host(tmp_path: Path) -> None:
    session = Session(get("/a.bin"), answer(BODY), meta(len(BODY), bits=1))
    assert exchange(session, tmp_path).request.url == f"https://{HOST}/a.bin"
    plain = Session(get("/a.bin"), answer(BODY), meta(len(BODY)))
    assert exchange(plain, tmp_path).request.url == f"http://{HOST}/a.bin"


def test_ids(tmp_path: Path) -> None:
    """The same session in two archives is the same flow; twice in one, it is two."""
    one = Session(get(), answer(BODY), meta(len(BODY)))
    other = Session(get(), answer(TEXT), meta(len(TEXT)))
    first = read_bytes(archive([one, other, one]), tmp_path).flows
    second = read_bytes(archive([other, one], first=40, width=4, comment=b""), tmp_path).flows
    assert len({flow.flow_id for flow in first}) == 3
    assert [flow.flow_id for flow in second] == [first[1].flow_id, first[0].flow_id]
    assert [flow.entry for flow in second] == [40, 41]


def test_ranges_can_be_joined(tmp_path: Path) -> None:
    for stored, fields in ((BODY, {}), (chunked(BODY, 100), CHUNKED)):
        ranged = answer(
            BODY,
            stored,
            "206 Partial Content",
            fields={**fields, "Content-Range": f"bytes 0-{len(BODY) - 1}/9999"},
        )
        path = tmp_path / "a.saz"
        path.write_bytes(archive([Session(get(), ranged, meta(len(stored)))]))
        marks = marks_of_first(path, [10, 700, len(BODY)])
        assert marks == [(at, crc64(BODY[:at])) for at in (10, 700, len(BODY))]


def marks_of_first(path: Path, offsets: list[int]) -> list[tuple[int, int]]:
    """Asked for while the archive is open."""
    for flow in SazFile(Stream(str(path)), ()).saved(InputRemarks("a")):
        assert flow.marks is not None
        return flow.marks(offsets)
    raise AssertionError


GOOD = Session(get(), answer(BODY), meta(len(BODY)))


def zipped(members: list[tuple[str, bytes]], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return file.getvalue()


def members_of(
    session: Session, number: str = "1", prefix: str = "raw/"
) -> list[tuple[str, bytes]]:
    return [
        (f"{prefix}{number}_{suffix}", content)
        for suffix, content in (
            ("c.txt", session.request),
            ("s.txt", session.response),
            ("m.xml", session.meta),
        )
        if content is not None
    ]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_stand_twice_lose_nothing(tmp_path: Path) -> None:
    other = Session(get(), answer(TEXT), meta(len(TEXT)))
    data = zipped([*members_of(GOOD), *members_of(other)])
    saved = read_bytes(data, tmp_path)
    sizes = [
        flow.exchange.response.body.size
        for flow in saved.flows
        if flow.exchange and flow.exchange.response
    ]
    assert sizes == [len(BODY), len(TEXT)]
    (note,) = saved.remarks.notes
    assert note.endswith("a.saz: 1 sessions have the number of another one, and are read as well")


def test_names_of_every_kind(tmp_path: Path) -> None:
    data = zipped(
        [
            *members_of(GOOD, "0007", "a folder/raw/"),
            *members_of(GOOD, "8", "RAW\\"),
            *members_of(GOOD, "9", "../../raw/"),
            *members_of(GOOD, "10", "/etc/raw/"),
            *members_of(GOOD, "1" * 12),
            ("raw/11_s.txt", b"x"),
            ("raw/x_c.txt", b"x"),
            ("raw/12_c.txt.exe", b"x"),
        ]
    )
    saved = read_bytes(data, tmp_path)
    assert [flow.entry for flow in saved.flows] == [7, 8]
    assert saved.remarks.facts.left_out == {"without a request": 1}


def encrypted(data: bytes, name: bytes, method: int | None = None) -> bytes:
    """As if a member were encrypted: the flag in its head, and in the list."""
    found = bytearray(data)
    for sign, before, flags, how in ((b"PK\x03\x04", 30, 6, 8), (b"PK\x01\x02", 46, 8, 10)):
        at = 0
        while (at := found.find(name, at)) >= 0:
            begin = at - before
            if found[begin : begin + 4] == sign:
                found[begin + flags] |= 1
                if method is not None:
                    found[begin + how] = method
            at += 1
    return bytes(found)


@pytest.mark.parametrize(("method", "how"), [(None, "ZipCrypto"), (99, "AES")])
def test_encrypted_members_are_named_in_one_line(
    method: int | None, how: str, tmp_path: Path
) -> None:
    data = archive([GOOD] * 5)
    for number in (2, 3, 4, 5):
        data = encrypted(data, f"raw/{number}_s.txt".encode(), method)
    saved = read_bytes(data, tmp_path)
    assert [flow.entry for flow in saved.flows] == [1]
    (line,) = saved.remarks.faults
    assert f"4 sessions are encrypted ({how})" in line
    assert "without a password" in line
    assert saved.remarks.lost == {f"encrypted ({how})": 4}


def test_a_damaged_member_costs_its_session_alone(tmp_path: Path) -> None:
    data = bytearray(archive([GOOD, Session(get(), answer(TEXT), meta(len(TEXT))), GOOD]))
    second = data.find(b"raw/2_s.txt")
    data[second + 60] ^= 0xFF
    saved = read_bytes(bytes(data), tmp_path)
    assert [flow.entry for flow in saved.flows] == [1, 3]
    (line,) = saved.remarks.faults
    assert "entry 2" in line
    assert "raw/2_s.txt' is damaged" in line


@pytest.mark.parametrize(
    "part", [b"", b"GET", b"\x00" * 50, b"GET /a HTTP/1.1\r\n\r\n", b"a" * (1024 * 1024 + 1)]
)
def test_a_request_that_is_none_costs_its_session_alone(part: bytes, tmp_path: Path) -> None:
    saved = read_bytes(archive([Session(part, answer(BODY), meta(1)), GOOD]), tmp_path)
    assert [flow.entry for flow in saved.flows] == [2]
    assert len(saved.remarks.faults) == 1


def test_a_bomb_costs_its_session_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_UNPACKED", 1_000_000)
    bomb = Session(get(), answer(b"x", bytes(2_000_000)), meta(1))
    saved = read_bytes(archive([GOOD, bomb, GOOD]), tmp_path)
    assert [flow.entry for flow in saved.flows] == [1, 3]
    assert "as those of no capture do" in saved.remarks.faults[0]


def test_other_methods_of_packing_are_not_tried(tmp_path: Path) -> None:
    for how in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        saved = read_bytes(zipped(members_of(GOOD), how), tmp_path)
        assert "packed by a method" in saved.remarks.faults[0]


def test_archives_that_are_none(tmp_path: Path) -> None:
    whole = archive([GOOD])
    for data in (whole[:-120], whole[: len(whole) // 2], b"PK\x03\x04", whole[:-105]):
        saved = read_bytes(data, tmp_path)
        assert saved.ended is not None
        assert "damaged or cut" in saved.ended
    empty = read_bytes(zipped([]), tmp_path)
    assert empty.ended == "this zip archive holds no session of Fiddler"


def test_an_archive_that_is_packed_once_more(tmp_path: Path) -> None:
    assert len(read_bytes(gzip.compress(archive([GOOD])), tmp_path).flows) == 1


def test_a_list_of_members_without_bounds_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_LARGEST_DIRECTORY", 1000)
    assert "longer than that of any capture" in (
        read_bytes(archive([GOOD] * 9), tmp_path).ended or ""
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 4000), st.integers(0, 255)),
        min_size=1,
        max_size=12,
    )
)
def test_any_damage_is_bounded_and_said(changes: list[tuple[int, int]], tmp_path: Path) -> None:
    data = bytearray(archive([GOOD, Session(put(TEXT), stored_answer(TEXT), meta(0)), GOOD]))
    for at, value in changes:
        data[at % len(data)] = value
    saved = read_bytes(bytes(data), tmp_path)
    for flow in saved.flows:
        if flow.exchange is not None:
            said = report(flow.exchange)
            # The archive's own checksums keep damage of theirs from looking like the wire's.
            assert "crc64-mismatch" not in rules(said)
            assert "etag-mismatch" not in rules(said)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=st.binary(max_size=300),
    cut=st.integers(0, 300),
    framed=st.booleans(),
    counted=st.sampled_from(["all", "stored", "none"]),
    over=st.booleans(),
    whistle=st.booleans(),
)
def test_a_body_of_the_wire_that_is_kept_in_part_never_mismatches(
    body: bytes,
    cut: int,
    framed: bool,
    counted: str,
    over: bool,
    whistle: bool,
    tmp_path: Path,
) -> None:
    wire = chunked(body) if framed and not whistle else body
    stored = wire[: max(0, len(wire) - cut)]
    fields = CHUNKED if framed and not whistle else {}
    number = {"all": len(wire), "stored": len(stored), "none": None}[counted]
    timers = TIMERS if over else {**TIMERS, "ServerDoneResponse": "0001-01-01T00:00:00"}
    session = Session(
        get(),
        answer(body, stored, fields=fields),
        meta(number, timers=timers),
        b"{}" if whistle else None,
    )
    found = exchange(session, tmp_path)
    said = report(found)
    assert set(rules(said)) <= {"body-truncated"}
    if not cut and (number is not None or not framed):
        assert found.response is not None
        assert found.response.body.end is BodyEnd.COMPLETE
