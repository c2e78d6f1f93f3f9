"""No secret is left in any output of the addon or of ``analyze``, wherever it stands and
however it is written. Everything happens in this process; see also the end-to-end tests."""

import hashlib
import json
import logging
import re
import string
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy import contentviews, ctx, exceptions, http
from mitmproxy.test import taddons

from cos_inspect.cli.commands import main
from cos_inspect.proxy.inspector import CosInspect
from cos_inspect.report.formats import FORMATS
from tests.planted import (
    ECHOES,
    ENCODINGS,
    HOMES,
    IN_ERRORS,
    PIECE,
    SECRET_ID,
    SENT,
    Draft,
    Search,
    opened,
)
from tests.saved.flow_files import saved_file

PLAIN = Draft(
    path="/dir/other.txt", status=200, headers=[("x-cos-meta-note", "abc")], started=SENT + 9
)
"""An exchange without a secret, to compare others with."""
SECRET = "Kx4PLTbOuYhLfPpbQZhFs/a+b=0zQ9"


class _Lines(logging.Handler):
    """All that is logged, as a file would have it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def logged() -> Iterator[list[str]]:
    handler, root = _Lines(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


def files_in(folder: Path, but: str = "assets") -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not {"assets", but} & set(path.relative_to(folder).parts)
        and path.name != "index.html"
    }


def _shown(flow: http.HTTPFlow, other: http.HTTPFlow) -> dict[str, str]:
    """What interfaces show of a flow."""
    outputs = {}
    for message in filter(None, (flow.request, flow.response)):
        view = contentviews.prettify_message(message, flow, "cos")
        outputs[f"view of the {type(message).__name__}"] = view.text
    call = ctx.master.commands.call
    outputs["report"] = call("cos.report", flow)
    outputs["table"] = "\n".join(call("cos.summary", [flow]))
    outputs["comparison"] = "\n".join(call("cos.compare", [flow, other]))
    for command in ("ticket", "curl"):
        try:
            outputs[command] = call(f"cos.{command}", flow)
        except exceptions.CommandError as error:
            outputs[command] = str(error)
    outputs["comment"] = flow.comment
    outputs["metadata"] = repr(flow.metadata)
    return outputs


def _printed(folder: Path, count: int) -> dict[str, str]:
    """What the shell's commands print of the flows of a report directory."""
    outputs = {}
    runner, where = CliRunner(), f"--report-dir={folder}"
    for number in range(1, count + 1):
        for command in ("show", "compare"):
            numbers = [str(number)] if command == "show" else [str(number), str(count)]
            result = runner.invoke(main, [command, *numbers, where])
            assert result.exit_code == 0, result.output
            outputs[f"{command} {number}"] = result.output
    return outputs


def live(*drafts: Draft, folder: Path, redact: bool = True) -> dict[str, str]:
    """Everything that the addon writes, shows and leaves on the flows, and what is made of
    them when they were saved."""
    addon = CosInspect()
    outputs: dict[str, str] = {}
    flows = [draft.flow() for draft in (*drafts, PLAIN)]
    with logged() as lines, taddons.context(addon) as context:
        try:
            context.configure(
                addon,
                cos_report_dir=str(folder),
                cos_report_format=list(FORMATS),
                cos_redact="true" if redact else "false",
            )
            for draft, flow in zip((*drafts, PLAIN), flows, strict=True):
                # Only of flows that begin before its eyes the addon looks for changes.
                flow.live = True
                addon.requestheaders(flow)
                flow.live = False
                draft.change(flow)
                addon.request(flow)
                if flow.response is None:
                    addon.error(flow)
                else:
                    addon.responseheaders(flow)
                    addon.response(flow)
            call = ctx.master.commands.call
            outputs["run"] = "\n".join(call("cos.summary"))
            for number, flow in enumerate(flows):
                shown = _shown(flow, flows[-1])
                outputs |= {f"{number} {name}": text for name, text in shown.items()}
            addon.done()
            saved = later(*flows, folder=folder) if redact else {}
            outputs |= {f"saved live, {name}": text for name, text in saved.items()}
            for number, flow in enumerate(flows):
                outputs[f"{number} judged again"] = "\n".join(call("cos.recheck", [flow]))
                outputs[f"{number} comment then"] = flow.comment
        finally:
            context.master._legacy_log_events.uninstall()
    outputs["log"] = "\n".join(lines)
    return outputs | files_in(folder, but="later") | _printed(folder, len(flows))


