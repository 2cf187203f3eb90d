"""The value types of a case: exact numbers with units, times of any precision, concepts, absences.

Standard library only; they know nothing of FHIR's JSON. Numbers are `Decimal` and keep their
digits, times are text and keep their precision. A value that contradicts itself cannot be made:
the constructor raises `ValueError` with a sentence that names no patient value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Annotated, Literal

# --- what an annotation may say of a field --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """The text matches ``pattern`` (ASCII, whole) and, if ``calendar``, begins with a day that exists."""

    pattern: str
    meaning: str
    calendar: bool = False

    def ok(self, value: str) -> bool:
        """Whether the text fits."""
        fits = len(value) <= LONGEST and _compiled(self.pattern).fullmatch(value) is not None
        return fits and not (self.calendar and _no_such_day(value))

    @property
    def test(self) -> Callable[[str], object]:
        """`ok` without the detour, where the pattern says all but the length."""
        return self.ok if self.calendar else _compiled(self.pattern).fullmatch


def _no_such_day(value: str) -> bool:
    if len(value) < 10:
        return False
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return True
    return False


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


class Ref:
    """The text is the key of an item of one of these kinds (names of item classes; none: any item)."""

    __slots__ = ("kinds",)

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds


class Units:
    """The UCUM codes that a quantity of this field may have."""

    __slots__ = ("codes",)

    def __init__(self, *codes: str) -> None:
        self.codes = codes


class Forms:
    """The forms of `When` or `ValueOrAbsent` that this field may take."""

    __slots__ = ("names",)

    def __init__(self, *names: str) -> None:
        self.names = names


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The smallest number that is allowed."""

    least: int


#: Control characters, halves of surrogate pairs and non-characters: neither JSON nor XHTML can carry them all.
UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
GREATEST = 2**31 - 1  # FHIR integer
LONGEST = 2**20  # FHIR string: 1 MiB
MOST_PLACES = 100  # before or after the point: more is no measurement, and receivers do not keep it
SIZE = "0, or a number from 1E-99 to less than 1E+100"

