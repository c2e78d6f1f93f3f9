"""Why something could not be written, in words."""

import errno
from pathlib import Path

from cos_inspect.report.folder import RefusedError

_REASONS = {
    errno.ENOSPC: "disk full",
    errno.EDQUOT: "disk quota reached",
    errno.EROFS: "read-only file system",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ENOENT: "directory gone",
    errno.ENOTDIR: "no directory",
    errno.EIO: "input/output error",
}


def reason_of(error: OSError) -> str:
    """Why something could not be written, in a few plain words that stand in the summary."""
    if isinstance(error, RefusedError):
        return error.reason
    if isinstance(error, TimeoutError):
        return "directory locked"
    known = _REASONS.get(error.errno or 0)
    return known or (error.strerror or type(error).__name__).lower()


def line_of(error: OSError, path: Path) -> str:
    """What could not be done in the directory ``path``, in one line that names it."""
    text = str(error) if isinstance(error, RefusedError) else error.strerror or str(error)
    return text if str(path) in text else f"{path}: {text}"
