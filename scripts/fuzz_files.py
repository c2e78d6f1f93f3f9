"""Fuzzed: files that are given to ``analyze`` and to options. Every flow that is read is
judged as well, and its report must be one that the schema knows."""

import gzip
import json
import math
import os
import re
import tempfile
import zlib
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import msgspec
from mitmproxy import exceptions
from mitmproxy.io import tnetstring as mitmproxy_tnetstring
from mitmproxy.options import Options
from mitmproxy.test import tflow

from cos_inspect.captures import har_entries, source, tnetstring
from cos_inspect.captures.blob import Blob
from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.har import HarFile
from cos_inspect.captures.mitm import FlowFile
from cos_inspect.captures.source import Stream
from cos_inspect.inspection.session import Session
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.proxy.flow_snapshot import FlowSnapshot
from cos_inspect.proxy.flows import request_head
from cos_inspect.proxy.options import Settings, settings_of
from cos_inspect.recording.flow_metadata import METADATA_KEY, read_flow_metadata, saved_data
from cos_inspect.report.baseline import Baseline, BaselineError, read_baseline, write_baseline
from cos_inspect.report.markdown import to_markdown
from cos_inspect.settings.addon_options import OPTIONS
from cos_inspect.settings.credentials import CredentialsError, read_credentials
from scripts.fuzz_judge import Target, agree, demand

_UNPACKED, _RATIO = 256 * 1024, 20
_HOSTS = ("*.example.com",)
_MEMORY = "/dev/shm"


