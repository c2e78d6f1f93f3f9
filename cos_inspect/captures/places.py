"""Where files are: on this machine, or at a URL that fsspec knows.

Nothing is renamed at a URL, and nothing deleted in bulk: COS asks for a Content-MD5 there
that clients of S3 do not send any more.
"""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import uuid4

_BLOCK = 4 * 1024 * 1024
"""Bytes that are asked for at a time."""
_GLOB = frozenset("*?[")
_FILE = "file://"
_S3 = ("s3", "s3a", "cos")
_SCHEME_OF_COS = "cos://"


class MissingExtraError(Exception):
    """What was asked for needs packages that are not installed; the text is a whole line."""

    def __init__(self, what: str, package: str) -> None:
        super().__init__(
            f"{what} needs the package {package}: pip install 'cos-inspect[fleet]' brings it"
        )
        self._what = what, package

    def __reduce__(self) -> tuple[type["MissingExtraError"], tuple[str, str]]:
        return type(self), self._what


class PlaceError(OSError):
    """Something at a URL cannot be read or written; the text is one line."""

    def __init__(self, place: str, error: BaseException | str) -> None:
        self.place = place
        self.what = error if isinstance(error, str) else _line_of(error)
        super().__init__(f"{place}: {self.what}")

    def __reduce__(self) -> tuple[type["PlaceError"], tuple[str, str]]:
        return type(self), (self.place, self.what)


def is_url(place: str) -> bool:
    """Whether it is no path of this machine."""
    scheme, colon, _ = place.partition("://")
    return bool(colon) and scheme.replace("+", "").replace("-", "").isalnum()


def plain(place: str) -> str:
    """A path in the place of a ``file://`` URL; other places as they are."""
    return place.removeprefix(_FILE) if place.startswith(_FILE) else place


def is_of_one_process(place: str) -> bool:
    """Whether another process would find something else there."""
    return place.startswith("memory://")


def has_glob(place: str) -> bool:
    """Whether it names several files by a pattern."""
    return not _GLOB.isdisjoint(place)


def join(place: str, *names: str) -> str:
    """A place below another."""
    return "/".join((place.rstrip("/"), *names))


def name_of(place: str) -> str:
    """A place as it may be shown: without a user's name and password."""
    scheme, colon, rest = place.partition("://")
    if not colon:
        return place
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def filesystem_of(place: str) -> tuple[Any, str]:
    """What fsspec knows a URL by, and the URL's path in it.

    :raises MissingExtraError: when fsspec, or what it needs for the URL, is not installed.
    :raises PlaceError: for a URL that nothing knows.
    """
    scheme = place.partition("://")[0]
    try:
        filesystem = _filesystem(scheme, os.getpid())
    except ImportError as error:
        cause = error.__cause__
        named = cause if isinstance(cause, ImportError) else error
        package = named.name or f"for {scheme}:// that fsspec asks for"
        raise MissingExtraError(name_of(place), package) from None
    except ValueError as error:
        raise PlaceError(name_of(place), error) from error
    if scheme in _S3:
        return filesystem, place.partition("://")[2]
    return filesystem, str(filesystem._strip_protocol(place))  # noqa: SLF001 - fsspec's own way


@lru_cache(maxsize=16)
def _filesystem(scheme: str, _process: int) -> Any:
    import fsspec  # noqa: PLC0415 - an extra

    if scheme in _S3:
        return fsspec.filesystem("s3", **_s3_settings(of_cos=scheme == "cos"))
    return fsspec.filesystem(scheme)


