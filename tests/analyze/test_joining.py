"""What flows say together, whatever captures and processes they come by."""

from pathlib import Path
from typing import Any

import pytest

from cos_inspect.analyze import joining
from tests.analyze.runs import Run
from tests.saved.flow_files import HOST
from tests.saved.hars import answer_headers, download, fields, har


def multipart(folder: Path) -> list[Path]:
    """An upload of which two captures have a part each, and one the completion."""
    parts = [bytes([number]) * 1024 * 1024 for number in (1, 2)]
    entries = []
    for number, part in enumerate(parts, start=1):
        entry = download(part, {"text": ""})
        entry["request"] |= {
            "method": "PUT",
            "url": f"https://{HOST}/a?partNumber={number}&uploadId=x",
            "headers": fields(Host=HOST, Content_Length=str(len(part))),
            "postData": {"text": part.decode()},
        }
        entry["response"]["headers"] = [
            *(each for each in answer_headers(part) if each["name"] != "Content-Length"),
            *fields(Content_Length="0"),
        ]
        entries.append(entry)
    listed = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in enumerate(
            (
                each["value"]
                for part in parts
                for each in answer_headers(part)
                if each["name"] == "ETag"
            ),
            start=1,
        )
    )
    asked = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
    complete = download(b"", {"text": ""}, startedDateTime="2020-11-13T02:00:00.500Z")
    complete["request"] |= {
        "method": "POST",
        "url": f"https://{HOST}/a?uploadId=x",
        "headers": fields(Host=HOST, Content_Length=str(len(asked))),
        "postData": {"text": asked},
    }
    whole = answer_headers(b"".join(parts))
    complete["response"]["headers"] = [
        each for each in whole if each["name"] not in ("Content-Length", "ETag")
    ]
    paths = []
    for name, held in (("a", [entries[0]]), ("b", [complete]), ("c", [entries[1]])):
        path = folder / f"{name}.har"
        path.write_bytes(har(held))
        paths.append(path)
    return paths


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_upload_in_several_captures_is_one_transfer(jobs: int, tmp_path: Path) -> None:
    run = Run(tmp_path, *multipart(tmp_path), f"--jobs={jobs}")
    (transfer,) = run.summary["transfers"]
    assert (transfer["parts"], transfer["state"], transfer["verdict"]) == (2, "completed", "ok")
    complete = run.reports[1]
    assert complete["transfer"]["id"] == "x"
    found = {check["check"]: check["status"] for check in complete["checks"]}
    assert (found["multipart-crc64"], found["multipart-etags"]) == ("match", "match")


def test_reports_stay_where_nothing_can_be_said_of_all_together(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*_arguments: Any, **_more: Any) -> Any:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(joining, "list_history", odd)
    run = Run(tmp_path, *two, status=2)
    assert len(run.reports) == 4
    (line,) = run.result.stderr.splitlines()
    assert "what flows say together of one object cannot be told" in line
