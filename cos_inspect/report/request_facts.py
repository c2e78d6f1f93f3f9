"""What a report holds of a request, taken apart so that two can be compared."""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import unquote

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.moments import seconds_of

_GAP = re.compile(r"[&, ]")


class Signing(NamedTuple):
    """What a report shows of a signature."""

    how: str
    secret_id: str
    headers: frozenset[str]
    """Lower-case names of the headers that are signed."""
    parameters: frozenset[str]
    start: float | None
    end: float | None
    """Seconds since 1970 between which it is valid."""


class RequestFacts(NamedTuple):
    """What two requests are compared by, read from a report."""

    report: FlowReport
    signing: Signing
    scheme: str
    host: str
    path: str
    query: list[tuple[str, str]]
    """Parameters but those of the signature, as they stand in the URL."""
    headers: dict[str, str]
    token: str
    started: float | None


@cache
def differences_table() -> dict[str, Any]:
    """The table that the pages read too: kinds of differences, and names of headers and
    parameters that go with none of them or are looked at elsewhere."""
    text = (files("cos_inspect.report") / "assets" / "differences.js").read_text("utf-8")
    table: dict[str, Any] = json.loads(text[text.index("= {") + 2 :].rstrip().removesuffix(";"))
    return table


def facts_of(report: FlowReport) -> RequestFacts:
    """What of a report's request can be compared with another one's. It never raises, whatever
    the report holds."""
    scheme, _, rest = report.request.url.partition("://")
    address, mark, query = rest.partition("?")
    host, slash, path = address.partition("/")
    lines: dict[str, list[str]] = {}
    for header in report.request.headers:
        lines.setdefault(header.name.lower(), []).append(header.value)
    headers = {name: ", ".join(values) for name, values in lines.items()}
    # HTTP/2 has it in :authority.
    headers.setdefault("host", host)
    pairs = [
        (name, value)
        for name, _, value in (piece.partition("=") for piece in query.split("&") if mark)
        if name
    ]
    table = differences_table()
    of_signature = {
        name.lower(): unquote(value)
        for name, value in pairs
        if unquote(name).lower() in table["signature_parameters"]
    }
    tokens = [
        value
        for name in table["elsewhere"]
        if name.endswith("-token")
        for value in (headers.get(name), of_signature.get(name))
        if value
    ]
    return RequestFacts(
        report=report,
        signing=_signing(headers.get("authorization", ""), of_signature),
        scheme=scheme,
        host=headers["host"].lower(),
        path=f"{slash}{path}",
        query=[
            (name, value)
            for name, value in pairs
            if unquote(name).lower() not in table["signature_parameters"]
        ],
        headers=headers,
        token=", ".join(tokens),
        started=seconds_of(report.started),
    )


def _signing(authorization: str, query: dict[str, str]) -> Signing:
    fields, where = _fields(authorization), "header"
    if not fields:
        fields, where = dict(query), "URL"
        if "sign" in query:
            fields |= _fields(query["sign"])
    if "q-ak" in fields:
        start, end = _window(fields.get("q-sign-time", ""))
        return Signing(
            how=f"COS signature in the {where}",
            secret_id=fields["q-ak"],
            headers=_names(fields.get("q-header-list", "")),
            parameters=_names(fields.get("q-url-param-list", "")),
            start=start,
            end=end,
        )
    credential = fields.get("credential") or fields.get("x-amz-credential")
    if credential:
        signed = fields.get("signedheaders") or fields.get("x-amz-signedheaders", "")
        return Signing(
            how=f"AWS4 signature in the {where}",
            secret_id=credential.partition("/")[0],
            headers=_names(signed),
            parameters=frozenset(),
            start=None,
            end=None,
        )
    how = "another scheme" if authorization or query.keys() & {"sign"} else "not signed"
    return Signing(how, "", frozenset(), frozenset(), None, None)


def _fields(text: str) -> dict[str, str]:
    """Lower-case names and values of ``name=value`` between ``&``, commas and blanks."""
    pairs = (piece.partition("=") for piece in _GAP.split(text))
    return {name.lower(): value for name, equals, value in pairs if equals and name}


def _names(text: str) -> frozenset[str]:
    return frozenset(name for name in text.lower().split(";") if name)


def _window(text: str) -> tuple[float | None, float | None]:
    start, _, end = text.partition(";")
    if re.fullmatch(r"[0-9]{1,11}", start) and re.fullmatch(r"[0-9]{1,11}", end):
        return float(start), float(end)
    return None, None
