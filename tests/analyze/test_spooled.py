"""What is known of a shard that was read."""

from array import array
from collections import Counter

from cos_inspect.analyze.spooled import CaptureRead, ShardRead
from cos_inspect.model.capture_summary import CaptureFacts


def test_a_report_is_found_in_its_capture() -> None:
    read = ShardRead(
        number=0,
        spool="0.reports",
        offsets=array("Q", [0, 50, 90]),
        places=array("Q", [0, 700, 20]),
        said_once=array("Q"),
        captures=[(0, "one"), (2, "without a flow"), (2, "two")],
    )
    places = [read.place_of(index) for index in range(3)]
    assert places == [("one", 0), ("one", 700), ("two", 20)]


def test_parts_of_one_capture_add_up() -> None:
    first = CaptureRead(format="x", facts=CaptureFacts(), exchanges=2, lost=Counter(cut=1))
    first.merge(CaptureRead(format="x", facts=CaptureFacts(), exchanges=3, lost=Counter(cut=2)))
    assert (first.exchanges, first.lost) == (5, Counter(cut=3))
