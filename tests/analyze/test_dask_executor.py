"""The same analysis on a cluster: two workers, each a process, which may be ended at any time."""

import logging
import os
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import dask
import distributed
import pytest

from cos_inspect.analyze import shards, workers
from cos_inspect.analyze.dask_executor import DaskExecutor, _interrupts_held
from cos_inspect.analyze.executors import ExecutorError, TaskLostError
from cos_inspect.analyze.joining import Joined
from cos_inspect.analyze.outcome import Outcome
from cos_inspect.analyze.run import analyze
from cos_inspect.analyze.spooled import ShardRead
from cos_inspect.analyze.writing import Chunk, WrittenChunk, write_chunk
from cos_inspect.report.formats import FORMATS
from cos_inspect.settings.analysis_settings import AnalysisSettings
from cos_inspect.settings.execution import Where, where_of
from tests.analyze.test_any_split import ALL_BAD, ALL_FINE, dealt, saved
from tests.saved.flow_files import cos_flow, saved_file

MARK = "COS_INSPECT_TEST_MARK"
_real = {name: getattr(workers, name) for name in ("_read", "_join")}


class Cluster(NamedTuple):
    where: Where
    mark: Path
    """A file that says that a worker was ended."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARK, str(folder / "mark"))
        settings = {"distributed.scheduler.allowed-failures": 1}
        with (
            dask.config.set(settings),
            distributed.LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                local_directory=str(folder),
            ) as started,
        ):
            address = started.scheduler_address.replace("tcp://", "dask://")
            yield Cluster(where_of(address), folder / "mark")


@pytest.fixture(autouse=True)
def many_shards(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> None:
    """So that both workers have to do."""
    monkeypatch.setattr(DaskExecutor, "smallest_shard", 1)
    monkeypatch.setattr(shards, "_LARGEST", 200_000)
    monkeypatch.setattr("cos_inspect.analyze.ordered_writing._PER_CHUNK", 20)
    cluster.mark.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("captures")
    flows = [*ALL_BAD.flows, *ALL_FINE.flows[::7]]
    return saved(folder, dealt(flows, 8, random.Random(4), twice=5))


def analyzed(paths: Sequence[Path], folder: Path, **settings: Any) -> Outcome:
    chosen = AnalysisSettings(
        report_dir=folder / "reports", formats=FORMATS, redact=False, quiet=True, **settings
    )
    return analyze([str(path) for path in paths], chosen, lambda _: None, lambda _: None)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "reports").rglob("*"))
        if path.is_file()
    }


def assert_same(paths: Sequence[Path], cluster: Cluster, folder: Path) -> None:
    here, there = folder / "here", folder / "there"
    expected = analyzed(paths, here)
    found = analyzed(paths, there, where=cluster.where)
    assert found.errors == expected.errors == []
    assert found.verdicts == expected.verdicts
    assert found.session == expected.session
    one, other = files(here), files(there)
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.parametrize("order", ["forward", "reversed", "shuffled"])
def test_two_workers_give_what_one_machine_does(
    order: str, cluster: Cluster, captures: list[Path], tmp_path: Path
) -> None:
    paths = captures[::-1] if order == "reversed" else list(captures)
    if order == "shuffled":
        random.Random(5).shuffle(paths)
    assert_same(paths, cluster, tmp_path)


def end_once() -> None:
    """Ends the first worker that comes here."""
    try:
        descriptor = os.open(os.environ[MARK], os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return
    os.close(descriptor)
    os.kill(os.getpid(), signal.SIGKILL)


def read_and_end(*call: Any) -> ShardRead:
    found: ShardRead = _real["_read"](*call)
    end_once()
    return found


def join_and_end(*call: Any) -> Joined:
    found: Joined = _real["_join"](*call)
    end_once()
    return found


def write_and_end(chunk: Chunk, settings: AnalysisSettings) -> WrittenChunk:
    found = write_chunk(chunk, settings)
    end_once()
    return found


@pytest.mark.parametrize(
    ("step", "ending"),
    [("_read", read_and_end), ("_join", join_and_end), ("write_chunk", write_and_end)],
)
def test_a_worker_that_is_ended_changes_nothing(
    step: str,
    ending: Callable[..., object],
    cluster: Cluster,
    captures: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has done its work and written its files, and nobody hears of it: each is done twice."""
    with monkeypatch.context() as patch:
        patch.setattr(workers, step, ending)
        found = analyzed(
            captures,
            tmp_path / "there",
            where=cluster.where,
        )
    assert cluster.mark.exists()
    expected = analyzed(captures, tmp_path / "here")
    assert found.errors == expected.errors == []
    assert files(tmp_path / "there") == files(tmp_path / "here")


def read_twice(*call: Any) -> ShardRead:
    _real["_read"](*call)
    again: ShardRead = _real["_read"](*call)
    return again


def write_twice(chunk: Chunk, settings: AnalysisSettings) -> WrittenChunk:
    write_chunk(chunk, settings)
    return write_chunk(chunk, settings)


