"""What the request itself tells of an error."""

import pytest

from cos_inspect.cos.cos_exchange import read_exchange
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import Finding
from cos_inspect.rules.error import ERROR_RESPONSE
from cos_inspect.rules.error_hints import hints
from tests.rules.exchanges import HOST, REQUEST_ID, Fields, exchange
from tests.rules.exchanges import error_xml as error

SOURCE = "sourcebucket-1250000001.cos.ap-shanghai.myqcloud.com/a.txt"
COPY = (("x-cos-copy-source", SOURCE),)
PAGE = (
    "<html><head><title>404 Not Found</title></head><body><ul>\n<li>Code: {}</li>\n"
    f"<li>Message: it is not there</li>\n<li>RequestId: {REQUEST_ID}</li>\n</ul></body></html>"
)


def only(one: Exchange, rule: str) -> Finding:
    looked = first_look(one)
    assert looked is not None
    (found,) = (finding for finding in looked.report.findings if finding.rule == rule)
    return found


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        ("NoSuchKey", 404, "The copy's source does not exist"),
        ("NoSuchBucket", 404, "The bucket of the copy's source"),
        ("NoSuchVersion", 404, "The copy's source has no such version"),
        ("AccessDenied", 403, "may not read the copy's source"),
        ("InvalidObjectState", 403, "The copy's source is archived"),
        ("InvalidArgument", 400, "mostly x-cos-copy-source"),
        ("PreconditionFailed", 412, "on the copy's source"),
    ],
)
@pytest.mark.parametrize("target", ["/b", "/b?partNumber=1&uploadId=u"])
def test_errors_of_copies_point_at_the_source(
    code: str, status: int, says: str, target: str
) -> None:
    one = exchange("PUT", target, headers=COPY, status=status, answer=error(code))
    found = only(one, ERROR_RESPONSE.id)
    assert says in found.detail
    assert SOURCE in found.detail
    assert found.evidence["copy_source"] == SOURCE
    # The same code without a copy is about the address.
    plain = only(exchange("GET", "/b", status=status, answer=error(code)), ERROR_RESPONSE.id)
    assert "source" not in plain.detail


def test_an_error_about_the_target_of_a_copy_stays_one() -> None:
    one = exchange(
        "PUT", "/b?partNumber=1&uploadId=u", headers=COPY, status=404, answer=error("NoSuchUpload")
    )
    assert "copy's source does not" not in only(one, ERROR_RESPONSE.id).detail


def test_a_wrong_source_is_the_cause_in_a_success_too() -> None:
    one = exchange(
        "PUT", "/b", headers=(("x-cos-copy-source", "/b-1250000001/a"),), answer=error("NoSuchKey")
    )
    found = only(one, "error-in-success")
    assert "no host" in found.detail
    assert "x-cos-copy-source as" in found.fix


def told(target: str, code: str | None, status: int, **how: object) -> str:
    answer = error(code) if code else b""
    one = exchange(str(how.pop("method", "GET")), target, status=status, answer=answer, **how)  # type: ignore[arg-type]
    cos = read_exchange(one)
    assert cos is not None
    return " ".join(hint.detail for hint in hints(cos))


def test_the_argument_that_is_meant() -> None:
    assert "position is -1" in told(
        "/a?append&position=-1", "InvalidArgument", 400, method="POST", body=b"x"
    )
    assert not told("/a?append&position=9", "InvalidArgument", 400, method="POST", body=b"x")
    # Other codes say themselves what they mean.
    said = told("/a?append&position=-1", "AppendPositionErr", 409, method="POST", body=b"x")
    assert "must be" not in said


def test_a_hotlink_rule_where_no_body_could_say_so() -> None:
    referer: Fields = (("Referer", "https://blog.example.com/"),)
    assert "blog.example.com" in told("/a.zip", None, 403, method="HEAD", headers=referer)
    assert not told("/a.zip", None, 403, method="HEAD")
    assert not told("/a.zip", "AccessDenied", 403, headers=referer)
    assert not told("/a.zip", None, 404, method="HEAD", headers=referer)


