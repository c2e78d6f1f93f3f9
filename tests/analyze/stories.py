"""Stories that several flows tell together, as mitmproxy saves them, and what is to be found.

Digests are by hashlib and crcmod, not by us.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any, NamedTuple

from mitmproxy import http
from mitmproxy.connection import Server
from mitmproxy.flow import Error
from mitmproxy.test import tflow

from tests.transfers.build import HOST, MIB, START, crc64, md5, part_list

Found = AbstractSet[tuple[str, str]]
"""Flows or transfers, and rules."""
FIRST_PART = bytes(range(256)) * (MIB // 256)
KEY_ID = "AKIDEXAMPLE" + "x" * 25
CRC = "x-cos-hash-crc64ecma"


class Story(NamedTuple):
    flows: list[http.HTTPFlow]
    found: Found = frozenset()
    """All that is worse than a notice, and notices of rules that join."""
    of_transfers: Found = frozenset()


def flow(
    name: str,
    method: str,
    target: str,
    at: float,
    *,
    status: int | None = 200,
    sent: dict[str, str] | None = None,
    answered: dict[str, str] | None = None,
    body: bytes = b"",
    answer: bytes = b"",
    took: float = 0.1,
    scheme: str = "https",
    client: str = "10.0.0.7",
    connection: Server | None = None,
) -> http.HTTPFlow:
    """``at``: seconds after a fixed start; without a status nobody answered."""
    made = tflow.tflow(resp=True)
    made.id = name
    begin = START + at
    headers = {"Host": HOST, "User-Agent": "cos-python-sdk-v5.1.9.44"}
    headers |= {"Content-Length": str(len(body))} if method != "GET" else {}
    headers |= sent or {}
    made.request = http.Request.make(method, f"{scheme}://{HOST}{target}", body)
    made.request.headers = _fields(headers)
    made.request.timestamp_start, made.request.timestamp_end = begin, begin + took / 2
    made.client_conn.peername = (client, 40000)
    if connection is not None:
        made.server_conn = connection
    else:
        made.server_conn.id = f"connection-{name}"
    if status is None:
        made.response, made.error = None, Error("connection lost", begin + took)
        return made
    made.response = http.Response.make(status, b"" if method == "HEAD" else answer)
    made.response.headers = _fields(
        {
            "Server": "tencent-cos",
            "x-cos-request-id": base64.b64encode(
                f"{int(begin):x}_64b82a09_1bc_1".encode()
            ).decode(),
            "Content-Length": str(len(answer)),
        }
        | ({"x-cos-trace-id": "OGVmYzZiMmQzYjA2OWNh"} if status >= 400 else {})
        | (answered or {})
    )
    made.response.timestamp_start = begin + took / 2
    made.response.timestamp_end = begin + took
    return made


def _fields(headers: dict[str, str]) -> http.Headers:
    return http.Headers([(name.encode(), value.encode()) for name, value in headers.items()])


@lru_cache(maxsize=256)
def crc_of(data: bytes) -> str:
    return str(crc64(data))


def digests(data: bytes) -> dict[str, str]:
    return {"ETag": f'"{md5(data)}"', CRC: crc_of(data)}


def refused(status: int, code: str, more: str = "") -> dict[str, Any]:
    text = f"<Error><Code>{code}</Code><Message>m</Message>{more}</Error>"
    return {"status": status, "answer": text.encode()}


def signed(secret_id: str, *, token: bool = False, times: int = 0) -> dict[str, str]:
    time = f"{int(START) + times};{int(START) + 36000}"
    fields = {
        "Authorization": f"q-sign-algorithm=sha1&q-ak={secret_id}&q-sign-time={time}"
        f"&q-key-time={time}&q-header-list=&q-url-param-list=&q-signature={'0' * 40}"
    }
    return fields | ({"x-cos-security-token": "a-token-of-sts"} if token else {})


def string_to_sign(method: str, path: str) -> str:
    """As COS tells it, for ``signed`` headers."""
    asked = f"{method.lower()}\n{path}\n\n\n"
    digest = hashlib.sha1(asked.encode(), usedforsecurity=False).hexdigest()
    return f"sha1\n{int(START)};{int(START) + 36000}\n{digest}\n"


def initiate(key: str, upload: str, at: float) -> http.HTTPFlow:
    result = "InitiateMultipartUploadResult"
    text = f"<{result}><UploadId>{upload}</UploadId></{result}>"
    return flow(f"{key}-begin", "POST", f"/{key}?uploads", at, answer=text.encode())


def part(
    key: str, upload: str, number: int, data: bytes, at: float, name: str = "", **more: Any
) -> http.HTTPFlow:
    arguments: dict[str, Any] = {"body": data, "answered": digests(data)}
    return flow(
        f"{key}-{name or number}",
        "PUT",
        f"/{key}?partNumber={number}&uploadId={upload}",
        at,
        **(arguments | more),
    )


def complete(
    key: str, upload: str, listed: Sequence[tuple[int, str]], crc: str, at: float, **more: Any
) -> http.HTTPFlow:
    text = (
        "<CompleteMultipartUploadResult>"
        f"<ETag>&quot;{md5(b'x')}-{len(listed)}&quot;</ETag></CompleteMultipartUploadResult>"
    )
    arguments: dict[str, Any] = {
        "body": part_list(listed),
        "answer": text.encode(),
        "answered": {CRC: crc},
    }
    return flow(f"{key}-done", "POST", f"/{key}?uploadId={upload}", at, **(arguments | more))


def get(key: str, data: bytes, at: float, name: str = "get", **more: Any) -> http.HTTPFlow:
    arguments: dict[str, Any] = {"answer": data, "answered": digests(data)}
    return flow(f"{key}-{name}", "GET", f"/{key}", at, **(arguments | more))


def ranged(
    key: str, data: bytes, first: int, end: int, at: float, got: bytes | None = None
) -> http.HTTPFlow:
    return flow(
        f"{key}-{first}",
        "GET",
        f"/{key}",
        at,
        status=206,
        sent={"Range": f"bytes={first}-{end - 1}"},
        answered=digests(data) | {"Content-Range": f"bytes {first}-{end - 1}/{len(data)}"},
        answer=data[first:end] if got is None else got,
    )


def put(key: str, data: bytes, at: float, name: str = "put", **more: Any) -> http.HTTPFlow:
    arguments: dict[str, Any] = {"body": data, "answered": digests(data)}
    return flow(f"{key}-{name}", "PUT", f"/{key}", at, **(arguments | more))


def _content(number: int) -> bytes:
    return b"what is in object %d " % number * 20


def multipart(number: int, *, bad: bool, at: float) -> Story:
    key, upload = f"multipart{number}", f"upload{number}"
    chunks = [FIRST_PART, _content(number)]
    listed = [(place, md5(data)) for place, data in enumerate(chunks, 1)]
    flows = [initiate(key, upload, at)]
    flows += [part(key, upload, place, data, at + place) for place, data in enumerate(chunks, 1)]
    rule = "multipart-crc64-mismatch"
    crc = crc_of(b"something else") if bad else crc_of(b"".join(chunks))
    flows.append(complete(key, upload, listed, crc, at + 9))
    if bad:
        return Story(flows, {(f"{key}-done", rule)}, {(upload, rule)})
    return Story(flows)


def listed_wrongly(number: int, *, bad: bool, at: float) -> Story:
    """The part was uploaded anew, and the Complete names the ETag of the old one."""
    key, upload = f"listed{number}", f"upload-listed{number}"
    old, new = _content(number), _content(number + 1)
    flows = [
        part(key, upload, 1, old, at, "old"),
        part(key, upload, 1, new, at + 1, "new"),
        complete(key, upload, [(1, md5(old if bad else new))], crc_of(new), at + 2),
    ]
    rule = "multipart-etag-mismatch"
    return Story(flows, {(f"{key}-done", rule)}, {(upload, rule)}) if bad else Story(flows)


def small_part(number: int, *, bad: bool, at: float) -> Story:
    key, upload = f"small{number}", f"upload-small{number}"
    chunks = [_content(number) if bad else FIRST_PART, b"end"]
    listed = [(place, md5(data)) for place, data in enumerate(chunks, 1)]
    more: dict[str, Any] = {} if not bad else refused(400, "EntityTooSmall") | {"answered": {}}
    flows = [part(key, upload, place, data, at + place) for place, data in enumerate(chunks, 1)]
    flows.append(complete(key, upload, listed, crc_of(b"".join(chunks)), at + 4, **more))
    if not bad:
        return Story(flows)
    rule, done = "multipart-part-invalid", f"{key}-done"
    found = {(done, rule), (done, "error-response")}
    return Story(flows, found, {(upload, rule), (upload, "multipart-abandoned")})


def abandoned(number: int, *, bad: bool, at: float) -> Story:
    key, upload = f"open{number}", f"upload-open{number}"
    flows = [initiate(key, upload, at), part(key, upload, 1, _content(number), at + 1)]
    if bad:
        return Story(flows, set(), {(upload, "multipart-abandoned")})
    crc = crc_of(_content(number))
    flows.append(complete(key, upload, [(1, md5(_content(number)))], crc, at + 2))
    return Story(flows)


def gone(number: int, *, bad: bool, at: float) -> Story:
    """A Complete without an answer, then NoSuchUpload: most likely it was completed."""
    key, upload = f"gone{number}", f"upload-gone{number}"
    data = _content(number)
    listed, crc = [(1, md5(data))], crc_of(data)
    flows = [part(key, upload, 1, data, at)]
    if not bad:
        return Story([*flows, complete(key, upload, listed, crc, at + 1)])
    again = complete(key, upload, listed, crc, at + 2, **refused(404, "NoSuchUpload"))
    again.id = f"{key}-again"
    rule = "upload-probably-completed"
    flows += [complete(key, upload, listed, crc, at + 1, status=None), again]
    found = {
        (again.id, rule),
        (again.id, "retried"),
        (again.id, "error-response"),
        (f"{key}-done", "connection-failed"),
    }
    return Story(flows, found, {(upload, rule)})


def ranges(number: int, *, bad: bool, at: float) -> Story:
    key, data = f"ranges{number}", _content(number)
    half = len(data) // 2
    got = b"X" + data[half + 1 :] if bad else None
    flows = [ranged(key, data, 0, half, at), ranged(key, data, half, len(data), at + 1, got)]
    rule = "range-crc64-mismatch"
    return Story(flows, {(f"{key}-{half}", rule)}, {(key, rule)}) if bad else Story(flows)


def overlapping(number: int, *, bad: bool, at: float) -> Story:
    """Bodies of ranges that overlap are read again, up to where another begins."""
    key, data = f"overlap{number}", _content(number)
    third = len(data) // 3
    got = data[third:-1] + b"X" if bad else None
    flows = [
        flow(
            f"{key}-head",
            "HEAD",
            f"/{key}",
            at,
            answered=digests(data) | {"Content-Length": str(len(data))},
        ),
        ranged(key, data, 0, 2 * third, at + 1),
        ranged(key, data, third, len(data), at + 2, got),
    ]
    rule = "range-crc64-mismatch"
    return Story(flows, {(f"{key}-{third}", rule)}, {(key, rule)}) if bad else Story(flows)


def changed(number: int, *, bad: bool, at: float) -> Story:
    """Ranges of two versions in one download."""
    key, data = f"changed{number}", _content(number)
    half = len(data) // 2
    now = data[:-1] + b"X" if bad else data
    flows = [ranged(key, data, 0, half, at), ranged(key, now, half, len(data), at + 1)]
    rule = "object-changed"
    return Story(flows, {(f"{key}-{half}", rule)}, {(key, rule)}) if bad else Story(flows)


def appends(number: int, *, bad: bool, at: float) -> Story:
    key, first, second = f"log{number}", _content(number), b"and more"
    whole = first + second
    flows = []
    for name, data, position, told in (
        ("first", first, 0, first),
        ("second", second, len(first), whole[:-1] if bad else whole),
    ):
        answered = {
            "ETag": f'"{md5(data)}"',
            "x-cos-next-append-position": str(position + len(data)),
            CRC: crc_of(told),
        }
        target = f"/{key}?append&position={position}"
        flows.append(
            flow(f"{key}-{name}", "POST", target, at + position / 100, body=data, answered=answered)
        )
    rule = "crc64-mismatch"
    return Story(flows, {(f"{key}-second", rule)}, {(key, rule)}) if bad else Story(flows)


def copied(number: int, *, bad: bool, at: float) -> Story:
    source, target, data = f"source{number}", f"target{number}", _content(number)
    text = (
        f"<CopyObjectResult><ETag>&quot;{md5(data)}&quot;</ETag>"
        f"<CRC64>{crc_of(data[:-1] if bad else data)}</CRC64></CopyObjectResult>"
    )
    copy = flow(
        f"{target}-copy",
        "PUT",
        f"/{target}",
        at + 2,
        sent={"x-cos-copy-source": f"{HOST}/{source}"},
        answer=text.encode(),
    )
    found = {(copy.id, "crc64-mismatch")} if bad else set()
    return Story([put(source, data, at), copy], found)


def tried_again(number: int, *, bad: bool, at: float) -> Story:
    """Bad: the first try fails."""
    key, data = f"again{number}", _content(number)
    if not bad:
        return Story([put(key, data, at)])
    first = put(key, data, at, "try", **refused(503, "SlowDown"), answered={})
    found = {(f"{key}-put", "retried"), (f"{key}-try", "error-response")}
    return Story([first, put(key, data, at + 2)], found)


def damaged(number: int, *, bad: bool, at: float) -> Story:
    """Flows of one connection, one of which is damaged; the first has its times."""
    key, data = f"plain{number}", _content(number)
    shared = tflow.tserver_conn()
    shared.id = f"shared{number}"
    shared.timestamp_start, shared.timestamp_tcp_setup = START + at - 0.5, START + at - 0.3
    flows = [get(key, data, at + place, f"get{place}", connection=shared) for place in range(3)]
    if not bad:
        return Story(flows)
    wrong = get(key, data, at + 4, "bad", answer=b"X" + data[1:], connection=shared)
    found = {(wrong.id, "crc64-mismatch"), (wrong.id, "etag-mismatch")}
    return Story([*flows, wrong], found)


def rewritten(number: int, *, bad: bool, at: float) -> Story:
    """Written, then read with another content."""
    key, data = f"written{number}", _content(number)
    read = get(key, b"other " + data if bad else data, at + 2)
    return Story([put(key, data, at), read], {(read.id, "object-changed")} if bad else set())


def token(number: int, *, bad: bool, at: float) -> Story:
    """Bad: of one SecretId, a request with a token is taken, and one without it is refused."""
    key, secret_id = f"token{number}", f"AKIDtoken{number}" + "x" * 27
    fine = get(key, b"abc", at, sent=signed(secret_id, token=True))
    if not bad:
        return Story([fine])
    no_token = get(
        key,
        b"",
        at + 30,
        "none",
        sent=signed(secret_id),
        **refused(403, "AccessDenied"),
        answered={},
    )
    found = {(no_token.id, "token-missing"), (no_token.id, "error-response")}
    return Story([fine, no_token], found)


def wrong_key(number: int, *, bad: bool, at: float) -> Story:
    """Bad: the key is accepted elsewhere, so what was refused was signed wrongly."""
    key, secret_id = f"signed{number}", f"AKIDkey{number}" + "y" * 26
    told = f"<StringToSign>{string_to_sign('GET', f'/{key}')}</StringToSign>"
    wrong = get(
        key,
        b"",
        at,
        "wrong",
        sent=signed(secret_id),
        **refused(403, "SignatureDoesNotMatch", told),
        answered={},
    )
    rule = "signature-mismatch" if bad else "signature-wrong-key"
    flows = [wrong]
    if bad:
        flows.append(get(f"{key}-other", b"abc", at + 40, sent=signed(secret_id)))
    return Story(flows, {(wrong.id, rule), (wrong.id, "error-response")})


def on_device(number: int, *, bad: bool, at: float) -> Story:
    """Bad: a permanent key on a phone, over plain HTTP; said of the earliest flow alone."""
    key, secret_id = f"device{number}", f"AKIDdevice{number:02}" + "z" * 24
    sent = signed(secret_id) | ({"User-Agent": "cos-android-sdk-5.9.46"} if bad else {})
    flows = [
        get(key, b"abc", at + place, f"get{place}", sent=sent, scheme="http" if bad else "https")
        for place in range(3)
    ]
    rules = ("permanent-key-on-device", "credentials-in-clear") if bad else ()
    return Story(flows, {(flows[0].id, rule) for rule in rules})


def emptied(number: int, *, bad: bool, at: float) -> Story:
    """Bad: the second try stores nothing, for the client did not rewind its stream."""
    key, data = f"emptied{number}", _content(number)
    first = put(key, data, at, "try", status=None)
    again = put(key, b"" if bad else data, at + 2)
    found = {(first.id, "connection-failed"), (again.id, "retried")}
    if bad:
        found.add((again.id, "retry-body-differs"))
    return Story([first, again], found)


def shown(number: int, *, bad: bool, at: float) -> Story:
    """A Complete without an answer, then NoSuchUpload; fine: a HEAD shows the object."""
    key, data = f"shown{number}", _content(number)
    told = gone(number, bad=True, at=at)
    flows = told.flows
    for each in flows:
        each.id = each.id.replace(f"gone{number}", key)
        each.server_conn.id = f"connection-{each.id}"
        path = each.request.path.replace(f"/gone{number}", f"/{key}")
        each.request.path = path.replace("upload-gone", "upload-shown")
    found = {(flow.replace(f"gone{number}", key), rule) for flow, rule in told.found}
    upload, rule = f"upload-shown{number}", "upload-probably-completed"
    if bad:
        return Story(flows, found, {(upload, rule)})
    length = {"Content-Length": str(len(data))}
    head = flow(f"{key}-head", "HEAD", f"/{key}", at + 3, answered=digests(data) | length)
    # What failed is no more than a notice then.
    return Story([*flows, head], {(f"{key}-again", "retried")})


def listed(number: int, *, bad: bool, at: float) -> Story:
    """The same where a list shows the object; bad: one that was made before."""
    key, told = f"inlist{number}", shown(number, bad=True, at=at)
    for each in told.flows:
        each.id = each.id.replace(f"shown{number}", key)
        each.server_conn.id = f"connection-{each.id}"
        path = each.request.path.replace(f"/shown{number}", f"/{key}")
        each.request.path = path.replace("upload-shown", "upload-inlist")
    size = len(_content(number))
    entry = f"<Key>{key}</Key><ETag>&quot;{md5(b'x')}-1&quot;</ETag><Size>{size}</Size>"
    text = f"<ListBucketResult><Contents>{entry}</Contents></ListBucketResult>"
    moment = at + 0.5 if bad else at + 5
    made = flow(f"{key}-list", "GET", f"/?prefix={key}", moment, answer=text.encode())
    flows = [*told.flows, made]
    if bad:
        found = {(flow.replace(f"shown{number}", key), rule) for flow, rule in told.found}
        return Story(flows, found, {(f"upload-inlist{number}", "upload-probably-completed")})
    return Story(flows, {(f"{key}-again", "retried")})


def encrypted(number: int, *, bad: bool, at: float) -> Story:
    """Parts of an upload with a KMS key, as Initiate says, have ETags of another kind; bad: there
    is no such upload."""
    key, upload = f"kms{number}", f"upload-kms{number}"
    data = _content(number)
    mode = {"x-cos-server-side-encryption": "cos/kms"}
    begun = initiate(key, upload, at)
    if not bad:
        for message in (begun.request, begun.response):
            assert message is not None
            message.headers.update(mode)
        assert begun.response is not None
        begun.response.headers["x-cos-server-side-encryption-cos-kms-key-id"] = "a-key"
    etag = md5(b"another")
    answered = {"ETag": f'"{etag}"', CRC: crc_of(data)}
    flows = [
        begun,
        part(key, upload, 1, data, at + 1, answered=answered),
        complete(key, upload, [(1, etag)], crc_of(data), at + 2),
    ]
    rule = "etag-mismatch"
    return Story(flows, {(f"{key}-1", rule)}, {(upload, rule)}) if bad else Story(flows)


def appended(number: int, *, bad: bool, at: float) -> Story:
    """An object that was appended to has the ETag of its last piece; bad: it was not."""
    key, first, second = f"appended{number}", _content(number), b"and more"
    whole = first + second
    flows = appends(number, bad=False, at=at).flows
    for each in flows:
        each.id = each.id.replace(f"log{number}", key)
        each.server_conn.id = f"connection-{each.id}"
        each.request.path = each.request.path.replace(f"/log{number}", f"/{key}")
    answered = {"ETag": f'"{md5(second)}"', CRC: crc_of(whole)}
    read = get(f"{key}-other" if bad else key, whole, at + 20, "read", answered=answered)
    # Of another object a HEAD alone tells that it was appended to.
    etag = {"ETag": f'"{md5(second)}"'}
    kind = {"x-cos-object-type": "normal" if bad else "appendable"}
    length = {"Content-Length": str(len(whole))}
    told = flow(f"{key}-head", "HEAD", f"/{key}-told", at + 21, answered=etag | kind | length)
    later = get(f"{key}-told", whole, at + 20, answered=etag)
    wrong = {(read.id, "etag-mismatch"), (later.id, "etag-mismatch")}
    return Story([*flows, read, later, told], wrong if bad else set())


def slow(number: int, *, bad: bool, at: float) -> Story:
    key, upload = f"slow{number}", f"upload-slow{number}"
    data = FIRST_PART + b"x"
    seconds = 15.0 if bad else 0.1
    flows = [
        part(key, upload, 1, data, at, took=2 * seconds),
        complete(key, upload, [(1, md5(data))], crc_of(data), at + 40),
    ]
    rule = "slow-transfer"
    if not bad:
        return Story(flows)
    return Story(flows, {(f"{key}-1", rule)}, {(upload, rule)})


STORIES: tuple[Callable[..., Story], ...] = (
    multipart, listed_wrongly, small_part, abandoned, gone, ranges, overlapping, changed,
    appends, copied, tried_again, damaged, rewritten, token, wrong_key, on_device,
    emptied, shown, encrypted, appended, slow, listed,
)  # fmt: skip
