"""Bytes and values: every digit and every precision is kept, and nothing ambiguous comes in."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from mappings import MappingError, decode, dump_case, encode, from_fhir, load_case, to_fhir
from mappings.lens import merge, rest
from mappings.values import Period, Quantity, When, in_order
from mappings.wire import MAX_DEPTH, as_plain

NUMBERS = ["1.80", "0.010", "30.0", "123456789012345678", "0.123456789012345678", "1E+2", "-0.0", "-0", "1E-20"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_keeps_its_digits(number: str) -> None:
    """A number goes in and out with its sign, digits and exponent."""
    assert encode(decode(f"[{number}]")) == f"[{number}]".encode()


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"a": 1, "a": 2}', "duplicate-name"),
        (b"[NaN]", "bad-number"),
        (b"[Infinity]", "bad-number"),
        (b"[1" + b"0" * 500 + b"]", "bad-number"),
        (b"{\n  bad", "not-json"),
        (b"\xff\xfe", "not-utf8"),
        (b'["\\ud800"]', "bad-text"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "too-deep"),
        (b"[" * 100_000, "too-deep"),
    ],
)
def test_what_is_ambiguous_is_refused(raw: bytes, code: str) -> None:
    """What is not exactly one JSON value is refused by its code; a bug would be another exception."""
    with pytest.raises(MappingError) as refused:
        decode(raw)
    assert refused.value.issues[0].code == code


def test_a_surrogate_pair_is_a_character() -> None:
    """A whole pair is one character, and a byte order mark is none."""
    assert decode(b'\xef\xbb\xbf["\\ud83d\\ude00"]') == ["\N{GRINNING FACE}"]


def test_a_python_float_is_refused() -> None:
    """A float has lost its digits before we see it: in a case, in a bundle, in a value."""
    for attempt in (
        lambda: load_case({"patient": {"x": 1.5}}),
        lambda: from_fhir({"resourceType": "Bundle", "x": 1.5}),
    ):
        with pytest.raises(MappingError) as refused:
            attempt()
        assert "python-float" in {issue.code for issue in refused.value.issues}
    with pytest.raises(ValueError, match="Decimal"):
        Quantity(1.5, "mm")  # type: ignore[arg-type]


@pytest.mark.parametrize("odd", [(1, 2), {1}, object(), Decimal("NaN"), b"x"])
def test_a_python_value_that_json_does_not_have_is_refused(odd: object) -> None:
    """In words, wherever it stands."""
    for attempt in (
        lambda: load_case({"patient": {"x": odd}}),
        lambda: from_fhir({"resourceType": "Bundle", "x": [{"y": odd}]}),
    ):
        with pytest.raises(MappingError) as refused:
            attempt()
        assert all(issue.line() for issue in refused.value.issues)
        assert {issue.code for issue in refused.value.issues} & {"wrong-type", "bad-number", "unknown-field"}


def test_python_values_nested_without_end_are_refused() -> None:
    """Bytes have a bound of their own; values may come from anywhere."""
    deep: dict[str, object] = {}
    for _ in range(5000):
        deep = {"extension": [deep]}
    for attempt in (
        lambda: load_case({"patient": deep}),
        lambda: from_fhir({"resourceType": "Bundle", "entry": [{"resource": deep}]}),
    ):
        with pytest.raises(MappingError) as refused:
            attempt()
        assert [issue.code for issue in refused.value.issues] == ["too-deep"]


LAYERS = [b'{"a":%s}', b"[%s]", b'{"a":[%s]}', b'[{"a":%s},{}]', b'{"b":0,"a":[[%s]]}']


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("core", [b"1", b"{}", b"[]", b'{"a":"b"}', b'["b"]'])
def test_values_may_be_as_deep_as_bytes(layer: bytes, core: bytes) -> None:
    """One level more is refused of both."""
    verdicts = set()
    for count in range(15, MAX_DEPTH + 2):
        raw = core
        for _ in range(count):
            raw = layer % raw
        given = _refused(json.loads(raw))
        assert given == _refused(raw)
        verdicts.add(given)
    assert verdicts == {(), ("too-deep",)}


def _refused(document: object) -> tuple[str, ...]:
    try:
        as_plain(document)
    except MappingError as error:
        return tuple(issue.code for issue in error.issues)
    return ()


@pytest.mark.parametrize("given", [b"{}", {}, None, [], {"schema_version": "1.0"}], ids=repr)
def test_what_is_no_case_is_refused_as_such(given: Any) -> None:
    """Whoever forgets load_case is told of it."""
    for call in (to_fhir, dump_case):
        with pytest.raises(MappingError) as refused:
            call(given)
        (issue,) = refused.value.issues
        assert (issue.code, "load_case" in issue.expected) == ("wrong-type", True)


def test_values_in_a_circle_are_refused() -> None:
    """Where there are several ways round, too; and where something else is wrong as well."""
    parent: dict[str, object] = {"children": [{}, {}, {}]}
    for child in parent["children"]:  # type: ignore[attr-defined]
        child["parent"] = parent
    assert _refused(parent) == ("too-deep",)
    assert _refused({"first": 0.5} | parent) == ("too-deep",)


TIMES = ["2024", "2024-07", "2024-07-09", "2024-07-09T09:00:00Z", "2024-07-09T09:00:00.120-00:00",
         "2024-07-09T09:00:00+05:30", "2024-07-09T09:00:00+13:45"]  # fmt: skip


def _case(**sections: object) -> dict[str, object]:
    head = {"schema_version": "1.0", "case_system": "https://hospital.example/case", "case_id": "c", "language": "en"}
    return head | {"patient": {}} | sections


def _measured(when: object) -> dict[str, object]:
    value = {"quantity": {"value": Decimal("1.80"), "unit": "mm"}}
    return _case(measurements=[{"key": "m", "kind": "mouth-opening", "value": value, "when": when}])


@pytest.mark.parametrize("moment", TIMES)
def test_a_time_keeps_its_precision_and_its_offset(moment: str) -> None:
    """A time is text: no day is made up, no offset is turned into another."""
    case = load_case(_measured({"at": moment}))
    bundle = to_fhir(case)
    observation = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Observation")
    assert observation["effectiveDateTime"] == moment
    assert encode(observation["valueQuantity"]).startswith(b'{"value":1.80,')
    assert from_fhir(encode(bundle))[0].measurements[0].when == When(at=moment)


@pytest.mark.parametrize("moment", ["2024-07-09T09:00:00", "2024-7", "2024-02-30", "24:00", "2024-07-09T09:00Z"])
def test_a_time_without_offset_or_day_is_refused(moment: str) -> None:
    """FHIR wants an offset beside a time of day, and the day must exist."""
    with pytest.raises(MappingError) as refused:
        load_case(_measured({"at": moment}))
    assert [issue.pointer for issue in refused.value.issues] == ["/measurements/0/when/at"]


def test_a_period_is_in_order_and_of_one_precision() -> None:
    """Where the order is undecided, the HL7 validator calls it an error."""
    assert in_order("2024-01-31T23:30:00-05:00", "2024-02-01T05:00:00Z")
    for start, end in (("2024-07-09", "2024-07-09T09:00:00Z"), ("2024", "2024-01"), ("2025", "2024")):
        with pytest.raises(ValueError, match="start"):
            Period(start, end)


def test_a_comparator_goes_with_a_result() -> None:
    """`<` is kept where a result is measured, and refused in a dose."""
    quantity = {"value": Decimal("0.50"), "unit": "mm", "comparator": "<"}
    kept = load_case(_measured(None) | {"measurements": [
        {"key": "m", "kind": "mouth-opening", "value": {"quantity": quantity}}]})  # fmt: skip
    assert from_fhir(to_fhir(kept))[0] == kept
    dose = {"sequence": 1, "amount": quantity | {"unit": "g"}}
    course = {"key": "t", "kind": "drug", "code": {"text": "x"}, "status": "active", "doses": [dose]}
    with pytest.raises(MappingError) as refused:
        load_case(_case(therapies=[course]))
    assert refused.value.issues[0].pointer == "/therapies/0/doses/0/amount/comparator"


# --- the lens on small values -------------------------------------------------------------------


def _merged(was: object, old: object, new: object) -> tuple[object, list[str]]:
    dropped: list[str] = []
    return merge(was, old, new, lambda pointer, json: dropped.append(pointer)), dropped


def test_one_changed_member_changes_nothing_else() -> None:
    """Foreign members stay where they are, in their order."""
    was = {"z": 1, "a": {"x": 1, "foreign": 2}, "b": [1]}
    assert _merged(was, {"a": {"x": 1}}, {"a": {"x": 5}}) == ({"z": 1, "a": {"x": 5, "foreign": 2}, "b": [1]}, [])


def test_a_stale_coding_does_not_survive() -> None:
    """A foreign coding beside a code that is no longer true would contradict it: it goes, and is told."""
    concept = {"coding": [{"system": "s", "code": "present"}, {"system": "f", "code": "yes"}]}
    old, new = ({"coding": [{"system": "s", "code": code}]} for code in ("present", "absent"))
    out, dropped = _merged(concept, old, new)
    assert out == {"coding": [{"system": "s", "code": "absent"}]}
    assert "/coding/1" in dropped


def test_another_choice_takes_the_first_with_its_sibling() -> None:
    """value[x] has one value: the old member and its primitive extension go."""
    was = {"valueString": "x", "_valueString": {"extension": []}, "status": "final"}
    out, dropped = _merged(was, {"valueString": "x"}, {"valueQuantity": {"value": 1}})
    assert out == {"status": "final", "valueQuantity": {"value": 1}}
    assert dropped == ["/_valueString"]


def test_a_list_keeps_its_order_and_what_is_foreign() -> None:
    """Items are paired by what they are, not by where they stand."""
    was = [{"url": "f"}, {"url": "a", "value": 1}, {"url": "g"}]
    out, _ = _merged(was, [{"url": "a", "value": 1}], [{"url": "a", "value": 2}, {"url": "b"}])
    assert out == [{"url": "f"}, {"url": "a", "value": 2}, {"url": "b"}, {"url": "g"}]


def test_digits_are_a_difference() -> None:
    """1.8 written over 1.80 is a change; what is the same changes nothing."""
    assert encode(_merged({"v": Decimal("1.80")}, {"v": Decimal("1.80")}, {"v": Decimal("1.8")})[0]) == b'{"v":1.8}'
    assert list(rest({"a": [1, 2]}, {"a": [1, 2]})) == []


PLACES = {
    b'{"a": 1,\n "b": }': ("not-json", "line 2, column 7"),
    b'{"a": "NaN",\n "b": [NaN]}': ("bad-number", "line 2, column 8"),
    b'["12",\n true, 1e999999999]': ("bad-number", "line 2, column 8"),
    b"[1, 1e99999999999999999999999]": ("bad-number", "line 1, column 5"),
    b"[" + b"9" * 401 + b"]": ("bad-number", "line 1, column 2"),
    b'{"a": {"b": 1},\n "c": {"a": "b", "b": 1, "b": 2}}': ("duplicate-name", "line 2, column 26"),
    b'{"\\u0061": 1, "a": 2}': ("duplicate-name", "line 1, column 15"),
    b'["\\ud83d\\ude00",\n "\\ud83d"]': ("bad-text", "line 2, column 2"),
    b"[\n" * 65 + b"]" * 65: ("too-deep", "line 65, column 1"),
    b'{"a": 1}\n\n{"a": 2}\n{"a": }': ("not-json", "line 4, column 7"),
}


@pytest.mark.parametrize(
    ("raw", "told"), PLACES.items(), ids=[f"{code}-{n}" for n, (code, _) in enumerate(PLACES.values())]
)
def test_a_refusal_says_where(raw: bytes, told: tuple[str, str]) -> None:
    """Line and column of the first thing that is wrong, whatever looks like it elsewhere; NDJSON counts its lines."""
    with pytest.raises(MappingError) as refused:
        as_plain(raw)
    (issue,) = refused.value.issues
    assert (issue.code, told[1] in issue.message) == (told[0], True), issue.message


@pytest.mark.parametrize("number", ["12e400", "-1.5E-399", "0.00e-5", "1E+0007", "9" * 400])
def test_a_number_that_can_be_written_is_kept(number: str) -> None:
    """Large and small numbers keep their digits up to the limit."""
    assert decode(number) == Decimal(number)
