"""What more than one reader takes out of a report: host, header, upload, address."""

import re
from urllib.parse import unquote

from cos_inspect.model.flow_report import FlowReport

_PART_NUMBER = re.compile(r"[0-9]{1,9}")


def host_of(report: FlowReport) -> str:
    """The host of the request's URL, with its port where one is named."""
    return report.request.url.partition("://")[2].partition("/")[0].partition("?")[0]


def request_header(report: FlowReport, name: str) -> str | None:
    """The first value of a header of the request; ``name`` in small letters."""
    for header in report.request.headers:
        if header.name.lower() == name:
            return header.value
    return None


def upload_of(report: FlowReport) -> tuple[str | None, int | None]:
    """The UploadId and the number of the part. The URL has them before the transfer is known.

    As ``cos/target.py`` reads a query, but for the case of names: percent escapes alone are
    decoded, and the first of equal names counts. The number is whatever has up to nine digits.
    """
    named: dict[str, str] = {}
    query = report.request.url.partition("?")[2]
    for piece in query.split("&") if "=" in query else ():
        name, _, value = piece.partition("=")
        named.setdefault(unquote(name).lower(), unquote(value))
    upload_id = named.get("uploadid") or None
    transfer = report.transfer
    if upload_id is None and transfer is not None and transfer.kind == "multipart-upload":
        upload_id = transfer.id
    number = named.get("partnumber", "")
    return upload_id, int(number) if _PART_NUMBER.fullmatch(number) else None


def address_and_port(text: str | None) -> tuple[str | None, int | None]:
    """Of ``10.0.0.5:41234``, ``[::1]:80``, or an address alone."""
    if not text:
        return None, None
    host, colon, port = text.rpartition(":")
    # An address of IPv6 has brackets where a port follows.
    is_pair = colon and (":" not in host or host.startswith("["))
    if is_pair and port.isascii() and port.isdigit() and len(port) <= 5:
        return host.removeprefix("[").removesuffix("]") or None, int(port)
    return text.removeprefix("[").removesuffix("]") or None, None
