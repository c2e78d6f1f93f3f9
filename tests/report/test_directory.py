"""Numbers, names, modes, and what stands in them when two write at once."""

import errno
import json
import multiprocessing
import os
import stat
from pathlib import Path

import msgspec
import pytest

from cos_inspect.model.summary_delta import SummaryDelta
from cos_inspect.report import folder as folders
from cos_inspect.report.directory import ReportDirectory, flow_file_stem, refusal_of
from cos_inspect.report.folder import RefusedError
from cos_inspect.report.pages import HTML, PagesWriter
from tests.report.build import flow_report, put
from tests.report.on_disk import open_below


def test_a_file_name_holds_nothing_of_the_key() -> None:
    report = flow_report(operation="CI:snapshot", key="../../etc/passwd", sequence=7)
    assert flow_file_stem(report) == "000007_CI-snapshot_200_3f2a9c1b"


def test_a_flow_without_answer_is_named_error() -> None:
    assert flow_file_stem(flow_report(status=None, sequence=1)).split("_")[2] == "error"


def test_numbers_go_on_in_a_second_run(tmp_path: Path) -> None:
    first = ReportDirectory(tmp_path / "r")
    with first.exclusively():
        assert list(first.take_sequences(2)) == [1, 2]
    second = ReportDirectory(tmp_path / "r")
    with second.exclusively():
        assert list(second.take_sequences(1)) == [3]


def test_numbers_go_on_when_only_the_files_are_left(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path)
    with directory.exclusively():
        directory.write_flow("000041_a.json", b"{}")
        assert list(directory.take_sequences(1)) == [42]


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path / "r")
    with directory.exclusively():
        path = Path(directory.write_flow("000001_a.json", b"{}"))
        directory.append("flows.jsonl", [b"{}"])
        tally = SummaryDelta()
        tally.add(flow_report(sequence=1))
        directory.add_to_summary(tally)
    for file in (path, tmp_path / "r/flows.jsonl", tmp_path / "r/summary.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (tmp_path / "r", tmp_path / "r/flows"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_temporary_file_is_left(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path)
    with directory.exclusively():
        directory.write_flow("000001_a.json", b"{}")
    assert [path.name for path in (tmp_path / "flows").iterdir()] == ["000001_a.json"]


def test_a_directory_that_went_away_is_made_again(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path / "r")
    with directory.exclusively():
        directory.take_sequences(1)
    for path in sorted((tmp_path / "r").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "r").rmdir()
    with directory.exclusively():
        assert Path(directory.write_flow("000001_a.json", b"{}")).exists()


def _write_fifty(path: str, name: str) -> None:
    directory = ReportDirectory(Path(path))
    for _ in range(50):
        with directory.exclusively():
            (sequence,) = directory.take_sequences(1)
            report = flow_report(sequence=sequence, flow_id=name * 8)
            directory.write_flow(f"{flow_file_stem(report)}.json", name.encode())
            tally = SummaryDelta()
            tally.add(report)
            directory.add_to_summary(tally)


def test_two_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_write_fifty, args=(str(tmp_path), name)) for name in ("a", "b")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    names = sorted(path.name for path in (tmp_path / "flows").iterdir())
    assert [int(name[:6]) for name in names] == list(range(1, 101))
    assert json.loads((tmp_path / "summary.json").read_text())["counts"]["flows"] == 100


def test_a_line_that_another_process_left_in_part_is_taken_away(tmp_path: Path) -> None:
    """Also from a file that this one has added lines to, and knows to have been whole then."""
    first, second = ReportDirectory(tmp_path), ReportDirectory(tmp_path)
    path = tmp_path / "flows.jsonl"
    for directory in (first, first, second, first):
        with directory.exclusively():
            directory.append(path.name, [b"{}", b"[]"])
    assert path.read_bytes() == b"{}\n[]\n" * 4
    for left in (b'{"cut', b"{}\n[]\n{"):
        with path.open("ab") as file:
            file.write(left)
        with first.exclusively():
            first.append(path.name, [b"{}"])
    assert path.read_bytes() == b"{}\n[]\n" * 4 + b"{}\n" + b"{}\n[]\n{}\n"


