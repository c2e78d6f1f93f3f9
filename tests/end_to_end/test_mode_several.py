"""Two modes at once, and options that say which connections are looked into and when."""

from pathlib import Path

import pytest
import requests

from tests.end_to_end.harness import HOST, REGION, checks, read_reports
from tests.end_to_end.lab import ADDON_ARGUMENT, Lab, found, mitmdump
from tests.end_to_end.modes import SMALL, Sdk, exercise, judge
from tests.origin.damage import Damage, both, key, method
from tests.origin.effects import wrong_crc
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end


def test_two_modes_at_once(origin: Origin, tmp_path: Path) -> None:
    with Lab(origin, tmp_path, "--mode=regular", "--mode=socks5@127.0.0.2:0") as lab:
        regular = f"http://127.0.0.1:{lab.ports['HTTP(S) proxy']}"
        socks = f"socks5h://127.0.0.2:{lab.ports['SOCKS v5 proxy']}"
        for address, folder in ((regular, "regular"), (socks, "socks")):
            store = Sdk(lab.ca_pem, Proxies={"http": address, "https": address})
            exercise(origin, store, folder)
        lab.stop()
        judge(origin, lab.reports, "regular", "socks")
        assert "Traceback" not in lab.output


def test_lazy_connections(origin: Origin, tmp_path: Path) -> None:
    with Lab(origin, tmp_path, "--set=connection_strategy=lazy") as lab:
        exercise(origin, Sdk(lab.ca_pem, Proxies=lab.proxies))
        lab.stop()
        judge(origin, lab.reports)
        assert "Traceback" not in lab.output


def test_hosts_that_are_passed_by(origin: Origin, tmp_path: Path) -> None:
    """What ``allow_hosts`` does not name goes through as it is, and is no trouble."""
    with Lab(origin, tmp_path, f"--set=allow_hosts=^{HOST}") as lab:
        other = f"otherbucket-1250000000.cos.{REGION}.myqcloud.com"
        with requests.Session() as session:
            session.trust_env = False
            session.proxies, session.verify = lab.proxies, origin.ca_pem
            answer = session.put(f"https://{other}/past", data=b"not seen", timeout=30)
        assert answer.status_code == 200
        assert origin.get_object(other.partition(".")[0], "past") == b"not seen"
        origin.requests.clear()
        exercise(origin, Sdk(lab.ca_pem, Proxies=lab.proxies))
        lab.stop()
        judge(origin, lab.reports)
        (passed,) = lab.summary["connections"]
        assert (passed["host"], passed["failed"]) == (other, "passes-unread")
        assert passed["findings"] == []
        assert "Traceback" not in lab.output


def test_client_replay(origin: Origin, tmp_path: Path) -> None:
    """Saved requests are sent again: each has its own report, and is judged by what comes
    back now."""
    capture = tmp_path / "saved.mitm"
    with Lab(origin, tmp_path / "first", f"--save-stream-file={capture}") as lab:
        lab.send("PUT", "again", data=SMALL)
        lab.send("GET", "again")
    assert [report["verdict"] for report in lab.reports] == ["ok", "ok"]
    origin.requests.clear()
    origin.damage(Damage(wrong_crc(), when=both(key("again"), method("PUT"))))
    reports = tmp_path / "second"
    done = mitmdump(
        ADDON_ARGUMENT,
        f"--client-replay={capture}",
        "--set=client_replay_concurrency=1",
        "--listen-host=127.0.0.1",
        "--listen-port=0",
        f"--set=cos_report_dir={reports}",
        f"--set=confdir={tmp_path / 'confdir'}",
        origin=origin,
    )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    assert [record.method for record in origin.requests] == ["PUT", "GET"]
    assert origin.requests[0].body_size == len(SMALL)
    put, get = read_reports(reports)
    assert [put["ids"]["request_id"], get["ids"]["request_id"]] == [
        record.request_id for record in origin.requests
    ]
    assert found(put) == {"crc64-mismatch error"}
    assert found(get) == frozenset()
    assert checks(get)["crc64", "response"] == "match"
