"""The course of a case as a picture's content: which rows there are, what stands in them, with which words.

Pure: from a `Case`; `adapter.axis` knows the places, `adapter.plot` draws. Nothing is computed: a
value that is not stated is a mark without a number, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from adapter.axis import Point, Times, Where, axis_of, ticks
from adapter.summary import (
    administration_words,
    by_line,
    dose_words,
    measured_name,
    measurement_words,
    names_of,
    status_words,
    time_words,
)
from mappings import Case
from mappings.concepts.administration import Administration
from mappings.concepts.dose import Dose
from mappings.concepts.measurement import Measurement
from mappings.concepts.therapy import Therapy
from mappings.values import When

_MEASURED = ("skin-thickness", "mouth-opening", "skin-score")
_BETTER = ("resolved", "improved", "temporary-improvement")


@dataclass(frozen=True, slots=True)
class Mark:
    """One item on the axis: the word for its sign, all its words, what is written beside it, its line, its value."""

    key: str
    sign: str
    where: Where | None
    words: str
    text: str = ""
    line: int = 0
    value: float = 0
    known: bool = True
    series: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Lines of text on both sides; the bar of a course; marks; ``about`` is where the course is that it tells of."""

    label: tuple[str, ...]
    aside: tuple[str, ...]
    marks: tuple[Mark, ...]
    bar: Mark | None = None
    about: Where | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """All of it. Panels are (name with unit, marks with values), groups (heading, rows), ticks (place, text)."""

    title: str
    about: str
    axis: str
    ordered: bool
    ticks: tuple[tuple[float, str], ...]
    extent: tuple[float, float]
    zero: Mark | None
    panels: tuple[tuple[str, tuple[Mark, ...]], ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    notes: tuple[str, ...]


def timeline(case: Case) -> Timeline:
    """The picture of a valid case; one that states nothing to draw has no panels and no groups."""
    return _Maker(case).made()


def _joined(*parts: Any, by: str = "; ") -> str:
    return by.join(str(part) for part in parts if part)


class _Maker:
    """Makes the rows of one case."""

    def __init__(self, case: Case) -> None:
        self.case, self.times = case, Times(case)
        short = {one.key: one.label for one in case.therapies if one.label and one.label.isupper()}
        self.names = names_of(case) | short
        self.axis = axis_of(case, self.times, self.names)
        self.bars: dict[str, Where | None] = {}

    def made(self) -> Timeline:
        case, panels = self.case, tuple(self._panels())
        groups = (
            ("Measured, not stated as one number", tuple(self._unmeasured())),
            ("Therapies by line", tuple(map(self._course, by_line(case.therapies)))),
            ("Responses, course of the disease, tolerance", tuple(self._responses())),
        )
        shown = tuple((heading, rows) for heading, rows in groups if rows)
        wholes = ((one.key, self.times.whole(one.key)) for one in case.encounters if one.time_zero)
        places = ((key, self.axis.where(whole) or self.axis.where(whole[:1])) for key, whole in wholes)
        zero = next((Mark(key, "zero", where, self.names[key]) for key, where in places if where), None)
        marks = [mark for _, rows in shown for row in rows for mark in (*row.marks, row.bar) if mark]
        placed = [mark.where for mark in (*marks, *(one for _, found in panels for one in found), zero) if mark]
        extent = _extent([*self.axis.fixed, *(place for where in placed if where for place in where[:2])])
        axis, steps = ticks(self.axis, *extent)
        frame = (axis, self.axis.ordered, tuple(steps), extent, zero)
        return Timeline(
            f"Treatment timeline of {case.case_id}", self._about(), *frame, panels, shown, tuple(self._notes())
        )

    def _about(self) -> str:
        """Whose course it is: sex, age, and the diseases, as far as they are told."""
        ages = [f"{age.age} ({self._when(age.when)})" for age in self.case.patient.ages]
        main = [one for one in self.case.conditions if one.role in ("mucinosis", "gammopathy")]
        since = [(one.code.label, time_words(one.onset, self.names)) for one in main]
        diseases = [f"{label}{f', onset {time}' if time else ''}" for label, time in since]
        return _joined(self.case.patient.sex, *ages, *diseases)

    def _notes(self) -> Iterator[str]:
        courses = self.case.therapies
        if any(course.line and course.line_basis for course in courses):
            yield "(n): the number of this line is not stated as such, but inferred or derived"
        if any(one.source and one.source.basis == "derived" for course in courses for one in course.administrations):
            yield "cycles are derived from the course, not stated one by one"

    def _mark(self, item: Any, sign: str, words: str, **more: Any) -> Mark:
        return Mark(item.key, sign, self.axis.where(*self.times.reach(item.when)), words, **more)

    def _when(self, when: When | None) -> str:
        return time_words(when, self.names) or (when and when.text) or "time not stated"

    # measurements

    def _panels(self) -> Iterator[tuple[str, tuple[Mark, ...]]]:
        """The kinds that have exact numbers, a panel a unit; a series is one site and layer."""
        found: dict[tuple[str, str], list[Mark]] = {}
        for one in self.case.measurements:
            if (number := _number(one)) is not None:
                series = _joined(one.site and one.site.label, one.layer, by=", ")
                shown = {"text": str(number), "value": float(number), "series": series}
                mark = self._mark(one, "value", measurement_words(one, self.names), **shown)
                unit = one.value.quantity.display or one.value.quantity.unit if one.value.quantity else ""
                found.setdefault((measured_name(one), unit), []).append(mark)
        for (name, unit), marks in found.items():
            yield f"{name}{f' [{unit}]' if unit else ''}", tuple(marks)

    def _unmeasured(self) -> Iterator[Row]:
        """What was measured and has no number: a row a kind and reason."""
        found: dict[tuple[str, str], list[Measurement]] = {}
        for one in self.case.measurements:
            if one.kind in _MEASURED and _number(one) is None:
                absent = one.value.absent
                said = f"not stated: {absent.text or absent.reason}" if absent else str(one.value)
                found.setdefault((measured_name(one), said), []).append(one)
        for (name, said), ones in found.items():
            words = [measurement_words(one, self.names) for one in ones]
            marks = (self._mark(o, "not-stated", w, text=self._beside(o)) for o, w in zip(ones, words, strict=True))
            yield Row((name,), (said,), tuple(marks))

    def _beside(self, one: Measurement) -> str:
        """What stands beside a measurement without a number: its course, where that has a short name, and its trend."""
        short = self.names[one.course] if one.course else ""
        return _joined(short if short.isupper() else "", one.trend, by=": ")

    # therapies

    def _course(self, one: Therapy) -> Row:
        line = f"({one.line})" if one.line_basis else one.line
        label = f" ({one.label})" if one.label and one.label.lower() not in one.code.label.lower() else ""
        doses = [f"{_nth(one, dose)}{dose.text or dose_words(dose)}" for dose in one.doses]
        settings = [f"{setting.code.label}: {setting.value}" for setting in one.settings]
        left = (_joined(line, f"{one.code.label}{label}", by="  "), *(doses + settings or ["dose not stated"]))
        aside = tuple(self._told(one))
        where = self.bars[one.key] = self._extent_of(one)
        length = one.duration or _joined(*(f"{_nth(one, dose)}{dose.for_}" for dose in one.doses if dose.for_))
        known = bool(one.duration or (len(one.doses) == 1 and one.doses[0].for_))
        text = _open(one, where.lean) if where and where.lean else str(length)
        bar = Mark(one.key, one.status, where, _joined(*left, *aside), text, series=one.kind, known=known)
        return Row(left, aside, tuple(self._cycles(one, where)), bar)

    def _extent_of(self, one: Therapy) -> Where | None:
        """From its start to its end, or towards the end that is not stated; in an order, its step."""
        if self.axis.ordered:
            return self.axis.where([Point(one.key, 0, 0), Point(f"{one.key} end", 0, 0)])
        start, end = self.times.ends(one.when)
        return self.axis.where([point for point in (start, end) if point], bool(start) - bool(end))

    def _told(self, one: Therapy) -> Iterator[str]:
        """How a course ended and why, how much of it was given, when, and which cycles were not as they should be."""
        basis = f" ({one.status_basis})" if one.status_basis else ""
        yield f"{status_words(one.status)}{basis}{_reasons(one)}"
        counts = ((one.cycles_administered, "cycles given"), (one.cycles_planned, "planned"))
        yield from filter(None, [_joined(*(f"{count} {word}" for count, word in counts if count is not None), by=", ")])
        yield self._when(one.when)
        for part in one.administrations:
            if part.status != "given":
                yield f"{self.names[part.key]} {status_words(part.status)}{_reasons(part)}"

    def _cycles(self, one: Therapy, bar: Where | None) -> Iterator[Mark]:
        """A mark a cycle; infusions beside the records of their cycles. Where only their order is known, in order."""
        for record in one.cycle_records:
            words = f"cycle {record.number}: {status_words(record.status)}; {self._when(record.when)}"
            yield self._mark(record, record.status, words, text=str(record.number))
        marks = []
        for part in one.administrations:
            sign = "infusion" if part.part_of and part.status in ("given", "partial") else part.status
            text = "" if part.part_of or not part.cycle else str(part.cycle)
            marks.append(self._mark(part, sign, administration_words(part, self.names), text=text))
        if self.axis.ordered and bar and not any(mark.where for mark in marks):
            step = (bar.high - bar.low) / (len(marks) + 1)
            places = [bar.low + step * (index + 1) for index in range(len(marks))]
            marks = [replace(mark, where=Where(at, at)) for mark, at in zip(marks, places, strict=True)]
        yield from marks

    # responses

    def _responses(self) -> Iterator[Row]:
        """What became of the patient: a row a course and time, a line each."""
        found: dict[tuple[str | None, When | None], list[tuple[Any, str, str]]] = {}
        for course, item, sign, said in self._answers():
            found.setdefault((course, item.when), []).append((item, sign, said))
        for (course, when), lines in found.items():
            time, name = self._when(when), self.names[course] if course else ""
            aside = time if name in time else f"{name}; {time}"
            marks = [self._mark(item, sign, f"{said}; {aside}", line=n) for n, (item, sign, said) in enumerate(lines)]
            yield Row(tuple(said for *_, said in lines), (aside,), tuple(marks), about=self.bars.get(course or ""))

    def _answers(self) -> Iterator[tuple[str | None, Any, str, str]]:
        """Each with the course that it answers, the word for its sign, and its words."""
        for one in self.case.assessments:
            result = one.text or _plain(one.result) or one.value or one.score
            said = f"{one.domain.label}: {result}" if result is not None else one.domain.label
            yield one.course, one, _sign(one.result), said
        for status in self.case.disease_status:
            said = f"{self.names[status.condition]}: {status.text or _plain(status.status)}"
            yield None, status, _sign(status.status), said
        for borne in self.case.tolerance:
            tolerability = borne.tolerability and f"tolerability: {_plain(borne.tolerability)}"
            effects = f"adverse effects: {borne.text or borne.adverse_effects}"
            yield borne.course, borne, "told", _joined(effects, tolerability, by=", ")
            for event in borne.events:
                severity = event.severity and event.severity.label
                yield borne.course, event, "event", _joined(f"adverse event: {event.code.label}", severity, by=", ")


def _extent(places: list[float]) -> tuple[float, float]:
    """From the least to the greatest place, with a margin."""
    low, high = (min(places), max(places)) if places else (0.0, 1.0)
    margin = (high - low) * 0.04 or max(1.0, abs(low) * 0.04)
    return low - margin, high + margin


def _number(one: Measurement) -> Decimal | int | None:
    """The number of a measurement that is one exact number of a kind that is drawn."""
    value, quantity = one.value, one.value.quantity
    if one.kind not in _MEASURED or (quantity and quantity.comparator):
        return None
    return quantity.value if quantity else value.integer


def _nth(one: Therapy, dose: Dose) -> str:
    return f"dose {dose.sequence}: " if len(one.doses) > 1 else ""


def _reasons(one: Therapy | Administration) -> str:
    return f": {' and '.join(reason.label for reason in one.status_reasons)}" if one.status_reasons else ""


def _open(one: Therapy, lean: int) -> str:
    """What is written at the end without a place: nothing if the case says something of it."""
    period = one.when.period if one.when else None
    if lean > 0 and one.status == "active":
        return "ongoing"
    return "" if period and period.start and period.end else "end not stated" if lean > 0 else "start not stated"


def _plain(word: str | None) -> str:
    return (word or "").replace("-", " ")


def _sign(result: str | None) -> str:
    if result is None:
        return "told"
    return "better" if result in _BETTER else "worse" if result == "worse" else "same"
