import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.transfers.part_list import PartList, read_part_list
from tests.transfers.build import part_list


def test_reads_numbers_and_etags_in_their_order() -> None:
    body = part_list([(2, "b"), (1, "a"), (2, "c")])
    assert read_part_list(body) == PartList(((2, '"b"'), (1, '"a"'), (2, '"c"')))


def test_namespaces_and_blanks() -> None:
    body = (
        b'<?xml version="1.0"?>\n<C xmlns="urn:x"> <Part>\n <ETag> "a" </ETag>'
        b"<PartNumber> 7\n</PartNumber> <Size>3</Size></Part> </C>"
    )
    assert read_part_list(body) == PartList(((7, '"a"'),))


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"<C><Part><PartNumber>1</PartNumber>",
        b'<!DOCTYPE C [<!ENTITY a "b">]><C><Part><PartNumber>1</PartNumber></Part></C>',
        b"not xml",
        b"<C>" + b"<Part><PartNumber>1</PartNumber></Part>" * 30_001 + b"</C>",
        b"<C><Part><PartNumber>1</PartNumber></Part>" + b"<a/>" * 100_000 + b"</C>",
        b"<C><Part><PartNumber>1</PartNumber></Part>" + b"<a>" * 32 + b"</a>" * 32 + b"</C>",
    ],
    ids=["absent", "empty", "cut", "entities", "text", "too-many", "too-broad", "too-deep"],
)
def test_unreadable(body: bytes | None) -> None:
    assert read_part_list(body) is None


def test_parts_without_a_number_are_told() -> None:
    numbers = ["x", "-1", "1_0", "+1", "१", "9" * 50]
    listed = "".join(f"<Part><PartNumber>{number}</PartNumber></Part>" for number in numbers)
    body = f"<C>{listed}<Part><ETag>e</ETag></Part></C>".encode()
    assert read_part_list(body) == PartList((), (*numbers, ""))


def test_as_many_parts_as_there_may_be_with_all_that_clients_say_of_them() -> None:
    more = b"".join(b"<Checksum%d>x</Checksum%d>" % (n, n) for n in range(6))
    part = b"<Part><PartNumber>1</PartNumber><ETag>e</ETag>%b</Part>" % more
    read = read_part_list(b"<C>" + part * 10_000 + b"</C>")
    assert read is not None
    assert len(read.parts) == 10_000


@given(st.binary(max_size=300))
def test_never_raises(body: bytes) -> None:
    read_part_list(b"<C><Part>" + body + b"</Part></C>")
