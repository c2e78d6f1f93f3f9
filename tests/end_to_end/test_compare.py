"""A refused request of a real SDK beside one that worked: the first line names the cause."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import BUCKET, HOST, SECRET_ID
from tests.end_to_end.lab import Lab
from tests.end_to_end.test_signatures import (
    META,
    STRICT,
    TEMPORARY_ID,
    TEMPORARY_KEY,
    TOKEN,
    VALUE,
    ByBucket,
    clock,
    sdk,
    sdk_with,
    upload,
)
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Origin() as origin:
        origin.authorise = ByBucket()
        with Lab(origin, tmp_path_factory.mktemp("compare")) as made:
            yield made
            assert "Traceback" not in made.output


def clock_is_fast(lab: Lab, name: str) -> None:
    with sdk_with(time=clock(3000)):
        upload(lab, name, sdk(lab))


def clock_is_slow(lab: Lab, name: str) -> None:
    with sdk_with(time=clock(-30_000)):
        upload(lab, name, sdk(lab))


def unknown_key(lab: Lab, name: str) -> None:
    upload(lab, name, sdk(lab, secret_id="AKIDanother" + "x" * 25))


def no_token(lab: Lab, name: str) -> None:
    upload(lab, name, sdk(lab, TEMPORARY_ID, TEMPORARY_KEY))


def header_not_signed(lab: Lab, name: str) -> None:
    host = HOST.replace(BUCKET, STRICT)
    sent = {"Host": host, "Content-Length": "3"}
    signed = sdk(lab).get_auth(Method="PUT", Bucket=STRICT, Key=name, Headers=sent)
    headers = {"Authorization": signed, META: VALUE}
    assert lab.send("PUT", name, host=host, data=b"abc", headers=headers).status_code == 403


Failing = Callable[[Lab, str], None]
CASES: list[tuple[Failing, str, str]] = [
    (header_not_signed, SECRET_ID, f"A header that only one of them signed {META}: {VALUE} (not s"),
    (clock_is_fast, SECRET_ID, "The client's clock: begins"),
    (clock_is_slow, SECRET_ID, "The time for which the signature is valid: ended"),
    (unknown_key, SECRET_ID, "The key (SecretId): AKIDanother"),
    (no_token, TEMPORARY_ID, "The token of the temporary key: none in the one that failed"),
]


@pytest.mark.parametrize(
    ("failing", "secret_id", "said"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_the_command_names_what_matters(
    lab: Lab, failing: Failing, secret_id: str, said: str
) -> None:
    name = failing.__name__
    failing(lab, f"{name}-refused")
    if secret_id == TEMPORARY_ID:
        client = sdk(lab, TEMPORARY_ID, TEMPORARY_KEY, Token=TOKEN)
    else:
        client = sdk(lab)
    bucket = STRICT if failing is header_not_signed else BUCKET
    client.put_object(Bucket=bucket, Key=f"{name}-stored", Body=b"abc", Metadata={META: VALUE})
    numbers = [str(lab.report_on(f"{name}-{end}")["sequence"]) for end in ("refused", "stored")]
    tool = str(Path(sys.executable).with_name("cos-inspect"))
    command = [tool, "compare", *numbers, "--report-dir", str(lab.report_dir)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith(said), ended.stdout
    assert TOKEN not in ended.stdout
