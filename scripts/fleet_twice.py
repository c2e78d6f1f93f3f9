"""``cos-inspect`` with steps that are done twice, wherever that is, with all that they write."""

from typing import Any

from cos_inspect.analyze import workers
from cos_inspect.analyze.joining import Joined
from cos_inspect.analyze.spooled import ShardRead
from cos_inspect.analyze.writing import Chunk, WrittenChunk, write_chunk
from cos_inspect.cli.commands import main
from cos_inspect.settings.analysis_settings import AnalysisSettings

_read: Any = vars(workers)["_read"]
_join: Any = vars(workers)["_join"]


def read_twice(*call: Any) -> ShardRead:
    """First looks."""
    _read(*call)
    again: ShardRead = _read(*call)
    return again


def join_twice(*call: Any) -> Joined:
    """What flows say together."""
    _join(*call)
    again: Joined = _join(*call)
    return again


def write_twice(chunk: Chunk, settings: AnalysisSettings) -> WrittenChunk:
    """Reports."""
    write_chunk(chunk, settings)
    return write_chunk(chunk, settings)


def twice() -> None:
    """The command itself."""
    vars(workers).update(_read=read_twice, _join=join_twice, write_chunk=write_twice)
    main()