def test_tasks_that_run_twice_count_once(
    cluster: Cluster, captures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_read", read_twice)
    monkeypatch.setattr(workers, "write_chunk", write_twice)
    assert_same(captures, cluster, tmp_path)


def read_or_end(*call: Any) -> ShardRead:
    if any("deadly" in part.path for part in call[0].parts):
        os.kill(os.getpid(), signal.SIGKILL)
    found: ShardRead = _real["_read"](*call)
    return found


def test_what_ends_every_worker_is_lost_and_said(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_read", read_or_end)
    deadly, broken = tmp_path / "deadly.mitm", tmp_path / "broken.mitm"
    saved_file(deadly, cos_flow())
    broken.write_bytes(deadly.read_bytes()[:-20])
    paths = [deadly, broken]
    for number in range(2):
        paths.append(tmp_path / f"{number}.mitm")
        saved_file(paths[-1], cos_flow(), cos_flow())
    found = analyzed(paths, tmp_path / "there", where=cluster.where)
    lost, cut = found.errors
    assert lost.startswith(f"{deadly}: the workers that read it were ended")
    assert cut.startswith(f"{broken}: ")
    expected = analyzed(paths[1:], tmp_path / "here")
    assert found.verdicts == expected.verdicts
    assert found.lost.count == expected.lost.count + 1


class Shipped(distributed.SchedulerPlugin):  # type: ignore[misc]
    """Counts the bytes of what tasks give back, as the scheduler hears of them."""

    name = "shipped"

    def __init__(self) -> None:
        self.total = 0

    def transition(self, key: str, start: str, finish: str, *_more: object, **told: Any) -> None:
        if finish == "memory":
            self.total += told.get("nbytes") or 0


def shipped(dask_scheduler: Any) -> int:
    return int(dask_scheduler.plugins["shipped"].total)


def test_what_is_shipped_is_small(
    cluster: Cluster, captures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    real = DaskExecutor.submit

    def submit(self: DaskExecutor, task: Any, *arguments: Any) -> Any:
        sent.append(len(pickle.dumps(arguments)))
        return real(self, task, *arguments)

    monkeypatch.setattr(DaskExecutor, "submit", submit)
    with distributed.Client(cluster.where.cluster, set_as_default=False) as client:
        client.register_plugin(Shipped())
        analyzed(captures, tmp_path, where=cluster.where)
        came = client.run_on_scheduler(shipped)
    assert 0 < came + sum(sent) < 50_000 * len(captures)


def test_nobody_there_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cos_inspect.analyze.dask_executor._CONNECT_SECONDS", 1)
    with pytest.raises(ExecutorError, match=r"^--on tcp://127.0.0.1:9: no scheduler answers"):
        DaskExecutor(Where(cluster="tcp://127.0.0.1:9"), str(tmp_path))


def test_a_folder_that_workers_do_not_see(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match=r"does not see .*--scratch"):
        DaskExecutor(cluster.where, str(tmp_path / "elsewhere"))


@pytest.fixture
def executor(cluster: Cluster, tmp_path: Path) -> Iterator[DaskExecutor]:
    with DaskExecutor(cluster.where, str(tmp_path)) as connected:
        yield connected


def test_workers_of_another_version(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cos_inspect.analyze.dask_executor.__version__", "99.0")
    with pytest.raises(ExecutorError, match=r"has cos_inspect [0-9.]+, not 99\.0$"):
        DaskExecutor(cluster.where, str(tmp_path))


def test_a_worker_of_another_version_that_comes_later(
    executor: DaskExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cos_inspect.analyze.dask_executor.__version__", "99.0")
    with pytest.raises(ExecutorError, match=r"no cos_inspect of this version \(it has "):
        executor.gather(executor.submit(len, "abc"))


def without_room(mark: str, times: int) -> str:
    with Path(mark).open("a") as file:
        file.write(".")
    if len(Path(mark).read_bytes()) <= times:
        raise OSError(28, "No space left on device")
    return "done"


def test_a_worker_that_has_no_room(executor: DaskExecutor, tmp_path: Path) -> None:
    once = executor.submit(without_room, str(tmp_path / "once"), 1)
    assert executor.gather(once) == "done"
    always = executor.submit(without_room, str(tmp_path / "always"), 99)
    with pytest.raises(TaskLostError, match=r"workers cannot do it .No space left on device"):
        executor.gather(always)
    assert (tmp_path / "always").read_bytes() == b".."


def test_a_scheduler_that_goes(executor: DaskExecutor) -> None:
    submitted = executor.submit(len, "abc")
    submitted.future.cancel(force=True, reason="scheduler-connection-lost")
    with pytest.raises(ExecutorError, match="the scheduler is gone"):
        executor.gather(submitted)


def test_tls_without_a_certificate(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match=r"has no certificate: set DASK_DISTRIBUTED__COMM__TLS"):
        DaskExecutor(Where(cluster="tls://127.0.0.1:9"), str(tmp_path))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"address": ', "\0"])
def test_what_is_no_scheduler_file(content: str, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text(content)
    with pytest.raises(ExecutorError, match=r"it is no scheduler file$"):
        DaskExecutor(Where(cluster=str(file)), str(tmp_path))


def test_ctrl_c_waits_until_the_cluster_stands_and_never_reaches_its_workers() -> None:
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    held: list[str] = []
    try:
        with pytest.raises(KeyboardInterrupt):
            _interrupted_meanwhile(held)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.signal(signal.SIGINT, former)
    assert held == ["True"]


def _interrupted_meanwhile(held: list[str]) -> None:
    told = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    with _interrupts_held():
        os.kill(os.getpid(), signal.SIGINT)
        held.append(subprocess.check_output([sys.executable, "-c", told], text=True).strip())
