"""Lists of objects as COS answers them, and as strangers may."""

import pytest

from cos_inspect.cos.object_list import ListedObject, read_object_list

LIST = """<?xml version="1.0"?><ListBucketResult><Name>b</Name>{more}
<Contents><Key>{key}</Key><LastModified>x</LastModified><ETag>"abc-2"</ETag><Size>12</Size>
<Owner><ID>Key</ID><Key>other</Key></Owner></Contents>
<Contents><Key>empty</Key><ETag>"d"</ETag><Size>many</Size></Contents>
<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>"""


def test_objects_with_etag_and_size() -> None:
    text = LIST.format(more="", key="a+b %2F").encode()
    assert read_object_list(text) == [
        ListedObject("a+b %2F", '"abc-2"', 12, "x"),
        ListedObject("empty", '"d"', None),
    ]


def test_keys_that_are_encoded_on_demand() -> None:
    text = LIST.format(more="<EncodingType>url</EncodingType>", key="a+b%2F%E7%85%A7").encode()
    assert read_object_list(text)[0].key == "a b/照"


@pytest.mark.parametrize(
    "text", [None, b"", b"{}", b"<a", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"\xff\xfe"]
)
def test_what_is_no_list(text: bytes | None) -> None:
    assert read_object_list(text) == []


def test_no_more_than_a_list_may_have() -> None:
    text = "<L>" + "<Contents><Key>k</Key></Contents>" * 5000 + "</L>"
    assert len(read_object_list(text.encode())) == 1000
