"""Traffic of several flows, and exactly what is to be said of each and of the whole."""

import dataclasses
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.end_to_end.harness import Report, checks
from tests.end_to_end.lab import Lab, found
from tests.origin.client import Client
from tests.origin.server import Origin

MIB = 1 << 20
FIRST = bytes(range(256)) * (MIB // 256)
SECOND = bytes(range(255, -1, -1)) * (MIB // 256)
LAST = b"[Last Part]"
Piece = bytes

Transfer = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Story:
    """``key``: the object that the traffic is about. ``flows``: rule ids by the name that
    ``named`` gives a flow, with severity, joined by commas; flows left out have none.
    ``transfers``: for each transfer of the key, in the order of kind and begin, its state
    and the rule ids found on it."""

    key: str
    tell: Callable[[Lab, str], object]
    flows: Mapping[str, str] = dataclasses.field(default_factory=dict)
    transfers: Sequence[tuple[str, str, str]] = ()
    checks: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    """(flow, check) to status or reason."""


@dataclasses.dataclass
class Told:
    """A run that is over, by object key."""

    reports: list[Report]
    summary: dict[str, Any]
    output: str

    def flows(self, key: str) -> dict[str, Report]:
        """Reports by name: the operation, with ``#2`` where it is not the first."""
        names: Counter[str] = Counter()
        told = {}
        for report in self.reports:
            if report["cos"]["key"] != key:
                continue
            operation = report["cos"]["operation"]
            names[operation] += 1
            number = names[operation]
            told[operation if number == 1 else f"{operation}#{number}"] = report
        return told

    def findings(self, key: str) -> dict[str, frozenset[str]]:
        return {name: found(report) for name, report in self.flows(key).items() if found(report)}

    def check(self, key: str, flow: str, name: str) -> str:
        (status,) = [
            status for (check, _), status in checks(self.flows(key)[flow]).items() if check == name
        ]
        return status

    def transfers(self, key: str) -> list[Transfer]:
        return [each for each in self.summary["transfers"] if each["key"] == key]

    def transfer(self, key: str) -> Transfer:
        (one,) = self.transfers(key)
        return one

    def chains(self, key: str) -> list[dict[str, Any]]:
        """Retries of which a flow is about this key."""
        ids = {report["flow_id"] for report in self.flows(key).values()}
        return [chain for chain in self.summary["retries"] if ids & set(chain["flows"])]

    def read_back(self, key: str) -> list[dict[str, Any]]:
        return [each for each in self.summary["read_back"] if each["key"] == key]

    def judge(self, story: Story) -> None:
        """Everything as the story has it, and nothing else."""
        expected = {name: frozenset(_split(rules)) for name, rules in story.flows.items()}
        assert self.findings(story.key) == expected
        told = [
            (each["kind"], each["state"], sorted(item["rule"] for item in each["findings"]))
            for each in self.transfers(story.key)
        ]
        assert told == [
            (kind, state, sorted(_split(rules))) for kind, state, rules in story.transfers
        ], told
        for (flow, name), status in story.checks.items():
            assert self.check(story.key, flow, name) == status


def _split(rules: str) -> list[str]:
    return [rule.strip() for rule in rules.split(",") if rule.strip()]


@contextmanager
def told_in(folder: Path, stories: Sequence[Story], **settings: Any) -> Iterator[Told]:
    """Tells all stories to one proxy, one after the other."""
    with Origin(**settings) as origin:
        with Lab(origin, folder) as lab:
            for story in stories:
                story.tell(lab, story.key)
            lab.stop()
            yield Told(lab.reports, lab.summary, lab.output)
        assert not origin.faults
    assert "Traceback" not in lab.output


class Uploading:
    """A multipart upload over plain requests, step by step, through the proxy or past it."""

    def __init__(self, lab: Lab, key: str, *, seen: bool = True) -> None:
        self.lab = lab
        self.key = key
        self.etags: dict[int, str] = {}
        self.id = ""
        self.id = self._text(self._send("POST", "?uploads", b"", seen=seen), "UploadId")

    def part(self, number: int, data: bytes, *, seen: bool = True) -> str:
        """Its ETag; the list of the Complete then has it."""
        query = f"?partNumber={number}&uploadId={self.id}"
        answer = self._send("PUT", query, data, seen=seen)
        self.etags[number] = answer.headers["ETag"]
        return self.etags[number]

    def copied_part(self, number: int, source: str, span: str | None = None) -> None:
        headers = {"x-cos-copy-source": source}
        if span is not None:
            headers["x-cos-copy-source-range"] = f"bytes={span}"
        query = f"?partNumber={number}&uploadId={self.id}"
        answer = self.lab.send("PUT", self.key, query=query, headers=headers)
        self.etags[number] = self._text(answer.content, "ETag")

    def complete(self, listed: Sequence[tuple[int, str]] | None = None) -> Any:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in (sorted(self.etags.items()) if listed is None else listed)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        return self.lab.send("POST", self.key, query=f"?uploadId={self.id}", data=body)

    def abort(self) -> None:
        self.lab.send("DELETE", self.key, query=f"?uploadId={self.id}")

    def _send(self, method: str, query: str, data: bytes, *, seen: bool) -> Any:
        if seen:
            return self.lab.send(method, self.key, query=query, data=data)
        return Client(self.lab.origin).send(method, f"/{self.key}{query}", data)

    @staticmethod
    def _text(answer: Any, name: str) -> str:
        data = answer if isinstance(answer, bytes) else getattr(answer, "content", None)
        text = ET.fromstring(answer.body if data is None else data).findtext(name)
        assert text is not None
        return text
