"""The value types: what cannot be made, what order means, what a text pattern takes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from mappings.values import (
    CODE,
    DATE,
    INSTANT,
    KEY,
    LANGUAGE,
    LINE,
    MOMENT,
    URI,
    Concept,
    Duration,
    Period,
    Quantity,
    Range,
    Relative,
    Span,
    Text,
    ValueOrAbsent,
    When,
    in_order,
)


def mm(number: str) -> Quantity:
    """So many millimetres."""
    return Quantity(Decimal(number), "mm")


def days(number: str) -> Duration:
    """So many days."""
    return Duration(Decimal(number), "d")


CONTRADICTIONS: list[Callable[[], Any]] = [
    lambda: When(),
    lambda: When(at="2024", absent="unknown"),
    lambda: When(absent="as-text"),
    lambda: When(encounter="e", text="then"),
    lambda: When(age=Quantity(Decimal(0), "a")),
    lambda: When(relative=Relative("a", "onset", "before", offset_text="soon"), text="soon"),
    lambda: Relative("a", "onset", "before", offset=days("1"), offset_text="a day"),
    lambda: Period(),
    lambda: Period(start="2024-02", end="2024-01"),
    lambda: ValueOrAbsent(),
    lambda: ValueOrAbsent(text="x", integer=1),
    lambda: Range(),
    lambda: Range(low=mm("2"), high=mm("1.9")),
    lambda: Range(low=Quantity(Decimal(1), "mm", comparator="<")),
    lambda: days("-1"),
    lambda: days("-0.0"),
    lambda: Span(days("2"), days("1")),
    lambda: Span(days("1"), Duration(Decimal(1), "h")),
    lambda: Concept(),
    lambda: Quantity(1.5, "mm"),  # type: ignore[arg-type]
    lambda: Quantity(Decimal("NaN"), "mm"),
    lambda: Quantity(Decimal("Infinity"), "mm"),
]


@pytest.mark.parametrize("make", CONTRADICTIONS)
def test_what_contradicts_itself_cannot_be_made(make: Callable[[], Any]) -> None:
    """The constructor refuses, with a sentence."""
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        make()


@pytest.mark.parametrize(
    ("start", "end", "ordered"),
    [
        ("2024", "2024", True),
        ("2023", "2024-01-01", True),
        ("2024", "2024-01-01", False),  # undecided: the year may end after the day
        ("2024-01-31", "2024-01", False),
        ("2024-01-01T10:00:00+01:00", "2024-01-01T09:30:00Z", True),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00+01:00", False),
        ("2024-01-01T10:00:00.10Z", "2024-01-01T10:00:00.9Z", True),
        ("2024-01-01T10:00:00.123456789Z", "2024-01-01T10:00:00.123456788Z", False),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", True),
        ("2024-01-01T10:00:00Z", "2024-01-01", False),
        ("2024-01-01T10:00:00-00:00", "2024-01-01T10:00:00+00:00", True),
        ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-11:00", True),
    ],
)
def test_order_is_what_both_moments_surely_know(start: str, end: str, ordered: bool) -> None:
    """FHIR compares what both know; where that is equal and one knows more, the order is undecided."""
    assert in_order(start, end) is ordered


GOOD: list[tuple[Text, tuple[str, ...]]] = [
    (KEY, ("a", "a-1", "x" * 64)),
    (DATE, ("2024", "2024-02", "2024-02-29", "0001-01-01")),
    (MOMENT, ("2024", "2024-02-29T00:00:00Z", "2024-01-01T23:59:60.123456789-00:00", "2024-01-01T00:00:00+13:45")),
    (INSTANT, ("2024-01-01T00:00:00+14:00", "2024-01-01T00:00:00.5-11:30")),
    (URI, ("urn:oid:1.2", "https://a.example/é?x='1'", "a:b")),
    (CODE, ("a", "a b", "é")),
    (LINE, ("a", " a\t\r\n", "日本")),
    (LANGUAGE, ("en", "de-AT", "zh-Hant-TW")),
]
BAD: list[tuple[Text, tuple[str, ...]]] = [
    (KEY, ("", "A", "1a", "a_b", "a.b", "x" * 65, "a\n")),
    (DATE, ("2023-02-29", "2024-13", "24", "0000", "2024-1-1", "2024-01-01T00:00:00Z", "٢٠٢٤")),
    (MOMENT, ("2024-01-01T00:00:00", "2024-01-01T00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:00+14:01")),
    (INSTANT, ("2024-01-01", "2024-02-30T00:00:00Z")),
    (URI, ("no-scheme", "a b:c", "a:b|c", "a:")),
    (CODE, ("", " a", "a ", "a  b", "a\tb")),
    (LINE, ("",)),
    (LANGUAGE, ("e", "en_US", "")),
]


@pytest.mark.parametrize(("pattern", "text"), [(pattern, text) for pattern, texts in GOOD for text in texts])
def test_a_pattern_takes(pattern: Text, text: str) -> None:
    """What FHIR allows and a case may say."""
    assert pattern.ok(text)


@pytest.mark.parametrize(("pattern", "text"), [(pattern, text) for pattern, texts in BAD for text in texts])
def test_a_pattern_refuses(pattern: Text, text: str) -> None:
    """No day that does not exist, no time without offset, no space at an end, ASCII digits only."""
    assert not pattern.ok(text)


def test_a_unit_is_said_once() -> None:
    """A display that is the code itself says nothing new, and FHIR has one place for both."""
    assert Quantity(Decimal(1), "mm", "mm") == mm("1")


def test_words_for_people() -> None:
    """Values print as people say them, digits kept."""
    assert str(Quantity(Decimal("1.80"), "mm", comparator="<")) == "<1.80 mm"
    assert str(days("1")) == "1 day"
    assert str(days("1.0")) == "1.0 day"
    assert str(When(absent="as-text", text="in spring")) == "not known (in spring)"
    assert Concept("Skin").label == "Skin"