@cache
def _folder() -> Path:
    """One for each process."""
    in_memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    made = tempfile.TemporaryDirectory(prefix="cos-fuzz-", dir=in_memory)
    _KEPT.append(made)
    return Path(made.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def file_of(data: bytes) -> Path:
    path = _folder() / "input"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def _read(reader: type[FlowFile | HarFile], path: Path) -> tuple[list[CapturedFlow], list[str]]:
    """The flows of a file, and what is said of the rest."""
    stream = Stream(str(path))
    remarks = InputRemarks("input")
    found: list[CapturedFlow] = []
    ended: list[str] = []
    try:
        found.extend(reader(stream, _HOSTS).saved(remarks))
    except CaptureError as error:
        ended.append(error.what)
    finally:
        stream.close()
    return found, [*remarks.notes, *remarks.faults, *ended]


def judge(exchange: Exchange) -> None:
    found = Session().inspect(exchange)
    if found is None:
        return
    encoded = msgspec.json.encode(found.report)
    msgspec.json.decode(encoded, type=FlowReport)
    encoded.decode("utf-8")
    to_markdown(found.report).encode()


_CAUGHT = re.compile(r"(?:it|a flow that) cannot be read \(([A-Z]\w+): ")
_NO_JSON = frozenset({"JSONDecodeError"})


def understood(line: str) -> None:
    """A reader goes on behind an exception that it has caught; so that this hides no fault of
    its own, it may be none but what says that a text is no JSON."""
    caught = _CAUGHT.search(line)
    if caught is not None:
        demand(caught[1] in _NO_JSON, f"the reader caught {caught[0]}")


def _mitm(data: bytes) -> None:
    path = file_of(data)
    found, lines = _read(FlowFile, path)
    for flow in found:
        if flow.exchange is not None:
            judge(flow.exchange)
        if flow.marks is not None:
            flow.marks([0, 1, 4096])
    for line in lines:
        line.encode()
        understood(line)
    with patch.object(tnetstring, "_AHEAD", 16):
        again, others = _read(FlowFile, path)
    agree("flows, read in small pieces", [f.offset for f in again], [f.offset for f in found])
    agree("what is said of the rest", others, lines)
    with patch.object(tnetstring, "_LARGEST_IN_MEMORY", 512), patch.object(tnetstring, "LARGE", 64):
        # As if it were too large for memory.
        for flow in _read(FlowFile, path)[0]:
            if flow.exchange is not None:
                judge(flow.exchange)
    _tnetstring(data)


def _tnetstring(data: bytes) -> None:
    """What is read as a flow's state is what mitmproxy reads, and can be written again."""
    length, colon, rest = data.partition(b":")
    if not colon or not length.isdigit() or len(length) > 9 or len(rest) < int(length):
        return
    inner = rest[: int(length)]
    try:
        state = tnetstring.read_state(inner, whole=True)
    except tnetstring.BadFlowError:
        return
    tnetstring.read_state(inner)
    tnetstring.read_connection(inner)
    written = mitmproxy_tnetstring.dumps(state)
    agree("the state written and read", _comparable(mitmproxy_tnetstring.loads(written)),
          _comparable(state))  # fmt: skip
    theirs = mitmproxy_tnetstring.loads(b"%d:%s}" % (len(inner), inner))
    agree("as mitmproxy reads it", _comparable(theirs), _comparable(state))


def _comparable(value: Any) -> Any:
    """NaN is equal to nothing, and a number longer than any is None."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return None
    if isinstance(value, dict):
        return {_comparable(key): _comparable(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable(held) for held in value]
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return value


def _har(data: bytes) -> None:
    path = file_of(data)
    found, lines = _read(HarFile, path)
    for flow in found:
        if flow.exchange is not None:
            judge(flow.exchange)
    for line in lines:
        line.encode()
        understood(line)
    with patch.object(har_entries, "_AHEAD", 7):
        again, others = _read(HarFile, path)
    agree("entries, read in small pieces", again, found)
    agree("what is said of the rest", others, lines)
    if data.count(b'"entries"') == 1:
        _count(data, path)


def _count(data: bytes, path: Path) -> None:
    """Each entry of good JSON is met, whatever it holds."""
    try:
        held = json.loads(data)["log"]["entries"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return
    if not isinstance(held, list) or not all(isinstance(entry, dict) for entry in held):
        return
    stream = Stream(str(path))
    try:
        met = list(har_entries.HarEntries(stream).entries())
    finally:
        stream.close()
    agree("entries met", len(met), len(held))
    for raw, entry in zip(met, held, strict=True):
        agree("an entry", _comparable(har_entries.decode(raw)), _comparable(entry))


def _json_string(data: bytes) -> None:
    """A string of a HAR that is too large for memory."""
    path = file_of(data)
    stream = Stream(str(path))
    try:
        wanted = json.loads(b'"' + data + b'"', strict=False)
    except (ValueError, RecursionError):
        wanted = None
    try:
        for size in (1, 3, 16, 4096):
            with patch("cos_inspect.captures.blob._CHUNK", size):
                try:
                    found = b"".join(har_entries.unescaped(Blob(stream, 0, len(data))))
                except ValueError:
                    demand(wanted is None, f"a good string cannot be read by {size} bytes")
                    continue
            if isinstance(wanted, str):
                agree(f"read by {size} bytes", found, _written(wanted))
    finally:
        stream.close()


def _written(text: str) -> bytes:
    """In UTF-8; the second half of some pairs stands for a byte, as mitmproxy writes it."""
    kept = "".join(
        "\ufffd" if "\ud800" <= sign <= "\udfff" and not "\udc80" <= sign <= "\udcff" else sign
        for sign in text
    )
    return kept.encode("utf-8", "surrogateescape")


def _packed(data: bytes) -> None:
    """Compressed files: what they hold, within bounds."""
    path = file_of(data)
    with (
        patch.object(source, "_UNPACKED", _UNPACKED),
        patch.object(source, "_UNPACKED_RATIO", _RATIO),
    ):
        stream = Stream(str(path))
        found = b""
        fault = None
        try:
            while piece := stream.read(4096):
                found += piece
        except CaptureError as error:
            fault = error.what
        finally:
            stream.close()
    most = _UNPACKED + _RATIO * len(data) + 4096
    demand(len(found) <= most, f"{len(data)} bytes become {len(found)}")
    if not stream.packed:
        agree("what is not compressed", found, data)
    elif fault is None:
        unpack = gzip.decompress if data.startswith(b"\x1f\x8b") else _inflated
        agree("what is compressed", found, unpack(data))


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data)


def _baseline(data: bytes) -> None:
    path = file_of(data)
    try:
        found = read_baseline(path)
    except BaselineError as error:
        str(error).encode()
        return
    entries = found.not_seen(())
    written = _folder() / "baseline"
    write_baseline(written, entries)
    agree("a baseline written and read", read_baseline(written).not_seen(()), entries)
    agree("entries that it does not know", [e for e in entries if not found.knows(e)], [])
    agree("entries not seen", found.not_seen(entries), [])
    demand(bool(found) or found.not_seen(()) == Baseline().not_seen(()), "it is empty and is not")


def _credentials(data: bytes) -> None:
    path = file_of(data)
    try:
        keys = read_credentials(path)
    except CredentialsError as error:
        said = str(error).replace(str(path), "")
        # The name of a section is told.
        lines = [line for line in data.splitlines() if b"[" not in line]
        values = [line.partition(b"=")[2].strip() for line in lines]
        told = [value for value in values if len(value) > 12 and value.decode("latin-1") in said]
        agree("values that an error tells", told, [])
        return
    demand(keys and all(name and key for name, key in keys.items()), "an empty key")
    text = "".join(
        f"[s{number}]\nsecret_id = {name}\nsecret_key = {key}\n"
        for number, (name, key) in enumerate(keys.items())
    )
    if all(text.isprintable() for pair in keys.items() for text in pair):
        agree("keys written and read", read_credentials(file_of(text.encode())), keys)


def _metadata(data: bytes) -> None:
    """What an earlier run left in a flow's metadata, as JSON."""
    try:
        held = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    flow = tflow.tflow(resp=True)
    flow.live = False
    flow.request.host = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com"
    flow.request.headers["Host"] = flow.request.host
    flow.metadata[METADATA_KEY] = held
    assert flow.response is not None
    fields, head = flow.response.headers.fields, request_head(flow.request)
    for as_it_is in (False, True):
        data_left = saved_data(flow.metadata, flow.request.timestamp_start)
        left = read_flow_metadata(data_left, head, fields, as_it_is=as_it_is)
        again = {**data_left, "received": msgspec.to_builtins(left.received)}
        found = read_flow_metadata(again, head, fields, as_it_is=as_it_is)
        agree("what was left, left again", found, left)
        for offset, crc64 in left.received.crc_marks():
            demand(crc64 < 10**20, f"the CRC-64 at {offset} is {crc64}")
        read = FlowSnapshot(flow, (), as_it_is=as_it_is).read()
        if read is not None:
            judge(read.exchange)


def _options(data: bytes) -> None:
    """Values of options, as JSON."""
    try:
        held = msgspec.json.decode(data, type=dict[str, str | list[str]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    values: dict[str, object] = {}
    for name, kind, default, _ in OPTIONS:
        given = held.get(name, default)
        values[name] = given if isinstance(given, str) == (kind is str) else default
    options = cast(Options, SimpleNamespace(**values))
    found: Settings | None = None
    try:
        found = settings_of(options)
    except exceptions.OptionsError as error:
        said = str(error)
        demand(said.startswith("cos_"), f"an error that names no option: {said:.100}")
        demand("\n" not in said, "an error of more than one line")
    if found is not None:
        agree("the same options again", settings_of(options), found)


TARGETS = (
    Target(
        name="mitm",
        parses="flow files of mitmproxy, and every flow in them judged",
        check=_mitm,
        words=(
            b"7:version;2:21#", b"4:type;4:http;", b"7:request;", b"}", b"]", b"0:~", b"4:true!",
            b"3:nan^", b"5:1e308^", b"-1", b"_", b"8:response;0:~", b"7:content;", b"0:,", b"host;",
        ),
        short=800,
        pump_every=0,
    ),
    Target(
        name="har",
        parses="HAR files, and every entry in them judged",
        check=_har,
        words=(
            b'"entries":[', b"{", b"}", b",", b"[", b"]", b'"', b"\\", b"\\ud83d", b"null",
            b"1e999", b'"request":', b'"response":', b'"headers":[', b'"content":{', b'"text":',
            b'"encoding":"base64"', b'"status":', b'"startedDateTime":', b"\xff", b"NaN",
        ),
        short=800,
        pump_every=0,
    ),
    Target(
        name="json-strings",
        parses="strings of a HAR too large for memory",
        check=_json_string,
        words=(b"\\u00e9", b"\\ud83d\\ude00", b"\\ud83d", b"\\", b"\\\\", b'\\"', b"\xc3\xa9"),
        pump_every=0,
    ),
    Target(
        name="packed",
        parses="compressed files",
        check=_packed,
        words=(b"\x1f\x8b\x08", b"\x78\x9c", b"\x00\x00", b"\xff\xff"),
    ),
    Target(
        name="baseline",
        parses="baselines of known findings",
        check=_baseline,
        words=(
            b'{"schema":"cos-inspect/baseline/1"', b'"findings":[', b'{"rule":"a"}', b'"key":',
            b'"bucket":', b'"operation":', b"}", b"null", b"\\ud800", b"\xff",
        ),
        pump_every=0,
    ),
    Target(
        name="credentials",
        parses="files of keys",
        check=_credentials,
        words=(
            b"[a]\n", b"secret_id = ", b"secret_key = ", b"\n", b"%", b"#", b";", b"\xef\xbb\xbf",
            b"[DEFAULT]\n", b"[]", b"\n ", b"\x85", b"\xe2\x80\xa8",
        ),
        short=800,
    ),
    Target(
        name="metadata",
        parses="what an earlier run left in a saved flow",
        check=_metadata,
        words=(
            b'{"version":1', b'"received":{', b'"request":[', b'"line":{', b'"marks":[[1,"2"]]',
            b'"response_body":{', b'"end":"complete"', b'"size":', b'"crc64":"1"', b'"payload":{',
            b'"kind":"aws-chunked"', b'"sample":"', b'"answer":[["A",null]]', b"}", b"1e400", b"-1",
        ),
        short=400,
        pump_every=0,
    ),
    Target(
        name="options",
        parses="values of options",
        check=_options,
        words=(
            *(f'"{name}":'.encode() for name, *_ in OPTIONS), b'"', b"{", b"}", b"~", b"\\u0000",
            b"1m", b"-1", b"never", b"..", b"[", b"*", b"\\n", b"/",
        ),
        short=800,
        pump_every=0,
    ),
)  # fmt: skip
