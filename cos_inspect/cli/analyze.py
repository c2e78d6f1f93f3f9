"""``cos-inspect analyze``."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.places import (
    MissingExtraError,
    PlaceError,
    has_glob,
    is_url,
    join,
    plain,
    size_of,
    write,
)
from cos_inspect.model.flow_report import Severity
from cos_inspect.report.baseline import (
    Baseline,
    BaselineError,
    read_baseline,
    write_baseline,
)
from cos_inspect.report.directory import refusal_of
from cos_inspect.report.formats import FORMATS, GITHUB
from cos_inspect.rules.registry import RULE_IDS
from cos_inspect.settings.analysis_settings import AnalysisSettings
from cos_inspect.settings.credentials import CredentialsError, read_credentials
from cos_inspect.settings.execution import Label, Where, is_label, label_of, where_of

if TYPE_CHECKING:
    from cos_inspect.analyze.outcome import Outcome

_LARGE = 32 * 1024 * 1024
"""Inputs below this are not worth starting processes for."""


def _hosts(_context: click.Context, _option: click.Parameter, values: Sequence[str]) -> list[str]:
    for value in values:
        if not value or "/" in value or any(sign.isspace() for sign in value):
            raise click.BadParameter(f"{value!r} is no host pattern such as *.example.com")
    return [value.lower() for value in values]


def _report_dir(_context: click.Context, _option: click.Parameter, value: str) -> Path | str | None:
    """A directory, or a URL."""
    value = plain(value)
    if is_url(value):
        return value
    path = Path(value).expanduser()
    if value:
        _need_directory(value, path)
    if value and (why := refusal_of(path)):
        raise click.BadParameter(why)
    return path if value else None


def _need_directory(value: str, path: Path) -> None:
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise click.BadParameter(f"{value!r}: {nearest} is not a directory")


def _where(_context: click.Context, _option: click.Parameter, value: str | None) -> Where | None:
    if value is None:
        return None
    try:
        return where_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _place(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    return None if value is None else plain(value)


def _dataset(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if not value:
        return None
    place = plain(value)
    if is_url(place):
        return place
    path = Path(place).expanduser()
    _need_directory(place, path)
    # Processes elsewhere have another working directory.
    return str(path.absolute())


def _labels(
    _context: click.Context, _option: click.Parameter, values: Sequence[str]
) -> tuple[str | None, tuple[Label, ...]]:
    """The name of the run, and the labels of captures."""
    names = [value for value in values if not is_label(value)]
    if len(names) > 1:
        raise click.BadParameter(f"a run has one name, not {names[0]!r} and {names[1]!r}")
    try:
        labels = tuple(label_of(value) for value in values if is_label(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return next(iter(names), None), labels


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option(
    "--report-dir",
    default="cos-reports",
    show_default=True,
    metavar="DIRECTORY",
    callback=_report_dir,
    help="Where reports go; made if missing. A URL, such as s3://bucket/folder, has to be an empty"
    " place. Empty: none are written.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice((*FORMATS, GITHUB)),
    multiple=True,
    help="Format of the reports; may be repeated. Without it: json and html. github is beside"
    " them: annotations, and the summary of the step.",
)
@click.option(
    "--hosts",
    multiple=True,
    metavar="PATTERN",
    callback=_hosts,
    help="Further hosts to treat as COS, as a shell-style pattern; may be repeated.",
)
@click.option(
    "--ignore",
    type=click.Choice(sorted(RULE_IDS)),
    metavar="RULE",
    multiple=True,
    help="A rule to leave out; may be repeated.",
)
@click.option(
    "--redact/--no-redact",
    default=True,
    help="Mask secrets in everything that is written or shown (the default).",
)
@click.option(
    "--credentials",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file of keys, to recompute signatures with; for its owner alone.",
)
@click.option(
    "--keys",
    "key_logs",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    multiple=True,
    help="A key log (the file that SSLKEYLOGFILE names), to read TLS in captures of packets; may"
    " be repeated. What SSLKEYLOGFILE names is read too.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["never", "notice", "warning", "error"]),
    default="never",
    show_default=True,
    help="Exit status 1 when a finding of this severity or a higher one was made.",
)
@click.option(
    "--baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file of known findings, which do not fail.",
)
@click.option(
    "--write-baseline",
    "new_baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all findings of this run to a file for --baseline.",
)
@click.option("--require-cos", is_flag=True, help="Exit status 1 when there was no COS flow.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="How many processes work side by side. Without it: one each processor for large inputs.",
)
@click.option(
    "--on",
    "where",
    metavar="WHERE",
    callback=_where,
    help="Who does the work: local:NUMBER is what --jobs NUMBER is; dask a Dask cluster on this"
    " machine, dask://HOST:PORT or a scheduler file one elsewhere. Reports are the same.",
)
@click.option(
    "--scratch",
    metavar="PLACE",
    callback=_place,
    help="A folder or URL that all of a cluster see, for what steps hand on. Without it: a"
    " temporary folder of this machine.",
)
@click.option(
    "--dataset",
    metavar="PLACE",
    callback=_dataset,
    help="A folder or URL for the reports as tables of Parquet, beside the report directory. Each"
    " analysis into it is another run.",
)
@click.option(
    "--label",
    "names",
    metavar="NAME|NAME=VALUE|PATTERN",
    multiple=True,
    callback=_labels,
    help="What summary.json and the pages call this run (else analyze); device=pixel-7: labels"
    " all captures; captures/{device}/*.mitm: labels each by its path. Clients of different"
    " devices are told apart, whatever their addresses. May be repeated.",
)
@click.option("--all", "all_flows", is_flag=True, help="Print every flow, not only problems.")
@click.option("--quiet", is_flag=True, help="Print errors and the summary alone; no progress bar.")
def analyze(
    files: tuple[str, ...],
    report_dir: Path | str | None,
    formats: tuple[str, ...],
    hosts: list[str],
    ignore: tuple[str, ...],
    *,
    redact: bool,
    credentials: Path | None,
    key_logs: tuple[str, ...],
    fail_on: str,
    baseline: Path | None,
    new_baseline: Path | None,
    require_cos: bool,
    jobs: int | None,
    where: Where | None,
    scratch: str | None,
    dataset: str | None,
    names: tuple[str | None, tuple[Label, ...]],
    all_flows: bool,
    quiet: bool,
) -> None:
    """Reports on saved captures: FILE may be a flow file of mitmproxy, a HAR (either may be
    packed), a folder of them, a pattern, a URL of any of these, or - for standard input.

    Exit status 1: --fail-on or --require-cos was reached; 2: an input could not be read, or a
    flow in it not inspected.
    """
    if jobs is not None and where is not None:
        raise click.UsageError("--jobs and --on exclude each other")
    if dataset is not None and report_dir is not None and _is_same(dataset, report_dir):
        raise click.UsageError("--dataset and --report-dir need places of their own")
    try:
        known = Baseline() if baseline is None else read_baseline(baseline)
        keys = {} if credentials is None else read_credentials(credentials)
        logs = _key_logs(key_logs)
    except (BaselineError, CaptureError, CredentialsError) as error:
        _complain(str(error))
        raise click.exceptions.Exit(2) from None
    terminal = sys.stdout.isatty()
    added = [each for each in dict.fromkeys(formats) if each == GITHUB]
    settings = AnalysisSettings(
        report_dir=None if isinstance(report_dir, str) else report_dir,
        report_url=report_dir if isinstance(report_dir, str) else None,
        formats=(*([each for each in formats if each != GITHUB] or ("json", "html")), *added),
        hosts=tuple(hosts),
        ignore=frozenset(ignore),
        redact=redact,
        fail_on=None if fail_on == "never" else Severity(fail_on),
        baseline=known,
        keeps_findings=baseline is not None or new_baseline is not None,
        jobs=jobs or (where and where.jobs) or _processes(files),
        where=where or Where(),
        scratch=scratch,
        dataset=dataset,
        label=names[0],
        labels=names[1],
        quiet=quiet,
        all_flows=all_flows,
        keys=keys,
        key_logs=logs,
        width=shutil.get_terminal_size().columns if terminal else None,
        colour=terminal and "NO_COLOR" not in os.environ,
    )
    raise click.exceptions.Exit(
        _run(files, settings, require_cos=require_cos, new_baseline=new_baseline)
    )


def _is_same(place: str, other: Path | str) -> bool:
    """Whether two places are one; paths are absolute where they are to be compared."""
    other = other if isinstance(other, str) else str(other.absolute())
    return place.rstrip("/") == other.rstrip("/")


def _key_logs(given: Sequence[str]) -> tuple[str, ...]:
    """Those that were asked for, and the one that programs on this machine write, if it is there.

    :raises CaptureError: for one that was asked for and is none.
    """
    if given:
        from cos_inspect.captures.wire.key_files import check_key_log  # noqa: PLC0415

        for path in given:
            if odd := check_key_log(path):
                _complain(f"{path}: {odd} lines of the key log are odd, and passed over")
    usual = os.environ.get("SSLKEYLOGFILE", "")
    found = [usual] if usual and Path(usual).is_file() and os.access(usual, os.R_OK) else []
    return tuple(dict.fromkeys([*given, *found]))


def _processes(files: Sequence[str]) -> int:
    from cos_inspect.analyze.executors import processors  # noqa: PLC0415 - starts quickly without

    total = sum(size_of(file) for file in files if not is_url(file))
    if any(is_url(file) for file in files):
        total = _LARGE
    many = total >= _LARGE or any(Path(file).is_dir() or has_glob(file) for file in files)
    return processors() if many else 1


def _run(
    files: Sequence[str],
    settings: AnalysisSettings,
    *,
    require_cos: bool,
    new_baseline: Path | None,
) -> int:
    # The reader of flow files brings in mitmproxy, which takes long to start.
    from cos_inspect.analyze.executors import ExecutorError  # noqa: PLC0415
    from cos_inspect.analyze.outcome import closing_text, why_not  # noqa: PLC0415
    from cos_inspect.analyze.run import analyze as analyze_files  # noqa: PLC0415

    try:
        outcome = analyze_files(files, settings, click.echo, _complain)
    except (ExecutorError, MissingExtraError, PlaceError) as error:
        _complain(str(error))
        return 2
    except OSError as error:
        # Reports wait in the folder for temporary files until all inputs were read.
        _complain(f"{error.filename or 'a temporary file'}: {error.strerror or error}")
        return 2
    for line in outcome.errors:
        _complain(line)
    closing = closing_text(outcome, settings, require_cos=require_cos)
    click.echo(closing)
    if GITHUB in settings.formats:
        _tell_github(outcome, settings, closing)
    if new_baseline is not None:
        try:
            write_baseline(new_baseline, outcome.found)
        except OSError as error:
            _complain(f"{new_baseline}: {error.strerror or error}")
            return 2
    if outcome.errors:
        return 2
    # An error may be among the reports that are lost.
    return 0 if why_not(outcome, settings, require_cos=require_cos) is None else 1


def _tell_github(outcome: "Outcome", settings: AnalysisSettings, closing: str) -> None:
    from cos_inspect.report.github import annotations, step_summary  # noqa: PLC0415

    groups = outcome.groups.worst_first()
    for line in annotations(groups, outcome.lost):
        click.echo(line)
    given = os.environ.get("GITHUB_STEP_SUMMARY")
    if given is None and settings.report_url is not None:
        place = join(settings.report_url, "step-summary.md")
        try:
            write(place, step_summary(closing, groups).encode())
        except OSError as error:
            _complain(str(error))
        return
    if given is None and settings.report_dir is None:
        return
    path = Path(given) if given else (settings.report_dir or Path()) / "step-summary.md"
    try:
        with path.open("a" if given else "w", encoding="utf-8") as file:
            file.write(step_summary(closing, groups))
    except OSError as error:
        _complain(f"{path}: {error.strerror or error}")


def _complain(line: str) -> None:
    from cos_inspect.report.terminal_text import one_line  # noqa: PLC0415 - starts quickly without

    click.echo(f"cos-inspect: {one_line(line)}", err=True)
