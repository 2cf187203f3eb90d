"""What is compiled from the dataclasses knows sound cases from others exactly as the checks that explain do."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import is_dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings import Case, MappingError, decode, dump_case, load_case
from mappings.check import _explained, is_sound, is_whole
from mappings.compiled import Seen, _Checking, _names_each, _Writing, read
from mappings.concepts.document import MIME, SHA1
from mappings.concepts.measurement import Measurement
from mappings.explain import explained
from mappings.shape import shapes
from mappings.values import CODE, DATE, INSTANT, KEY, LANGUAGE, LINE, MOMENT, SLUG, UNFIT, URI, Text
from tests.goldens import NAMES, case_bytes
from tests.refusals import refusals
from tests.strategies import Choose, chooser, same, seeded

#: What stands in a damaged place: other types, texts that fit nowhere, numbers at and beyond their ends.
_WRONG: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31 - 1, 2**31, -(2**31) - 1, 1.5, Decimal("1.80"), Decimal("-0"), Decimal("NaN"),
    Decimal("Infinity"), "", " ", "a", "patient", "present", "2021-02-30", "2021-06-01T10:00:00Z", "9999", "mm", "g",
    "as-text", "x\x00", "\ud800", "\ufffe", "\x0c", "\u2028", "k" * 65, "http://a b", [], {}, ["a"], [None], ["a", "a"],
    {"at": "2021"}, {"text": "x"}, {"value": 1, "unit": "mm"}, {"value": 1, "unit": "mm", "comparator": "<"},
    {"system": "s:x", "code": "a"},
    {"relative": {"anchor": "patient", "anchor_element": "onset", "relation": "before"}},
)  # fmt: skip


def quick(document: Any) -> Case | None:
    """The case that the compiled functions make, if they take the document for sound."""
    seen = Seen()
    try:
        case: Case = read(Case, document, seen)
    except ValueError:
        return None
    return case if is_whole(case, seen) else None


def slow(document: Any) -> Case | None:
    """The case that the checks make which explain what is wrong; they never refuse without a reason."""
    try:
        return explained(document)
    except MappingError as error:
        if not error.issues:
            raise
        return None


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Each container of a document with each of its keys or indices."""
    for step in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, step
        if isinstance(node[step], dict | list):
            yield from places(node[step])


def damaged(choose: Choose, document: dict[str, Any]) -> None:
    """Change one place of the document: take it away, double it, put another place's value or a wrong one there."""
    found = list(places(document))
    node, step = found[choose(len(found))]
    other, there = found[choose(len(found))]
    match choose(5):
        case 0:
            del node[step]
        case 1 if isinstance(node, list):
            node.insert(step, node[step])
        case 1:
            node["unknown"] = node[step]
        case 2:
            node[step] = deepcopy(other[there])
        case 3:
            node[step] = [node[step]]
        case _:
            node[step] = deepcopy(_WRONG[choose(len(_WRONG))])


def agree(document: Any) -> None:
    """Both come to one verdict, and where they accept to one case, digit by digit."""
    fast, sure = quick(document), slow(document)
    assert (fast is None) == (sure is None)
    assert fast is None or sure is None or (fast == sure and same(fast, sure))


@given(st.integers(0, 10**9))
def test_sound_documents_are_known_and_read_alike(seed: int) -> None:
    """Every sound document is known as sound, and read to the same case; what is written is what was read."""
    case = seeded(seed)
    document = dump_case(case)
    assert quick(document) is not None
    agree(document)
    assert document == plain(case)
    assert is_sound(case)
    assert same(load_case(document), case)


@given(st.integers(0, 10**9), st.data())
def test_damaged_documents_have_one_verdict(seed: int, data: Any) -> None:
    """A document with one place changed is sound for both, or for neither."""
    document = dump_case(seeded(seed, most=1))
    damaged(chooser(data.draw), document)
    agree(document)


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_known(name: str) -> None:
    """The examples never come to the checks that explain."""
    document = decode(case_bytes(name))
    assert quick(document) is not None
    agree(document)