def later(*flows: http.HTTPFlow, folder: Path) -> dict[str, str]:
    """Everything that ``analyze`` writes and prints."""
    folder = folder / "later"
    folder.mkdir()
    capture = saved_file(folder / "a.mitm", *flows)
    reports = folder / "reports"
    arguments = ["analyze", str(capture), f"--report-dir={reports}"]
    arguments += [f"--format={name}" for name in FORMATS]
    arguments += [f"--write-baseline={folder / 'baseline.json'}"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    baseline = (folder / "baseline.json").read_text()
    outputs = {"printed": result.output, "baseline": baseline, **files_in(reports)}
    return outputs | _printed(reports, len(flows))


def as_sent(draft: Draft) -> http.HTTPFlow:
    """As a mitmproxy without the addon saves it."""
    flow = draft.flow()
    draft.change(flow)
    return flow


def leaks(secret: str, *drafts: Draft) -> list[str]:
    search = Search(secret)
    with TemporaryDirectory() as name:
        folder = Path(name)
        outputs = live(*drafts, folder=folder / "live")
        saved = later(*(as_sent(draft) for draft in drafts), folder=folder)
        outputs |= {f"later {key}": text for key, text in saved.items()}
    assert len(outputs) > 40
    if any("" in draft.changed.values() for draft in drafts):
        # What was taken away a mitmproxy without the addon does not name any more.
        outputs = {name: text for name, text in outputs.items() if not name.startswith("later")}
    return search.places(outputs)


class Run:
    """Many drafts in one run, each with a secret of its own."""

    def __init__(self, *, redact: bool) -> None:
        self._redact = redact
        self._secrets: dict[str, str] = {}
        self._drafts: list[Draft] = []
        self._opened: dict[str, str] = {}
        self._words = ""

    def plant(self, name: str, status: int = 403) -> tuple[Draft, str]:
        """A draft, and the secret that is to stand in it."""
        number = len(self._drafts)
        draft = Draft(path=f"/dir/{number}", status=status, started=SENT + number)
        digest = hashlib.sha256(name.encode()).digest()
        secret = self._secrets[name] = f"{b64encode(digest)[:28].decode()}/a+b=0zQ"
        self._drafts.append(draft)
        return draft, secret

    def go(self) -> Self:
        with TemporaryDirectory() as name:
            folder = Path(name)
            outputs = live(*self._drafts, folder=folder / "live", redact=self._redact)
            if self._redact:
                saved = later(*(as_sent(draft) for draft in self._drafts), folder=folder)
                outputs |= {f"later {key}": text for key, text in saved.items()}
        assert len(outputs) > 10 * len(self._drafts)
        self._opened = {name: opened(text) for name, text in outputs.items()}
        # Most of one output stands in others as well.
        self._words = "\n".join(
            {word for text in self._opened.values() for word in _WORD.findall(text)}
        )
        return self

    def places(self, name: str) -> list[str]:
        """Where its secret stands."""
        search = Search(self._secrets[name])
        if not search.is_in(self._words):
            return []
        return [place for place, text in self._opened.items() if search.is_in(text)]


_WORD = re.compile(r"[a-z0-9+/=]{12,}")
"""Of these signs the secrets are."""
_TWICE = [(encoding, status) for encoding in ENCODINGS for status in (200, 403)]


def planted(*, redact: bool) -> Run:
    run = Run(redact=redact)
    for home, plant in HOMES.items():
        plant(*run.plant(home))
    if redact:
        for encoding, status in _TWICE:
            draft, secret = run.plant(f"{encoding} {status}", status)
            HOMES["x-cos-security-token"](draft, secret)
            for plant in ECHOES.values():
                plant(draft, ENCODINGS[encoding](secret))
    else:
        for echo, plant in ECHOES.items():
            plant(*run.plant(echo))
    return run.go()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("status", [200, 403])
def test_what_was_taken_away_is_masked_in_a_saved_flow_as_it_was_live(
    encoding: str, status: int, tmp_path: Path
) -> None:
    draft = Draft(status=status)
    HOMES["a token that a script takes away"](draft, SECRET)
    for plant in ECHOES.values():
        plant(draft, ENCODINGS[encoding](SECRET))
    outputs = live(draft, folder=tmp_path)
    assert Search(SECRET).places(outputs) == []

    def flow_report(name: str) -> dict[str, object]:
        (text,) = [
            text
            for place, text in outputs.items()
            if place.startswith(name) and place.endswith(".json")
        ]
        report: dict[str, object] = json.loads(text)
        return report

    met = flow_report("flows/000001")
    later = flow_report("saved live, flows/000001")
    assert later == met
    assert json.dumps(met).count("[masked:") > 5


@pytest.fixture(scope="module")
def masked() -> Run:
    return planted(redact=True)


@pytest.fixture(scope="module")
def unmasked() -> Run:
    return planted(redact=False)


@pytest.mark.parametrize("home", HOMES)
def test_a_secret_is_masked_in_its_own_place(masked: Run, home: str) -> None:
    assert masked.places(home) == []


@pytest.mark.parametrize(("encoding", "status"), _TWICE)
def test_a_secret_is_masked_where_it_is_repeated(masked: Run, encoding: str, status: int) -> None:
    assert masked.places(f"{encoding} {status}") == []


@pytest.mark.parametrize("place", [*HOMES, *ECHOES])
def test_without_masks_the_search_finds_it(unmasked: Run, place: str) -> None:
    # The fields of a form stand in no report.
    assert unmasked.places(place) or place.startswith("form")


@pytest.mark.parametrize("echo", ["Message", "Code", "RequestId", "TraceId", "ETag", "the key"])
def test_what_flows_say_together_holds_none(echo: str) -> None:
    """A try that failed is told of with the one that came after it, which has no token."""
    failed, again, read = (
        Draft(status=status, started=SENT + number) for number, status in enumerate((503, 200, 200))
    )
    HOMES["x-cos-security-token"](failed, SECRET)
    for draft in (failed, again, read) if echo == "the key" else (failed,):
        ECHOES[echo](draft, ENCODINGS["as it is"](SECRET))
        if draft is not failed:
            HOMES["x-cos-security-token"](draft, SECRET)
    assert leaks(SECRET, failed, again, read) == []


def test_without_masks_flows_say_it_together(tmp_path: Path) -> None:
    failed, again = Draft(status=503), Draft(status=200, started=SENT + 1)
    ECHOES["Code"](failed, SECRET)
    outputs = live(failed, again, folder=tmp_path, redact=False)
    assert {"summary.json", "1 comment"} <= set(Search(SECRET).places(outputs))


def test_an_upload_whose_id_holds_a_secret() -> None:
    parts = [
        Draft(
            method="PUT",
            status=status,
            started=SENT + place,
            query=[f"partNumber={number}", f"uploadId={SECRET}"],
        )
        for place, (number, status) in enumerate(((1, 503), (1, 200), (2, 200)))
    ]
    HOMES["X-Token"](parts[0], SECRET)
    HOMES["X-Token"](parts[2], SECRET)
    assert "later summary.json" not in leaks(SECRET, *parts)


def of(signs: str, least: int, most: int) -> st.SearchStrategy[str]:
    """Text of these signs; of ``st.text``, some would be a name out of the code. No piece of
    it is a word of ours or a number, as zeros are."""
    signs_of = st.lists(st.sampled_from(signs), min_size=least, max_size=most)
    return signs_of.map("".join).filter(_is_random)


def _is_random(text: str) -> bool:
    ends = range(PIECE, max(len(text), PIECE) + 1)
    return all(len(set(text[end - PIECE : end])) > 4 for end in ends)


LETTERS = string.ascii_letters + string.digits
HEX = of("0123456789abcdef", 40, 40)
TOKENS = of(f"{LETTERS}+/=-_.~", 16, 90)
PASSWORDS = of(f"{LETTERS}!$()*,-.@^_~", 8, 20)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    secret=st.one_of(HEX, TOKENS, PASSWORDS).filter(lambda text: any(map(str.isalnum, text))),
    home=st.sampled_from(sorted(HOMES)),
    echoes=st.lists(st.tuples(st.sampled_from(sorted(ECHOES)), st.sampled_from(sorted(ENCODINGS)))),
    status=st.sampled_from([200, 404, 403, 500]),
)
def test_no_secret_in_any_place_and_encoding_is_left(
    secret: str, home: str, echoes: list[tuple[str, str]], status: int
) -> None:
    # A success has no error to name it in.
    draft = Draft(status=403 if home in IN_ERRORS else status)
    if home.startswith("form"):
        # With a parameter it is no upload by a form, of which the fields are read.
        echoes = [pair for pair in echoes if not pair[0].startswith("?")]
    for echo, encoding in echoes:
        ECHOES[echo](draft, ENCODINGS[encoding](secret))
    # Last, so that no echo takes its place.
    HOMES[home](draft, secret)
    assert leaks(secret, draft) == []


def test_a_secret_id_is_shown(tmp_path: Path) -> None:
    draft = Draft()
    HOMES["signature"](draft, "3b8851a11a569213c17ba8fa7dcf2abec6935172")
    outputs = live(draft, folder=tmp_path)
    assert SECRET_ID in outputs["0 report"]
