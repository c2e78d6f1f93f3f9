"""A small file system of its own, for tests in which a real disk is full or cannot be written."""

import contextlib
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@functools.cache
def leave_the_common_mounts() -> None:
    """What this thread, and what it starts, mount from now on is seen by them alone, and goes with
    them: a run that is killed leaves nothing behind that its directory cannot be deleted for."""
    try:
        os.unshare(os.CLONE_NEWNS)
    except OSError as refusal:
        pytest.skip(f"no mount namespace can be made: {refusal}")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@contextlib.contextmanager
def mounted_disk(path: Path, mebibytes: int) -> Iterator[Path]:
    """Mounts one at a path that is not there yet. The test is skipped where that cannot be done."""
    path.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a file system")
    leave_the_common_mounts()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0700", "tmpfs", str(path)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr!r}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> None:
    """Leaves no room on it, by a file ``filler``."""
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(b"x" * 4096):
            pass