@pytest.mark.parametrize("content", ["", "abc", "-5x", "0000000000"])
@pytest.mark.parametrize("form", ["json", "jsonl", "html"])
def test_an_unreadable_number_follows_from_the_files(
    tmp_path: Path, content: str, form: str
) -> None:
    directory = ReportDirectory(tmp_path)
    report = flow_report(sequence=2304, key='"sequence":9999')
    encoded = msgspec.json.encode(report)
    with directory.exclusively():
        if form == "json":
            directory.write_flow(f"{flow_file_stem(report)}.json", encoded)
        elif form == "jsonl":
            earlier = msgspec.structs.replace(report, sequence=17)
            directory.append("flows.jsonl", [encoded, *[msgspec.json.encode(earlier)] * 3000])
        else:
            pages = PagesWriter(directory)
            for number in (1, 2304):
                put(HTML, pages, msgspec.structs.replace(report, sequence=number))
    (tmp_path / ".sequence").write_text(content)
    for used in (directory, ReportDirectory(tmp_path)):
        with used.exclusively():
            (tmp_path / ".sequence").write_text(content)
            assert list(used.take_sequences(1)) == [2305]


def test_numbers_that_are_not_written_yet_are_not_given_twice(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path)
    with directory.exclusively():
        assert list(directory.take_sequences(3)) == [1, 2, 3]
        (tmp_path / ".sequence").write_text("")
        assert list(directory.take_sequences(1)) == [4]


def test_a_line_that_a_crash_cut_short_is_taken_away(tmp_path: Path) -> None:
    directory = ReportDirectory(tmp_path)
    assert directory.append("flows.jsonl", [b"1", b"2"])
    with (tmp_path / "flows.jsonl").open("ab") as file:
        file.write(b"x" * 10_000)
    assert not directory.append("flows.jsonl", [b"3"])
    assert (tmp_path / "flows.jsonl").read_bytes() == b"1\n2\n3\n"


