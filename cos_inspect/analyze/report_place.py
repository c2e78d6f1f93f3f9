"""Report directories at URLs: written on this machine, and then put where they belong.

Object storage has neither locks nor names that change, so nothing is added to what lies there:
a place is taken while it is empty, by one analysis. Each file is put once, whole, under the name
that it has in a directory; ``summary.json`` comes last, and says that all is there.
"""

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from cos_inspect.captures import places
from cos_inspect.captures.places import PlaceError

_SIDE_BY_SIDE = 16
_LAST = ("index.html", "summary.json")
_MARK = ".analysis-"
"""What the name of the file begins with that says that a place is taken."""
_MOST_NAMED = 3


class ReportPlace:
    """Where reports are to lie, and the folder of this machine where they are written first."""

    def __init__(self, url: str) -> None:
        """:raises OSError: where reports cannot be put there."""
        self._url = url
        self._name = places.name_of(url)
        self._mark = f"{_MARK}{uuid4().hex[:12]}"
        self._keeps = False
        self._take()
        self.folder = Path(tempfile.mkdtemp(prefix="cos-inspect-reports-"))

    def _take(self) -> None:
        """Of two that come at once none may overlook the other: each leaves its mark first, and
        looks then."""
        self._refuse(places.names_in(self._url))
        with tempfile.NamedTemporaryFile() as empty:
            places.put(empty.name, places.join(self._url, self._mark))
        try:
            self._refuse([name for name in places.names_in(self._url) if name != self._mark])
        except OSError:
            self._leave()
            raise

    def _refuse(self, names: list[str]) -> None:
        if not names:
            return
        told = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
        taken = all(name.startswith(_MARK) for name in names)
        why = "another analysis is under way, or was ended" if taken else "nothing is added there"
        raise PlaceError(
            self._name, f"reports at a URL need a place of their own, and this has {told}: {why}"
        )

    def _leave(self) -> None:
        # Without it only the mark of one that was ended lies there, too.
        with suppress(OSError):
            places.remove(places.join(self._url, self._mark))

    def publish(self) -> None:
        """Puts all that was written.

        :raises PlaceError: where that cannot be done; the folder is kept then, and named.
        """
        names = sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file()
        )
        try:
            with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
                # Each is looked at, so that what one raises is raised here.
                list(threads.map(self._put, [name for name in names if name not in _LAST]))
            for name in _LAST:
                if name in names:
                    self._put(name)
        except OSError as error:
            self._keeps = True
            raise PlaceError(
                self._name, f"{places.reason_of(error)}; the reports are kept in {self.folder}"
            ) from error

    def _put(self, name: str) -> None:
        places.put(str(self.folder / name), places.join(self._url, name))

    def close(self) -> None:
        """Lets the place go, and removes the folder, unless it is all that is left."""
        self._leave()
        if not self._keeps:
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def report_place(url: str | None) -> Iterator[ReportPlace | None]:
    """None where reports go to a directory, or nowhere.

    :raises OSError: where reports cannot be put there.
    """
    if url is None:
        yield None
        return
    place = ReportPlace(url)
    try:
        yield place
    finally:
        place.close()
