"""Why something could not be written, in a few plain words."""

import errno
from pathlib import Path

import pytest

from cos_inspect.report.folder import RefusedError
from cos_inspect.report.reasons import line_of, reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "x"), "disk full"),
        (OSError(errno.EROFS, "x"), "read-only file system"),
        (OSError(errno.EMFILE, "x"), "too many open files"),
        (PermissionError(errno.EACCES, "x"), "no permission"),
        (TimeoutError(None, "x"), "directory locked"),
        (RefusedError(Path("x"), "hard link", "y"), "hard link"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "file name too long"),
        (OSError("no number"), "oserror"),
    ],
)
def test_a_reason_is_a_few_plain_words(error: OSError, reason: str) -> None:
    assert reason_of(error) == reason


def test_a_failure_names_the_directory_once() -> None:
    path = Path("cos-reports")
    assert line_of(OSError(28, "No space left", "x"), path) == "cos-reports: No space left"
    refused = RefusedError(path / "flows", "symbolic link", "is a symbolic link")
    assert line_of(refused, path) == "cos-reports/flows: is a symbolic link"
