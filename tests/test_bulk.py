"""Archives: every line in its order, every refused line named, and nothing lost or doubled whatever kills the run."""

from __future__ import annotations

import gzip
import json
import os
import pty
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner, Result

import adapter.bulk
import adapter.line
from adapter.bulk import AHEAD, Batch, Form, Place
from adapter.cli import main
from adapter.line import Task, convert
from adapter.workers import Workers
from mappings import dump_case, encode, from_fhir, load_case, to_fhir
from tests.archive import cases, spoilt, write

ROOT = Path(__file__).parent.parent
INSTANT = "2024-07-15T10:00:00Z"
STARTED: list[subprocess.Popen[bytes]] = []


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["bulk", *map(str, arguments)], input=stdin)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "adapter", "bulk", *map(str, arguments)]


def start(*arguments: str | Path, **more: Any) -> subprocess.Popen[bytes]:
    """The command as a process group of its own."""
    process = subprocess.Popen(
        command(*arguments), cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=_heeding, **more
    )
    STARTED.append(process)
    return process


def _heeding() -> None:
    """Signals mean what they mean, also where whoever runs the tests has some ignored, as nohup does."""
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _nothing_outlives_its_test() -> Iterator[None]:
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def bundles(lines: list[bytes], **options: Any) -> bytes:
    """What the library makes of the cases."""
    return b"".join(encode(to_fhir(load_case(line), **options)) + b"\n" for line in lines)


