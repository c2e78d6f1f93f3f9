"""What can be read from x-cos-request-id and x-cos-trace-id.

A request id is base64 of ``time_address_process_counter``, four fields of
lower-case hex: Unix seconds, the little-endian IPv4 address of the front-end
that took the request, and two more (worked out from published samples, not
documented). A trace id is base64 of 128 hex digits that cannot be read further.
"""

import re
from binascii import a2b_base64, b2a_base64
from typing import Literal

import msgspec

RequestIdForm = Literal["hex4", "masked", "bad-padding", "unrecognised"]

_LONGEST = 256
_ID = re.compile(r"([A-Za-z0-9+/]*)(={0,2})(\*+|)")
_FIELDS = re.compile(r"([0-9a-f]{8})_([0-9a-f]{1,8})_[0-9a-f]{1,8}_[0-9a-f]{1,12}")
_FIRST_FIELDS = re.compile(r"([0-9a-f]{8})(?:_(?:([0-9a-f]{1,8})_[0-9a-f_]{0,21}|[0-9a-f]{0,8}))?")
_BLANKED = re.compile(r"x{8,}|\*+", re.IGNORECASE)
_TRACE = re.compile(r"[0-9a-f]{128}")


class RequestId(msgspec.Struct, frozen=True):
    """A request id taken apart.

    ``masked`` is an id whose end a publisher replaced by asterisks (then ``text``
    is what is left, with an ellipsis) or that was blanked out altogether;
    ``bad-padding`` is a whole one without its ``=`` signs. Other shapes are
    ``unrecognised``, which is not the same as wrong.
    """

    text: str | None
    """The decoded fields; None when they cannot be read."""
    time: int | None
    """Unix seconds at which COS took the request."""
    address: str | None
    """The front-end's IPv4 address."""
    form: RequestIdForm


_UNRECOGNISED = RequestId(None, None, None, "unrecognised")
_BLANK = RequestId(None, None, None, "masked")


def read_request_id(value: str) -> RequestId:
    """Never raises; a value that is no request id comes back as ``unrecognised``."""
    if len(value) > _LONGEST:
        return _UNRECOGNISED
    value = value.strip()
    if _BLANKED.fullmatch(value):
        return _BLANK
    found = _ID.fullmatch(value)
    if found is None:
        return _UNRECOGNISED
    letters, padding, mask = found.groups()
    if mask:
        return _read_masked(letters)
    text = _decoded(letters)
    fields = _FIELDS.fullmatch(text) if text is not None else None
    if fields is None:
        return _UNRECOGNISED
    whole = (len(letters) + len(padding)) % 4 == 0
    return RequestId(
        text, int(fields[1], 16), _address(fields[2]), "hex4" if whole else "bad-padding"
    )


def trace_id_well_formed(value: str) -> bool:
    """Whether a trace id is base64 of 128 lower-case hex digits, as every known one is."""
    if len(value) != 172 or not value.endswith("=") or value.endswith("=="):
        return False
    found = _ID.fullmatch(value)
    text = _decoded(found[1]) if found is not None else None
    return text is not None and _TRACE.fullmatch(text) is not None


def _read_masked(letters: str) -> RequestId:
    text = _decoded(letters[: len(letters) // 4 * 4])
    fields = _FIRST_FIELDS.fullmatch(text) if text is not None else None
    if text is None or fields is None:
        return _BLANK
    address = _address(fields[2]) if fields[2] is not None else None
    return RequestId(f"{text}…", int(fields[1], 16), address, "masked")


def _decoded(letters: str) -> str | None:
    """The ASCII text behind base64 letters without their padding."""
    if len(letters) % 4 == 1:
        return None
    padded = letters + "=" * (-len(letters) % 4)
    data = a2b_base64(padded)
    # The last letter may have bits that no encoder writes: then it was another one.
    written = b2a_base64(data, newline=False) == padded.encode()
    return data.decode("ascii") if written and data.isascii() else None


def _address(field: str) -> str:
    """Leading zeros are dropped on the wire: ``64b82a09`` is 9.42.184.100."""
    return ".".join(str(octet) for octet in int(field, 16).to_bytes(4, "little"))
