"""Nothing outside of the directory is read or written, whatever stands in it."""

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cos_inspect.report import folder as folders
from cos_inspect.report.folder import Folder, RefusedError, read_below


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.mkdir()
    (path / "precious").write_text("precious")
    return path


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    path = tmp_path / "reports"
    path.mkdir(0o700)
    return path


def untouched(outside: Path) -> bool:
    return [path.name for path in outside.iterdir()] == ["precious"] and (
        outside / "precious"
    ).read_text() == "precious"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_missing_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    Folder.open(tmp_path / "a/b/c").folder("flows")
    for name in ("a", "a/b", "a/b/c", "a/b/c/flows"):
        assert mode_of(tmp_path / name) == 0o700, name


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o1777, 0o500])
def test_a_directory_that_is_there_keeps_its_mode(reports: Path, mode: int) -> None:
    reports.chmod(mode)
    Folder.open(reports).close()
    assert mode_of(reports) == mode
    reports.chmod(0o700)


@pytest.mark.parametrize("mode", [0o777, 0o702, 0o2777])
def test_a_directory_that_others_may_write_to_is_refused(reports: Path, mode: int) -> None:
    reports.chmod(mode)
    with pytest.raises(RefusedError) as refused:
        Folder.open(reports)
    assert str(refused.value).startswith(f"{reports}: others may write to this directory (mode ")
    assert "sticky" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert mode_of(reports) == mode
    assert read_below(reports, "x.json") is None


@pytest.mark.parametrize(("is_own", "is_refused"), [(True, False), (False, True)])
def test_a_group_may_write_where_it_is_the_user_alone(
    reports: Path, monkeypatch: pytest.MonkeyPatch, is_own: bool, is_refused: bool
) -> None:
    monkeypatch.setattr(folders, "_is_own_group", lambda _: is_own)
    reports.chmod(0o775)
    if is_refused:
        with pytest.raises(RefusedError, match="others may write"):
            Folder.open(reports)
    else:
        Folder.open(reports)


def test_a_group_without_a_name_is_not_ours() -> None:
    assert not folders._is_own_group(4_123_456_789 % 2**31)


def test_the_path_that_the_user_gave_may_hold_links(tmp_path: Path, reports: Path) -> None:
    (tmp_path / "link").symlink_to(reports)
    Folder.open(tmp_path / "link").replace("a", [b"a"])
    assert (reports / "a").read_bytes() == b"a"


def test_a_linked_folder_is_refused(reports: Path, outside: Path) -> None:
    (reports / "flows").symlink_to(outside)
    with pytest.raises(RefusedError, match=r"flows: is a symbolic link") as refused:
        Folder.open(reports).folder("flows")
    assert refused.value.reason == "symbolic link"
    assert untouched(outside)


def test_a_file_in_a_folders_place_is_refused(reports: Path) -> None:
    (reports / "flows").write_text("x")
    with pytest.raises(RefusedError, match=r"flows: is no directory"):
        Folder.open(reports).folder("flows")


