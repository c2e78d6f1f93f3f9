"""SOCKS5."""

from pathlib import Path

import pytest

from tests.end_to_end.lab import Lab
from tests.end_to_end.modes import Sdk, exercise, judge
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end


def test_socks5(origin: Origin, tmp_path: Path) -> None:
    with Lab(origin, tmp_path, "--mode=socks5") as lab:
        address = f"socks5h://127.0.0.1:{lab.port}"
        exercise(origin, Sdk(lab.ca_pem, Proxies={"http": address, "https": address}))
        lab.stop()
        judge(origin, lab.reports)
        assert lab.status == 0
        assert "Traceback" not in lab.output
