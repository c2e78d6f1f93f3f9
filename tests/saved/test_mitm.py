"""Flow files: the same exchanges as mitmproxy's own reader gives, and a clear end."""

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.flow import Error
from mitmproxy.io import FlowReader, FlowWriter
from mitmproxy.io import tnetstring as theirs
from mitmproxy.test import tflow

from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.mitm import FlowFile
from cos_inspect.captures.source import Stream
from cos_inspect.captures.tnetstring import BadFlowError, boundaries, read_state
from cos_inspect.digests import crc64
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import BodyEnd, Exchange
from cos_inspect.proxy import annotations
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from tests.saved.hars import answer_headers
from tests.saved.old_flows import VERSIONS, old_file

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
BODY = b"[Object Content]"


def cos_flow(body: bytes | None = BODY, method: str = "GET", **more: str) -> http.HTTPFlow:
    flow = tflow.tflow(resp=True)
    given = body or b""
    flow.request = http.Request.make(
        method,
        f"https://{HOST}/a/b.bin",
        given if method == "PUT" else b"",
        http.Headers(host=HOST, content_length=str(len(given) if method == "PUT" else 0)),
    )
    known = {each["name"]: each["value"] for each in answer_headers(given)} | more
    if method == "PUT":
        known["Content-Length"] = "0"
    flow.response = http.Response.make(200, b"" if method == "PUT" else given, known)
    flow.response.headers.clear()
    flow.response.headers.update(known)
    for message in (flow.request, flow.response):
        message.timestamp_start = 1605232800.0
        message.timestamp_end = 1605232800.5
    return flow


def saved_file(path: Path, *flows: Any) -> Path:
    with path.open("wb") as file:
        writer = FlowWriter(file)
        for flow in flows:
            writer.add(flow)
    return path


class Reading:
    def __init__(self, path: Path, begin: int = 0, end: int | None = None) -> None:
        self.remarks = InputRemarks(str(path))
        self.saved: list[CapturedFlow] = []
        self.error: CaptureError | None = None
        self.exchanges: list[Exchange] = []
        stream = Stream(str(path), begin=begin)
        try:
            for saved in FlowFile(stream, (), end).saved(self.remarks):
                self.saved.append(saved)
                if saved.exchange is not None:
                    self.exchanges.append(saved.exchange)
        except CaptureError as error:
            self.error = error
        finally:
            stream.close()


def expected(flow: http.HTTPFlow) -> Exchange:
    """By mitmproxy's reader and the hooks' way."""
    found = FlowSnapshot(flow, ()).read(opened_connection=True)
    assert found is not None
    return found.exchange


def broken_off() -> http.HTTPFlow:
    flow = cos_flow()
    flow.response = None
    flow.error = Error("connection lost")
    return flow


@pytest.mark.parametrize("make", [cos_flow, lambda: cos_flow(method="PUT"), broken_off])
def test_exchanges_are_those_of_the_hooks(make: Callable[[], Any], tmp_path: Path) -> None:
    path = saved_file(tmp_path / "a.mitm", make())
    reading = Reading(path)
    with path.open("rb") as file:
        (flow,) = FlowReader(file).stream()
    assert isinstance(flow, http.HTTPFlow)
    assert reading.exchanges == [expected(flow)]


def test_only_http_flows_count(tmp_path: Path) -> None:
    path = saved_file(
        tmp_path / "a", tflow.ttcpflow(), tflow.tdnsflow(), tflow.tflow(resp=True), cos_flow()
    )
    reading = Reading(path)
    assert [saved.exchange is None for saved in reading.saved] == [True, False]
    assert reading.error is None


def test_a_large_body_is_judged_and_not_kept(tmp_path: Path) -> None:
    body = bytes(range(256)) * 4096 * 5
    flows = [cos_flow(body), cos_flow(body, method="PUT"), cos_flow(BODY)]
    path = saved_file(tmp_path / "a", *flows)
    packed = tmp_path / "b"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    for file in (path, packed):
        reading = Reading(file)
        assert reading.error is None
        down, up, small = reading.exchanges
        assert down.response is not None
        assert (down.response.body.end, down.response.body.size) == (BodyEnd.COMPLETE, len(body))
        assert down.response.body.crc64 == crc64(body)
        assert (up.request.body.size, up.request.body.crc64) == (len(body), crc64(body))
        assert small.response is not None
        assert small.response.body.size == len(BODY)
        assert all(first_look(each) for each in reading.exchanges)


def test_saved_digests(tmp_path: Path) -> None:
    flow = cos_flow()
    flow.live = False
    inspection = first_look(expected(flow))
    assert inspection is not None
    exchange = expected(flow)
    assert exchange.response is not None
    annotations.leave(
        flow,
        inspection.report,
        visibly=True,
        request_body=exchange.request.body,
        response_body=exchange.response.body,
    )
    assert flow.response is not None
    flow.response.raw_content = None
    reading = Reading(saved_file(tmp_path / "a", flow))
    later = first_look(reading.exchanges[0])
    assert later is not None
    assert later.report == inspection.report
    assert reading.saved[0].judged


