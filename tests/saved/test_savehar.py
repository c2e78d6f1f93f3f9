"""The HAR that mitmproxy writes of healthy flows accuses nobody, whatever their bodies are."""

import gzip
import json
import zlib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy.addons.savehar import SaveHar

from tests.saved.flow_files import cos_flow
from tests.saved.hars import Reading

CHARSETS = ["", "utf-8", "iso-8859-1", "windows-1252", "us-ascii", "gbk", "gb2312", "gb18030"]
CHARSETS += ["big5", "shift_jis", "euc-jp", "euc-kr", "utf-16", "utf-16le", "utf-7", "nonsense"]
TYPES = ["", "text/plain", "text/html", "text/css", "application/json", "application/xml"]
TYPES += ["image/png", "application/octet-stream"]
CODINGS = {"": bytes, "gzip": lambda body: gzip.compress(body, mtime=0), "deflate": zlib.compress}
BODIES = (
    st.binary(max_size=40)
    | st.text(max_size=20).flatmap(
        lambda text: st.sampled_from(["utf-8", "gb18030", "utf-16", "utf-16-be", "utf-7"]).map(
            lambda name: text.encode(name, "ignore")
        )
    )
    | st.sampled_from(["gbk", "big5", "utf-16", "windows-1252"]).flatmap(
        lambda name: st.sampled_from(
            ["<meta charset={}>", "<?xml encoding='{}'?>", '@charset "{}";']
        ).map(lambda form: form.format(name).encode() + "Привет é".encode(name, "ignore"))
    )
    | st.sampled_from([b"\xef\xbb\xbfabc", b"\xfe\xff\x00a", b"<meta charset=gbk>\xc4", b"\x80"])
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    BODIES,
    st.sampled_from(TYPES),
    st.sampled_from(CHARSETS),
    st.sampled_from(sorted(CODINGS)),
    st.sampled_from(["GET", "PUT"]),
    st.sampled_from(["whole", "streamed", "chunked"]),
)
def test_healthy_flows_stay_healthy(
    tmp_path: Path, body: bytes, kind: str, charset: str, coding: str, method: str, sent: str
) -> None:
    content_type = f"{kind}; charset={charset}" if charset else kind
    wire = CODINGS[coding](body)
    flow = cos_flow(wire, method)
    assert flow.response is not None
    message = flow.request if method == "PUT" else flow.response
    if kind:
        message.headers["Content-Type"] = content_type
    if coding:
        message.headers["Content-Encoding"] = coding
    if sent != "whole":
        message.raw_content = None
    if sent == "chunked":
        del message.headers["Content-Length"]
        message.headers["Transfer-Encoding"] = "chunked"
    written = json.dumps(SaveHar().make_har([flow])).encode()
    (report,) = Reading(tmp_path / "a.har", written).reports
    assert [finding.rule for finding in report.findings] == []
    assert "mismatch" not in {check.status for check in report.checks}
