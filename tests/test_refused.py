"""What is refused, and how it is told: every folder of examples/refused, and what a refusal is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from mappings import MappingError, from_fhir, load_case
from mappings.case import TABLES
from mappings.report import CATALOGUE
from mappings.shape import Shape, shapes
from mappings.terms import CODES
from mappings.wire import steps
from tests.refusals import HERE, Refusal, refusals, table

ALL = refusals()


def _is_json(raw: bytes) -> bool:
    try:
        return json.loads(raw) is not None
    except ValueError:
        return False


each = pytest.mark.parametrize("refusal", ALL, ids=lambda refusal: refusal.slug)


# --- every folder ---------------------------------------------------------------------------


@each
def test_wrong_input_is_refused_with_exactly_these_issues(refusal: Refusal) -> None:
    """All problems of a wrong input are told at once: their codes and pointers, in order, and no other."""
    assert tuple((issue.code, issue.pointer) for issue in refusal.refused()) == refusal.issues


@each
def test_mended_twin_is_accepted(refusal: Refusal) -> None:
    """The mended twin loads or reads, with nothing worse than information in the report."""
    _, report = refusal.convert(refusal.mended)
    assert [(issue.code, issue.pointer) for issue in report.issues if issue.level != "information"] == []


@pytest.mark.parametrize("refusal", [r for r in ALL if _is_json(r.wrong)], ids=lambda refusal: refusal.slug)
def test_mended_twin_differs_only_where_an_issue_points(refusal: Refusal) -> None:
    """The twin mends what is told and nothing else: every change lies beside, above or below a pointer."""
    wrong, mended = json.loads(refusal.wrong), json.loads(refusal.mended)
    pointers = [pointer for _, pointer in refusal.issues]
    far = [change for change in changes(wrong, mended) if not any(near(change, pointer) for pointer in pointers)]
    assert far == []


@each
def test_messages_are_helpful_and_hold_no_value(refusal: Refusal) -> None:
    """Each issue has a stable code, a sentence and a remedy, and quotes no value of the document."""
    issues = refusal.refused()
    assert issues
    for issue in issues:
        assert issue.code in CATALOGUE
        assert issue.level == "error"
        assert issue.what_to_do
        told = " ".join((issue.text, issue.expected, issue.what_to_do))
        assert [value for value in values(refusal.wrong) if quotes(told, value)] == []


@each
def test_pointers_lead_into_the_document(refusal: Refusal) -> None:
    """A pointer leads to what is there, or to the field that is missing in what is there."""
    if not _is_json(refusal.wrong):
        assert {pointer for _, pointer in refusal.issues} == {""}
        return
    document = json.loads(refusal.wrong)
    for _, pointer in refusal.issues:
        assert resolves(document, pointer.rpartition("/")[0])


@each
def test_error_as_text_is_one_line_an_issue(refusal: Refusal) -> None:
    """What a screen shows is one line an issue, which ends with the stable code."""
    with pytest.raises(MappingError) as error:
        refusal.convert(refusal.wrong)
    lines = str(error.value).splitlines()
    assert [re.search(r"\[([a-z0-9-]+)]$", line)[1] for line in lines] == [code for code, _ in refusal.issues]  # type: ignore[index]


def test_readme_is_generated() -> None:
    """The README of the folder is what `python -m tests.refusals` writes."""
    assert (HERE / "README.md").read_text(encoding="utf-8") == table()


def test_there_are_enough() -> None:
    """At least 32 refusals, of both directions, with distinct sentences."""
    assert len(ALL) >= 32
    assert {refusal.input for refusal in ALL} == {"case", "bundle"}
    assert len({refusal.what for refusal in ALL}) == len(ALL)
    assert max(len(refusal.issues) for refusal in ALL) >= 12


# --- what a refusal is not ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slug", "code"),
    [
        ("strict-entered-in-error", "entered-in-error"),
        ("strict-unknown-modifier", "modifier"),
        ("strict-unit-of-another-field", "unreadable-resource"),
    ],
)
def test_one_bad_resource_does_not_refuse_the_document(slug: str, code: str) -> None:
    """A resource that may mean the opposite, or cannot be read, is left whole and told; the rest is read."""
    raw = next(refusal.wrong for refusal in ALL if refusal.slug == slug)
    case, report = from_fhir(raw)
    assert case.measurements == ()
    assert case.patient.sex == "female"
    assert [(issue.code, issue.pointer.startswith("/entry/1/resource")) for issue in report.errors] == [(code, True)]


def test_a_python_float_is_refused_once() -> None:
    """A float in a dict has lost its digits; it is told once, as that."""
    with pytest.raises(MappingError) as error:
        load_case({"schema_version": "1.0", "case_id": 1.5})
    told = [(issue.code, issue.pointer) for issue in error.value.issues if issue.pointer == "/case_id"]
    assert told == [("python-float", "/case_id")]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_refused_once(number: str) -> None:
    """Not-a-number and infinities are refused as numbers, wherever they come from."""
    with pytest.raises(MappingError) as error:
        load_case({"measurements": [{"percent_change": Decimal(number)}]})
    pointer = "/measurements/0/percent_change"
    assert [issue.code for issue in error.value.issues if issue.pointer == pointer] == ["bad-number"]


@pytest.mark.parametrize(
    "document", [None, [], "[]", b"1", True, {}, {"patient": []}, {"conditions": [None, 1, "x", []]}]
)
def test_any_json_is_refused_in_words(document: Any) -> None:
    """Whatever JSON comes, the answer is a list of issues and never another exception."""
    for convert in (load_case, from_fhir):
        with pytest.raises(MappingError):
            convert(document)


def test_rules_are_told_beside_other_faults() -> None:
    """A part that is sound in itself but breaks a rule is told even where another part has the wrong shape."""
    document = json.loads(next(refusal.wrong for refusal in ALL if refusal.slug == "abatement-while-active"))
    document["language"] = 5
    with pytest.raises(MappingError) as error:
        load_case(document)
    told = [(issue.code, issue.pointer) for issue in error.value.issues]
    assert told == [("wrong-type", "/language"), ("rule", "/conditions/0/clinical_status")]


# --- helpers --------------------------------------------------------------------------------


def changes(wrong: Any, mended: Any, pointer: str = "") -> Iterator[str]:
    """The pointers at which two JSON values differ."""
    if type(wrong) is type(mended) and isinstance(wrong, dict):
        for name in {**wrong, **mended}:
            if name in wrong and name in mended:
                yield from changes(wrong[name], mended[name], f"{pointer}/{name}")
            else:
                yield f"{pointer}/{name}"
    elif type(wrong) is type(mended) and isinstance(wrong, list):
        for index in range(max(len(wrong), len(mended))):
            if index < min(len(wrong), len(mended)):
                yield from changes(wrong[index], mended[index], f"{pointer}/{index}")
            else:
                yield f"{pointer}/{index}"
    elif wrong != mended or type(wrong) is not type(mended):
        yield pointer


def near(change: str, pointer: str) -> bool:
    """Whether a change lies in the object that holds the pointer's field, below it, or around it."""
    above = [place.rpartition("/")[0] + "/" for place in (change, pointer)]
    return f"{change}/".startswith(above[1]) or f"{pointer}/".startswith(above[0])


