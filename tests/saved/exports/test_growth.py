"""Reading an archive takes time in proportion to it, whatever it is full of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.growth import assert_linear
from tests.saved.exports.archives import (
    CHUNKED,
    Session,
    answer,
    archive,
    chunked,
    get,
    meta,
    read,
)

Work = Callable[[], object]


def _saz(kind: str, count: int) -> bytes:
    body = b"a" * 200
    match kind:
        case "sessions":
            return archive([Session(get(), answer(body), meta(len(body)))] * count)
        case "chunks":
            stored = chunked(b"a" * count, 1)
            return archive([Session(get(), answer(b"a" * count, stored, fields=CHUNKED))])
        case "headers":
            asked = get().removesuffix(b"\r\n") + b"x-a: b\r\n" * count + b"\r\n"
            return archive([Session(asked, answer(body))])
        case "interim":
            return archive(
                [Session(get(), b"HTTP/1.1 100 Continue\r\n\r\n" * count + answer(body))]
            )
        case "attributes":
            noted = meta(len(body)).replace(b"<PipeInfo", b"<PipeInfo" + b' a="b"' * count)
            return archive([Session(get(), answer(body), noted)])
        case "tags":
            noted = meta(len(body)) + b"<Session <Session" * count
            return archive([Session(get(), answer(body), noted)])
        case _:
            raise AssertionError(kind)


SAZS = {
    "sessions": 20, "chunks": 2000, "headers": 500, "interim": 500, "attributes": 2000,
    "tags": 2000,
}  # fmt: skip


@pytest.mark.parametrize("kind", SAZS)
def test_saz(kind: str, tmp_path: Path) -> None:
    def work_of(count: int) -> Work:
        path = tmp_path / f"{count}.saz"
        path.write_bytes(_saz(kind, count))
        return lambda: read(path)

    assert_linear(work_of, SAZS[kind], 32 * SAZS[kind], runs=2)
