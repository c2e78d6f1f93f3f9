from urllib.parse import unquote

from hypothesis import example, given
from hypothesis import strategies as st

from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.cos.signature_forms import content_types, lower_hex, other_hosts, other_paths
from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import Headers

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"


def test_a_type_may_have_been_signed_bare_or_with_a_charset() -> None:
    forms = list(content_types("Text/Plain; charset=gbk"))
    assert {"Text/Plain", "text/plain", "text/plain;charset=utf-8", "", "application/json"} <= {
        *forms
    }


def test_other_hosts_are_those_of_the_same_bucket() -> None:
    endpoint = read_endpoint(HOST, "/a")
    assert endpoint is not None
    request = Request(
        method="GET",
        scheme="https",
        host=HOST,
        port=443,
        target="/a",
        http_version="HTTP/1.1",
        headers=Headers([("Host", HOST)]),
    )
    hosts = list(other_hosts(request, endpoint))
    assert HOST not in hosts
    assert len(hosts) == len(set(hosts))
    assert f"{HOST}:443" in hosts
    assert "examplebucket-1250000000.cos.accelerate.myqcloud.com" in hosts


def test_a_host_for_acceleration_may_stand_for_that_of_any_region() -> None:
    asked = "examplebucket-1250000000.cos.accelerate.myqcloud.com"
    endpoint = read_endpoint(asked, "/a")
    assert endpoint is not None
    request = Request(
        method="GET",
        scheme="https",
        host=asked,
        port=443,
        target="/a",
        http_version="HTTP/1.1",
        headers=Headers([("Host", asked)]),
    )
    hosts = list(other_hosts(request, endpoint))
    assert {HOST, HOST.replace("guangzhou", "tokyo")} <= {*hosts}
    assert asked not in hosts
    assert len(hosts) == len(set(hosts))


def test_other_paths_have_names() -> None:
    endpoint = read_endpoint(HOST, "/a%20b")
    assert endpoint is not None
    found = list(other_paths("/a%20b?x=1", "/a b", endpoint))
    assert ("path-encoded", "/a%20b") in found
    assert ("path-plus-for-space", "/a+b") in found
    assert ("path-with-query", "/a b?x=1") in found
    assert ("path-with-bucket", "/examplebucket-1250000000/a b") in found


@given(st.text())
@example("%A")
@example("%ag%4%41")
def test_escapes_in_lower_case_mean_the_same(text: str) -> None:
    assert unquote(lower_hex(text)) == unquote(text)
    assert lower_hex("/A%2FB%C3") == "/A%2fB%c3"
