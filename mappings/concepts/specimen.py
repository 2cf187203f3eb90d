"""A specimen and how it was stained. How it was taken is told only where the source tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mappings.choices import when
from mappings.codec import concept, within
from mappings.resource import ResourceMap, subject
from mappings.rows import at, inside
from mappings.values import Concept, Forms, Noted, When


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen(Noted):
    """What was examined."""

    type: Concept | None = None
    collected: Annotated[When, Forms("at", "period", "relative", "absent")] | None = None
    body_site: Concept | None = None
    method: Concept | None = None
    stains: tuple[Concept, ...] = ()


SPECIMEN = ResourceMap(
    Specimen,
    "Specimen",
    at("type", concept(), "type"),
    subject(),
    inside(
        "collection",
        when("collected", "collected"),
        at("method", concept(), "method"),
        at("bodySite", concept(), "body_site"),
    ),
    at("processing", within("procedure", concept()), "stains"),
    profile="smx-specimen",
    title=lambda item: f"Specimen: {item.type.label if item.type else 'type not stated'}",
)
