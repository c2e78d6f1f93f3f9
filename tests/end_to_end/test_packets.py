"""Real packets on loopback: the SDK's traffic as tcpdump or dumpcap see it."""

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3.exceptions
import urllib3.util.connection
from qcloud_cos import CosClientError, CosConfig, CosS3Client, CosServiceError

from tests.end_to_end.harness import BUCKET, REGION, SECRET_ID, SECRET_KEY, Report, rules
from tests.end_to_end.later import analyzed, flat
from tests.end_to_end.packet_capture import capturing, needs_packets
from tests.origin.damage import Damage, both, key, method
from tests.origin.effects import chunked, no_reply, truncate, wrong_crc
from tests.origin.proxy import Proxy
from tests.origin.server import Origin

pytestmark = [pytest.mark.end_to_end, needs_packets]

BODY = random.Random(18).randbytes((1 << 20) + 77)
OF_THE_PROXY = frozenset(
    {
        "flow_id",
        "sequence",
        "started",
        "ticket",
        "connection.client",
        *(f"timing.{name}_ms" for name in ("connect", "request", "response", "total", "wait")),
    }
)
"""What a proxy and a capture cannot have in common: ids, clocks, and who connected. A ticket line
names the moment."""


def client(url: str | None) -> CosS3Client:
    proxies = None if url is None else {"http": url, "https": url}
    config = CosConfig(
        Region=REGION,
        SecretId=SECRET_ID,
        SecretKey=SECRET_KEY,
        Scheme="http",
        Proxies=proxies,
        Timeout=60,
    )
    return CosS3Client(config, retry=0)


def some_traffic(cos: CosS3Client) -> None:
    for number in range(4):
        name = f"small-{number}"
        cos.put_object(Bucket=BUCKET, Key=name, Body=b"x" * number * 1000, EnableMD5=True)
        cos.get_object(Bucket=BUCKET, Key=name)["Body"].get_raw_stream().read()
        cos.head_object(Bucket=BUCKET, Key=name)
        cos.delete_object(Bucket=BUCKET, Key=name)
    cos.put_object(Bucket=BUCKET, Key="large", Body=BODY)
    source = {"Bucket": BUCKET, "Key": "large", "Region": REGION}
    for copy in ("damaged", "chunked"):
        cos.copy_object(Bucket=BUCKET, Key=copy, CopySource=source)
    for name in ("large", "damaged", "chunked"):
        cos.get_object(Bucket=BUCKET, Key=name)["Body"].get_raw_stream().read()
    upload = cos.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    parts = []
    for number in (1, 2):
        done = cos.upload_part(
            Bucket=BUCKET, Key="parts", Body=BODY, PartNumber=number, UploadId=upload
        )
        parts.append({"PartNumber": number, "ETag": done["ETag"]})
    cos.complete_multipart_upload(
        Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={"Part": parts}
    )
    cos.list_objects(Bucket=BUCKET)
    for missing in (cos.get_object, cos.head_object):
        with pytest.raises(CosServiceError):
            missing(Bucket=BUCKET, Key="missing")


def damage(origin: Origin) -> None:
    origin.damage(Damage(wrong_crc(), when=both(method("GET"), key("damaged"))))
    origin.damage(Damage(chunked(), when=both(method("GET"), key("chunked"))))


def by_request_id(reports: list[Report]) -> dict[str, Report]:
    return {each["ids"]["request_id"]: each for each in reports}