def outcomes(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def codes(record: dict[str, Any]) -> set[str]:
    return {issue["details"]["coding"][0]["code"] for issue in record["outcome"]["issue"]}


@pytest.fixture
def few(tmp_path: Path) -> tuple[Path, list[bytes]]:
    """A small archive: 30 minimal cases and a large one between them."""
    lines = list(cases(30))
    lines.insert(7, next(cases(1, "synthetic-course")))
    return write(tmp_path / "in.ndjson", lines), lines


# --- what comes out -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {}),
        (["--type", "transaction", "--mode", "put"], {"bundle_type": "transaction", "mode": "put"}),
        (["--type", "document", "--now", INSTANT], {"bundle_type": "document", "now": INSTANT}),
        (["--verify", "off", "--no-literature"], {"literature": False}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_each_line_becomes_what_the_library_makes_of_it(
    few: tuple[Path, list[bytes]], tmp_path: Path, arguments: list[str], options: dict[str, Any]
) -> None:
    """Every option is the library's; there and back each case is the same, to the byte."""
    path, lines = few
    there = run("to-fhir", path, "-o", tmp_path / "b.ndjson", "--jobs", 1, *arguments)
    back = run("to-case", tmp_path / "b.ndjson", "--jobs", 1)
    assert (there.exit_code, back.exit_code) == (0, 0)
    assert (tmp_path / "b.ndjson").read_bytes() == bundles(lines, **options)
    read = (from_fhir(to_fhir(load_case(line), **options))[0] for line in lines)
    assert back.stdout_bytes == b"".join(encode(dump_case(case)) + b"\n" for case in read)


@pytest.mark.xdist_group("bulk")
def test_the_bytes_do_not_depend_on_the_processes(few: tuple[Path, list[bytes]], tmp_path: Path) -> None:
    """One process or two, the result and the refused lines are the same; packed, too."""
    path, lines = few
    many = lines * 20
    spoilt(many, 5)
    write(path, many)
    made = []
    for jobs in (1, 2):
        out, errors = tmp_path / f"{jobs}.ndjson.gz", tmp_path / f"{jobs}.errors"
        done = run("to-fhir", path, "-o", out, "--errors", errors, "--jobs", jobs)
        made.append((done.exit_code, out.read_bytes(), errors.read_bytes()))
    assert made[0] == made[1]
    assert made[0][0] == 1
    assert len(gzip.decompress(made[0][1]).splitlines()) == len(many) - 5


def test_files_folders_globs_packed_files_and_standard_input_are_read(tmp_path: Path) -> None:
    """In the order of the command line, folders and globs by name; gzip is known by content; hidden files stay out."""
    lines = list(cases(6))
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    write(folder / "a.ndjson", lines[0:1])
    (folder / "b.any-name").write_bytes(gzip.compress(lines[1] + b"\n" + lines[2]))
    write(folder / "sub" / "c.ndjson", lines[3:4])
    write(folder / "_SUCCESS", [b"no document"])
    write(folder / ".hidden", [b"no document"])
    write(tmp_path / "x1.ndjson", lines[4:5])
    write(tmp_path / "x2.ndjson", lines[5:6])
    done = run("to-fhir", folder, tmp_path / "x?.ndjson", "--jobs", 1)
    assert (done.exit_code, done.stdout_bytes) == (0, bundles(lines))
    packed = gzip.compress(b"\n".join(lines))
    piped = subprocess.run(
        command("to-fhir", "-", "--jobs", 1), input=packed, capture_output=True, cwd=ROOT, check=True
    )
    assert piped.stdout == bundles(lines)


def test_blank_lines_foreign_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    """Blank lines are no documents but count; CR LF ends a line; the last line needs no end."""
    one, two = cases(2)
    path = tmp_path / "in.ndjson"
    path.write_bytes(b"\xef\xbb\xbf" + one + b"\r\n \r\n\n" + two + b"\n\n{")
    done = run("to-fhir", path, "--errors", tmp_path / "e", "--jobs", 1)
    assert done.stdout_bytes == bundles([one, two])
    (record,) = outcomes(tmp_path / "e")
    assert (record["line"], path.read_bytes()[record["offset"] :]) == (6, b"{")


def test_a_name_that_is_not_utf8_is_told_by_its_bytes(tmp_path: Path) -> None:
    """As an input, in the journal, in both forms of a refusal, and as what is not there."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/in-\xff"))
    write(path, [b"{"])
    done = run("to-fhir", path, "-o", tmp_path / "out", "--errors", tmp_path / "e", "--jobs", 1)
    (record,) = outcomes(tmp_path / "e")
    assert (done.exit_code, record["file"]) == (1, rf"{tmp_path}/in-\xff")
    assert rf"{tmp_path}/in-\xff:1 " in run("to-fhir", path, "--jobs", 1).stderr
    assert rf"{tmp_path}/in-\xffx" in run("to-fhir", f"{path}x").stderr
    single = CliRunner().invoke(main, ["to-fhir", f"{path}x", "--format", "json"])
    assert json.loads(single.stderr)["issue"][0]["details"]["coding"][0]["code"] == "not-readable"
    told = json.loads(CliRunner().invoke(main, ["validate", str(path), "--format", "json"]).stdout)
    assert told["file"] == rf"{tmp_path}/in-\xff"


def test_validate_lets_through_what_holds(tmp_path: Path) -> None:
    """Cases and FHIR alike: what has no error goes on as it is, the others are refused with the rules' words."""
    good = [next(cases(1)), b'{"resourceType": "Patient", "gender": "male"}']
    bad = [b'{"resourceType":"Patient","gender":"x"}', b'{"resourceType":"Basic"}']
    path = write(tmp_path / "in", [good[0], bad[0], good[1], bad[1]])
    done = run("validate", path, "--errors", tmp_path / "e", "--jobs", 1)
    assert (done.exit_code, done.stdout_bytes.splitlines()) == (1, good)
    assert [(one["line"], codes(one)) for one in outcomes(tmp_path / "e")] == [(2, {"r4"}), (4, {"r4"})]


def test_what_a_written_line_lost_is_in_the_report(tmp_path: Path) -> None:
    """A Bundle of which a part is left out with an error is written, told in the report, and counted."""
    foreign = json.loads(json.dumps(to_fhir(load_case(next(cases(1)))), default=str))
    foreign["entry"].append(
        {"fullUrl": "urn:uuid:0", "resource": {"resourceType": "Condition", "modifierExtension": [{"url": "http://x.example"}]}}
    )  # fmt: skip
    path = write(tmp_path / "in", [encode(foreign)])
    done = run("to-case", path, "-o", tmp_path / "out", "--report", tmp_path / "r", "--jobs", 1)
    (record,) = outcomes(tmp_path / "r")
    assert (done.exit_code, record["line"], record["offset"]) == (0, 1, 0)
    assert codes(record)
    assert "written, with" in done.stderr
    assert run("to-case", path, "--strict", "--jobs", 1).exit_code == 1


# --- the refused lines --------------------------------------------------------------------------


def test_the_twelve_broken_lines_are_found(tmp_path: Path) -> None:
    """Each with its file, its line, its first byte and its reasons; the summary says how many, why and where."""
    lines = list(cases(500))
    broken = spoilt(lines, 12)
    path, errors = write(tmp_path / "in.ndjson", lines), tmp_path / "refused.ndjson"
    done = run("to-fhir", path, "-o", tmp_path / "out", "--errors", errors, "--jobs", 1)
    found = outcomes(errors)
    assert done.exit_code == 1
    assert [one["line"] for one in found] == sorted(broken)
    assert all(broken[one["line"]] in codes(one) for one in found)
    for one in found:
        assert path.read_bytes()[one["offset"] :].startswith(lines[one["line"] - 1] + b"\n")
    assert len((tmp_path / "out").read_bytes().splitlines()) == 488
    assert "500 documents: 488 written, 12 refused" in done.stderr
    assert "not-json 3" in done.stderr
    assert str(errors) in done.stderr


def test_without_a_file_they_are_told_on_standard_error(tmp_path: Path) -> None:
    """A line of text for each problem, with the place."""
    one, two = cases(2)
    path = write(tmp_path / "in", [one, two[:-1]])
    done = run("to-fhir", path, "--jobs", 1)
    assert done.stdout_bytes == bundles([one])
    assert f"{path}:2 (byte {len(one) + 1}): error: Not JSON" in done.stderr


def test_a_line_that_is_too_long_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its beginning is all that memory sees of it; the lines after it go on."""
    for module in (adapter.bulk, adapter.line):
        monkeypatch.setattr(module, "MAX_LINE", 1000)
    one, two = cases(2)
    path = write(tmp_path / "in", [one, b"[" + b" " * 5000 + b"]", two])
    done = run("to-fhir", path, "--errors", tmp_path / "e", "--jobs", 1)
    (record,) = outcomes(tmp_path / "e")
    assert done.stdout_bytes == bundles([one, two])
    assert (record["line"], record["offset"], codes(record)) == (2, len(one) + 1, {"too-large"})
    assert "1000 bytes" in record["outcome"]["issue"][0]["diagnostics"]
    write(path, [b" " * 1500 + b"{}", b" " * 5000, two])
    blank = run("to-fhir", path, "--errors", tmp_path / "e", "--jobs", 1)
    assert (blank.stdout_bytes, [record["line"] for record in outcomes(tmp_path / "e")]) == (bundles([two]), [1])
    assert convert(b" " * 1001, Task("validate")).issues[0].code == "too-large"


def test_a_damaged_packed_file_is_one_refusal(tmp_path: Path) -> None:
    """What could be unpacked is converted, the place of the damage is told, the next file goes on."""
    lines = list(cases(40))
    whole = gzip.compress(b"".join(line + b"\n" for line in lines))
    (tmp_path / "a").write_bytes(whole[: len(whole) // 2])
    write(tmp_path / "b", lines[:1])
    done = run("to-fhir", tmp_path / "a", tmp_path / "b", "--errors", tmp_path / "e", "--jobs", 1)
    (record,) = outcomes(tmp_path / "e")
    made = done.stdout_bytes.splitlines()
    assert (done.exit_code, codes(record), record["line"]) == (1, {"not-readable"}, len(made))
    assert b"\n".join(made) + b"\n" == bundles([*lines[: len(made) - 1], lines[0]])


def test_our_own_bug_is_a_refusal_of_its_line_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the place in the program, and no value."""
    real = load_case

    def failing(raw: bytes) -> Any:
        if b"minimal-1" in raw:
            raise ZeroDivisionError("Muster")
        return real(raw)

    monkeypatch.setattr(adapter.line, "load_case", failing)
    path = write(tmp_path / "in", list(cases(3)))
    done = run("to-fhir", path, "--errors", tmp_path / "e", "--jobs", 1)
    (record,) = outcomes(tmp_path / "e")
    assert (len(done.stdout_bytes.splitlines()), record["line"], codes(record)) == (2, 2, {"bug"})
    assert "Muster" not in (tmp_path / "e").read_text()


def test_want_of_memory_is_no_fault_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the run, which can be resumed: what is written does not depend on what else the machine does."""

    def failing(raw: bytes) -> Any:
        raise MemoryError

    path = write(tmp_path / "in", list(cases(3)))
    with monkeypatch.context() as patch:
        patch.setattr(adapter.line, "load_case", failing)
        done = run("to-fhir", path, "-o", tmp_path / "out", "--jobs", 1)
    assert (done.exit_code, "not enough memory" in done.stderr, "0 refused" in done.stderr) == (1, True, True)
    assert run("to-fhir", path, "-o", tmp_path / "out", "--jobs", 1, "--resume").exit_code == 0


# --- files that are whole or not there ----------------------------------------------------------


def test_results_get_their_names_when_they_are_whole(few: tuple[Path, list[bytes]], tmp_path: Path) -> None:
    """A file keeps its rights and a link its target; nothing else is left; an empty packed result is valid."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"before")
    target.chmod(0o640)
    link.symlink_to(target)
    before = set(os.listdir(tmp_path))
    assert run("to-fhir", few[0], "-o", link, "--jobs", 1).exit_code == 0
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_bytes() == bundles(few[1])
    assert set(os.listdir(tmp_path)) == before
    empty = write(tmp_path / "empty", [])
    assert run("to-fhir", empty, "-o", tmp_path / "empty.gz", "--jobs", 1).exit_code == 0
    assert gzip.decompress((tmp_path / "empty.gz").read_bytes()) == b""


def test_a_run_that_stops_leaves_the_old_result_and_can_go_on(tmp_path: Path) -> None:
    """--max-errors stops with what is wrong in sight, for its owner only; more leave, and --resume finishes it."""
    lines = list(cases(600))
    spoilt(lines, 8)
    path, out = write(tmp_path / "in", lines), tmp_path / "out"
    arguments = ("to-fhir", path, "-o", out, "--errors", tmp_path / "e", "--jobs", 1)
    out.write_bytes(b"before")
    stopped = run(*arguments, "--max-errors", 3)
    part, errors = tmp_path / ".out.part", tmp_path / ".e.part"
    assert (stopped.exit_code, out.read_bytes()) == (1, b"before")
    assert "More than 3 lines are refused" in stopped.stderr
    assert all(word in stopped.stderr for word in ("--resume", str(errors)))
    assert 4 <= len(outcomes(errors)) < 8
    assert [stat.S_IMODE(file.stat().st_mode) for file in (part, errors, tmp_path / ".out.journal")] == [0o600] * 3
    again = run(*arguments)
    assert (again.exit_code, "A run was left off here" in again.stderr) == (2, True)
    resumed = run(*arguments, "--resume", "--max-errors", 8)
    assert (resumed.exit_code, len(outcomes(tmp_path / "e"))) == (1, 8)
    assert "600 documents: 592 written, 8 refused" in resumed.stderr
    whole = run("to-fhir", path, "--jobs", 1)
    assert out.read_bytes() == whole.stdout_bytes
    assert not part.exists()
    assert not errors.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path, out: path.write_bytes(path.read_bytes() + b"\n"), "other inputs"),
        (lambda path, out: ["--no-literature"], "other options"),
        (lambda path, out: out.with_name(".out.part").write_bytes(b""), "shorter than it was"),
    ],
    ids=["inputs", "options", "part"],
)
def test_what_is_not_the_same_run_is_not_resumed(tmp_path: Path, change: Any, words: str) -> None:
    """Other bytes in, other options or a part that is gone: refused, and the state stays as it is."""
    lines = list(cases(300))
    lines[50] = b"{"
    path, out = write(tmp_path / "in", lines), tmp_path / "out"
    arguments = ["to-fhir", path, "-o", out, "--jobs", 1]
    assert run(*arguments, "--max-errors", 0).exit_code == 1
    journal = (tmp_path / ".out.journal").read_bytes()
    more = change(path, out)
    done = run(*arguments, "--resume", *(more if isinstance(more, list) else []))
    assert (done.exit_code in (1, 2), words in done.stderr) == (True, True)
    assert (tmp_path / ".out.journal").read_bytes() == journal