def test_lines_are_added_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = ReportDirectory(tmp_path)
    directory.append("flows.jsonl", [b"1"])
    write = os.write
    calls: list[int] = []

    def full(descriptor: int, data: bytes) -> int:
        calls.append(descriptor)
        if len(calls) == 1:
            return write(descriptor, bytes(data)[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        directory.append("flows.jsonl", [b"second", b"third"])
    monkeypatch.undo()
    assert (tmp_path / "flows.jsonl").read_bytes() == b"1\n"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.mkdir()
    (path / "precious").write_text("precious")
    return path


def _is_untouched(outside: Path) -> bool:
    return [path.name for path in outside.iterdir()] == ["precious"] and (
        outside / "precious"
    ).read_text() == "precious"


def _write_all_of_it(directory: ReportDirectory) -> None:
    with directory.exclusively():
        (number,) = directory.take_sequences(1)
        report = flow_report(sequence=number)
        encoded = msgspec.json.encode(report)
        directory.write_flow(f"{flow_file_stem(report)}.json", encoded)
        directory.append("flows.jsonl", [encoded])
        pages = PagesWriter(directory)
        put(HTML, pages, report)
        tally = SummaryDelta()
        tally.add(report)
        pages.renew_summary(directory.add_to_summary(tally))


@pytest.mark.parametrize(
    "name", ["flows", "data", "assets", "flows.jsonl", "data/rows-0001.js", ".sequence"]
)
@pytest.mark.parametrize("target", ["precious", "new", "."])
def test_a_link_in_the_directory_is_refused(
    tmp_path: Path, outside: Path, name: str, target: str
) -> None:
    (tmp_path / "r/data").mkdir(parents=True) if "/" in name else (tmp_path / "r").mkdir()
    (tmp_path / "r" / name).symlink_to(outside / target)
    with pytest.raises(RefusedError, match=f"r/{name}: is a symbolic link"):
        _write_all_of_it(ReportDirectory(tmp_path / "r"))
    assert _is_untouched(outside)


@pytest.mark.parametrize(
    "name",
    [
        "summary.json",
        "index.html",
        "assets/app.js",
        "data/index.js",
        "data/summary.js",
        "flows/000002_PutObject_200_3f2a9c1b.json",
    ],
)
@pytest.mark.parametrize("target", ["precious", "new", "."])
def test_a_link_in_the_place_of_a_whole_file_is_replaced(
    tmp_path: Path, outside: Path, name: str, target: str
) -> None:
    path = tmp_path / "r" / name
    path.parent.mkdir(parents=True)
    (tmp_path / "r/.sequence").write_text("1")
    path.symlink_to(outside / target)
    _write_all_of_it(ReportDirectory(tmp_path / "r"))
    assert _is_untouched(outside)
    assert stat.S_ISREG(path.lstat().st_mode)


def test_a_link_that_comes_while_we_write_is_refused(tmp_path: Path, outside: Path) -> None:
    """Directories and growing files are kept open, and looked at before each use."""
    directory = ReportDirectory(tmp_path / "r")
    _write_all_of_it(directory)
    for name in ("flows.jsonl", "data", "flows", ".sequence"):
        path = tmp_path / "r" / name
        path.rename(tmp_path / "r/moved")
        path.symlink_to(outside)
        before = sorted((tmp_path / "r/moved").rglob("*"))
        with pytest.raises(RefusedError, match=f"r/{name}: is a symbolic link"):
            _write_all_of_it(directory)
        assert sorted((tmp_path / "r/moved").rglob("*")) == before
        path.unlink()
        (tmp_path / "r/moved").rename(path)
        _write_all_of_it(directory)
    assert _is_untouched(outside)


@pytest.mark.parametrize("name", ["", "flows", "data", "assets"])
def test_a_directory_that_comes_to_be_open_to_others_is_refused(tmp_path: Path, name: str) -> None:
    directory = ReportDirectory(tmp_path / "r")
    _write_all_of_it(directory)
    path = tmp_path / "r" / name
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o777)
    before = _contents(tmp_path / "r")
    for _ in range(2):
        with pytest.raises(RefusedError, match="others may write to this directory"):
            _write_all_of_it(directory)
    if not name:
        assert _contents(tmp_path / "r") == before
    path.chmod(mode)
    _write_all_of_it(directory)


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_whole_directory_may_be_swapped(tmp_path: Path, outside: Path) -> None:
    """A link in the path itself is the user's to set."""
    directory = ReportDirectory(tmp_path / "r")
    _write_all_of_it(directory)
    (tmp_path / "r").rename(tmp_path / "old")
    (tmp_path / "other").mkdir()
    (tmp_path / "r").symlink_to(tmp_path / "other")
    _write_all_of_it(directory)
    assert len(list((tmp_path / "old/flows").iterdir())) == 1
    assert len(list((tmp_path / "other/flows").iterdir())) == 1
    assert _is_untouched(outside)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists descriptors")
@pytest.mark.parametrize("first", range(8))
def test_an_open_file_of_which_nothing_is_known_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """A directory on a server that has failed is tried again until it is there again."""
    directory = ReportDirectory(tmp_path)
    fstat = os.fstat
    _write_all_of_it(directory)
    directory.close()
    assert open_below(tmp_path) == []
    for _ in range(3):
        calls = 0

        def fail(descriptor: int) -> os.stat_result:
            nonlocal calls
            calls += 1
            if calls > first:
                raise OSError(errno.ESTALE, "Stale file handle")
            return fstat(descriptor)

        monkeypatch.setattr(os, "fstat", fail)
        with pytest.raises(OSError, match="Stale"):
            _write_all_of_it(directory)
        monkeypatch.setattr(os, "fstat", fstat)
        directory.close()
        assert open_below(tmp_path) == []


def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r").chmod(0o777)
    with pytest.raises(RefusedError, match="others may write"):
        _write_all_of_it(ReportDirectory(tmp_path / "r"))
    assert list((tmp_path / "r").iterdir()) == []
    said = refusal_of(tmp_path / "r")
    assert said is not None
    assert said.startswith(f"{tmp_path / 'r'}: ")
    assert refusal_of(tmp_path) is None
    assert refusal_of(tmp_path / "missing") is None
    (tmp_path / "r").chmod(0o1777)
    _write_all_of_it(ReportDirectory(tmp_path / "r"))
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o1777
    assert stat.S_IMODE((tmp_path / "r/flows").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["flows", "data", "assets"])
def test_a_strangers_folder_in_a_shared_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / name).mkdir(mode=0o755)
    (tmp_path / "r").chmod(0o1777)
    opened = folders.Folder.folder

    def of_another(self: folders.Folder, wanted: str, *, make: bool = True) -> folders.Folder:
        # As if it were theirs, without the right to give files away.
        with monkeypatch.context() as patch:
            if wanted == name:
                patch.setattr(folders, "_own_id", lambda: os.geteuid() + 1)
            return opened(self, wanted, make=make)

    monkeypatch.setattr(folders.Folder, "folder", of_another)
    with pytest.raises(RefusedError, match=f"r/{name}: belongs to another user"):
        _write_all_of_it(ReportDirectory(tmp_path / "r"))
    assert list((tmp_path / "r" / name).iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="files can be given away by root alone")
