"""The diagnostic criteria, each met, not met, or not known, with what they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mappings.choices import when, word_value
from mappings.codec import concept
from mappings.concepts.finding import TIMES
from mappings.many import references
from mappings.resource import ResourceMap, source, subject
from mappings.rows import Element, at
from mappings.terms import TERMS
from mappings.values import Concept, Key, Observed, Presence, Ref, Source, When


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One criterion; ``source`` says where, and whether it is stated of the patient or derived."""

    code: Concept
    presence: Presence
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria(Observed):
    """A set of criteria, applied to one condition."""

    name: Concept
    condition: Annotated[Key, Ref("Condition")]
    when: Annotated[When, TIMES] | None = None
    items: tuple[Criterion, ...]
    evidence: tuple[Annotated[Key, Ref("Finding", "MonoclonalProtein", "Measurement", "Figure")], ...] = ()


CRITERIA = ResourceMap(
    Criteria,
    "Observation",
    at("code", concept(), "name"),
    subject(),
    references("focus", "condition"),
    when("effective", encounter=True),
    references("derivedFrom", "evidence"),
    at(
        "component",
        Element(Criterion, source(), at("code", concept(), "code"), word_value("presence", "presence")),
        "items",
    ),
    profile="smx-diagnostic-criteria",
    title=lambda item: item.name.label,
    known_by=("code", (TERMS.diagnostic_criteria,)),
)
