"""Tasks on Dask distributed, an extra: ``pip install 'cos-inspect[fleet]'``.

The scheduler gives a task to another worker when one is lost; what a task returns is small,
for all that grows with the traffic lies in files.
"""

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import msgspec

from cos_inspect import __version__
from cos_inspect.analyze.executors import ExecutorError, TaskLostError, Tick, processors
from cos_inspect.captures.places import MissingExtraError, is_url, reason_of
from cos_inspect.settings.execution import HERE, Where

_CONNECT_SECONDS = 20
_WORKERS_SECONDS = 120
"""How long nobody may be there to work, before the analysis is given up."""
_TICK_SECONDS = 0.5
_SMALLEST = 64 * 1024
_TRIES = 2
"""Dask itself tries a task on several workers before it gives it up; then it is tried once
more, for the fault may have been another task's on the same workers. So it is where a worker has
no room, or does not reach the spool."""


class _Submitted(msgspec.Struct):
    task: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: Any
    tries: int = 1


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C goes to all processes of a terminal: held until the cluster stands, and can be closed.

    Threads and processes that are started meanwhile never see it: they end with the cluster,
    and have no traceback to print.
    """
    came: list[int] = []
    former = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread() and former is not None
    # It lets the signals of the thread that first needs it through again.
    resource_tracker.ensure_running()
    if is_main:
        # Threads that are there already are sent it too.
        signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if is_main:
            signal.signal(signal.SIGINT, former)
        if came:
            signal.raise_signal(signal.SIGINT)


class DaskExecutor:
    """``folder`` is where steps hand their files on: all workers must see it."""

    smallest_shard: int | None = _SMALLEST
    is_near = False

    def __init__(self, where: Where, folder: str) -> None:
        """:raises MissingExtraError: where distributed is not installed.
        :raises ExecutorError: where nobody is there to do the work.
        """
        try:
            import dask  # noqa: PLC0415 - an extra
            import distributed  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError("--on dask", error.name or "distributed") from None
        assert where.cluster is not None
        self._distributed = distributed
        # A worker of this machine that was ended is given up before a loaded machine has started
        # it anew, if Dask has its way.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "300s"})
        self._called = f"--on {'dask' if where.cluster == HERE else where.cluster}"
        self._run = uuid4().hex[:8]
        self._numbers = count()
        self._cluster: Any = None
        self._client: Any = None
        _silence()
        try:
            if where.cluster == HERE:
                self._start_cluster(where.jobs or max(2, processors()), folder)
            self._connect(where.cluster)
            self._meet_workers(folder)
        except BaseException:
            self.__exit__()
            raise
        self.width = max(1, self._threads())

    def _start_cluster(self, workers: int, folder: str) -> None:
        with _interrupts_held():
            self._cluster = self._distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                local_directory=folder,
            )

    def _connect(self, address: str) -> None:
        if self._cluster is None:
            if "://" not in address:
                address = _address_in(address, self._called)
            if address.startswith("tls://"):
                self._need_certificate()
        try:
            self._client = self._distributed.Client(
                self._cluster or address, set_as_default=False, timeout=_CONNECT_SECONDS
            )
        except Exception as error:
            raise ExecutorError(f"{self._called}: no scheduler answers ({error})") from error

    def _need_certificate(self) -> None:
        try:
            given = self._distributed.Security().get_connection_args("client")["ssl_context"]
        except Exception as error:
            raise ExecutorError(f"{self._called}: TLS cannot be set up ({error})") from error
        if given is None:
            raise ExecutorError(
                f"{self._called}: Dask has no certificate: set"
                " DASK_DISTRIBUTED__COMM__TLS__CA_FILE, …__CLIENT__CERT and …__CLIENT__KEY"
            )

    def _meet_workers(self, folder: str) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_WORKERS_SECONDS)
        except TimeoutError as error:
            raise ExecutorError(f"{self._called}: there is no worker") from error
        try:
            met = self._client.run(meet, folder, on_error="return")
        except Exception as error:
            raise ExecutorError(f"{self._called}: the workers cannot be asked ({error})") from error
        for worker, told in met.items():
            if not isinstance(told, tuple):
                raise ExecutorError(
                    f"{self._called}: {worker} has no cos_inspect of this version"
                    f" ({type(told).__name__})"
                )
            version, sees = told
            if version != __version__:
                raise ExecutorError(
                    f"{self._called}: {worker} has cos_inspect {version}, not {__version__}"
                )
            if not sees:
                raise ExecutorError(
                    f"{self._called}: {worker} does not see {folder}; name a folder or URL that"
                    " all machines share by --scratch"
                )

    def _threads(self) -> int:
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        return sum(int(each["nthreads"]) for each in workers.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_what: object) -> None:
        for each in (self._client, self._cluster):
            if each is not None:
                # What is left ends with its processes.
                with suppress(Exception):
                    each.close(timeout=_CONNECT_SECONDS)

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Any:
        """See ``Executor``."""
        return _Submitted(task, arguments, self._submit(task, arguments))

    def _submit(self, task: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        key = f"cos-inspect-{task.__name__.strip('_')}-{self._run}-{next(self._numbers)}"
        return self._client.submit(in_version, __version__, task, *arguments, key=key, pure=False)

    def gather(self, submitted: Any, tick: Tick | None = None) -> Any:
        """See ``Executor``."""
        assert isinstance(submitted, _Submitted)
        while True:
            future = submitted.future
            self._wait(future, tick)
            try:
                return future.result()
            except self._distributed.scheduler.KilledWorker:
                why = "the workers that read it were ended (was there no memory left?)"
            except self._distributed.client.FutureCancelledError as error:
                raise ExecutorError(f"{self._called}: the scheduler is gone") from error
            except ImportError as error:
                raise ExecutorError(
                    f"{self._called}: a worker has no cos_inspect of this version ({error})"
                ) from error
            except (OSError, MemoryError) as error:
                reason = reason_of(error) if isinstance(error, OSError) else "no memory left"
                why = f"workers cannot do it ({reason})"
            finally:
                future.release()
            if submitted.tries >= _TRIES:
                raise TaskLostError(why)
            submitted.tries += 1
            submitted.future = self._submit(submitted.task, submitted.arguments)

    def _wait(self, future: Any, tick: Tick | None) -> None:
        alone_since: float | None = None
        while True:
            try:
                with suppress(TimeoutError), self._client.as_current():
                    self._distributed.wait([future], timeout=_TICK_SECONDS)
            except self._distributed.client.FuturesCancelledError as error:
                raise ExecutorError(f"{self._called}: the scheduler is gone") from error
            if future.done():
                return
            if tick is not None:
                tick(None)
            if self._client.status not in ("running", "connecting"):
                raise ExecutorError(f"{self._called}: the scheduler is gone")
            if self._threads():
                alone_since = None
            else:
                now = time.monotonic()
                alone_since = alone_since or now
                if now - alone_since > _WORKERS_SECONDS:
                    raise ExecutorError(f"{self._called}: there is no worker any more")


def _silence() -> None:
    """What matters is told in a line of ours; each of Dask's loggers has a level of its own."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.partition(".")[0] == "distributed" and isinstance(logger, logging.Logger):
            logger.setLevel(logging.CRITICAL)


def meet(folder: str) -> tuple[str, bool]:
    """What a worker says of itself: the version that it has, and whether it sees a folder."""
    return __version__, is_url(folder) or Path(folder).is_dir()


def in_version[R](version: str, task: Callable[..., R], *arguments: Any) -> R:
    """Does a task, unless the worker is of another version: it may have come after the others
    were asked.

    :raises ImportError: with both versions.
    """
    if version != __version__:
        raise ImportError(f"it has {__version__}, not {version}")
    return task(*arguments)


def _address_in(path: str, called: str) -> str:
    try:
        address = json.loads(Path(path).read_bytes())["address"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ExecutorError(f"{called}: it is no scheduler file") from error
    return str(address)
