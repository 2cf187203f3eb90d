"""The data dictionary, the gaps of a case, its flat tables; and the commands that write them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
from collections import Counter
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adapter import dictionary, flat, gaps
from adapter.cli import main
from adapter.csv_text import csv_text
from adapter.tables import mapping_table
from mappings import Case, dump_case, load_case
from mappings.case import TABLES
from mappings.shape import shapes
from mappings.terms import TERMS

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("published-case", "synthetic-course", "minimal")
PUBLISHED, SYNTHETIC = (EXAMPLES / name / "case.json" for name in NAMES[:2])
FIELDS = dictionary.dictionary()
BY_PATH = {field.path: field for field in FIELDS}
Json = dict[str, Any]


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments], input=stdin)


def case_of(name: str) -> Case:
    return load_case((EXAMPLES / name / "case.json").read_bytes())


def case_with(**sections: Any) -> Case:
    frame = {"schema_version": "1.0", "case_system": "x:y", "case_id": "a", "language": "en", "patient": {}}
    return load_case(json.dumps(frame | sections).encode())


# --- dictionary: complete ---------------------------------------------------------------------


def test_every_line_of_the_mapping_table_is_a_field() -> None:
    """Whatever a table maps stands in the dictionary, with all its places in FHIR."""
    for line in mapping_table():
        if line.field and line.fhir:
            told = BY_PATH[".".join(filter(None, [line.section, line.field]))]
            assert all(path in told.fhir for path in line.fhir), line


def test_every_field_of_every_concept_is_there() -> None:
    """Each field of each dataclass that has a table, and of each that is a value, has its row; none has two."""
    names = {field.path.rpartition(".")[2].removesuffix("[]") for field in FIELDS}
    for table in TABLES:
        assert {shape.json_name for shape in shapes(table.cls).values()} <= names
    assert [path for path, count in Counter(field.path for field in FIELDS).items() if count > 1] == []


def paths(json_value: Any, path: str = "") -> set[str]:
    """The path of every member of a document, as the dictionary spells it."""
    if isinstance(json_value, dict):
        return {p for name, value in json_value.items() for p in paths(value, f"{path}.{name}".lstrip("."))} | {path}
    if isinstance(json_value, list):
        return {p for one in json_value for p in paths(one, f"{path}[]")}
    return {path}


@pytest.mark.parametrize("name", NAMES)
def test_every_member_of_the_examples_is_explained(name: str) -> None:
    """Each member of a case is a field of the dictionary, or lies in a value type that is one."""
    types = {field.path for field in FIELDS if "." not in field.path and field.cardinality == ""}
    for path in paths(dump_case(case_of(name))) - {""}:
        known = path
        while known not in BY_PATH:
            known = known.rpartition(".")[0]
            assert known, f"{path} is in no row"
        if known != path:
            assert BY_PATH[known].type.split(":")[0] in types, path


# --- dictionary: true -------------------------------------------------------------------------


def test_a_field_says_what_its_docstring_says() -> None:
    """A definition is the clause that names the field, without the name; else the name in words."""
    assert BY_PATH["therapies[].doses[].count"].definition == "how often in all"
    assert BY_PATH["therapies[].administrations[].over"].definition == "the time it was spread over"
    assert BY_PATH["therapies[].doses[].for"].definition == "how long the line holds"
    assert BY_PATH["patient.birth_date"].definition == "birth date"
    assert BY_PATH["patient.pseudonym"].definition.startswith("pseudonym: The name that stands for the patient's own")
    assert all(field.definition and "`" not in field.definition for field in FIELDS)


def test_a_field_says_its_type_unit_and_cardinality() -> None:
    """From the annotation: what it holds, in which UCUM units, how often."""

    def told(path: str) -> tuple[str, str, str]:
        return BY_PATH[path].type, BY_PATH[path].unit, BY_PATH[path].cardinality

    assert told("patient.ages[].age") == ("Quantity", "a, mo, wk, d", "1..1")
    assert told("measurements[].percent_change") == ("number", "%", "0..1")
    assert told("measurements[].device") == ("key of Device", "", "0..1")
    assert told("conditions[]") == ("Condition", "", "0..*")
    assert told("criteria[].items[]") == ("Criterion", "", "1..*")
    assert told("patient") == ("Patient", "", "1..1")
    assert told("therapies[].line") == ("whole number: 1 or more", "", "0..1")
    assert told("encounters[].time_zero") == ("true, or left out", "", "0..1")
    assert BY_PATH["measurements[].value"].unit.startswith("skin-thickness: mm, um; mouth-opening: mm, cm; ")


def test_a_word_has_the_codes_behind_it() -> None:
    """Each word with all its codings and their systems; where two resources differ, both."""
    present = "present = LA9633-4 (loinc), 52101004 (snomed)"
    assert BY_PATH["findings[].presence"].codes.split(" | ")[0] == present
    status = BY_PATH["therapies[].status"].codes
    assert "MedicationStatement: planned = intended" in status
    assert "Procedure: planned = preparation" in status
    assert BY_PATH["patient.ages[].calculated"].codes == "true = 29553-5 (loinc) | left out = 30525-0 (loinc)"
    assert BY_PATH["schema_version"].codes == "1.0"


def test_every_code_that_is_named_exists() -> None:
    """No code of the dictionary is typed in: each with a system is that of a term."""
    known = {(coding.code) for term in TERMS for coding in term.codings}
    named = {code for field in FIELDS for code in re.findall(r"([\w.:-]+) \([\w-]+\)", field.codes)}
    assert named
    assert named <= known


def test_a_place_in_fhir_begins_with_its_resource() -> None:
    """Every path names the resource type first; an object lies where all its fields lie."""
    assert BY_PATH["therapies[].doses[]"].fhir == "MedicationStatement.dosage"
    assert BY_PATH["patient.pseudonym"].fhir == "Patient.identifier"
    assert BY_PATH["therapies[]"].fhir == "MedicationStatement; Procedure"
    assert BY_PATH["monoclonal_protein[].clones[]"].fhir == "Observation.hasMember; Observation"
    assert BY_PATH["Quantity"].fhir == ""


# --- dictionary: shown ------------------------------------------------------------------------


def test_the_csv_has_a_row_a_field() -> None:
    """One header, and the cells of every field as they are."""
    rows = list(csv.reader(io.StringIO(dictionary.as_csv(FIELDS), newline="")))
    assert rows[0] == list(dictionary.COLUMNS)
    assert len(rows) == len(FIELDS) + 1
    assert {len(row) for row in rows} == {len(dictionary.COLUMNS)}
    assert [row[1] for row in rows[1:]] == [field.path for field in FIELDS]


def test_the_markdown_keeps_its_columns() -> None:
    """A bar in a cell does not open another column."""
    for line in dictionary.as_markdown(FIELDS).splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == len(dictionary.COLUMNS)


class _Page(HTMLParser):
    """What a page asks for, and whether its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asks: list[str] = []
        self.cells = self.rows = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.asks += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        self.cells += tag == "td"
        self.rows += tag == "tr"
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else() -> None:
    """One page: no script, no address but its own anchors, every tag closed, a cell a column a field."""
    text = dictionary.as_html(FIELDS)
    page = _Page()
    page.feed(text)
    concepts = list(dict.fromkeys(field.concept for field in FIELDS))
    assert page.open == []
    assert page.asks == [f"#{concept}" for concept in concepts]
    assert "<script" not in text
    assert page.cells == len(FIELDS) * 7
    assert page.rows == len(FIELDS) + len(concepts)


