"""The lens on small values: what an edit takes with it, what it leaves, and how list items find each other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mappings.lens import merge, pair, rest, same
from mappings.wire import leaves

Json = Any
FOREIGN = {"url": "f", "valueString": "x"}


def edited(was: Json, old: Json, new: Json) -> tuple[Json, list[str]]:
    """The merged value, and the pointers of what was dropped."""
    dropped: list[str] = []
    return merge(was, old, new, lambda pointer, json: dropped.append(pointer)), dropped


def own(url: str, value: Json) -> Json:
    """An extension of ours."""
    return {"url": url, "valueString": value}


# --- objects ------------------------------------------------------------------------------------


def test_nothing_changed_gives_the_very_same_object() -> None:
    """Where the facts are the same, what was received is handed back, whatever else is in it."""
    was = {"a": 1, "foreign": [2]}
    assert merge(was, {"a": 1, "b": 2}, {"a": 1, "b": 2}, print) is was


def test_foreign_content_beside_a_primitive_stays_while_the_primitive_does() -> None:
    """The text beside a date goes; the sender's extension beside it, and the date, do not."""
    text, was = own("text", "spring"), {"onsetDateTime": "2020", "_onsetDateTime": {"extension": [FOREIGN]}}
    was["_onsetDateTime"]["extension"].append(text)  # type: ignore[index]
    old = {"onsetDateTime": "2020", "_onsetDateTime": {"extension": [text]}}
    out, dropped = edited(was, old, {"onsetDateTime": "2020"})
    assert out == {"onsetDateTime": "2020", "_onsetDateTime": {"extension": [FOREIGN]}}
    assert dropped == []


def test_foreign_content_beside_a_primitive_goes_with_it() -> None:
    """No date, nothing beside it; and the report is told."""
    was = {"birthDate": "1970", "_birthDate": {"extension": [FOREIGN]}}
    assert edited(was, {"birthDate": "1970"}, {}) == ({}, ["/_birthDate"])


def test_a_foreign_word_in_the_place_of_ours_is_told_when_it_goes() -> None:
    """A sender's text beside a code is no fact: where the code changes, ours comes in its place."""
    was, new = {"code": "a", "text": "surely a"}, {"code": "b", "text": "B"}
    assert edited(was, {"code": "a", "text": "A"}, new) == (new, ["/text"])


def test_a_display_does_not_stay_on_another_reference() -> None:
    """A Reference that leads elsewhere is a new one: the old one's display would be a lie."""
    was = {"subject": {"reference": "Group/1", "display": "Ten men"}}
    out, dropped = edited(was, {"subject": {"reference": "Group/1"}}, {"subject": {"reference": "Group/2"}})
    assert out == {"subject": {"reference": "Group/2"}}
    assert dropped == ["/subject/display"]


def test_an_element_that_goes_takes_what_hung_on_it() -> None:
    """The rest of an element is of no use without its facts; each part of it is reported."""
    was = {"valueQuantity": {"value": 1, "extension": [FOREIGN]}, "status": "final"}
    old = {"valueQuantity": {"value": 1}, "status": "final"}
    assert edited(was, old, {"status": "final"}) == ({"status": "final"}, ["/valueQuantity/extension"])


def test_a_fact_where_only_foreign_content_was_joins_it() -> None:
    """A list of others gets one more item; a foreign primitive gives way and is reported."""
    assert edited({"note": [{"text": "a"}]}, {}, {"note": [{"text": "b"}]})[0] == {
        "note": [{"text": "a"}, {"text": "b"}]
    }
    assert edited({"gender": "x"}, {}, {"gender": "male"}) == ({"gender": "male"}, ["/gender"])


# --- lists --------------------------------------------------------------------------------------


def test_the_foreign_items_of_a_list_stay_when_our_last_one_goes() -> None:
    """Our extension goes, the list does not: it holds somebody else's."""
    assert edited({"extension": [own("a", 1), FOREIGN]}, {"extension": [own("a", 1)]}, {}) == (
        {"extension": [FOREIGN]},
        [],
    )


def test_an_empty_list_does_not_stay_behind() -> None:
    """FHIR has no empty arrays."""
    assert edited({"extension": [own("a", 1)]}, {"extension": [own("a", 1)]}, {}) == ({}, [])


def test_facts_in_another_order_are_put_in_order_around_what_is_foreign() -> None:
    """The order of our items is a fact; the places of the others are kept."""
    a, b, c = ({"reference": name} for name in "abc")
    foreign = {"display": "someone"}
    out, dropped = edited([a, foreign, b, c], [a, b, c], [c, a, b])
    assert out == [c, foreign, a, b]
    assert dropped == []


def test_an_order_that_others_chose_is_kept_when_another_fact_changes() -> None:
    """A server may sort extensions as it likes; an edit does not sort them back."""
    was = [own("b", 1), own("a", 1)]
    assert edited(was, [own("a", 1), own("b", 1)], [own("a", 2), own("b", 1)])[0] == [own("b", 1), own("a", 2)]


