"""A real ``cos-inspect mitmweb`` in front of the COS server for tests."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import requests

from tests.end_to_end.lab import Lab
from tests.origin.proxy import Proxy
from tests.origin.server import Origin


class _MitmWeb(Proxy):
    program = ("cos-inspect", "mitmweb")


class Web(Lab):
    """``with Web(origin, folder) as web:``; ``web.address`` is mitmweb's own page."""

    def __init__(self, origin: Origin, folder: Path, *arguments: str) -> None:
        super().__init__(origin, folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/"
        self._proxy = _MitmWeb(
            origin,
            f"--set=cos_report_dir={self.report_dir}",
            "--set=cos_report_format=json",
            "--set=cos_report_format=html",
            f"--set=web_port={port}",
            "--set=web_open_browser=false",
            *arguments,
        )

    @property
    def token(self) -> str:
        line = self.wait_for_output(r"Web server listening at .*token=\w+")
        return re.sub(r".*token=", "", line).strip()

    def session(self) -> requests.Session:
        """Logged in to mitmweb."""
        session = requests.Session()
        session.trust_env = False
        session.get(self.address, params={"token": self.token}, timeout=30).raise_for_status()
        return session

    def flows(self) -> dict[str, dict[str, Any]]:
        """What mitmweb tells its page of the flows, by the last part of their paths."""
        with self.session() as session:
            flows = session.get(f"{self.address}flows", timeout=30).json()
        return {flow["request"]["path"].rpartition("/")[2]: flow for flow in flows}

    def view(self, flow: dict[str, Any], side: str, name: str = "auto") -> dict[str, Any]:
        """A content view as the page gets it."""
        with self.session() as session:
            path = f"flows/{flow['id']}/{side}/content/{name}.json"
            shown: dict[str, Any] = session.get(self.address + path, timeout=30).json()
            return shown

    def call(self, command: str, *arguments: str) -> dict[str, Any]:
        """``POST /commands/…`` as mitmweb's command bar does it."""
        with self.session() as session:
            # The token against forged requests comes with the websocket's handshake.
            session.get(f"{self.address}updates", timeout=30)
            answer = session.post(
                f"{self.address}commands/{command}",
                data=json.dumps({"arguments": arguments}),
                headers={
                    "Content-Type": "application/json",
                    "X-XSRFToken": session.cookies.get("_mitmproxy_xsrf") or "",
                },
                timeout=30,
            )
            answer.raise_for_status()
            said: dict[str, Any] = answer.json()
            return said
