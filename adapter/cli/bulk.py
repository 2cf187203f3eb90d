"""``fhir-adapter bulk``: archives of many documents, one a line, on this machine or on a Spark cluster."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from adapter.cli import options
from adapter.cli.messages import ending, refusing, watched
from adapter.files import STREAM, hidden, is_stream, shown
from adapter.line import Task
from adapter.memory import settle
from adapter.verify import Verify

if TYPE_CHECKING:
    from adapter.bulk import State

Command = Callable[..., Any]
Paths = tuple[str | None, str | None, str | None]


@click.group(short_help="Many documents at once: NDJSON in, NDJSON out.")
def bulk() -> None:
    """Convert or validate archives: one document a line, in files, folders or globs, packed with gzip or not.

    \b
      fhir-adapter bulk to-fhir cases.ndjson.gz -o bundles.ndjson.gz --errors refused.ndjson
      fhir-adapter bulk to-case bundles/ -o cases.ndjson --errors refused.ndjson --resume

    Results are in the order of the input, one a line; a refused line stops nothing. Exit status: 0 all
    done, 1 something was refused or the run was stopped, 2 wrong command line.
    """


_COMMON = (
    click.argument("inputs", nargs=-1, required=True, metavar="IN..."),
    click.option(
        "-o",
        "--output",
        default=STREAM,
        metavar="OUT",
        help="Write to OUT, not to standard output; packed if its name ends in .gz, as the other files.",
    ),
    click.option(
        "--errors",
        metavar="FILE",
        help="The refused lines, as NDJSON: file, line, byte offset, OperationOutcome."
        "  [default: as text on standard error]",
    ),
    click.option("--report", metavar="FILE", help="The same for lines that were written with warnings or errors."),
    click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes.  [default: the cores]"),
    click.option("--max-errors", type=click.IntRange(min=0), metavar="N", help="Stop when more lines are refused."),
    click.option("--resume", is_flag=True, help="Go on where a run that was killed or stopped left off, if one was."),
    click.option(
        "--engine",
        type=click.Choice(["local", "spark"]),
        default="local",
        show_default=True,
        help="Processes of this machine, or Spark: all paths are then Spark's, and results are folders.",
    ),
    click.option("--master", metavar="URL", help="With --engine spark: the cluster.  [default: spark-submit's]"),
)


def _common(command: Command) -> Command:
    """The options of every bulk command, which gets them as one."""
    names = ("inputs", "output", "errors", "report", "jobs", "max_errors", "resume", "engine", "master")

    @wraps(command)
    def with_common(**options: Any) -> None:
        command(common={name: options.pop(name) for name in names}, **options)

    for option in reversed(_COMMON):
        with_common = option(with_common)
    return with_common


@bulk.command("to-fhir", short_help="Cases -> FHIR Bundles.")
@options.bundle
@options.verify
@_common
def to_fhir(verify: Verify, common: dict[str, Any], **given: Any) -> None:
    """Write each case of IN... as a FHIR R4 Bundle."""
    _run(Task("to-fhir", verify, options.given(given)), **common)


@bulk.command("to-case", short_help="FHIR Bundles -> cases.")
@options.strict
@options.verify
@_common
def to_case(verify: Verify, common: dict[str, Any], **given: Any) -> None:
    """Read each FHIR R4 Bundle of IN... into a case.

    What is not mapped is not in the cases: --report FILE tells of every line what was left out or is doubtful.
    """
    _run(Task("to-case", verify, given), **common)


@bulk.command(short_help="Sort out what breaks the rules.")
@_common
def validate(common: dict[str, Any]) -> None:
    """Hold each document of IN..., FHIR or case, against its rules: those without errors go to OUT as they are."""
    _run(Task("validate"), **common)


# --- the run ------------------------------------------------------------------------------------


def _run(task: Task, inputs: Sequence[str], engine: str, master: str | None, **more: Any) -> None:
    """Do the task by the engine that is asked for; the one place where a run ends."""
    paths = (more.pop("output"), more.pop("errors"), more.pop("report"))
    with refusing(remedy="Report this line."):
        if engine == "spark":
            if unfit := [name for name, value in more.items() if value]:
                raise click.UsageError(f"--{unfit[0].replace('_', '-')} does not go with --engine spark.")
            state = _on_spark(task, inputs, paths, master)
        elif master is not None:
            raise click.UsageError("--master needs --engine spark.")
        else:
            state = _here(task, inputs, paths, **more)
    raise click.exceptions.Exit(0 if state.done and not state.refused else 1)


def _here(
    task: Task, inputs: Sequence[str], paths: Paths, jobs: int | None, max_errors: int | None, resume: bool
) -> State:
    """The run on this machine, with its bar and its summary."""
    from adapter.bulk import State, Stopped, input_files, run  # with what starts processes: no other command needs it

    names = input_files(inputs)
    _check(names, paths, resume)
    jobs, start, stopped = jobs or _cores(), time.monotonic(), ""
    if jobs == 1:  # this process is then the one that converts
        settle()
    state = before = State()
    try:
        with (
            ending(KeyboardInterrupt()),
            closing(run(task, names, paths, jobs, resume, max_errors)) as running,
            _bar(task.operation, names) as bar,
        ):
            before = next(running)[1]
            for read, state in running:
                rate = (state.count - before.count) / (time.monotonic() - start)
                bar.update(max(read - bar.pos, 0), f"{state.count} documents, {rate:.0f}/s, {state.refused} refused")
    except (Stopped, KeyboardInterrupt) as error:
        stopped = str(error) or "Interrupted."
    seconds = time.monotonic() - start
    rate = (state.count - before.count) / seconds
    _tell(state, f"{seconds:.1f} s, {rate:.0f} a second, {jobs} process{'es' * (jobs > 1)}", paths[1] or "above")
    if stopped:
        files = _files(paths)
        kept = [shown(str(hidden(path, "part"))) for path in files if os.path.exists(hidden(path, "part"))]
        resumable = paths[0] in files and os.path.exists(hidden(files[0], "journal"))
        way = "The same command with --resume goes on from here." if resumable else "It cannot be resumed."
        click.echo(f"stopped: {stopped} {way} So far: {', '.join(kept) or 'nothing kept'}", err=True)
    return state


def _on_spark(task: Task, inputs: Sequence[str], paths: Paths, master: str | None) -> State:
    if STREAM in (paths[0], *inputs):
        raise click.UsageError("--engine spark needs paths: standard input and output are not on the cluster.")
    try:
        from adapter import spark
    except ImportError:
        raise click.UsageError("--engine spark needs pip install 'scleromyxedema-fhir-adapter[spark]'.") from None
    start = time.monotonic()
    state = spark.run(task, inputs, paths, master)
    _tell(state, f"{time.monotonic() - start:.1f} s with Spark", paths[1] or "--errors FOLDER")
    return state


def _check(names: Sequence[str], paths: Paths, resume: bool) -> None:
    """Refuse files that stand for two things, and a resumption that cannot be."""
    beside = [str(hidden(path, suffix)) for path in _files(paths) for suffix in ("part", "journal")]
    options.separate([*paths, *beside], names)
    if resume and any(map(is_stream, (paths[0] or STREAM, *names))):
        raise click.UsageError("--resume needs files: standard input and output cannot be taken up again.")


def _files(paths: Paths) -> list[str]:
    """The results that have a place."""
    return [path for path in paths if path is not None and not is_stream(path)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bar(label: str, names: Sequence[str]) -> Any:
    """A bar over the bytes of the files, with the time left; over nothing known for standard input; else hidden."""
    known = STREAM not in names
    return click.progressbar(
        None if known else iter(()),
        length=sum(map(os.path.getsize, names)) if known else None,
        label=label,
        file=sys.stderr,
        hidden=not watched(),
        item_show_func=lambda item: item or "",
    )


def _tell(state: State, how: str, errors: str) -> None:
    """The summary: how many, how fast, and what was wrong by issue code; where the refused lines are."""
    click.echo(f"{state.count} documents: {state.written} written, {state.refused} refused; {how}", err=True)
    for what, codes, where in (
        ("refused", state.codes, errors),
        ("written, with", state.told, "--report FILE"),
    ):
        if codes:
            click.echo(f"{what}: {_counts(codes)} (lines by code; see {where})", err=True)


def _counts(codes: Mapping[str, int]) -> str:
    return ", ".join(f"{code} {count}" for code, count in sorted(codes.items(), key=lambda one: (-one[1], one[0])))
