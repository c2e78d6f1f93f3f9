import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.xml_fields import MAX_BYTES, read_xml_fields, root_name, walk_xml

COMPLETE = (
    b"<?xml version='1.0' encoding='utf-8' ?>\n"
    b'<CompleteMultipartUploadResult xmlns="http://www.qcloud.com/document/product/436/7751">'
    b"<Location>http://a/b</Location><Key>b &amp; c</Key>"
    b"<ETag>&quot;aa259a62513358f69e98e72e59856d88-3&quot;</ETag>"
    b"<Nested><Key>inner</Key></Nested><Key>second</Key>"
    b"</CompleteMultipartUploadResult>"
)
WANTED = frozenset({"ETag", "Key"})


def test_wanted_children_of_the_root() -> None:
    assert read_xml_fields(COMPLETE, WANTED) == {
        "Key": "b & c",
        "ETag": '"aa259a62513358f69e98e72e59856d88-3"',
    }


def test_compressed_answer() -> None:
    assert read_xml_fields(gzip.compress(COMPLETE), WANTED) == read_xml_fields(COMPLETE, WANTED)
    assert root_name(gzip.compress(COMPLETE)) == "CompleteMultipartUploadResult"


@pytest.mark.parametrize("body", [None, b"", b"no xml", COMPLETE[:-5], b"<a><Key>x</Key></b>"])
def test_nothing_from_what_cannot_be_read(body: bytes | None) -> None:
    assert read_xml_fields(body, WANTED) == {}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"<Error/>", "Error"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a - b -->\n<n:Error>", "Error"),
        (b"<!DOCTYPE html>\n<html lang='en'>", "html"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><Error>", "Error"),
        ("<Error>".encode("utf-16"), "Error"),
        (b"{}", None),
        (b"", None),
        (None, None),
        (b"<!A a>" * 3000, None),
        (b"<!A [", None),
        (b"<!--" * 1000, None),
    ],
)
def test_root_name(body: bytes | None, name: str | None) -> None:
    assert root_name(body) == name


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<a>" * 60_000, "too many elements"),
        (b"<!DOCTYPE a><a><Key>k</Key></a>", "has a DTD or entities"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a><Key>&b;</Key></a>", "has a DTD or entities"),
        (b"<?xml version='1.0' encoding='utf-7'?><a/>", "unreadable encoding"),
        (b"<?xml version='1.0' encoding='gbk'?><a/>", "unreadable encoding"),
        (b"<a>" + b" " * MAX_BYTES, "larger than 4 MiB"),
        (gzip.compress(b"<a>" + b" " * MAX_BYTES), "larger than 4 MiB"),
        (b"<a>\n<b></a>", "not well-formed at line 2, column 6"),
    ],
)
def test_refused_documents(body: bytes, problem: str) -> None:
    found = walk_xml(body, WANTED)
    assert found.problem == problem
    assert found.root == "a"


def test_whole_fields_of_a_broken_document_are_salvaged() -> None:
    found = walk_xml(b"<a><Key>one &lt; two</Key><ETag>cut of", WANTED)
    assert found.problem is not None
    assert found.fields == {"Key": "one < two"}


@given(st.binary(max_size=400))
def test_never_raises(body: bytes) -> None:
    for prefix in (b"", b"<a>", b"<a><Key>", b"\x1f\x8b", b"<?xml version='1.0' encoding='"):
        walk_xml(prefix + body, WANTED)
        root_name(prefix + body)