def test_marks_are_running_checksums(tmp_path: Path) -> None:
    flow = cos_flow(BODY, **{"Content-Range": f"bytes 0-{len(BODY) - 1}/99"})
    assert flow.response is not None
    flow.response.status_code = 206
    (saved,) = Reading(saved_file(tmp_path / "a", flow)).saved
    assert saved.marks is not None
    assert saved.marks([4, 9, 4, len(BODY)]) == [
        (4, crc64(BODY[:4])),
        (9, crc64(BODY[:9])),
        (len(BODY), crc64(BODY)),
    ]


def test_an_old_file(tmp_path: Path) -> None:
    flow = cos_flow()
    state = flow.get_state()
    state["version"] = 20
    path = tmp_path / "a"
    path.write_bytes(theirs.dumps(state))
    assert len(Reading(path).exchanges) == 1


def test_a_file_of_a_newer_mitmproxy(tmp_path: Path) -> None:
    state = cos_flow().get_state()
    state["version"] = 999
    path = tmp_path / "a"
    path.write_bytes(theirs.dumps(state))
    assert "999, please update mitmproxy, at byte 0" in str(Reading(path).error)


def whole_file() -> bytes:
    file = io.BytesIO()
    writer = FlowWriter(file)
    for _ in range(2):
        writer.add(cos_flow())
    return file.getvalue()


WHOLE = whole_file()


@given(st.integers(1, len(WHOLE) - 1))
def test_a_cut_file_gives_what_it_holds(tmp_path_factory: pytest.TempPathFactory, at: int) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.mitm"
    path.write_bytes(WHOLE[:at])
    reading = Reading(path)
    half = len(WHOLE) // 2
    assert len(reading.exchanges) == (1 if at >= half else 0)
    if at == half:
        assert reading.error is None
    else:
        assert reading.error is not None
        assert reading.error.offset == (half if at > half else 0)
        assert str(reading.error).startswith(f"{path}: the file ends inside the flow")


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=4))
def test_a_broken_file_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.mitm"
    path.write_bytes(WHOLE[:at] + noise + WHOLE[at + len(noise) :])
    for exchange in Reading(path).exchanges:
        first_look(exchange)


def test_a_broken_flow_costs_itself_alone(tmp_path: Path) -> None:
    half = len(WHOLE) // 2
    at = WHOLE.index(b"11:status_code;3:200#") + len(b"11:status_code;3:")
    path = tmp_path / "a"
    path.write_bytes(WHOLE[:at] + b"2x0" + WHOLE[at + 3 :])
    assert at < half
    reading = Reading(path)
    assert len(reading.exchanges) == 1
    assert reading.error is None
    (fault,) = reading.remarks.faults
    assert fault == f"{path}: a flow that cannot be read (a number is none), at byte 0"


def test_types_are_looked_at(tmp_path: Path) -> None:
    state = cos_flow().get_state()
    state["response"]["status_code"] = b"200"
    path = tmp_path / "a"
    path.write_bytes(theirs.dumps(state))
    (fault,) = Reading(path).remarks.faults
    assert "a flow whose response has no status_code that can be read" in fault


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.binary()
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES))
def test_values_are_read_as_mitmproxy_reads_them(state: dict[str, Any]) -> None:
    data = theirs.dumps(state)
    content = data[data.index(b":") + 1 : -1]
    assert read_state(content, whole=True) == theirs.loads(data)


def test_deep_nesting_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100):
        value = [value]
    data = theirs.dumps({"a": value})
    with pytest.raises(BadFlowError, match="nested too deeply"):
        read_state(data[data.index(b":") + 1 : -1], whole=True)


