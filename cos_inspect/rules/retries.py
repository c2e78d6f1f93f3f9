"""Rules about requests that were tried again."""

from collections.abc import Iterator
from typing import Any

from cos_inspect.model.flow_report import Finding, Severity
from cos_inspect.rules.rule import Rule
from cos_inspect.rules.transfer import MOST_NAMED
from cos_inspect.transfers.observation import flow_of
from cos_inspect.transfers.retries import Chain

MOST_CAUSES = 100
"""Causes of failed tries that are named one by one, the last ones."""

RETRIED = Rule(
    id="retried",
    group="transfer",
    severity=Severity.NOTICE,
    title="The request was sent again after a failed try",
    when="the same request follows a failed try of the same client; stands on the last try",
    cause="Each failed try has its own: see the causes in the evidence.",
    fix="Nothing where it succeeded in the end; else look at the first failure.",
    example="UploadPart: 503 SlowDown, then 200 after 1.2 s",
    joins=("request",),
)


def retried(chain: Chain) -> Finding:
    count = len(chain.flows)
    lost = f"{chain.time_lost:.1f} s"
    if chain.time_lost < 1:
        lost = f"{chain.time_lost * 1000:.0f} ms"
    # The last try's own cause, where it failed as well, is that flow's.
    causes = "; ".join(chain.causes[: min(count - 1, MOST_NAMED)])
    if chain.clock_corrected:
        detail = (
            f"The client's clock was wrong by about {abs(chain.clock_shift or 0)} s. COS refused"
            " its signing time, the SDK corrected its clock and succeeded: clock"
            f" self-corrected, {lost} lost."
        )
    else:
        end = "succeeded" if chain.succeeded else "did not succeed either"
        detail = f"Try {count} {end}, {lost} after the first began. Before: {causes}."
    if chain.host_switches:
        times = "once" if chain.host_switches == 1 else f"{chain.host_switches} times"
        detail += f" The host was switched {times}."
    evidence: dict[str, Any] = {}
    if chain.got_before is not None:
        got, size = chain.got_before
        detail += (
            f" {got} of {size} bytes had come before, and all were asked for again: the request"
            " has no Range."
        )
        evidence["bytes_again"] = got
    return RETRIED.finding(
        detail,
        fix=f"Resume with Range: bytes={evidence['bytes_again']}- and If-Match with the ETag of"
        " the first answer, so that only the rest is sent."
        if evidence
        else None,
        **evidence,
        tries=count,
        causes=list(chain.causes[-MOST_CAUSES:]),
        hosts=list(chain.hosts),
        host_switches=chain.host_switches,
        time_lost_ms=round(chain.time_lost * 1000, 3),
        succeeded=chain.succeeded,
        clock_self_corrected=bool(chain.clock_corrected),
        flows=[flow_of(flow) for flow in chain.flows],
    )


RETRY_BODY_DIFFERS = Rule(
    id="retry-body-differs",
    group="transfer",
    severity=Severity.WARNING,
    title="The retry stored another body than the failed try sent",
    when="a try was stored whose body is not that of the failed try before it: empty, shorter"
    " (an error), or other bytes",
    cause="A stream that was not rewound before the second try, a file that changed meanwhile.",
    fix="Rewind the body before each try, or give the SDK a file or bytes in place of a stream;"
    " upload the object again.",
    example="PutObject: 4096 bytes without an answer, then 0 bytes, 200",
    joins=("request",),
    of_transfer=True,
)
_DIFFERENCES = {
    "empty": "is empty",
    "shorter": "is shorter: a piece of it",
    "other": "has other bytes",
}


def retry_body_differs(chain: Chain) -> Iterator[Finding]:
    found = chain.other_body
    if found is None:
        return
    before, after = found.sizes
    yield RETRY_BODY_DIFFERS.finding(
        f"The body that was stored {_DIFFERENCES[found.kind]}: {_bytes(after)}, and the failed try"
        f" had {_bytes(before)}. The checks agree with what was stored, and what"
        " should have been stored is not.",
        severity=Severity.WARNING if found.kind == "other" else Severity.ERROR,
        difference=found.kind,
        before=flow_of(found.before),
        sizes=[before, after],
    )


def _bytes(size: int | None) -> str:
    return "a size that is not known" if size is None else f"{size} bytes"
