import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.wire.frames import recognises_frames
from tests.saved.wire.exchanges_made import converse, get, put, read
from tests.saved.wire.packets_made import (
    START,
    Conversation,
    Frame,
    block,
    enhanced,
    frames,
    interface,
    option,
    pcap,
    pcapng,
    section,
)


def _made() -> list[Frame]:
    conversation = Conversation()
    converse(conversation, [put("a", b"a" * 5000), get("a", b"a" * 5000)])
    conversation.close()
    return frames(conversation.packets)


MADE = _made()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_classic_files(order: str, nano: bool) -> None:
    data = pcap(MADE, order=order, nano=nano)
    assert recognises_frames(data)
    found = read(data)
    assert len(found.flows) == 2
    assert found.account.packets == len(MADE)
    assert not found.account.has_holes
    exchange = found.flows[0].exchange
    assert exchange is not None
    assert exchange.timing.request_start == pytest.approx(START + 0.004, abs=1e-6)


def test_a_patched_libpcap_has_longer_headers() -> None:
    out = [struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)]
    for frame in MADE:
        seconds, part = divmod(round(frame.time * 1_000_000), 1_000_000)
        size = len(frame.data)
        out.append(struct.pack("<IIIIIHBB", seconds, part, size, size, 1, 0, 0, 0) + frame.data)
    assert len(read(b"".join(out)).flows) == 2


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(order: str) -> None:
    found = read(pcapng(MADE, order))
    assert len(found.flows) == 2
    assert found.account.program == "made by hand"


def test_sections_and_interfaces_have_their_own_clocks() -> None:
    nano = option(9, b"\x09") + option(14, struct.pack("<q", 1_000_000)) + option(0, b"")
    binary = option(9, b"\x94", ">") + option(0, b"", ">")
    half = len(MADE) // 2
    blocks = [section(), interface(113), interface(1, options=nano)]
    earlier = [frame._replace(time=frame.time - 1_000_000) for frame in MADE[:half]]
    blocks += [enhanced(frame, 1, parts=1_000_000_000) for frame in earlier]
    blocks += [section(">"), interface(1, ">", options=binary)]
    blocks += [enhanced(frame, 0, ">", parts=1 << 20) for frame in MADE[half:]]
    found = read(b"".join(blocks))
    assert len(found.flows) == 2
    for flow in found.flows:
        assert flow.exchange is not None
        times = flow.exchange.timing
        assert START < (times.request_start or 0) <= (times.end or 0) < START + 1


def test_simple_and_obsolete_packets() -> None:
    simple = [section(), interface()]
    simple += [block(3, struct.pack("<I", len(frame.data)) + frame.data) for frame in MADE]
    found = read(b"".join(simple))
    assert len(found.flows) == 2
    assert found.flows[0].exchange is not None
    assert found.flows[0].exchange.timing.request_start is None
    old = [section(), interface()]
    for frame in MADE:
        ticks = round(frame.time * 1_000_000)
        size = len(frame.data)
        head = struct.pack("<HHIIII", 0, 0, ticks >> 32, ticks & 0xFFFFFFFF, size, size)
        old.append(block(2, head + frame.data))
    assert read(b"".join(old)).reports == read(pcap(MADE)).reports


def test_what_was_dropped_is_counted() -> None:
    lossy = [section(), interface()]
    lossy += [enhanced(MADE[0], options=option(4, struct.pack("<Q", 3)) + option(0, b""))]
    assert read(b"".join(lossy)).account.packets_lost == 3
    told = option(4, struct.pack("<Q", 99)) + option(5, struct.pack("<Q", 7)) + option(0, b"")
    lossy += [block(5, struct.pack("<III", 0, 0, 0) + told)] * 2
    found = read(b"".join(lossy)).account
    assert found.packets_lost == 7
    assert found.has_holes


def test_what_is_not_needed_is_passed_over() -> None:
    blocks = [section(), block(4, b"names"), interface(), block(0x0BAD, bytes(40_000_000))]
    blocks += [block(10, struct.pack("<II", 0x544C534B, 6) + b"secret")]
    blocks += [enhanced(frame) for frame in MADE]
    found = read(b"".join(blocks))
    assert len(found.flows) == 2
    assert found.error is None


@given(st.integers(0, len(pcapng(MADE))), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_file_that_is_cut_keeps_what_came_before(at: int, classic: bool) -> None:
    data = (pcap(MADE) if classic else pcapng(MADE))[:at]
    if not recognises_frames(data):
        return
    whole = read(pcap(MADE))
    found = read(data)
    assert found.findings <= whole.findings
    assert len(found.flows) + found.left_out <= 2
    if found.error is not None:
        assert "ends inside the packet" in str(found.error)


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_odd_bytes_end_in_words(data: st.DataObject) -> None:
    file = bytearray(data.draw(st.sampled_from([pcap(MADE), pcapng(MADE)])))
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(4, len(file) - 1))] = data.draw(st.integers(0, 255))
    found = read(bytes(file))
    assert found.error is None or isinstance(found.error, CaptureError)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pcap(MADE)[:24] + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30), "no packet here"),
        (section() + enhanced(MADE[0]), "not described"),
        (section() + struct.pack("<II", 6, 7) + bytes(20), "no block here"),
        (section() + interface() + block(6, bytes(8)), "shorter"),
        (b"\x0a\x0d\x0d\x0a" + bytes(24), "byte order"),
    ],
)
def test_what_is_broken_is_named(data: bytes, words: str) -> None:
    assert words in str(read(data).error)


@pytest.mark.parametrize(
    "clock",
    [
        option(9, b"\x80"),
        option(14, struct.pack("<q", -(2**63))),
        option(14, struct.pack("<q", 2**63 - 1)),
        option(14, struct.pack("<q", 10**12)),
    ],
    ids=["seconds", "earliest", "latest", "too-late"],
)
def test_times_of_no_calendar_are_unknown(clock: bytes) -> None:
    blocks = [section(), interface(options=clock), *(enhanced(frame) for frame in MADE)]
    found = read(b"".join(blocks))
    assert len(found.flows) == 2
    assert found.findings == set()
    assert {report.started for report in found.reports.values()} == {None}