def test_boundaries_lie_between_flows(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(WHOLE * 5)
    stream = Stream(str(path))
    cuts = list(boundaries(stream, len(WHOLE)))
    stream.close()
    assert cuts == [len(WHOLE) * number for number in range(1, 5)]
    spans = zip([0, *cuts], [*cuts, None], strict=True)
    assert [len(Reading(path, begin, end).exchanges) for begin, end in spans] == [2] * 5


def test_flows_on_one_connection_are_told(tmp_path: Path) -> None:
    flow = cos_flow()
    flow.server_conn.timestamp_start = 1.0
    flow.server_conn.timestamp_tcp_setup = 1.25
    again = flow.copy()
    path = saved_file(tmp_path / "a", flow, again)
    reading = Reading(path)
    first, second = reading.exchanges
    assert first.timing.connect_ms == second.timing.connect_ms == 250
    assert msgspec.structs.replace(second, flow_id=first.flow_id, timing=first.timing) == first
    assert {saved.connection for saved in reading.saved} == {flow.server_conn.id}


@pytest.mark.parametrize("sign", [b"-1", b"+1", b" 1", b"1 ", b"1_0", b"\xd9\xa1", b"", b"0x1"])
def test_lengths_are_digits_alone(sign: bytes, tmp_path: Path) -> None:
    for content in (
        sign + b":a}",
        theirs.dumps({"a": b"b"}).replace(b"1:b", sign + b":b"),
        theirs.dumps({"a": [b"b"]}).replace(b"1:b", sign + b":b"),
        theirs.dumps({"a": b"b"}).replace(b"1:a", sign + b":a"),
    ):
        path = tmp_path / "a"
        inner = content[content.index(b":") + 1 : -1]
        path.write_bytes(f"{len(inner)}:".encode() + inner + b"}" if inner != b"a" else content)
        reading = Reading(path)
        assert not reading.saved
        assert reading.error is not None or reading.remarks.faults


@pytest.mark.parametrize(
    "value", [b"+1", b" 1", b"1_0", b"1.0", b"\xd9\xa1", b"", b"--1", b"1e5", b"nan"]
)
def test_numbers_are_those_that_mitmproxy_writes(value: bytes) -> None:
    with pytest.raises(BadFlowError):
        read_state(b"1:a;%d:%b#" % (len(value), value), whole=True)


def test_a_number_longer_than_any_is_unknown() -> None:
    assert read_state(b"1:a;5000:" + b"9" * 5000 + b"#", whole=True) == {"a": None}


@given(st.binary(max_size=60) | st.text("0123456789:,;#^!~]}ab", max_size=60).map(str.encode))
def test_what_is_read_is_read_so_by_mitmproxy_too(content: bytes) -> None:
    try:
        ours = read_state(content, whole=True)
    except BadFlowError:
        return
    assert repr(ours) == repr(theirs.loads(b"%d:%b}" % (len(content), content)))


NESTED = b"9" * 5_000_000
ODD_LARGE = {
    "garbage": b"%d:%b}" % (len(NESTED), NESTED),
    "no object": b"%d:%b," % (len(NESTED), NESTED),
    "a name without end": b"%d:%b}" % (len(NESTED) + 8, b"5000000:" + NESTED),
    "headers without end": theirs.dumps(
        cos_flow(bytes(5_000_000)).get_state()
        | {"request": {"headers": [[b"a", b"b" * 900_000]] * 10, "content": bytes(2_000_000)}}
    ),
}


@pytest.mark.parametrize("odd", ODD_LARGE.values(), ids=ODD_LARGE)
def test_a_large_flow_that_is_odd_costs_itself_alone(odd: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a"
    whole = theirs.dumps(cos_flow().get_state())
    path.write_bytes(whole + odd + whole)
    packed = tmp_path / "b"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    for file in (path, packed):
        reading = Reading(file)
        assert len(reading.exchanges) == 2
        assert reading.error is None
        (fault,) = reading.remarks.faults
        assert fault.endswith(f"at byte {len(whole)}")


def test_what_a_report_does_not_need_may_be_as_long_as_it_likes(tmp_path: Path) -> None:
    flow = cos_flow(bytes(range(256)) * 4096 * 5)
    state = flow.get_state() | {"metadata": {"a": b"b" * 3_000_000}, "unknown": b"c" * 9_000_000}
    path = tmp_path / "a"
    tcp = tflow.ttcpflow().get_state() | {"messages": [[True, b"d" * 9_000_000, 1.0]]}
    path.write_bytes(theirs.dumps(state) + theirs.dumps(tcp))
    reading = Reading(path)
    assert (reading.error, reading.remarks.faults) == (None, [])
    (exchange,) = reading.exchanges
    assert exchange.response is not None
    assert exchange.response.body.size == 5 * 1024 * 1024


def test_a_file_that_grows_is_read_as_long_as_it_was(tmp_path: Path) -> None:
    whole = theirs.dumps(cos_flow().get_state())
    path = tmp_path / "a"
    path.write_bytes(whole + whole[:-10])
    stream = Stream(str(path))
    with path.open("ab") as file:
        file.write(whole[-10:] + whole)
    remarks = InputRemarks(str(path))
    assert len(list(FlowFile(stream, ()).saved(remarks))) == 2, "what had begun is read whole"
    stream.close()


def test_a_file_that_becomes_shorter_is_said(tmp_path: Path) -> None:
    whole = theirs.dumps(cos_flow(bytes(200_000)).get_state())
    path = tmp_path / "a"
    path.write_bytes(whole * 2)
    stream = Stream(str(path))
    os.truncate(path, len(whole))
    with pytest.raises(CaptureError, match="became shorter"):
        list(FlowFile(stream, ()).saved(InputRemarks(str(path))))
    stream.close()


@pytest.mark.parametrize("size", [20, 5_000_000], ids=["small", "large"])
@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_every_version_is_read_as_mitmproxy_reads_it(
    version: Any, size: int, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(old_file(cos_flow(bytes(range(20)) * (size // 20)), version))
    reading = Reading(path)
    with path.open("rb") as file:
        (flow,) = FlowReader(file).stream()
    assert isinstance(flow, http.HTTPFlow)
    assert (reading.error, reading.remarks.faults) == (None, [])
    (exchange,) = reading.exchanges
    assert exchange == expected(flow)
    assert exchange.response is not None
    assert (exchange.request.host, exchange.response.body.size) == (HOST, size)
