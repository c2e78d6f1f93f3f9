"""Saved captures to reports: the same reports that live traffic gives.

Inputs are cut into parts and read side by side; what each session learned of
transfers is joined; then all reports are written in the order of the inputs.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec

from cos_inspect.analyze.datasets import Dataset
from cos_inspect.analyze.executors import Executor, ExecutorError, InProcess, ProcessPool
from cos_inspect.analyze.joining_all import join_all
from cos_inspect.analyze.ordered_writing import OrderedWriting
from cos_inspect.analyze.outcome import Outcome
from cos_inspect.analyze.progress import ReadingProgress, on_terminal
from cos_inspect.analyze.report_place import report_place
from cos_inspect.analyze.shards import (
    Shard,
    partitions_for,
    parts_of,
    shards_of,
    step_of,
)
from cos_inspect.analyze.spooled import CaptureRead
from cos_inspect.analyze.workers import Workers
from cos_inspect.captures import places
from cos_inspect.captures.capture_format import CapturePart
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.inputs import Input, inputs_of
from cos_inspect.captures.places import PlaceError, size_of
from cos_inspect.model.capture_summary import CaptureFacts, CaptureSummary
from cos_inspect.settings.analysis_settings import AnalysisSettings

_MOST_SIDE_BY_SIDE = 16
"""Partitions for a cluster, where there are no more flows than for one."""

Say = Callable[[str], None]


def analyze(arguments: Sequence[str], settings: AnalysisSettings, say: Say, warn: Say) -> Outcome:
    """Analyses files, folders and ``-``. ``say`` takes a line per flow, ``warn`` one per
    thing that was left out. What is wrong with an input stands in the outcome."""
    with report_place(settings.report_url) as place:
        if place is None:
            return _analyze(arguments, settings, say, warn)
        settings = msgspec.structs.replace(settings, report_dir=place.folder)
        outcome = _analyze(arguments, settings, say, warn)
        try:
            place.publish()
        except PlaceError as error:
            outcome.errors.append(f"reports cannot be written: {error}")
    return outcome


def _analyze(arguments: Sequence[str], settings: AnalysisSettings, say: Say, warn: Say) -> Outcome:
    errors: list[str] = []
    dataset = None if settings.dataset is None else Dataset(settings)
    with spool_folder(settings) as folder, tempfile.TemporaryDirectory() as copies:
        inputs = _inputs(arguments, errors, copies, warn)
        paths = [each.path for each in inputs]
        with ExitStack() as stack:
            if settings.where.cluster is None:
                shards = _shards(inputs, step_of(paths, settings.jobs), settings, errors)
                executor = stack.enter_context(
                    near_executor(min(settings.jobs, len(shards)), [*paths, folder])
                )
            else:
                executor = stack.enter_context(far_executor(settings, paths, folder))
                step = step_of(paths, executor.width, executor.smallest_shard)
                shards = _shards(inputs, step, settings, errors)
            if dataset is not None:
                dataset.meet(executor)
            workers = Workers(settings, executor, folder, errors)
            shown = on_terminal() and not settings.quiet
            least = 1 if executor.is_near else min(executor.width, _MOST_SIDE_BY_SIDE)
            with ReadingProgress(sum(map(size_of, paths)), shown=shown) as progress:
                reads = workers.read(shards, partitions_for(paths, least), progress.at)
            met: Counter[str] = Counter()
            facts: dict[str, CaptureRead] = {}
            for read in reads:
                for line in read.notes:
                    warn(line)
                errors += read.faults
                met.update(read.met)
                for name, about in read.facts.items():
                    if facts.setdefault(name, about) is not about:
                        facts[name].merge(about)
            # What held nothing is no success.
            errors += [_held_nothing(name, facts.get(name)) for name in met if not met[name]]
            joined = join_all(workers, shards, reads, folder, errors)
            writing = OrderedWriting(settings, joined, errors, say, near=executor.is_near)
            writing.dataset = dataset
            writing.outcome.captures = [_summary_of(name, facts[name]) for name in sorted(facts)]
            writing.write(workers, reads, folder)
            if dataset is not None:
                outcome = writing.outcome
                whole = dataset.finish(
                    executor,
                    joined.told,
                    outcome.captures,
                    others=outcome.others,
                    lost=outcome.lost,
                    errors=errors,
                )
                outcome.dataset = dataset.shown if whole else None
    return writing.outcome


def _shards(
    inputs: Sequence[Input], step: int, settings: AnalysisSettings, errors: list[str]
) -> list[Shard]:
    return shards_of(_parts(inputs, step, settings, errors), step)


@contextmanager
def spool_folder(settings: AnalysisSettings) -> Iterator[str]:
    """A folder, or a URL, of this analysis alone, for what its steps hand on; it is removed at
    the end."""
    scratch = settings.scratch
    if scratch is None:
        with tempfile.TemporaryDirectory(prefix="cos-inspect-") as folder:
            yield folder
        return
    folder = places.join(scratch, f"cos-inspect-{uuid4().hex[:12]}")
    if not places.is_url(folder):
        Path(folder).mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        places.remove_below(folder)


def near_executor(jobs: int, seen: Sequence[str]) -> Executor:
    """Processes of this machine. ``seen`` are the places that all of them must see."""
    alone = any(places.is_of_one_process(place) for place in seen)
    return InProcess() if jobs <= 1 or alone else ProcessPool(jobs)


def far_executor(settings: AnalysisSettings, paths: Sequence[str], folder: str) -> Executor:
    """A cluster.

    :raises ExecutorError: when there is none.
    :raises MissingExtraError: when packages for it are not installed.
    """
    # Only this kind of work needs it, and it takes long to import.
    from cos_inspect.analyze.dask_executor import DaskExecutor  # noqa: PLC0415

    for place in (*paths, folder):
        if places.is_of_one_process(place):
            raise ExecutorError(f"{place}: no other process can see that")
    return DaskExecutor(settings.where, folder)


def _held_nothing(name: str, about: CaptureRead | None) -> str:
    """Of a capture without an exchange."""
    if about is None or not about.facts.left_out:
        return f"{name}: it holds no HTTP flow"
    reasons = ", ".join(f"{count} {reason}" for reason, count in about.facts.left_out.items())
    return f"{name}: it holds no HTTP flow; left out: {reasons}"


def _summary_of(name: str, about: CaptureRead) -> CaptureSummary:
    facts = CaptureFacts()
    facts.merge(about.facts)
    for reason, count in about.lost.items():
        facts.leave_out(reason, count)
    return CaptureSummary(
        file=name,
        format=about.format,
        program=facts.program,
        exchanges=about.exchanges,
        left_out=dict(sorted(facts.left_out.items())),
        bytes_lost=facts.bytes_lost,
        packets_lost=facts.packets_lost,
    )


def _inputs(arguments: Sequence[str], errors: list[str], folder: str, warn: Say) -> list[Input]:
    inputs: dict[Input, None] = {}
    for argument in dict.fromkeys(arguments):
        for found in inputs_of(argument, folder, lambda problem: errors.append(str(problem)), warn):
            inputs[found] = None
    return list(inputs)


def _parts(
    inputs: Sequence[Input], step: int, settings: AnalysisSettings, errors: list[str]
) -> list[CapturePart]:
    parts: list[CapturePart] = []
    for each in inputs:
        try:
            parts += parts_of(each, step, settings.key_logs)
        except CaptureError as error:
            errors.append(str(error))
    return parts
