"""The script for curl: without secrets, and nothing in it that the wire could run."""

import subprocess

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.flow_report import FlowReport, HeaderReport
from cos_inspect.report.curl import curl_script
from tests.report.compared import HOST, sent

NAMES = st.sampled_from(
    [
        "x-cos-meta-a",
        "X-Cos-Acl",
        "Content-MD5",
        "Accept",
        "x-cos-`rm`",
        "x-cos-security-token",
        "A B",
    ]
)
TEXT = st.text(st.sampled_from("ab 你é+%'\"$`\\\n!*()~&=?#"), max_size=10)


def report_of(
    url: str, headers: list[tuple[str, str]], *, method: str = "PUT", operation: str = "PutObject"
) -> FlowReport:
    base = sent(url=url, method=method)
    described = [HeaderReport(name, value, "object", "", ()) for name, value in headers]
    return msgspec.structs.replace(
        base,
        cos=msgspec.structs.replace(base.cos, operation=operation),
        request=msgspec.structs.replace(base.request, headers=described),
    )


reports = st.builds(
    report_of,
    st.builds(
        lambda path, query: f"https://{HOST}/{path}" + (f"?{query}" if query else ""),
        TEXT.map(lambda text: text.replace("?", "")),
        TEXT,
    ),
    st.lists(st.tuples(NAMES, TEXT), max_size=5),
    method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]),
    operation=st.sampled_from(["PutObject", "GetObject", "PostObject", "CI:snapshot"]),
)


@given(reports)
def test_a_shell_reads_it_to_its_end_and_runs_nothing(report: FlowReport) -> None:
    script = curl_script(report)
    if script is None:
        return
    # Only the words are looked at: commands are functions that do nothing.
    harmless = "".join(
        f"{name}() {{ :; }}\n" for name in ("curl", "openssl", "date", "sed", "base64")
    )
    trap = "rm() { echo RAN; }\n"
    done = subprocess.run(
        ["sh"],
        input=f"COS_SECRET_ID=a COS_SECRET_KEY=b\n{harmless}{trap}{script}echo END".encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1:] == [b"END"]
    assert b"RAN" not in done.stdout


@pytest.mark.parametrize(
    "url",
    [
        f"https://{HOST}/a?q-ak=AKID&q-signature=5e5e&x-cos-security-token=t0ken&versionId=7",
        f"https://{HOST}/a?sign=q-signature%3D5e5e&versionId=7",
    ],
)
def test_secrets_are_left_out(url: str) -> None:
    report = report_of(url, [("Authorization", "q-signature=5e5e"), ("Cookie", "5e5e")])
    script = curl_script(report) or ""
    assert "5e5e" not in script
    assert "t0ken" not in script
    assert "versionid=7" in script


def test_the_tools_that_do_the_same_are_named() -> None:
    script = curl_script(sent(url=f"https://{HOST}/a.txt")) or ""
    assert "# coscmd -b examplebucket-1250000000 -r ap-guangzhou upload BODY 'a.txt'\n" in script
    assert "# coscli cp BODY cos://examplebucket-1250000000/'a.txt' -e cos." in script


def test_what_cannot_be_repeated_so_has_none() -> None:
    assert curl_script(report_of(f"https://{HOST}/", [], operation="PostObject")) is None
    assert curl_script(report_of(f"https://{HOST}/%ff", [])) is None
    assert curl_script(report_of(f"https://{HOST}/a%00b", [])) is None