def _s3_settings(*, of_cos: bool) -> dict[str, Any]:
    """For s3fs. COS refuses uploads in the framing of S3's newer checksums, and wants the
    bucket in the host. ``s3://`` takes what boto3 takes from the environment."""
    config: dict[str, Any] = {
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    settings: dict[str, Any] = {"config_kwargs": config}
    if not of_cos:
        return settings
    environment = os.environ
    endpoint = environment.get("COS_ENDPOINT_URL")
    region = environment.get("COS_REGION")
    if endpoint is None:
        if region is None:
            raise ValueError("cos:// needs COS_REGION (ap-guangzhou) or COS_ENDPOINT_URL to be set")
        endpoint = f"https://cos.{region}.myqcloud.com"
        config["s3"] = {"addressing_style": "virtual"}
    settings["endpoint_url"] = endpoint
    settings["client_kwargs"] = {"region_name": region or "us-east-1"}
    for name, variable in (
        ("key", "COS_SECRET_ID"),
        ("secret", "COS_SECRET_KEY"),
        ("token", "COS_TOKEN"),
    ):
        if variable in environment:
            settings[name] = environment[variable]
    return settings


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Whatever a filesystem raises, as one line."""
    try:
        yield
    except (MissingExtraError, PlaceError):
        raise
    except FileNotFoundError as error:
        raise PlaceError(name_of(place), FileNotFoundError("there is no such file")) from error
    except Exception as error:
        raise PlaceError(name_of(place), error) from error


def _line_of(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def reason_of(error: OSError) -> str:
    """Why something cannot be read, without its name."""
    return error.what if isinstance(error, PlaceError) else error.strerror or str(error)


class _AtUrl(io.RawIOBase):
    """A file at a URL; all that its library raises is a ``PlaceError``."""

    def __init__(self, place: str, file: Any) -> None:
        super().__init__()
        self._place = place
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def read(self, size: int | None = -1, /) -> bytes:
        with _told(self._place):
            return cast(bytes, self._file.read(-1 if size is None else size))

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        with _told(self._place):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def open_to_read(place: str) -> BinaryIO:
    """The bytes of a file; ranges of it are fetched as they are asked for.

    :raises OSError: when it cannot be read.
    """
    if not is_url(place):
        return Path(place).open("rb")
    with _told(place):
        filesystem, path = filesystem_of(place)
        found = _AtUrl(place, filesystem.open(path, "rb", block_size=_BLOCK))
        return cast(BinaryIO, found)


def size_of(place: str) -> int:
    """Bytes of a file as it lies there, packed or not; 0 where nobody knows."""
    try:
        return _size_at(place) if is_url(place) else Path(place).stat().st_size
    except OSError:
        return 0


@lru_cache(maxsize=100_000)
def _size_at(place: str) -> int:
    with _told(place):
        filesystem, path = filesystem_of(place)
        return int(filesystem.info(path).get("size") or 0)


def is_folder(place: str) -> bool:
    """Whether files lie below it.

    :raises OSError: when nobody can tell.
    """
    if not is_url(place):
        return Path(place).is_dir()
    with _told(place):
        filesystem, path = filesystem_of(place)
        return bool(filesystem.isdir(path))


def files_below(place: str) -> list[str]:
    """The files below a folder at a URL, or those that a pattern names, sorted.

    :raises OSError: when they cannot be listed.
    """
    scheme = place.partition("://")[0]
    with _told(place):
        filesystem, path = filesystem_of(place)
        filesystem.invalidate_cache()
        found = filesystem.glob(path) if has_glob(path) else filesystem.find(path)
        names = sorted(str(each) for each in found)
        if has_glob(path):
            names = [each for each in names if not filesystem.isdir(each)]
    # fsspec gives back paths without the scheme, some with a slash in front.
    slash = "/" if place.startswith(f"{scheme}:///") else ""
    return [f"{scheme}://{slash}{name.lstrip('/')}" for name in names]


def names_in(place: str) -> list[str]:
    """The last names of what lies directly in a folder; none where there is no such folder.

    :raises OSError: when it cannot be listed.
    """
    if not is_url(place):
        folder = Path(place)
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    with _told(place):
        filesystem, path = filesystem_of(place)
        filesystem.invalidate_cache()
        try:
            found = filesystem.ls(path, detail=False)
        except FileNotFoundError:
            return []
    # A folder that was made by hand is an empty object of its own name.
    below = (str(each).rstrip("/") for each in found)
    return sorted(each.rpartition("/")[2] for each in below if each != path.rstrip("/"))


def read(place: str) -> bytes:
    """A small file, whole.

    :raises OSError: when it cannot be read.
    """
    if not is_url(place):
        return Path(place).read_bytes()
    with _told(place):
        filesystem, path = filesystem_of(place)
        return cast(bytes, filesystem.cat_file(path))


def write(place: str, content: bytes) -> None:
    """A file that appears whole, or in the place of one with the same name.

    :raises OSError: when it cannot be written.
    """
    if is_url(place):
        with _told(place):
            filesystem, path = filesystem_of(place)
            filesystem.pipe_file(path, content)
        return
    with NewFile(place) as file:
        Path(file.path).write_bytes(content)


def put(path: str, place: str) -> None:
    """Copies a file of this machine to a URL; what has that name is replaced.

    :raises OSError: when that cannot be done.
    """
    with _told(place):
        filesystem, there = filesystem_of(place)
        filesystem.put_file(path, there)


def remove(place: str) -> None:
    """Removes one file at a URL.

    :raises OSError: when that cannot be done.
    """
    with _told(place):
        filesystem, path = filesystem_of(place)
        filesystem.rm_file(path)


def remove_below(place: str) -> None:
    """Removes the files below a folder, one after another, and says nothing of those that
    cannot be."""
    if not is_url(place):
        shutil.rmtree(place, ignore_errors=True)
        return
    try:
        filesystem, _ = filesystem_of(place)
        for each in files_below(place):
            filesystem.rm_file(filesystem_of(each)[1])
    except Exception:
        return


class NewFile:
    """``with NewFile(place) as file:`` write to ``file.path``, on this machine; at the end it
    stands under its name, whole. Who writes it a second time replaces it by the same."""

    def __init__(self, place: str) -> None:
        self._place = place
        if is_url(place):
            descriptor, self.path = tempfile.mkstemp(prefix="cos-inspect-")
            os.close(descriptor)
        else:
            Path(place).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path = f"{place}.{uuid4().hex[:12]}.part"

    def __enter__(self) -> "NewFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is None:
            self.publish()
        else:
            Path(self.path).unlink(missing_ok=True)

    def publish(self) -> None:
        """Puts it under its name.

        :raises OSError: when that cannot be done.
        """
        if not is_url(self._place):
            Path(self.path).replace(self._place)
            return
        try:
            put(self.path, self._place)
        finally:
            Path(self.path).unlink(missing_ok=True)