@pytest.mark.parametrize("journal", ["{\n", '{"a":1}\n', "[]\n", "\xff\n", "@\n{}\n[1]\n", "@\nx\n"])
def test_a_damaged_journal_is_told_with_its_path(tmp_path: Path, journal: str) -> None:
    """And stays as it is."""
    path, out, left = write(tmp_path / "in", [b"{"] * 3), tmp_path / "out", tmp_path / ".out.journal"
    arguments = ("to-fhir", path, "-o", out, "--jobs", 1)
    run(*arguments, "--max-errors", 0)
    damaged = journal.replace("@", left.read_text().splitlines()[0]).encode("latin-1")
    left.write_bytes(damaged)
    done = run(*arguments, "--resume")
    assert (done.exit_code, str(left) in done.stderr, "[bad-option]" in done.stderr) == (2, True, True)
    assert left.read_bytes() == damaged


@pytest.mark.parametrize(
    "arguments",
    [
        ["to-fhir", "-", "--resume"],
        ["to-fhir", "{in}", "-o", "{in}"],
        ["to-fhir", "{in}", "-o", "{out}", "--errors", "{out}"],
        ["to-fhir", "{in}", "--errors", "-"],
        ["to-fhir", "{in}", "--report", "/dev/stdout"],
        ["to-fhir", "{in}", "-o", "/dev/stdout", "--resume"],
        ["to-fhir", "{in}", "-o", "{out}", "--errors", "{hidden}.part"],
        ["to-fhir", "{in}", "-o", "{out}", "--report", "{hidden}.journal"],
        ["to-fhir", "{in}", "--mode", "put"],
        ["to-fhir", "{in}", "--master", "local"],
        ["to-fhir", "{in}", "-o", "{out}", "--engine", "spark", "--resume"],
        ["to-fhir", "{in}", "--engine", "spark"],
        ["to-fhir"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_status_2_and_writes_nothing(tmp_path: Path, arguments: list[str]) -> None:
    """Files that stand for two things, options that would do nothing, a resumption that cannot be."""
    path = write(tmp_path / "in", list(cases(1)))
    places = {"in": path, "out": tmp_path / "out", "hidden": tmp_path / ".out"}
    done = run(*(word.format(**places) for word in arguments))
    assert done.exit_code == 2
    assert os.listdir(tmp_path) == ["in"]


def test_inputs_that_are_not_there_are_all_named_before_anything_runs(tmp_path: Path) -> None:
    """Each is one line, and nothing is written."""
    done = run("to-fhir", tmp_path / "a", tmp_path / "*.b", "-o", tmp_path / "out")
    assert (done.exit_code, done.stderr.count("[not-readable]")) == (1, 2)
    assert os.listdir(tmp_path) == []
    path = write(tmp_path / "in", list(cases(1)))
    nowhere = run("to-fhir", path, "-o", tmp_path / "no" / "out")
    assert (nowhere.exit_code, "[not-writable]" in nowhere.stderr) == (1, True)


def test_what_is_in_a_folder_and_cannot_be_reached_is_named(tmp_path: Path) -> None:
    """A link that leads nowhere or to itself: nothing of a folder is left out in silence."""
    write(tmp_path / "in", list(cases(1)))
    (tmp_path / "away").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    done = run("to-fhir", tmp_path, "--jobs", 1)
    assert (done.exit_code, done.stdout, done.stderr.count("[not-readable]")) == (1, "", 2)
    assert str(tmp_path / "away") in done.stderr
    assert run("to-fhir", tmp_path / "*", "--jobs", 1).stderr == done.stderr


def test_a_folder_that_is_closed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files would be missing."""
    (tmp_path / "sub").mkdir()
    write(tmp_path / "in", list(cases(1)))
    real = os.scandir

    def closed(path: str) -> Any:  # root may look everywhere
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    done = run("to-fhir", tmp_path, "--jobs", 1)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"{tmp_path}/sub: Permission denied." in done.stderr


def test_links_are_followed_and_every_file_is_read_once(tmp_path: Path) -> None:
    """Folders that are linked, in a circle too, and a file that is meant twice."""
    one, two = cases(2)
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "linked").mkdir()
    write(folder / "a", [one])
    write(tmp_path / "linked" / "b", [two])
    (folder / "circle").symlink_to(folder)
    (folder / "sub").symlink_to(tmp_path / "linked")
    (folder / "z").symlink_to(folder / "a")
    done = run("to-fhir", folder, folder / "a", tmp_path / "linked" / "*", "--jobs", 1)
    assert (done.exit_code, done.stdout_bytes) == (0, bundles([one, two]))


@pytest.mark.parametrize(
    ("shell", "status"),
    [("$B - --jobs 1 <&-", 1), ("$B in --jobs 1 > out 2>&-", 1), ("$B in -o out --jobs 2 2>&-", 1)],
)
def test_closed_streams_are_no_bug(tmp_path: Path, shell: str, status: int) -> None:
    """Standard input cannot be read; what would be told on standard error is told nobody, and spoils no result."""
    write(tmp_path / "in", [*cases(1), b"{"])
    done = limited(shell, tmp_path)
    assert (done.returncode, "[bug]" in done.stderr) == (status, False)
    if "in -" in shell:
        assert (tmp_path / "out").read_bytes() == bundles(list(cases(1)))
    else:
        assert "error: -: Bad file descriptor. " in done.stderr


def test_a_pipe_with_a_name_is_read_as_a_file(tmp_path: Path) -> None:
    """As in ``<(zcat archive.gz)``: it has no length and no place to go back to."""
    path, lines = tmp_path / "pipe", list(cases(3))
    os.mkfifo(path)
    with subprocess.Popen(["sh", "-c", f"cat > {path}"], stdin=subprocess.PIPE) as writer:
        assert writer.stdin is not None
        writer.stdin.write(b"\n".join(lines))
        writer.stdin.close()
        done = run("to-fhir", path, "--jobs", 1)
    assert (done.exit_code, done.stdout_bytes) == (0, bundles(lines))


# --- what the system refuses --------------------------------------------------------------------


def limited(shell: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A shell line in which $B is ``fhir-adapter bulk to-fhir``."""
    env = os.environ | {"B": " ".join(command("to-fhir")), "PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(["sh", "-c", shell], cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_a_file_that_cannot_grow_stops_the_run_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """The summary, the reason and how to go on; then the same bytes as without the disturbance."""
    lines = list(cases(300))
    write(tmp_path / "in", lines)
    full = limited("ulimit -f 64; $B $PWD/in -o $PWD/out --jobs 1", tmp_path)
    assert (full.returncode, (tmp_path / "out").exists()) == (1, False)
    assert all(words in full.stderr for words in ("documents: ", "stopped: ", "[not-writable]", "--resume"))
    assert "bug" not in full.stderr
    assert run("to-fhir", tmp_path / "in", "-o", tmp_path / "out", "--jobs", 1, "--resume").exit_code == 0
    assert (tmp_path / "out").read_bytes() == bundles(lines)


def test_a_journal_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """As on a disk that is full from the beginning."""
    write(tmp_path / "in", list(cases(1)))
    done = limited("ulimit -f 0; $B in -o out --jobs 1", tmp_path)
    assert (done.returncode, "[not-writable]" in done.stderr, ".out.journal" in done.stderr) == (1, True, True)


@pytest.mark.xdist_group("bulk")
@pytest.mark.parametrize("way", ["ulimit -n 12; $B in -o out --jobs 2", "TMPDIR=$LONG $B in -o out --jobs 2"])
def test_workers_that_cannot_be_started_are_told(tmp_path: Path, way: str) -> None:
    """With what needs none; the run can be resumed."""
    write(tmp_path / "in", list(cases(1)))
    long = tmp_path / ("x" * 100)
    long.mkdir()
    done = limited(way, tmp_path, LONG=str(long))
    assert done.returncode == 1
    assert all(words in done.stderr for words in ("No worker process can be started", "--jobs 1", "--resume"))
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_gone_is_none_of_a_streams_business(tmp_path: Path) -> None:
    """Standard input and output have no place there."""
    (tmp_path / "gone").mkdir()
    write(tmp_path / "in", list(cases(1)))
    done = limited("cd gone; rmdir ../gone; $B --jobs 1 - < ../in", tmp_path, PYTHONSAFEPATH="1")
    assert (done.returncode, done.stdout.encode()) == (0, bundles(list(cases(1)))), done.stderr


# --- kills --------------------------------------------------------------------------------------


def safe(out: Path) -> int:
    """How many lines were written and are safe, by the journal."""
    try:
        whole = out.with_name(f".{out.name}.journal").read_bytes().rpartition(b"\n")[0]
        return int(json.loads(whole.splitlines()[-1]).get("written", 0))
    except (FileNotFoundError, IndexError):
        return 0


def await_progress(process: subprocess.Popen[bytes], out: Path) -> None:
    """Wait until more lines are safe than before."""
    before, end = safe(out), time.monotonic() + 60
    while safe(out) <= before and process.poll() is None:
        assert time.monotonic() < end, "the run makes no progress"
        time.sleep(0.01)


def deaf(pid: int) -> bool:
    """Whether the process does not hear Ctrl-C, from its first instruction on."""
    blocked = Path(f"/proc/{pid}/status").read_text().partition("SigBlk:")[2].split()[0]
    return bool(int(blocked, 16) >> (signal.SIGINT - 1) & 1)


def workers(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes that this one started, and theirs, without those that only serve."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [(int(pid), int(parent)) for pid, parent, *_ in map(str.split, table.splitlines())]
    children = [pid for pid, parent in rows if parent == process.pid]
    return [pid for pid, parent in rows if parent in children]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """An archive that takes a few seconds, with lines of all kinds."""
    lines = [*cases(1200), *cases(4, "synthetic-course"), *cases(1200)]
    spoilt(lines, 12)
    return write(tmp_path / "in.ndjson", lines)


@pytest.mark.xdist_group("bulk")
@pytest.mark.parametrize("suffix", ["", ".gz"], ids=["plain", "packed"])
def test_a_run_killed_again_and_again_ends_with_the_undisturbed_bytes(large: Path, tmp_path: Path, suffix: str) -> None:
    """All processes are killed at random points, and each resumption goes on from what was safe, no more."""
    undisturbed = [tmp_path / f"whole{suffix}", tmp_path / f"whole-errors{suffix}"]
    assert run("to-fhir", large, "-o", undisturbed[0], "--errors", undisturbed[1], "--jobs", 1).exit_code == 1
    out, errors = tmp_path / f"out{suffix}", tmp_path / f"errors{suffix}"
    arguments = ("to-fhir", large, "-o", out, "--errors", errors, "--resume")
    chance, before, kills = random.Random(11), 0, 0
    for jobs in (2, 1, 2, 1):
        process = start(*arguments, "--jobs", jobs)
        await_progress(process, out)
        time.sleep(chance.random() * 0.3)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
        if not out.exists():
            assert safe(out) > before
            before = safe(out)
    assert kills >= 2
    assert subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, check=False).returncode == 1
    assert [out.read_bytes(), errors.read_bytes()] == [path.read_bytes() for path in undisturbed]


@pytest.mark.xdist_group("bulk")
def test_a_dead_worker_is_an_error_and_not_a_hang(large: Path, tmp_path: Path) -> None:
    """As when the system ends one for want of memory: said so, resumable, and the next run finishes the work."""
    out = tmp_path / "out"
    process = start("to-fhir", large, "-o", out, "--jobs", 2)
    await_progress(process, out)
    os.kill(workers(process)[0], signal.SIGKILL)
    told = process.communicate(timeout=60)[1].decode()
    assert (process.returncode, out.exists()) == (1, False)
    assert all(words in told for words in ("A worker process is gone", "--resume"))
    assert "Traceback" not in told


@pytest.mark.xdist_group("bulk")
@pytest.mark.parametrize("nth", [0, 1])
def test_a_worker_that_dies_while_it_writes_is_no_hang(large: Path, tmp_path: Path, nth: int) -> None:
    """The rest of its message never comes: nobody waits for it."""
    out = tmp_path / "out"
    process = start("to-fhir", large, "-o", out, "--jobs", 2)
    await_progress(process, out)
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(2)  # nobody reads what they write, which is more than a pipe holds
    os.kill(workers(process)[nth], signal.SIGKILL)
    os.kill(process.pid, signal.SIGCONT)
    told = process.communicate(timeout=60)[1].decode()
    assert (process.returncode, out.exists()) == (1, False)
    assert all(words in told for words in ("A worker process is gone", "--resume"))
    assert "Traceback" not in told


@pytest.mark.xdist_group("bulk")
def test_ctrl_c_leaves_a_state_to_resume_and_no_process(large: Path, tmp_path: Path) -> None:
    """It ends soon, says how to go on, and a second process at the same result is refused meanwhile."""
    out = tmp_path / "out"
    arguments = ("to-fhir", large, "-o", out, "--errors", tmp_path / "e", "--jobs", 2)
    process = start(*arguments)
    await_progress(process, out)
    second = run(*arguments, "--resume")
    assert (second.exit_code, "Another process is at this result" in second.stderr) == (2, True)
    assert [deaf(pid) for pid in workers(process)] == [True, True]
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert all(words in told for words in ("Interrupted", "--resume"))
    assert "Traceback" not in told


@pytest.mark.xdist_group("bulk")
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP])
def test_the_other_signals_that_end_a_run_do_it_as_ctrl_c(large: Path, tmp_path: Path, sig: signal.Signals) -> None:
    """The summary, how to go on, and nothing left in the folder for temporary files."""
    out = tmp_path / "out"
    with TemporaryDirectory(prefix="b") as temporary:  # a socket's path is short
        process = start("to-fhir", large, "-o", out, "--jobs", 2, env=os.environ | {"TMPDIR": temporary})
        await_progress(process, out)
        process.send_signal(sig)
        told = process.communicate(timeout=60)[1].decode()
        left = os.listdir(temporary)
    assert (process.returncode, left) == (1, [])
    assert [word for word in ("documents: ", "Interrupted", "--resume") if word not in told] == [], told


def test_a_run_under_nohup_does_not_end_with_the_terminal(large: Path, tmp_path: Path) -> None:
    """What whoever started it has it ignore stays ignored."""
    out = tmp_path / "out"
    line = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command("to-fhir", large, "-o", out, "--jobs", 1)]
    process = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True)
    STARTED.append(process)
    await_progress(process, out)
    process.send_signal(signal.SIGHUP)
    assert b"stopped" not in process.communicate(timeout=60)[1]
    assert out.exists()


@pytest.mark.xdist_group("bulk")
@pytest.mark.parametrize("shared", ["--errors", "--report", "-o"])
def test_a_result_is_of_one_process_at_a_time(tmp_path: Path, shared: str) -> None:
    """A second run is refused, whichever file it shares, whether the first can be resumed or is fed by a pipe."""
    result = tmp_path / "result"
    first = start("to-fhir", "-", shared, result, "--jobs", 1, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    while not (tmp_path / ".result.part").exists():
        assert first.poll() is None
        time.sleep(0.01)
    path = write(tmp_path / "in", [b"{"])
    other = () if shared == "-o" else ("-o", tmp_path / "other")
    second = run("to-fhir", path, shared, result, *other, "--jobs", 1)
    assert (second.exit_code, "Another process is at this result" in second.stderr) == (2, True)
    assert not list(tmp_path.glob(".*.journal"))
    line = next(cases(1))
    first.communicate(line + b"\n", timeout=60)
    assert (first.returncode, result.exists()) == (0, True)
    assert result.read_bytes() == (bundles([line]) if shared == "-o" else b"")


@pytest.mark.xdist_group("bulk")
def test_workers_do_not_outlive_their_parent(large: Path, tmp_path: Path) -> None:
    """Where only the parent is killed, its workers end as well."""
    process = start("to-fhir", large, "-o", tmp_path / "out", "--jobs", 2)
    await_progress(process, tmp_path / "out")
    left = workers(process)
    assert left
    process.kill()
    process.communicate()
    end = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{pid}") for pid in left) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [pid for pid in left if os.path.exists(f"/proc/{pid}")]


def test_what_a_worker_raises_is_no_dead_worker() -> None:
    """It is raised here as itself, and the worker goes on."""
    with Workers(int, 1, "adapter.line") as workers:
        with pytest.raises(ValueError, match="invalid literal"):
            workers.submit("x").result()
        assert workers.submit("7").result() == 7


# --- on the way ---------------------------------------------------------------------------------


@pytest.mark.xdist_group("bulk")
def test_only_a_few_batches_are_read_ahead() -> None:
    """An endless archive is read as fast as it is converted, and no faster."""
    read = 0

    def endless() -> Iterator[Batch]:
        nonlocal read
        for line in cases(10**9):
            read += 1
            yield Batch([("x", read, 0, line)], Place(), 0)

    made = adapter.bulk._made(Task("to-fhir"), Form(), endless(), 2)
    for nth in range(1, 4):
        next(made)
        assert read <= nth + AHEAD * 2
    made.close()


def test_a_terminal_gets_a_bar_and_a_log_does_not(few: tuple[Path, list[bytes]], tmp_path: Path) -> None:
    """On a terminal: how far, how fast, how long still; else only the summary."""
    write(few[0], list(cases(400)))
    quiet = run("to-fhir", few[0], "-o", tmp_path / "out", "--jobs", 1)
    assert len(quiet.stderr.splitlines()) == 1
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command("to-fhir", few[0], "-o", tmp_path / "out", "--jobs", "1"), cwd=ROOT, stderr=slave
    )
    os.close(slave)
    seen = b""
    try:
        while piece := os.read(master, 4096):
            seen += piece
    except OSError:  # the terminal is closed
        pass
    os.close(master)
    assert process.wait() == 0
    assert all(word in seen for word in (b"to-fhir", b"%", b"/s", b"0 refused", b"100%"))
