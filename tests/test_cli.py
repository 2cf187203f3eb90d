"""The command line: results, messages, exit status, and files that are whole or not there."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from adapter.cli import convert, main
from mappings import Case, Report, case_json_schema, dump_case, encode, from_fhir, load_case, to_fhir

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "examples" / "published-case" / "case.json"
SYNTHETIC = ROOT / "examples" / "synthetic-course" / "case.json"
MINIMAL = ROOT / "examples" / "minimal" / "case.json"
_FRAME = b'{"schema_version":"1.0","case_system":"x:y","case_id":"a","language":"en","patient":'
WRONG = _FRAME + b'{"sex":"M","surname":"Muster"}}'
SECRET = "Muster"


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments], input=stdin)


def case_of(path: Path) -> Case:
    return load_case(path.read_bytes())


def pretty(value: Any) -> str:
    return encode(value, pretty=True).decode()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A Bundle of the synthetic course, on disk."""
    path = tmp_path / "bundle.json"
    path.write_bytes(encode(to_fhir(case_of(SYNTHETIC))))
    return path


# --- to-fhir and to-case ------------------------------------------------------------------------

OPTIONS: list[tuple[list[str], dict[str, Any]]] = [
    ([], {}),
    (["--type", "document"], {"bundle_type": "document"}),
    (["--type", "transaction"], {"bundle_type": "transaction"}),
    (
        ["--type", "transaction", "--mode", "conditional-update"],
        {"bundle_type": "transaction", "mode": "conditional-update"},
    ),
    (["--type", "transaction", "--subject", "Patient/123"], {"bundle_type": "transaction", "subject": "Patient/123"}),
    (["--optional-codes"], {"optional_codes": True}),
    (["--no-literature"], {"literature": False}),
]


