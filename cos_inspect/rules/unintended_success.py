"""Rules about successes that do something else than what was meant: a name that is not the one
wanted, processing that was not done, a page that is not shown."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.escapes import escaped_again
from cos_inspect.cos.tables import rows
from cos_inspect.cos.target import read_query
from cos_inspect.cos.xml_fields import read_xml_fields, root_name
from cos_inspect.model.exchange import Response
from cos_inspect.model.flow_report import Check, Finding, Severity
from cos_inspect.model.plain_text import shortened
from cos_inspect.rules.rule import Rule

_LONGEST_SHOWN = 300

KEY_ESCAPED_TWICE = Rule(
    id="key-escaped-twice",
    group="access",
    severity=Severity.NOTICE,
    title="The object's name holds percent escapes",
    when="an object was stored under a key that, decoded, still holds percent escapes as a client"
    " makes them: the key was escaped twice, or where it is taken as it is (form fields); not where"
    " it is then read under that name",
    cause="The program escapes the key and the SDK does so again; or it escapes the field key of a"
    " form, which COS stores as it stands.",
    fix="Give SDKs the plain key; in a form upload write the field key unescaped. An object that"
    " is stored already is found under the name with the escapes.",
    example="PostObject with the field key photos/a%3Db.png",
    reads_values=False,
)

_STORING = frozenset(
    (
        "PutObject",
        "PostObject",
        "PutObjectCopy",
        "CompleteMultipartUpload",
        "AppendObject",
        "RenameObject",
        "PutSymlink",
    )
)


def key_escaped_twice(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    key = cos.key
    if not key or "%" not in key or cos.operation.name not in _STORING or not cos.succeeded:
        return
    if cos.operation.name == "AppendObject" and cos.append_position:
        # It was said of the first piece.
        return
    meant = escaped_again(key)
    if meant is not None and cos.from_cos:
        yield KEY_ESCAPED_TWICE.finding(
            f"The object was stored as {_shown(key)}; {_shown(meant)} was probably meant. Where the"
            " name is to hold the percent signs, nothing is wrong.",
            key=_shown(key),
            meant=_shown(meant),
        )


PROCESSING_NOT_APPLIED = Rule(
    id="processing-not-applied",
    group="integrity",
    severity=Severity.WARNING,
    title="The processing that was asked for was not done",
    when="an upload with Pic-Operations succeeds, and its answer has no UploadResult",
    cause="The header's value is not JSON on one line, its rules are not of the documented form,"
    " data processing (CI) is not bound to the bucket, or something on the way took the header"
    " away.",
    fix="Send Pic-Operations as JSON on one line with is_pic_info and rules (each with fileid and"
    " rule), sign it if the bucket wants that, and see that CI is bound to the bucket; then upload"
    " again.",
    example="PutObject with Pic-Operations over several lines, 200 with an empty body",
    reads_values=False,
)

_RESULT = frozenset(("ProcessResults", "OriginalInfo"))


def processing_not_applied(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    asked = cos.request.headers.get("pic-operations")
    if asked is None and cos.form is not None:
        asked = cos.form.get("pic-operations")
    response = cos.response
    if (
        not asked
        or response is None
        or not cos.succeeded
        or not cos.from_cos
        or response.status == 303
        or not (cos.operation.processed_upload or cos.form is not None)
        or cos.has_callback
        or "pic-operations" in cos.request.headers.unread
    ):
        return
    wanted = _wanted(asked)
    if wanted is None or _has_result(response) is not False:
        return
    why, evidence = wanted
    stored = cos.operation.uploads_object or cos.operation.name == "CompleteMultipartUpload"
    yield PROCESSING_NOT_APPLIED.finding(
        f"{cos.operation.name} asked for processing with Pic-Operations, and the answer"
        f" {response.status} has no UploadResult:"
        f" {'the upload was stored and ' if stored else ''}nothing was made of it.{why}",
        **evidence,
    )


def _wanted(asked: str) -> tuple[str, dict[str, Any]] | None:
    """What may be wrong with the value, in a sentence with a blank in front, and what it asks
    for; None where it asks for nothing."""
    lines = any(sign in asked for sign in "\r\n")
    try:
        decoded = msgspec.json.decode(asked.encode("utf-8", "replace"), type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return " The header's value is no JSON object.", {"problem": "not a JSON object"}
    found = decoded.get("rules")
    rules = found if isinstance(found, list) else []
    evidence: dict[str, Any] = {"rules": len(rules)}
    if lines:
        return (
            " The header's value stands on several lines; a header has one.",
            evidence | {"problem": "line breaks"},
        )
    if found is not None and not isinstance(found, list):
        return " Its rules are no list.", {"problem": "rules are no list"}
    if any(not (isinstance(rule, dict) and rule.get("rule")) for rule in rules):
        return " One of its rules has no field rule.", evidence | {"problem": "no rule"}
    if not rules and str(decoded.get("is_pic_info", 0)) in ("0", "False"):
        return None
    return "", evidence


def _has_result(response: Response) -> bool | None:
    """None where the answer's body is not known."""
    body = response.body
    if body.complete and body.size == 0:
        return False
    text = body.text
    if text is None or not body.complete:
        return None
    if root_name(text) == "UploadResult":
        return True
    return bool(read_xml_fields(text, _RESULT)) or b"<ProcessResults" in text


