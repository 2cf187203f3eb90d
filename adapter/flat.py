"""A case as flat tables: one row an administration or cycle, a measured value, a clone, a response.

Pure: rows from a `Case`. Nothing is computed and nothing is filled in; an empty cell is what the case does not say.
What others reported (literature) stays out: it is about other patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from adapter.csv_text import Cell, csv_text
from mappings import Case
from mappings.concepts.administration import Administration, CycleRecord
from mappings.concepts.assessment import Assessment
from mappings.concepts.measurement import KINDS, Measurement
from mappings.concepts.monoclonal_protein import Clone, FreeLightChain, MonoclonalProtein
from mappings.concepts.therapy import Therapy
from mappings.values import Concept, Period, Quantity, Relative, Source, ValueOrAbsent, When


@dataclass(frozen=True, slots=True)
class Row:
    """One item with what it hangs on: its case, and the item that holds it."""

    case: Case
    item: Any
    owner: Any = None

    @property
    def source(self) -> Source | None:
        """Its own source, else its owner's."""
        return self.item.source or (self.owner.source if self.owner else None)


Column = Callable[[Row], Cell]
Columns = dict[str, Column]


# --- columns that several tables have ---------------------------------------------------------


class _Time(NamedTuple):
    start: str | None = None
    end: str | None = None
    anchor: str | None = None
    relation: str | None = None
    offset: Cell = None
    offset_unit: str | None = None
    time_text: str | None = None


def _time(when: When | None) -> _Time:
    """A time in cells: a moment has only a start; an encounter is its anchor; why there is none stands in words."""
    if when is None:
        return _Time()
    if when.encounter is not None:
        return _Time(anchor=when.encounter, relation="during")
    text = when.text or when.absent
    if when.period is not None:
        period = when.period
        start, end = (one if isinstance(one, str) else None for one in (period.start, period.end))
        return _relative(next(when.relatives(), None), start, end, _of_end(period, text))
    if when.age is not None:
        return _Time(time_text=f"at the age of {when.age}")
    return _relative(when.relative, when.at, None, text)


def _of_end(period: Period, text: str | None) -> str | None:
    """What a relative end of a period is, where no words say more: the one that is told, or the second of two."""
    if text or not isinstance(period.end, Relative):
        return text
    return f"ended {period.end}" if isinstance(period.start, Relative) else "the end"


def _relative(one: Relative | None, start: str | None, end: str | None, text: str | None) -> _Time:
    if one is None:
        return _Time(start, end, time_text=text)
    words = one.offset_text or (str(one.offset_range) if one.offset_range else text)
    found = _Time(start, end, one.anchor, one.relation, time_text=words)
    return found._replace(offset=one.offset.value, offset_unit=one.offset.unit) if one.offset else found


def _times() -> Columns:
    def column(index: int) -> Column:
        return lambda row: _time(row.item.when)[index]

    return {name: column(index) for index, name in enumerate(_Time._fields)}


def _quantity(name: str, read: Callable[[Any], Quantity | None]) -> Columns:
    """A number, and its unit beside it."""

    def number(row: Row) -> Cell:
        found = read(row.item)
        return found.value if found else None

    def unit(row: Row) -> Cell:
        found = read(row.item)
        return found.unit if found else None

    return {name: number, f"{name}_unit": unit}


def _value(read: Callable[[Any], ValueOrAbsent | None]) -> Columns:
    """A value in whatever form it has, or why there is none."""

    def of(pick: Callable[[ValueOrAbsent], Cell]) -> Column:
        def cell(row: Row) -> Cell:
            found = read(row.item)
            return pick(found) if found is not None else None

        return cell

    return {
        "value": of(lambda v: v.quantity.value if v.quantity else v.integer),
        "unit": of(lambda v: v.quantity.unit if v.quantity else None),
        "comparator": of(lambda v: v.quantity.comparator if v.quantity else None),
        "low": of(lambda v: v.range.low.value if v.range and v.range.low else None),
        "high": of(lambda v: v.range.high.value if v.range and v.range.high else None),
        "range_unit": of(lambda v: next((q.unit for q in (v.range.low, v.range.high) if q), None) if v.range else None),
        "value_text": of(lambda v: v.text or _label(v.concept)),
        "absent": of(lambda v: v.absent.reason if v.absent else None),
        "absent_text": of(lambda v: v.absent.text if v.absent else None),
    }


def _label(concept: Concept | None) -> str | None:
    return concept.label if concept else None


def _code(concept: Concept | None) -> str | None:
    """The first code of a concept, as system|code."""
    return f"{concept.codings[0].system}|{concept.codings[0].code}" if concept and concept.codings else None


def _labels(concepts: tuple[Concept, ...]) -> str | None:
    return "; ".join(concept.label for concept in concepts) or None


def _field(name: str) -> Column:
    """A field of the item, if its class has it; a concept by its label."""

    def cell(row: Row) -> Cell:
        found = getattr(row.item, name, None)
        return found.label if isinstance(found, Concept) else found

    return cell


def _fields(*names: str) -> Columns:
    return {name: _field(name) for name in names}


_CASE: Columns = {"case_id": lambda row: row.case.case_id, "key": _field("key")}
_SOURCE: Columns = {
    "basis": lambda row: row.source.basis if row.source else None,
    "locator": lambda row: row.source.locator if row.source else None,
    "note": lambda row: " ".join(row.item.note) or None,
}


# --- the tables -------------------------------------------------------------------------------


def _given(item: Any) -> Administration | None:
    return item if isinstance(item, Administration) else None


