"""The report of a reading: `fhir-adapter check`, ``to-case --report``, and what a developer sees at 2 a.m."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adapter import reporting
from adapter.cli import main
from adapter.reporting import FullReport, terms_version
from adapter.screen import LEVELS, groups, screen
from mappings import Report, __version__, dump_case, encode, from_fhir
from tests.corpus import NAMES, each, path
from tests.sent import PATIENT, amount, bundle, course, finding, hidden, infusion, ref, weight
from tests.test_corpus import REFUSED

Json = Any
NAME = {"family": "Chalmers", "given": ["Jane"]}
SECRETS = ("Chalmers", "Jane", "1971-02-03", "61.5")
BUNDLE = bundle(
    PATIENT | {"name": [NAME], "birthDate": "1971-02-03", "address": [{"city": "Linz"}, {"city": "Wels"}]},
    weight(kg=amount(61, "kg")["value"]),
    weight("x", status="entered-in-error"),
    weight("y", valueQuantity=amount(132, "[lb_av]")),
    weight("z", valueQuantity=amount(133, "[lb_av]")),
    weight("other", subject=ref("Patient/2")),
    finding(valueString="61.5 of Jane Chalmers"),
    infusion(),
    course("o", resourceType="MedicationRequest", intent="order"),
    {"resourceType": "Organization", "id": "org", "name": "Clinic"},
)
REFUSES = bundle(PATIENT, PATIENT | {"id": "2"})


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments], input=stdin)


def check(document: Json, *arguments: str) -> Result:
    """`check` of a document on standard input."""
    raw = document if isinstance(document, bytes) else encode(document)
    return run("check", "-", "--verify", "off", *arguments, stdin=raw)


def read(document: Json) -> FullReport:
    return reporting.read(encode(document))


# --- the whole report -----------------------------------------------------------------------------


def test_report_says_what_was_read_with_which_codes() -> None:
    """Hashes of both sides, the adapter's version, that of the term tables, the way back, every leaf."""
    case, report = from_fhir(BUNDLE)
    told = json.loads(check(BUNDLE, "--format", "json").stdout)
    assert {name: told[name] for name in told if name not in ("issues",)} == {
        "readable": True,
        "adapter": __version__,
        "terms_sha256": terms_version(),
        "input_sha256": sha256(encode(BUNDLE)).hexdigest(),
        "output_sha256": sha256(encode(dump_case(case), pretty=True)).hexdigest(),
        "reversible": True,
        "direction": "fhir-to-case",
        "leaves": {"total": report.total, "mapped": report.mapped, "rest": report.rest},
    }
    assert told["issues"] == report.as_json()["issues"]
    assert sum(one["leaves"] for one in told["issues"]) == report.rest


def test_output_hash_is_that_of_the_case_as_written(tmp_path: Path) -> None:
    """``to-case -o FILE --report REPORT`` writes the same report, and its hash is that of FILE."""
    sent, case, report = (tmp_path / name for name in ("b.json", "case.json", "report.json"))
    sent.write_bytes(encode(BUNDLE))
    assert run("to-case", sent, "-o", case, "--report", report).exit_code == 0
    told = json.loads(report.read_bytes())
    assert told["output_sha256"] == sha256(case.read_bytes()).hexdigest()
    assert told["input_sha256"] == sha256(sent.read_bytes()).hexdigest()
    assert told == json.loads(run("check", sent, "--format", "json").stdout)


def test_way_back_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """``reversible`` comes from writing the case onto the document, not from belief."""
    monkeypatch.setattr(reporting, "to_fhir", lambda case, onto, tick: onto | {"language": "xx"})
    assert read(BUNDLE).reversible is False
    assert "way back  DIFFERENT" in screen(read(BUNDLE))


def test_terms_version_changes_with_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another row in a term table is another version."""
    before = terms_version()
    for table in reporting.HERE.glob("*.tsv"):
        (tmp_path / table.name).write_bytes(table.read_bytes())
    monkeypatch.setattr(reporting, "HERE", tmp_path)
    assert reporting.terms_version.__wrapped__() == before
    (tmp_path / "words.tsv").write_bytes((tmp_path / "words.tsv").read_bytes() + b"\n")
    assert reporting.terms_version.__wrapped__() != before


def test_same_bytes() -> None:
    """The same document gives the same report: no clock."""
    assert encode(read(BUNDLE).as_json()) == encode(read(BUNDLE).as_json())


def test_outcome() -> None:
    """As an OperationOutcome: first the whole, then each issue with its path; R4 accepts it."""
    from adapter.r4 import check as r4

    told = json.loads(check(BUNDLE, "--format", "outcome").stdout)
    head, *issues = told["issue"]
    assert (head["severity"], "reversible yes" in head["diagnostics"]) == ("information", True)
    assert len(issues) == len(from_fhir(BUNDLE)[1].issues)
    assert [found for found in r4(told) if found.level == "error"] == []


# --- exit status ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["text", "json", "outcome"])
def test_exit_status(shape: str) -> None:
    """0 readable, whatever was left; 1 refused, in each form, with the reason on standard output."""
    assert check(BUNDLE, "--format", shape).exit_code == 0
    refused = check(REFUSES, "--format", shape)
    assert refused.exit_code == 1
    assert "several-patients" in refused.stdout
    assert check(REFUSES, "--format", shape, "--patient", "2").exit_code == 0


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'{"a": 1, "a": 2}'])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    """No FHIR, no JSON, no UTF-8: refused with a report, never a traceback."""
    done = check(raw, "--format", "json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["readable"], told["reversible"], told["output_sha256"]) == (False, None, None)
    assert told["input_sha256"] == sha256(raw).hexdigest()


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """The reason is on standard error."""
    done = run("check", tmp_path / "none.json")
    assert (done.exit_code, "[not-readable]" in done.stderr) == (1, True)


def test_strict() -> None:
    """``--strict`` refuses whatever is not mapped and says what that is; what is wholly mapped passes."""
    done = check(BUNDLE, "--strict")
    assert (done.exit_code, "not-mapped-strict entered-in-error" in done.stdout) == (1, True)
    assert check(bundle(PATIENT, weight()), "--strict").exit_code == 0


def test_dry_run_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` leaves no file behind."""
    monkeypatch.chdir(tmp_path)
    check(BUNDLE)
    assert list(tmp_path.iterdir()) == []


