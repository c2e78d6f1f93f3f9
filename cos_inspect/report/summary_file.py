"""``summary.json``: added to, never begun anew while it can be read."""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

import msgspec

from cos_inspect.model.plain_text import encoded
from cos_inspect.model.summary import Summary
from cos_inspect.model.summary_delta import SummaryDelta
from cos_inspect.model.summary_merging import merged
from cos_inspect.report.folder import Folder, status_of

_NAME = "summary.json"
_LARGEST_KEPT = 256 * 1024
"""Bytes of a summary that is kept in memory as well: reading it costs as much as writing it."""


class _KeptSummary(NamedTuple):
    """As it was written last."""

    summary: Summary
    descriptor: int
    """Of the file, kept open: no other one is given its number as long."""
    status: os.stat_result


class SummaryFile:
    """The file in one folder, which is given with each call; to be used holding the lock."""

    def __init__(self) -> None:
        self._kept: _KeptSummary | None = None

    def add(self, folder: Folder, tallies: Iterable[SummaryDelta]) -> Summary:
        """Adds what runs have counted; the whole summary.

        :raises OSError: it cannot be read, or not be written; then nothing is added.
        """
        summary = self.read(folder)
        self.close()
        for each in tallies:
            summary = merged(summary, each)
        assert summary is not None
        content = msgspec.json.format(encoded(summary), indent=2) + b"\n"
        folder.replace(_NAME, (content,))
        if len(content) <= _LARGEST_KEPT:
            # It is added: whoever heard of an error now would add it again.
            with suppress(OSError):
                self._keep(folder, summary)
        return summary

    def _keep(self, folder: Folder, summary: Summary) -> None:
        descriptor = folder.open_to_read(_NAME)
        if descriptor is not None:
            self._kept = _KeptSummary(summary, descriptor, status_of(descriptor))

    def read(self, folder: Folder) -> Summary | None:
        """As it is now, also where somebody else wrote it; None where there is none, or what is
        there is no summary. Not to be changed.

        :raises OSError: it cannot be read.
        """
        if self._kept is not None:
            with suppress(FileNotFoundError):
                if _version(folder.status(_NAME)) == _version(self._kept.status):
                    return self._kept.summary
        try:
            content = folder.read(_NAME)
            return None if content is None else msgspec.json.decode(content, type=Summary)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def close(self) -> None:
        """Forgets what is kept, and gives its descriptor back."""
        kept, self._kept = self._kept, None
        if kept is not None:
            os.close(kept.descriptor)


def _version(status: os.stat_result) -> tuple[int, ...]:
    """Another one when a file is replaced or written to."""
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
