"""In words: what the proxy itself answered or ended. Of COS there is nothing to be said then."""

import re
from typing import Literal, NamedTuple

from cos_inspect.model.flow_report import FlowReport

_REFUSED = re.compile(r"Received (.{1,500}) from (client|server), refusing to prevent", re.DOTALL)
_TOO_LARGE = re.compile(r"(Request|Response) body exceeds")
_TWO_LENGTHS = "message with both transfer-encoding and content-length headers"
"""mitmproxy's words (12.2, ``net/http/validate.py``)."""


class ByProxy(NamedTuple):
    """What the proxy did itself in an exchange, and by what."""

    did: Literal["answered", "ended"]
    by: str
    """The option of mitmproxy, or who else."""
    why: str | None
    """Where a message was refused: what is wrong with it, and what lets it pass."""


def by_proxy(report: FlowReport) -> ByProxy | None:
    """What the proxy did to a flow, by which option, and why; None where the server answered, or
    client or server broke off."""
    response, who = report.response, report.broke_off
    said = who.said if who is not None and who.by == "proxy" else None
    if response is not None and response.by == "proxy":
        by = response.option or "another addon"
        return ByProxy("answered", by, _why(response.option, said))
    if who is not None and who.by == "proxy":
        return ByProxy("ended", who.option or said or "another addon", _why(who.option, said))
    return None


def _why(option: str | None, said: str | None) -> str | None:
    if option is None or said is None:
        return None
    if refused := _REFUSED.search(said):
        what, side = refused.groups()
        sent = "both Content-Length and Transfer-Encoding" if what == _TWO_LENGTHS else what
        return f"the {side} sent {sent}; --set {option}=false lets it pass"
    if large := _TOO_LARGE.match(said):
        return f"the {large[1].lower()} body is longer; a larger {option} lets it pass"
    return None
