"""Generated cases as a hospital would send them: any shape, but texts, codes and numbers that nobody doubts.

The generator of ``tests.strategies`` seeks what may break a mapping: whitespace of all kinds, codes
that do not exist, numbers of nineteen digits. The judge rightly warns of those, which tells nothing
about what the adapter writes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from mappings.case import Case
from mappings.concepts.document import MIME, SHA1
from mappings.shape import Shape
from mappings.terms import TERMS
from mappings.values import CODE, DATE, INSTANT, KEY, LANGUAGE, LINE, MOMENT, SLUG, URI, Coding, Concept
from tests.strategies import Maker

TEXTS = {
    LINE: ("in words", "λ, à 2 %", "one, two"),
    MOMENT: ("2020-10-05", "2021", "2021-06", "2022-01-02T08:30:05+01:00"),
    INSTANT: ("2022-01-02T08:30:05+01:00",),
    DATE: ("1960", "1960-02", "1960-02-29"),
    SLUG: ("case-1", "Case_2.b"),
    KEY: ("key",),
    URI: ("https://a.example/sid", "urn:oid:2.16.840.1.113883.4.1"),
    CODE: ("a",),
    LANGUAGE: ("en", "de-AT"),
    MIME: ("application/pdf", "text/plain"),
    SHA1: ("QUJD" * 6 + "QUI=",),
}
NUMBERS = ("1", "1.80", "0.5", "30.0", "100")
CLINICAL = ("orpha", "mondo", "hpo", "smx", "snomed", "loinc")


class Plain(Maker):
    """The maker, with plain texts, known codes and usual numbers."""

    def one(self, shape: Shape) -> Any:
        """One value; texts are plain."""
        if shape.type is str and not shape.words and not shape.choices and shape.refs is None:
            return self.pick(TEXTS[shape.texts[-1] if shape.texts else LINE])
        return super().one(shape)

    def made(self, cls: type, shape: Shape | None = None) -> Any:
        """An instance; codes are known."""
        if cls is Concept:
            text = "in words" if self.chance(60) else None
            codings = self.pick(_KNOWN).codings if text is None or self.chance(60) else ()
            return Concept(text, codings)
        if cls is Coding:
            return self.pick((TERMS.inpatient_encounter, TERMS.ambulatory, TERMS.emergency)).codings[0]
        return super().made(cls, shape)

    def number(self) -> Decimal:
        """A number as people write it."""
        return Decimal(self.pick(NUMBERS))

    def pick(self, options: Sequence[Any]) -> Any:
        """One of the options; for an odd text the simplest."""
        found = super().pick(options)
        odd = isinstance(found, str) and (found != found.strip() or not found.isprintable() or "<" in found)
        return options[0] if odd else found


#: Ideas of medicine: a unit or a status would be a strange finding.
_KNOWN = tuple(term for term in TERMS if term.name in (
    "scleromyxedema", "monoclonal-gammopathy", "thickened-skin", "hyperpigmentation", "fever", "skin-score", "elbow",
    "skin-of-face", "ivig", "melphalan", "puva", "plasmapheresis", "ultrasound-device", "hemogram", "overall-response",
))  # fmt: skip


def plain_case(seed: int, most: int = 1, fill: int = 50) -> Case:
    """The case of a seed."""
    return Plain(random.Random(seed).randrange, most, fill).case()