# --- gaps -------------------------------------------------------------------------------------


def test_the_gaps_of_the_published_case() -> None:
    """What the report does not tell is listed with its reason, at the place where the case says so."""
    absent = {(one.pointer, one.item, one.reason, one.text) for one in gaps.gaps(case_of("published-case")).absent}
    assert ("/patient/birth_date", "patient", "unknown", None) in absent
    assert ("/encounters/0/when", "enc-presentation", "unknown", None) in absent
    quantity = "/monoclonal_protein/0/clones/0/quantity"
    assert (quantity, "mprot-igg", "unknown", "quantity not reported") in absent
    assert ("/criteria/0/items/3/presence", "criteria", "unknown", None) in absent
    assert any(item == "skin-cp" and "Figure 2" in (text or "") for _, item, _, text in absent)


def test_what_rests_on_inference_is_listed() -> None:
    """Items and single elements, with their basis: inferred, derived, figure-only, not stated."""
    basis = {(one.item, one.element, one.basis) for one in gaps.gaps(case_of("published-case")).basis}
    assert ("mprot-igg", "light_chain", "inferred") in basis
    assert ("course-uva1", "line", "inferred") in basis
    assert ("enc-presentation", "status", "inferred") in basis
    assert ("criteria", "items/3", "not-stated") in basis
    assert ("criteria", "", "derived") in basis
    assert ("skin-hc", "", "figure-only") in basis
    assert {("adm-ivig-" + str(number), "", "derived") for number in range(1, 7)} <= basis
    assert not any(item == "mprot-igm" for item, _, _ in basis)


