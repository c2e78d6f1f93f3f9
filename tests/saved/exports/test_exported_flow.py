"""URLs and addresses as programs write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.exports.exported_flow import peer, plain_address, split_url


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://a.example/b?c#d", ("https", "a.example", 443, "/b?c")),
        ("http://a.example", ("http", "a.example", 80, "/")),
        ("HTTP://a.example:8080?b", ("http", "a.example", 8080, "/?b")),
        ("https://u:p@a.example/", ("https", "a.example", 443, "/")),
        ("https://[::1]:444/x", ("https", "::1", 444, "/x")),
        ("wss://a.example/", ("https", "a.example", 443, "/")),
        ("/b", ("http", "", 80, "/b")),
        ("*", ("http", "", 80, "/*")),
        ("ftp://a.example/", ("ftp", "a.example", 0, "/")),
    ],
)
def test_urls(url: str, parts: tuple[str, str, int, str]) -> None:
    assert split_url(url) == parts


def test_a_path_alone_over_tls() -> None:
    assert split_url("/b", tls=True) == ("https", "", 443, "/b")


@given(st.text(max_size=40))
def test_any_text_is_a_url_of_a_kind(url: str) -> None:
    assert split_url(url)[3].startswith("/")
    assert split_url(f"https://{url}")[0] == "https"


@pytest.mark.parametrize(
    ("address", "port", "shown"),
    [
        ("10.0.0.5", "41234", "10.0.0.5:41234"),
        ("10.0.0.5", 0, "10.0.0.5"),
        ("10.0.0.5", "x", "10.0.0.5"),
        ("10.0.0.5", "99999", "10.0.0.5"),
        ("10.0.0.5", True, "10.0.0.5"),
        ("::ffff:10.0.0.5", 1, "10.0.0.5:1"),
        ("127.0.0.1:8080", 80, "127.0.0.1:80"),
        ("2001:db8::1", 443, "[2001:db8::1]:443"),
        ("10.0.0.5\udc08", 1, "10.0.0.5?:1"),
        ("", 1, None),
        (None, 1, None),
    ],
)
def test_peers(address: object, port: object, shown: str | None) -> None:
    assert peer(address, port) == shown


def test_plain_addresses() -> None:
    assert plain_address("[2001:db8::1]:443") == "2001:db8::1"
    assert plain_address("::1") == "::1"
