"""Real traffic into report directories that are full, linked elsewhere, or not safe."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import BUCKET
from tests.end_to_end.lab import Lab
from tests.mounted_disk import fill, mounted_disk
from tests.origin.server import Origin

ALL = tuple(f"--set=cos_report_format={name}" for name in ("json", "jsonl", "html", "junit"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk", mebibytes=2) as path:
        yield path


def put(lab: Lab, first: int, last: int) -> None:
    client = lab.client()
    for number in range(first, last):
        client.put_object(BUCKET, b"content", f"{number}.txt")


def test_a_disk_that_is_full_for_half_a_run(small_disk: Path) -> None:
    with Origin() as origin, Lab(origin, small_disk, *ALL, "--set=cos_fail_on=error") as lab:
        put(lab, 0, 8)
        lab.report_on("7.txt")
        fill(small_disk)
        put(lab, 8, 24)
        lab.wait_for_output("COS reports cannot be written")
        (small_disk / "filler").unlink()
        put(lab, 24, 32)
        lab.stop()
        assert lab.status == 0
        assert len(lab.reports) == 32
        assert lab.summary["counts"]["flows"] == 32
        assert lab.summary["lost"] == {"count": 0, "reasons": {}}
        assert lab.output.count("COS reports cannot be written") == 1
        assert lab.output.count("COS reports are written to") == 1
        assert len((lab.report_dir / "flows.jsonl").read_text().splitlines()) == 32


def test_a_disk_that_stays_full_fails_the_run(small_disk: Path) -> None:
    with Origin() as origin, Lab(origin, small_disk, *ALL, "--set=cos_fail_on=error") as lab:
        put(lab, 0, 2)
        lab.report_on("1.txt")
        fill(small_disk)
        put(lab, 2, 12)
        lab.wait_for_output("COS reports cannot be written")
        lab.stop()
        assert lab.status == 1
        # None of them is in junit.xml, which had to be written on the full disk.
        assert "    lost       12 reports: 12 disk full" in lab.output


def test_links_lead_nowhere_and_the_traffic_goes_on(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    reports = tmp_path / "cos-reports"
    reports.mkdir()
    (reports / "flows.jsonl").symlink_to(outside / "precious")
    (reports / "junit.xml").symlink_to(outside / "precious")
    (reports / "data").symlink_to(outside)
    with Origin() as origin, Lab(origin, tmp_path, *ALL) as lab:
        put(lab, 0, 3)
        lab.wait_for_output("is a symbolic link, which is not followed")
        lab.stop()
        assert len(lab.reports) == 3
        assert lab.summary["lost"]["count"] == 3
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_text() == "precious"


def test_a_directory_that_others_may_write_to_stops_the_start(tmp_path: Path) -> None:
    reports = tmp_path / "cos-reports"
    reports.mkdir()
    reports.chmod(0o777)
    done = subprocess.run(
        [
            Path(sys.executable).with_name("cos-inspect"),
            "mitmdump",
            f"--set=cos_report_dir={reports}",
            "-n",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert f"{reports}: others may write to this directory (mode 0777)" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert list(reports.iterdir()) == []


def test_a_directory_that_is_opened_to_others_in_mid_run_is_not_written_to(tmp_path: Path) -> None:
    with Origin() as origin, Lab(origin, tmp_path, *ALL, "--set=cos_fail_on=error") as lab:
        put(lab, 0, 2)
        lab.report_on("1.txt")
        lab.report_dir.chmod(0o777)
        put(lab, 2, 6)
        lab.wait_for_output("others may write to this directory")
        before = sorted(lab.report_dir.rglob("*"))
        put(lab, 6, 8)
        assert sorted(lab.report_dir.rglob("*")) == before
        lab.report_dir.chmod(0o700)
        put(lab, 8, 9)
        lab.stop()
        assert lab.status == 0
        assert len(lab.reports) == 9
        assert lab.summary["lost"] == {"count": 0, "reasons": {}}
