import logging
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata

from cos_inspect.cos.form_upload import (
    MAX_FIELD,
    MAX_FIELDS,
    MAX_FIELDS_TOTAL,
    MAX_PARTS,
    FormUploadDecoder,
    form_boundary,
)
from cos_inspect.model.exchange import FormField
from tests.cos.splitting import cut, cuts

BOUNDARY = b"----9431149156168"
File = tuple[str, bytes, str]


def form(parts: Sequence[tuple[str, str | File]]) -> bytes:
    """A form as urllib3 (and so requests) writes it."""
    return encode_multipart_formdata(parts, boundary=BOUNDARY.decode())[0]


def read(parts: Sequence[bytes]) -> tuple[FormUploadDecoder, bytes]:
    decoder = FormUploadDecoder(BOUNDARY)
    content = b""
    restarts = 0
    for part in parts:
        pieces = decoder.feed(part)
        if decoder.restarts != restarts:
            restarts, content = decoder.restarts, b""
        content += b"".join(bytes(piece) for piece in pieces)
    decoder.finish()
    return decoder, content


def outcome(decoder: FormUploadDecoder, content: bytes) -> tuple[object, ...]:
    return (
        content,
        decoder.size,
        decoder.fields,
        decoder.file_name,
        decoder.fields_after_file,
        decoder.fields_cut,
        decoder.complete,
        decoder.problem,
        decoder.restarts,
    )


UPLOAD = form(
    [
        ("key", "photos/${filename}"),
        ("policy", "eyJleHBpcmF0aW9uIjoi"),
        ("q-signature", "0123456789abcdef"),
        ("file", ("a b;c.txt", b"[Object Content]", "text/plain")),
    ]
)


def test_fields_and_file() -> None:
    decoder, content = read([UPLOAD])
    assert content == b"[Object Content]"
    assert decoder.size == 16
    assert decoder.fields == (
        FormField("key", "photos/${filename}"),
        FormField("policy", "eyJleHBpcmF0aW9uIjoi"),
        FormField("q-signature", "0123456789abcdef"),
    )
    assert decoder.file_name == "a b;c.txt"
    assert (decoder.complete, decoder.problem, decoder.restarts) == (True, None, 0)
    assert not decoder.fields_after_file
    assert not decoder.fields_cut


def test_every_byte_on_its_own() -> None:
    whole = outcome(*read([UPLOAD]))
    assert outcome(*read([UPLOAD[at : at + 1] for at in range(len(UPLOAD))])) == whole


def test_every_place_to_split() -> None:
    whole = outcome(*read([UPLOAD]))
    for at in range(len(UPLOAD) + 1):
        assert outcome(*read([UPLOAD[:at], UPLOAD[at:]])) == whole


# What looks like the beginning of a boundary is what a parser may get wrong.
near = st.sampled_from(
    [
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n-",
        b"\r\n--",
        b"\r\n--" + BOUNDARY[:5],
        b"\r\n--" + BOUNDARY[:-1],
        b"--" + BOUNDARY,
        b"-",
        b"abc",
    ]
)
contents = st.one_of(st.binary(max_size=200), st.lists(near, max_size=20).map(b"".join))
names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), min_size=1
)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@given(
    fields=st.lists(st.tuples(names.filter(lambda name: name != "file"), values), max_size=6),
    content=contents.filter(lambda content: b"\r\n--" + BOUNDARY not in content),
    file_name=names.filter(lambda name: name[1:3] != ":\\"),
    places=cuts,
)
def test_any_form_at_any_split(
    fields: list[tuple[str, str]], content: bytes, file_name: str, places: list[int]
) -> None:
    body = form([*fields, ("file", (file_name, content, "application/octet-stream"))])
    decoder, got = read(cut(body, places))
    assert decoder.problem is None
    assert got == content
    assert decoder.size == len(content)
    assert decoder.fields == tuple(FormField(name, value) for name, value in fields)
    assert decoder.file_name == file_name
    assert decoder.complete


def test_file_without_file_name() -> None:
    decoder, content = read([form([("key", "k"), ("file", "text typed in")])])
    assert content == b"text typed in"
    assert decoder.fields == (FormField("key", "k"),)
    assert (decoder.file_name, decoder.complete) == (None, True)


