"""The mapping table that people read: complete, and true of the Bundles that are written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapter.skeleton import guide, skeleton
from adapter.summary import clinical
from adapter.table_text import about, as_json, as_markdown, as_python, as_text, names
from adapter.tables import SEVERAL, Line, Place, lines, mapping_table
from mappings import Case, dump_case, encode, from_fhir, load_case, to_fhir
from mappings.case import SECTIONS, TABLES
from mappings.concepts.administration import Administration
from mappings.concepts.dose import Dose
from mappings.generated import is_generated
from mappings.resource import CASE_ITEM
from mappings.rows import At, Row
from mappings.shape import shapes
from mappings.values import Duration, Quantity, Range, Ratio

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("published-case", "synthetic-course", "minimal")
TABLE = mapping_table()
Json = Any


def case_of(name: str) -> Case:
    return load_case((EXAMPLES / name / "case.json").read_bytes())


# --- complete -----------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_field_of_every_table_has_a_line(table: Any) -> None:
    """Each field of a concept is in the table under each FHIR type that the concept takes."""
    mine = [line for line in TABLE if (line.concept, line.resource) == (table.cls.__name__, table.type)]
    told = {re.split(r"[.\[]", line.field)[0] for line in mine} - {""}
    assert told == {shape.json_name for shape in shapes(table.cls).values()}


def test_every_field_of_the_case_itself_has_a_line_or_a_section() -> None:
    """What is no section of the case is in the table's first block."""
    told = {line.field.removesuffix("[]") for line in TABLE if line.concept == "Case"}
    assert told | {name for name, _ in SECTIONS} == {shape.json_name for shape in shapes(Case).values()}


def test_required_fields_are_marked() -> None:
    """A field is marked as required exactly if its dataclass has no default for it."""
    marked = {line.field: line.required for line in about("products")}
    assert marked == {
        "key": True, "source.locator": False, "source.basis": True, "code": True, "lot": False, "expiry": False,
        "manufacturer": False,
    }  # fmt: skip


def test_a_new_class_of_row_cannot_be_forgotten() -> None:
    """A row that the table does not know how to show is an error that names it, never a missing line."""

    class Novel(Row):
        fields = ("x",)

    with pytest.raises(TypeError, match="Novel"):
        list(lines(Novel(), Place("Patient", "", {})))


# --- true ---------------------------------------------------------------------------------------


def _elements(json: Json, path: str) -> Iterator[str]:
    """The path of every leaf, spelled as the table spells it: extension(x), component(x)."""
    if isinstance(json, dict):
        for name, value in json.items():
            yield from _elements(value, f"{path}.{name.removeprefix('_')}")
    elif isinstance(json, list):
        for item in json:
            yield from _elements(item, path + _mark(item))
    else:
        yield path


def _mark(item: Json) -> str:
    if isinstance(item, dict) and isinstance(item.get("url"), str):
        return f"({item['url'].rpartition('/')[2]})"
    codings = (
        item.get("code", {}).get("coding") if isinstance(item, dict) and isinstance(item.get("code"), dict) else []
    )
    return f"({codings[0]['code']})" if codings and ("value" in "".join(item) or "dataAbsentReason" in item) else ""


def _own(resource: dict[str, Json]) -> dict[str, Json]:
    """The resource without what the frame puts on all: the item's identifier, labels, language, narrative."""
    frame = ("resourceType", "id", "meta", "language", "text")
    found = {name: value for name, value in resource.items() if name not in frame}
    found["identifier"] = [
        one for one in found.get("identifier", []) if CASE_ITEM not in [e["url"] for e in one.get("extension", [])]
    ]
    return found


def _covers(line: str, leaf: str) -> bool:
    """Whether a line speaks of the leaf: it lies below the element, or is what the element is found by."""
    heads = [
        line[: match.end()] + head for match in re.finditer(r"\(.*?\)", line) for head in (".code", ".url", ".exclude")
    ]
    return any(leaf == path or leaf.startswith((f"{path}.", f"{path}(")) for path in (line, *heads))


@pytest.mark.parametrize("name", NAMES)
def test_every_leaf_that_is_written_lies_where_the_table_says(name: str) -> None:
    """No table writes anywhere but at the paths of its lines, so what the table shows is where the facts are."""
    tables = {table.profile: table for table in TABLES}
    astray, seen = set(), 0
    for entry in to_fhir(case_of(name))["entry"]:
        resource = entry["resource"]
        if is_generated(resource):
            continue
        table = tables[resource["meta"]["profile"][0]]
        mine = [line for line in TABLE if (line.concept, line.resource) == (table.cls.__name__, table.type)]
        paths = [path.replace("[0]", "") for line in mine for path in line.fhir]
        for leaf in _elements(_own(resource), table.type):
            seen += 1
            if not any(
                _covers(path, leaf) or _covers(path, re.sub(r"component\(.*?\)", "component", leaf)) for path in paths
            ):
                astray.add(leaf)
    assert astray == set()
    assert seen > 0 or name == "minimal"


