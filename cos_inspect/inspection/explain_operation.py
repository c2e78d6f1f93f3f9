"""What an operation is: what it does, how it is told, its headers, and what is checked of it.

The checks are not written down anywhere: an exchange as the documents show it is judged, and
what comes of it is told.
"""

from collections.abc import Iterable, Iterator
from functools import cache

from cos_inspect.cos.cos_exchange import read_exchange
from cos_inspect.cos.tables import rows
from cos_inspect.inspection.explain_block import block
from cos_inspect.model.exchange import (
    Body,
    Exchange,
    Payload,
    PayloadKind,
    Request,
    Response,
    Timing,
)
from cos_inspect.model.headers import Headers
from cos_inspect.rules.checks import run_checks

# The body, and what it gives, of the documents' samples (page 436/7749).
_MD5 = "ee8de918d05640145b18f70f4c3aa602"
_SIZE = 16
_CRC64 = 16749565679157681890
_OBJECT = Body(size=_SIZE, md5=_MD5, crc64=_CRC64)
_FILE = Payload(kind=PayloadKind.FORM_FILE, size=_SIZE, md5=_MD5, crc64=_CRC64)
_SIGNED = (
    "q-sign-algorithm=sha1&q-ak=AKIDEXAMPLE&q-sign-time=1577957984;1577958884"
    "&q-key-time=1577957984;1577958884&q-header-list=host&q-url-param-list=&q-signature="
    "28e9a4986df11bed0255e97ff90500557e0e057a"
)
_HOSTS = {
    "xml": "examplebucket-1250000000.cos.ap-beijing.myqcloud.com",
    "ci": "examplebucket-1250000000.ci.ap-beijing.myqcloud.com",
    "ci-path": "examplebucket-1250000000.ci.ap-beijing.myqcloud.com",
    "website": "examplebucket-1250000000.cos-website.ap-beijing.myqcloud.com",
    "batch": "100000000001.cos-control.ap-beijing.myqcloud.com",
    "fetch": "ap-beijing.migration.myqcloud.com",
    "vectors": "vectors.ap-guangzhou.coslake.com",
    "json-legacy": "gz.file.myqcloud.com",
}
_FAMILIES = {
    "xml": "hosts of buckets",
    "ci": "CI hosts",
    "ci-path": "CI hosts",
    "pic": "image hosts",
    "website": "website hosts",
    "batch": "cos-control hosts",
    "fetch": "migration hosts",
    "vectors": "hosts of vector buckets",
    "json-legacy": "hosts of the JSON API",
}
_LEVELS = {"service": "/", "bucket": "/", "object": "/<key>"}
_BODIES = {
    "none": "nothing",
    "object": "the object's bytes",
    "made": "what CI makes of the object",
    "form": "a form with the object's bytes",
    "xml": "XML",
    "json": "JSON",
    "events": "a stream of events",
    "other": "depends on the call",
    "{ci}": "XML",
}
_COMPARED = "compared"
_OVER_FLOWS = "compared over the flows of the transfer"
_NOT_ALONE = {
    "no-credentials": "compared where cos_credentials has the key",
    "unseen-parts": _OVER_FLOWS,
    "no-header": "compared where the header is there",
}


def operation_names() -> list[str]:
    """Every name that a report can have, but for those that hold a parameter's value."""
    nouns = [row["noun"] for row in rows("ci_paths")]
    names: dict[str, None] = {}
    for row in rows("operations"):
        if "{noun}" in row["name"]:
            names |= dict.fromkeys(row["name"].replace("{noun}", noun) for noun in nouns)
        elif "{value}" not in row["name"]:
            names[row["name"]] = None
    return [*names, "CI:{value}"]


def explain_operation(name: str) -> Iterator[str]:
    """The block for an operation, in any case of letters; ``CI:`` and a word for what stands
    in ci-process."""
    spelling = _spellings().get(name.lower())
    if spelling is None and name[:3].lower() == "ci:" and name[3:].isidentifier():
        spelling = "CI:{value}"
    if spelling is None:
        return
    template, noun = _templates().get(spelling, (spelling, ""))
    text = next(row for row in rows("operation_texts") if row["name"] == template)
    found = [row for row in rows("operations") if row["name"] == template]
    official = any(row["official"] == "yes" for row in found)
    checks = _checks(found, noun)
    yield block(
        f"{spelling}: an operation{'' if official else ' (the name is ours)'}",
        ("does", text["meaning"]),
        *(("told by", line) for line in _told_by(found, noun)),
        ("note", "; ".join(dict.fromkeys(row["note"] for row in found if row["note"]))),
        ("sends", _either(_BODIES[row["sends"]] for row in found)),
        ("answer", _either(_BODIES[row["answer"]] for row in found)),
        ("request headers", text["asks"].replace(" ", ", ")),
        ("answer headers", text["answers"].replace(" ", ", ")),
        *(("checked", f"{check}: {how}") for check, how in checks.items()),
        ("source", "; ".join(dict.fromkeys(row["source"] for row in found))),
    )


def operations_told_by(parameter: str) -> list[str]:
    """Operations that a query parameter names, in the order of the table."""
    found: dict[str, None] = {}
    for row in rows("operations"):
        names = [piece.partition("=")[0].rstrip("*/") for piece in row["query"].split("&")]
        if parameter in names and parameter.strip("-"):
            found[row["name"]] = None
    return list(found)