def test_part_with_a_file_name_is_the_file_when_none_is_called_so() -> None:
    body = form([("key", "k"), ("upload", ("x.bin", b"content", "a/b")), ("submit", "Send")])
    decoder, content = read([body])
    assert content == b"content"
    assert decoder.fields == (FormField("key", "k"),)
    assert decoder.file_name == "x.bin"
    assert decoder.fields_after_file
    assert decoder.complete


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_field_sent_as_a_blob_is_no_file(step: int) -> None:
    """Browsers give a file name to every Blob in a form."""
    body = form(
        [
            ("policy", ("blob", b"eyJ9", "text/plain")),
            ("key", "k"),
            ("file", ("x.bin", b"content", "a/b")),
        ]
    )
    decoder, content = read([body[at : at + step] for at in range(0, len(body), step)])
    assert content == b"content"
    assert decoder.size == 7
    assert decoder.fields == (FormField("policy", "eyJ9"), FormField("key", "k"))
    assert decoder.file_name == "x.bin"
    assert decoder.restarts == 1
    assert not decoder.fields_after_file
    assert decoder.complete


def test_fields_after_the_file() -> None:
    body = form([("key", "k"), ("file", ("x", b"content", "a/b")), ("policy", "p")])
    decoder, content = read([body])
    assert content == b"content"
    assert decoder.fields == (FormField("key", "k"),)
    assert decoder.fields_after_file
    assert (decoder.complete, decoder.problem) == (True, None)


def test_second_file() -> None:
    body = form([("file", ("x", b"one", "a/b")), ("file", ("y", b"two", "a/b"))])
    decoder, content = read([body])
    assert (content, decoder.file_name) == (b"one", "x")
    assert decoder.problem == "more than one part named file"


def test_bytes_that_are_not_utf8() -> None:
    body = UPLOAD.replace(b"photos", b"ph\xfft\xe9").replace(b"a b;c", b"\xff")
    decoder, _ = read([body])
    assert decoder.fields[0].value == "ph\ufffdt\ufffd/${filename}"
    assert decoder.file_name == "\ufffd.txt"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "ends without the closing boundary"),
        (b"--", "ends without the closing boundary"),
        (UPLOAD[:-4], "ends without the closing boundary"),
        (UPLOAD[: UPLOAD.index(b"[Object") + 5], "ends without the closing boundary"),
        (b"key=value&file=x", "does not begin with the boundary"),
        (b"\r\n\r\n" + UPLOAD, "does not begin with the boundary"),
        (b"--" + BOUNDARY + b"--\r\n", "no file part"),
        (form([("key", "k")]), "no file part"),
        (UPLOAD.replace(b"\r\n", b"\n"), "not well-formed at byte 19"),
        (UPLOAD.replace(b'name="key"', b""), "a part has no name"),
        (
            UPLOAD.replace(b"Content-Type:", b"Content Type:"),
            "the header lines of part 4 are too long to be read, or not well-formed",
        ),
    ],
)
@pytest.mark.parametrize("step", [1, 10_000])
def test_what_is_wrong(body: bytes, problem: str, step: int) -> None:
    decoder, _ = read([body[at : at + step] for at in range(0, len(body), step)])
    assert decoder.problem == problem
    assert decoder.complete == (problem == "a part has no name")


def test_leading_newline_is_allowed() -> None:
    decoder, content = read([b"\r\n" + UPLOAD])
    assert (content, decoder.problem) == (b"[Object Content]", None)


def test_swallows_the_rest_after_a_problem() -> None:
    decoder = FormUploadDecoder(BOUNDARY)
    assert decoder.feed(b"nonsense") == []
    assert decoder.feed(UPLOAD) == []
    decoder.finish()
    assert (decoder.problem, decoder.fields) == ("does not begin with the boundary", ())


@pytest.mark.parametrize(
    ("boundary", "problem"),
    [
        (b"", "no boundary in Content-Type"),
        (b"x" * 257, "the boundary in Content-Type is not a valid one"),
        (b"a\r\nb", "the boundary in Content-Type is not a valid one"),
        (b"a\xffb", "the boundary in Content-Type is not a valid one"),
    ],
)
def test_boundaries_that_cannot_be_used(boundary: bytes, problem: str) -> None:
    decoder = FormUploadDecoder(boundary)
    assert decoder.feed(UPLOAD) == []
    decoder.finish()
    assert (decoder.problem, decoder.complete) == (problem, False)


