"""Archives on one machine: NDJSON in, NDJSON out in the order of the input, by several processes.

Lines go to the workers as bytes, in batches that depend on the input alone, and come back as bytes;
so the result is the same for any number of processes, and memory holds a few batches whatever the size.

A journal beside the result says after which line of the input everything is safe on the disk, and how
long the results were then. After a kill they are cut to these lengths, and reading goes on at that line.
"""

from __future__ import annotations

import glob
import gzip
import os
import sys
import time
import zlib
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO, Any, NamedTuple

import msgspec

from adapter.files import STREAM, Growing, hidden, hold, refusing, shown, standard, why
from adapter.line import MAX_LINE, Done, Task, convert, too_long
from adapter.reporting import terms_version
from adapter.workers import Gone, NotStarted, Workers
from mappings import Issue, MappingError, __version__, encode

LINES, BYTES = 128, 128 * 2**10  # a batch is full with either
AHEAD = 3  # batches read ahead for each process
SAFE = 0.5  # seconds after which what was done is made safe


class Stopped(Exception):
    """The run ended before its end; what it did is kept, and it can be taken up again."""


class Place(NamedTuple):
    """A place in the inputs: the number of the file, of the lines before it there, and of the (unpacked) bytes."""

    file: int = 0
    line: int = 0
    offset: int = 0


#: A line, or why it could not be read: the name of its file, its number (from 1), its first byte (from 0), and itself.
#: There is one for each line of an archive, and it goes to another process: a plain tuple.
Line = tuple[str, int, int, bytes | Issue]


class Batch(NamedTuple):
    """Lines that are converted together, the place after them, and how much of the files was read till there."""

    lines: list[Line]
    end: Place
    read: int


