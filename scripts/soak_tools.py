"""The clients of the soak. Each thread has its own."""

import functools
import gc
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import requests
from botocore.config import Config
from qcloud_cos import CosConfig, CosS3Client

from scripts.soak_node import Node
from tests.end_to_end.harness import BUCKET, REGION, SECRET_ID, SECRET_KEY
from tests.origin.server import Origin

HTTP2_HOST = f"http2bucket-1250000000.cos.{REGION}.myqcloud.com"
"""The one host that speaks HTTP/2."""
TIMEOUT = 120
"""Seconds that a client waits; a busy machine is no fault."""

_COSCMD = "import sys; from coscmd.cos_cmd import _main; sys.exit(_main())"
_COSCMD_SETTINGS = f"""\
[common]
secret_id = {SECRET_ID}
secret_key = {SECRET_KEY}
bucket = {BUCKET}
region = {REGION}
max_thread = 2
part_size = 1
multiupload_threshold = 1000
"""


@dataclass(frozen=True)
class Setting:
    """What all clients share."""

    origin: Origin
    proxy_url: str
    ca_pem: str
    folder: Path
    node: Node | None

    @property
    def port(self) -> int:
        return int(self.proxy_url.rpartition(":")[2])


class Tools:
    """Clients are made when they are first needed."""

    def __init__(self, setting: Setting, number: int) -> None:
        self.setting = setting
        self.origin = setting.origin
        self.folder = setting.folder / f"worker-{number}"
        self.folder.mkdir(exist_ok=True)
        self.session = requests.Session()
        """Through the proxy, without retries."""
        self.session.trust_env = False
        self.session.proxies = {"http": setting.proxy_url, "https": setting.proxy_url}
        self.session.verify = setting.ca_pem

    @functools.cached_property
    def python(self) -> CosS3Client:
        """Tries once more after 5xx and broken connections."""
        config = CosConfig(
            Region=REGION,
            SecretId=SECRET_ID,
            SecretKey=SECRET_KEY,
            Proxies={"http": self.setting.proxy_url, "https": self.setting.proxy_url},
            VerifySSL=self.setting.ca_pem,
            Timeout=TIMEOUT,
        )
        session = requests.Session()
        session.trust_env = False
        return CosS3Client(config, retry=1, session=session)

    @functools.cached_property
    def s3(self) -> Any:
        """Tries once more as well."""
        return boto3.client(
            "s3",
            region_name=REGION,
            endpoint_url=f"https://cos.{REGION}.myqcloud.com",
            aws_access_key_id=SECRET_ID,
            aws_secret_access_key=SECRET_KEY,
            verify=self.setting.ca_pem,
            config=Config(
                proxies={"http": self.setting.proxy_url, "https": self.setting.proxy_url},
                s3={"addressing_style": "virtual"},
                retries={"max_attempts": 2, "mode": "standard"},
                read_timeout=TIMEOUT,
                connect_timeout=TIMEOUT,
            ),
        )

    @functools.cached_property
    def http2(self) -> httpx.Client:
        return httpx.Client(
            http1=False,
            http2=True,
            proxy=self.setting.proxy_url,
            verify=httpx.create_ssl_context(verify=self.setting.ca_pem),
            timeout=TIMEOUT,
            base_url=f"https://{HTTP2_HOST}",
            headers={"User-Agent": "soak/1"},
        )

    def coscmd(self, *arguments: str) -> None:
        """Raises ``RuntimeError`` with what it printed when it failed."""
        settings = self.folder / "cos.conf"
        settings.write_text(_COSCMD_SETTINGS)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _COSCMD, f"--config_path={settings}",
             f"--log_path={self.folder / 'cos.log'}", *arguments],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "HTTP_PROXY": self.setting.proxy_url,
                "HTTPS_PROXY": self.setting.proxy_url,
                "REQUESTS_CA_BUNDLE": self.setting.ca_pem,
            },
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def close_http2(self) -> None:
        """The next to ask for it gets a new connection."""
        if "http2" in self.__dict__:
            self.http2.close()
            del self.http2

    def close(self) -> None:
        made = self.__dict__
        self.session.close()
        if "python" in made:
            self.python._session.close()  # noqa: SLF001
        if "s3" in made:
            self.s3.close()
        self.close_http2()
        made.clear()
        # What a client has left half read is closed when nothing refers to it any more.
        gc.collect()
