"""No secret is left in a dataset: not in a column, and not in the bytes that stand behind it."""

import base64
import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mitmproxy import http

from cos_inspect.analyze.run import analyze
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.planted import BY_A_SCRIPT, ECHOES, ENCODINGS, HOMES, SENT, Draft, Search, opened
from tests.saved.flow_files import saved_file

PLACES = sorted(HOMES.keys() - BY_A_SCRIPT)
"""A saved flow does not tell what a script has changed."""


def secret_of(name: str) -> str:
    digest = hashlib.sha256(name.encode()).digest()
    return f"{base64.b64encode(digest)[:28].decode()}/a+b=0zQ"


def drafts() -> dict[str, tuple[str, Draft]]:
    """What is planted, by the place or the encoding."""
    planted: dict[str, tuple[str, Draft]] = {}
    for name in (*PLACES, *ENCODINGS):
        number = len(planted)
        secret, draft = secret_of(name), Draft(path=f"/dir/{number}", started=SENT + number)
        if name in HOMES:
            HOMES[name](draft, secret)
        else:
            HOMES["x-cos-security-token"](draft, secret)
            for echo in ECHOES.values():
                echo(draft, ENCODINGS[name](secret))
        planted[name] = secret, draft
    for number, status in enumerate((503, 200)):
        # A retry, and an upload whose id and key repeat the token.
        secret = secret_of("transfer")
        draft = Draft(
            method="PUT",
            status=status,
            started=SENT + 1000 + number,
            query=["partNumber=1", f"uploadId={secret}"],
        )
        HOMES["x-cos-security-token"](draft, secret)
        ECHOES["Code"](draft, secret)
        planted[f"transfer {number}"] = secret, draft
    return planted


def flow_of(draft: Draft) -> http.HTTPFlow:
    flow = draft.flow()
    draft.change(flow)
    return flow


def texts(folder: Path, flows: list[http.HTTPFlow], *, redact: bool) -> dict[str, str]:
    """All that stands in the dataset's files, as it may be read: bytes as they lie there,
    columns decoded, and the same pages without compression, dictionaries and statistics."""
    capture = saved_file(folder / "a.mitm", *flows)
    settings = AnalysisSettings(
        report_dir=None, redact=redact, quiet=True, dataset=str(folder / "lab")
    )
    outcome = analyze([str(capture)], settings, lambda _: None, lambda _: None)
    assert outcome.errors == []
    found: dict[str, str] = {}
    for path in sorted((folder / "lab").rglob("*")):
        if not path.is_file():
            continue
        name = str(path.relative_to(folder))
        found[name] = path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            table = pq.ParquetFile(path).read()
            for column in table.column_names:
                cells = table.column(column).to_pylist()
                found[f"{name} {column}"] = "\n".join(str(cell) for cell in cells)
            plain = folder / "plain.parquet"
            pq.write_table(
                table, plain, compression="none", use_dictionary=False, write_statistics=False
            )
            found[f"{name} plain"] = plain.read_bytes().decode("latin-1")
    return found


@pytest.mark.parametrize("redact", [True, False])
def test_no_secret_is_left_in_any_file(redact: bool, tmp_path: Path) -> None:
    """And without masks the same search finds them."""
    planted = drafts()
    found = texts(tmp_path, [flow_of(draft) for _, draft in planted.values()], redact=redact)
    assert len(found) > 100
    everything = "\n".join({opened(text) for text in found.values()})
    left = {name for name, (secret, _) in planted.items() if Search(secret).is_in(everything)}
    if redact:
        assert left == set()
    else:
        # The fields of a form stand in no report, nor do the values of some headers in a table.
        assert left >= {"transfer 0", "transfer 1", "?token", "as it is", "JSON"}
        assert len(left) > 20
