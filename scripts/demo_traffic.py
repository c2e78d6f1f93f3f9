"""Sends clean and damaged SDK traffic through mitmdump and tells what was found.

Exit status 0 when every damage was found where it was done, and nothing clean
was accused.
"""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from qcloud_cos.cos_exception import CosClientError, CosServiceError
from rich.console import Console
from rich.table import Table
from rich.text import Text
from urllib3.exceptions import HTTPError

from tests.end_to_end.harness import (
    BUCKET,
    REGION,
    Inspected,
    Report,
    cos_client,
    rules,
    s3_client,
)
from tests.origin.damage import Damage, Effect, both, key, method
from tests.origin.effects import (
    drop_element,
    drop_headers,
    flip_body,
    sse_ignored,
    truncate,
    wrong_crc,
    wrong_etag,
)
from tests.origin.server import Origin

ROOT = Path(__file__).resolve().parent.parent
STYLES = {"ok": "green", "notice": "blue", "warning": "yellow", "error": "bold red"}
MIB = 1024 * 1024


class Story:
    """The traffic of the demo, and what has to be found in it: for an object's key and a
    method the rules that must stand there, and no other."""

    def __init__(self, origin: Origin, proxy: Inspected, folder: Path) -> None:
        self.expected: dict[tuple[str, str], frozenset[str]] = {}
        self._origin = origin
        self._proxy = proxy
        self._folder = folder
        os.environ["REQUESTS_CA_BUNDLE"] = proxy.ca_pem
        self._cos = cos_client(proxy)
        self._s3 = s3_client(proxy)

    def _file(self, name: str, size: int) -> str:
        path = self._folder / name
        path.write_bytes(os.urandom(size))
        return str(path)

    def clean(self) -> None:
        cos, s3 = self._cos, self._s3
        cos.put_object(BUCKET, b"[Object Content]", "clean/small.txt", EnableMD5=True)
        cos.get_object(BUCKET, "clean/small.txt")
        cos.upload_file(BUCKET, "clean/big.bin", self._file("big", 6 * MIB), PartSize=1)
        cos.download_file(BUCKET, "clean/big.bin", str(self._folder / "big.down"))
        cos.get_object(BUCKET, "clean/big.bin", Range="bytes=1000-1999")
        cos.put_object(BUCKET, b"kept secret", "clean/sse.txt", ServerSideEncryption="AES256")
        cos.head_object(BUCKET, "clean/sse.txt")
        cos.copy_object(
            BUCKET,
            "clean/copy.txt",
            {"Bucket": BUCKET, "Key": "clean/small.txt", "Region": REGION},
        )
        cos.append_object(BUCKET, "clean/log.txt", 0, b"first line\n")
        cos.list_objects(BUCKET, "clean/")
        cos.delete_object(BUCKET, "clean/copy.txt")
        s3.put_object(Bucket=BUCKET, Key="clean/s3.txt", Body=b"sent by boto3")
        s3.get_object(Bucket=BUCKET, Key="clean/s3.txt")["Body"].read()
        s3.upload_file(self._file("s3", 9 * MIB), BUCKET, "clean/s3.bin")

    def _damaged(
        self,
        name: str,
        verb: str,
        found: set[str],
        effects: list[Effect],
        act: Callable[[str], object],
    ) -> None:
        """One request to ``name``, with damage done to it and rules that must be found."""
        self.expected[name, verb] = frozenset(found)
        damage = Damage(*effects, when=both(key(name), method(verb)))
        self._origin.damage(damage)
        try:
            act(name)
        except (CosServiceError, CosClientError, HTTPError) as failure:
            logging.getLogger(__name__).info("%s: %s", name, failure)
        if not damage.hits:
            raise RuntimeError(f"{name}: no request met the damage")

    def damaged(self) -> None:
        cos = self._cos
        for name in ("damaged/flipped.bin", "damaged/cut.bin"):
            self._origin.put_object(BUCKET, name, os.urandom(3 * MIB))

        def read(name: str) -> bytes:
            body: bytes = cos.get_object(BUCKET, name)["Body"].get_raw_stream().read()
            return body

        def write(name: str) -> object:
            return cos.put_object(BUCKET, b"some content", name)

        self._damaged(
            "damaged/flipped.bin",
            "GET",
            {"crc64-mismatch", "etag-mismatch"},
            [flip_body(MIB)],
            read,
        )
        self._damaged("damaged/etag.txt", "PUT", {"etag-mismatch"}, [wrong_etag()], write)
        self._damaged("damaged/crc.txt", "PUT", {"crc64-mismatch"}, [wrong_crc()], write)
        self._damaged(
            "damaged/no-trace.txt",
            "GET",
            {"error-response", "trace-id-missing"},
            [drop_headers("x-cos-trace-id"), drop_element("TraceId")],
            read,
        )
        self._damaged(
            "damaged/not-encrypted.txt",
            "PUT",
            {"sse-not-applied"},
            [sse_ignored()],
            lambda name: cos.put_object(BUCKET, b"in clear", name, ServerSideEncryption="AES256"),
        )
        self._damaged("damaged/cut.bin", "GET", {"body-truncated"}, [truncate(2 * MIB)], read)


def judge(reports: list[Report], expected: dict[tuple[str, str], frozenset[str]]) -> list[str]:
    """What was missed and what was accused wrongly; empty when all is well."""
    faults = []
    open_damages = dict(expected)
    for report in reports:
        place = (report["cos"]["key"], report["request"]["method"])
        wanted = open_damages.pop(place, frozenset())
        found = frozenset(rules(report))
        if found != wanted:
            faults.append(
                f"{place[1]} {place[0]}: expected {sorted(wanted) or 'nothing'},"
                f" found {sorted(found) or 'nothing'}"
            )
    faults += [f"{verb} {name}: no report" for name, verb in open_damages]
    return faults


def show(reports: list[Report], console: Console) -> None:
    table = Table(title="COS flows", title_justify="left", expand=False)
    for column in ("#", "operation", "key", "status", "verdict", "findings"):
        table.add_column(column, overflow="fold")
    for report in reports:
        verdict = report["verdict"]
        response = report["response"]
        table.add_row(
            str(report["sequence"]),
            report["cos"]["operation"],
            report["cos"]["key"] or "",
            str(response["status"]) if response else "none",
            Text(verdict, STYLES[verdict]),
            "\n".join(rules(report)),
        )
    console.print(table)


def main() -> int:
    console = Console(width=None if sys.stdout.isatty() else 120)
    directory = ROOT / "cos-reports"
    before = set((directory / "flows").glob("*.json"))
    with tempfile.TemporaryDirectory(prefix="cos-demo-") as folder, Origin() as origin:
        with Inspected(origin, ROOT) as proxy:
            story = Story(origin, proxy, Path(folder))
            story.clean()
            story.damaged()
        shutil.rmtree(folder, ignore_errors=True)
    names = [path for path in proxy.report_dir.glob("flows/*.json") if path not in before]
    written = {int(path.name[:6]) for path in names}
    reports = [report for report in proxy.reports if report["sequence"] in written]
    show(reports, console)
    faults = judge(reports, story.expected)
    for fault in faults:
        console.print(Text(f"wrong: {fault}", "bold red"))
    console.print(
        f"Reports of these {len(reports)} flows: {directory}/index.html, {directory}/summary.json"
    )
    if faults:
        return 1
    console.print(
        f"Every one of {len(story.expected)} damages was found, and nothing clean was accused."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
