"""Rules about connections that came to nothing: there is no exchange to judge."""

from cos_inspect.cos.tables import rows
from cos_inspect.model.flow_report import Finding, Severity
from cos_inspect.rules.connection_cause import advice_for
from cos_inspect.rules.error import CONNECTION_FAILED
from cos_inspect.rules.rule import Rule

TLS_UNTRUSTED = Rule(
    id="tls-untrusted",
    group="connection",
    severity=Severity.ERROR,
    title="The client does not trust the proxy's certificate",
    when="a client refused the proxy's certificate for a COS host: it sent an alert, closed"
    " inside the handshake, or closed each time right after it without a request",
    cause="The proxy's CA is not installed where the client looks for it, or the client pins"
    " the server's certificate.",
    fix="Have the client trust mitmproxy's CA (http://mitm.it, through the proxy); one that"
    " pins needs a build without pinning.",
    example="Android app, upload to examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com:"
    " alert unknown ca",
)


def platform_advice() -> dict[str, str]:
    """How a client is made to trust the proxy's CA, by platform."""
    return {row["platform"]: row["advice"] for row in rows("trust")}


def sentence_of(failed: str, host: str, client: str | None) -> str:
    """What failed, as a sentence. ``failed`` is a word of ``tables/connections.tsv``."""
    for row in rows("connections"):
        if row["failed"] == failed:
            return row["sentence"].format(host=host, client=client or "a client")
    return f"{failed}: {host}."


def tls_untrusted(
    failed: str, host: str, client: str | None, *, said: str | None, user_agent: str | None
) -> Finding:
    """``said`` is mitmproxy's own text, ``user_agent`` what the client's CONNECT named."""
    return TLS_UNTRUSTED.finding(
        sentence_of(failed, host, client),
        failed=failed,
        said=said,
        user_agent=user_agent,
        platforms=platform_advice(),
    )


def connection_failed(failed: str, host: str, client: str | None, *, said: str | None) -> Finding:
    """A tunnel that the proxy could not open: the client has its failure, and no flow tells it."""
    return CONNECTION_FAILED.finding(
        sentence_of(failed, host, client), fix=advice_for(failed), error=said
    )