def test_long_field_is_cut() -> None:
    body = form([("key", "k" * (MAX_FIELD + 1)), ("file", ("x", b"content", "a/b"))])
    decoder, content = read([body[at : at + 1000] for at in range(0, len(body), 1000)])
    assert decoder.fields == (FormField("key", "k" * MAX_FIELD),)
    assert decoder.fields_cut
    assert (content, decoder.complete) == (b"content", True)


def test_longest_field_is_whole() -> None:
    decoder, _ = read([form([("key", "k" * MAX_FIELD), ("file", ("x", b"", "a/b"))])])
    assert decoder.fields == (FormField("key", "k" * MAX_FIELD),)
    assert not decoder.fields_cut


def test_all_fields_together_are_bounded() -> None:
    body = form([(f"f{n}", "v" * MAX_FIELD) for n in range(20)])
    decoder, _ = read([body])
    assert decoder.fields_cut
    assert sum(len(field.value) for field in decoder.fields) == MAX_FIELDS_TOTAL


def test_number_of_fields_is_bounded() -> None:
    fields = [(f"f{n}", "v") for n in range(MAX_FIELDS + 1)]
    decoder, content = read([form([*fields, ("file", ("x", b"content", "a/b"))])])
    assert decoder.fields == tuple(FormField(name, value) for name, value in fields[:-1])
    assert decoder.fields_cut
    assert (content, decoder.complete) == (b"content", True)


def test_number_of_parts_is_bounded() -> None:
    decoder, _ = read([form([("f", "v")] * (MAX_PARTS + 1))])
    assert decoder.problem == f"more than {MAX_PARTS} parts"


def test_headers_of_a_part_are_bounded() -> None:
    endless = b"--" + BOUNDARY + b"\r\nContent-Disposition: " + b"x" * 20_000
    # How it is split must not matter: fed byte by byte, the odd byte is met before the length.
    odd = endless[:100] + b"\x00" + endless[101:]
    for body in (endless, odd):
        for step in (1, 100_000):
            decoder, _ = read([body[at : at + step] for at in range(0, len(body), step)])
            words = "the header lines of part 1 are too long to be read, or not well-formed"
            assert decoder.problem == words


def test_long_file_names_are_read() -> None:
    name = "n" * 8000
    decoder, content = read([form([("key", "k"), ("file", (name, b"content", "a/b"))])])
    assert (content, decoder.file_name, decoder.complete) == (b"content", name, True)


def test_file_passes_uncopied() -> None:
    decoder = FormUploadDecoder(BOUNDARY)
    decoder.feed(UPLOAD[: UPLOAD.index(b"[Object")])
    data = bytes(1 << 16)
    assert decoder.feed(data)[0] is data


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        decoder, _ = read([UPLOAD.replace(b"\r\n", b"\n")])
    assert decoder.problem is not None
    assert caplog.records == []


@given(parts=st.lists(st.binary(max_size=80), max_size=8), genuine=st.integers(0, len(UPLOAD)))
def test_garbage_never_raises(parts: list[bytes], genuine: int) -> None:
    decoder, content = read([UPLOAD[:genuine], *parts])
    assert decoder.size == len(content)
    if not decoder.complete:
        assert decoder.problem is not None


piece = st.sampled_from(
    [
        b"--" + BOUNDARY,
        b"\r\n--" + BOUNDARY,
        b"\r\n",
        b"--",
        b" ",
        b'Content-Disposition: form-data; name="file"\r\n',
        b'Content-Disposition: form-data; name="k"; filename="f"\r\n',
        b"\r\n\r\n",
        b"x",
        b":",
        b"\n",
        b"\r",
    ]
)


@given(pieces=st.lists(piece, max_size=25), places=cuts)
def test_any_split_gives_the_same(pieces: list[bytes], places: list[int]) -> None:
    body = b"--" + BOUNDARY + b"\r\n" + b"".join(pieces)
    assert outcome(*read(cut(body, places))) == outcome(*read([body]))


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a b;c"', b"a b;c"),
        ("multipart/form-data;boundary=----WebKitFormBoundary7MA4", b"----WebKitFormBoundary7MA4"),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/mixed; boundary=abc", None),
        ("application/x-www-form-urlencoded", None),
        ("multipart/form-data; boundary=\ud800", None),
        ("", None),
        (None, None),
    ],
)
def test_form_boundary(content_type: str | None, boundary: bytes | None) -> None:
    assert form_boundary(content_type) == boundary


@given(text=st.text())
def test_form_boundary_never_raises(text: str) -> None:
    form_boundary(text)
    form_boundary("multipart/form-data; boundary=" + text)
