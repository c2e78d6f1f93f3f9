"""What names of the protocol mean, and where that was read: codes, headers, parameters, hosts."""

from collections.abc import Iterator

from cos_inspect.cos.client import read_client
from cos_inspect.cos.endpoint import other_host, read_endpoint
from cos_inspect.cos.error_table import explain_status, explanations_of
from cos_inspect.cos.headers import UNKNOWN, allowed_values, describe
from cos_inspect.cos.tables import rows
from cos_inspect.inspection.explain_block import block
from cos_inspect.inspection.explain_operation import operations_told_by

_DIRECTIONS = {"request": "requests", "response": "answers", "both": "requests and answers"}
_SECRECIES = {
    "1": "yes: the whole value is masked in reports",
    "part": "in part: the secret inside the value is masked in reports",
}
_CLIENTS = {
    "sdk": "an SDK of COS",
    "tool": "a tool for COS",
    "browser": "a browser, or a page in one",
    "s3": "a client of S3",
    "http-library": "an HTTP library",
    "other": "another program",
}
_HANDS = {
    "yes": "in its user's hands: a permanent key does not belong there",
    "owner": "on the desk of the account's owner, who signs with a permanent key rightly",
    "no": "on a server or the owner's machine",
}
_ROLES = {
    "signature": "part of a signature",
    "header in the query": "a header that stands in the query",
    "client": "a note of the client's",
    "answer": "sets a header of the answer",
    "version": "names a version",
    "listing": "limits or continues a list",
    "extent": "says where, or how much",
}
_CONTEXTS = {
    "batch": "jobs over many objects",
    "vectors": "vector buckets",
    "rapid": "Rapid Buckets",
    "copy": "copies",
    "json-legacy": "the JSON API",
}


def error_code(name: str) -> Iterator[str]:
    """A block for each row of the table that has this code, in any case; nothing for others."""
    explanations = explanations_of(name)
    if not explanations:
        return
    code = explanations[0].code
    table = [row for row in rows("errors") if row["code"].lower() == code.lower()]
    # In the order of the explanations: those bound to a message first, then to a context.
    table.sort(key=lambda row: (not row["message"], not row["context"]))
    also = dict.fromkeys(
        row["code"] for row in rows("errors") if row["alias_of"] == code != row["code"]
    )
    # What holds everywhere is told first.
    told = sorted(
        zip(table, explanations, strict=True),
        key=lambda pair: bool(pair[0]["message"]) + bool(pair[0]["context"]),
    )
    for row, found in told:
        yield block(
            f"{found.code}: an error code of COS",
            ("status", found.status),
            ("scope", found.scope),
            ("message", f"contains {row['message']!r}" if row["message"] else ""),
            ("only for", _CONTEXTS.get(row["context"], row["context"])),
            ("same as", row["alias_of"] if row["alias_of"] != found.code else ""),
            ("meaning", found.meaning),
            ("cause", found.cause),
            ("fix", found.fix),
            ("also as", ", ".join(also)),
            ("source", found.source),
        )


def status(name: str) -> Iterator[str]:
    """What a bare HTTP status means; nothing for what is none."""
    if len(name) == 3 and name.isascii() and name.isdigit():
        found = explain_status(int(name))
        if found is not None:
            yield block(
                f"{name}: a status, when the answer has no error body",
                ("meaning", found.meaning),
                ("cause", found.cause),
                ("fix", found.fix),
                ("codes", ", ".join(_codes_of(name))),
            )


def _codes_of(status: str) -> list[str]:
    """The common codes of a status."""
    return [
        row["code"]
        for row in rows("errors")
        if row["http_status"] == status and not row["alias_of"] and not row["context"]
    ][:20]


def header(name: str) -> Iterator[str]:
    """A header by its name, in any case; nothing for one that the table does not have."""
    lower = name.lower()
    fact = describe(lower, "request")
    if fact is UNKNOWN:
        return
    row = next(row for row in rows("headers") if row["name"] == fact.name)
    family = f" ({fact.name})" if fact.name != lower else ""
    asked, answered = allowed_values(row, "request"), allowed_values(row, "response")
    only_answers = row["direction"] == "response"
    yield block(
        f"{lower}: a header{family}",
        ("category", fact.category),
        ("meaning", row["meaning"]),
        ("stands in", _DIRECTIONS[row["direction"]]),
        ("allowed", answered if only_answers else asked),
        ("in answers", answered if not only_answers and answered != asked else ""),
        ("once only", "yes" if row["single"] == "1" else "no"),
        ("secret", _SECRECIES.get(fact.secret, "no")),
        ("of", ", ".join(_operations_of(fact.name))),
        ("source", row["source"]),
    )


