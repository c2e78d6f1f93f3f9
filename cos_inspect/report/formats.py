"""The formats of reports. A new one is a module, and a line in ``REPORT_FORMATS``."""

from collections.abc import Collection

from cos_inspect.report.flow_files import JSON
from cos_inspect.report.json_lines import JSONL
from cos_inspect.report.junit_file import JUNIT
from cos_inspect.report.markdown import MARKDOWN
from cos_inspect.report.pages import HTML
from cos_inspect.report.report_format import AnyFormat

REPORT_FORMATS: tuple[AnyFormat, ...] = (
    JSON,
    JSONL,
    HTML,
    MARKDOWN,
    JUNIT,
)

FORMATS = tuple(each.name for each in REPORT_FORMATS)
"""As options and switches name them."""

GITHUB = "github"
"""Of ``analyze`` alone: annotations on standard output, and the summary of the step.

No row of the table: it writes nothing of single reports, nothing into the report directory that a
later run would add to, and what it prints stands behind the closing lines, which are known when
all formats are finished. It counts findings where reports are made, in several processes."""


def places_of(names: Collection[str]) -> tuple[str, ...]:
    """Where in a report directory every report lies in full, by the formats that are written."""
    return tuple(each.holds_all for each in formats_named(names) if each.holds_all is not None)


def formats_named(names: Collection[str]) -> list[AnyFormat]:
    """Those of the table that are asked for, in its order."""
    return [each for each in REPORT_FORMATS if each.name in names]
