"""What happens to the proxy while traffic passes: reloads, and options that change."""

import json
import os
import random
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

USUAL: Mapping[str, Any] = {
    "cos_stream": "1m",
    "cos_annotate": "true",
    "cos_report_format": ["json", "html"],
    "stream_large_bodies": None,
    "block_list": [],
    "modify_body": [],
}
NOBODY = "~d nobody.example.com"
CHANGES: tuple[Mapping[str, Any], ...] = (
    {},
    {"cos_stream": "0"},
    {"cos_stream": "never"},
    {"cos_stream": "64k"},
    {"cos_annotate": "false"},
    {"cos_report_format": ["json", "html", "jsonl"]},
    {"cos_report_format": ["json", "markdown", "junit"]},
    {"stream_large_bodies": "300k"},
    # With these bodies are kept whole, for they may be wanted later.
    {"block_list": [f"/{NOBODY}/403"]},
    {"modify_body": [f"/{NOBODY}/a/b"]},
)
"""What differs from what is usual. None of these may change what is found."""


class Disturbances:
    """From ``begin`` to ``end``: an option changes every few seconds, the addon is loaded
    anew every ``reload_seconds`` (None: never), at first after half of them."""

    def __init__(
        self, port: int, addon: Path, seed: int, option_seconds: float, reload_seconds: float | None
    ) -> None:
        self._port = port
        self._addon = addon
        self._random = random.Random(f"{seed} disturbances")
        self._option_seconds = option_seconds
        self._reload_seconds = reload_seconds
        self._ended = threading.Event()
        self.changes = 0
        self.reloads = 0
        self.failures: list[str] = []
        self.streaming_began: list[float] = []
        """The times at which mitmproxy was told to stream bodies from some length on itself."""

    def begin(self) -> None:
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._change_options, self._reload)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _change_options(self) -> None:
        while not self._ended.wait(self._option_seconds):
            options = {**USUAL, **self._random.choice(CHANGES)}
            if options["stream_large_bodies"]:
                self.streaming_began.append(time.time())
            try:
                answer = tell(self._port, options)
            except OSError as failure:
                answer = repr(failure)
            if answer != "ok":
                self.failures.append(f"option {options}: {answer}")
            self.changes += 1

    def _reload(self) -> None:
        """mitmproxy looks every second whether a script's time has changed."""
        if self._reload_seconds is None:
            return
        wait = self._reload_seconds / 2
        while not self._ended.wait(wait):
            now = time.time()
            os.utime(self._addon, (now, now))
            self.reloads += 1
            wait = self._reload_seconds


def tell(port: int, options: Mapping[str, Any] | None) -> str:
    """Sends the proxy's script one line, see there; returns its answer.

    :raises OSError: it does not answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(json.dumps(options).encode() + b"\n")
        return connection.makefile().readline().strip()
