"""Uploads through a proxy in the middle of other traffic, of which it is known which are bad."""

import json
from collections import deque
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import requests

from tests.end_to_end.harness import BUCKET, HOST
from tests.origin.damage import Damage, Effect, key
from tests.origin.effects import replace_element, wrong_crc
from tests.origin.server import Origin

_TIMEOUT = 60.0
_FIRST = bytes(range(256)) * 4096
_BAD: dict[str, Effect] = {
    "multipart-crc64-mismatch": wrong_crc(),
    "multipart-etag-mismatch": replace_element("ETag", f'"{"0" * 32}-7"'),
}
"""What is to be found where COS answers a Complete in this way."""
_KINDS = (None, *_BAD)


class MissedError(RuntimeError):
    """A bad upload was not found, or a good one was accused."""


class Plants:
    """``url`` and ``ca_pem`` are the proxy's; ``under_way``: uploads that are begun before the
    first of them is completed."""

    def __init__(self, origin: Origin, url: str, ca_pem: str, under_way: int = 3) -> None:
        origin.make_bucket(BUCKET)
        self._origin = origin
        self._under_way = under_way
        self._begun: deque[_Begun] = deque()
        self._rules: dict[str, str | None] = {}
        """By key."""
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.proxies = {"https": url}
        self._http.verify = ca_pem

    def plant(self) -> None:
        """Begins one upload, and completes the one that was begun longest ago."""
        self._begin(f"planted/{len(self._rules)}")
        while len(self._begun) > self._under_way:
            self._complete(self._begun.popleft())

    def finish(self) -> None:
        """Completes the others."""
        while self._begun:
            self._complete(self._begun.popleft())
        self._http.close()

    def found(self, reports: Path) -> str:
        """How many of the bad ones stand in the reports of a proxy that has ended.

        :raises MissedError: another number than all of them.
        """
        told: dict[str, set[str]] = {}
        for path in reports.glob("flows/*_CompleteMultipartUpload_*.json"):
            report = json.loads(path.read_bytes())
            name = report["cos"]["key"]
            told[name] = {each["rule"] for each in report["findings"]}
        wrong = [
            f"{name}: {sorted(told.get(name, {'no report'}))}, and planted was {rule}"
            for name, rule in self._rules.items()
            if told.get(name) != ({rule} if rule else set())
        ]
        if wrong:
            raise MissedError("; ".join(wrong[:5]))
        bad = sum(rule is not None for rule in self._rules.values())
        return f"{bad} of {bad} among {len(self._rules)}"

    def _begin(self, name: str) -> None:
        self._rules[name] = _KINDS[len(self._rules) % len(_KINDS)]
        upload = _Begun(name, _text(self._send("POST", f"{name}?uploads"), "UploadId"))
        for number, data in enumerate((_FIRST, name.encode()), 1):
            target = f"{name}?partNumber={number}&uploadId={upload.id}"
            upload.etags.append(self._send("PUT", target, data).headers["ETag"])
        self._begun.append(upload)

    def _complete(self, upload: "_Begun") -> None:
        rule = self._rules[upload.name]
        if rule is not None:
            self._origin.damage(Damage(_BAD[rule], when=key(upload.name), times=1))
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in enumerate(upload.etags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
        self._send("POST", f"{upload.name}?uploadId={upload.id}", body.encode())

    def _send(self, method: str, target: str, data: bytes = b"") -> Any:
        answer = self._http.request(
            method,
            f"https://{HOST}/{target}",
            data=data,
            headers={"User-Agent": "cos-python-sdk-v5.1.9.44"},
            timeout=_TIMEOUT,
        )
        answer.raise_for_status()
        return answer


class _Begun:
    def __init__(self, name: str, upload_id: str) -> None:
        self.name = name
        self.id = upload_id
        self.etags: list[str] = []


def _text(answer: Any, name: str) -> str:
    found = ElementTree.fromstring(answer.content).findtext(name)
    if not found:
        raise RuntimeError(f"there is no {name} in {answer.content[:200]!r}")
    return found
