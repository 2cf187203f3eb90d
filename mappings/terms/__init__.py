"""Codes as data: each code is one row with its system, display, source and licence class.

``codes.tsv`` names the ideas (terms) and their codings, the most exact first; ``licensed.tsv``
adds SNOMED CT codes outside the free Global Patient Set, written only on request;
``words.tsv`` ties the words of the case document to terms; ``inbound.tsv`` is the ConceptMap of
codes that other systems send. In Python a code is ``TERMS.ivig``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mappings.values import Coding, Concept

HERE = Path(__file__).parent
#: The canonical base of everything the project publishes: `.invalid` can never be another party's (RFC 6761).
BASE = "https://scleromyx.invalid/fhir"
SILENT = ("equal", "equivalent")
EQUIVALENCES = (*SILENT, "wider", "narrower", "inexact")
FREE, LICENSED = ("local", "hl7", "open", "gps"), ("licensed",)


class System(NamedTuple):
    """One row of systems.tsv."""

    system: str
    uri: str
    title: str
    licence: str
    source: str


class Code(NamedTuple):
    """One row of codes.tsv or licensed.tsv."""

    term: str
    system: str
    code: str
    display: str
    kind: str
    source: str


@dataclass(frozen=True)
class Term:
    """An idea and its codings: ``codings`` are free to ship, ``licensed`` need a SNOMED CT licence.

    ``broader`` are those that say less than the term: written for others, not enough on reading
    (a row says so at the end of its source). ``inbound`` are (system, code, equivalence) that
    other systems use; only `SILENT` equivalences set the term without a word in the report.
    """

    name: str
    codings: tuple[Coding, ...]
    licensed: tuple[Coding, ...] = ()
    broader: frozenset[tuple[str, str]] = frozenset()
    inbound: tuple[tuple[str, str, str], ...] = ()

    @property
    def code(self) -> str:
        """The most exact code."""
        return self.codings[0].code

    @property
    def display(self) -> str:
        """The display of the most exact code."""
        return self.codings[0].display or self.code

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Every (system, code) that means this term; a broader code does not, unless there is no better one."""
        every = [(c.system, c.code) for c in (*self.codings, *self.licensed)]
        same = {(system, code) for system, code, how in self.inbound if how in SILENT}
        return frozenset(every) - self.broader | {every[0]} | same

    @cached_property
    def loose(self) -> dict[tuple[str, str], str]:
        """Codes that mean nearly the term, with how: read as the term, and reported."""
        return {(system, code): how for system, code, how in self.inbound if how not in SILENT}

    def concept(self, text: str | None = None) -> Concept:
        """The term as a `Concept`, with its free codings."""
        return Concept(text or self.display, self.codings)


class Terms:
    """All terms; ``TERMS.body_weight`` is the term ``body-weight``."""

    def __init__(self, terms: dict[str, Term]) -> None:
        self._terms = terms

    def __getitem__(self, name: str) -> Term:
        return self._terms[name]

    def __getattr__(self, name: str) -> Term:
        try:
            return self._terms[name.rstrip("_").replace("_", "-")]
        except KeyError:
            raise AttributeError(f"codes.tsv has no term {name.replace('_', '-')!r}") from None

    def __iter__(self) -> Iterator[Term]:
        return iter(self._terms.values())


def rows(name: str) -> list[list[str]]:
    """The rows of one table, without heading and comments. A stray space or a short row is an error."""
    lines = (HERE / name).read_text(encoding="utf-8").split("\n")
    width = len(lines[0].split("\t"))
    found = [line.split("\t") for line in lines[1:] if line and not line.startswith("#")]
    for row in found:
        if len(row) != width or any(cell != cell.strip() or "  " in cell for cell in row):
            raise ValueError(f"{name}: {row!r} has a stray space or not {width} cells")
    return found


def _verhoeff(number: str) -> bool:
    """The check digit of a SNOMED CT identifier (dihedral group of order ten)."""
    check = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit)
        for _ in range(place % 8):
            value = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[value]
        a, b = check, value
        if a < 5:
            check = (a + b) % 5 if b < 5 else 5 + (a + b) % 5
        else:
            check = 5 + (a - b) % 5 if b < 5 else (a - b) % 5
    return check == 0


def _luhn(code: str) -> bool:
    """The check digit of a LOINC code (mod 10)."""
    digits = [int(d) for d in reversed(code.replace("-", ""))]
    return sum(d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(digits)) % 10 == 0


_FORM = {"snomed": re.compile(r"[1-9][0-9]{5,17}"), "loinc": re.compile(r"[0-9]{1,7}-[0-9]|LA[0-9]+-[0-9]")}


def check_code(code: Code) -> None:
    """Refuse a row whose code cannot be one of its system."""
    ok = code.system not in _FORM or _FORM[code.system].fullmatch(code.code) is not None
    if ok and code.system == "snomed":
        ok = _verhoeff(code.code)
    if ok and code.system == "loinc" and not code.code.startswith("LA"):  # answers have no check digit
        ok = _luhn(code.code)
    if not (ok and code.code and code.display and code.source and code.kind in (*FREE, *LICENSED)):
        raise ValueError(f"codes: row {code!r} fails its checks")


SYSTEMS: dict[str, System] = {row[0]: System(*row) for row in rows("systems.tsv")}
CODES: tuple[Code, ...] = tuple(Code(*row) for row in (*rows("codes.tsv"), *rows("licensed.tsv")))


def _load() -> Terms:
    by_term: dict[str, list[Code]] = {}
    for code in CODES:
        check_code(code)
        codes = by_term.setdefault(code.term, [])
        if any((c.system, c.code) == (code.system, code.code) for c in codes):
            raise ValueError(f"codes: {code.term} has {code.system} {code.code} twice")
        codes.append(code)
    inbound: dict[str, list[tuple[str, str, str]]] = {name: [] for name in by_term}
    for term, system, sent, display, how, source in rows("inbound.tsv"):
        check_code(Code(term, system, sent, display, "open", source))
        if how not in EQUIVALENCES:
            raise ValueError(f"inbound.tsv: {how} is no equivalence")
        inbound[term].append((SYSTEMS[system].uri, sent, how))
    return Terms({name: _term(name, codes, inbound[name]) for name, codes in by_term.items()})


def _term(name: str, codes: list[Code], inbound: list[tuple[str, str, str]]) -> Term:
    made = [(c, Coding(SYSTEMS[c.system].uri, c.code, c.display)) for c in codes]
    free = tuple(coding for code, coding in made if code.kind in FREE)
    if not free:
        raise ValueError(f"licensed.tsv: {name} has no free coding in codes.tsv")
    licensed = tuple(coding for code, coding in made if code.kind in LICENSED)
    broader = frozenset((g.system, g.code) for code, g in made if code.source.endswith("; broader"))
    return Term(name, free, licensed, broader, tuple(inbound))


TERMS = _load()


def _words() -> dict[str, dict[str, Term]]:
    """words.tsv: one table a list of words; one word one term, and the other way."""
    tables: dict[str, dict[str, Term]] = {}
    for table, word, term in rows("words.tsv"):
        words = tables.setdefault(table, {})
        if word in words or TERMS[term] in words.values():
            raise ValueError(f"words.tsv: {table} {word} is not one-to-one")
        words[word] = TERMS[term]
    return tables


WORDS = _words()
