"""What the clients do. Each scenario is one act: it raises where something went wrong, and
goes on as its client would where the act's fault is met."""

import contextlib
import hashlib
import io
import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
from boto3.s3.transfer import TransferConfig
from h2.errors import ErrorCodes
from hyperframe.frame import RstStreamFrame

from scripts import soak_raw
from scripts.soak_tools import HTTP2_HOST, TIMEOUT, Tools
from scripts.soak_truth import Act
from tests.end_to_end.harness import BUCKET, HOST, REGION, SECRET_ID, SECRET_KEY
from tests.origin.signing import sign, string_to_sign

MIB = 1 << 20
KMS_KEY = "48ba38aa-26c5-11ea-855c-52540085c0ff"
_PARTS = TransferConfig(multipart_threshold=MIB, multipart_chunksize=5 * MIB, max_concurrency=2)


class WrongBytesError(Exception):
    """What came is not what was sent."""


def same(came: bytes, sent: bytes) -> None:
    if came != sent:
        raise WrongBytesError(f"{len(came)} bytes came, {len(sent)} were sent")


def _small_size(act: Act) -> int:
    return act.random.choice((1000, 4096, 20_000, 150_000, 600_000))


def _large_size(act: Act) -> int:
    return MIB + act.random.randrange(50_000, MIB)


def _python_put_and_get(act: Act, tools: Tools, size: int) -> None:
    client, data = tools.python, act.content(size)
    # With its MD5 the server itself would refuse what is damaged on the way.
    with_md5 = act.fault is None and act.random.random() < 0.5
    client.put_object(BUCKET, data, act.key, EnableMD5=with_md5)
    if act.fault is None:
        same(tools.origin.get_object(BUCKET, act.key), data)
    client.head_object(BUCKET, act.key)
    came = client.get_object(BUCKET, act.key)["Body"].get_raw_stream().read()
    if act.fault is None:
        same(came, data)
    client.delete_object(BUCKET, act.key)


def python_small(act: Act, tools: Tools) -> None:
    _python_put_and_get(act, tools, _small_size(act))


def python_large(act: Act, tools: Tools) -> None:
    """More than ``cos_stream`` by default."""
    _python_put_and_get(act, tools, _large_size(act))


def python_multipart(act: Act, tools: Tools) -> None:
    data = act.content(2 * MIB + act.random.randrange(1000, MIB))
    path = tools.folder / "upload"
    path.write_bytes(data)
    client = tools.python
    client.upload_file(BUCKET, act.key, str(path), PartSize=1, MAXThread=2)
    back = tools.folder / "download"
    client.download_file(BUCKET, act.key, str(back), PartSize=1, MAXThread=2)
    if act.fault is None:
        same(back.read_bytes(), data)


def python_ranges(act: Act, tools: Tools) -> None:
    data = act.content(act.random.choice((30_000, 3 * MIB)))
    tools.origin.put_object(BUCKET, act.key, data)
    third = len(data) // 3
    came = b""
    for first, last in ((0, third - 1), (third, 2 * third - 1), (2 * third, len(data) - 1)):
        try:
            answer = tools.python.get_object(BUCKET, act.key, Range=f"bytes={first}-{last}")
            came += answer["Body"].get_raw_stream().read()
        except Exception:
            if act.fault is None:
                raise
    if act.fault is None:
        same(came, data)


def python_append(act: Act, tools: Tools) -> None:
    pieces = [act.content(act.random.randrange(1000, 50_000), str(n)) for n in range(3)]
    position = 0
    for piece in pieces:
        answer = tools.python.append_object(BUCKET, act.key, position, piece)
        position = int(answer["x-cos-next-append-position"])
    if act.fault is None:
        same(tools.origin.get_object(BUCKET, act.key), b"".join(pieces))


def python_encrypted(act: Act, tools: Tools) -> None:
    data = act.content(_small_size(act))
    # What is answered in the fault's place must differ from what was asked for.
    if act.fault is not None or act.random.random() < 0.5:
        wanted = {"ServerSideEncryption": "cos/kms", "SSEKMSKeyId": KMS_KEY}
    else:
        wanted = {"ServerSideEncryption": "AES256"}
    tools.python.put_object(BUCKET, data, act.key, **wanted)
    came = tools.python.get_object(BUCKET, act.key)["Body"].get_raw_stream().read()
    same(came, data)


def python_others(act: Act, tools: Tools) -> None:
    """Copies, lists and multiple deletes."""
    client, data = tools.python, act.content(_small_size(act))
    client.put_object(BUCKET, data, f"{act.key}/source")
    source = {"Bucket": BUCKET, "Key": f"{act.key}/source", "Region": REGION}
    client.copy_object(BUCKET, f"{act.key}/copy", source)
    same(tools.origin.get_object(BUCKET, f"{act.key}/copy"), data)
    listed = client.list_objects(BUCKET, Prefix=act.key)["Contents"]
    if len(listed) != 2:
        raise WrongBytesError(f"{len(listed)} objects are listed, there are 2")
    client.delete_objects(BUCKET, {"Object": [{"Key": item["Key"]} for item in listed]})


