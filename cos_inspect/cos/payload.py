"""Reads the object's bytes out of a request body that frames them."""

from collections.abc import Callable
from typing import Protocol

from cos_inspect.cos.aws_chunked import AwsChunkedDecoder, declared_size, is_aws_chunked
from cos_inspect.cos.form_upload import FormUploadDecoder, form_boundary
from cos_inspect.model.exchange import Payload, PayloadKind
from cos_inspect.model.headers import Headers


class Digests(Protocol):
    """What is asked of whoever computes the digests of the payload."""

    def feed(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes of the payload."""

    def md5_hex(self) -> str | None:
        """32 lower-case hex digits; None where no MD5 was taken."""

    def crc64_value(self) -> int | None:
        """CRC-64/XZ (ECMA-182, reflected) as a number; None where none was taken."""


class PayloadReader(Protocol):
    """Meets one request body as it passes, in order, one call at a time."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body; never raises."""

    def result(self, body_complete: bool) -> Payload:
        """What the payload was; to be called once, after the last bytes.

        :param body_complete: whether all of the body was seen. Of a body that
            was cut, only what was wrong before the cut is told.
        """


def payload_reader(
    operation_name: str, headers: Headers, new_digests: Callable[[], Digests]
) -> PayloadReader | None:
    """A reader for the payload in a request's body; None where the body is the object.

    :param operation_name: as in the operation table; a ``PostObject`` body is a form.
    :param headers: of the request.
    :param new_digests: makes what computes the digests, for example
        ``lambda: Digester(md5=True, crc64=True)``; called again where a form
        turns out to have its file in a later part.
    """
    if operation_name == "PostObject":
        boundary = form_boundary(headers.get("content-type"))
        return _FormReader(FormUploadDecoder(boundary or b""), new_digests)
    if is_aws_chunked(headers):
        return _AwsChunkedReader(AwsChunkedDecoder(), declared_size(headers), new_digests())
    return None


class _AwsChunkedReader:
    def __init__(self, decoder: AwsChunkedDecoder, declared: int | None, digests: Digests) -> None:
        self._decoder = decoder
        self._declared = declared
        self._digests = digests

    def feed(self, data: bytes) -> None:
        for piece in self._decoder.feed(data):
            self._digests.feed(piece)

    def result(self, body_complete: bool) -> Payload:
        decoder = self._decoder
        if body_complete:
            decoder.finish()
        problem = decoder.problem
        if decoder.complete and self._declared not in (None, decoder.size):
            problem = (
                f"x-amz-decoded-content-length is {self._declared}, "
                f"the chunks hold {decoder.size} bytes"
            )
        return Payload(
            kind=PayloadKind.AWS_CHUNKED,
            size=decoder.size,
            md5=self._digests.md5_hex(),
            crc64=self._digests.crc64_value(),
            complete=body_complete and decoder.complete,
            problem=problem,
            trailers=decoder.trailers,
        )


class _FormReader:
    def __init__(self, decoder: FormUploadDecoder, new_digests: Callable[[], Digests]) -> None:
        self._decoder = decoder
        self._new_digests = new_digests
        self._digests = new_digests()
        self._restarts = 0

    def feed(self, data: bytes) -> None:
        pieces = self._decoder.feed(data)
        if self._decoder.restarts != self._restarts:
            self._restarts = self._decoder.restarts
            self._digests = self._new_digests()
        for piece in pieces:
            self._digests.feed(piece)

    def result(self, body_complete: bool) -> Payload:
        decoder = self._decoder
        if body_complete:
            decoder.finish()
        return Payload(
            kind=PayloadKind.FORM_FILE,
            size=decoder.size,
            md5=self._digests.md5_hex(),
            crc64=self._digests.crc64_value(),
            complete=body_complete and decoder.complete,
            problem=decoder.problem or _form_remark(decoder),
            fields=decoder.fields,
            file_name=decoder.file_name,
        )


def _form_remark(decoder: FormUploadDecoder) -> str | None:
    """What leaves the file whole and yet makes the form differ from what was meant."""
    if decoder.fields_cut:
        return "more or longer form fields than are read here"
    if decoder.fields_after_file:
        return "fields behind the file part, which COS does not read"
    return None
