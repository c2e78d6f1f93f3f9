"""The file that holds the last number handed out, and is the lock of its directory.

The number is written in place, in a fixed width: a file that was replaced would be another
one for those who wait for its lock. A crash may leave a number cut short; such a one is not
taken for a number.
"""

import os
import re
import sys
import time

from cos_inspect.report.folder import Folder, status_of, write_all

NAME = ".sequence"

_WIDTH = 20
# Also without a width, as earlier versions wrote it; never with zeros in front.
_NUMBER = re.compile(rb"\d{%d}\n|[1-9]\d{0,18}" % _WIDTH)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.005


class SequenceFile:
    """Kept open. To be used by one thread; OSError when something cannot be done."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._descriptor = -1
        self._open()

    def _open(self) -> None:
        self.close()
        descriptor = self._folder.open_to_change(NAME)
        status = status_of(descriptor)
        self._descriptor, self._identity = descriptor, (status.st_dev, status.st_ino)

    def close(self) -> None:
        """Lets the file go; a second time does nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def acquire(self, seconds: float) -> None:
        """Takes the lock. TimeoutError when others hold it for longer than ``seconds``."""
        deadline = time.monotonic() + seconds
        pause = _FIRST_PAUSE
        while True:
            if self._descriptor < 0:
                self._open()
            if _try_lock(self._descriptor):
                if self._is_current():
                    return
                # Taken away or replaced while we waited: the lock of a file without a name.
                self._open()
                continue
            if time.monotonic() > deadline:
                raise TimeoutError(
                    None, f"{self._folder.path}: another process keeps the directory locked"
                )
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def release(self) -> None:
        """Gives the lock back."""
        _unlock(self._descriptor)

    def _is_current(self) -> bool:
        try:
            status = self._folder.status(NAME)
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def read(self) -> int | None:
        """The number; None where there is none, or none that can be relied on."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        found = _NUMBER.fullmatch(os.read(self._descriptor, 64))
        return int(found[0]) if found else None

    def write(self, number: int) -> None:
        """Puts another number in place; the lock has to be held.

        :raises OSError: it could not be written.
        """
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        content = b"%0*d\n" % (_WIDTH, number)
        write_all(self._descriptor, content)
        # What a file of another width held behind it.
        if os.fstat(self._descriptor).st_size != len(content):
            os.ftruncate(self._descriptor, len(content))


if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30
    """Where the locked byte lies: others cannot read one that is locked."""

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
