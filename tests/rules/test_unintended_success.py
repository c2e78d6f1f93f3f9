"""Successes that do something else than what was meant; single ones lie in ``tests/captures``."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import BodyEnd, Exchange
from tests.rules.exchanges import CONTENT, CRC64, ETAG, HOST, Fields, exchange

DONE: Fields = (("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64))
PIC = '{"is_pic_info": 1, "rules": [{"fileid": "/b.png", "rule": "imageMogr2/thumbnail/100x"}]}'
RESULT = (
    b"<UploadResult><OriginalInfo><Key>a.png</Key></OriginalInfo>"
    b"<ProcessResults><Object><Key>b.png</Key></Object></ProcessResults></UploadResult>"
)
BROWSER = (("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0 Safari/537.36"),)


def rules(one: Exchange) -> Sequence[str]:
    looked = first_look(one)
    assert looked is not None
    mine = ("key-escaped-twice", "processing-not-applied", "forced-download")
    return [found.rule for found in looked.report.findings if found.rule in mine]


@pytest.mark.parametrize(
    ("target", "how", "expected"),
    [
        ("/a%2520b.txt", {"body": CONTENT, "answer_headers": DONE}, ["key-escaped-twice"]),
        ("/a%2520b.txt", {"body": CONTENT, "status": 403}, []),
        ("/a%2520b.txt", {"body": CONTENT, "status": None, "error": "reset"}, []),
        ("/a%2520b.txt?partNumber=1&uploadId=u", {"body": CONTENT, "answer_headers": DONE}, []),
        (
            "/a%2520b.txt",
            {"headers": (("x-cos-copy-source", f"{HOST}/c"),), "answer": b"<CopyObjectResult/>"},
            ["key-escaped-twice"],
        ),
    ],
)
def test_key_escaped_twice(target: str, how: dict[str, object], expected: list[str]) -> None:
    assert rules(exchange("PUT", target, **how)) == expected  # type: ignore[arg-type]


def test_what_is_only_read_is_not_named_anew() -> None:
    assert not rules(exchange(target="/a%2520b.txt", answer=CONTENT, answer_headers=DONE))


def test_an_append_says_it_once() -> None:
    first, later = (f"/a%2520b?append&position={at}" for at in (0, 16))
    assert rules(exchange("POST", first, body=CONTENT)) == ["key-escaped-twice"]
    assert not rules(exchange("POST", later, body=CONTENT))


def form_upload(*fields: tuple[str, str]) -> tuple[tuple[str, str], bytes]:
    """The Content-Type and the body of a form with these fields and the content."""
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    parts += [
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n',
        CONTENT,
        b"\r\n--b--\r\n",
    ]
    return ("Content-Type", "multipart/form-data; boundary=b"), b"".join(parts)


def processed(asked: str, answer: bytes = b"", **how: object) -> Sequence[str]:
    headers = (("Pic-Operations", asked),)
    return rules(
        exchange(
            "PUT",
            "/a.png",
            headers=headers,
            body=CONTENT,
            answer=answer,
            answer_headers=DONE,
            **how,  # type: ignore[arg-type]
        )
    )


def test_processing() -> None:
    assert processed(PIC) == ["processing-not-applied"]
    assert processed(PIC.replace(", ", ",\n ")) == ["processing-not-applied"]
    assert not processed(PIC, RESULT)
    assert not processed(PIC, b'<?xml version="1.0"?>\n' + RESULT)
    assert not processed(PIC, status=503)


@pytest.mark.parametrize("name", ["x-cos-callback", "x-cos-return-body"])
@pytest.mark.parametrize("answer", [b"", b'{"ok": true}'])
def test_a_body_of_the_caller_s_own_shows_no_result(name: str, answer: bytes) -> None:
    asked = (("Pic-Operations", PIC), (name, "e30="))
    one = exchange("PUT", "/a.png", headers=asked, body=CONTENT, answer=answer, answer_headers=DONE)
    assert not rules(one)
    form, sent = form_upload(("key", "a.png"), *asked)
    one = exchange("POST", "/", headers=(form,), body=sent, answer=answer, answer_headers=DONE)
    assert not rules(one)
    form, sent = form_upload(("key", "a.png"), *asked[:1])
    one = exchange("POST", "/", headers=(form,), body=sent, answer=answer, answer_headers=DONE)
    assert rules(one) == ["processing-not-applied"]


def test_processing_of_a_whole_multipart_upload() -> None:
    target, headers = "/a.png?uploadId=u", (("Pic-Operations", PIC),)
    plain = b'<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>'
    made = plain.replace(b"</Comp", b"<ProcessResults><Object/></ProcessResults></Comp")
    body = b"<CompleteMultipartUpload/>"
    for answer, expected in ((plain, ["processing-not-applied"]), (made, []), (RESULT, [])):
        one = exchange("POST", target, headers=headers, body=body, answer=answer)
        assert rules(one) == expected


@pytest.mark.parametrize("end", [BodyEnd.NOT_CAPTURED, BodyEnd.CUT, BodyEnd.STOPPED])
def test_what_is_not_known_of_the_answer_is_not_held_against_it(end: BodyEnd) -> None:
    assert not processed(PIC, b"<Upload", answer_end=end)


@given(asked=st.text(st.characters(exclude_categories=["C"]), min_size=1))
def test_no_value_upsets_it(asked: str) -> None:
    assert set(processed(asked)) <= {"processing-not-applied"}


ATTACHED: Fields = (
    ("Content-Type", "image/png"),
    ("Content-Disposition", "attachment"),
    ("x-cos-force-download", "true"),
)


def shown(
    target: str,
    answered: Fields = ATTACHED,
    *,
    method: str = "GET",
    host: str = HOST,
    headers: Fields = BROWSER,
    status: int = 200,
) -> bool:
    one = exchange(
        method,
        target,
        host=host,
        headers=headers,
        status=status,
        answer=b"" if method == "HEAD" else CONTENT,
        answer_headers=(*DONE, *answered),
    )
    return "forced-download" not in rules(one)


def test_forced_downloads() -> None:
    bytes_ = (("Content-Type", "application/octet-stream; charset=utf-8"),)
    for target in ("/a.png", "/%E7%85%A7.JPEG", "/index.html", "/a.svg?x-cos-security-token=t"):
        assert not shown(target)
        assert not shown(target, method="HEAD")
        assert not shown(target, bytes_)
        assert not shown(target, bytes_, host="www.example.com")
        assert not shown(target, headers=())
    for host in ("cos.accelerate", "cos-website.ap-beijing", "cos-internal.ap-beijing"):
        assert not shown("/a.png", host=f"examplebucket-1250000000.{host}.myqcloud.com")


def test_downloads_that_are_meant() -> None:
    for target in ("/a.zip", "/a", "/png", "/a.png/", "/a.txt"):
        assert shown(target)
    assert shown("/a.png?response-content-disposition=attachment", ATTACHED[:2])
    assert shown(
        "/a.png?response-content-type=application/octet-stream", (("Content-Type", "x/y"),)
    )
    assert shown("/a.png", ATTACHED[:2], host="www.example.com")
    assert shown("/a.png", (("Content-Type", "image/png"), ("Content-Disposition", "inline")))
    assert shown("/a.png", (("Content-Type", "image/png"),))
    assert shown("/a.png", status=404)


@pytest.mark.parametrize("dest", ["image", "empty", "script"])
def test_what_a_page_takes_itself(dest: str) -> None:
    assert shown("/a.png", headers=(*BROWSER, ("Sec-Fetch-Dest", dest)))
    assert not shown("/a.png", headers=(*BROWSER, ("Sec-Fetch-Dest", "document")))


@pytest.mark.parametrize("agent", ["cos-go-sdk-v5/0.7.75", "coscmd-v1.9.0.6", "Boto3/1.34.0"])
def test_programs_show_nothing(agent: str) -> None:
    assert shown("/a.png", headers=(("User-Agent", agent),))
