"""Files by path and by URL; an S3 server judges what is asked of it."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cos_inspect.captures import places
from cos_inspect.captures.places import MissingExtraError, NewFile, PlaceError
from tests.captures_at_urls import s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, s3_server("lab", patch) as client:
        yield client


@pytest.fixture(params=["path", "memory", "file", "s3", "cos"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, s3: object) -> str:
    name = tmp_path.name
    return {
        "path": str(tmp_path),
        "memory": f"memory://{name}",
        "file": f"file://{tmp_path}",
        "s3": f"s3://lab/{name}",
        "cos": f"cos://lab/{name}",
    }[request.param]


def test_what_is_written_is_read(folder: str) -> None:
    folder = places.plain(folder)
    one, two = places.join(folder, "a", "one.bin"), places.join(folder, "a", "b", "two.bin")
    assert places.names_in(places.join(folder, "a")) == []
    places.write(one, b"0123456789")
    with NewFile(two) as file:
        Path(file.path).write_bytes(b"two")
    places.write(two, b"another two")
    assert places.read(two) == b"another two"
    assert places.size_of(one) == 10
    with places.open_to_read(one) as opened:
        opened.seek(3)
        assert opened.read(4) == b"3456"
        assert opened.seekable()
    assert places.names_in(places.join(folder, "a")) == ["b", "one.bin"]
    assert places.is_folder(places.join(folder, "a"))
    assert not places.is_folder(one)
    if places.is_url(folder):
        assert places.files_below(folder) == [two, one]
        assert places.files_below(places.join(folder, "a", "*.bin")) == [one]
        assert places.files_below(places.join(folder, "**", "*.bin")) == [two, one]
    places.remove_below(folder)
    with pytest.raises(OSError, match="o such file"):
        places.read(two)


def test_what_is_not_there_is_told_in_one_line(folder: str) -> None:
    missing = places.join(places.plain(folder), "missing")
    with pytest.raises(OSError, match="o such file") as raised:
        places.open_to_read(missing)
    assert len(str(raised.value).splitlines()) == 1
    with pytest.raises(OSError, match="o such file"):
        places.read(missing)
    assert places.size_of(missing) == 0


def test_a_file_that_was_given_up_leaves_nothing(folder: str) -> None:
    place = places.join(places.plain(folder), "half")

    def fail() -> None:
        with NewFile(place) as file:
            Path(file.path).write_bytes(b"half")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert places.names_in(places.plain(folder)) == []


def test_objects_are_neither_renamed_nor_deleted_in_bulk(s3: Any, tmp_path: Path) -> None:
    """COS asks for a Content-MD5 with DeleteObjects that newer clients of S3 do not send."""
    asked: list[str] = []
    filesystem, _ = places.filesystem_of("s3://lab/x")

    def note(model: Any, **_rest: object) -> None:
        asked.append(model.name)

    filesystem.connect()
    filesystem.s3.meta.events.register("before-call.s3", note)
    folder = f"s3://lab/{tmp_path.name}"
    for number in range(3):
        places.write(places.join(folder, str(number)), b"x")
    places.remove_below(folder)
    assert asked.count("PutObject") == 3
    assert asked.count("DeleteObject") == 3
    assert not {"DeleteObjects", "CopyObject"} & set(asked)


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("a/b?c", "a/b?c"),
        ("s3://bucket/a b/*.mitm", "s3://bucket/a b/*.mitm"),
        ("https://user:password@host/a?sign=secret", "https://host/a"),
    ],
)
def test_a_place_is_shown_without_secrets(place: str, shown: str) -> None:
    assert places.name_of(place) == shown


def test_what_is_wrong_reaches_other_processes() -> None:
    for error in (PlaceError("s3://lab/x", "gone"), MissingExtraError("s3://lab", "s3fs")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))


def test_cos_needs_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("COS_REGION", raising=False)
    places._filesystem.cache_clear()
    with pytest.raises(OSError, match=r"COS_REGION \(ap-guangzhou\)"):
        places.read("cos://examplebucket-1250000000/a.mitm")


def test_cos_is_reached_at_its_own_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("COS_REGION", "ap-guangzhou")
    monkeypatch.setenv("COS_SECRET_ID", "id")
    monkeypatch.setenv("COS_SECRET_KEY", "key")
    settings = places._s3_settings(of_cos=True)
    assert settings["endpoint_url"] == "https://cos.ap-guangzhou.myqcloud.com"
    assert settings["config_kwargs"]["s3"] == {"addressing_style": "virtual"}
    assert settings["config_kwargs"]["request_checksum_calculation"] == "when_required"


@pytest.mark.parametrize(
    ("hidden", "arguments", "told"),
    [
        ("fsspec", ["s3://lab/x.mitm"], "s3://lab/x.mitm needs the package fsspec: "),
        ("s3fs", ["s3://lab/x.mitm"], "s3://lab/x.mitm needs the package s3fs: "),
        ("distributed", [__file__, "--on=dask"], "--on dask needs the package distributed: "),
    ],
)
def test_what_is_missing_is_told_in_one_line(
    hidden: str, arguments: list[str], told: str, tmp_path: Path
) -> None:
    code = (
        f"import sys; sys.modules[{hidden!r}] = None; "
        f"sys.argv = ['cos-inspect', 'analyze', *{arguments!r}, '--report-dir', "
        f"{str(tmp_path / 'r')!r}]; from cos_inspect.cli.commands import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line == f"cos-inspect: {told}pip install 'cos-inspect[fleet]' brings it"
