"""A response to treatment by domain, quality of life, function: what became of it, under which course.

Skin thickness and mouth opening are measurements and are not repeated here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from mappings.choices import value, when, word_value
from mappings.codec import concept, number_in
from mappings.concepts.disease_status import Response
from mappings.concepts.finding import TIMES
from mappings.many import following, references
from mappings.resource import ResourceMap, subject
from mappings.rows import at, component, own_code
from mappings.terms import TERMS
from mappings.values import Concept, Forms, Key, Line, Observed, Ref, ValueOrAbsent, When


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment(Observed):
    """A result in one domain: a word of the response list, with the source's ``text``, or a ``value``."""

    domain: Concept
    result: Response | None = None
    text: Line | None = None
    value: Annotated[ValueOrAbsent, Forms("quantity", "text", "integer", "range", "absent")] | None = None
    score: Decimal | None = None
    instrument: Concept | None = None
    condition: Annotated[Key, Ref("Condition")] | None = None
    course: Annotated[Key, Ref("Therapy")] | None = None
    when: Annotated[When, TIMES] | None = None
    members: tuple[Annotated[Key, Ref("Assessment", "Measurement")], ...] = ()
    figures: tuple[Annotated[Key, Ref("Figure")], ...] = ()

    def rules(self) -> Iterator[tuple[str, str]]:
        """One result, in one form."""
        if self.result is not None and self.value is not None:
            yield "value", "at most one of result, value"
        if self.result is None and self.value is None and self.score is None and not self.members:
            yield "result", "one of result, value, score, members"
        if self.text is not None and self.result is None:
            yield "text", "text goes with a result; other words are value.text"
        if self.result is not None or (self.value is not None and self.value.absent is None):
            yield from own_code(self, self.domain, score=TERMS.score)


def _part_of(item: Any, to: Any) -> Any:
    return to.references(item.course) if item.course else []


ASSESSMENT = ResourceMap(
    Assessment,
    "Observation",
    following("partOf", _part_of),
    at("code", concept(), "domain"),
    subject(),
    references("focus", "condition"),
    references("focus", "course"),
    when("effective", encounter=True),
    word_value("response", "result", text="text"),
    value("value"),
    at("method", concept(), "instrument"),
    references("hasMember", "members"),
    references("derivedFrom", "figures"),
    component(TERMS.score, at("valueQuantity", number_in("1", "score"), "score")),
    profile="smx-response",
    title=lambda item: f"{item.domain.label}: {item.text or item.result or item.value or item.score or 'see members'}",
)
