"""Where the items of a case stand on one axis: calendar dates, distances from an item, or an order.

Pure. A place is only what the case states: what has none on the axis has none here, and what is
before or after something, nobody says how far, leans that way. Nothing here is shown as a number.
"""

from __future__ import annotations

import math
from calendar import isleap, monthrange
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from mappings import Case
from mappings.check import plan
from mappings.concepts.therapy import Therapy
from mappings.values import Duration, Relative, When

#: How many days wide a unit is drawn.
_DAYS = {"min": 1 / 1440, "h": 1 / 24, "d": 1.0, "wk": 7.0, "mo": 30.4375, "a": 365.25}
_LAST = date.max.toordinal()


class Point(NamedTuple):
    """A time in days from a root, between low and high: a month is its first and its last moment.

    The root is "" for the calendar (days as in `date.toordinal`), else an item's key for its start,
    or "KEY end".
    """

    root: str
    low: float
    high: float


class Where(NamedTuple):
    """A place on the axis, from low to high; leaning: somewhere before (-1) or after (1) it."""

    low: float
    high: float
    lean: int = 0


# --- times --------------------------------------------------------------------------------------


class Times:
    """The stated times of the items of a case, as points."""

    def __init__(self, case: Case) -> None:
        items = [(planned.item_key, planned.item) for planned in plan(case)]
        self.known: dict[str, tuple[Point | None, Point | None]] = {}
        self.whens = {key: getattr(item, "when", None) or getattr(item, "onset", None) for key, item in items}

    def reach(self, when: When | None) -> tuple[list[Point], int]:
        """The points between which it was, and to which side of them; none where the case gives none."""
        if when is None:
            return [], 0
        if when.encounter is not None:
            return self.whole(when.encounter), 0
        if known := [point for point in self.ends(when) if point]:
            return known, 0
        relative = next(when.relatives(), None)
        if relative is None:
            return [], 0
        if relative.relation == "concurrent":
            return self.whole(relative.anchor), 0
        return [self._anchor(relative)], _side(relative)

    def ends(self, when: When | None) -> tuple[Point | None, Point | None]:
        """The start and the end, each if its distance from something is stated."""
        if when is None:
            return None, None
        if when.period is not None:
            return self._point(when.period.start), self._point(when.period.end)
        point = self._point(when.at or when.relative)
        return point, point

    def roots(self, whens: Iterable[When | None]) -> set[str]:
        """What these times have a stated distance from."""
        return {point.root for when in whens for point in self.ends(when) if point}

    def _point(self, at: str | Relative | None) -> Point | None:
        if isinstance(at, str):
            return Point("", *_ordinals(at))
        if at is None or at.offset_text or at.relation == "concurrent":
            return None
        side, far, anchor = _side(at), at.offset_range or at.offset, self._anchor(at)
        if far is None:
            return None if side else anchor
        ends = (far, far) if isinstance(far, Duration) else (far.low, far.high)
        low, high = sorted(side * float(one.value) * _DAYS[one.unit] for one in ends)
        return Point(anchor.root, anchor.low + low, anchor.high + high) if side else None

    def whole(self, key: str) -> list[Point]:
        """The start and the end of an item."""
        return [self._edge(key, 0), self._edge(key, 1)]

    def _anchor(self, at: Relative) -> Point:
        return self._edge(at.anchor, at.relation.endswith("end") or at.relation == "after")

    def _edge(self, key: str, end: int) -> Point:
        """The start or the end of an item: where that is, or a root of its own."""
        waiting = [key] if key not in self.known else []  # a chain may be longer than the stack
        while waiting:
            when = self.whens.get(waiting[-1])
            before = [one.anchor for one in (when.relatives() if when else ()) if one.anchor not in self.known]
            if not before:
                self.known[waiting.pop()] = self.ends(when)
            waiting += before
        return self.known[key][end] or Point(f"{key} end" if end else key, 0, 0)


def _side(at: Relative) -> int:
    return {"before": -1, "after": 1}.get(at.relation.partition("-")[0], 0)


def _ordinals(moment: str) -> tuple[float, float]:
    """The first and the last moment of a year, month or day; a time of day is one moment of the day as written."""
    day, _, clock = moment.partition("T")
    year, month, dom, *_ = (*map(int, day.split("-")), 0, 0)
    first = date(year, month or 1, dom or 1).toordinal()
    if clock:
        return (at := first + (int(clock[:2]) * 60 + int(clock[3:5])) / 1440), at
    return first, first + (1 if dom else monthrange(year, month)[1] if month else 365 + isleap(year))


# --- the axis -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Axis:
    """Where the roots stand: (low, high, width of a day), and what the axis is."""

    roots: dict[str, tuple[float, float, float]]
    name: str
    #: Where the lines of therapy begin and end, where their order is the axis.
    steps: tuple[tuple[float, str], ...] = ()

    @property
    def fixed(self) -> list[float]:
        """The places that are on it anyway: what distances are told from, or the steps of an order."""
        return [at for at, _ in self.steps] if self.steps else [] if "" in self.roots else [0.0]

    @property
    def ordered(self) -> bool:
        """Whether the axis is an order, in which lengths mean nothing."""
        return bool(self.steps)

    def where(self, points: list[Point], lean: int = 0) -> Where | None:
        """The place of what lies between the points; None if the axis does not know one of them."""
        found = [self._of(point) for point in points]
        known = [one for one in found if one is not None]
        if not known or len(known) < len(found):
            return None
        return Where(min(low for low, _ in known), max(high for _, high in known), lean)

    def _of(self, point: Point) -> tuple[float, float] | None:
        low, high, day = self.roots.get(point.root, (0.0, 0.0, -1.0))
        if day < 0 or (day == 0 and (point.low or point.high)):
            return None
        if not (math.isfinite(point.low) and math.isfinite(point.high)):
            return None
        if point.root == "" and not 1 <= point.low <= point.high <= _LAST + 1:
            return None
        return low + point.low * day, high + point.high * day


