"""A real mitmdump with the addon, in front of the COS server for tests."""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import jsonschema
import pytest
from botocore.config import Config
from qcloud_cos import CosConfig, CosS3Client

from cos_inspect.model.schema import schema
from tests.origin.proxy import Proxy
from tests.origin.server import Origin

ADDON = Path(__file__).resolve().parents[2] / "cos_inspect" / "addon.py"
BUCKET = "examplebucket-1250000000"
REGION = "ap-guangzhou"
HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"
SECRET_ID = "AKIDexampleexampleexampleexampleexa"
SECRET_KEY = "exampleexampleexampleexampleexam"

Report = dict[str, Any]


class Inspected:
    """``with Inspected(origin, tmp_path) as proxy:`` … and behind it ``proxy.reports``.

    Every report that was written is checked against the schema.
    """

    def __init__(self, origin: Origin, folder: Path, *arguments: str) -> None:
        self.report_dir = folder / "cos-reports"
        self._proxy = Proxy(
            origin, f"--scripts={ADDON}", f"--set=cos_report_dir={self.report_dir}", *arguments
        )
        self.status: int | None = None
        """mitmdump's exit status, once it has ended."""

    def __enter__(self) -> Self:
        self._proxy.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._proxy.__exit__(kind, value, trace)

    def stop(self, end: Callable[[int], object] | None = None) -> None:
        """Ends mitmdump by SIGTERM, or by what is given, which gets the process's id; its
        reports are then whole."""
        if self.status is None:
            self.status = self._proxy.stop(end)

    @property
    def url(self) -> str:
        return self._proxy.url

    @property
    def port(self) -> int:
        return self._proxy.port

    @property
    def proxies(self) -> dict[str, str]:
        return {"http": self.url, "https": self.url}

    @property
    def ca_pem(self) -> str:
        return self._proxy.ca_pem

    @property
    def output(self) -> str:
        """What mitmdump printed so far."""
        return "".join(self._proxy.output)

    @property
    def reports(self) -> list[Report]:
        """All flow reports on disk, by sequence."""
        return read_reports(self.report_dir)

    @property
    def summary(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.report_dir / "summary.json").read_text())
        _VALIDATOR.validate(read)
        return read


_VALIDATOR = jsonschema.Draft202012Validator(schema())


def read_reports(directory: Path) -> list[Report]:
    reports = []
    for path in sorted((directory / "flows").glob("*.json")):
        report: Report = json.loads(path.read_text())
        _VALIDATOR.validate(report)
        reports.append(report)
    return reports


@contextlib.contextmanager
def one_proxy(folder: Path, *arguments: str) -> Iterator[tuple[Origin, Inspected]]:
    """Server and proxy for all the tests of a module; the CA is trusted by requests."""
    with (
        Origin() as origin,
        pytest.MonkeyPatch.context() as patch,
        Inspected(origin, folder, *arguments) as proxy,
    ):
        patch.setenv("REQUESTS_CA_BUNDLE", proxy.ca_pem)
        yield origin, proxy
    assert not origin.faults


def only(reports: Sequence[Report], operation: str, key: str | None = None) -> Report:
    """The one report of this operation, on this key where one is given."""
    found = [report for report in by_operation(reports, operation) if report["cos"]["key"] == key]
    assert len(found) == 1, f"{len(found)} reports of {operation} {key}"
    return found[0]


def header(report: Report, side: str, name: str) -> dict[str, Any] | None:
    """The first header field of this name, in any case."""
    for field in report[side]["headers"]:
        if field["name"].lower() == name.lower():
            found: dict[str, Any] = field
            return found
    return None


def rules(report: Report) -> list[str]:
    return [finding["rule"] for finding in report["findings"]]


def checks(report: Report) -> dict[tuple[str, str], str]:
    """(check, body) to its status, or to the reason why it was skipped."""
    return {
        (check["check"], check["body"]): check["reason"] or check["status"]
        for check in report["checks"]
    }


def by_operation(reports: Sequence[Report], name: str) -> list[Report]:
    return [report for report in reports if report["cos"]["operation"] == name]


def accused(reports: Sequence[Report]) -> list[tuple[str, list[str]]]:
    """Flows with a warning or an error, and why; empty for clean traffic."""
    return [
        (report["cos"]["operation"], rules(report))
        for report in reports
        if report["verdict"] in ("warning", "error")
    ]


def cos_client(
    proxy: Inspected, scheme: str = "https", *, anonymous: bool = False, **settings: Any
) -> CosS3Client:
    """The Python SDK through the proxy. It trusts the proxy by REQUESTS_CA_BUNDLE,
    which ``tests/end_to_end/conftest.py`` sets."""
    return CosS3Client(
        CosConfig(
            Region=REGION,
            Scheme=scheme,
            Proxies=proxy.proxies,
            Anonymous=anonymous,
            **{"SecretId": SECRET_ID, "SecretKey": SECRET_KEY} | settings,
        )
    )


def s3_client(proxy: Inspected, **settings: Any) -> Any:
    """boto3 through the proxy, as its users configure it for COS."""
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=f"https://cos.{REGION}.myqcloud.com",
        aws_access_key_id=SECRET_ID,
        aws_secret_access_key=SECRET_KEY,
        verify=proxy.ca_pem,
        config=Config(
            proxies=proxy.proxies,
            s3={"addressing_style": "virtual"},
            retries={"max_attempts": 1},
            **settings,
        ),
    )
