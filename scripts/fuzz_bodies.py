"""Fuzzed: bodies of messages. How a body is split must not matter, what was framed comes
out again, and XML is what the standard library reads."""

import json
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from cos_inspect.cos.aws_chunked import AwsChunkedDecoder
from cos_inspect.cos.error import read_error
from cos_inspect.cos.form_upload import (
    MAX_FIELD,
    MAX_FIELDS_TOTAL,
    FormUploadDecoder,
    form_boundary,
)
from cos_inspect.cos.xml_fields import MAX_BYTES, plain, root_name, walk_xml
from cos_inspect.model.headers import Headers
from cos_inspect.transfers.part_list import read_part_list
from scripts.fuzz_judge import Target, agree, demand

_WANTED = frozenset({"Code", "Message", "RequestId", "ETag", "StringToSign", "Key"})
_BOUNDARY = b"fuzz"
_CUTS = (1, 2, 3, 7, 64)


def _pieces(data: bytes, step: int) -> list[bytes]:
    # The pattern of pieces depends on the step, also for long inputs.
    cuts: list[bytes] = []
    at = 0
    while at < len(data):
        size = max(step, len(data) // 64) if len(cuts) > 256 else step
        cuts.append(data[at : at + size])
        at += size
    return cuts


def _xml(data: bytes) -> None:
    body = plain(data)
    demand(len(body) <= max(len(data), MAX_BYTES + 1), f"{len(data)} bytes become {len(body)}")
    found = walk_xml(data, _WANTED)
    demand(set(found.fields) <= _WANTED, "a field that nobody asked for")
    root_name(data)
    read_error(data, Headers())
    parts = read_part_list(data)
    if found.problem in ("has a DTD or entities", "larger than 4 MiB", "too many elements"):
        return
    try:
        tree = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError):
        demand(found.problem is not None, "what is no XML is read as XML")
        return
    agree("the problem of good XML", found.problem, None)
    agree("the root's name", found.root, _local(tree.tag))
    fields: dict[str, str] = {}
    for child in tree:
        text = "".join([child.text or "", *(inner.tail or "" for inner in child)])
        fields.setdefault(_local(child.tag), text[:65_536])
    wanted = {name: text for name, text in fields.items() if name in _WANTED}
    agree("the fields", found.fields, wanted)
    if parts is not None and body == data:
        listed = [child for child in tree if _local(child.tag) == "Part"]
        agree("listed parts", len(parts.parts) + len(parts.no_numbers), len(listed))


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _json_error(data: bytes) -> None:
    """An error in JSON, and the headers that name one."""
    found = read_error(data, Headers())
    again = read_error(data, Headers([("x-cos-error-code", "A"), ("x-errno", "-1")]))
    agree("the same error again", read_error(data, Headers()), found)
    demand(again is not None, "an error that a header names is none")
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    named = isinstance(document, dict) and document.get("code", document.get("Code"))
    if found is not None and found.shape == "json" and found.code is not None:
        demand(isinstance(document, dict), f"the code {found.code!r:.60} of what is no JSON")
    is_good = found is not None and found.problem is None
    if isinstance(named, str) and named.strip() not in ("", "0") and found and is_good:
        agree("the code", found.code, named[:65_536].strip())


