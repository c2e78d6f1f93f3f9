"""What is said of an input besides its flows is bounded."""

import pytest

from cos_inspect.captures import captured_flow
from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.errors import CaptureError


def test_a_line_for_each_up_to_a_hundred() -> None:
    remarks = InputRemarks("a.har")
    for number in range(100):
        remarks.note(f"note {number}")
        remarks.lose("odd", number)
    assert remarks.notes[-1] == "note 99"
    assert remarks.faults[-1] == "a.har: odd, at byte 99"
    for number in range(3):
        remarks.note("more")
        remarks.lose("odd", number, entry=7)
    assert len(remarks.notes) == len(remarks.faults) == 101
    assert remarks.notes[-1] == "a.har: and 3 more that are left out"
    assert remarks.faults[-1] == "a.har: and 3 more without a report"
    assert remarks.lost == {captured_flow.UNREADABLE: 103}


def test_an_entry_is_named_by_its_number() -> None:
    remarks = InputRemarks("a.har")
    remarks.lose("odd", 5, entry=3, reason=captured_flow.UNINSPECTED)
    assert remarks.faults == ["a.har: entry 3, at byte 5: odd"]
    assert remarks.lost == {captured_flow.UNINSPECTED: 1}


def test_behind_very_many_the_input_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured_flow, "_MOST_LOST", 4)
    remarks = InputRemarks("a.mitm")
    for number in range(3):
        remarks.lose("odd", number)
        remarks.lose("odd", number, reason=captured_flow.UNINSPECTED)
    with pytest.raises(CaptureError, match="4 of its flows cannot be read: the rest is not"):
        remarks.lose("odd", 4)
