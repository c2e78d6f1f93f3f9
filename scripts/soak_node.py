"""One process of the Node SDK for the whole soak."""

import json
import os
import queue
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.end_to_end.harness import BUCKET, REGION, SECRET_ID, SECRET_KEY

_SCRIPT = Path(__file__).with_name("soak_node.js")
_MODULES = Path(__file__).resolve().parents[1] / "tests" / "end_to_end" / "node" / "node_modules"
ANSWER_SECONDS = 120.0


class Node:
    """``with Node(proxy_url, ca_pem, folder) as node:``; calls may come from any thread."""

    def __init__(self, proxy: str, ca_pem: str, folder: Path) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "NODE_PATH": str(_MODULES),
            "NODE_EXTRA_CA_CERTS": ca_pem,
            "COS_PROXY": proxy,
            "COS_BUCKET": BUCKET,
            "COS_REGION": REGION,
            "COS_SECRET_ID": SECRET_ID,
            "COS_SECRET_KEY": SECRET_KEY,
            "COS_FOLDER": str(folder),
        }
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._last = 0

    @staticmethod
    def is_there() -> bool:
        return (_MODULES / "cos-nodejs-sdk-v5").is_dir()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["node", str(_SCRIPT)],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            said = json.loads(line)
            with self._lock:
                waiting = self._waiting.pop(said["id"])
            waiting.put(said)

    def call(self, step: str, key: str, size: int) -> str:
        """The MD5 of what was downloaded. Raises ``RuntimeError`` with what went wrong."""
        answers: queue.Queue[dict[str, Any]] = queue.Queue()
        with self._lock:
            self._last += 1
            self._waiting[self._last] = answers
            line = json.dumps({"id": self._last, "step": step, "key": key, "size": size})
            if self._process.stdin is None:
                raise RuntimeError("node has ended")
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        try:
            said = answers.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise RuntimeError("node did not answer") from None
        if "error" in said:
            raise RuntimeError(said["error"])
        return str(said["md5"])
