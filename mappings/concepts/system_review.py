"""The status of an organ system on examination: normal, abnormal, or not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mappings.choices import when, word_value
from mappings.codec import concept, term_json
from mappings.concepts.finding import TIMES
from mappings.report import Json
from mappings.resource import ResourceMap, subject
from mappings.rows import also, at, derived
from mappings.terms import TERMS
from mappings.values import Concept, Observed, When


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemReview(Observed):
    """One organ system and its status."""

    system: Concept
    result: Literal["normal", "abnormal", "unknown"]
    when: Annotated[When, TIMES] | None = None


def _interpretation(item: Any, to: Any) -> Json:
    terms = {"normal": TERMS.normal_interpretation, "abnormal": TERMS.abnormal_interpretation}
    return [term_json(terms[item.result])] if item.result in terms else None


SYSTEM_REVIEW = ResourceMap(
    SystemReview,
    "Observation",
    also("category[0]", TERMS.exam),
    at("code", concept(), "system"),
    subject(),
    when("effective", encounter=True),
    word_value("normality", "result"),
    derived("interpretation", _interpretation),
    profile="smx-system-status",
    title=lambda item: f"{item.system.label}: {item.result}",
)