def test_a_part_rests_on_what_its_owner_rests_on() -> None:
    """A part without a source of its own inherits the nearest owner's; one that has its own does not."""
    clone = {"heavy_chain": {"type": "igg"}, "quantity": {"absent": {"reason": "masked", "text": "by order"}}}
    panel = {"key": "p", "clonality": "biclonal", "source": {"basis": "derived", "locator": "letter"}}
    own = clone | {"key": "b", "source": {"basis": "stated"}}
    found = gaps.gaps(case_with(monoclonal_protein=[panel | {"clones": [clone | {"key": "a"}, own]}]))
    assert [(one.item, one.basis, one.inherited) for one in found.basis] == [
        ("p", "derived", None),
        ("a", "derived", "/monoclonal_protein/0"),
    ]
    assert found.unsourced == ("patient",)
    assert [(one.item, one.reason, one.text) for one in found.absent] == [
        ("a", "masked", "by order"),
        ("b", "masked", "by order"),
    ]


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"findings": [{"key": "f", "code": {"text": "x"}, "presence": "unknown"}]}, ("presence", "unknown", None)),
        ({"findings": [{"key": "f", "code": {"text": "unknown"}, "presence": "absent"}]}, None),
        ({"patient": {"sex": "unknown"}}, ("sex", "unknown", None)),
        ({"patient": {"birth_date": {"absent": "masked"}}}, ("birth_date", "masked", None)),
        (
            {"patient": {}, "system_reviews": [{"key": "s", "system": {"text": "x"}, "result": "unknown"}]},
            ("result", "unknown", None),
        ),
    ],
)
def test_each_sort_of_absence(sections: Json, expected: tuple[str, str, str | None] | None) -> None:
    """Times, values and words; a finding that is absent is told, and no gap."""
    found = [(one.field, one.reason, one.text) for one in gaps.gaps(case_with(**sections)).absent]
    assert found == ([expected] if expected else [])


def test_a_time_in_words_is_no_gap() -> None:
    """What is told in words is told."""
    finding = {"key": "f", "code": {"text": "x"}, "presence": "present"}
    told = finding | {"when": {"absent": "as-text", "text": "last spring"}}
    assert gaps.gaps(case_with(findings=[told])).absent == ()


def test_an_empty_case_has_no_gap_but_its_sections() -> None:
    """Nothing claimed, nothing absent; the sections with nothing in them are named, and the patient has no source."""
    found = gaps.gaps(case_of("minimal"))
    assert (found.absent, found.basis, found.unsourced) == ((), (), ("patient",))
    assert "findings" in found.empty
    assert "patient" not in found.empty


def test_gaps_as_text_and_as_json() -> None:
    """The same in lines for people and in one object for programs."""
    text, told = run("gaps", PUBLISHED).stdout, json.loads(run("gaps", PUBLISHED, "--format", "json").stdout)
    assert "  case.patient.birth_date (patient): unknown\n" in text
    assert "  case.monoclonal_protein[0].clones[0].light_chain (mprot-igg): inferred\n" in text
    found = gaps.gaps(case_of("published-case"))
    assert [one["pointer"] for one in told["absent"]] == [one.pointer for one in found.absent]
    assert [one["basis"] for one in told["basis"]] == [one.basis for one in found.basis]
    assert None not in [value for one in told["absent"] for value in one.values()]


# --- flat -------------------------------------------------------------------------------------


def tables(case: Case) -> dict[str, list[dict[str, str]]]:
    """The flat tables as a program reads them."""
    return {name: list(csv.DictReader(io.StringIO(text, newline=""))) for name, text in flat.flat(case).items()}


