"""The SDK's traffic through a real Whistle, exported by its own endpoint: nothing clean is accused,
damage is found, and both exports say the same."""

import gzip
import json
import os
import queue
import random
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from qcloud_cos import CosConfig, CosS3Client, CosServiceError

from tests.end_to_end.harness import BUCKET, REGION, SECRET_ID, SECRET_KEY, Report, accused, checks
from tests.end_to_end.later import analyzed
from tests.origin.server import Origin

_NODE = Path(__file__).with_name("node")
_MIB = 1 << 20
_SIZES = (0, 1000, _MIB, _MIB + 5, 2 * _MIB, 2 * _MIB + 1, 3 * _MIB)
_TEXT = b"Some lines of text. " * 500
_START_SECONDS = 60
_LOCAL = {"Host": "local.whistlejs.com"}


def missing() -> str | None:
    """Why Whistle cannot be used; in CI it must be there."""
    if os.environ.get("CI") == "true":
        return None
    if shutil.which("node") is None:
        return "node is not installed"
    if not (_NODE / "node_modules" / "whistle").is_dir():
        return "Whistle is not installed; run npm install in tests/end_to_end/node"
    return None


pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(missing() is not None, reason=missing() or "nothing is missing"),
]


class Whistle:
    def __init__(self, origin: Origin, folder: Path) -> None:
        folder.mkdir()
        self._process = subprocess.Popen(
            ["node", "whistle.js"],
            cwd=_NODE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "COS_FOLDER": str(folder),
                "COS_ORIGIN": str(origin.http_port),
            },
        )
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()
        try:
            while not (line := lines.get(timeout=_START_SECONDS)).startswith("ready "):
                assert line, "Whistle ended"
        except BaseException:
            self.stop()
            raise
        self.url = f"http://127.0.0.1:{line.split()[1]}"
        self._session = requests.Session()
        self._session.trust_env = False

    def _read(self, lines: "queue.Queue[str]") -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            lines.put(line)
        lines.put("")

    def sessions(self, count: int) -> list[dict[str, Any]]:
        """What it has recorded, once so many exchanges are over."""
        waiting = threading.Event()
        for _ in range(600):
            given = self._session.get(
                f"{self.url}/cgi-bin/get-data?startTime=0&count=200", headers=_LOCAL, timeout=30
            ).json()
            found = list(given["data"]["data"].values())
            if sum(1 for each in found if each.get("endTime")) >= count:
                return found
            waiting.wait(0.1)
        raise AssertionError(f"{len(found)} of {count} sessions")

    def export(self, kind: str, sessions: list[dict[str, Any]], path: Path) -> Path:
        answer = self._session.post(
            f"{self.url}/cgi-bin/sessions/export",
            headers=_LOCAL,
            data={"exportFileType": kind, "sessions": json.dumps(sessions)},
            timeout=60,
        )
        assert answer.status_code == 200
        path.write_bytes(answer.content)
        return path

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def traffic(origin: Origin, url: str) -> int:
    """How many exchanges there were."""
    client = CosS3Client(
        CosConfig(
            Region=REGION,
            SecretId=SECRET_ID,
            SecretKey=SECRET_KEY,
            Scheme="http",
            Proxies={"http": url},
            Timeout=60,
        ),
        retry=0,
    )
    chance = random.Random(3)
    for size in _SIZES:
        client.put_object(BUCKET, chance.randbytes(size), f"{size}.bin")
        client.get_object(BUCKET, f"{size}.bin")["Body"].get_raw_stream().read()
    client.put_object(BUCKET, gzip.compress(_TEXT), "text.gz", ContentEncoding="gzip")
    client.get_object(BUCKET, "text.gz")["Body"].get_raw_stream().read()
    client.put_object(BUCKET, iter([b"a" * 100, b"b" * 100]), "chunks")
    with pytest.raises(CosServiceError):
        client.get_object(BUCKET, "none")
    return 2 * len(_SIZES) + 4


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Report]]:
    """By the name of the format, the reports of its export."""
    folder = tmp_path_factory.mktemp("whistle")
    with Origin() as origin:
        origin.make_bucket(BUCKET)
        whistle = Whistle(origin, folder / "whistle")
        try:
            sessions = whistle.sessions(traffic(origin, whistle.url))
            saz = whistle.export("Fiddler", sessions, folder / "a.saz")
            text = whistle.export("whistle", sessions, folder / "a.txt")
        finally:
            whistle.stop()
        assert not origin.faults
    damaged = json.loads(text.read_bytes())
    for each in damaged:
        for side in ("req", "res"):
            if each[side].get("base64"):
                each[side]["base64"] = "AAAA" + each[side]["base64"][4:]
    (folder / "damaged.json").write_text(json.dumps(damaged))
    return {
        "saz": analyzed(saz, folder / "saz"),
        "whistle": analyzed(text, folder / "text"),
        "damaged": analyzed(folder / "damaged.json", folder / "damaged"),
    }


def by_key(reports: list[Report]) -> dict[tuple[str, str], Report]:
    return {(each["cos"]["operation"], each["cos"]["key"]): each for each in reports}


@pytest.mark.parametrize("name", ["saz", "whistle"])
def test_nothing_clean_is_accused(name: str, exports: dict[str, list[Report]]) -> None:
    reports = exports[name]
    assert len(reports) == 2 * len(_SIZES) + 4
    assert accused(reports) == [
        ("PutObject", ["credentials-in-clear"]),
        ("GetObject", ["error-response"]),
    ]


@pytest.mark.parametrize("name", ["saz", "whistle"])
def test_what_it_keeps_is_checked_and_the_rest_is_said(
    name: str, exports: dict[str, list[Report]]
) -> None:
    found = by_key(exports[name])
    for size in _SIZES:
        sent = checks(found["PutObject", f"{size}.bin"])["crc64", "request"]
        got = checks(found["GetObject", f"{size}.bin"])["crc64", "response"]
        assert sent == ("match" if size <= _MIB else "not-captured")
        assert got == ("match" if size <= 2 * _MIB else "not-captured")
    assert checks(found["PutObject", "text.gz"])["crc64", "request"] == "re-encoded"
    assert checks(found["GetObject", "text.gz"])["crc64", "response"] == "re-encoded"
    assert checks(found["PutObject", "chunks"])["crc64", "request"] == "match"
    told = found["PutObject", "1000.bin"]
    assert told["connection"]["client"].startswith("127.0.0.1:")
    assert told["timing"]["total_ms"] is not None


def test_both_exports_say_the_same(exports: dict[str, list[Report]]) -> None:
    saz, text = by_key(exports["saz"]), by_key(exports["whistle"])
    assert saz.keys() == text.keys()
    for key, report in saz.items():
        other = text[key]
        for member in ("verdict", "cos", "timing", "connection", "ids", "encryption", "error"):
            assert report[member] == other[member], (key, member)
        assert checks(report) == checks(other)


def test_damage_is_found(exports: dict[str, list[Report]]) -> None:
    found = by_key(exports["damaged"])
    for key in (("PutObject", "1000.bin"), ("GetObject", "1000.bin")):
        assert "crc64-mismatch" in [each["rule"] for each in found[key]["findings"]]
    assert found["GetObject", "text.gz"]["verdict"] in ("ok", "notice")
