"""The course of a disease as the source puts it: refractory, worse, improved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mappings.choices import when, word_value
from mappings.concepts.finding import TIMES
from mappings.many import references
from mappings.resource import ResourceMap, subject
from mappings.rows import fixed
from mappings.terms import TERMS
from mappings.values import Key, Line, Observed, Ref, When

Response = Literal[
    "resolved", "improved", "temporary-improvement", "stable", "no-response", "worse", "treatment-refractory",
    "not-evaluable",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DiseaseStatus(Observed):
    """The status of one condition at one time; ``text`` keeps the source's word."""

    status: Response
    text: Line | None = None
    condition: Annotated[Key, Ref("Condition")]
    when: Annotated[When, TIMES] | None = None


DISEASE_STATUS = ResourceMap(
    DiseaseStatus,
    "Observation",
    fixed("code", TERMS.disease_status),
    subject(),
    references("focus", "condition"),
    when("effective", encounter=True),
    word_value("response", "status", text="text"),
    profile="smx-disease-status",
    title=lambda item: f"Disease status: {item.text or item.status}",
    known_by=("code", (TERMS.disease_status,)),
)