@pytest.mark.parametrize("shared", [True, False])
def test_a_folder_of_a_stranger_is_refused(
    reports: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """As it is in /tmp, where anybody may have made it before us."""
    (reports / "flows").mkdir(0o755)
    reports.chmod(0o1777 if shared else 0o755)
    monkeypatch.setattr(folders, "_own_id", lambda: os.geteuid() + 1)
    if shared:
        with pytest.raises(RefusedError, match="belongs to another user") as refused:
            Folder.open(reports).folder("flows")
        assert refused.value.reason == "another user's"
    else:
        # Of the same owner as the directory that the user named: a run with more rights.
        Folder.open(reports).folder("flows")


def test_a_folder_that_others_may_write_to_is_refused(reports: Path) -> None:
    (reports / "data").mkdir()
    (reports / "data").chmod(0o777)
    with pytest.raises(RefusedError, match="data: others may write"):
        Folder.open(reports).folder("data")


def test_a_linked_file_is_not_added_to(reports: Path, outside: Path) -> None:
    for name, target in (("there", outside / "precious"), ("dangling", outside / "new")):
        (reports / name).symlink_to(target)
        with pytest.raises(RefusedError, match=f"{name}: is a symbolic link"):
            Folder.open(reports).open_to_change(name)
    assert untouched(outside)


def test_a_file_with_another_name_is_not_added_to(reports: Path, outside: Path) -> None:
    (reports / "flows.jsonl").hardlink_to(outside / "precious")
    with pytest.raises(RefusedError, match="hard links"):
        Folder.open(reports).open_to_change("flows.jsonl")
    assert untouched(outside)


def test_a_strangers_file_is_not_added_to(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports.chmod(0o1777)
    (reports / "flows.jsonl").write_text("theirs\n")
    folder = Folder.open(reports)
    monkeypatch.setattr(folders, "_own_id", lambda: os.geteuid() + 1)
    with pytest.raises(RefusedError, match="belongs to another user"):
        folder.open_to_change("flows.jsonl")


def _link(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "precious")


def _hard_link(path: Path, outside: Path) -> None:
    path.hardlink_to(outside / "precious")


def _pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [_link, _hard_link, _pipe])
def test_a_replaced_name_leaves_what_it_led_to(
    reports: Path, outside: Path, make: Callable[[Path, Path], None]
) -> None:
    make(reports / "summary.json", outside)
    folder = Folder.open(reports)
    folder.replace("summary.json", [b"ours"])
    assert folder.read("summary.json") == b"ours"
    assert untouched(outside)
    status = (reports / "summary.json").lstat()
    assert stat.S_ISREG(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600


@pytest.mark.timeout(20)
def test_a_pipe_in_a_files_place_stops_nothing(reports: Path) -> None:
    os.mkfifo(reports / "pipe")
    folder = Folder.open(reports)
    assert folder.read("pipe") is None
    with pytest.raises(RefusedError, match="is no file"):
        folder.open_to_change("pipe")


def test_a_directory_in_a_files_place_is_named(reports: Path) -> None:
    (reports / "summary.json" / "inside").mkdir(parents=True)
    with pytest.raises(RefusedError, match=r"summary\.json: is no file"):
        Folder.open(reports).replace("summary.json", (b"new",))
    assert [path.name for path in reports.iterdir()] == ["summary.json"]


@pytest.mark.parametrize("make", [_link, _pipe])
def test_what_is_no_file_is_not_read(
    reports: Path, outside: Path, make: Callable[[Path, Path], None]
) -> None:
    make(reports / "x.json", outside)
    assert Folder.open(reports).read("x.json") is None
    assert read_below(reports, "x.json") is None


def test_reading_below_follows_no_link_and_makes_nothing(
    tmp_path: Path, reports: Path, outside: Path
) -> None:
    (reports / "data").mkdir()
    (reports / "data/index.js").write_text("fine")
    (reports / "data/rows.js").symlink_to(outside / "precious")
    (reports / "flows").symlink_to(outside)
    assert read_below(reports, "data/index.js") == b"fine"
    assert read_below(reports, "data/rows.js") is None
    assert read_below(reports, "flows/precious") is None
    assert read_below(reports, "data/none.js") is None
    assert read_below(reports, "assets/none.js") is None
    assert read_below(tmp_path / "missing", "index.html") is None
    assert not (tmp_path / "missing").exists()
    assert not (reports / "assets").exists()


def test_temporary_names_cannot_be_guessed(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder.open(reports)
    names: list[str] = []
    renamed = os.replace

    def seen(source: str, target: str, **places: int) -> None:
        assert mode_of(reports / source) == 0o600
        names.append(source)
        renamed(source, target, **places)

    monkeypatch.setattr(os, "replace", seen)
    for _ in range(50):
        folder.replace("a", [b"x"])
    assert len(set(names)) == 50
    assert {len(name) for name in names} == {len(".0123456789abcdef.tmp")}


def test_a_temporary_name_that_is_taken_is_not_used(
    reports: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    (reports / ".guessed.tmp").symlink_to(outside / "precious")
    with pytest.raises(FileExistsError):
        Folder.open(reports).replace("a", [b"x"])
    assert untouched(outside)


def test_a_file_appears_whole_or_not_at_all(reports: Path) -> None:
    folder = Folder.open(reports)
    folder.replace("a", [b"before"])

    def content() -> Iterator[bytes]:
        yield b"half"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        folder.replace("a", content())
    assert [path.name for path in reports.iterdir()] == ["a"]
    assert (reports / "a").read_bytes() == b"before"


def test_a_folder_that_is_swapped_for_a_link_while_it_is_used(reports: Path, outside: Path) -> None:
    """What is open stays where it is; the name is looked at again before the next use."""
    above = Folder.open(reports)
    flows = above.folder("flows")
    assert flows.is_still(above, "flows")
    (reports / "flows").rename(reports / "moved")
    (reports / "flows").symlink_to(outside)
    flows.replace("a", [b"x"])
    assert (reports / "moved/a").exists()
    assert not flows.is_still(above, "flows")
    with pytest.raises(RefusedError, match="symbolic link"):
        above.folder("flows")
    assert untouched(outside)


@pytest.mark.timeout(60)
def test_links_that_come_and_go_lead_nowhere(reports: Path, outside: Path) -> None:
    """Somebody swaps names as fast as they can, while we write."""
    stop = threading.Event()

    def swap() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for name, target in (
                ("flows", outside),
                ("flows.jsonl", outside / "precious"),
                ("summary.json", outside / "new"),
            ):
                link = reports / f"link-{number}"
                link.symlink_to(target)
                try:
                    link.replace(reports / name)
                except OSError:
                    link.unlink()

    thread = threading.Thread(target=swap)
    thread.start()
    refused = written = 0
    try:
        for _ in range(400):
            above = Folder.open(reports)
            try:
                above.replace("summary.json", [b"x"])
                written += 1
                descriptor = above.open_to_change("flows.jsonl", os.O_APPEND)
                os.write(descriptor, b"x")
                os.close(descriptor)
                above.folder("flows").replace("a", [b"x"])
            except OSError:
                refused += 1
            finally:
                above.close()
            (reports / "flows.jsonl").unlink(missing_ok=True)
            if (reports / "flows").is_symlink():
                (reports / "flows").unlink(missing_ok=True)
    finally:
        stop.set()
        thread.join()
    assert written == 400
    assert refused
    assert untouched(outside)


def test_without_descriptors_paths_are_used(
    reports: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_BY_DESCRIPTOR", False)
    above = Folder.open(reports)
    flows = above.folder("flows")
    flows.replace("a", [b"x"])
    assert flows.read("a") == b"x"
    assert flows.names() == ["a"]
    assert flows.is_still(above, "flows")
    os.close(above.open_to_change("flows.jsonl"))
    (reports / "data").symlink_to(outside)
    with pytest.raises(OSError, match="data"):
        above.folder("data")
    above.close()
    assert untouched(outside)