@pytest.mark.parametrize(
    ("arguments", "options"), OPTIONS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_to_fhir_prints_what_the_library_makes(arguments: list[str], options: dict[str, Any]) -> None:
    """Each option is the library's own: the Bundle on standard output is `to_fhir` with it, to the byte."""
    done = run("to-fhir", SYNTHETIC, *arguments)
    assert (done.exit_code, done.stdout) == (0, pretty(to_fhir(case_of(SYNTHETIC), **options)))


def test_now_is_the_time_of_making() -> None:
    """`--now` stands where the case has no `recorded`."""
    done = run("to-fhir", MINIMAL, "--now", "2024-07-15T10:00:00+02:00")
    assert json.loads(done.stdout)["timestamp"] == "2024-07-15T10:00:00+02:00"


def test_to_case_gives_the_case_back() -> None:
    """A case goes to FHIR and back through two pipes and is the same, digits included."""
    there = run("to-fhir", "-", stdin=SYNTHETIC.read_bytes())
    back = run("to-case", "-", stdin=there.stdout_bytes)
    assert (there.exit_code, back.exit_code) == (0, 0)
    assert back.stdout == pretty(dump_case(case_of(SYNTHETIC)))


def test_messages_go_to_standard_error_and_results_to_standard_output() -> None:
    """Standard output is the Bundle alone; the account is one line on standard error."""
    done = run("to-fhir", MINIMAL)
    assert json.loads(done.stdout)["resourceType"] == "Bundle"
    assert done.stderr == "3 entries; 5 of 5 values of the case written\n"


def test_warnings_are_shown_and_notes_are_counted(bundle: Path) -> None:
    """A warning is a line, and so is a broken rule of R4; what is only worth knowing is counted, or told as JSON."""
    received = json.loads(bundle.read_text())
    received["entry"][0]["resource"]["maritalStatus"] = {"text": SECRET}
    received["entry"][0]["resource"]["gender"] = "other-code"
    text = run("to-case", "-", stdin=json.dumps(received).encode())
    told = run("to-case", "-", "--format", "json", stdin=json.dumps(received).encode())
    codes = [issue["details"]["coding"][0]["code"] for issue in json.loads(told.stderr)["issue"]]
    assert (text.exit_code, told.exit_code) == (0, 0)
    assert [line.rpartition("[")[2] for line in text.stderr.splitlines()[:-1]] == ["unmapped-code]", "r4]", "r4]"]
    assert "1 notes" in text.stderr.splitlines()[-1]
    assert {"unmapped-code", "unknown-element"} <= set(codes)
    assert SECRET not in text.stderr + told.stderr


def test_onto_writes_the_facts_back_and_keeps_what_is_foreign(bundle: Path, tmp_path: Path) -> None:
    """A case that was edited is written into the received Bundle: one fact changes, the foreign element stays."""
    received = json.loads(bundle.read_text())
    received["entry"][0]["resource"]["maritalStatus"] = {"text": "foreign"}
    bundle.write_text(json.dumps(received))
    edited = json.loads(SYNTHETIC.read_text())
    edited["patient"]["sex"] = "other"
    done = run("to-fhir", "-", "--onto", bundle, stdin=json.dumps(edited).encode())
    patient = json.loads(done.stdout)["entry"][0]["resource"]
    assert done.exit_code == 0
    assert (patient["gender"], patient["maritalStatus"]) == ("other", {"text": "foreign"})


def test_onto_with_remove_takes_out_what_the_case_no_longer_has(bundle: Path) -> None:
    """Without --remove a resource that left the case stays in the Bundle, with it it goes."""
    edited = json.loads(SYNTHETIC.read_text())
    edited["products"], gone = edited["products"][:1], edited["products"][1]["key"]
    for therapy in edited["therapies"]:
        for part in therapy.get("administrations", []):
            if part.get("product") == gone:
                del part["product"]
    text = json.dumps(edited).encode()
    kept = json.loads(run("to-fhir", "-", "--onto", bundle, stdin=text).stdout)
    removed = json.loads(run("to-fhir", "-", "--onto", bundle, "--remove", stdin=text).stdout)
    assert len(kept["entry"]) - len(removed["entry"]) == 1


def test_strict_refuses_what_is_not_mapped(bundle: Path) -> None:
    """With --strict one foreign element refuses the whole Bundle, and no case is printed."""
    received = json.loads(bundle.read_text())
    received["entry"][0]["resource"]["maritalStatus"] = {"text": SECRET}
    done = run("to-case", "-", "--strict", stdin=json.dumps(received).encode())
    assert (done.exit_code, done.stdout) == (1, "")
    assert "[not-mapped-strict]" in done.stderr
    assert run("to-case", bundle, "--strict").exit_code == 0


def test_patient_says_which_of_several(bundle: Path) -> None:
    """Two Patients are refused with the remedy; --patient names the one that is meant."""
    received = json.loads(bundle.read_text())
    received["entry"].append({"fullUrl": "urn:uuid:0", "resource": {"resourceType": "Patient", "id": "other"}})
    text = json.dumps(received).encode()
    refused = run("to-case", "-", stdin=text)
    chosen = run("to-case", "-", "--patient", received["entry"][0]["resource"]["id"], stdin=text)
    assert refused.exit_code == 1
    assert "--patient ID" in refused.stderr
    assert (chosen.exit_code, json.loads(chosen.stdout)["case_id"]) == (0, "synthetic-course")


def test_report_says_what_became_of_every_value(bundle: Path, tmp_path: Path) -> None:
    """--report writes the whole account as JSON, beside the case."""
    done = run("to-case", bundle, "--report", tmp_path / "report.json", "-o", tmp_path / "case.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert done.exit_code == 0
    account = json.loads(encode(from_fhir(bundle.read_bytes())[1].as_json()))
    assert {name: report[name] for name in account} == account
    assert report["leaves"]["total"] == report["leaves"]["mapped"] + report["leaves"]["rest"]
    assert load_case((tmp_path / "case.json").read_bytes()) == case_of(SYNTHETIC)


# --- refusals -----------------------------------------------------------------------------------


def test_a_refused_case_lists_all_issues_and_prints_no_bundle() -> None:
    """All that is wrong comes at once, a line each, without a value; standard output stays empty; exit status 1."""
    done = run("to-fhir", "-", stdin=WRONG)
    assert (done.exit_code, done.stdout) == (1, "")
    assert [line.rpartition("[")[2] for line in done.stderr.splitlines()] == ["bad-value]", "unknown-field]"]
    assert all(part in done.stderr for part in ("case.patient.sex", "(/patient/sex)", "one of male, female"))
    assert SECRET not in done.stderr


def test_format_json_tells_the_same_as_an_operation_outcome() -> None:
    """With --format json standard error is one OperationOutcome and nothing else."""
    done = run("to-fhir", "-", "--format", "json", stdin=WRONG)
    outcome = json.loads(done.stderr)
    assert (done.exit_code, outcome["resourceType"]) == (1, "OperationOutcome")
    assert [one["details"]["coding"][0]["code"] for one in outcome["issue"]] == ["bad-value", "unknown-field"]
    assert SECRET not in done.stderr


BAD_INPUT: dict[str, tuple[str, bytes, str]] = {
    "no JSON": ("to-fhir", b"{", "not-json"),
    "empty": ("to-case", b"", "not-json"),
    "not UTF-8": ("to-fhir", b'{"a": "\xff"}', "not-utf8"),
    "a member twice": ("to-fhir", b'{"a": 1, "a": 2}', "duplicate-name"),
    "not a number": ("to-fhir", b'{"a": NaN}', "bad-number"),
    "too deep": ("to-case", b"[" * 100 + b"]" * 100, "too-deep"),
    "no object": ("to-fhir", b"[]", "wrong-type"),
    "no resource": ("to-case", b"{}", "not-fhir"),
    "empty Bundle": ("to-case", b'{"resourceType":"Bundle","type":"collection","entry":[]}', "no-patient"),
}


@pytest.mark.parametrize(("command", "stdin", "code"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_input_that_is_no_document_is_refused(command: str, stdin: bytes, code: str) -> None:
    """Whatever is wrong with the bytes, the answer is the issue, exit status 1, and nothing on standard output."""
    done = run(command, "-", stdin=stdin)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"[{code}]" in done.stderr


USAGE = (
    "to-fhir",
    "to-case",
    f"to-fhir {MINIMAL} --type xml",
    f"to-fhir {MINIMAL} --mode put",
    f"to-fhir {MINIMAL} --type collection --mode put",
    f"to-fhir {MINIMAL} --remove",
    f"to-fhir {MINIMAL} --onto x.json --type document",
    f"to-fhir {MINIMAL} --onto x.json --subject Patient/1",
    f"to-fhir {MINIMAL} --onto x.json --no-literature",
    "to-fhir - --onto -",
    f"to-fhir {MINIMAL} --now yesterday",
    f"to-fhir {MINIMAL} --type transaction --subject Observation/1",
    f"to-fhir {MINIMAL} --subject Patient/1",
    "to-case - --report -",
    "to-case - --report x.json -o ./x.json",
    f"bulk to-fhir {MINIMAL} --now 2024",
    f"send {MINIMAL} --server http://127.0.0.1:9 --timeout nan",
    f"send {MINIMAL} --server http://[::1",
    f"send {MINIMAL} --server http://127.0.0.1:http",
    f"send {MINIMAL} --server http://a\N{NO-BREAK SPACE}b/",
    "table Nonsense",
    "no-such-command",
)


@pytest.mark.parametrize("line", USAGE)
def test_a_wrong_command_line_is_exit_status_2(line: str) -> None:
    """An option that is wrong, or that would do nothing, is refused as usage before anything is read or written."""
    done = run(*line.split(" "))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr


def test_a_space_in_an_address_is_a_wrong_option() -> None:
    """And is not asked for."""
    done = run("send", MINIMAL, "--server", "http://a b/")
    assert (done.exit_code, "[bad-option]" in done.stderr) == (2, True)


SERVER = "--server http://127.0.0.1:9"
ONE_PLACE = (
    "to-fhir in -o ./in",
    "to-case in -o out --report in",
    "gaps in -o in",
    f"send in {SERVER} --answer in",
    f"send in {SERVER} --answer -",
    f"fetch {SERVER} --patient 1 -o out --bundle ./out",
    f"fetch {SERVER} --patient 1 --bundle /dev/stdout",
    f"fetch {SERVER} --patient 1 --token-file in -o in",
)


@pytest.mark.parametrize("line", ONE_PLACE)
def test_a_result_has_a_place_of_its_own(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is written over an input, or over another: refused before anything is read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_bytes(MINIMAL.read_bytes())
    done = run(*line.split())
    assert (done.exit_code, done.stdout, "named twice" in done.stderr) == (2, "", True)
    assert (os.listdir(tmp_path), (tmp_path / "in").read_bytes()) == (["in"], MINIMAL.read_bytes())


def test_an_unreadable_input_is_named() -> None:
    """A path that cannot be read is told with the system's reason; exit status 1."""
    done = run("to-fhir", "no-such-file.json")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: no-such-file.json: No such file or directory.")
    assert "[not-readable]" in done.stderr


def test_a_bug_shows_where_it_is_and_never_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody expected is one line with its type and place; its text, which may quote, stays out."""

    def fail(_: object) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(convert, "load_case", fail)
    done = run("to-fhir", MINIMAL)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "KeyError in adapter.cli.convert:" in done.stderr
    assert "[bug]" in done.stderr
    assert SECRET not in done.stderr


# --- files --------------------------------------------------------------------------------------


@pytest.fixture(params=[0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A umask for the time of one test."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_the_rights_of_the_umask_and_no_brothers(tmp_path: Path, umask: int) -> None:
    """The result is written beside its place and renamed: the folder holds it alone, with the usual rights."""
    done = run("to-fhir", MINIMAL, "-o", tmp_path / "b.json")
    assert (done.exit_code, done.stdout) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]
    assert rights(tmp_path / "b.json") == 0o666 & ~umask
    assert (tmp_path / "b.json").read_text() == pretty(to_fhir(case_of(MINIMAL)))


def test_the_result_is_private_until_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is written, patient data is readable by its owner alone."""
    seen = []

    def replaced(part: Path, target: Path) -> None:
        seen.append((rights(part), part.parent == target.parent))
        os.rename(part, target)

    monkeypatch.setattr(Path, "chmod", lambda self, mode: None)
    monkeypatch.setattr("adapter.files.os.replace", replaced)
    run("to-fhir", MINIMAL, "-o", tmp_path / "b.json")
    assert seen == [(0o600, True)]


def test_a_file_that_is_replaced_keeps_its_rights(tmp_path: Path) -> None:
    """A file that was private stays private."""
    target = tmp_path / "b.json"
    target.write_text("old")
    target.chmod(0o600)
    run("to-fhir", MINIMAL, "-o", target)
    assert rights(target) == 0o600
    assert target.read_text() != "old"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Writing through a symbolic link replaces the file that it leads to."""
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    run("to-fhir", MINIMAL, "-o", tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() != "old"


def test_a_refused_case_leaves_an_old_result_untouched(tmp_path: Path) -> None:
    """Nothing is half-written: if the case is refused, the file of yesterday is still whole."""
    target = tmp_path / "b.json"
    target.write_text("yesterday")
    assert run("to-fhir", "-", "-o", target, stdin=WRONG).exit_code == 1
    assert target.read_text() == "yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


@pytest.mark.parametrize("where", ["missing/b.json", "folder", "file/b.json"])
def test_an_unwritable_path_is_refused(tmp_path: Path, where: str) -> None:
    """A path that cannot be written is one clear issue and exit status 1, and leaves no trace in the folder."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    done = run("to-fhir", MINIMAL, "-o", tmp_path / where)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "[not-writable]" in done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_write_that_fails_halfway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an issue, the old file is whole, and the half of a new one is gone."""
    target = tmp_path / "b.json"
    target.write_text("yesterday")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("adapter.files.os.fsync", full)
    done = run("to-fhir", MINIMAL, "-o", target)
    assert done.exit_code == 1
    assert "No space left on device" in done.stderr
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("b.json", "yesterday")]


def test_two_results_are_written_both_or_not_at_all(bundle: Path, tmp_path: Path) -> None:
    """If the report cannot be written, the case is not written either."""
    done = run("to-case", bundle, "-o", tmp_path / "case.json", "--report", tmp_path / "missing" / "report.json")
    assert done.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.json"]


def test_a_device_is_written_in_place() -> None:
    """What is no ordinary file is not replaced: /dev/null stays a device."""
    assert run("to-fhir", MINIMAL, "-o", "/dev/null").exit_code == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("command", [f"to-fhir {MINIMAL}", "bulk to-fhir in --jobs 1"])
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_stream_by_its_path_is_a_stream(tmp_path: Path, command: str, name: str) -> None:
    """The file behind it is neither replaced nor cut, and goes on after the result."""
    (tmp_path / "in").write_bytes(encode(dump_case(case_of(MINIMAL))) + b"\n")
    line = "echo before; $A {} -o {} 2>/dev/null; echo after"
    for place in ("-", name):
        program(f"({line.format(command, place)}) > out{len(place)}", tmp_path)
    assert (tmp_path / f"out{len(name)}").read_bytes() == (tmp_path / "out1").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in", "out1", f"out{len(name)}"])


def test_tables_are_not_written_where_nobody_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty name, as of a variable that is not set, is no folder."""
    monkeypatch.chdir(tmp_path)
    done = run("flat", SYNTHETIC, "-o", "")
    assert (done.exit_code, "[not-writable]" in done.stderr, os.listdir(tmp_path)) == (1, True, [])


# --- documents ----------------------------------------------------------------------------------


def test_table_shows_all_or_one_concept_in_three_forms() -> None:
    """The table is printed as text, Markdown or JSON; a concept narrows it."""
    whole, one = run("table", "--format", "json"), run("table", "therapies", "--format", "json")
    assert {line["concept"] for line in json.loads(one.stdout)} == {"Therapy"}
    assert len(json.loads(whole.stdout)) > len(json.loads(one.stdout)) > 0
    assert run("table", "Product").stdout.count("\nProduct -> Medication, products[]\n") == 1
    assert "| `lot` | `batch.lotNumber` | at | text |" in run("table", "product", "--format", "md").stdout
    assert "into['lot'] = " in run("table", "product", "--compiled").stdout


def test_schema_is_the_librarys() -> None:
    """`schema` prints the JSON Schema of the case document."""
    assert run("schema").stdout == pretty(case_json_schema())


def test_new_gives_a_case_that_converts_and_a_guide(tmp_path: Path) -> None:
    """The skeleton is a file that loads and converts as it is; the comments stand on standard error."""
    done = run("new", "-o", tmp_path / "case.json")
    assert done.exit_code == 0
    assert "therapies[].administrations[]" in done.stderr
    assert run("to-fhir", tmp_path / "case.json").exit_code == 0
    assert load_case(run("new").stdout_bytes) == case_of(tmp_path / "case.json")


def test_new_never_overwrites_a_case(tmp_path: Path) -> None:
    """A case that somebody has filled in is not replaced by an empty one."""
    (tmp_path / "case.json").write_text("an evening's work")
    done = run("new", "-o", tmp_path / "case.json")
    assert done.exit_code == 1
    assert "not overwritten" in done.stderr
    assert (tmp_path / "case.json").read_text() == "an evening's work"


@pytest.mark.parametrize("command", [None, *main.commands])
def test_every_command_and_option_explains_itself(command: str | None) -> None:
    """--help is there for each, and no option is without a word of explanation."""
    done = run(*filter(None, [command]), "--help")
    assert (done.exit_code, done.stderr) == (0, "")
    options = main.commands[command].params if command else []
    assert all(one.help for one in options if isinstance(one, click.Option) and one.name != "shape")


# --- demo ---------------------------------------------------------------------------------------


def test_demo_ends_with_identical_and_tells_both_halves() -> None:
    """The published case goes there and back: the patient, the Bundle's entries, every value accounted for."""
    done = run("demo")
    lines = done.stdout.splitlines()
    report = Report("case-to-fhir")
    made = to_fhir(case_of(PUBLISHED), report=report)
    assert (done.exit_code, lines[-1], done.stderr) == (0, "identical", "")
    assert "  male, 63 years at the presentation, birth date not stated, Caucasian" in lines
    assert f"FHIR R4 Bundle: collection, {len(made['entry'])} entries, {len(encode(made)):,} bytes" in lines
    assert f"case -> Bundle: {report.total} of {report.total} values of the case written" in lines
    assert "    6 MedicationAdministration" in lines
    assert any(line.endswith(", 0 left") for line in lines)


def test_demo_says_different_if_one_digit_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that comes back with another digit is DIFFERENT, and the exit status says so too."""

    def careless(document: bytes) -> tuple[Case, Report]:
        return from_fhir(document.replace(b'"value":750,', b'"value":750.0,'))

    monkeypatch.setattr(convert, "from_fhir", careless)
    done = run("demo")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, "DIFFERENT")


def test_demo_without_its_example_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the examples are not beside the package, the path is named and nothing else fails."""
    monkeypatch.setattr(convert, "EXAMPLES", tmp_path)
    done = run("demo")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "[not-readable]" in done.stderr


# --- as a program -------------------------------------------------------------------------------


def program(arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell line in which $A is the program, in another folder."""
    env = os.environ | {"A": f"{sys.executable} -W error -m adapter", "PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(["sh", "-c", arguments], cwd=folder, env=env, capture_output=True, check=False)


def test_module_runs_anywhere_and_in_any_locale(tmp_path: Path) -> None:
    """`python -m adapter` needs no folder and no locale: the demo's text is UTF-8 even where ASCII is the habit."""
    done = program("$A demo", tmp_path, LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert "IgG λ" in done.stdout.decode()
    assert done.stdout.endswith(b"\nidentical\n")


def test_same_case_same_bytes_in_every_process(tmp_path: Path) -> None:
    """Hash seed, time zone and locale leave no trace in a Bundle."""
    line = f"$A to-fhir {SYNTHETIC} --type document"
    one = program(line, tmp_path, PYTHONHASHSEED="1", TZ="Asia/Kathmandu", LC_ALL="C")
    two = program(line, tmp_path, PYTHONHASHSEED="2", TZ="America/St_Johns", LC_ALL="C.UTF-8")
    assert one.returncode == two.returncode == 0
    assert one.stdout == two.stdout


def test_a_reader_that_goes_away_is_no_error_message(tmp_path: Path) -> None:
    """`fhir-adapter table | head -1` ends without a word, and without a traceback at the exit of Python."""
    done = program("$A table | true; $A table | head -n 1", tmp_path)
    assert done.stderr == b""
    assert done.stdout.startswith(b"A path begins")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")
def test_a_full_standard_output_is_an_error(tmp_path: Path) -> None:
    """A result that did not arrive whole, a short one too, is exit status 1 and one line on standard error."""
    for command in ("table", f"to-fhir {MINIMAL}", f"validate --format json {MINIMAL}", "keys new --name lab"):
        done = program(f"$A {command} > /dev/full", tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith(b"error: -: No space left on device.")
        assert done.stderr.count(b"\n") == 1


def test_closed_streams_are_told(tmp_path: Path) -> None:
    """A caller that closed standard input or output gets an issue, not a traceback."""
    for line, code in (("$A to-fhir - <&-", b"[not-readable]"), ("$A schema >&-", b"[not-writable]")):
        done = program(line, tmp_path)
        assert done.returncode == 1
        assert code in done.stderr
        assert b"Traceback" not in done.stderr


def test_a_pipe_takes_a_result_in_place(tmp_path: Path) -> None:
    """-o may name a pipe: it is written to, not replaced."""
    done = program(f"mkfifo p; $A to-fhir {MINIMAL} -o p & cat p > got; wait; test -p p", tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "got").read_text() == pretty(to_fhir(case_of(MINIMAL)))


@pytest.mark.parametrize("command", ["schema", "bulk to-fhir in --jobs 1"])
def test_what_a_stream_does_not_take_whole_is_told(command: str, tmp_path: Path) -> None:
    """Without Python's buffer a pipe that would block, or a file that may grow no further, takes a part only."""
    line = encode(dump_case(case_of(SYNTHETIC))) + b"\n"
    (tmp_path / "in").write_bytes(line * 20)
    limited = program(f"ulimit -f 8; $A {command} > out", tmp_path, PYTHONUNBUFFERED="1")
    assert (limited.returncode, b"[not-writable]" in limited.stderr) == (1, True), limited.stderr
    full = "import os, subprocess, sys; r, w = os.pipe(); os.set_blocking(w, False); "
    full += "sys.exit(subprocess.run(sys.argv[1:], stdout=w).returncode)"
    blocked = program(f"{sys.executable} -c '{full}' $A {command}", tmp_path, PYTHONUNBUFFERED="1")
    assert (blocked.returncode, b"[not-writable]" in blocked.stderr) == (1, True), blocked.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")
def test_nothing_to_say_is_not_written(tmp_path: Path) -> None:
    """A run that refuses no line does not stop because standard error is full."""
    (tmp_path / "in").write_bytes(encode(dump_case(case_of(MINIMAL))) + b"\n")
    done = program("$A bulk to-fhir in -o out --jobs 1 2> /dev/full; test -s out", tmp_path)
    assert done.returncode == 0


def test_validate_with_closed_standard_error(tmp_path: Path) -> None:
    """There is no bar for nobody."""
    done = program(f"$A validate {' '.join([str(MINIMAL)] * 12)} 2>&-", tmp_path)
    assert done.returncode == 0


def test_ctrl_c_while_it_is_loaded_is_no_traceback(tmp_path: Path) -> None:
    """As later: one word."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'mappings.case': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
    )
    done = program("$A table", tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"Aborted!\n")