def resolves(document: Any, pointer: str) -> bool:
    """Whether the pointer leads to a value."""
    for step in steps(pointer):
        if isinstance(document, list) and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        elif isinstance(document, dict) and step in document:
            document = document[step]
        else:
            return False
    return True


#: Members whose values an error may quote: codes, units, and what says which version of what it is.
QUOTED = ("unit", "code", "resourceType", "schema_version")


def values(raw: bytes) -> set[str]:
    """The values of a document that are no words of the model, no codes and no units."""
    try:
        found = set(_leaves(json.loads(raw), ""))
    except ValueError:
        found = set(re.findall(r'"([^"\n]*)"(?!\s*:)', raw.decode("utf-8", "replace")))
    return {value for value in found if len(value) > 1} - _vocabulary()


def _leaves(json_value: Any, member: str) -> Iterator[str]:
    if isinstance(json_value, dict):
        for name, value in json_value.items():
            yield from _leaves(value, name)
    elif isinstance(json_value, list):
        for value in json_value:
            yield from _leaves(value, member)
    elif member not in QUOTED and json_value is not None and not isinstance(json_value, bool):
        yield str(json_value)


def _vocabulary() -> set[str]:
    """Field names, words, units and codes of the model: what an error may speak of."""
    shaped = [shape for map_ in TABLES for shape in _shapes(map_.cls)]
    words = {str(word) for shape in shaped for word in shape.words} | {u for shape in shaped for u in shape.units}
    return words | {shape.json_name for shape in shaped} | {code.code for code in CODES}


def _shapes(cls: type) -> Iterator[Shape]:
    for shape in shapes(cls).values():
        yield shape
        for inner in (shape, *shape.choices):
            if inner.type is not cls and hasattr(inner.type, "__dataclass_fields__"):
                yield from _shapes(inner.type)


def quotes(told: str, value: str) -> bool:
    """Whether the words of an error hold the value as a word of its own."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", told) is not None
