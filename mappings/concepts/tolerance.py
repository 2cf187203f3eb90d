"""How a course was tolerated: whether there were side effects, and each event there was.

"No side effects" is an Observation that says absent; R4's AdverseEvent cannot say none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mappings.choices import when, word_value
from mappings.codec import coded, concept
from mappings.concepts.finding import TIMES, NotContradicted
from mappings.many import each, following, references
from mappings.resource import ResourceMap, subject
from mappings.rows import at, component, fixed
from mappings.terms import TERMS
from mappings.values import Concept, Key, Line, Observed, Presence, Ref, When


@dataclass(frozen=True, slots=True, kw_only=True)
class AdverseEvent(Observed):
    """One event; ``administration`` is the key of the infusion it went with, if it is told."""

    code: Concept
    severity: Concept | None = None
    outcome: Concept | None = None
    administration: Annotated[Key, Ref("Administration")] | None = None
    when: Annotated[When, TIMES] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance(Observed):
    """The tolerance of one course; ``text`` and ``tolerability`` keep the source's words."""

    course: Annotated[Key, Ref("Therapy")]
    adverse_effects: Presence
    text: Line | None = None
    tolerability: Literal["very-good", "good", "moderate", "poor", "not-tolerated"] | None = None
    when: Annotated[When, TIMES] | None = None
    events: tuple[AdverseEvent, ...] = ()

    def rules(self) -> Iterator[tuple[str, str]]:
        """Events are adverse effects."""
        if self.events and self.adverse_effects != "present":
            yield "adverse_effects", "present, since events are listed"


EVENT = ResourceMap(
    AdverseEvent,
    "Observation",
    references("partOf", "administration"),
    fixed("code", TERMS.adverse_event),
    subject(),
    when("effective", encounter=True),
    at("valueCodeableConcept", concept(), "code"),
    NotContradicted(lambda obj: True),
    component(TERMS.severity, at("valueCodeableConcept", concept(), "severity")),
    component(TERMS.adverse_event_outcome, at("valueCodeableConcept", concept(), "outcome")),
    profile="smx-adverse-event",
    title=lambda item: f"Adverse event: {item.code.label}",
)


def _part_of(item: Any, to: Any) -> Any:
    return to.references(item.course)


TOLERANCE = ResourceMap(
    Tolerance,
    "Observation",
    following("partOf", _part_of),
    fixed("code", TERMS.adverse_effects),
    subject(),
    references("focus", "course"),
    when("effective", encounter=True),
    word_value("presence", "adverse_effects", text="text"),
    NotContradicted(),
    each("events", EVENT, forward="hasMember"),
    component(TERMS.tolerability, at("valueCodeableConcept", coded("tolerability"), "tolerability")),
    profile="smx-tolerance",
    title=lambda item: f"Adverse effects: {item.adverse_effects}",
    known_by=("code", (TERMS.adverse_effects,)),
)