@pytest.mark.parametrize("name", ["flows", "data", "assets"])
def test_a_folder_that_was_given_away_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "r" / name).mkdir(parents=True, mode=0o755)
    (tmp_path / "r").chmod(0o1777)
    os.chown(tmp_path / "r" / name, 65534, 65534)
    with pytest.raises(RefusedError, match=rf"r/{name}: belongs to another user \(id 65534\)"):
        _write_all_of_it(ReportDirectory(tmp_path / "r"))


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("only Linux lists them")
    before = len(list(descriptors.iterdir()))
    with ReportDirectory(tmp_path / "r") as directory:
        for _ in range(3):
            _write_all_of_it(directory)
            (tmp_path / "r").rename(tmp_path / f"{len(list(tmp_path.iterdir()))}")
        for number in range(20):
            directory.append(f"{number}.jsonl", [b"x"])
        assert len(list(descriptors.iterdir())) > before
    assert len(list(descriptors.iterdir())) == before
    (tmp_path / "r").mkdir()
    (tmp_path / "r/.sequence").symlink_to("x")
    with ReportDirectory(tmp_path / "r") as directory, pytest.raises(RefusedError):
        _write_all_of_it(directory)
    assert len(list(descriptors.iterdir())) == before


def test_what_cannot_be_read_is_not_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counts of earlier runs are not lost because descriptors ran out for a moment."""
    directory = ReportDirectory(tmp_path)
    _write_all_of_it(directory)
    before = (tmp_path / "summary.json").read_bytes()
    opened = os.open

    def none_left(path: str, flags: int, *rest: int, **more: int) -> int:
        if path == "summary.json":
            raise OSError(errno.EMFILE, "Too many open files")
        return opened(path, flags, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", none_left)
        with (
            ReportDirectory(tmp_path) as another,
            pytest.raises(OSError, match="Too many open files"),
        ):
            _write_all_of_it(another)
    assert (tmp_path / "summary.json").read_bytes() == before
    _write_all_of_it(directory)
    assert json.loads((tmp_path / "summary.json").read_text())["counts"]["flows"] == 2


def test_a_folder_that_is_refused_keeps_no_number_back(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r/data").symlink_to(outside)
    directory = ReportDirectory(tmp_path / "r")
    with directory.exclusively():
        assert list(directory.take_sequences(1)) == [1]
    assert _is_untouched(outside)
