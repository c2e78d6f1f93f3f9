"""The first difference between COS's HttpString and the wire's."""

import pytest

from cos_inspect.cos.signature import rebuild
from cos_inspect.cos.signature_difference import (
    Difference,
    first_difference,
    same_content,
    split_format_string,
)
from cos_inspect.model.exchange import Request
from tests.cos.signed_requests import HOST, Fields, request_of, signature_in, signed_by_hand


def difference(
    server: str,
    target: str = "/a",
    *,
    method: str = "GET",
    headers: Fields = (),
    names: str = "host",
    parameters: str = "",
) -> Difference | None:
    text = signed_by_hand("", header_list=names, parameter_list=parameters)
    request: Request = request_of(method, target, (*headers, ("Authorization", text)))
    wire = rebuild(signature_in(request), request)
    found = first_difference(server.replace("HOST", HOST), wire, request)
    assert (found is None) is same_content(server.replace("HOST", HOST), wire)
    return found


@pytest.mark.parametrize(
    ("server", "target", "cause"),
    [
        ("/a b", "/a+b", "plus-for-space"),
        ("/a+b", "/a%20b", "plus-for-space"),
        ("/a%20b", "/a%20b", "path-not-decoded"),
        ("/%E8%85%BE", "/%E8%85%BE", "path-not-decoded"),
        ("/a b", "/a%2520b", "double-encoding"),
        ("/a%2520b", "/a%2520b", "double-encoding"),
        ("/a%2Fb", "/a%2Fb", "slash-encoding"),
        ("/a/b", "/a%252Fb", "slash-encoding"),
        ("/\ufffd", "/%E8%85%BE", "character-set"),
        ("/b", "/a", "changed"),
    ],
)
def test_of_a_path(server: str, target: str, cause: str) -> None:
    found = difference(f"get\n{server}\n\nhost=HOST\n", target)
    assert found is not None
    assert (found.line, found.cause, found.changed_by) == ("path", cause, "behind-proxy")
    assert found.server == server
    assert found.at is not None


def test_the_very_characters() -> None:
    path = "/a-long-folder-name/with a blank/in the middle of it.txt"
    found = difference(
        f"get\n{path}\n\nhost=HOST\n", path.replace("h a", "h+a").replace(" ", "%20")
    )
    assert found is not None
    assert found.at == path.index(" ")
    assert found.server_part == path[found.at - 12 : found.at + 12]
    assert found.wire_part == found.server_part.replace("h a", "h+a")


def test_of_a_method() -> None:
    found = difference("head\n/a\n\nhost=HOST\n")
    assert found is not None
    assert (found.line, found.server, found.wire) == ("method", "head", "get")


@pytest.mark.parametrize(
    ("server", "cause"),
    [
        ("prefix=a+b%2Fc", "plus-for-space"),
        ("prefix=a%20b%2fc", "lower-case-escapes"),
        ("prefix=a%20b/c", "slash-encoding"),
        ("prefix=a%2520b%252Fc", "double-encoding"),
        ("prefix=a%20b%2Fc%20", "blanks"),
        ("prefix=a%20b%2F%E8%85%BE", "character-set"),
        ("prefix=x", "changed"),
        ("", "taken-away"),
    ],
)
def test_of_a_parameter(server: str, cause: str) -> None:
    found = difference(f"get\n/\n{server}\nhost=HOST\n", "/?prefix=a%20b%2Fc", parameters="prefix")
    assert found is not None
    assert (found.line, found.name, found.cause) == ("parameters", "prefix", cause)


@pytest.mark.parametrize(
    ("server", "name", "cause"),
    [
        ("content-type=text%2Fhtml&host=HOST", "content-type", "changed"),
        ("host=HOST", "content-type", "taken-away"),
        ("content-type=text%2Fplain&host=other", "host", "changed"),
        ("content-type=text%2Fplain&host=HOST&range=x", "range", "added"),
        ("host=HOST&content-type=text%2Fplain", None, "order"),
    ],
)
def test_of_a_header(server: str, name: str | None, cause: str) -> None:
    found = difference(
        f"get\n/a\n\n{server}\n",
        headers=(("Content-Type", "text/plain"),),
        names="content-type;host",
    )
    assert found is not None
    assert (found.line, found.name, found.cause) == ("headers", name, cause)
    assert found.changed_by == "behind-proxy"


def test_no_secret_is_in_it() -> None:
    for name in ("x-cos-security-token", "x-cos-server-side-encryption-customer-key"):
        found = difference(
            f"get\n/a\n\nhost=HOST&{name}=secret-two\n",
            headers=((name, "secret-one"),),
            names=f"host;{name}",
        )
        assert found is not None
        assert found.name == name
        assert "secret-" not in str(found)


@pytest.mark.parametrize(
    "text", ["get\n/a\n\nhost=HOST\n", "get\n/a\n\nhost=HOST", "\nget\r\n/a\r\n\r\nhost=HOST\r\n"]
)
def test_blanks_at_the_ends_are_none(text: str) -> None:
    assert difference(text) is None


def test_a_path_may_hold_line_ends() -> None:
    assert split_format_string("get\n/a\nb\nc=d\ne=f\n") == ("get", "/a\nb", "c=d", "e=f")
    assert split_format_string("get\n/\n\n\n") == ("get", "/", "", "")
    assert split_format_string("get") == ("get", "", "", "")
