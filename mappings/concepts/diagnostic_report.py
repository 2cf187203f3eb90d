"""A report of pathology, laboratory or imaging: what was examined, what was found, what was concluded.

Findings are items of their own; a test that is named without a result has the reason why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mappings.choices import value, when
from mappings.codec import coded, concept, plain, reference, within
from mappings.concepts.finding import TIMES
from mappings.many import each, references
from mappings.resource import ResourceMap, Status, choose, subject
from mappings.rows import also, at
from mappings.terms import TERMS, Term
from mappings.values import Concept, Forms, Item, Key, Line, Observed, RecordStatus, Ref, ValueOrAbsent, When


@dataclass(frozen=True, slots=True, kw_only=True)
class Test(Observed):
    """One test of a report; its value, or why there is none."""

    __test__ = False  # no test class of pytest's
    code: Concept
    value: Annotated[ValueOrAbsent, Forms("quantity", "concept", "text", "integer", "range", "absent")]
    interpretation: Literal["normal", "abnormal", "high", "low", "positive", "negative"] | None = None
    when: Annotated[When, TIMES] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticReport(Item):
    """A report; ``conclusion`` in words, ``conclusion_codes`` in codes."""

    kind: Literal["histology", "bone-marrow", "laboratory", "imaging"]
    record_status: RecordStatus | None = None
    code: Concept
    when: Annotated[When, TIMES] | None = None
    specimens: tuple[Annotated[Key, Ref("Specimen")], ...] = ()
    findings: tuple[Annotated[Key, Ref("Finding")], ...] = ()
    tests: tuple[Test, ...] = ()
    conclusion: Line | None = None
    conclusion_codes: tuple[Concept, ...] = ()
    figures: tuple[Annotated[Key, Ref("Figure")], ...] = ()


TEST = ResourceMap(
    Test,
    "Observation",
    also("category[0]", TERMS.laboratory),
    at("code", concept(), "code"),
    subject(),
    when("effective", encounter=True),
    value("value"),
    at("interpretation[0]", coded("test-interpretation"), "interpretation"),
    profile="smx-test",
    title=lambda item: f"{item.code.label}: {item.value}",
)


def _table(kind: str, profile: str, category: Term) -> ResourceMap:
    """The table of one kind of report."""
    return ResourceMap(
        DiagnosticReport,
        "DiagnosticReport",
        Status(),
        also("category[0]", category),
        at("code", concept(), "code"),
        subject(),
        when("effective", encounter=True),
        references("specimen", "specimens"),
        references("result", "findings"),
        each("tests", TEST, forward="result"),
        at("media", within("link", reference()), "figures"),
        at("conclusion", plain(), "conclusion"),
        at("conclusionCode", concept(), "conclusion_codes"),
        profile=profile,
        title=lambda item: f"Report: {item.code.label}",
        only=("kind", kind),
    )


DIAGNOSTIC_REPORT = choose(
    "kind",
    _table("histology", "smx-histology-report", TERMS.report_category_pathology),
    _table("bone-marrow", "smx-bone-marrow-report", TERMS.report_category_pathology),
    _table("laboratory", "smx-laboratory-report", TERMS.report_category_laboratory),
    _table("imaging", "smx-imaging-report", TERMS.report_category_imaging),
)