@dataclass(frozen=True, slots=True)
class Form:
    """The form of the three results (lines, errors, report): packed with gzip; errors as text; a report at all."""

    packed: tuple[bool, ...] = (False, False, False)
    text: bool = False
    report: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a batch: the bytes of the three results, and the counts of lines."""

    parts: tuple[bytes, ...]
    written: int
    refused: Counter[str]
    told: Counter[str]


@dataclass(frozen=True, slots=True)
class State:
    """How far a run is: the place in the inputs, the lengths of the results, and the counts of lines."""

    place: Place = field(default_factory=Place)
    lengths: tuple[int, ...] = (0, 0, 0)
    written: int = 0
    refused: int = 0
    #: lines by the codes of their errors if they were refused; else by those of what is to be said about them
    codes: dict[str, int] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    done: bool = False

    @property
    def count(self) -> int:
        """The lines so far."""
        return self.written + self.refused

    def after(self, batch: Batch, made: Made, lengths: tuple[int, ...]) -> State:
        """The state with one more batch in it."""
        return State(
            batch.end,
            lengths,
            self.written + made.written,
            self.refused + len(batch.lines) - made.written,
            dict(Counter(self.codes) + made.refused),
            dict(Counter(self.told) + made.told),
        )


# --- reading ------------------------------------------------------------------------------------


def input_files(patterns: Sequence[str]) -> list[str]:
    """The files that are meant: files, ``-``, globs, and folders with all that is in them; sorted where they match.

    What is reached twice, by a folder and a glob or by a link, is meant once.
    Names that begin with a dot or an underscore are left out of folders, as Spark does.
    Raises `MappingError` (not-readable), all of them at once.
    """
    found: dict[str, str] = {}  # by the place that a name leads to
    issues: list[Issue] = []
    for pattern in patterns:
        if os.path.isdir(pattern):
            names = _inside(pattern, issues)
        elif pattern == STREAM or os.path.exists(pattern):
            names = [pattern]
        else:
            names = list(filter(_is_file, glob.glob(pattern, recursive=True)))
        issues += [] if names else [_unreadable(pattern, "There is no such file.")]
        for name in sorted(names):
            found.setdefault(name if name == STREAM else os.path.realpath(name), name)
    for name in found.values():
        if name == STREAM:
            try:
                standard(sys.stdin)
            except OSError as error:
                issues.append(_unreadable(name, why(error)))
        elif not os.path.exists(name):
            issues.append(_unreadable(name, "The link leads nowhere."))
        elif not os.access(name, os.R_OK):
            issues.append(_unreadable(name, "No right to read."))
    if issues:
        raise MappingError(issues)
    return list(found.values())


def _inside(folder: str, issues: list[Issue]) -> list[str]:
    """The files in a folder and those below it, links followed, each folder once; what cannot be seen is an issue."""
    names: list[str] = []
    seen: set[str] = set()

    def unseen(error: OSError) -> None:
        issues.append(_unreadable(error.filename, why(error)))

    for here, folders, files in os.walk(folder, onerror=unseen, followlinks=True):
        place = os.path.realpath(here)
        folders[:] = [] if place in seen else filter(_is_data, folders)
        if place not in seen:
            names += filter(_is_file, (os.path.join(here, name) for name in filter(_is_data, files)))
        seen.add(place)
    return names


def _is_data(name: str) -> bool:
    return not name.startswith((".", "_"))


def _is_file(path: str) -> bool:
    """Also a link that leads nowhere: what is missing is to be told."""
    return os.path.isfile(path) or not os.path.exists(path)


def _unreadable(name: str, reason: str) -> Issue:
    return Issue("not-readable", reason, path=shown(name))


@contextmanager
def _opened(name: str) -> Iterator[tuple[IO[bytes], IO[bytes] | gzip.GzipFile]]:
    """The file as it is and unpacked: gzip is known by its first bytes."""
    raw: Any = standard(sys.stdin) if name == STREAM else open(name, "rb")  # noqa: SIM115
    try:
        yield raw, gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == b"\x1f\x8b" else raw
    finally:
        if name != STREAM:
            raw.close()


def _lines(names: Sequence[str], start: Place) -> Iterator[tuple[Line, Place, int]]:
    """Every line that is not blank, the place after it, and the bytes of the files read till there."""
    before = 0
    for number, name in enumerate(names):
        size, told = 0 if name == STREAM else os.path.getsize(name), shown(name)
        _, count, at = start if number == start.file else Place()
        try:
            if number >= start.file:
                with _opened(name) as (raw, stream):
                    packed = stream is not raw and raw.seekable()
                    if at:
                        stream.seek(at)
                    while piece := stream.readline(MAX_LINE + 1):
                        line, length = (told, count + 1, at, _whole(piece)), len(piece)
                        blank = piece.isspace()
                        while not piece.endswith(b"\n") and (piece := stream.readline(MAX_LINE)):
                            length += len(piece)
                            blank = blank and piece.isspace()
                        count, at = count + 1, at + length
                        if not blank:
                            yield line, Place(number, count, at), before + (raw.tell() if packed else at)
        except (OSError, EOFError, zlib.error) as error:
            issue = Issue("not-readable", f"The file cannot be read further: {type(error).__name__}.")
            yield (told, count + 1, at, issue), Place(number + 1), before + size
        before += size


def _whole(piece: bytes) -> bytes | Issue:
    """The line without its end; an issue if this is only its beginning."""
    return too_long() if len(piece) > MAX_LINE and not piece.endswith(b"\n") else piece.rstrip(b"\r\n")


def _batches(names: Sequence[str], start: Place) -> Iterator[Batch]:
    lines: list[Line] = []
    size = 0
    for line, end, read in _lines(names, start):
        lines.append(line)
        raw = line[-1]
        size += len(raw) if isinstance(raw, bytes) else 0
        if len(lines) == LINES or size >= BYTES:
            yield Batch(lines, end, read)
            lines, size = [], 0
    if lines:
        yield Batch(lines, end, read)


# --- converting, in the workers -----------------------------------------------------------------


def make(task: Task, form: Form, lines: Sequence[Line]) -> Made:
    """Convert the lines; an error is a line of NDJSON with the place, or a line of text."""
    parts: tuple[list[bytes], ...] = ([], [], [])
    refused, told = Counter[str](), Counter[str]()
    for line in lines:
        raw = line[-1]
        done = Done(None, [raw]) if isinstance(raw, Issue) else convert(raw, task)
        (refused if done.result is None else told).update(done.codes())
        if done.result is not None:
            parts[0].append(done.result + b"\n")
        if done.result is None or (form.report and done.codes()):
            parts[1 if done.result is None else 2].append(_record(line, done, form))
    return Made(tuple(map(_bytes, parts, form.packed)), len(parts[0]), refused, told)


def _record(line: Line, done: Done, form: Form) -> bytes:
    name, number, offset, _ = line
    if form.text and done.result is None:
        return "".join(f"{name}:{number} (byte {offset}): {issue.line()}\n" for issue in done.loud()).encode()
    return encode({"file": name, "line": number, "offset": offset, "outcome": done.outcome()}) + b"\n"


def _bytes(lines: list[bytes], packed: bool) -> bytes:
    """The lines as they are written; packed, each batch is a member of its own, so that a file can be cut there."""
    data = b"".join(lines)
    return gzip.compress(data, 6, mtime=0) if packed and data else data


def _made(task: Task, form: Form, batches: Iterator[Batch], jobs: int) -> Iterator[tuple[Batch, Made]]:
    """Each batch and what became of it, in order; raises `Stopped` if workers are gone or cannot be had."""
    work = partial(make, task, form)
    if jobs == 1:
        for batch in batches:
            yield batch, work(batch.lines)
        return
    waiting: deque[tuple[Batch, Future[Made]]] = deque()
    try:
        with Workers(work, jobs, __name__) as workers:
            for batch in batches:
                waiting.append((batch, workers.submit(batch.lines)))
                if len(waiting) > AHEAD * jobs:
                    first, made = waiting.popleft()
                    yield first, made.result()
            while waiting:
                first, made = waiting.popleft()
                yield first, made.result()
    except Gone:
        told = "A worker process is gone: it was killed, perhaps for want of memory (fewer --jobs need less)."
        raise Stopped(told) from None
    except NotStarted as error:
        raise Stopped(f"No worker process can be started: {error} (--jobs 1 needs none).") from None


# --- the run ------------------------------------------------------------------------------------


class Journal:
    """What the run is, and how far it is: a line of JSON each, in a hidden file beside the result, held by one process.

    Raises `MappingError` (bad-option) where another run holds it, where a run was left off that is not to be
    resumed, and where the inputs, the options or the adapter are not those that it was begun with.
    """

    def __init__(self, target: str, identity: dict[str, Any], resume: bool) -> None:
        self.path = hidden(target, "journal")
        self._file = hold(self.path, os.O_CREAT)
        whole, _, _ = self._file.read().rpartition(b"\n")
        first, *others = whole.splitlines() or [b""]
        anew = f"no {shown(str(self.path))}, to begin anew"
        if first and not resume:
            raise self._refusal("A run was left off here.", f"--resume, or {anew}")
        try:
            begun = msgspec.json.decode(first, type=dict[str, Any]) if first else identity
            self.last = msgspec.json.decode(others[-1], type=State) if others else State()
        except msgspec.DecodeError:
            raise self._refusal("The journal is damaged.", anew) from None
        changed = [name for name, value in identity.items() if encode(begun.get(name)) != encode(value)]
        if changed:
            raise self._refusal(f"The run was begun with other {', '.join(changed)}.", "the same as then")
        self._file.seek(len(whole) + bool(whole))
        self._file.truncate()
        if not first:
            self.note(identity)

    def _refusal(self, why: str, expected: str) -> MappingError:
        self.close()
        return MappingError(Issue("bad-option", why, path=shown(str(self.path)), expected=expected))

    def note(self, record: State | dict[str, Any]) -> None:
        """Have the disk keep one more line."""
        with refusing(str(self.path)):
            self._file.write(encode(record) + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def remove(self) -> None:
        """The run is over."""
        self.path.unlink()

    def close(self) -> None:
        """Let others have it."""
        with suppress(OSError):  # a last line that a full disk did not take
            self._file.close()


def run(
    task: Task,
    names: Sequence[str],
    paths: Sequence[str | None],
    jobs: int = 1,
    resume: bool = False,
    max_errors: int | None = None,
) -> Generator[tuple[int, State], None, None]:
    """Do the task to every line of the files; yields the bytes read and the state, at the start and after each batch.

    ``paths`` are those of the result, of the refused lines (None: told on standard error), and of the report on
    lines that were written (None: none). Raises `MappingError`, and `Stopped`, also where more than ``max_errors``
    lines are refused; unless input or result is a stream, a later run with ``resume`` goes on from there.
    """
    out, errors, report = paths
    form = Form(tuple((path or "").endswith(".gz") for path in paths), errors is None, report is not None)
    told = STREAM if sys.stderr else os.devnull  # the caller closed it
    results = [Growing(out or STREAM), Growing(errors or told, None if errors else sys.stderr)]
    results += [Growing(report)] if report else []
    journal = None
    if STREAM not in names and results[0].part is not None:
        journal = Journal(out or STREAM, _identity(task, names, paths), resume)
    with ExitStack() as opened:
        for result in results:
            opened.callback(result.close)
        if journal:
            opened.callback(journal.close)
        state = journal.last if journal else State()
        try:
            for result, length in zip(results, state.lengths, strict=False):
                if not state.done or result.unfinished:
                    result.begin(length)
        except MappingError:
            if journal and not state.count:  # nothing was begun that could be resumed
                journal.remove()
            raise
        opened.enter_context(_stopping())
        yield 0, state
        if not state.done:
            try:
                safe = time.monotonic()
                for batch, made in _made(task, form, _batches(names, state.place), jobs):
                    lengths = [result.write(part) for result, part in zip(results, made.parts, strict=False)]
                    state = state.after(batch, made, (*lengths, 0)[:3])
                    yield batch.read, state
                    if max_errors is not None and state.refused > max_errors:
                        raise Stopped(f"More than {max_errors} lines are refused (--max-errors).")
                    if time.monotonic() - safe > SAFE:
                        _keep(results, journal, state)
                        safe = time.monotonic()
                for result, packed, length in zip(results, form.packed, state.lengths, strict=False):
                    if packed and not length:
                        result.write(gzip.compress(b"", mtime=0))
                state = replace(state, done=True)
            finally:
                _keep(results, journal, state)
        for result in results:
            result.finish()
        if journal:
            journal.remove()
        yield 0, state


@contextmanager
def _stopping() -> Iterator[None]:
    """What the system refuses in the midst of a run stops it."""
    try:
        yield
    except MappingError as error:
        raise Stopped(" ".join(issue.line() for issue in error.issues)) from None
    except MemoryError:
        raise Stopped("There is not enough memory (fewer --jobs need less).") from None


def _identity(task: Task, names: Sequence[str], paths: Sequence[str | None]) -> dict[str, Any]:
    """What a run must have in common with the one that it takes up."""
    files = [(shown(name), os.path.getsize(name), os.stat(name).st_mtime_ns) for name in names]
    return {
        "adapter": [__version__, terms_version(), LINES, BYTES, MAX_LINE],
        "options": [task, [path and shown(path) for path in paths]],
        "inputs": files,
    }


def _keep(results: Sequence[Growing], journal: Journal | None, state: State) -> None:
    """Have the disk keep the results, then the state: what it says is there."""
    if journal:
        for result in results:
            result.keep()
        journal.note(state)
