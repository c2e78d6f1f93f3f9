"""A tap hands on every byte, whatever happens, and knows the body's facts in the end."""

import hashlib
import logging
from collections.abc import Iterable

import crcmod
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.digest_plan import DigestPlan
from cos_inspect.digests import Bytes
from cos_inspect.model.exchange import Body, BodyEnd
from cos_inspect.recording.stream_tap import BodyMeter, Tap, body_of_content, meter_content

_crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)
ALL = DigestPlan(md5=True, crc64=True, sample=8)


@given(st.lists(st.binary(min_size=1, max_size=50)))
def test_any_split_gives_the_same_facts(chunks: list[bytes]) -> None:
    tap = Tap("id", BodyMeter(ALL))
    passed = b"".join(bytes(tap(chunk)) for chunk in [*chunks, b""])  # type: ignore[arg-type]
    whole = b"".join(chunks)
    assert passed == whole
    body = tap.body()
    assert body == body_of_content(whole, ALL)
    assert body.md5 == hashlib.md5(whole).hexdigest()
    assert body.crc64 == _crc64(whole)
    assert body.size == len(whole)
    assert body.sample == whole[:8]
    assert body.sample_is_whole is (len(whole) <= 8)


@given(
    st.binary(max_size=12),
    st.builds(
        DigestPlan, md5=st.booleans(), crc64=st.booleans(), sample=st.sampled_from([0, 1, 8])
    ),
    st.booleans(),
)
def test_a_body_at_hand_has_the_facts_of_a_metered_one(
    content: bytes, plan: DigestPlan, complete: bool
) -> None:
    metered = meter_content(content, plan).body(complete=complete)
    assert body_of_content(content, plan, complete=complete) == metered


def test_without_its_end_a_body_is_cut() -> None:
    tap = Tap("id", BodyMeter(ALL))
    tap(b"half")
    assert not tap.ended
    assert tap.body().end is BodyEnd.CUT
    assert tap.body().size == 4


def test_only_the_digests_asked_for_are_made() -> None:
    body = body_of_content(b"x", DigestPlan())
    assert (body.md5, body.crc64, body.sample) == (None, None, None)


class _Broken(BodyMeter):
    def feed(self, data: Bytes) -> None:
        raise RuntimeError("our fault")


def test_a_fault_of_ours_is_told_once_and_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tap = Tap("flow-7", _Broken(ALL))
    with caplog.at_level(logging.WARNING):
        assert [tap(chunk) for chunk in (b"a", b"b", b"")] == [b"a", b"b", b""]
    assert len(caplog.records) == 1
    assert "flow-7" in caplog.text
    assert tap.ended
    assert tap.body() == Body(end=BodyEnd.NOT_INSPECTED, size=2)


def test_an_earlier_callable_still_does_its_work() -> None:
    def doubled(data: bytes) -> Iterable[bytes]:
        return [data, data]

    tap = Tap("id", BodyMeter(ALL), doubled)
    assert tap(b"ab") == [b"ab", b"ab"]
    tap(b"")
    assert tap.body().size == 2


@given(
    st.lists(st.binary(min_size=1, max_size=50)), st.lists(st.integers(min_value=1, max_value=200))
)
def test_marks_are_the_crc_up_to_each_offset_however_the_body_is_split(
    chunks: list[bytes], wanted: list[int]
) -> None:
    tap = Tap("id", BodyMeter(ALL, None, wanted))
    for chunk in [*chunks, b""]:
        tap(chunk)
    whole = b"".join(chunks)
    expected = [(at, _crc64(whole[:at])) for at in sorted(wanted) if at <= len(whole)]
    assert tap.marks == expected
    assert meter_content(whole, ALL, None, wanted).marks == expected
    assert tap.body() == body_of_content(whole, ALL)


def test_marks_of_a_body_that_breaks_off_end_with_it() -> None:
    tap = Tap("id", BodyMeter(ALL, None, [2, 6]))
    tap(b"half")
    assert tap.marks == [(2, _crc64(b"ha"))]
    assert tap.body().end is BodyEnd.CUT


def test_without_a_crc_there_are_no_marks() -> None:
    plan = DigestPlan(md5=True)
    meter = meter_content(b"abcdef", plan, None, [2, 4])
    assert meter.marks == []
    assert meter.body(complete=True).md5 == hashlib.md5(b"abcdef").hexdigest()


def test_a_fault_of_ours_leaves_no_marks() -> None:
    tap = Tap("flow-7", _Broken(ALL, None, [1]))
    for chunk in (b"a", b"b", b""):
        tap(chunk)
    assert tap.marks == []


@given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(0, 200), st.booleans())
def test_a_copy_is_whole_or_not_there(chunks: list[bytes], most: int, ended: bool) -> None:
    tap = Tap("id", BodyMeter(ALL), most_copied=most)
    for chunk in [*chunks, *([b""] if ended else [])]:
        tap(chunk)
    whole = b"".join(chunks)
    called = bool(chunks) or ended
    assert tap.copied == (whole if called and 0 < most >= len(whole) else None)
