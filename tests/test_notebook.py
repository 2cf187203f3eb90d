"""A case and a report in a notebook: short tables of counts, safe to show whatever they hold."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from hypothesis import given, settings

from mappings import Case, Issue, Report, from_fhir, load_case
from mappings.case import SECTIONS
from tests.goldens import case_bytes, golden
from tests.strategies import cases


def rows_of(html: str) -> list[list[str]]:
    """The cells of the table, which is well-formed."""
    return [["".join(cell.itertext()) for cell in row] for row in ElementTree.fromstring(html).iter("tr")]


def test_case_shows_its_sections() -> None:
    """Each section that is given, with the number of its items, in the order of the case."""
    html = load_case(case_bytes("published-case"))._repr_html_()
    rows = rows_of(html)
    assert rows[0] == ["section", "items"]
    assert ["therapies", "7"] in rows
    assert ["assessments", "10"] in rows
    assert ["products", "0"] not in rows
    assert "published-case" in html


def test_report_shows_its_issues_by_code() -> None:
    """How much was mapped, then each code once with its count, errors before notes."""
    report = Report("fhir-to-case", 20, 13)
    report.issues = [Issue("unknown-element"), Issue("modifier"), Issue("unknown-element")]
    html = report._repr_html_()
    assert "13 of 20 leaves mapped, 7 not" in html
    codes = [row[:3] for row in rows_of(html)[1:]]
    assert codes == [["modifier", "error", "1"], ["unknown-element", "information", "2"]]
    assert rows_of(from_fhir(golden("synthetic-course").read_bytes())[1]._repr_html_())


def test_nothing_is_run_as_markup() -> None:
    """What a case is called is text, even if it looks like a script."""
    case = replace(load_case(case_bytes("minimal")), case_system="x:<script>alert('1')</script>&")
    assert "<script" not in case._repr_html_()
    assert "x:<script>alert('1')</script>&" in "".join(ElementTree.fromstring(case._repr_html_()).itertext())


@settings(max_examples=25)
@given(cases())
def test_any_case_can_be_shown(case: Case) -> None:
    """The table is well-formed and counts what is there."""
    rows = dict(rows_of(case._repr_html_())[1:])
    counted = {name: len(value) for name, _ in SECTIONS if isinstance(value := getattr(case, name), tuple) and value}
    assert {name.replace("_", " "): str(count) for name, count in counted.items()}.items() <= rows.items()