def _chunked(data: bytes) -> None:
    payload, state = _unchunked([data])
    for step in _CUTS:
        agree(f"fed {step} bytes at a time", _unchunked(_pieces(data, step)), (payload, state))
    size, complete, problem, _ = state
    agree("the payload's size", size, len(payload))
    demand(len(payload) <= len(data), "more payload than bytes")
    demand(complete == (problem is None), f"complete is {complete}, its problem {problem!r}")
    if complete:
        agree("the payload", payload, _plainly_unchunked(data))
    step = 1 + sum(data[:2])
    framed = b"".join(
        b"%x;chunk-signature=%s\r\n%s\r\n" % (len(piece), b"a" * 64, piece)
        for piece in [data[at : at + step] for at in range(0, len(data), step)]
    )
    trailers = (("x-amz-checksum-crc32", "AAAAAA=="),)
    found = _unchunked([framed + b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"])
    agree("what was framed", found, (data, (len(data), True, None, trailers)))


def _unchunked(pieces: Sequence[bytes]) -> tuple[bytes, tuple[object, ...]]:
    decoder = AwsChunkedDecoder()
    payload = b"".join(bytes(found) for piece in pieces for found in decoder.feed(piece))
    decoder.finish()
    return payload, (decoder.size, decoder.complete, decoder.problem, decoder.trailers)


def _plainly_unchunked(data: bytes) -> bytes:
    """The payload of a body without fault."""
    found, at = b"", 0
    while True:
        end = data.index(b"\n", at)
        size = int(data[at:end].partition(b";")[0].strip(b" \t\r"), 16)
        if not size:
            return found
        found += data[end + 1 : end + 1 + size]
        at = end + 1 + size + 2


def _form(data: bytes) -> None:
    """The first line is a Content-Type, the rest a body."""
    kind, _, body = data.partition(b"\n")
    boundary = form_boundary(kind.decode("utf-8", "replace")) or _BOUNDARY
    whole = _unformed(boundary, [body])
    for step in _CUTS:
        agree(f"fed {step} bytes at a time", _unformed(boundary, _pieces(body, step)), whole)
    payload, (size, fields, *_rest) = whole
    agree("the file's size", size, len(payload))
    demand(len(payload) <= len(body), "more file than bytes")
    kept = sum(len(value) for _, value in fields)
    demand(kept <= MAX_FIELDS_TOTAL, "more of fields is kept than is allowed")
    demand(all(len(value) <= MAX_FIELD for _, value in fields), "a field is kept without bound")
    if b"\r\n--" + _BOUNDARY not in b"\r\n" + data:
        built = b"".join(
            b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (_BOUNDARY, *part)
            for part in ((b"key", b"a"), (b"file", data))
        )
        found = _unformed(_BOUNDARY, [built + b"--" + _BOUNDARY + b"--\r\n"])
        agree("the file that was put in", found[0], data)
        agree("the fields that were put in", found[1][1], (("key", "a"),))
        demand(found[1][2], f"a good form is not complete: {found[1][3]}")


def _unformed(
    boundary: bytes, pieces: Sequence[bytes]
) -> tuple[bytes, tuple[int, tuple[tuple[str, str], ...], bool, str | None, str | None]]:
    decoder = FormUploadDecoder(boundary)
    payload = b""
    restarts = 0
    for piece in pieces:
        found = b"".join(bytes(part) for part in decoder.feed(piece))
        if decoder.restarts != restarts:
            restarts = decoder.restarts
            payload = b""
        payload += found
    decoder.finish()
    fields = tuple((field.name, field.value) for field in decoder.fields)
    told = (decoder.size, fields, decoder.complete, decoder.problem, decoder.file_name)
    return payload, told


_XML_WORDS = (
    b"<Error>", b"</Error>", b"<Code>", b"</Code>", b"<Message>", b"<a/>", b"&lt;", b"&#0;",
    b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?xml version='1.0' encoding='utf-16'?>", b"<!DOCTYPE",
    b"<Part>", b"<PartNumber>1</PartNumber>", b"</Part>", b' xmlns="urn:a"', b"\x1f\x8b", b"&a;",
)  # fmt: skip


TARGETS = (
    Target(
        name="xml",
        parses="XML answers: errors, results, lists of parts; also under gzip",
        check=_xml,
        words=_XML_WORDS,
        short=1000,
    ),
    Target(
        name="json-errors",
        parses="errors in JSON",
        check=_json_error,
        words=(b'{"code":', b'"message":', b'"', b"}", b"\\ud800", b"1e999", b"[", b"\xef\xbb\xbf"),
    ),
    Target(
        name="aws-chunked",
        parses="uploads framed by S3 clients",
        check=_chunked,
        words=(b"\r\n", b"0\r\n", b"4\r\nabcd\r\n", b";chunk-signature=", b"a:b\r\n", b"ffffffff"),
        short=1500,
    ),
    Target(
        name="forms",
        parses="form uploads",
        check=_form,
        words=(
            b"--fuzz", b"--", b"\r\n", b"\r\n\r\n", b'Content-Disposition: form-data; name="file"',
            b'; filename="a"', b"multipart/form-data; boundary=", b"Content-Type: text/plain",
            b'name="', b"filename*=UTF-8''", b"boundary=fuzz\n",
        ),
        short=1500,
    ),
)  # fmt: skip