def told(row: dict[str, str], *names: str) -> tuple[str, ...]:
    return tuple(row[name] for name in names)


def test_a_row_a_cycle_a_measurement_a_clone_a_response() -> None:
    """The published case: six cycles, eleven measured values, two clones, and its responses."""
    found, case = tables(case_of("published-case")), case_of("published-case")
    assert [
        told(row, "row", "cycle", "dose", "dose_unit", "over", "over_unit") for row in found["administrations"]
    ] == [("administration", str(number), "2", "g/kg", "2", "d") for number in range(1, 7)]
    assert [row["key"] for row in found["measurements"]] == [
        *(one.key for one in case.measurements),
        *(test.key for report in case.reports for test in report.tests),
    ]
    assert [told(row, "heavy_chain", "light_chain", "light_chain_basis") for row in found["clones"]] == [
        ("igg", "lambda", "inferred"),
        ("igm", "lambda", ""),
    ]
    assert [row["key"] for row in found["responses"]] == [one.key for one in case.assessments]


def test_infusions_follow_their_cycle_and_nothing_is_counted_twice() -> None:
    """A cycle has its own row without a dose, before its infusions."""
    found = tables(case_of("synthetic-course"))["administrations"]
    assert [row["key"] for row in found if row["course"] == "course-ivig"][:5] == [
        "cycle-1", "infusion-1-1", "infusion-1-2", "cycle-2", "infusion-2-1",
    ]  # fmt: skip
    assert {row["dose"] for row in found if row["row"] == "cycle"} == {""}
    case = case_of("synthetic-course")
    given = sum(a.dose.value for t in case.therapies for a in t.administrations if a.dose)
    assert sum(Decimal(row["dose"]) for row in found if row["dose"]) == given
    assert [told(row, "product", "lot") for row in found if row["key"] == "infusion-1-1"] == [("lot-a", "SYN-A1")]


def test_numbers_keep_their_digits() -> None:
    """1.80 is not 1.8, 75.0 is not 75, and a comparator has a cell of its own."""
    found = tables(case_of("synthetic-course"))
    measured = {row["key"]: row for row in found["measurements"]}
    assert told(measured["skin-0"], "value", "unit") == ("3.60", "mm")
    assert told(measured["skin-6"], "percent_change", "absolute_change") == ("-41.7", "-1.50")
    assert told(measured["weight-1"], "value", "unit") == ("75.0", "kg")
    assert told(measured["test-tsh"], "kind", "value", "unit", "interpretation") == (
        "test",
        "1.80",
        "m[IU]/L",
        "normal",
    )
    assert told(measured["flc-lambda"], "kind", "name", "value") == ("free-light-chain", "lambda", "42.50")
    assert [told(row, "comparator", "value", "band") for row in found["clones"]] == [
        ("", "11.80", "1"),
        ("<", "0.50", "2"),
    ]


def test_times_stay_what_they_are() -> None:
    """A moment keeps its precision; a relative time has its anchor; what is not known says so."""
    published, synthetic = tables(case_of("published-case")), tables(case_of("synthetic-course"))
    names = ("start", "end", "anchor", "relation", "offset", "offset_unit", "time_text")
    second = published["administrations"][1]
    assert told(second, *names) == ("", "", "course-ivig", "after-start", "1", "mo", "")
    general = next(row for row in published["responses"] if row["key"] == "resp-general")
    assert told(general, *names) == ("", "", "course-ivig", "after-start", "", "", "within a few days")
    assert told(published["clones"][0], *names) == ("", "", "", "", "", "", "unknown")
    cycle = synthetic["administrations"][0]
    assert told(cycle, *names) == ("2024-01-09", "2024-01-10", "", "", "", "", "")
    score = next(row for row in synthetic["measurements"] if row["key"] == "skin-score-0")
    assert told(score, *names) == ("", "", "enc-first", "during", "", "", "")


def test_what_is_not_known_is_an_empty_cell_with_its_reason() -> None:
    """No number stands where the source gives none."""
    row = tables(case_of("published-case"))["measurements"][0]
    assert told(row, "value", "unit", "absent") == ("", "", "unknown")
    assert row["absent_text"] == "plotted in Figure 2, no number in the text"
    assert told(row, "basis", "locator")[0] == "figure-only"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x","y")'])