def axis_of(case: Case, times: Times, names: dict[str, str]) -> Axis:
    """Calendar where a course has a date; else what most courses are told against; else the order of the lines."""
    counts: Counter[str] = Counter()
    for course in case.therapies:
        whens = [course.when, *(r.when for r in course.cycle_records), *(a.when for a in course.administrations)]
        counts.update(times.roots(whens) - {course.key, f"{course.key} end"})
    if not counts and not any(course.line for course in case.therapies):
        whens = [one.when for one in case.measurements] + [one.when for one in case.assessments]
        counts.update(times.roots([*whens, *(one.when for one in case.disease_status)]))
    if "" in counts:
        return Axis({"": (0, 0, 1)}, "calendar date")
    if not counts:
        return _order(case, times)
    root = min(counts, key=lambda one: (-counts[one], one))
    key, _, end = root.partition(" ")
    return Axis({root: (0, 0, 1)}, f"from the {'end' if end else 'start'} of {names.get(key, key)}")


def _order(case: Case, times: Times) -> Axis:
    """A step a line, wider where it has cycles, which keep their distances if these are stated."""
    roots: dict[str, tuple[float, float, float]] = {}
    edge, steps = 0.0, [(0.0, "")]
    for line in sorted({course.line for course in case.therapies if course.line}):
        courses = [course for course in case.therapies if course.line == line]
        start, edge = edge, edge + 1 + min(max(len(course.administrations) for course in courses), 9) / 3
        named = f"({line})" if all(course.line_basis for course in courses) else f"{line}"
        steps += [((start + edge) / 2, f"line {named}" if start == 0 else named), (edge, "")]
        for course in courses:
            points = [point for part in course.administrations for point in times.reach(part.when)[0]]
            longest = max((point.high for point in points if point.root == course.key), default=0)
            roots[course.key] = (start + 0.1, start + 0.1, (edge - start - 0.4) / longest if longest > 0 else 0)
            roots[f"{course.key} end"] = (edge - 0.1, edge - 0.1, 0)
    zero = next((one.key for one in case.encounters if one.time_zero), None)
    before = [roots[f"{c.key} end"][1] for c in case.therapies if c.line and _lies(c, zero) < 0]
    after = [roots[c.key][0] for c in case.therapies if c.line and _lies(c, zero) > 0]
    if zero and before and after and max(before) <= min(after):
        roots[zero] = roots[f"{zero} end"] = (max(before), min(after), 0)
    return Axis(roots, "order of the lines of therapy: lengths, gaps and overlaps are not to scale", tuple(steps))


def _lies(course: Therapy, zero: str | None) -> int:
    """Whether a course is all before (-1) or all after (1) the encounter; 0: that is not stated."""
    when = course.when
    start, end = (when.period.start, when.period.end) if when and when.period else (when and when.relative,) * 2
    if isinstance(end, Relative) and end.anchor == zero and end.relation in ("before", "before-start"):
        return -1
    return int(isinstance(start, Relative) and start.anchor == zero and _side(start) > 0)


def ticks(axis: Axis, low: float, high: float) -> tuple[str, Iterator[tuple[float, str]]]:
    """The name of the axis with its unit, and at most about ten ticks."""
    if axis.ordered:
        return axis.name, iter(axis.steps)
    if "" in axis.roots and high - low > 75:
        return axis.name, _months(low, high)
    if "" in axis.roots:
        step = next((step for step in (1, 2, 7, 14) if (high - low) / step <= 10), 14)
        first = max(1, math.ceil(low))
        days = range(first, min(math.floor(high), _LAST) + 1, step)
        return axis.name, ((day, date.fromordinal(day).isoformat()) for day in days)
    unit = next((unit for unit, least in (("a", 1800), ("mo", 90), ("wk", 28)) if high - low > least), "d")
    words = {"a": "years", "mo": "months", "wk": "weeks", "d": "days"}[unit]
    return f"{words} {axis.name}", ((at * _DAYS[unit], f"{at:g}") for at in nice(low / _DAYS[unit], high / _DAYS[unit]))


def _months(low: float, high: float) -> Iterator[tuple[float, str]]:
    """Firsts of months, labelled YYYY-MM, or of years."""
    first, last = date.fromordinal(max(1, math.ceil(low))), date.fromordinal(min(math.floor(high), _LAST))
    months = range(first.year * 12 + first.month - (first.day == 1), last.year * 12 + last.month)
    step = next(
        step for step in (1, 2, 3, 6, *(12 * 10**n * k for n in range(4) for k in (1, 2, 5))) if len(months) / step <= 9
    )
    for month in months:
        if month % step == 0:
            year, index = divmod(month, 12)
            yield date(year, index + 1, 1).toordinal(), f"{year:04}" if step >= 12 else f"{year:04}-{index + 1:02}"


def nice(low: float, high: float, most: int = 8) -> Iterator[float]:
    """Round numbers from low to high, at most so many."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * k for k in (1, 2, 5, 10) if (high - low) / (power * k) <= most)
    first = math.ceil(low / step)
    yield from (at * step for at in range(first, first + most + 1) if at * step <= high)
