import os
from pathlib import Path

import pytest

from cos_inspect.report.baseline import (
    Baseline,
    BaselineEntry,
    BaselineError,
    entry_of,
    read_baseline,
    write_baseline,
)
from tests.report.build import finding, flow_report

REPORT = flow_report(findings=[finding()])
FOUND = entry_of(REPORT, REPORT.findings[0])


def test_what_was_written_is_known(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, [FOUND, FOUND])
    baseline = read_baseline(path)
    assert baseline.knows(FOUND)
    again = flow_report(flow_id="other", sequence=9, findings=[finding()])
    assert baseline.knows(entry_of(again, again.findings[0]))
    assert path.read_text().count("etag-mismatch") == 1


@pytest.mark.parametrize(
    "other",
    [
        flow_report(key="b.txt", findings=[finding()]),
        flow_report(operation="GetObject", findings=[finding()]),
        flow_report(findings=[finding("crc64-mismatch")]),
    ],
)
def test_the_same_rule_elsewhere_is_new(other: object) -> None:
    baseline = Baseline([FOUND])
    assert isinstance(other, type(REPORT))
    assert not baseline.knows(entry_of(other, other.findings[0]))


def test_what_is_left_out_fits_everything() -> None:
    baseline = Baseline([BaselineEntry(rule="etag-mismatch", bucket="examplebucket-1250000000")])
    assert baseline.knows(FOUND)
    assert not baseline.knows(BaselineEntry(rule="etag-mismatch", bucket="other", key="a.txt"))


def test_equal_sets_make_equal_files(tmp_path: Path) -> None:
    # What is left out and what is empty are two things.
    places = [None, "", "a"]
    known = [
        BaselineEntry(rule="etag-mismatch", operation=operation, bucket=bucket, key=key)
        for operation in places
        for bucket in places
        for key in places
    ]
    one, other = tmp_path / "one", tmp_path / "other"
    write_baseline(one, known)
    write_baseline(other, known[::-1])
    assert one.read_bytes() == other.read_bytes()
    assert read_baseline(one).not_seen(()) == read_baseline(other).not_seen(())


def test_entries_that_were_not_seen() -> None:
    wide, gone = BaselineEntry(rule="etag-mismatch"), BaselineEntry(rule="clock-skew")
    assert Baseline([wide, gone, FOUND]).not_seen([FOUND]) == [gone]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"schema": "other", "findings": []}', b'{"findings": [{"key": "a"}]}', b"\xff"],
)
def test_what_is_no_baseline(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_bytes(content)
    with pytest.raises(BaselineError) as raised:
        read_baseline(path)
    assert str(raised.value).startswith(f"{path}: is no baseline: ")


def test_a_baseline_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="No such file"):
        read_baseline(tmp_path / "none")


def test_a_baseline_is_not_read_without_a_bound(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="is not a file"):
        read_baseline(Path("/dev/zero"))
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(BaselineError, match="larger than 16 MiB"):
        read_baseline(large)


def test_a_baseline_out_of_a_pipe(tmp_path: Path) -> None:
    written = tmp_path / "written"
    write_baseline(written, [BaselineEntry(rule="etag-mismatch")])
    read, write = os.pipe()
    os.write(write, written.read_bytes())
    os.close(write)
    assert read_baseline(Path(f"/dev/fd/{read}")).knows(BaselineEntry(rule="etag-mismatch"))
    os.close(read)
    nobody = tmp_path / "pipe"
    os.mkfifo(nobody)
    with pytest.raises(BaselineError, match="is no baseline"):
        read_baseline(nobody)
