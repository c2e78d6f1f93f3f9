"""Captures and reports at URLs give the same files, byte for byte, as those on the disk."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest
from click.testing import CliRunner, Result

from cos_inspect.analyze.report_place import ReportPlace
from cos_inspect.captures import places
from cos_inspect.captures.places import PlaceError
from cos_inspect.cli.commands import main
from cos_inspect.report.formats import FORMATS
from tests.captures_at_urls import s3_server
from tests.saved.exports import archives
from tests.saved.flow_files import cos_flow, saved_file
from tests.saved.test_pcap import _file as packets


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, s3_server("lab", patch) as client:
        yield client


@pytest.fixture(params=["memory", "file", "s3", "cos"])
def url(request: pytest.FixtureRequest, tmp_path: Path, s3: object) -> str:
    return {
        "memory": f"memory://{tmp_path.name}/reports",
        "file": f"file://{tmp_path}/there",
        "s3": f"s3://lab/{tmp_path.name}",
        "cos": f"cos://lab/{tmp_path.name}",
    }[request.param]


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures")
    saved_file(folder / "a.mitm", *[cos_flow() for _ in range(3)])
    archive = archives.archive(
        [archives.Session(archives.put(b"abc"), archives.stored_answer(b"abd"))]
    )
    (folder / "b.saz").write_bytes(archive)
    (folder / "c.pcap").write_bytes(packets())
    (folder / "d.pcapng").write_bytes(packets(ng=True))
    return folder


def analyzed(captures: object, reports: object, *more: str) -> Result:
    arguments = ["analyze", str(captures), "--report-dir", str(reports), *more]
    for name in FORMATS:
        arguments += ["--format", name]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def files_at(url: str) -> dict[str, bytes]:
    if not places.is_url(places.plain(url)):
        folder = Path(places.plain(url))
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    return {each.removeprefix(f"{url}/"): places.read(each) for each in places.files_below(url)}


def test_reports_are_the_same_at_a_url(url: str, captures: Path, tmp_path: Path) -> None:
    here = analyzed(captures, tmp_path / "here")
    there = analyzed(captures, url)
    assert (there.exit_code, there.stderr) == (here.exit_code, here.stderr) == (0, "")
    expected = files_at(str(tmp_path / "here"))
    assert files_at(url) == expected
    assert {"summary.json", "index.html", "flows.jsonl", "junit.xml"} < set(expected)
    told = here.stdout.replace(str(tmp_path / "here"), places.plain(url))
    assert there.stdout == told


def test_a_second_run_finds_the_place_taken(url: str, captures: Path) -> None:
    assert analyzed(captures, url).exit_code == 0
    before = files_at(url)
    again = analyzed(captures, url)
    if url.startswith("file://"):
        # A folder of this machine has locks: a second run goes on counting.
        assert again.exit_code == 0
        assert len(files_at(url)) > len(before)
        return
    assert again.exit_code == 2
    (line,) = again.stderr.splitlines()
    assert line.startswith(f"cos-inspect: {url}: reports at a URL need a place of their own")
    assert files_at(url) == before


def test_objects_are_put_once_and_the_summary_last(s3: Any, captures: Path, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def note(model: Any, params: Any, **_rest: object) -> None:
        asked.append((model.name, params.get("url_path", "").removeprefix("/")))

    filesystem, _ = places.filesystem_of("s3://lab/x")
    filesystem.connect()
    filesystem.s3.meta.events.register("before-call.s3", note)
    url = f"s3://lab/{tmp_path.name}"
    try:
        assert analyzed(captures, url).exit_code == 0
    finally:
        filesystem.s3.meta.events.unregister("before-call.s3", note)
    put = [path for name, path in asked if name == "PutObject"]
    assert len(put) == len(set(put)) == len(files_at(url)) + 1
    assert put[0].rpartition("/")[2].startswith(".analysis-")
    assert put[-2:] == [f"{tmp_path.name}/{name}" for name in ("index.html", "summary.json")]
    changes = {name for name, _ in asked} - {"ListObjectsV2", "HeadObject", "HeadBucket"}
    assert changes == {"PutObject", "DeleteObject"}
    page = s3.head_object(Bucket="lab", Key=f"{tmp_path.name}/index.html")
    assert page["ContentType"] == "text/html"


def test_of_two_that_come_at_once_none_overlooks_the_other(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url.startswith("file://"):
        pytest.skip("it is a folder of this machine")
    put = places.put
    others: list[str] = []

    def put_both(path: str, place: str) -> None:
        put(path, place)
        others.append(f"{url}/.analysis-of-another")
        put(path, others[0])

    with monkeypatch.context() as patch:
        patch.setattr(places, "put", put_both)
        with pytest.raises(PlaceError, match="another analysis is under way, or was ended"):
            ReportPlace(url)
    assert list(files_at(url)) == [".analysis-of-another"]


def test_a_folder_that_was_made_by_hand_is_empty(s3: Any, captures: Path, tmp_path: Path) -> None:
    s3.put_object(Bucket="lab", Key=f"{tmp_path.name}/", Body=b"")
    result = analyzed(captures, f"s3://lab/{tmp_path.name}/")
    assert (result.exit_code, result.stderr) == (0, "")


def test_reports_that_cannot_be_put_are_kept(
    captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = places.put

    def full(path: str, place: str) -> None:
        if place.endswith("/junit.xml"):
            raise PlaceError(place, "Access Denied")
        put(path, place)

    monkeypatch.setattr(places, "put", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    url = f"memory://{tmp_path.name}/kept"
    result = analyzed(captures, url)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    said = f"cos-inspect: reports cannot be written: {url}: Access Denied; the reports are kept in "
    assert line.startswith(said)
    kept = files_at(line.removeprefix(said))
    assert {"summary.json", "junit.xml"} < set(kept)
    assert "summary.json" not in files_at(url)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("s3://no-such-bucket/reports", "no-such-bucket"),
        ("nonsense://lab/reports", "nonsense"),
        ("cos://lab/reports", "COS_REGION"),
    ],
)
def test_a_place_that_cannot_be_is_told_before_anything_is_read(
    where: str, told: str, s3: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if where.startswith("cos"):
        monkeypatch.delenv("COS_ENDPOINT_URL")
        places._filesystem.cache_clear()
    result = analyzed(tmp_path / "missing.mitm", where)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert told in line
    assert "missing.mitm" not in line
    places._filesystem.cache_clear()


def test_captures_at_a_url_say_the_same(url: str, captures: Path, tmp_path: Path) -> None:
    """Whatever reads them: files that are divided, archives, packets."""
    for path in sorted(captures.iterdir()):
        if url.startswith("file://"):
            (tmp_path / "there").mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / "there")
        else:
            places.put(str(path), places.join(url, path.name))
    here, there = tmp_path / "here", tmp_path / "of-urls"
    assert analyzed(captures, here).exit_code == 0
    result = analyzed(url, there)
    assert (result.exit_code, result.stderr) == (0, "")

    def named(content: bytes) -> bytes:
        return content.replace(str(captures).encode(), places.plain(url).encode())

    expected = {name: named(content) for name, content in files_at(str(here)).items()}
    assert files_at(str(there)) == expected


def test_workers_read_and_hand_on_at_urls(s3: Any, captures: Path, tmp_path: Path) -> None:
    base = f"s3://lab/{tmp_path.name}"
    for path in sorted(captures.iterdir()):
        places.put(str(path), places.join(base, "captures", path.name))
    assert analyzed(f"{base}/captures", f"{base}/here").exit_code == 0
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        local_directory=str(tmp_path),
    ) as cluster:
        on = cluster.scheduler_address.replace("tcp://", "dask://")
        result = analyzed(
            f"{base}/captures", f"{base}/there", f"--on={on}", f"--scratch={base}/scratch"
        )
    assert (result.exit_code, result.stderr) == (0, "")
    assert files_at(f"{base}/there") == files_at(f"{base}/here")
    assert places.names_in(f"{base}/scratch") == []