def heads_by_tshark(capture: Path) -> list[tuple[str, int | None]] | None:
    """Methods and the statuses of their answers as Wireshark pairs them; None without it."""
    program = shutil.which("tshark")
    if program is None:
        return None
    fields = ("tcp.stream", "http.request.method", "http.response.code", "http.request_in")
    command = [program, "-r", str(capture), "-Y", "http", "-T", "fields", "-E", "separator=,"]
    command += ["-o", "tcp.reassemble_out_of_order:TRUE"]
    for field in ("frame.number", *fields):
        command += ["-e", field]
    # Ports of servers are known to it by number alone.
    done = subprocess.run(
        [*command, "-d", "tcp.port==1-65535,http"], capture_output=True, text=True, check=True
    )
    asked: dict[str, str] = {}
    answered: dict[str, int] = {}
    for line in done.stdout.splitlines():
        number, _, method_name, status, request = line.split(",")
        if method_name:
            asked[number] = method_name
        elif status and not status.startswith("1"):
            answered[request] = int(status)
    return [(name, answered.get(number)) for number, name in asked.items()]


@pytest.mark.parametrize("by", [("dumpcap", "tcpdump"), ()], ids=["a tool", "a packet socket"])
def test_a_capture_has_the_reports_of_the_proxy(
    by: tuple[str, ...], origin: Origin, tmp_path: Path
) -> None:
    """Of the same traffic: it is captured between the proxy and the server."""
    damage(origin)
    flows, packets = tmp_path / "proxy.mitm", tmp_path / "packets.pcapng"
    with (
        capturing(packets, origin.http_port, by=by),
        Proxy(origin, "-w", str(flows)) as proxy,
    ):
        some_traffic(client(proxy.url))
    of_proxy = by_request_id(analyzed(flows, tmp_path / "of-proxy"))
    of_packets = by_request_id(analyzed(packets, tmp_path / "of-packets"))
    assert len(of_proxy) > 25
    assert of_packets.keys() == of_proxy.keys()
    for request_id, report in of_proxy.items():
        one, other = flat(report), flat(of_packets[request_id])
        differing = {name for name in one | other if one.get(name) != other.get(name)}
        assert differing <= OF_THE_PROXY, (report["cos"]["operation"], differing)
        assert other["connection.server"] == f"127.0.0.1:{origin.http_port}"


def test_traffic_without_a_proxy(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK straight to the server; names are resolved to it."""
    damage(origin)
    connect: Callable[..., Any] = urllib3.util.connection.create_connection

    def to_the_server(address: tuple[str, int], *args: Any, **more: Any) -> Any:
        return connect(("127.0.0.1", origin.http_port), *args, **more)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", to_the_server)
    packets = tmp_path / "packets.pcapng"
    origin.damage(
        Damage(truncate(after=1000), when=key("cut")),
        Damage(truncate(after=1000, by_reset=True), when=key("reset")),
        Damage(no_reply(), when=key("nothing")),
    )
    with capturing(packets, origin.http_port, by=("dumpcap", "tcpdump")):
        some_traffic(client(None))
        for name in ("cut", "reset", "nothing"):
            origin.put_object(BUCKET, name, BODY)
            with pytest.raises((CosClientError, urllib3.exceptions.HTTPError)):
                client(None).get_object(Bucket=BUCKET, Key=name)["Body"].get_raw_stream().read()
    reports = analyzed(packets, tmp_path / "of-packets")
    assert len(reports) == len(origin.requests)
    told = heads_by_tshark(packets)
    if told is not None:
        # It shows no answer whose body is cut.
        cut = [each for each in reports if "body-truncated" in rules(each)]
        ours = [
            (
                each["request"]["method"],
                each["response"]["status"] if each["response"] and each not in cut else None,
            )
            for each in reports
        ]
        assert sorted(map(str, ours)) == sorted(map(str, told))
    found = [(each["cos"]["operation"], rules(each)) for each in reports]
    accused = [(name, told) for name, told in found if told and told != ["credentials-in-clear"]]
    assert accused == [
        ("GetObject", ["crc64-mismatch"]),
        ("GetObject", ["error-response"]),
        ("HeadObject", ["error-response"]),
        ("GetObject", ["body-truncated"]),
        ("GetObject", ["body-truncated"]),
        ("GetObject", ["connection-failed"]),
    ]