def test_frame_lines_are_true() -> None:
    """Whose case it is, its language, labels and time lie where the first block says."""
    case = case_of("synthetic-course")
    bundle = to_fhir(case)
    patient = bundle["entry"][0]["resource"]
    identifier = next(one for one in patient["identifier"] if one["value"].startswith(case.case_id))
    provenance = bundle["entry"][-1]["resource"]
    assert identifier["system"] == case.case_system
    assert identifier["value"] == f"{case.case_id}/patient"
    assert patient["language"] == case.language
    assert {label["code"] for label in patient["meta"]["security"]} == {"HTEST", "PSEUDED"}
    assert (provenance["recorded"], bundle["timestamp"]) == (case.recorded, case.recorded)


_QUANTITY, _TIME = Quantity(Decimal(1), "g"), Duration(Decimal(1), "h")
_SAMPLES = {
    "amount": _QUANTITY, "amount_range": Range(_QUANTITY), "per_time": Ratio(_QUANTITY, _QUANTITY), "over": _TIME,
    "rate": Quantity(Decimal(1), "mL/h"), "rate_ratio": Ratio(_QUANTITY, _QUANTITY),
}  # fmt: skip


@pytest.mark.parametrize("field", _SAMPLES)
def test_fields_that_share_a_row_lie_where_their_lines_say(field: str) -> None:
    """For rows that hold several fields the table has a list of its own; here each field is written alone."""
    row = next(cls for cls in SEVERAL if field in cls.fields)()
    row.bind(shapes(Administration if "rate" in row.fields else Dose))
    fields: dict[str, Any] = dict.fromkeys((*_SAMPLES, "spread_over"))
    out: dict[str, Json] = {}
    row.write(SimpleNamespace(**fields | {"dose": _QUANTITY, field: _SAMPLES[field]}), out, None)
    assert [*out] == [SEVERAL[type(row)][field]]
    assert set(SEVERAL[type(row)]) == set(row.fields)


def test_words_are_shown_with_the_codes_they_become() -> None:
    """A word that has another code in FHIR is shown with it: an infusion given in part is `stopped`."""
    status = next(line for line in about("Administration") if line.field == "status")
    assert "partial=stopped" in status.holds
    assert "not-given=not-done" in status.holds
    assert "in-progress" in status.holds.split(" | ")


def test_alternatives_share_their_lines() -> None:
    """Of the kinds of a measurement only what differs is shown by kind: the code and the units."""
    differing = {line.field: line.only for line in about("Measurement") if line.only == ("skin-thickness",)}
    assert set(differing) == {"", "value"}
    assert [line.fhir for line in about("Measurement") if line.field == "site"] == [("Observation.bodySite",)]


# --- shown --------------------------------------------------------------------------------------


def test_a_concept_is_found_by_its_name_its_section_and_its_type() -> None:
    """`table Product`, `table products` and `table MEDICATION` show the same lines; an unknown name shows none."""
    assert about("Product") == about("products") == about("MEDICATION") != []
    assert about("no such thing") == []
    assert about(None) == TABLE


def test_json_has_every_line_with_full_paths() -> None:
    """The JSON form holds the lines as they are."""
    found = json.loads(as_json(TABLE))
    assert len(found) == len(TABLE)
    assert [(one["field"], tuple(one["fhir"])) for one in found] == [(line.field, line.fhir) for line in TABLE]


