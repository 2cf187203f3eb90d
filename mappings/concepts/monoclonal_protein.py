"""The monoclonal protein: a panel that says how many clones, one observation a clone, free light chains.

Heavy and light chain are components, so a half-known clone stays half known; the quantity, or
why there is none, stands beside them in the same resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mappings.choices import value, when, word_value
from mappings.codec import Unread, coded, concept, has_code, plain
from mappings.concepts.finding import TIMES, NotContradicted
from mappings.many import each
from mappings.report import Json
from mappings.resource import ResourceMap, known, members, source, subject
from mappings.rows import Element, Row, Rows, Shapes, also, at, component, embed, fixed
from mappings.terms import TERMS, WORDS
from mappings.values import Absent, AtLeast, Concept, Forms, Observed, Source, Units, ValueOrAbsent, When

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


_CHAINS = (
    component(
        TERMS.m_protein_heavy_chain,
        embed(Element(HeavyChain, word_value("heavy-chain", "type"), source()), "heavy_chain"),
    ),
    component(
        TERMS.m_protein_light_chain,
        embed(Element(LightChain, word_value("light-chain", "type"), source()), "light_chain"),
    ),
)
#: A clone that is told of is there.
_THERE = NotContradicted(lambda obj: True)
_BAND = component(TERMS.m_protein_band, at("valueInteger", plain(), "band"))
CLONE = ResourceMap(
    Clone,
    "Observation",
    also("category[0]", TERMS.laboratory),
    fixed("code", TERMS.m_protein_clone),
    subject(),
    when("effective", encounter=True),
    value("quantity"),
    at("method", concept(), "method"),
    *_CHAINS,
    _BAND,
    _THERE,
    profile="smx-monoclonal-protein",
    title=lambda item: "Monoclonal protein, one clone",
    known_by=("code", (TERMS.m_protein_clone,)),
)


def _found(obj: dict[str, Json]) -> bool | None:
    value = known(obj, "valueCodeableConcept")
    return value.isdisjoint(TERMS.none_detected.pairs) if value else None


class Isotype(Row):
    """The two chains as the value of a laboratory's immunofixation: "IgG lambda", as text or as a coded answer's words.

    Words that say more, or of several clones, are not read: no clone is taken out of prose. What the words cannot
    say (half a clone, on what a chain rests) is written as components, as in a clone of our own.
    """

    fields = ("heavy_chain", "light_chain")
    _words = re.compile(r"Ig([GAMDE])[ _-]{0,3}(?:(kappa|κ)|lambda|λ)", re.IGNORECASE)

    def __init__(self) -> None:
        self.chains = Rows(_CHAINS)

    def bind(self, known: Shapes) -> None:
        self.chains.bind("Isotype", known)

    def write(self, item: Any, out: dict[str, Json], to: Any) -> None:
        heavy, light = item.heavy_chain, item.light_chain
        plain_chains = heavy and light and heavy.source is None and light.source is None
        if plain_chains and not {heavy.type, light.type} & {"none", "unknown"}:
            out["valueString"] = f"Ig{heavy.type[-1].upper()} {light.type}"
        else:
            self.chains.write(item, out, to)

    def read(self, obj: dict[str, Json], by: Any, into: dict[str, Any]) -> None:
        name = next((name for name in ("valueString", "valueCodeableConcept") if name in obj), None)
        if name is None:
            return self.chains.read(obj, by, into)
        said = {self._isotype(words) for words in self._said(obj[name])}
        if len(said) != 1 or None in said:
            raise Unread("unmapped-code", "The answer names no one isotype.", "words such as IgG lambda").at(name)
        heavy, light = said.pop()  # type: ignore[misc]
        into["heavy_chain"], into["light_chain"] = HeavyChain(type=heavy), LightChain(type=light)

    @staticmethod
    def _said(json: Json) -> list[Json]:
        """The text, or where there is none the displays, which must agree."""
        if not isinstance(json, dict):
            return [json]
        return [json["text"]] if "text" in json else [coding.get("display") for coding in members(json, "coding")]

    def _isotype(self, words: Json) -> tuple[Any, Any] | None:
        match = self._words.fullmatch(words.strip()) if isinstance(words, str) else None
        return (f"ig{match[1].lower()}", "kappa" if match[2] else "lambda") if match else None


class QuantityBeside(Row):
    """The quantity where the value is the isotype: a component, or none, which says no more than that."""

    fields = ("quantity",)
    untold = ValueOrAbsent(absent=Absent("unknown"))

    def __init__(self) -> None:
        self.rows = Rows((component(TERMS.m_protein_clone, value("quantity")),))

    def bind(self, known: Shapes) -> None:
        self.rows.bind("QuantityBeside", known)

    def write(self, item: Any, out: dict[str, Json], to: Any) -> None:
        if item.quantity != self.untold:
            self.rows.write(item, out, to)

    def read(self, obj: dict[str, Json], by: Any, into: dict[str, Any]) -> None:
        self.rows.read(obj, by, into)
        if not any(has_code(one.get("code"), TERMS.m_protein_clone.pairs) for one in members(obj, "component")):
            into["quantity"] = self.untold


CLONE_AS_RESULT = ResourceMap(
    Clone,
    "Observation",
    also("category[0]", TERMS.laboratory),
    fixed("code", TERMS.immunofixation_interpretation),
    subject(),
    when("effective", encounter=True),
    at("method", concept(), "method"),
    Isotype(),
    QuantityBeside(),
    _BAND,
    _THERE,
    profile="smx-immunofixation",
    title=lambda item: "Immunofixation, one clone",
    known_by=("code", (TERMS.immunofixation_interpretation,)),
    alternate=True,
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
    NotContradicted(_found),
    at("method", concept(), "method"),
    each("clones", CLONE, forward="hasMember"),
    each("free_light_chains", FREE_LIGHT_CHAIN, forward="hasMember"),
    profile="smx-monoclonal-protein-panel",
    title=lambda item: f"Monoclonal protein: {item.clonality}",
    known_by=("code", (TERMS.m_protein_panel,)),
)
