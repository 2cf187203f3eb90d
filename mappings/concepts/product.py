"""A product as it was given: what it is, its lot, its expiry, who made it."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.codec import concept, plain
from mappings.resource import ResourceMap
from mappings.rows import at
from mappings.terms import TERMS
from mappings.values import Concept, Item, Line, Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Item):
    """One lot of one product; two lots are two products."""

    code: Concept
    lot: Line | None = None
    expiry: Moment | None = None
    manufacturer: Line | None = None


#: Drugs that other systems' resources are recognised by.
DRUGS = tuple(
    TERMS[name]
    for name in (
        "ivig", "hydroxychloroquine", "chloroquine", "cyclophosphamide", "methylprednisolone", "oral-glucocorticoids",
        "melphalan", "thalidomide", "isotretinoin",
    )
)  # fmt: skip
PRODUCT = ResourceMap(
    Product,
    "Medication",
    at("code", concept(), "code"),
    at("manufacturer.display", plain(), "manufacturer"),
    at("batch.lotNumber", plain(), "lot"),
    at("batch.expirationDate", plain(), "expiry"),
    profile="smx-medication",
    title=lambda item: f"Product: {item.code.label}",
    known_by=("code", DRUGS),
)