@pytest.mark.parametrize("refusal", [r for r in refusals() if r.input == "case"], ids=lambda refusal: refusal.slug)
def test_refusals_have_one_verdict(refusal: Any) -> None:
    """What is refused with reasons is not taken for sound, and its mended twin is."""
    for raw in (refusal.wrong, refusal.mended):
        try:
            document = decode(raw)
        except MappingError:
            continue
        agree(document)


_CONCEPT = {"text": "x"}
_CODING = {"system": "s:x", "code": "a"}
_DOSE = {"sequence": 1, "amount": {"value": 1, "unit": "mg"}}
_THERAPY = {"key": "t", "kind": "drug", "code": _CONCEPT, "status": "active", "doses": [_DOSE]}
_SCORE = {"key": "m", "kind": "skin-score", "value": {"quantity": {"value": 1, "unit": "{score}"}}}
_CRITERION = {"code": _CONCEPT, "presence": "present"}
_CONDITION = {
    "key": "c",
    "code": _CONCEPT,
    "role": "comorbidity",
    "clinical_status": "active",
    "verification_status": "unconfirmed",
}
_DOCUMENT: dict[str, Any] = {
    "schema_version": "1.0", "case_system": "s:x", "case_id": "c", "language": "en", "patient": {},
    "encounters": [{"key": "e", "class": _CODING, "status": "finished"}],
    "findings": [{"key": "f", "code": {"codings": [_CODING]}, "presence": "present", "when": {"encounter": "e"}}],
    "conditions": [_CONDITION],
    "criteria": [{"key": "s", "name": _CONCEPT, "condition": "c", "items": [_CRITERION]}],
    "measurements": [_SCORE, {"key": "n", "kind": "skin-score", "value": {"integer": 3}, "percent_change": 1}],
    "therapies": [_THERAPY],
}  # fmt: skip


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/language", None),
        ("/language", 1),
        ("/language", "a b"),
        ("/more", 1),
        ("/security", ["HTEST", "HTEST"]),
        ("/security", ["other"]),
        ("/security", {}),
        ("/encounters/0/key", "f"),
        ("/findings/0/when", {"at": "2021-02-30"}),
        ("/findings/0/code/text", "x\x00"),
        ("/findings/0/code/codings/0", {"system": "s:x", "code": "a", "user_selected": 1}),
        ("/findings/0/presence", "perhaps"),
        ("/findings/0/when/encounter", "t"),
        ("/findings/0/when/encounter", "nobody"),
        ("/findings/0/when", {"at": "2021", "absent": "unknown"}),
        ("/measurements/0/when", {"age": {"value": 1, "unit": "a"}}),
        ("/measurements/0/when", {"relative": {"anchor": "m", "anchor_element": "effective", "relation": "after"}}),
        ("/measurements/0/when", {"relative": {"anchor": "t", "anchor_element": "onset", "relation": "after"}}),
        ("/criteria/0/items", []),
        ("/criteria/0/condition", "f"),
        ("/measurements/0/code", _CONCEPT),
        ("/measurements/0/value", {"concept": _CONCEPT}),
        ("/measurements/1/value/integer", 2**31),
        ("/measurements/1/value/integer", Decimal(3)),
        ("/measurements/1/percent_change", Decimal("NaN")),
        ("/measurements/1/percent_change", 1.5),
        ("/measurements/1/percent_change", "1"),
        ("/therapies/0/line", 0),
        ("/therapies/0/doses/0/amount/unit", "mm"),
        ("/therapies/0/doses/0/amount/comparator", "<"),
        ("/therapies/0/doses/0/amount_range", {"low": {"value": 1, "unit": "mm"}}),
        ("/therapies/0/doses/0/sequence", True),
        ("/therapies/0/doses", [_DOSE, _DOSE]),
    ],
)
def test_each_check_is_in_the_compiled_functions(pointer: str, value: Any) -> None:
    """The document is sound, and with this one value it is not, for both."""
    document = deepcopy(_DOCUMENT)
    assert quick(document) is not None
    *steps, last = (int(step) if step.isdigit() else step for step in pointer.split("/")[1:])
    node = document
    for step in steps:
        node = node[step]
    node[last] = deepcopy(value)
    assert quick(document) is None
    assert slow(document) is None


