"""Header fields: found in any case, kept as they came, and no more than any server takes."""

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.headers import MAX_FIELDS, MAX_VALUE, Headers
from cos_inspect.recording.message_heads import headers_of


def test_headers_are_found_in_any_case_and_kept_as_sent() -> None:
    headers = Headers([("ETag", "1"), ("etag", "2"), ("Date", "")])
    assert headers.get("etag") == "1"
    assert headers.all("etag") == ("1", "2")
    assert headers.get("date") == ""
    assert headers.get("server") is None
    assert headers.all("server") == ()
    assert "etag" in headers
    assert "server" not in headers
    assert list(headers) == [("ETag", "1"), ("etag", "2"), ("Date", "")]
    assert len(headers) == 3
    assert list(headers.names()) == ["etag", "date"]


def test_fields_beyond_the_last_that_is_judged_have_no_value() -> None:
    many = [("x-cos-meta-a", "1")] * MAX_FIELDS
    headers = Headers([*many, ("ETag", "2")])
    assert headers.get("etag") == ""
    assert headers.tells("etag")
    assert len(headers.all("x-cos-meta-a")) == MAX_FIELDS
    assert Headers([*many[1:], ("ETag", "2")]).get("etag") == "2"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ETag", "etag", "X-Ä", "X-1", "long"]),
            st.sampled_from([0, 1, 65_536, 65_537]),
        ),
        max_size=12,
    ),
    st.integers(0, 1100),
)
def test_the_same_fields_are_read_of_bytes_and_of_text(
    drawn: list[tuple[str, int]], more: int
) -> None:
    fields = [("n" * 65_537 if name == "long" else name, "v" * size) for name, size in drawn]
    fields += [(f"x-{number}", "1") for number in range(more)]
    told = Headers(fields)
    raw = tuple((name.encode(), value.encode()) for name, value in fields)
    read = headers_of(raw)
    assert read == told
    assert hash(read) == hash(told)
    assert (read.unread, len(read)) == (told.unread, len(fields))
    read_whole = [
        len(name) + len(value)
        for name, value in told.fields
        if max(len(name), len(value)) <= MAX_VALUE
    ]
    assert sum(read_whole) <= 131_072
    for name, value in fields:
        lower = name.lower()
        assert lower in read
        assert read.get(lower) == told.get(lower) is not None
        assert read.all(lower) == told.all(lower)
        assert read.all(lower) or value == ""
    assert read.get("date") is None
    assert "date" not in read


def test_fields_behind_very_much_are_not_read() -> None:
    """Two of the longest that are read, and no third one."""
    long = "v" * (MAX_VALUE - 1)
    headers = Headers([("a", long), ("b", long), ("etag", "1"), ("A", "2")])
    assert headers.fields == (("a", long), ("b", long))
    assert headers.unread == {"etag", "a"}
    assert (headers.get("etag"), headers.all("etag")) == ("", ("",))
    assert headers.get("a") == long
    assert repr(headers).endswith(" and 2 more)")


def test_headers_are_equal_when_their_fields_are() -> None:
    one, same, other = Headers([("A", "1")]), Headers((("A", "1"),)), Headers([("a", "1")])
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert "'A', '1'" in repr(one)