def python_signature(act: Act, tools: Tools) -> None:
    """A request that is signed by hand, as a client of one's own may do it."""
    data = act.content(1000)
    tools.origin.put_object(BUCKET, act.key, data)
    kind = act.fault.name if act.fault else ""
    start = int(time.time()) - (7200 if kind == "signed-long-ago" else 60)
    window = f"{start};{start + 3600}"
    verb = "put" if kind == "signed-for-other-method" else "get"
    secret = "another" if kind == "signed-with-other-key" else SECRET_KEY
    text = string_to_sign(window, f"{verb}\n/{act.key}\n\nhost={HOST}\n")
    authorization = (
        f"q-sign-algorithm=sha1&q-ak={SECRET_ID}&q-sign-time={window}&q-key-time={window}"
        f"&q-header-list=host&q-url-param-list=&q-signature={sign(secret, window, text)}"
    )
    answer = tools.session.get(
        f"https://{HOST}/{quote(act.key)}", headers={"Authorization": authorization}, timeout=120
    )
    if act.fault is None:
        same(answer.content, data)


def boto3_small(act: Act, tools: Tools) -> None:
    data = act.content(_small_size(act))
    place = {"Bucket": BUCKET, "Key": act.key}
    tools.s3.put_object(**place, Body=data)
    tools.s3.head_object(**place)
    came = tools.s3.get_object(**place)["Body"].read()
    if act.fault is None:
        same(came, data)
    tools.s3.delete_object(**place)


def boto3_multipart(act: Act, tools: Tools) -> None:
    data = act.content(5 * MIB + act.random.randrange(1000, MIB))
    tools.s3.upload_fileobj(io.BytesIO(data), BUCKET, act.key, Config=_PARTS)
    came = io.BytesIO()
    tools.s3.download_fileobj(BUCKET, act.key, came, Config=_PARTS)
    if act.fault is None:
        same(came.getvalue(), data)


def _node(act: Act, tools: Tools, step: str, size: int) -> None:
    assert tools.setting.node is not None
    md5 = tools.setting.node.call(step, act.key, size)
    if act.fault is None and md5 != hashlib.md5(act.content(size)).hexdigest():
        raise WrongBytesError("node got other bytes than it sent")


def node(act: Act, tools: Tools) -> None:
    _node(act, tools, "small", _small_size(act))


def node_sliced(act: Act, tools: Tools) -> None:
    _node(act, tools, "sliced", 2 * MIB + act.random.randrange(1000, MIB))


def coscmd(act: Act, tools: Tools) -> None:
    data = act.content(_small_size(act))
    (tools.folder / "coscmd-up").write_bytes(data)
    back = tools.folder / "coscmd-back"
    back.unlink(missing_ok=True)
    tools.coscmd("upload", "coscmd-up", act.key)
    tools.coscmd("download", act.key, back.name)
    if act.fault is None:
        same(back.read_bytes(), data)
    tools.coscmd("delete", "-f", act.key)


def http2(act: Act, tools: Tools) -> None:
    data = act.content(_large_size(act))
    tools.http2.put(f"/{act.key}", content=data).raise_for_status()
    answer = tools.http2.get(f"/{act.key}")
    if act.fault is None:
        answer.raise_for_status()
        same(answer.content, data)


def http2_abort(act: Act, tools: Tools) -> None:
    """Resets the stream inside a download; the connection and its other streams go on."""
    if act.fault is None:
        http2(act, tools)
        return
    tools.origin.put_object(HTTP2_HOST.partition(".")[0], act.key, act.content(2 * MIB))
    patience = httpx.Timeout(TIMEOUT, read=soak_raw.PATIENCE)
    try:
        with tools.http2.stream("GET", f"/{act.key}", timeout=patience) as answer:
            with contextlib.suppress(httpx.ReadTimeout):
                next(answer.iter_raw(), b"")
            # The library only stops to read.
            reset = RstStreamFrame(answer.extensions["stream_id"], error_code=ErrorCodes.CANCEL)
            answer.extensions["network_stream"].write(reset.serialize())
    except httpx.ReadTimeout:
        # A proxy that keeps the whole body sends nothing yet, and the server waits.
        tools.close_http2()


def untrusting(act: Act, tools: Tools) -> None:
    """A client that does not trust the proxy's certificate."""
    if act.fault is None:
        tools.session.put(f"https://{act.host}/{act.key}", data=b"abc", timeout=120)
        return
    context = ssl.create_default_context()
    with (
        soak_raw.tunnel(tools, act.host) as connection,
        soak_raw.expected(ssl.SSLError),
        context.wrap_socket(connection, server_hostname=act.host),
    ):
        pass


Scenario = Callable[[Act, Tools], Any]

SCENARIOS: dict[str, tuple[Scenario, float]] = {
    "python-small": (python_small, 6),
    "python-large": (python_large, 3),
    "python-multipart": (python_multipart, 2),
    "python-ranges": (python_ranges, 2),
    "python-append": (python_append, 2),
    "python-encrypted": (python_encrypted, 2),
    "python-others": (python_others, 2),
    "python-signature": (python_signature, 2),
    "boto3-small": (boto3_small, 4),
    "boto3-multipart": (boto3_multipart, 1),
    "node": (node, 4),
    "node-sliced": (node_sliced, 1),
    "coscmd": (coscmd, 0.3),
    "http2": (http2, 3),
    "http2-abort": (http2_abort, 1),
    "raw": (soak_raw.raw, 6),
    "burst": (soak_raw.burst, 0.3),
    "untrusting": (untrusting, 0.5),
}
"""Each with its weight among the others."""