# --- the screen -------------------------------------------------------------------------------------


def test_screen() -> None:
    """What was read, what of each type, errors first with where and what to do, like ones together, notes last."""
    told = check(BUNDLE).stdout
    lines = told.splitlines()
    assert lines[0].startswith("READABLE  input sha256 ")
    assert "case      measurements 1, therapies 1, administrations 1" in lines
    assert "way back  identical: written onto the document, the case gives it back" in lines
    (fates,) = [line for line in lines if line.startswith("  Observation ")]
    assert fates.split(None, 1)[1] == (
        "3 not read (unreadable-resource), 1 read, 1 not read (entered-in-error), 1 not read (other-subject)"
    )
    assert "  unreadable-resource  Observation.valueQuantity.code  2 times, 22 leaves" in lines
    assert "MedicationRequest (an order does not say that anything was given)" in told
    places = [told.index(f"{level.upper()}: ") for level in LEVELS]
    assert places == sorted(places)


def test_screen_of_a_refusal() -> None:
    """A refused document: the reason and the remedy, and nothing of a case."""
    lines = check(REFUSES).stdout.splitlines()
    assert lines[0].startswith("REFUSED")
    assert "      first at /entry -> Say which one: --patient ID, or patient= in Python." in lines
    assert not any(line.startswith("case") for line in lines)


@pytest.mark.parametrize("count", [50, 2000])
def test_one_screen_however_many(count: int) -> None:
    """Thousands of like issues are one line: the screen does not grow with the document."""
    many = [weight(f"w{n}", valueQuantity=amount(n, "[lb_av]")) for n in range(count)]
    told = screen(read(bundle(PATIENT, *many)))
    assert f"{count} times" in told
    assert len(told.splitlines()) < 25
    assert max(map(len, told.splitlines())) < 300


def test_one_screen_however_different() -> None:
    """Of very many kinds of issue the gravest are shown, and how many more there are."""
    units = [f"[u{chr(97 + n % 26)}{n}]" for n in range(60)]
    odd = [weight(f"w{n}", note=[{"text": "x"}], **{f"e{n}": unit}) for n, unit in enumerate(units)]
    left = [finding(f"f{n}", **{f"value{name}": 1}) for n, name in enumerate(("Ratio", "Time", "Period"))]
    told = screen(read(bundle(PATIENT, *odd, *left)))
    assert "other places" in told
    assert len(told.splitlines()) < 40


def test_groups() -> None:
    """Issues of one level, code and element are one group; the gravest first, then those with most leaves."""
    found = groups(read(BUNDLE).report.issues, BUNDLE)
    assert [LEVELS.index(group.level) for group in found] == sorted(LEVELS.index(group.level) for group in found)
    assert sum(len(group.issues) for group in found) == len(read(BUNDLE).report.issues)
    assert sum(group.leaves for group in found) == read(BUNDLE).report.rest
    names = [group.place for group in found if group.code == "unknown-element"]
    assert "Patient.name" in names
    assert "Patient.address" in names


@pytest.mark.parametrize("shape", ["text", "json", "outcome"])
def test_no_value_of_a_patient(shape: str) -> None:
    """Names, dates, numbers and free text of the document are in no form of the report."""
    told = check(BUNDLE, "--format", shape).stdout
    assert [secret for secret in SECRETS if secret in told] == []


def test_odd_member_names_are_not_shown() -> None:
    """A member whose name is no name of FHIR's stays out of the screen."""
    told = screen(read(bundle(PATIENT | {"Jane Chalmers": 1})))
    assert "Chalmers" not in told
    assert "Patient.?" in told


@each([name for name in NAMES if name not in REFUSED])
def test_screen_of_a_file(name: str) -> None:
    """Every file of the corpus that is read: one screen, every resource type on it, the way back identical."""
    report = reporting.read(path(name).read_bytes())
    told = screen(report)
    assert "way back  identical" in told
    assert len(told.splitlines()) <= 60
    types = {node["resourceType"] for node in hidden(report.document)}
    assert all(f"\n  {type_} " in told for type_ in types)


def test_empty_report() -> None:
    """A report without issues is one too."""
    told = FullReport(Report("fhir-to-case"), "0" * 64).as_outcome()
    assert len(told["issue"]) == 1
