"""A form upload's fields, to be changed in place: every other byte of the body stays."""

from collections.abc import Iterable, Mapping

import msgspec

from cos_inspect.cos.form_upload import form_boundary, read_disposition
from cos_inspect.model.headers import Headers

_LONGEST = 1 << 20


class Form(msgspec.Struct, frozen=True):
    """``parts`` stand between the delimiters as they came: headers, an empty line, a value."""

    delimiter: bytes
    parts: list[bytes]
    fields: Headers
    """Values of the fields that are no files, by name."""

    def without(self, names: Iterable[str]) -> "Form":
        """Less the fields of these names, in lower case."""
        wanted = frozenset(names)
        kept = [part for part in self.parts if _name_of(part).lower() not in wanted]
        fields = Headers((n, v) for n, v in self.fields if n.lower() not in wanted)
        return Form(self.delimiter, kept, fields)

    def with_fields(self, values: Mapping[str, str]) -> bytes:
        """The whole body with these fields' values. New ones stand first: COS passes over what
        comes behind the file."""
        left = dict(values)
        parts = []
        for part in self.parts:
            name = _field_of(part)
            if name not in values:
                parts.append(part)
                continue
            head, gap, _ = part.partition(b"\r\n\r\n")
            parts.append(head + gap + values[name].encode() + b"\r\n")
            left.pop(name, None)
        first = [
            b'\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
            % (name.encode(), value.encode())
            for name, value in left.items()
        ]
        pieces = b"".join(self.delimiter + part for part in (*first, *parts))
        return b"%b%b--\r\n" % (pieces, self.delimiter)


def read_form(content_type: str | None, body: bytes) -> Form | None:
    """None where it is no form, or one without an end."""
    boundary = form_boundary(content_type)
    if boundary is None:
        return None
    delimiter = b"--" + boundary
    _, begin, rest = (b"\r\n" + body).partition(b"\r\n" + delimiter)
    content, end, _ = rest.rpartition(b"\r\n" + delimiter + b"--")
    if not begin or not end:
        return None
    parts = [part + b"\r\n" for part in content.split(b"\r\n" + delimiter)]
    fields = [
        (name, part.partition(b"\r\n\r\n")[2][:-2].decode("utf-8", "replace"))
        for part in parts
        if len(part) < _LONGEST and (name := _field_of(part))
    ]
    return Form(delimiter, parts, Headers(fields))


def _field_of(part: bytes) -> str:
    """The name of a part that is no file; else empty."""
    name, filename = _disposition(part)
    return name if filename is None and name != "file" else ""


def _name_of(part: bytes) -> str:
    return _disposition(part)[0]


def _disposition(part: bytes) -> tuple[str, str | None]:
    for line in part.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            return read_disposition(value.strip())
    return "", None
