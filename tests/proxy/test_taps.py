"""A tap hands on every byte, whatever happens, and knows the body's facts in the end."""

import hashlib
import logging
from collections.abc import Iterable

import crcmod
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.digest_plan import DigestPlan
from cos_inspect.exchange import BodyEnd
from cos_inspect.proxy.taps import Meter, Tap, body_of_content

_crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)
ALL = DigestPlan(md5=True, crc64=True, sample=8)


@given(st.lists(st.binary(min_size=1, max_size=50)))
def test_any_split_gives_the_same_facts(chunks: list[bytes]) -> None:
    tap = Tap("id", Meter(ALL))
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


def test_without_its_end_a_body_is_cut() -> None:
    tap = Tap("id", Meter(ALL))
    tap(b"half")
    assert not tap.ended
    assert tap.body().end is BodyEnd.CUT
    assert tap.body().size == 4


def test_only_the_digests_asked_for_are_made() -> None:
    body = body_of_content(b"x", DigestPlan())
    assert (body.md5, body.crc64, body.sample) == (None, None, None)


class _Broken(Meter):
    def feed(self, data: bytes) -> None:
        raise RuntimeError("our fault")


def test_a_fault_of_ours_is_told_once_and_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tap = Tap("flow-7", _Broken(ALL))
    with caplog.at_level(logging.ERROR):
        assert [tap(chunk) for chunk in (b"a", b"b", b"")] == [b"a", b"b", b""]
    assert len(caplog.records) == 1
    assert "flow-7" in caplog.text
    assert tap.ended
    assert tap.body().end is BodyEnd.NOT_CAPTURED


def test_an_earlier_callable_still_does_its_work() -> None:
    def doubled(data: bytes) -> Iterable[bytes]:
        return [data, data]

    tap = Tap("id", Meter(ALL), doubled)
    assert tap(b"ab") == [b"ab", b"ab"]
    tap(b"")
    assert tap.body().size == 2
