"""The captures of a fleet: 200 files of forty devices that all have the same private address, with
damage that is known, told by flows that lie in several of them."""

import random
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from mitmproxy import http

from tests.analyze import stories
from tests.analyze.stories import STORIES, Found
from tests.saved.flow_files import saved_file

PER_DEVICE = 5
"""Captures."""
CAPTURES = 200
LABEL = "{device}/*.mitm"
_STORIES_PER_CAPTURE = 5
_ORDINARY_PER_CAPTURE = 12
_BAD_EVERY = 3
_SPREAD = {
    stories.multipart: 3,
    stories.small_part: 3,
    stories.abandoned: 3,
    stories.listed_wrongly: 3,
    stories.ranges: 2,
    stories.overlapping: 2,
    stories.tried_again: 2,
    stories.gone: 2,
}
"""Over how many captures the flows of a story go; of all others: two."""
_SECONDS = 0.37
"""Between the beginnings of two stories."""


class Fleet(NamedTuple):
    """Captures, and the truth about them."""

    folder: Path
    captures: list[Path]
    flows: int
    found: Found
    """Findings by flow, but for notices that say nothing of several flows."""
    of_transfers: Found

    @property
    def label(self) -> str:
        """For ``--label``."""
        return f"{self.folder}/{LABEL}"

    @property
    def size(self) -> int:
        """Bytes of all captures."""
        return sum(path.stat().st_size for path in self.captures)


def make_fleet(folder: Path, captures: int = CAPTURES, *, seed: int = 7) -> Fleet:
    """Writes the captures below ``folder``; the same ones each time."""
    chance = random.Random(seed)
    files: list[list[http.HTTPFlow]] = [[] for _ in range(captures)]
    found: set[tuple[str, str]] = set()
    of_transfers: set[tuple[str, str]] = set()
    for number in range(captures * _STORIES_PER_CAPTURE):
        make = STORIES[number % len(STORIES)]
        bad = number // len(STORIES) % _BAD_EVERY == 0
        story = make(number, bad=bad, at=number * _SECONDS)
        found |= story.found
        of_transfers |= story.of_transfers
        spread = _SPREAD.get(make, 2)
        first = number % (captures // PER_DEVICE) * PER_DEVICE
        chosen = chance.sample(range(first, first + PER_DEVICE), spread)
        for flow, at in zip(story.flows, _dealt(chosen), strict=False):
            files[at].append(flow)
    for number in range(captures * _ORDINARY_PER_CAPTURE):
        flow = stories.get(f"ordinary{number}", b"abc", number / 10)
        files[number % captures].append(flow)
    for flows in files:
        chance.shuffle(flows)
    paths = [_written(folder, number, flows) for number, flows in enumerate(files)]
    return Fleet(folder, paths, sum(map(len, files)), found, of_transfers)


def _dealt(chosen: Sequence[int]) -> Iterator[int]:
    """One after another, again and again."""
    return (chosen[turn % len(chosen)] for turn in count())


def _written(folder: Path, number: int, flows: Sequence[http.HTTPFlow]) -> Path:
    device = folder / f"device-{number // PER_DEVICE:02}"
    device.mkdir(parents=True, exist_ok=True)
    return saved_file(device / f"{number % PER_DEVICE}.mitm", *flows)


def cut(capture: Path) -> None:
    """Adds a flow of which the second half is missing."""
    whole = capture.with_suffix(".whole")
    saved_file(whole, stories.get("cut", b"abc" * 1000, 1.0))
    data = whole.read_bytes()
    whole.unlink()
    with capture.open("ab") as file:
        file.write(data[: len(data) // 2])
