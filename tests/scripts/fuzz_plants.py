"""Faults that are planted in parsers, one of each kind, to see whether the fuzzer finds them.

``python -m tests.scripts.fuzz_plants`` prints what the short run says to each, as JSON. With
arguments it is a child of ``scripts.fuzz_guided``, with the fault that PLANT names; the
package must not be loaded before atheris is.
"""

import binascii
import importlib
import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest.mock import patch

from hyperframe.frame import Frame

from scripts.fuzz_guided import child
from scripts.fuzz_judge import Target
from scripts.fuzz_mutation import mutated

VARIABLE = "PLANT"


class Plant(NamedTuple):
    parser: str
    says: str
    """What the fuzzer's words must match."""
    planted: Callable[[], AbstractContextManager[Any]]


def _exception() -> AbstractContextManager[Any]:
    def decoded(letters: str) -> str | None:
        if len(letters) % 4 == 1:
            return None
        # An id that is base64 of something else than ASCII.
        return binascii.a2b_base64(letters + "=" * (-len(letters) % 4)).decode("ascii")

    return patch("cos_inspect.cos.request_id._decoded", decoded)


def _hang() -> AbstractContextManager[Any]:
    # Two optional parts side by side: blanks behind a comma and before the next one.
    token = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
    backtracking = re.compile(rf"{token}+(?:[ \t]*,[ \t]*{token}*)*")

    def tokens(value: str) -> tuple[str, ...]:
        return () if backtracking.fullmatch(value) else ("not a list of words",)

    return patch.dict("cos_inspect.cos.header_syntax.CHECKERS", {"tokens": tokens})


def _quadratic_time() -> AbstractContextManager[Any]:
    def split(target: str) -> tuple[str, str]:
        fronts = (target[:end] for end in range(len(target) + 1))
        path = max((front for front in fronts if "?" not in front), key=len)
        return path, target[len(path) + 1 :]

    return patch("cos_inspect.cos.target.split_target", split)


def _wrong_accept() -> AbstractContextManager[Any]:
    return patch("cos_inspect.cos.header_syntax._day", lambda _value: ())


def _round_trip() -> AbstractContextManager[Any]:
    decoder = importlib.import_module("cos_inspect.cos.aws_chunked").AwsChunkedDecoder
    feed = decoder.feed

    def without_line_ends(self: object, data: bytes) -> list[bytes]:
        return [bytes(piece).removesuffix(b"\n") for piece in feed(self, data)]

    return patch.object(decoder, "feed", without_line_ends)


def _expansion() -> AbstractContextManager[Any]:
    def plain(body: bytes) -> bytes:
        if body[:2] != b"\x1f\x8b":
            return body
        try:
            return zlib.decompressobj(31).decompress(body)
        except zlib.error:
            return body

    # The fuzzer has a name of its own for it.
    return patch.multiple("scripts.fuzz_bodies", plain=plain)


def _trusted_length() -> AbstractContextManager[Any]:
    def behind_type(data: bytes, at: int) -> int:
        kind = data[at] << 8 | data[at + 1]
        return at + 2 if kind in (0x0800, 0x86DD) else -1

    return patch("cos_inspect.captures.wire.link._behind_type", behind_type)


def _broken_frame() -> AbstractContextManager[Any]:
    def parsed(whole: bytes) -> Frame:
        frame, _ = Frame.parse_frame_header(memoryview(whole[:9]))
        frame.parse_body(memoryview(whole[9:]))
        return frame

    return patch("cos_inspect.captures.wire.http2_frames._parsed", parsed)


def _text_that_is_none() -> AbstractContextManager[Any]:
    def reason(answer: Mapping[str, Any], _raw: object) -> bytes:
        line: str = answer["header"]["firstLine"]
        return line.split(" ", 2)[2].encode()

    return patch("cos_inspect.captures.exports.charles._reason", reason)


PLANTS = {
    "exception": Plant("request-ids", r"raised UnicodeDecodeError", _exception),
    "hang": Plant("header-values", r"still at work|took", _hang),
    "quadratic time": Plant("request-lines", r"times as long|took", _quadratic_time),
    "wrong accept": Plant("header-values", r"^date of .* True is not False", _wrong_accept),
    "round trip": Plant("aws-chunked", r"what was framed|payload", _round_trip),
    "a length that is trusted": Plant("pcap", r"raised IndexError", _trusted_length),
    "a broken frame": Plant("http2", r"raised Invalid\w+Error", _broken_frame),
    "a text that is none": Plant("charles", r"caught .*(Key|Index)Error", _text_that_is_none),
    "expansion": Plant("xml", r"bytes become|MiB of memory", _expansion),
}


def _short_runs() -> dict[str, str | None]:
    targets = importlib.import_module("scripts.fuzz_targets")
    found = {}
    for name, plant in PLANTS.items():
        target: Target = targets.TARGETS[plant.parser]
        seeds: list[bytes] = targets.seeds_of(target.name)
        with plant.planted():
            found[name] = mutated(target, seeds, seed=1, most=target.short).wrong
    return found


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1:], lambda: PLANTS[os.environ[VARIABLE]].planted().__enter__())
    else:
        print(json.dumps(_short_runs()))
