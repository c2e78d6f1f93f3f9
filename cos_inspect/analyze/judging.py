"""How what stands on transfers counts for the outcome, whether they are listed or not."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from cos_inspect.model.summary import TransferSummary
from cos_inspect.report.baseline import BaselineEntry, entry_of_transfer
from cos_inspect.settings.analysis_settings import AnalysisSettings


class TransfersJudged(msgspec.Struct):
    """Numbers of findings on transfers; those that stand on a flow as well count there, too."""

    failing: int = 0
    """As bad as what fails, and not in the baseline."""
    known: int = 0
    found: Counter[BaselineEntry] = msgspec.field(default_factory=Counter)
    """All of them, where they are to be kept."""

    def add(self, transfers: Iterable[TransferSummary], settings: AnalysisSettings) -> None:
        """Judges the findings of transfers against the baseline and ``fail_on``."""
        for transfer in transfers:
            for finding in transfer.findings:
                entry = entry_of_transfer(transfer, finding)
                if settings.keeps_findings:
                    self.found[entry] += 1
                if settings.baseline.knows(entry):
                    self.known += 1
                elif finding.severity.rank >= settings.fails_from.rank:
                    self.failing += 1

    def merge(self, other: "TransfersJudged") -> None:
        """Counts all that another one has."""
        self.failing += other.failing
        self.known += other.known
        self.found.update(other.found)
