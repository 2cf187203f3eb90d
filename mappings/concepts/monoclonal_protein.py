"""The monoclonal protein: a panel that says how many clones, one observation a clone, free light chains.

Heavy and light chain are components, so a half-known clone stays half known; the quantity, or
why there is none, stands beside them in the same resource.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from mappings.choices import value, when, word_value
from mappings.codec import coded, concept, plain
from mappings.many import each
from mappings.resource import ResourceMap, source, subject
from mappings.rows import Element, also, at, component, embed, fixed
from mappings.terms import TERMS, WORDS
from mappings.values import AtLeast, Concept, Forms, Observed, Source, Units, ValueOrAbsent, When

TIMES = Forms("at", "period", "relative", "encounter", "absent")
AMOUNT = Forms("quantity", "absent")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeavyChain:
    """The heavy chain of a clone; ``source`` says on what it rests, where that differs from the clone."""

    type: Literal["igg", "iga", "igm", "igd", "ige", "none", "unknown"]
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LightChain:
    """The light chain of a clone; ``source`` as for the heavy chain."""

    type: Literal["kappa", "lambda", "none", "unknown"]
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone(Observed):
    """One monoclonal protein: what it is, and how much (or why that is not known)."""

    heavy_chain: HeavyChain | None = None
    light_chain: LightChain | None = None
    quantity: Annotated[ValueOrAbsent, AMOUNT, Units("g/L", "g/dL", "mg/L", "mg/dL")]
    band: Annotated[int, AtLeast(1)] | None = None
    method: Concept | None = None
    when: Annotated[When, TIMES] | None = None

    def rules(self) -> Iterator[tuple[str, str]]:
        """A clone is known by a chain (invariant smx-1); there is no less than none of it."""
        if self.heavy_chain is None and self.light_chain is None:
            yield "heavy_chain", "a clone has a heavy chain, a light chain, or both"
        if self.quantity.quantity is not None and self.quantity.quantity.value < 0:
            yield "quantity/quantity/value", "0 or more"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeLightChain(Observed):
    """One result of a free light chain assay; ``ratio`` is kappa to lambda, in UCUM ``1`` or ``{ratio}``."""

    analyte: Literal["kappa", "lambda", "ratio"]
    value: Annotated[ValueOrAbsent, AMOUNT, Units("mg/L", "mg/dL", "g/L", "1", "{ratio}")]
    method: Concept | None = None
    when: Annotated[When, TIMES] | None = None

    def rules(self) -> Iterator[tuple[str, str]]:
        """A ratio has no unit of mass, a chain has one; neither is negative."""
        amount = self.value.quantity
        if amount is not None and (amount.unit in ("1", "{ratio}")) != (self.analyte == "ratio"):
            yield "value/quantity/unit", "a ratio in 1 or {ratio}; kappa and lambda in mg/L, mg/dL or g/L"
        if amount is not None and amount.value < 0:
            yield "value/quantity/value", "0 or more"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonoclonalProtein(Observed):
    """What a laboratory found: the clonality, and one item a clone."""

    clonality: Literal["monoclonal", "biclonal", "triclonal", "oligoclonal", "none-detected", "unknown"]
    when: Annotated[When, TIMES] | None = None
    method: Concept | None = None
    clones: tuple[Clone, ...] = ()
    free_light_chains: tuple[FreeLightChain, ...] = ()

    def rules(self) -> Iterator[tuple[str, str]]:
        """A panel that found none lists none."""
        if self.clonality == "none-detected" and self.clones:
            yield "clones", "none-detected goes with no clone"


CLONE = ResourceMap(
    Clone,
    "Observation",
    also("category[0]", TERMS.laboratory),
    fixed("code", TERMS.m_protein_clone),
    subject(),
    when("effective", encounter=True),
    value("quantity"),
    at("method", concept(), "method"),
    component(
        TERMS.m_protein_heavy_chain,
        embed(Element(HeavyChain, word_value("heavy-chain", "type"), source()), "heavy_chain"),
    ),
    component(
        TERMS.m_protein_light_chain,
        embed(Element(LightChain, word_value("light-chain", "type"), source()), "light_chain"),
    ),
    component(TERMS.m_protein_band, at("valueInteger", plain(), "band")),
    profile="smx-monoclonal-protein",
    title=lambda item: "Monoclonal protein, one clone",
    known_by=("code", (TERMS.m_protein_clone,)),
)
FREE_LIGHT_CHAIN = ResourceMap(
    FreeLightChain,
    "Observation",
    also("category[0]", TERMS.laboratory),
    at("code", coded("free-light-chain"), "analyte"),
    subject(),
    when("effective", encounter=True),
    value("value"),
    at("method", concept(), "method"),
    profile="smx-free-light-chain",
    title=lambda item: f"Free light chain: {item.analyte}",
    known_by=("code", tuple(WORDS["free-light-chain"].values())),
)
MONOCLONAL_PROTEIN = ResourceMap(
    MonoclonalProtein,
    "Observation",
    also("category[0]", TERMS.laboratory),
    fixed("code", TERMS.m_protein_panel),
    subject(),
    when("effective", encounter=True),
    word_value("clonality", "clonality"),
    at("method", concept(), "method"),
    each("clones", CLONE, forward="hasMember"),
    each("free_light_chains", FREE_LIGHT_CHAIN, forward="hasMember"),
    profile="smx-monoclonal-protein-panel",
    title=lambda item: f"Monoclonal protein: {item.clonality}",
    known_by=("code", (TERMS.m_protein_panel,)),
)