def _operations_of(header: str) -> list[str]:
    return [
        row["name"]
        for row in rows("operation_texts")
        if header in row["asks"].split() or header in row["answers"].split()
    ]


def encryption(name: str) -> Iterator[str]:
    """A mode of server-side encryption, by any of its names."""
    lower = name.lower()
    for row in rows("sse"):
        if lower in (row["mode"].lower(), *row["names"].lower().split()):
            words = [each for each in rows("sse_algorithms") if each["mode"] == row["mode"]]
            yield block(
                f"{row['mode']}: server-side encryption",
                ("meaning", row["meaning"]),
                ("request", row["request"]),
                ("answer", row["answer"]),
                ("note", row["note"]),
                ("source", "; ".join(dict.fromkeys(each["source"] for each in words))),
            )


def parameter(name: str) -> Iterator[str]:
    """A query parameter, whether it names an operation or stands beside it."""
    told = operations_told_by(name)
    if told:
        yield block(f"{name}: a query parameter", ("names", ", ".join(told)))
    lower = name.lower()
    for row in rows("parameters"):
        if lower == row["name"] or (row["name"].endswith("*") and lower == row["name"][:-1]):
            empty = "yes" if row["empty"] == "yes" else "no: alone it would be a sub-resource"
            yield block(
                f"{row['name']}: a query parameter that names no operation",
                ("role", _ROLES[row["role"]]),
                ("may be empty", empty),
                ("source", row["source"]),
            )


def region(name: str) -> Iterator[str]:
    """A region by its code, old ones too."""
    lower = name.lower()
    for row in rows("regions"):
        if row["code"] == lower:
            instead = row["canonical"] if row["canonical"] != row["code"] else ""
            yield block(
                f"{row['code']}: a region",
                ("area", row["area"]),
                ("today", instead),
                ("hosts", f"<bucket>.cos.{row['canonical']}.myqcloud.com"),
                ("source", row["source"]),
            )


def host(name: str) -> Iterator[str]:
    """What a host is: an endpoint of COS, or a known service that is none."""
    lower = name.lower()
    if "." not in lower:
        return
    other = other_host(lower)
    if other is not None:
        yield block(
            f"{lower}: a host that is no COS", ("what", other["what"]), ("source", other["source"])
        )
        return
    found = read_endpoint(lower, "/")
    if found is None:
        return
    form = next((row for row in rows("hosts") if row["form"] == found.host_form), None)
    yield block(
        f"{lower}: {'a host that is meant for COS and is none' if form is None else 'a host'}",
        ("endpoint", found.kind),
        ("bucket", found.bucket or ""),
        ("appid", found.appid or ""),
        ("region", found.region or ""),
        ("not there", ", ".join(sorted(found.lacks))),
        ("source", form["source"] if form else ""),
    )


def host_mistake(name: str) -> Iterator[str]:
    """A mistake in a host, by the name that findings have for it; nothing for others."""
    lower = name.lower()
    for row in rows("host_mistakes"):
        if row["mistake"] == lower:
            yield block(
                f"{row['mistake']}: what is wrong with a host (endpoint-mistake)",
                ("meaning", row["meaning"]),
                ("fix", row["fix"]),
            )


def client(name: str) -> Iterator[str]:
    """A program, by its name or by a User-Agent."""
    lower = name.lower()
    known = [
        *((row, "User-Agent", row["example"]) for row in rows("clients")),
        *((row, "Referer", f"{row['prefix']}…") for row in rows("client_referers")),
    ]
    for row, told_by, sample in known:
        if row["name"].lower() == lower:
            yield block(
                f"{row['name']}: {_CLIENTS[row['kind']]}",
                ("runs", _HANDS[row["device"]]),
                (told_by, sample),
                ("source", row["source"]),
            )
            return
    found = read_client(name)
    # Without a version it is a name, and perhaps a misspelt one.
    if found is not None and found.kind != "other" and "." in (found.version or ""):
        yield block(
            f"{name}: a User-Agent",
            ("client", found.name),
            ("version", found.version or ""),
            ("platform", found.platform or ""),
            ("wrapper", found.wrapper or ""),
            ("kind", _CLIENTS[found.kind]),
        )
