"""Behind a hole the right record is found, at its true distance, and no other one."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.captures.wire.tls_cipher import cipher_of_secret, expand_label
from cos_inspect.captures.wire.tls_refind import _MOST_BYTES, Found, RecordFinder
from cos_inspect.captures.wire.tls_suites import suite_of
from tests.saved.wire.test_tls_cipher import sealed

AES_128 = suite_of(0x1301)
SECRET = bytes(32)
SIZES = (10, 3000, 16_385, 16_385, 16_385, 700, 16_385, 16_385)
RECORDS = [sealed(SECRET, bytes(size - 1) + b"\x17", n) for n, size in enumerate(SIZES)]
WIRE = b"".join(record.head + bytes(record.body) for record in RECORDS)
PLACES = [sum(22 + size - 1 for size in SIZES[:n]) for n in range(len(SIZES))]


def _find(begin: int, lost_from: int, piece: int) -> Found | None:
    """Lost are the bytes from the beginning of a record to ``lost_from``."""
    cipher = cipher_of_secret(AES_128, SECRET)
    cipher.sequence = begin
    finder = RecordFinder(cipher, lost_from - PLACES[begin])
    for at in range(lost_from, len(WIRE), piece):
        found = finder.add(WIRE[at : at + piece], at, 7)
        if found is not None:
            return found
    return None


@settings(max_examples=60, deadline=None)
@given(
    begin=st.integers(0, 4),
    place=st.floats(0.0, 1.0),
    piece=st.sampled_from([100, 1460, 65_536]),
)
def test_the_next_record_is_found(begin: int, place: float, piece: int) -> None:
    first, last = PLACES[begin] + 1, PLACES[-1]
    lost_from = first + int((last - first) * place)
    found = _find(begin, lost_from, piece)
    assert found is not None
    number = begin + found.records
    assert found.position == PLACES[number]
    assert number == next(n for n, at in enumerate(PLACES) if at >= lost_from)
    assert found.length == sum(SIZES[begin:number]) - found.records
    assert found.acknowledged == 7
    assert WIRE[found.position :].startswith(found.rest)


def test_further_holes_are_counted() -> None:
    cipher = cipher_of_secret(AES_128, SECRET)
    finder = RecordFinder(cipher, 40)
    assert finder.add(WIRE[40:500], 40, -1) is None
    finder.hole(PLACES[3] - 10 - 500)
    found = finder.add(WIRE[PLACES[3] - 10 :], PLACES[3] - 10, -1)
    assert found is not None
    assert found.records == 3
    assert found.length == sum(SIZES[:3]) - 3


def test_what_never_opens_is_given_up() -> None:
    finder = RecordFinder(cipher_of_secret(AES_128, SECRET), 100)
    fed = 0
    while not finder.is_hopeless:
        assert finder.add(os.urandom(50_000) + b"\x17\x03\x03\x00\x40" + bytes(64), fed, -1) is None
        fed += 50_069
    assert fed <= _MOST_BYTES + 60_000


def test_keys_of_another_length_make_no_difference() -> None:
    assert expand_label("sha384", bytes(48), "key", 32) != expand_label(
        "sha256", bytes(32), "key", 32
    )