@pytest.mark.parametrize(
    ("target", "code", "slash"),
    [
        ("/blog/first", "NoSuchKey", True),
        ("/blog/v1.2", "NoSuchKey", True),
        ("/%E5%8D%9A%E5%AE%A2", "NoSuchKey", True),
        ("/.well-known", "NoSuchKey", True),
        ("/blog/logo.png", "NoSuchKey", False),
        ("/blog/first", "NoSuchBucket", False),
        ("/blog/first", "NoSuchWebsiteConfiguration", False),
    ],
)
@pytest.mark.parametrize("host", [HOST.replace(".cos.", ".cos-website."), "www.example.com"])
def test_the_slash_of_a_website(target: str, code: str, slash: bool, host: str) -> None:
    one = exchange(target=target, host=host, status=404, answer=PAGE.format(code).encode())
    cos = read_exchange(one)
    assert cos is not None
    assert cos.error is not None
    assert cos.error.code == code
    said = " ".join(hint.detail for hint in hints(cos))
    assert ("ends in a slash" in said) is slash


def test_a_directory_of_a_website_without_an_index_document() -> None:
    host = HOST.replace(".cos.", ".cos-website.")
    for target in ("/", "/blog/"):
        said = told(target, "NoSuchKey", 404, host=host)
        assert "index document" in said
        assert "ends in a slash" not in said


def test_a_directory_of_a_bucket_is_no_website() -> None:
    assert not told("/blog/first", "NoSuchKey", 404)


def test_a_key_that_was_escaped_twice_when_it_was_asked_for() -> None:
    assert "escaped twice" in told("/%25E7%2585%25A7.png", "NoSuchKey", 404)
    assert "escaped twice" in told("/%25E7%2585%25A7.png", None, 404, method="HEAD")
    assert not told("/100%25.txt", "NoSuchKey", 404)
    assert "%252F" in told("/dir%2Fpart.bin", "NoSuchKey", 404)
    assert not told("/dir/part.bin", "NoSuchKey", 404)


def test_the_argument_that_the_error_names() -> None:
    extra = b"<ArgumentName>prefix</ArgumentName><ArgumentValue>a b</ArgumentValue></Error>"
    body = error("InvalidArgument").replace(b"</Error>", extra)
    found = only(exchange(target="/?prefix=a%20b", status=400, answer=body), ERROR_RESPONSE.id)
    assert "COS means prefix, which is a b." in found.detail
    assert found.evidence["arguments"] == {"prefix": "a b"}


def test_what_is_missing_when_something_is_renamed() -> None:
    source: Fields = (("x-cos-rename-source", "old/a.txt"),)
    assert "old/a.txt" in told("/b.txt", "NoSuchKey", 404, method="PUT", headers=source)


@pytest.mark.parametrize(
    ("target", "message", "says"),
    [
        ("/a?versionId=abc", "Invalid version id specified", "versionId, which is abc"),
        ("/a?versionId=abc", "Invalid Argument", None),
        ("/?prefix=a&delimiter=%2F%2F", "The delimiter is not valid", "delimiter, which is //"),
        ("/a", "Invalid version id specified", None),
    ],
)
def test_the_argument_that_the_message_speaks_of(
    target: str, message: str, says: str | None
) -> None:
    one = exchange("GET", target, status=400, answer=error("InvalidArgument", message))
    detail = only(one, ERROR_RESPONSE.id).detail
    assert "speaks of" not in detail if says is None else says in detail


def test_a_header_of_a_code_that_is_not_explained() -> None:
    headers = (("x-cos-storage-class", "standard"),)
    one = exchange("PUT", "/a", headers=headers, status=400, answer=error("InvalidStorageClass"))
    found = only(one, ERROR_RESPONSE.id)
    assert "x-cos-storage-class is standard" in found.detail
    assert "without a body" not in found.detail
    assert found.fix == "Correct x-cos-storage-class."


@pytest.mark.parametrize("ends", [None, "3"])
def test_where_an_append_wanted_to_begin(ends: str | None) -> None:
    more = () if ends is None else (("x-cos-next-append-position", ends),)
    one = exchange(
        "POST",
        "/a?append&position=5",
        status=409,
        answer=error("AppendPositionErr"),
        answer_headers=more,
    )
    found = only(one, ERROR_RESPONSE.id)
    assert "position 5" in found.detail
    assert ("goes to 3" in found.detail) == (ends is not None)
