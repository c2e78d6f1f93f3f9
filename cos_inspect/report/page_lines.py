"""Lines of the pages' data files: each is one call with one string, which holds JSON."""

import re

_CALL = re.compile(rb"cosInspect\.[a-z]+\((?:\d+,)?'(.*)'\)")
_ESCAPE = re.compile(rb"\\(\\|'|x3c|u2028|u2029)")
_ESCAPED = {
    b"\\": b"\\",
    b"'": b"'",
    b"x3c": b"<",
    b"u2028": b"\xe2\x80\xa8",
    b"u2029": b"\xe2\x80\xa9",
}


def call(name: str, json: bytes) -> bytes:
    """A line of a data file, without its end: one call with one string of JSON."""
    return b"cosInspect.%b(%b)\n" % (name.encode(), script_text(json))


def script_text(json: bytes) -> bytes:
    """JSON as a JavaScript string, without what could end a line, the string or a script."""
    escaped = json.replace(b"\\", b"\\\\").replace(b"'", b"\\'").replace(b"<", b"\\x3c")
    if b"\xe2\x80" in escaped:
        escaped = escaped.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return b"'%b'" % escaped


def json_of(line: bytes) -> bytes | None:
    """The JSON of a line without its end; None of what is no such line, or was cut off."""
    found = _CALL.fullmatch(line)
    if found is None:
        return None
    text = found[1]
    return _ESCAPE.sub(_unescaped, text) if b"\\" in text else text


def _unescaped(found: re.Match[bytes]) -> bytes:
    return _ESCAPED[found[1]]