def test_a_new_item_stands_behind_the_one_it_follows() -> None:
    """In front of the first, between, and behind the last."""
    a, b, new, foreign = {"reference": "a"}, {"reference": "b"}, {"reference": "n"}, {"display": "f"}
    assert edited([foreign, a, b], [a, b], [new, a, b])[0] == [foreign, new, a, b]
    assert edited([a, foreign, b], [a, b], [a, new, b])[0] == [a, new, foreign, b]
    assert edited([a, b, foreign], [a, b], [a, b, new])[0] == [a, b, new, foreign]


def test_the_number_of_a_quantity_is_not_what_it_is() -> None:
    """A quantity in a list with another value or unit is the same quantity: what hangs on it stays."""
    was = [{"value": 1, "system": "u", "code": "mm", "foreign": True}]
    old = [{"value": Decimal(1), "system": "u", "code": "mm"}]
    assert edited(was, old, [{"value": Decimal(2), "system": "u", "code": "cm"}])[0] == [
        {"value": Decimal(2), "system": "u", "code": "cm", "foreign": True}
    ]


def test_another_coding_is_another_item() -> None:
    """What hung on the old code does not hang on the new one."""
    was = [{"system": "s", "code": "a", "extension": [FOREIGN]}]
    out, dropped = edited(was, [{"system": "s", "code": "a"}], [{"system": "s", "code": "b"}])
    assert out == [{"system": "s", "code": "b"}]
    assert dropped == ["/0/extension"]


def test_words_that_get_a_code_are_the_same_item() -> None:
    """A component told in words that now has a code keeps its place and what hangs on it."""
    was = [{"code": {"text": "x"}, "foreign": 1}]
    new = [{"code": {"coding": [{"system": "s", "code": "c"}]}}]
    assert edited(was, [{"code": {"text": "x"}}], new)[0] == [new[0] | {"foreign": 1}]


def test_an_item_that_gains_or_loses_a_part_is_the_same_item() -> None:
    """An identifier that gets its system keeps what hangs on it."""
    was, old = [{"value": "1", "foreign": 2}], [{"value": "1"}]
    out = [{"value": "1", "foreign": 2, "system": "s"}]
    assert edited(was, old, [{"system": "s", "value": "1"}]) == (out, [])
    assert edited(out, [{"system": "s", "value": "1"}], old) == (was, [])


@pytest.mark.parametrize(
    ("a", "b", "pairs"),
    [
        ([1, 2], [1, 2], {0: 0, 1: 1}),
        ([own("u", 1), own("u", 2)], [own("u", 2)], {1: 0}),
        ([own("u", 1), own("u", 3)], [own("u", 2)], {0: 0}),
        ([{"system": "s", "code": "a"}], [{"system": "s", "code": "b"}], {}),
        ([{"text": "a"}, {"text": "b"}], [{"text": "c"}, {"text": "d"}], {0: 0, 1: 1}),
        ([{"text": "f", "x": 1}, {"text": "a", "x": 1}], [{"text": "a"}], {1: 0}),
        ([{"code": {"coding": [{"system": "s", "code": "c"}]}}], [{"code": {"text": "c"}}], {}),
        ([{"x": 1}], ["text"], {}),
    ],
)
def test_items_are_paired_by_twin_then_anchor_then_order(a: Json, b: Json, pairs: dict[int, int]) -> None:
    """The exact twin first, then url, reference, system and code; by order only what cannot be told otherwise."""
    assert pair(a, b) == pairs


def test_of_two_that_are_alike_the_first_is_the_first() -> None:
    """What hangs on one of two equal items does not swap them."""
    assert pair([{"x": 1, "f": 1}, {"x": 1}], [{"x": 1}, {"x": 1}]) == {0: 0, 1: 1}


# --- the account --------------------------------------------------------------------------------


def test_the_rest_is_what_the_writer_does_not_reproduce() -> None:
    """Topmost parts with their pointers, names escaped; a whole number is the Decimal of the same digits."""
    was = {"value": 2, "a/b": 1, "list": [{"url": "a", "x": 1}, FOREIGN], "text": "new"}
    old = {"value": Decimal(2), "list": [{"url": "a"}], "text": "old"}
    assert list(rest(was, old)) == [("/a~1b", 1), ("/list/0/x", 1), ("/list/1", FOREIGN), ("/text", "new")]


def test_digits_and_types_are_differences() -> None:
    """1.80 is not 1.8, true is not 1, and an integer is not a boolean."""
    assert not same(Decimal("1.80"), Decimal("1.8"))
    assert not same(True, 1)
    assert edited({"v": 1}, {"v": Decimal("1.0")}, {"v": Decimal("1.00")})[0]["v"] == Decimal("1.00")


def test_an_empty_object_or_array_is_a_leaf() -> None:
    """Nothing that was sent counts as nothing."""
    assert leaves({"a": {}, "b": [], "c": [{"d": 1}, None]}) == 4
