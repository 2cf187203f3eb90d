"""A contact with the hospital. The one marked as time zero anchors the relative times of the case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mappings.choices import only_period
from mappings.codec import coding, word
from mappings.many import references
from mappings.resource import ResourceMap, basis_of, subject
from mappings.rows import at, flag
from mappings.terms import TERMS
from mappings.values import Basis, Coding, Forms, Item, Key, Ref, When


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounter(Item):
    """A contact; ``time_zero`` marks the presentation that the report counts from."""

    class_: Coding
    status: Literal["planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "unknown"]
    status_basis: Basis | None = None
    when: Annotated[When, Forms("period", "absent")] | None = None
    time_zero: Literal[True] | None = None
    reasons: tuple[Annotated[Key, Ref("Condition", "Finding", "DiseaseStatus", "Measurement")], ...] = ()


ENCOUNTER = ResourceMap(
    Encounter,
    "Encounter",
    at("status", word("encounter-status"), "status"),
    basis_of("status", "status_basis"),
    at("class", coding(), "class_"),
    flag("type[0]", "time_zero", on=TERMS.time_zero),
    subject(),
    only_period("period"),
    references("reasonReference", "reasons"),
    profile="smx-encounter",
    title=lambda item: f"Encounter, {item.class_.display or item.class_.code}",
)
