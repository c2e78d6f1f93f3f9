"""That a test's own disk is nobody else's."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.mounted_disk import fill, mounted_disk

CODE = """
import sys
from pathlib import Path
from tests.mounted_disk import mounted_disk
with mounted_disk(Path(sys.argv[1]), mebibytes=1) as disk:
    (disk / "there").touch()
    print("mounted", flush=True)
    sys.stdin.read()
"""


def test_it_is_as_small_as_asked_for(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", mebibytes=1) as disk:
        fill(disk)
        assert (disk / "filler").stat().st_size == 1 << 20
    assert list(disk.iterdir()) == []


def test_a_run_that_is_killed_leaves_a_directory_that_can_be_deleted(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "first", mebibytes=1):
        pass  # it is skipped where nothing can be mounted
    disk = tmp_path / "disk"
    with subprocess.Popen(
        [sys.executable, "-c", CODE, str(disk)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"mounted\n"
        assert list(disk.iterdir()) == []
        os.kill(run.pid, signal.SIGKILL)
    disk.rmdir()
