"""A form upload's fields, to be changed in place: every other byte of the body stays."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from cos_inspect.model.exchange import Headers

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE)
_NAME = re.compile(rb'(?:^|[;\s])name="([^"]{0,500})"', re.IGNORECASE)
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
        kept = [part for part in self.parts if (_name_of(part) or "").lower() not in wanted]
        fields = Headers((n, v) for n, v in self.fields if n.lower() not in wanted)
        return Form(self.delimiter, kept, fields)

    def with_fields(self, values: Mapping[str, str]) -> bytes:
        """The whole body with these fields' values. New ones stand first: COS passes over what
        comes behind the file."""
        left = dict(values)
        parts = []
        for part in self.parts:
            name = _name_of(part)
            if name is None or name not in values or not _is_field(part):
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
    if content_type is None or not content_type.lower().startswith("multipart/form-data"):
        return None
    found = _BOUNDARY.search(content_type)
    if found is None:
        return None
    delimiter = b"--" + (found[1] or found[2]).encode()
    _, begin, rest = (b"\r\n" + body).partition(b"\r\n" + delimiter)
    content, end, _ = rest.rpartition(b"\r\n" + delimiter + b"--")
    if not begin or not end:
        return None
    parts = [part + b"\r\n" for part in content.split(b"\r\n" + delimiter)]
    fields = [
        (name, part.partition(b"\r\n\r\n")[2][:-2].decode("utf-8", "replace"))
        for part in parts
        if len(part) < _LONGEST and _is_field(part) and (name := _name_of(part)) is not None
    ]
    return Form(delimiter, parts, Headers(fields))


def _name_of(part: bytes) -> str | None:
    found = _NAME.search(part.partition(b"\r\n\r\n")[0])
    return found[1].decode("utf-8", "replace") if found else None


def _is_field(part: bytes) -> bool:
    return b"filename=" not in part.partition(b"\r\n\r\n")[0].lower()
