"""A flow's request as a shell script for curl, which signs when it runs.

The key comes from ``COS_SECRET_ID`` and ``COS_SECRET_KEY`` (and ``COS_TOKEN``, of temporary keys)
in the environment, so that the script can be passed on. ``assets/copy.js`` makes the same one.
"""

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

from cos_inspect.model.flow_report import FlowReport, HeaderReport
from cos_inspect.model.target_bounds import is_read_in_part

_SECRET = re.compile(
    r"authorization|cookie|token|signature|^sign$|^policy$|customer-key$|password|secret(?!id)|^q-",
    re.IGNORECASE,
)
_SECRET_INSIDE = re.compile(
    r"\[masked:|(?:signature|security-token|customer-key)(?:=|%3d)", re.IGNORECASE
)
_MADE_BY_CURL = re.compile(
    r"^(?:host|content-length|connection|proxy-.*|transfer-encoding|accept-encoding|expect|:.*)$",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_CONTROL = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)
_LOOSE = re.compile(r"[\x00-\x20\x7f-\U0010ffff\"<>\\^`{|}]")
_SIGNED = re.compile(r"x-(?:cos|ci)-[a-z0-9-]+")
"""Names that a shell takes as they are: a backtick may stand in others."""
_TOOLS = {
    "PutObject": ("upload BODY {key}", "cp BODY cos://{bucket}/{key}"),
    "GetObject": ("download {key} BODY", "cp cos://{bucket}/{key} BODY"),
    "DeleteObject": ("delete -f {key}", "rm cos://{bucket}/{key}"),
    "HeadObject": ("info {key}", None),
    "GetBucket": ("list {key}", "ls cos://{bucket}/{key}"),
}
"""What coscmd 1.9 and coscli 1.0 do alike, by operation."""


def curl_script(report: FlowReport) -> str | None:
    """None for what curl cannot repeat so: a form, whose signature is one of its fields, a name
    that a shell cannot hold, and a target of which the report has not all."""
    request = report.request
    if report.cos.operation == "PostObject" or is_read_in_part(request.url):
        return None
    address, _, query = request.url.partition("?")
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    path = f"/{path}" if slash else "/"
    pieces = [piece for piece in query.split("&") if piece and not _is_secret(piece)]
    url = _escaped(f"{scheme}://{host}{path}" + (f"?{'&'.join(pieces)}" if pieces else ""))
    plain = _decoded(path)
    parameters = _parameters(pieces)
    if plain is None or parameters is None or "\0" in plain:
        return None
    kept = [(each.name, each.value) for each in request.headers if _is_kept(each)]
    left_out = [each.name for each in request.headers if each.redacted and _is_missed(each.name)]
    once = [name.lower() for name, _ in kept]
    signed = {"host": host} | {
        name.lower(): value.strip()
        for name, value in kept
        if _SIGNED.fullmatch(name.lower()) and once.count(name.lower()) == 1
    }
    names = sorted(signed)
    fields = "&".join(f"{name}={_encoded(signed[name])}" for name in names)
    joined = "&".join(f"{name}={value}" for name, value in parameters)
    lines = [
        "#!/bin/sh",
        f"# {_word(report.cos.operation)}, signed when this runs. Set COS_SECRET_ID and"
        " COS_SECRET_KEY, and COS_TOKEN with a temporary key.",
        *(f"# Left out, because it is secret: {_word(name)}" for name in left_out),
        *(f"# {line}" for line in _tools(report, plain, dict(parameters))),
        "set -eu",
        ': "${COS_SECRET_ID:?}" "${COS_SECRET_KEY:?}"',
        "sha1() { openssl dgst -sha1 \"$@\" | sed 's/^.*= *//'; }",
        'times="$(($(date +%s) - 60));$(($(date +%s) + 3600))"',
        'key=$(printf %s "$times" | sha1 -hmac "$COS_SECRET_KEY")',
        f"request=$(printf '%s\\n' {_quoted(request.method.lower())} {_quoted(plain)}"
        f" {_quoted(joined)} {_quoted(fields)} | sha1)",
        'signature=$(printf \'%s\\n\' sha1 "$times" "$request" | sha1 -hmac "$key")',
        'authorization="q-sign-algorithm=sha1&q-ak=$COS_SECRET_ID&q-sign-time=$times'
        f"&q-key-time=$times&q-header-list={';'.join(names)}"
        f"&q-url-param-list={';'.join(name for name, _ in parameters)}"
        '&q-signature=$signature"',
    ]
    words = ["curl --globoff --include"]
    if request.method == "HEAD":
        words.append("--head")
    elif request.method != "GET":
        words.append(f"--request {_quoted(request.method)}")
    words.append('--header "Authorization: $authorization"')
    words.append('${COS_TOKEN:+--header "x-cos-security-token: $COS_TOKEN"}')
    for name, value in kept:
        if name.lower() == "content-md5":
            words.append('--header "Content-MD5: $(openssl dgst -md5 -binary BODY | base64)"')
        else:
            words.append(f"--header {_quoted(f'{name}: {value}' if value else f'{name};')}")
    if request.body.size:
        words.append("--data-binary @BODY")
    words.append(_quoted(url))
    return "\n".join([*lines, " \\\n  ".join(words)]) + "\n"


