from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.har_entries import OddEntryError, RawEntry
from cos_inspect.captures.har_values import (
    address_of,
    address_of_request,
    as_object,
    as_text,
    failure_of,
    headers_of,
    is_from_cache,
    is_left_out,
    method_of,
    moment_of,
    number_of,
    span_of,
    status_of,
    version_of,
)
from cos_inspect.model.headers import Headers

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
RAW = RawEntry(0, b"", [], b"")


@given(ANY)
def test_whatever_stands_there_is_read_or_named_odd(value: Any) -> None:
    assert isinstance(as_text(value), str)
    assert as_text(value).encode("utf-8") is not None
    number = number_of(value)
    assert number is None or abs(number) < 1e15
    readers: list[Callable[[Any], object]] = [
        lambda each: as_object(each, "it"),
        method_of,
        status_of,
        lambda each: headers_of(each, RAW),
    ]
    for read in readers:
        with suppress(OddEntryError):
            read(value)
    try:
        moment_of(value, Headers([]))
    except OddEntryError:
        assert not isinstance(value, float) or not 0 < value < 1e15


@pytest.mark.parametrize(
    ("value", "status"), [(200, 200), ("404", 404), (0, None), (-1, None), ("", None), (None, None)]
)
def test_no_answer_is_written_in_many_ways(value: object, status: int | None) -> None:
    assert status_of(value) == status


@pytest.mark.parametrize("value", ["ok", 99, 1000, [], True])
def test_what_is_no_status(value: object) -> None:
    with pytest.raises(OddEntryError):
        status_of(value)


@pytest.mark.parametrize(
    "fields",
    [
        [{"name": "A", "value": "1"}, {"name": ":path", "value": "/"}],
        [["A", "1"], [":path", "/"]],
        {"A": "1", ":path": "/"},
        [{"name": "A", "value": 1}, {"name": ":path", "value": "/"}, 7, {"value": "x"}],
    ],
)
def test_forms_of_headers(fields: object) -> None:
    headers, pseudo = headers_of(fields, RAW)
    assert [(name, value) for name, value in headers] == [("A", "1")]
    assert pseudo == {":path": "/"}


def test_repeated_fields_are_joined_by_line_ends() -> None:
    headers, _ = headers_of([{"name": "A", "value": "1\n2"}], RAW)
    assert list(headers) == [("A", "1"), ("A", "2")]


@pytest.mark.parametrize("value", ["{\r\n 1\r\n}", "1\n 2", "1\n\t2", "1\r\n2"])
def test_a_value_on_many_lines_is_one(value: str) -> None:
    headers, _ = headers_of([{"name": "A", "value": value}], RAW)
    assert list(headers) == [("A", value)]


def test_a_request_has_no_joined_fields() -> None:
    headers, _ = headers_of([{"name": "A", "value": "{\n1\n}"}], RAW, joined=False)
    assert list(headers) == [("A", "{\n1\n}")]


@pytest.mark.parametrize(
    ("url", "authority", "host", "found"),
    [
        ("https://a.example/b?c#d", "", None, ("a.example", 443, "/b?c")),
        ("http://u:p@a.example:81", "", None, ("a.example", 81, "/")),
        ("http://10.0.0.1/b", "", "a.example", ("a.example", 80, "/b")),
        ("https://10.0.0.1/b", "a.example", None, ("a.example", 443, "/b")),
        ("https://a.example?x", "", None, ("a.example", 443, "/?x")),
    ],
)
def test_who_was_asked_for_what(
    url: str, authority: str, host: str | None, found: tuple[str, int, str]
) -> None:
    headers = Headers([] if host is None else [("Host", host)])
    assert address_of_request(url, url.partition(":")[0], headers, authority) == found


def test_a_url_without_a_host_is_odd() -> None:
    with pytest.raises(OddEntryError, match="no host"):
        address_of_request("https:///x", "https", Headers([]), "")


def test_the_rest_is_read_as_exporters_write_it() -> None:
    assert (version_of("h2"), version_of("HTTP/1.1"), version_of("x")) == (
        "HTTP/2.0",
        "HTTP/1.1",
        "x",
    )
    assert (address_of("[::1]"), address_of("")) == ("::1", None)
    assert (span_of({"a": 2}, "a"), span_of({"a": -1}, "a"), span_of({}, "a")) == (2.0, None, None)
    assert failure_of({"_error": "aborted"}, {}, None) == "aborted"
    assert failure_of({}, {"statusText": "gone"}, None) == "gone"
    assert failure_of({}, {"statusText": "OK"}, 200) is None
    assert is_left_out({"_responseBodyStatus": "discarded:size"}, {}, "_responseBodyStatus")
    assert is_from_cache({"_fromCache": "disk"})
    assert is_from_cache({"response": {"_fetchType": "Memory Cache"}})
    assert not is_from_cache({"response": None})
