"""Files below one directory, reached through its descriptor: no symbolic link is followed.

The path to the directory is the user's and may hold links. Below it every name is opened
without following one, also when somebody swaps a name while we run; a new file appears whole,
under a temporary name that nobody can guess; and where others may write to a directory too,
nothing of theirs is written to or trusted. Where the system cannot open relative to a
descriptor, paths are used, which a swapped name could still lead away.
"""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import lru_cache
from pathlib import Path
from typing import Self

_BY_DESCRIPTOR = {os.open, os.mkdir, os.stat, os.unlink, os.rename} <= os.supports_dir_fd
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# A pipe or a device in the place of a file must not make the opening wait.
_PLAIN = _NOFOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_PIECE = 1 << 20


class RefusedError(OSError):
    """A directory or file that is not safe to write to; its text is a whole line, ``reason``
    a few words."""

    def __init__(self, path: Path, reason: str, why: str) -> None:
        super().__init__(errno.EPERM, f"{path}: {why}")
        self.reason = reason

    def __str__(self) -> str:
        return str(self.strerror)


class Folder:
    """One directory. All methods raise OSError when something cannot be done."""

    def __init__(self, path: Path, descriptor: int | None, status: os.stat_result) -> None:
        self.path = path
        self._descriptor = descriptor
        self._identity = _identity(status)
        self.owner = status.st_uid
        self._is_shared = _others_may_write(status)

    @classmethod
    def open(cls, path: Path, *, make: bool = True) -> Self:
        """The directory that a user has named; made with mode 0700 if missing, like those
        above it.

        :raises RefusedError: others may write to it, and could put links in our files' places.
        """
        try:
            return cls._opened(path, str(path), None, nofollow=False)
        except FileNotFoundError:
            if not make:
                raise
        _make(path)
        return cls._opened(path, str(path), None, nofollow=False)

    def folder(self, name: str, *, make: bool = True) -> "Folder":
        """A directory below this one; made with mode 0700 if missing."""
        path = self.path / name
        try:
            found = self._opened(path, self._place(name), self._descriptor, nofollow=True)
        except FileNotFoundError:
            if not make:
                raise
            with suppress(FileExistsError):
                os.mkdir(self._place(name), 0o700, dir_fd=self._descriptor)
            found = self._opened(path, self._place(name), self._descriptor, nofollow=True)
        except OSError as error:
            raise _said(error, path, "directory") from error
        # Who owns a directory may swap what is in it. The owner of the one above may anyway.
        trusted = {_own_id()} if self._is_shared else {_own_id(), self.owner}
        if sys.platform != "win32" and found.owner not in trusted:
            found.close()
            raise _foreign(path, found.owner)
        return found

    @classmethod
    def _opened(cls, path: Path, place: str, above: int | None, *, nofollow: bool) -> Self:
        if _BY_DESCRIPTOR:
            flags = _DIRECTORY | (_NOFOLLOW if nofollow else 0)
            descriptor = os.open(place, flags, dir_fd=above)
            status = status_of(descriptor)
        else:
            descriptor = None
            status = os.stat(place, follow_symlinks=not nofollow)  # noqa: PTH116
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), place)
        folder = cls(path, descriptor, status)
        if folder._is_shared and not status.st_mode & stat.S_ISVTX:
            folder.close()
            mode = stat.S_IMODE(status.st_mode)
            raise RefusedError(
                path,
                "others may write there",
                f"others may write to this directory (mode {mode:04o}) and it has no sticky bit,"
                " so reports are not written there; name one below it, which is then made for"
                " you alone, or take their right away (chmod go-w)",
            )
        return folder

    def is_still(self, above: "Folder | None", name: str = "") -> bool:
        """Whether the directory's name still leads here, and the same people may write to it as
        when it was opened; ``above`` None: the path itself."""
        try:
            status = self.path.stat() if above is None else above.status(name)
        except OSError:
            return False
        return _identity(status) == self._identity

    def close(self) -> None:
        """Lets the folder go; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        # It is gone also where closing it fails; its number is somebody else's then.
        if descriptor is not None:
            os.close(descriptor)

    def names(self) -> list[str]:
        """What lies in it, in no order.

        :raises OSError: it cannot be listed.
        """
        return os.listdir(self.path if self._descriptor is None else self._descriptor)  # noqa: PTH208

    def status(self, name: str) -> os.stat_result:
        """What the file system says of a name; of a link, and not of what it leads to.

        :raises FileNotFoundError: there is nothing of this name.
        """
        return os.stat(self._place(name), dir_fd=self._descriptor, follow_symlinks=False)

    def read(self, name: str) -> bytes | None:
        """The file's content; None where there is none, or a link or something else that is
        no file."""
        descriptor = self.open_to_read(name)
        if descriptor is None:
            return None
        try:
            return b"".join(pieces(descriptor))
        finally:
            os.close(descriptor)

    def open_to_read(self, name: str) -> int | None:
        """The same as a descriptor, which is the caller's to close."""
        try:
            descriptor = os.open(self._place(name), os.O_RDONLY | _PLAIN, dir_fd=self._descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _NO_FILE:
                return None
            raise
        if stat.S_ISREG(status_of(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        return None

    def open_to_change(self, name: str, flags: int = 0) -> int:
        """A descriptor to read and write a file in its place; made with mode 0600 if missing.

        :raises RefusedError: the name is a link or no file, the file has other names, which
            may lie anywhere, or it is another user's where others may write.
        """
        flags |= os.O_RDWR | os.O_CREAT | _PLAIN
        try:
            descriptor = os.open(self._place(name), flags, 0o600, dir_fd=self._descriptor)
        except OSError as error:
            raise _said(error, self.path / name, "file") from error
        status = status_of(descriptor)
        path = self.path / name
        refused = None
        if not stat.S_ISREG(status.st_mode):
            refused = RefusedError(path, "no file", "is no file; move it away")
        elif status.st_nlink > 1:
            why = "has other names (hard links), which are not written to; move it away"
            refused = RefusedError(path, "hard link", why)
        elif self._is_shared and status.st_uid != _own_id():
            refused = _foreign(path, status.st_uid)
        if refused is not None:
            os.close(descriptor)
            raise refused
        return descriptor

    def replace(self, name: str, content: Iterable[bytes]) -> None:
        """Writes to a temporary name, then renames, so that nobody sees half a file. What had
        the name before is gone; where it was a link, what it led to is untouched."""
        above = self._descriptor
        temporary = self._place(f".{secrets.token_hex(8)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN
        descriptor = os.open(temporary, flags, 0o600, dir_fd=above)
        try:
            try:
                for piece in content:
                    write_all(descriptor, piece)
            finally:
                os.close(descriptor)
            try:
                os.replace(temporary, self._place(name), src_dir_fd=above, dst_dir_fd=above)
            except IsADirectoryError as error:
                raise _said(error, self.path / name, "file") from error
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=above)
            raise

    def remove(self, name: str) -> None:
        """Takes a file away, or a link, but not what that led to; none is no error."""
        with suppress(FileNotFoundError):
            os.unlink(self._place(name), dir_fd=self._descriptor)

    def _place(self, name: str) -> str:
        """What stands for a name beside ``dir_fd``."""
        return name if self._descriptor is not None else f"{self.path}/{name}"


def read_below(path: Path, name: str) -> bytes | None:
    """A file in a directory or in a folder of it, without following a link that leads out of
    there; None where there is no such file."""
    above, _, last = name.rpartition("/")
    with ExitStack() as opened:
        try:
            folder = Folder.open(path, make=False)
            opened.callback(folder.close)
            if above:
                folder = folder.folder(above, make=False)
                opened.callback(folder.close)
            return folder.read(last)
        except OSError:
            return None


def status_of(descriptor: int) -> os.stat_result:
    """What the file system says of an open file, which is closed where it says nothing: who
    tries that again and again must not run out of descriptors.

    :raises OSError: it says nothing, for the file is on a disk that has failed, or was
        exchanged on another machine.
    """
    try:
        return os.fstat(descriptor)
    except OSError:
        os.close(descriptor)
        raise


def write_all(descriptor: int, content: bytes) -> None:
    """Writes until nothing is left: one call may take less than all.

    :raises OSError: some of it could not be written.
    """
    view = memoryview(content)[os.write(descriptor, content) :]
    while view:
        view = view[os.write(descriptor, view) :]


def pieces(descriptor: int, size: int | None = None) -> Iterator[bytes]:
    """What follows in a file, up to ``size`` bytes, a mebibyte at a time."""
    left = sys.maxsize if size is None else size
    while left > 0 and (piece := os.read(descriptor, min(_PIECE, left))):
        left -= len(piece)
        yield piece


_NO_FILE = {errno.ELOOP, errno.EISDIR, errno.ENXIO, getattr(errno, "EMLINK", errno.ELOOP)}
"""What opening a link (EMLINK on some BSDs), a directory or a socket as a file gives."""


def _said(error: OSError, path: Path, kind: str) -> OSError:
    """An error that names what stands in the place of a file or directory of ours."""
    if isinstance(error, RefusedError):
        return error
    if path.is_symlink():
        why = "is a symbolic link, which is not followed; move it away"
        return RefusedError(path, "symbolic link", why)
    if error.errno in _NO_FILE or error.errno == errno.ENOTDIR:
        return RefusedError(path, f"no {kind}", f"is no {kind}; move it away")
    return error


def _foreign(path: Path, owner: int) -> RefusedError:
    why = f"belongs to another user (id {owner}); move it away"
    return RefusedError(path, "another user's", why)


def _make(path: Path) -> None:
    with suppress(FileExistsError):
        try:
            path.mkdir(0o700)
        except FileNotFoundError:
            _make(path.parent)
            path.mkdir(0o700)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid


def _others_may_write(status: os.stat_result) -> bool:
    if sys.platform == "win32":
        return False
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_own_group(status.st_gid)


@lru_cache(maxsize=16)
def _is_own_group(group_id: int) -> bool:
    """Whether it is the group that many systems make for each user alone: files of such users
    are writable for their group from the start."""
    if sys.platform == "win32":
        return True
    import grp  # noqa: PLC0415 - Windows has neither
    import pwd  # noqa: PLC0415

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(group_id)
    except KeyError:
        return False
    return (
        group_id == user.pw_gid
        and group.gr_name == user.pw_name
        and set(group.gr_mem) <= {user.pw_name}
    )


def _own_id() -> int:
    return os.geteuid() if sys.platform != "win32" else 0