def test_no_text_becomes_a_formula(text: str) -> None:
    """A text that a spreadsheet would run gets an apostrophe; a number is left alone."""
    measured = {"key": "m", "kind": "other", "code": {"text": text}, "value": {"text": text}, "note": [text]}
    change = {"percent_change": -5, "absolute_change": {"value": -1, "unit": "mm"}}
    (row,) = tables(case_with(measurements=[measured | change]))["measurements"]
    assert told(row, "name", "value_text", "note") == (f"'{text}",) * 3
    assert told(row, "percent_change", "absolute_change") == ("-5", "-1")


def test_a_text_with_commas_quotes_and_breaks_is_one_cell() -> None:
    """RFC 4180: quoted where it must be, quotes doubled, lines ended by CRLF."""
    text = 'a, "b"\nc'
    written = csv_text(["x", "y"], [[text, Decimal("1.80")], [None, 2]])
    assert written == 'x,y\r\n"a, ""b""\nc",1.80\r\n,2\r\n'
    assert list(csv.reader(io.StringIO(written, newline="")))[1] == [text, "1.80"]


def test_every_field_of_a_row_is_a_column_once() -> None:
    """Headers name each column once, and every row fills the same columns."""
    for name, text in flat.flat(case_of("synthetic-course")).items():
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert len(set(rows[0])) == len(rows[0]), name
        assert {len(row) for row in rows} == {len(rows[0])}, name


# --- the commands -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["md", "csv", "html"])
def test_the_dictionary_command(shape: str, tmp_path: Path) -> None:
    """Each format, on standard output and in a file, to the byte."""
    printed = run("dictionary", "--format", shape)
    assert (printed.exit_code, printed.stderr) == (0, "")
    assert printed.stdout_bytes == dictionary.FORMATS[shape](FIELDS).encode()
    assert run("dictionary", "--format", shape, "-o", tmp_path / "d").exit_code == 0
    assert (tmp_path / "d").read_bytes() == printed.stdout_bytes


def test_the_flat_command_writes_four_files(tmp_path: Path) -> None:
    """The folder is made; each file is whole, in UTF-8, without leftovers beside it; written anew it is replaced."""
    folder = tmp_path / "tables"
    for _ in range(2):
        done = run("flat", PUBLISHED, "-o", folder)
        assert (done.exit_code, done.stdout) == (0, "")
        assert sorted(os.listdir(folder)) == ["administrations.csv", "clones.csv", "measurements.csv", "responses.csv"]
    for name, text in flat.flat(case_of("published-case")).items():
        assert (folder / f"{name}.csv").read_bytes() == text.encode()


def test_a_case_without_rows_gives_headers(tmp_path: Path) -> None:
    """A table with nothing in it replaces one that had something."""
    run("flat", PUBLISHED, "-o", tmp_path)
    run("flat", EXAMPLES / "minimal" / "case.json", "-o", tmp_path)
    assert {len((tmp_path / f"{name}.csv").read_text().splitlines()) for name in flat.TABLES} == {1}


def test_flat_files_keep_to_the_umask_and_their_rights(tmp_path: Path) -> None:
    """A new file has the rights that the umask gives; one that is replaced keeps its own."""
    run("flat", PUBLISHED, "-o", tmp_path)
    (tmp_path / "clones.csv").chmod(0o600)
    run("flat", PUBLISHED, "-o", tmp_path)
    assert stat.S_IMODE((tmp_path / "clones.csv").stat().st_mode) == 0o600


@pytest.mark.parametrize("command", [["gaps"], ["flat", "-o"]])
def test_what_is_no_case_is_refused(command: list[str], tmp_path: Path) -> None:
    """One line a problem, exit status 1, nothing written, and no word of the document."""
    folder = [tmp_path / "out"] if "-o" in command else []
    done = run(*command, *folder, "-", stdin=b'{"patient":{"surname":"Muster"}}')
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "unknown-field" in done.stderr
    assert "Muster" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A file in its place, or no folder to make it in: one line, exit status 1, no traceback."""
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "no" / "such"):
        done = run("flat", PUBLISHED, "-o", place)
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
        assert "not-writable" in done.stderr
