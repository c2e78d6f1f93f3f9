"""What the log says where reports cannot be written: once when it begins, once when it ends."""

import errno
import logging
from pathlib import Path

import pytest

from cos_inspect.report.trouble import FAULT, Trouble

FULL = OSError(errno.ENOSPC, "No space left on device")
PLACE = Path("/somewhere")


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_each_cause_is_told_once_and_the_end_with_what_was_lost(
    said: pytest.LogCaptureFixture,
) -> None:
    lost = 3
    trouble = Trouble(PLACE, lambda: lost)
    for _ in range(3):
        trouble.note(FULL)
        trouble.note(PermissionError(errno.EACCES, "Permission denied"))
    assert (trouble.is_on, trouble.line) == (True, "/somewhere: Permission denied")
    lost, trouble.late = 5, 7
    for _ in range(2):
        trouble.end()
    assert (trouble.is_on, trouble.line, trouble.failure) == (False, None, None)
    assert [(each.levelname, each.getMessage()) for each in said.records] == [
        *(
            ("ERROR", f"COS reports cannot be written, and are kept to be tried again: {why}")
            for why in ("/somewhere: No space left on device", "/somewhere: Permission denied")
        ),
        ("INFO", "COS reports are written to /somewhere again: 7 came late, 2 are lost"),
    ]


def test_it_is_told_again_when_it_begins_again(said: pytest.LogCaptureFixture) -> None:
    trouble = Trouble(PLACE, lambda: 0)
    for _ in range(2):
        trouble.note(FULL)
        trouble.end()
    assert [each.levelname for each in said.records] == ["ERROR", "INFO"] * 2


def test_a_fault_of_our_own_is_told_with_its_traceback(said: pytest.LogCaptureFixture) -> None:
    trouble = Trouble(PLACE, lambda: 0)
    for _ in range(2):
        trouble.note_fault(ValueError("odd"))
    (record,) = said.records
    assert record.exc_info is not None
    assert trouble.line == FAULT