@given(st.integers(0, 10**9), st.data())
def test_made_cases_have_one_verdict(seed: int, data: Any) -> None:
    """A case made in Python with one field put wrong past its constructor is sound for both looks, or for neither."""
    choose = chooser(data.draw)
    case = load_case(dump_case(seeded(seed, most=1)))  # anew: codings of the terms are not for breaking
    made = list(objects(case))
    node = made[choose(len(made))]
    name = list(shapes(type(node)))[choose(len(shapes(type(node))))]
    other = made[choose(len(made))]
    value = (None, (), other, (other,), *_WRONG)[choose(len(_WRONG) + 4)]
    object.__setattr__(node, name, value)
    try:
        sure = not _explained(case)
    except (TypeError, AttributeError):  # it breaks the checks themselves: unhashable, or of a class of another kind
        sure = False
    assert is_sound(case) == sure


def objects(node: Any) -> Iterator[Any]:
    """A dataclass and all below it."""
    yield node
    for name in shapes(type(node)):
        value = getattr(node, name)
        for one in value if isinstance(value, tuple) else [value]:
            if is_dataclass(one):
                yield from objects(one)


def plain(value: Any) -> Any:
    """The document of a case, told a second time."""
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if not is_dataclass(value):
        return value
    found = {shape.json_name: getattr(value, shape.name) for shape in shapes(type(value)).values()}
    return {name: plain(one) for name, one in found.items() if one is not None and one != ()}


def test_a_frozen_case_comes_out_of_the_reader() -> None:
    """What was put together field by field is the dataclass itself, and frozen."""
    case = load_case(case_bytes("minimal"))
    assert type(case) is Case
    with pytest.raises(AttributeError):
        case.language = "de"  # type: ignore[misc]


@pytest.mark.parametrize(
    "text", [_Checking("read", Measurement), _Checking("look", Measurement), _Writing("write", Measurement)]
)
def test_the_compiled_text_names_each_field(text: Any) -> None:
    """A field that the text forgets would be lost, or unchecked."""
    assert all(f"made.{name}" in text.text for name in shapes(Measurement))


@pytest.mark.parametrize(
    ("text", "example"),
    [
        (KEY, "a-b"), (SLUG, "a.b"), (LANGUAGE, "de-AT"), (DATE, "2024-07-01"), (SHA1, "a" * 27 + "="),
        (MOMENT, "2024-07-01T10:00:00.5Z"), (INSTANT, "2024-07-01T10:00:00.5+01:00"),
    ],
)  # fmt: skip
def test_a_pattern_that_names_its_characters_needs_no_second_look(text: Text, example: str) -> None:
    """Where a pattern names each character that may be, none that is unfit can stand anywhere."""
    assert _names_each(text)
    assert text.ok(example)
    unfit = [char for char in map(chr, range(0x11000)) if UNFIT.search(char)]
    for place in range(len(example) + 1):
        for char in unfit:
            assert not text.ok(example[:place] + char + example[place:])
            assert not text.ok(example[:place] + char + example[place + 1 :])


def test_what_can_be_printed_is_a_line() -> None:
    """So a line that can be printed is asked nothing else, but whether there is one."""
    assert all(LINE.ok(char) for char in map(chr, range(0x110000)) if char.isprintable())
    assert not any(UNFIT.search(char) for char in map(chr, range(0x110000)) if char.isprintable())
    assert not any(_names_each(text) for text in (LINE, CODE, URI, MIME))
