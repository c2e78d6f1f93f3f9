"""What ``analyze`` needs of memory does not depend on how the same traffic was cut."""

from pathlib import Path

from scripts.benchmark_many import analyzed, captures

FLOWS, UPLOADS = 4000, 1600
MOST = 20 << 20


def test_few_captures_and_many_need_as_much(tmp_path: Path) -> None:
    """Beside each other, one process each; the full size is a case of ``scripts/benchmark``."""
    folders = captures(tmp_path, (4, 200), FLOWS, UPLOADS)
    few, many = (analyzed(each, tmp_path / f"reports-{each.name}", jobs=1) for each in folders)
    assert few.summary == many.summary
    assert many.summary["counts"]["flows"] == FLOWS
    assert len(many.summary["transfers"]) == UPLOADS
    assert many.summary["counts"]["transfers"] == {"notice": UPLOADS}
    assert abs(few.bytes - many.bytes) < MOST