def _rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| `") or line.startswith("|  |")]


def test_markdown_is_one_table_a_concept_with_four_cells_a_row() -> None:
    """A bar inside a cell is escaped, so that every row of the README has four cells."""
    text = as_markdown(TABLE)
    rows = _rows(text)
    assert len(rows) > 200
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {6}
    assert all(f"**{line.concept} -> {line.resource}" in text for line in TABLE)


def test_text_shows_what_all_items_share_once() -> None:
    """Key, source, notes and the patient as subject stand in one block, not in thirty."""
    text = as_text(TABLE)
    assert text.count("  key *") == 1
    assert text.count("the patient") == 1
    assert text.count("therapies[].administrations[]") == 1


def test_text_and_markdown_show_the_same_fields() -> None:
    """The two forms differ in form alone."""
    shown = re.findall(r"^\| `([a-z_.\[\]]+)(?: \*)?` ", as_markdown(TABLE), re.MULTILINE)
    printed = re.findall(r"^  ([a-z_.\[\]]+)(?: \*)?  ", as_text(TABLE), re.MULTILINE)
    assert len(shown) > 200
    assert shown == printed


def _line(**more: Any) -> Line:
    given = {"concept": "A", "section": "as[]", "resource": "B", "field": "f", "holds": "text", "required": False}
    return Line(**(given | {"fhir": (), "row": "at"} | more))


def test_choice_elements_are_shown_as_fhir_writes_them() -> None:
    """Several types of one element are `value[x]`; a single one keeps its name."""
    several = as_text([_line(fhir=("B.valueQuantity", "B.valueString", "B.dataAbsentReason"))])
    single = as_text([_line(fhir=("B.valueQuantity", "B.dataAbsentReason"))])
    assert "value[x], dataAbsentReason" in several
    assert "valueQuantity, dataAbsentReason" in single


def test_names_lists_each_concept_once() -> None:
    """The concepts are told in the order of the case."""
    found = names(TABLE)
    assert found[:4] == ["Case", "Patient", "Age", "Encounter"]
    assert len(found) == len(set(found))


# --- the skeleton and its guide -----------------------------------------------------------------


def test_skeleton_loads_converts_and_comes_back() -> None:
    """What `new` gives is a whole case: it loads, becomes a Bundle, and comes back the same."""
    case = skeleton()
    assert load_case(encode(dump_case(case))) == case
    assert from_fhir(to_fhir(case))[0] == case


def test_skeleton_claims_nothing_and_is_marked_as_test_data() -> None:
    """A skeleton that somebody forgets to fill in is known by its label, and no value in it looks measured."""
    case = skeleton()
    text = encode(dump_case(case)).decode()
    assert case.security == ("HTEST",)
    assert '"value":{' not in text.replace('"value":{"absent"', "")
    assert not re.search(r"\d{4}-\d{2}", text.replace("1.0", ""))


def test_guide_names_every_section_and_its_required_fields() -> None:
    """The guide is the skeleton's commentary: all sections, the fields that must be there marked."""
    text = guide()
    for name, table in SECTIONS:
        assert re.search(rf"^  {name}[*\[ ]", text, re.MULTILINE)
        fields = [shape.json_name for shape in shapes(table.cls).values() if shape.required]
        assert all(re.search(rf"\b{field}(\[\])?\*", text) for field in fields)
    assert max(map(len, text.splitlines())) <= 120


# --- the summary --------------------------------------------------------------------------------


def test_summary_tells_the_published_case_as_a_clinician_would() -> None:
    """Patient, diagnosis, therapies by line with doses and the reason for stopping, six cycles, what is not stated."""
    text = clinical(case_of("published-case"))
    for told in (
        "male, 63 years at the presentation, birth date not stated",
        "scleromyxedema: active, since 3 years before the start of the presentation",
        "IgG λ (a chain inferred): not available (quantity not reported)",
        "1  UVA1 phototherapy: status not stated",
        "3  cyclophosphamide: stopped for intolerance, 6 cycles given",
        "dose 1: 750 mg/m², 6 times in all",
        "7  intravenous immunoglobulin (IVIg): completed (inferred), 6 cycles given",
        "dose 1: 2 g/kg over 2 days, once every month, 6 times in all, for 6 months, intravenous",
        "cycle 6: given, 2 g/kg over 2 days, 5 months after the start of intravenous immunoglobulin (IVIg)",
        "birth date of the patient: unknown",
        "quantity of the IgG λ clone, the IgM λ clone: quantity not reported",
    ):
        assert told in text
    assert len(re.findall(r"^ +cycle \d: given", text, re.MULTILINE)) == 6


def test_summary_tells_infusions_by_day_and_why_one_was_not_given() -> None:
    """Where days are known each infusion is told with its day, dose, time, and the reason if it was not given."""
    text = clinical(case_of("synthetic-course"))
    assert "cycle 1 day 1: given, 75.0 g, from 2024-01-09T09:00:00+01:00" in text
    assert "cycle 4 day 1: not given for fever, infection suspected, 2024-04-02" in text
    assert "cycle 5 day 2: partial for headache, 32.5 g" in text
    assert "IgM λ: <0.50 g/L" in text


def test_summary_of_the_smallest_case_says_what_is_missing() -> None:
    """A case of nothing but a patient is told in a few lines, without empty headings."""
    assert clinical(case_of("minimal")).splitlines()[-1] == "  sex not stated, birth date not stated"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_what_is_compiled_can_be_read(table: Any) -> None:
    """`table --compiled` shows the functions that run, in which each plain field stands with its element."""
    text = as_python([line for line in TABLE if (line.concept, line.resource) == (table.cls.__name__, table.type)])
    assert table.rows.write.__code__.co_names  # it runs
    assert table.rows.writing.text in text
    for row in table.rows:
        if type(row) is At and row.path.only:
            assert f"out[{row.path.only!r}] = " in text
            assert f"item.{row.field}" in text
            assert f"into[{row.field!r}] = " in text