def _is_secret(piece: str) -> bool:
    return bool(_SECRET.search(piece.partition("=")[0]) or _SECRET_INSIDE.search(piece))


def _is_kept(header: HeaderReport) -> bool:
    name, value = header.name, header.value
    is_secret = (
        header.redacted
        or header.category == "auth"
        or _SECRET.search(name)
        or _SECRET_INSIDE.search(value)
    )
    can_be_sent = _TOKEN.fullmatch(name) and not _CONTROL.search(value)
    return not is_secret and not _MADE_BY_CURL.match(name) and bool(can_be_sent)


def _is_missed(name: str) -> bool:
    """A secret that the script does not make itself."""
    lower = name.lower()
    return lower != "authorization" and not lower.endswith("security-token")


def _parameters(pieces: list[str]) -> list[tuple[str, str]] | None:
    found: dict[str, str] = {}
    for piece in pieces:
        name, _, value = piece.partition("=")
        plain_name, plain_value = _decoded(name), _decoded(value)
        if plain_name is None or plain_value is None:
            return None
        found.setdefault(_encoded(plain_name).lower(), _encoded(plain_value))
    return sorted(found.items())


def _decoded(text: str) -> str | None:
    """None where it is not UTF-8."""
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeError:
        return None


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~", errors="replace")


def _escaped(url: str) -> str:
    return _LOOSE.sub(lambda found: quote(found[0], safe="", errors="replace"), url)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _word(text: str) -> str:
    return re.sub(r"[^\w:./-]", "_", text, flags=re.ASCII)


def _tools(report: FlowReport, path: str, parameters: dict[str, str]) -> Iterator[str]:
    """The same by coscmd and coscli, where they have it and the object's name is in the path."""
    cos = report.cos
    found = _TOOLS.get(cos.operation)
    if found is None or not cos.bucket or not cos.region or _CONTROL.search(path):
        return
    key = cos.key or ""
    if cos.operation == "GetBucket":
        key = _decoded(parameters.get("prefix", "")) or ""
        if _CONTROL.search(key):
            return
    if cos.level == "object" and path != f"/{key}":
        return
    coscmd, coscli = found
    values = {"key": _quoted(key) if key else "", "bucket": cos.bucket}
    yield f"coscmd -b {cos.bucket} -r {cos.region} {coscmd.format_map(values).rstrip()}"
    if coscli is not None:
        yield f"coscli {coscli.format_map(values)} -e cos.{cos.region}.myqcloud.com"
