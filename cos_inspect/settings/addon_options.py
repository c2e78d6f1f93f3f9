"""The addon's options: name, type, default and meaning.

Every option is a string or a sequence of strings: mitmproxy 12 drops a script
addon without a word when a typed option gets a value it cannot read.
"""

from collections.abc import Sequence

from cos_inspect.report.formats import FORMATS

SHOWN = ("all", "problems")
SIGNALS = ("metrics", "logs", "traces")
SEVERITIES = ("never", "notice", "warning", "error")

OPTIONS: tuple[tuple[str, type, str | list[str], str], ...] = (
    (
        "cos_report_dir",
        str,
        "cos-reports",
        "Directory for reports on COS flows; made if missing. Empty: none are written.",
    ),
    (
        "cos_report_format",
        Sequence[str],
        ["json", "html"],
        f"Formats of the reports, any of: {', '.join(FORMATS)}.",
    ),
    (
        "cos_hosts",
        Sequence[str],
        [],
        "Shell-style patterns of further hosts to treat as COS: custom, CDN or test domains.",
    ),
    (
        "cos_stream",
        str,
        "1m",
        "A body longer than this, or of unknown length, is checked as it passes and not kept."
        " 0: every body; never: none.",
    ),
    (
        "cos_redact",
        str,
        "true",
        "true or false: mask secrets in everything that is written or shown.",
    ),
    (
        "cos_credentials",
        str,
        "",
        "File of keys (INI sections with secret_id and secret_key), to recompute signatures with."
        " Refused when others than its owner can read it.",
    ),
    (
        "cos_annotate",
        str,
        "true",
        "true or false: set the flow's marker and comment, unless a person set them.",
    ),
    ("cos_ignore", Sequence[str], [], "Ids of rules to leave out."),
    (
        "cos_fail_on",
        str,
        "never",
        "never, notice, warning or error: exit status 1 when a finding of that severity or"
        " a higher one was made.",
    ),
    (
        "cos_show",
        str,
        "all",
        "all or problems: what the log says of flows; with problems of what is not ok alone, and"
        " of transfers and retries as they end.",
    ),
    (
        "cos_otel",
        Sequence[str],
        [],
        f"Any of {', '.join(SIGNALS)}: sent to the OpenTelemetry collector that the standard"
        " OTEL_EXPORTER_OTLP_ variables name. Without it nothing is sent.",
    ),
)
"""Name, type, default and meaning."""