@cache
def _spellings() -> dict[str, str]:
    return {name.lower(): name for name in operation_names()}


@cache
def _templates() -> dict[str, tuple[str, str]]:
    """The name of a call at a path of CI, to that of its row and to the path."""
    found: dict[str, tuple[str, str]] = {}
    for row in rows("operations"):
        if "{noun}" in row["name"]:
            for path in rows("ci_paths"):
                name = row["name"].replace("{noun}", path["noun"])
                found.setdefault(name, (row["name"], path["path"]))
    written_out = {row["name"] for row in rows("operations")}
    return {name: told for name, told in found.items() if name not in written_out}


def _either(words: Iterable[str]) -> str:
    return ", or ".join(dict.fromkeys(words))


def _told_by(found: list[dict[str, str]], ci_path: str) -> list[str]:
    """A line for each way to ask for it; rows that differ in the query alone share one."""
    ways: dict[tuple[str, str, str], list[str]] = {}
    for row in found:
        path = row["path"].replace("{ci}", ci_path).replace("*", "…") or _LEVELS[_level(row)]
        conditions = []
        if row["header"]:
            conditions.append(f"the header {row['header'].replace('|', ' or ')}")
        if row["content_type"]:
            conditions.append(f"Content-Type: {row['content_type']}")
        families = dict.fromkeys(_FAMILIES[family] for family in row["family"].split(","))
        if row["level"] == "service" and not row["path"]:
            families = {"the service host": None}
        rest = f"{' with ' if conditions else ''}{' and '.join(conditions)}"
        way = (row["method"].replace(",", " or "), path, f"{rest} on {', '.join(families)}")
        query = "" if row["query"] in ("-", "--") else row["query"]
        ways.setdefault(way, []).append(query.replace("{value}", "…").replace("*", "…"))
    plain_first = sorted(ways.items(), key=lambda item: "" not in item[1])
    return [
        f"{method} {path}{', '.join(f'?{query}' for query in queries if query)}{rest}"
        for (method, path, rest), queries in plain_first
    ]


def _level(row: dict[str, str]) -> str:
    return row["level"].split(",")[-1]


def _checks(found: list[dict[str, str]], ci_path: str) -> dict[str, str]:
    """Each check that is made, or why it cannot be, by the checks themselves."""
    told: dict[str, dict[str, None]] = {}
    for row in found:
        cos = read_exchange(sample_of(row, ci_path))
        if cos is None:
            continue
        for check in run_checks(cos):
            side = "request's body" if check.body == "request" else "answer's body"
            how = _NOT_ALONE.get(check.reason or "", f"not compared: {check.reason}")
            ways = told.setdefault(f"{check.check}, of the {side}", {})
            ways[how if check.reason else _COMPARED] = None
    return {
        check: ", or ".join(sorted(ways, key=lambda how: how != _COMPARED))
        for check, ways in told.items()
    }


def sample_of(row: dict[str, str], ci_path: str = "jobs") -> Exchange:
    """A success of a row of the operation table, as the documents show it."""
    family = row["family"].split(",")[0]
    level = _level(row)
    host = _HOSTS[family] if level != "service" or row["path"] else "service.cos.myqcloud.com"
    path = {"object": "/exampleobject"}.get(level, "/")
    if family == "json-legacy":
        path = "/files/v2/1250000000/examplebucket/exampleobject"
    if row["path"]:
        path = row["path"].replace("{ci}", ci_path).replace("*", "x-1250000000")
    query = "" if row["query"] in ("-", "--") else row["query"].replace("{value}", "x")
    query = query.replace("*", "x" if query.endswith("/*") else "/x")
    if row["name"] == "AppendObject":
        query += "&position=0"
    method = row["method"].split(",")[0]
    asked = [("host", host), ("authorization", _SIGNED)]
    if row["header"]:
        value = "bytes=0-6" if row["header"] == "range" else "x"
        asked.append((row["header"].split("|")[0], value))
    if row["content_type"]:
        asked.append(("content-type", f"{row['content_type']}; boundary=x"))
    sent, came = Body(), Body()
    if row["sends"] == "form":
        sent = Body(size=_SIZE + 400, md5="0" * 32, crc64=0, payload=_FILE)
    elif row["sends"] != "none":
        sent = _OBJECT
    if row["answer"] != "none":
        came = _OBJECT
    if sent.size:
        asked += [("content-length", str(sent.size))]
    answered = [
        ("server", "tencent-cos"),
        ("content-length", str(came.size)),
        ("etag", f'"{_MD5}"'),
        ("x-cos-hash-crc64ecma", str(_CRC64)),
        ("x-cos-content-sha1", _MD5),
    ]
    status = 200
    if row["header"] == "range":
        status = 206
        answered.append(("content-range", "bytes 0-15/99"))
    return Exchange(
        flow_id="sample",
        request=Request(
            method=method,
            scheme="https",
            host=host,
            port=443,
            target=f"{path}?{query}" if query else path,
            http_version="HTTP/1.1",
            headers=Headers(asked),
            body=sent,
        ),
        response=Response(
            status=status,
            reason="OK",
            http_version="HTTP/1.1",
            headers=Headers(answered),
            body=came,
        ),
        timing=Timing(request_start=None),
    )
