"""A course of therapy: a drug is a MedicationStatement, light or apheresis a Procedure.

Cycles become resources of their own only if each has something of its own to say; else the
count is the whole truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from mappings.choices import when
from mappings.codec import concept, duration, own, plain, quantity, word
from mappings.concepts.administration import ADMINISTRATION, CYCLE_RECORD, Administration, CycleRecord
from mappings.concepts.dose import DOSE, Dose
from mappings.concepts.product import DRUGS
from mappings.many import each, references, unused
from mappings.resource import ResourceMap, basis_of, choose, subject
from mappings.rows import Element, Row, at, extension, inside_extension, only_one
from mappings.terms import TERMS
from mappings.values import AtLeast, Basis, Concept, Duration, Forms, Key, Line, Noted, Quantity, Ref, When


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A figure of a procedure, such as the light dose of a session."""

    code: Concept
    value: Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Therapy(Noted):
    """One course: what, as which line, why ended, in which doses, with which administrations.

    ``line`` orders the courses; ``line_basis`` and ``status_basis`` say on what the order and the
    status rest, where that is not the basis of the course. ``cycles_administered`` is the count
    that the source states.
    """

    kind: Literal["drug", "procedure"]
    code: Concept
    label: Line | None = None
    line: Annotated[int, AtLeast(1)] | None = None
    line_basis: Basis | None = None
    status: Literal["planned", "active", "completed", "stopped", "on-hold", "not-given", "unknown"]
    status_basis: Basis | None = None
    status_reasons: tuple[Concept, ...] = ()
    when: Annotated[When, Forms("at", "period", "relative", "absent")] | None = None
    duration: Duration | None = None
    cycles_planned: Annotated[int, AtLeast(0)] | None = None
    cycles_administered: Annotated[int, AtLeast(0)] | None = None
    reasons: tuple[Annotated[Key, Ref("Condition")], ...] = ()
    doses: tuple[Dose, ...] = ()
    settings: tuple[Setting, ...] = ()
    cycle_records: tuple[CycleRecord, ...] = ()
    administrations: tuple[Administration, ...] = ()

    def rules(self) -> Iterator[tuple[str, str]]:
        """Lines have their own numbers; the stated count is not below what is listed; infusions fit their cycle."""
        sequences = [dose.sequence for dose in self.doses]
        if len(set(sequences)) != len(sequences):
            yield "doses", "each line has its own sequence number"
        if self.kind == "procedure" and len(self.status_reasons) > 1:
            yield "status_reasons", "a procedure has one reason (FHIR Procedure.statusReason)"
        given = {a.cycle for a in self.administrations if a.status == "given" and a.cycle is not None}
        if self.cycles_administered is not None and len(given) > self.cycles_administered:
            yield "cycles_administered", "no fewer than the cycles that are listed as given"
        numbers = {record.key: record.number for record in self.cycle_records}
        for index, part in enumerate(self.administrations):
            if part.part_of is not None and part.part_of not in numbers:
                yield f"administrations/{index}/part_of", "the key of a cycle of this course"
            elif part.part_of is not None and part.cycle not in (None, numbers[part.part_of]):
                yield f"administrations/{index}/cycle", "the number of the cycle that it is part of"


SETTING = Element(
    Setting,
    extension("type", "valueCodeableConcept", concept(), "code"),
    extension("value", "valueQuantity", quantity(), "value"),
)


def _course() -> Row:
    """The extension of a course, the same on both resource types."""
    return inside_extension(
        own("smx-therapy-course"),
        extension("label", "valueString", plain(), "label"),
        extension("line", "valuePositiveInt", plain(), "line"),
        extension("lineBasis", "valueCode", word("basis"), "line_basis"),
        extension("cyclesPlanned", "valueUnsignedInt", plain(), "cycles_planned"),
        extension("cyclesAdministered", "valueUnsignedInt", plain(), "cycles_administered"),
        extension("duration", "valueDuration", duration(), "duration"),
    )


#: Procedures that other systems' resources are recognised by.
PROCEDURES = tuple(
    TERMS[name]
    for name in (
        "ivig-therapy", "uva1-phototherapy", "extracorporeal-photopheresis", "plasmapheresis", "puva",
        "stem-cell-transplantation", "autologous-stem-cell-transplantation", "autologous-bone-marrow-transplantation",
        "autologous-peripheral-blood-stem-cell-transplantation",
    )
)  # fmt: skip
DRUG = ResourceMap(
    Therapy,
    "MedicationStatement",
    _course(),
    at("status", word("drug-course-status"), "status"),
    basis_of("status", "status_basis"),
    at("statusReason", concept(), "status_reasons"),
    at("medicationCodeableConcept", concept(), "code"),
    subject(),
    when("effective"),
    each("cycle_records", CYCLE_RECORD, forward="derivedFrom"),
    each("administrations", ADMINISTRATION, forward="derivedFrom"),
    references("reasonReference", "reasons"),
    at("dosage", DOSE, "doses"),
    unused("settings"),
    profile="smx-course-medication",
    title=lambda item: f"Course of therapy: {item.code.label}",
    known_by=("medicationCodeableConcept", DRUGS),
    only=("kind", "drug"),
)
PROCEDURE = ResourceMap(
    Therapy,
    "Procedure",
    _course(),
    extension(own("smx-setting"), None, SETTING, "settings"),
    at("status", word("procedure-course-status"), "status"),
    basis_of("status", "status_basis"),
    only_one("statusReason", concept(), "status_reasons"),
    at("code", concept(), "code"),
    subject(),
    when("performed"),
    references("reasonReference", "reasons"),
    unused("doses", "administrations", "cycle_records"),
    profile="smx-course-procedure",
    title=lambda item: f"Course of therapy: {item.code.label}",
    known_by=("code", PROCEDURES),
    only=("kind", "procedure"),
)
THERAPY = choose("kind", DRUG, PROCEDURE)