FORCED_DOWNLOAD = Rule(
    id="forced-download",
    group="access",
    severity=Severity.NOTICE,
    title="A browser saves this instead of showing it",
    when="a page or picture, by its key, is answered to a link (not to an SDK) with"
    " Content-Disposition: attachment or x-cos-force-download on a default domain, or as"
    " application/octet-stream",
    cause="COS forces downloads on the default domains of buckets that were made since 2024; or"
    " the object was uploaded without a Content-Type.",
    fix="Bind a domain of your own to the bucket (or a CDN) and use that. Where the type is wrong,"
    " upload with the right Content-Type, or copy the object onto itself with it.",
    example="GET /img/a.png, Content-Disposition: attachment, x-cos-force-download: true",
)

_DEFAULT_DOMAINS = frozenset(("default", "internal", "accelerate", "website", "legacy"))
_BYTES = frozenset(("application/octet-stream", "binary/octet-stream"))
_SHOWN_AS = frozenset(("document", "iframe", "frame", "embed", "object"))
"""What a browser opens by itself; a picture in a page is shown however it is answered."""
_PROGRAMS = frozenset(("sdk", "tool", "s3"))


@cache
def _kinds() -> dict[str, str]:
    return {row["extension"]: row["what"] for row in rows("shown_types")}


def forced_download(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    response, key = cos.response, cos.key
    if response is None or response.status != 200 or not key or not cos.describes_object:
        return
    _, dot, extension = key.partition("!")[0].rpartition(".")
    what = _kinds().get(extension.lower()) if dot else None
    if what is None or not cos.from_cos or _is_program(cos):
        return
    headers, query = response.headers, read_query(cos.request.target)
    by: list[str] = []
    disposition = (headers.get("content-disposition") or "").strip().lower()
    if cos.endpoint.kind in _DEFAULT_DOMAINS and "response-content-disposition" not in query:
        if disposition.startswith("attachment"):
            by.append("Content-Disposition: attachment")
        if (headers.get("x-cos-force-download") or "").strip().lower() == "true":
            by.append("x-cos-force-download: true")
    media_type = (headers.get("content-type") or "").partition(";")[0].strip().lower()
    wrong_type = media_type in _BYTES and "response-content-type" not in query
    if wrong_type and not by:
        by.append(f"Content-Type: {media_type}")
    if not by:
        return
    forced = not by[0].startswith("Content-Type")
    because = (
        f" {cos.request.host} is a default domain of COS, which shows nothing in the browser."
        if forced
        else " The object was stored without the type that its name has."
    )
    yield FORCED_DOWNLOAD.finding(
        f"{_shown(key)} is a {what} by its name and is answered with {' and '.join(by)}: a browser"
        f" saves it.{because}",
        by=by,
        what=what,
        host=cos.request.host,
    )


def _is_program(cos: CosExchange) -> bool:
    """Whether it was asked for by something that does not show it: an SDK, or a page that
    takes the bytes itself."""
    client = cos.client
    if cos.signed.place == "header" or (client is not None and client.kind in _PROGRAMS):
        return True
    return (cos.request.headers.get("sec-fetch-dest") or "document").lower() not in _SHOWN_AS


def _shown(text: str) -> str:
    return shortened(text, _LONGEST_SHOWN)