ADMINISTRATIONS: Columns = {
    **_CASE,
    "row": lambda row: "administration" if _given(row.item) else "cycle",
    "course": lambda row: row.owner.key,
    "drug": lambda row: row.owner.code.label,
    "drug_code": lambda row: _code(row.owner.code),
    "line": lambda row: row.owner.line,
    "cycle": lambda row: row.item.cycle if _given(row.item) else row.item.number,
    **_fields("day", "status"),
    "status_reasons": lambda row: _labels(row.item.status_reasons) if _given(row.item) else None,
    **_times(),
    **_quantity("dose", lambda item: item.dose if _given(item) else None),
    **_quantity("dose_normalized", lambda item: item.dose_normalized if _given(item) else None),
    "over": lambda row: row.item.over.value if _given(row.item) and row.item.over else None,
    "over_unit": lambda row: row.item.over.unit if _given(row.item) and row.item.over else None,
    **_quantity("rate", lambda item: item.rate if _given(item) else None),
    "rate_ratio": lambda row: str(row.item.rate_ratio) if _given(row.item) and row.item.rate_ratio else None,
    **_fields("dose_text", "route", "product"),
    "lot": lambda row: next((p.lot for p in row.case.products if p.key == getattr(row.item, "product", None)), None),
    **_fields("weight", "part_of"),
    **_SOURCE,
}
MEASUREMENTS: Columns = {
    **_CASE,
    "kind": lambda row: row.item.kind if isinstance(row.item, Measurement) else _other_kind(row.item),
    "name": lambda row: _measured(row.item),
    "code": lambda row: _code(getattr(row.item, "code", None)),
    **_value(lambda item: item.value),
    **_fields("interpretation", "trend", "percent_change"),
    **_quantity("absolute_change", lambda item: getattr(item, "absolute_change", None)),
    **_fields("baseline", "course", "site", "layer", "method", "device"),
    **_times(),
    **_SOURCE,
}
CLONES: Columns = {
    **_CASE,
    "panel": lambda row: row.owner.key,
    "clonality": lambda row: row.owner.clonality,
    "heavy_chain": lambda row: row.item.heavy_chain.type if row.item.heavy_chain else None,
    "heavy_chain_basis": lambda row: _basis(row.item.heavy_chain),
    "light_chain": lambda row: row.item.light_chain.type if row.item.light_chain else None,
    "light_chain_basis": lambda row: _basis(row.item.light_chain),
    **_value(lambda item: item.quantity),
    **_fields("band", "method"),
    **_times(),
    **_SOURCE,
}
RESPONSES: Columns = {
    **_CASE,
    "domain": _field("domain"),
    "domain_code": lambda row: _code(row.item.domain),
    **_fields("result", "text"),
    **_value(lambda item: item.value),
    **_fields("score", "instrument", "condition", "course"),
    "therapy": lambda row: next((t.code.label for t in row.case.therapies if t.key == row.item.course), None),
    **_times(),
    **_SOURCE,
}


def _other_kind(item: Any) -> str:
    return "free-light-chain" if isinstance(item, FreeLightChain) else "test"


def _measured(item: Any) -> str:
    """What was measured, by its own code or by its kind."""
    if isinstance(item, FreeLightChain):
        return str(item.analyte)
    term = KINDS[item.kind].term if isinstance(item, Measurement) else None
    return term.display if term else item.code.label


def _basis(chain: Any) -> str | None:
    return chain.source.basis if chain and chain.source else None


def _administrations(case: Case) -> Iterator[Row]:
    """A cycle before its infusions; a cycle holds no dose, so that a sum counts nothing twice."""
    for course in case.therapies:
        parts: list[CycleRecord | Administration] = [*course.cycle_records, *course.administrations]
        yield from (Row(case, part, course) for part in sorted(parts, key=lambda part: _place(part, course)))


def _place(part: CycleRecord | Administration, course: Therapy) -> int:
    """The cycle, as far as the parts are numbered; a record stands before what belongs to it (the sort is stable)."""
    if isinstance(part, CycleRecord):
        return part.number
    numbers = {record.key: record.number for record in course.cycle_records}
    return part.cycle or numbers.get(part.part_of or "", 0)


def _measurements(case: Case) -> Iterator[Row]:
    yield from (Row(case, item) for item in case.measurements)
    yield from (Row(case, item, panel) for panel in case.monoclonal_protein for item in panel.free_light_chains)
    yield from (Row(case, item, report) for report in case.reports for item in report.tests)


def _clones(case: Case) -> Iterator[Row]:
    panels: tuple[MonoclonalProtein, ...] = case.monoclonal_protein
    for panel in panels:
        clones: tuple[Clone, ...] = panel.clones
        yield from (Row(case, clone, panel) for clone in clones)


def _responses(case: Case) -> Iterator[Row]:
    found: tuple[Assessment, ...] = case.assessments
    yield from (Row(case, item) for item in found)


TABLES: dict[str, tuple[Columns, Callable[[Case], Iterator[Row]]]] = {
    "administrations": (ADMINISTRATIONS, _administrations),
    "measurements": (MEASUREMENTS, _measurements),
    "clones": (CLONES, _clones),
    "responses": (RESPONSES, _responses),
}


def flat(case: Case) -> dict[str, str]:
    """Each table as CSV text (RFC 4180), by its name: administrations, measurements, clones, responses.

    A table without rows still has its header. Numbers keep their digits and have a column with
    their UCUM unit beside them; a cell is empty where the case says nothing.
    """
    return {
        name: csv_text(columns, ([cell(row) for cell in columns.values()] for row in rows(case)))
        for name, (columns, rows) in TABLES.items()
    }
