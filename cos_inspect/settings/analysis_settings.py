"""What an analysis is to do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from cos_inspect.model.flow_report import Severity
from cos_inspect.report.baseline import Baseline
from cos_inspect.settings.execution import Label, Where

Shown = Literal["all", "problems", "errors"]
"""Which flows are told."""


class AnalysisSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``jobs`` is a number of processes; ``fail_on`` None: never."""

    report_dir: Path | None = Path("cos-reports")
    report_url: str | None = None
    """A URL that the reports are put to; ``report_dir`` does not count then."""
    formats: tuple[str, ...] = ("json",)
    hosts: tuple[str, ...] = ()
    ignore: frozenset[str] = frozenset()
    redact: bool = True
    fail_on: Severity | None = None
    baseline: Baseline = Baseline()
    keeps_findings: bool = False
    """Whether the outcome is to name all that was found, for a baseline."""
    label: str | None = None
    """What the summary calls the run."""
    labels: tuple[Label, ...] = ()
    """What the captures are labelled with."""
    jobs: int = 1
    where: Where = Where()
    """Who does the work; of processes of this machine ``jobs`` says how many."""
    scratch: str | None = None
    """A folder or URL that all who work see, for what steps hand on; None: a temporary folder
    of this machine."""
    dataset: str | None = None
    """A folder or URL for the reports as tables; None: there are none."""
    quiet: bool = False
    """Of flows errors alone are told."""
    all_flows: bool = False
    """Every flow is told."""
    keys: Mapping[str, str] = {}
    """SecretKeys by SecretId, to recompute signatures with."""
    key_logs: tuple[str, ...] = ()
    """Files with the secrets of TLS connections, which captures of packets are read with."""
    width: int | None = None
    """Columns of the terminal; None: lines are as long as they are."""
    colour: bool = False

    @property
    def shown(self) -> Shown:
        """Which flows are told."""
        return "errors" if self.quiet else "all" if self.all_flows else "problems"

    @property
    def fails_from(self) -> Severity:
        """The severity from which a finding fails a test of JUnit."""
        return self.fail_on or Severity.ERROR