KEY = Text(r"[a-z][a-z0-9-]{0,63}", "a key: a lower-case letter, then letters, digits, hyphens; 64 at most")
SLUG = Text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "letters, digits, dots, hyphens; 64 at most")
URI = Text(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s|]+", "an absolute URI without spaces or bars")
CODE = Text(r"[^\s]+( [^\s]+)*", "a code: no space at its ends")
LINE = Text(r"[ \r\n\t\S]+", "text that is not empty, of 1,048,576 characters at most")
LANGUAGE = Text(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", "a language tag of BCP 47, such as en or de-AT")
_DATE = r"[0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3}"
_DAY = rf"({_DATE})(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
DATE = Text(rf"{_DAY})?)?", "a date YYYY, YYYY-MM or YYYY-MM-DD", calendar=True)
MOMENT = Text(
    rf"{_DAY}({_TIME})?)?)?", "a date YYYY, YYYY-MM, YYYY-MM-DD, or a time with seconds and offset", calendar=True
)
INSTANT = Text(
    rf"({_DATE})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]){_TIME}", "a time with seconds and offset", calendar=True
)

Key = Annotated[str, KEY]
Uri = Annotated[str, URI]
Line = Annotated[str, LINE]
Moment = Annotated[str, MOMENT]
Date = Annotated[str, DATE]

#: UCUM units of time, with the words that FHIR shows for them.
TIME_UNITS = {"min": "minutes", "h": "hours", "d": "days", "wk": "weeks", "mo": "months", "a": "years"}

AbsentReason = Literal[
    "unknown", "asked-unknown", "temp-unknown", "not-asked", "asked-declined", "masked", "not-applicable",
    "unsupported", "as-text", "error", "not-a-number", "negative-infinity", "positive-infinity",
    "not-performed", "not-permitted",
]  # fmt: skip
Presence = Literal["present", "absent", "unknown"]
Basis = Literal["stated", "inferred", "derived", "figure-only", "not-stated"]
Relation = Literal[
    "before-start", "before", "before-end", "concurrent-with-start", "concurrent", "concurrent-with-end",
    "after-start", "after", "after-end",
]  # fmt: skip
RecordStatus = Literal["amended", "corrected"]


def _exactly_one(*names: str) -> Callable[[object], None]:
    """A test that an object has exactly one of these attributes."""
    values = attrgetter(*names)

    def test(of: object) -> None:
        if values(of).count(None) != len(names) - 1:
            given = [name for name in names if getattr(of, name) is not None]
            raise ValueError(f"exactly one of {', '.join(names)}" + (f", not {' and '.join(given)}" if given else ""))

    return test


def _exact(value: Decimal) -> None:
    if not isinstance(value, Decimal):
        raise ValueError("a number is a Decimal, not a float: a float has lost its digits")
    if not value.is_finite():
        raise ValueError("a number is finite")
    if not of_size(value):
        raise ValueError(f"a number is {SIZE}")


def of_size(value: Decimal) -> bool:
    """Whether a finite number has an exponent that others can be expected to keep."""
    return -MOST_PLACES < value.adjusted() < MOST_PLACES


_one_form = _exactly_one("at", "period", "relative", "encounter", "age", "absent")
_one_value = _exactly_one("quantity", "concept", "text", "integer", "range", "absent")


# --- values ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Coding:
    """One code of one system, as sent (FHIR Coding)."""

    system: Uri
    code: Annotated[str, CODE]
    display: Line | None = None
    version: Line | None = None
    user_selected: bool | None = None


@dataclass(frozen=True, slots=True)
class Concept:
    """A clinical idea in words, in codes, or both; the codings keep their order (FHIR CodeableConcept)."""

    text: Line | None = None
    codings: tuple[Coding, ...] = ()

    def __post_init__(self) -> None:
        if self.text is None and not self.codings:
            raise ValueError("a concept has text, codings, or both")

    @property
    def label(self) -> str:
        """The shortest human words for it."""
        return self.text or self.codings[0].display or self.codings[0].code


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its UCUM unit; ``display`` is the unit as people write it, where it differs."""

    value: Decimal
    unit: Annotated[str, CODE]
    display: Line | None = None
    comparator: Literal["<", "<=", ">=", ">"] | None = None

    def __post_init__(self) -> None:
        _exact(self.value)
        if self.display == self.unit:  # says nothing new, and FHIR has one place for both
            object.__setattr__(self, "display", None)

    def __str__(self) -> str:
        return f"{self.comparator or ''}{self.value} {self.display or self.unit}"


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time in its own unit: a month is not thirty days (FHIR Duration)."""

    value: Decimal
    unit: Literal["min", "h", "d", "wk", "mo", "a"]

    def __post_init__(self) -> None:
        _exact(self.value)
        if self.value < 0 or (self.value == 0 and self.value.is_signed()):
            raise ValueError("a duration is not negative")

    def __str__(self) -> str:
        word = TIME_UNITS[self.unit]
        return f"{self.value} {word[:-1] if self.value == 1 and word.endswith('s') else word}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """One quantity for another, such as 600 mg for 1 d (FHIR Ratio)."""

    numerator: Quantity
    denominator: Quantity

    def __str__(self) -> str:
        return f"{self.numerator} per {self.denominator}"


@dataclass(frozen=True, slots=True)
class Range:
    """From ``low`` to ``high``, both included, one of them at least (FHIR Range)."""

    low: Quantity | None = None
    high: Quantity | None = None

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise ValueError("a range has low, high, or both")
        if self.low and self.high and (self.low.unit != self.high.unit or self.low.value > self.high.value):
            raise ValueError("low and high share a unit, and low is not above high")
        if (self.low and self.low.comparator) or (self.high and self.high.comparator):
            raise ValueError("the ends of a range have no comparator")

    def __str__(self) -> str:
        return f"{self.low or '...'} to {self.high or '...'}"


@dataclass(frozen=True, slots=True)
class Span:
    """From ``low`` to ``high`` in one unit of time, as an offset (FHIR Range of times)."""

    low: Duration
    high: Duration

    def __post_init__(self) -> None:
        if self.low.unit != self.high.unit or self.low.value > self.high.value:
            raise ValueError("low and high share a unit, and low is not above high")

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Relative:
    """A time told against another item: "3 years before the start of this encounter".

    ``offset`` may be missing (the order is known, the distance is not); ``offset_text`` keeps
    words such as "within a few days". FHIR: extension cqf-relativeDateTime.
    """

    anchor: Annotated[str, KEY, Ref()]
    anchor_element: Literal["period", "effective", "performed", "onset"]
    relation: Relation
    offset: Duration | None = None
    offset_range: Span | None = None
    offset_text: Line | None = None

    def __post_init__(self) -> None:
        if (self.offset, self.offset_range, self.offset_text).count(None) < 2:
            raise ValueError("at most one of offset, offset_range, offset_text")

    def __str__(self) -> str:
        how_far = self.offset_text or self.offset or self.offset_range or ""
        return f"{how_far} {self.relation.replace('-', ' ')} of {self.anchor}".strip()


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` to ``end``; each end is a moment, a relative time, or open."""

    start: Moment | Relative | None = None
    end: Moment | Relative | None = None

    def __post_init__(self) -> None:
        if self.start is None and self.end is None:
            raise ValueError("a period has a start, an end, or both")
        moments = [end for end in (self.start, self.end) if isinstance(end, str) and MOMENT.ok(end)]
        if len(moments) == 2 and not in_order(*moments):
            raise ValueError("the start is not after the end, and both have one precision")

    def __str__(self) -> str:
        return f"{self.start or '...'} to {self.end or '...'}"


def in_order(start: str, end: str) -> bool:
    """Whether two moments are surely in order.

    FHIR (per-1) compares what both know: where that is equal and one is more precise, the order
    is undecided, which the HL7 validator reports as an error.
    """
    if "T" in start and "T" in end:
        return _instant(start) <= _instant(end)
    a, b = start.partition("T")[0].split("-"), end.partition("T")[0].split("-")
    shared = min(len(a), len(b))
    same_precision = len(a) == len(b) and ("T" in start) == ("T" in end)
    return a[:shared] < b[:shared] or (a[:shared] == b[:shared] and same_precision)


def _instant(moment: str) -> tuple[datetime, Decimal]:
    """The moment as (whole second with its offset, fraction); a leap second counts as the one before."""
    whole, fraction, zone = re.fullmatch(r"(.{19})(\.[0-9]+)?(.+)", moment).groups()  # type: ignore[union-attr]
    at = datetime.fromisoformat(whole.replace(":60", ":59") + zone)
    return at, Decimal(fraction or 0)


@dataclass(frozen=True, slots=True)
class When:
    """When something was: exactly one of six forms.

    ``at`` a moment; ``period``; ``relative`` to another item; during an ``encounter``; at an
    ``age`` (onset and abatement only); or ``absent`` with a reason. ``text`` keeps the sender's
    words; reason ``as-text`` needs it.
    """

    at: Moment | None = None
    period: Period | None = None
    relative: Relative | None = None
    encounter: Annotated[str, KEY, Ref("Encounter")] | None = None
    age: Annotated[Quantity, Units("a", "mo", "wk", "d")] | None = None
    absent: AbsentReason | None = None
    text: Line | None = None

    def __post_init__(self) -> None:
        _one_form(self)
        if self.absent == "as-text" and self.text is None:
            raise ValueError("the reason as-text needs text")
        if self.age is not None and self.age.value <= 0:
            raise ValueError("an age is more than 0")
        if self.text is not None and (self.encounter or self.age):
            raise ValueError("text goes with at, period, relative or absent")
        if self.relative and self.relative.offset_text and self.text:
            raise ValueError("text and offset_text say the same; give one")

    @property
    def form(self) -> str:
        """Which of the forms it has."""
        names = ("at", "period", "relative", "encounter", "age", "absent")
        return next(name for name in names if getattr(self, name) is not None)

    def relatives(self) -> Iterator[Relative]:
        """The relative times in it."""
        for part in (self.relative, *((self.period.start, self.period.end) if self.period else ())):
            if isinstance(part, Relative):
                yield part

    def __str__(self) -> str:
        return f"not known ({self.text or self.absent})" if self.absent else f"{getattr(self, self.form)}"


@dataclass(frozen=True, slots=True)
class Absent:
    """Why there is no value; ``text`` says more (FHIR dataAbsentReason)."""

    reason: AbsentReason
    text: Line | None = None


@dataclass(frozen=True, slots=True)
class ValueOrAbsent:
    """A value in exactly one form, or the reason why there is none."""

    quantity: Quantity | None = None
    concept: Concept | None = None
    text: Line | None = None
    integer: int | None = None
    range: Range | None = None
    absent: Absent | None = None

    def __post_init__(self) -> None:
        _one_value(self)

    def __str__(self) -> str:
        if self.absent:
            return f"not available ({self.absent.text or self.absent.reason})"
        given = (self.quantity, self.concept and self.concept.label, self.text, self.integer, self.range)
        return str(next(value for value in given if value is not None))


@dataclass(frozen=True, slots=True)
class Source:
    """Where in the source a fact stands, and on what it rests (extension smx-source-assertion)."""

    basis: Basis
    locator: Line | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Anything that becomes a resource of its own: it has a key, unique in the case."""

    key: Key
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Item):
    """An item whose resource can carry notes."""

    note: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(Noted):
    """An item that is an observation. Its record is `final`; only another status is said."""

    record_status: RecordStatus | None = None
