import hashlib
import random
import subprocess
import sys
from collections.abc import Callable

import anycrc
import crcmod
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect import digests
from cos_inspect.digests import Backend, Digester, combine_crc64, crc64

# Bodies in COS's own samples, with the MD5 and CRC its answers carry.
GOLDEN = [
    (b"", "d41d8cd98f00b204e9800998ecf8427e", 0),
    (b"123456789", "25f9e794323b453885f5181f1b624d0b", 0x995DC9BBDF1939FA),
    (b"[Object Content]", "ee8de918d05640145b18f70f4c3aa602", 16749565679157681890),
    (b"[Object Part]", "108f528eb63b65e734f27ae331f5ffaa", 4510578591875220731),
    (b"[Object Content Version 2]", "22e024392de860289f0baa7d6cf8a549", 11596229263574363878),
    (
        b"[Chunked Content][2nd chunk][3rd chunk][4th chunk]",
        "aa488bb80185a6be87f4a7b936a80752",
        7188322482464764960,
    ),
]
RANGE_SLICE_CRC = 15757293603467250119

judge: Callable[[bytes], int] = crcmod.mkCrcFun(
    0x142F0E1EBA9EA3693, initCrc=0, rev=True, xorOut=0xFFFFFFFFFFFFFFFF
)
backends = pytest.mark.parametrize(
    "backend",
    [
        pytest.param(digests.fastcrc_backend(), id="fastcrc"),
        pytest.param(digests.crcmod_backend(), id="crcmod"),
    ],
)
bodies = st.binary(max_size=400)
pieces = st.lists(st.binary(max_size=60), max_size=12)


@pytest.mark.parametrize(("body", "md5", "crc"), GOLDEN)
def test_golden_vectors(body: bytes, md5: str, crc: int) -> None:
    digester = Digester(md5=True, crc64=True)
    digester.feed(body)
    assert (digester.size, digester.md5_hex(), digester.crc64_value()) == (len(body), md5, crc)
    assert crc64(body) == crc


@backends
@pytest.mark.parametrize(("body", "crc"), [(body, crc) for body, _, crc in GOLDEN])
def test_golden_vectors_by_backend(backend: Backend, body: bytes, crc: int) -> None:
    assert backend.crc64(body, 0) == crc


@backends
def test_range_joins_to_the_whole_object(backend: Backend) -> None:
    body, _, whole = GOLDEN[2]
    part = backend.crc64(body[8:15], 0)
    assert part == RANGE_SLICE_CRC
    front = combine_crc64(backend.crc64(body[:8], 0), part, 7)
    assert combine_crc64(front, backend.crc64(body[15:], 0), 1) == whole


def test_fast_backend_is_preferred() -> None:
    assert digests.load_backend().name == "fastcrc"
    assert digests.BACKEND.name == "fastcrc"


def test_without_compiled_code() -> None:
    """Where there is neither a wheel nor a compiler, the results are the same."""
    program = f"""
import sys
sys.modules["fastcrc"] = None
sys.modules["crcmod._crcfunext"] = None
from cos_inspect import digests
assert digests.BACKEND.name == "crcmod"
assert "crcmod._crcfunpy" in sys.modules
for body, md5, crc in {GOLDEN!r}:
    digester = digests.Digester(md5=True, crc64=True)
    digester.feed(body[:5])
    digester.feed(memoryview(body)[5:])
    assert digester.crc64_value() == crc, body
    assert digester.md5_hex() == md5, body
    front, back = digests.crc64(body[:3]), digests.crc64(body[3:])
    assert digests.combine_crc64(front, back, len(body[3:])) == crc, body
print("same")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("same\n", "")


@backends
@given(front=bodies, back=bodies)
def test_continued_and_joined_crc_is_that_of_the_whole(
    backend: Backend, front: bytes, back: bytes
) -> None:
    whole = judge(front + back)
    assert backend.crc64(back, backend.crc64(front, 0)) == whole
    assert combine_crc64(judge(front), judge(back), len(back)) == whole


@given(parts=pieces)
def test_many_pieces_joined(parts: list[bytes]) -> None:
    crc = 0
    for part in parts:
        crc = combine_crc64(crc, judge(part), len(part))
    assert crc == judge(b"".join(parts))


@given(a=bodies, b=bodies, c=bodies)
def test_joining_is_associative(a: bytes, b: bytes, c: bytes) -> None:
    left = combine_crc64(combine_crc64(judge(a), judge(b), len(b)), judge(c), len(c))
    right = combine_crc64(judge(a), combine_crc64(judge(b), judge(c), len(c)), len(b) + len(c))
    assert left == right == judge(a + b + c)


u64 = st.integers(0, 2**64 - 1)


@given(crc_a=u64, crc_b=u64, length=st.integers(0, 50 * 10**12))
def test_another_implementation_joins_alike(crc_a: int, crc_b: int, length: int) -> None:
    judged = anycrc.Model("CRC64-XZ").combine(crc_a, crc_b, length)
    assert combine_crc64(crc_a, crc_b, length) == judged


def crc_of_zeros(length: int) -> int:
    """Built by doubling, one binary digit of the length after the other."""
    crc, covered = 0, 0
    for digit in f"{length:b}":
        crc, covered = combine_crc64(crc, crc, covered), covered * 2
        if digit == "1":
            crc, covered = combine_crc64(crc, judge(b"\0"), 1), covered + 1
    return crc


def test_joins_50_tb() -> None:
    assert crc_of_zeros(1_000_003) == judge(bytes(1_000_003))
    whole, front = 50 * 10**12, 17_000_000_000_001
    halves = (crc_of_zeros(front), crc_of_zeros(whole - front))
    assert combine_crc64(*halves, whole - front) == crc_of_zeros(whole)


@given(parts=pieces, as_view=st.booleans())
def test_any_split_gives_the_same_digests(parts: list[bytes], as_view: bool) -> None:
    body = b"".join(parts)
    digester = Digester(md5=True, crc64=True)
    for part in parts:
        digester.feed(memoryview(part) if as_view else part)
    assert digester.size == len(body)
    assert digester.md5_hex() == hashlib.md5(body, usedforsecurity=False).hexdigest()
    assert digester.crc64_value() == judge(body)


def test_large_body() -> None:
    body = random.Random(7).randbytes(3_000_017)
    digester = Digester(md5=True, crc64=True)
    for at in range(0, len(body), 65536):
        digester.feed(body[at : at + 65536])
    assert digester.md5_hex() == hashlib.md5(body, usedforsecurity=False).hexdigest()
    assert digester.crc64_value() == judge(body)


def test_only_what_was_asked_for() -> None:
    neither, md5, crc = Digester(False, False), Digester(True, False), Digester(False, True)
    for digester in (neither, md5, crc):
        digester.feed(b"abc")
        assert digester.size == 3
    assert (neither.md5_hex(), neither.crc64_value()) == (None, None)
    assert (md5.md5_hex(), md5.crc64_value()) == ("900150983cd24fb0d6963f7d28e17f72", None)
    assert (crc.md5_hex(), crc.crc64_value()) == (None, judge(b"abc"))


def test_may_be_read_in_between() -> None:
    digester = Digester(md5=True, crc64=True)
    digester.feed(b"12345")
    assert digester.crc64_value() == judge(b"12345")
    assert digester.md5_hex() is not None
    digester.feed(b"6789")
    assert digester.crc64_value() == 0x995DC9BBDF1939FA
    assert digester.md5_hex() == "25f9e794323b453885f5181f1b624d0b"
