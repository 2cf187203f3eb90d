"""What the judge found in Bundles of the adapter, and how it was mended: the smallest case of each.

A case that would become an invalid resource is refused, with the place and the remedy.
"""

from __future__ import annotations

from typing import Any

import pytest

from mappings import MappingError, encode, load_case, to_fhir
from tests.judge.accepted import OF_BUNDLES, rest
from tests.judge.judge import Judge
from tests.judge.test_judge import HEAD, NOW

pytestmark = pytest.mark.xdist_group("judge")


def _weight(**fields: Any) -> dict[str, Any]:
    measured = {"value": {"quantity": {"value": 70, "unit": "kg"}}, "when": {"at": "2020-01-01"}}
    return {"measurements": [{"key": "weight", "kind": "body-weight"} | measured | fields]}


def _refused_at(**sections: Any) -> list[str]:
    with pytest.raises(MappingError) as refused:
        load_case(HEAD | sections)
    return [issue.pointer for issue in refused.value.issues]


@pytest.mark.parametrize("value", [{"range": {"low": {"value": 69, "unit": "kg"}}}, {"text": "about 70"}], ids=str)
def test_vital_sign_is_a_quantity(value: Any) -> None:
    """R4's vital-signs profiles know a weight as a Quantity alone; a range or words need another code."""
    assert _refused_at(**_weight(value=value)) == ["/measurements/0/value"]


@pytest.mark.parametrize("when", [{"at": "2020-01"}, {"period": {"start": "2020-01-01", "end": "2020-01-02"}}], ids=str)
def test_vital_sign_has_a_day(when: Any) -> None:
    """R4 vs-1 wants a day: a month or a period is told in words."""
    assert _refused_at(**_weight(when=when)) == ["/measurements/0/when"]


def test_vital_sign_with_a_time_in_words(judge: Judge) -> None:
    """The remedy that the refusal names is one that the judge accepts."""
    bundle = to_fhir(load_case(HEAD | _weight(when={"absent": "as-text", "text": "January 2020"})), now=NOW)
    assert rest(judge.check(encode(bundle)), bundle, OF_BUNDLES) == []


@pytest.mark.parametrize("fields", [{"trend": "decreased"}, {"layer": "dermis"}, {"percent_change": 5}], ids=str)
def test_components_of_a_vital_sign(fields: Any) -> None:
    """R4 binds the components of a vital sign: their codes to vital signs, their values to units of these."""
    assert _refused_at(**_weight(**fields)) == [f"/measurements/0/{next(iter(fields))}"]


def test_range_of_two_units() -> None:
    """Nobody can say whether 1 mm is below 2 g (rng-2): the ends of a range share a unit."""
    value = {"range": {"low": {"value": 1, "unit": "mm"}, "high": {"value": 2, "unit": "g"}}}
    measurement = {"key": "m", "kind": "other", "code": {"text": "x"}, "value": value, "when": {"at": "2020-01-01"}}
    assert _refused_at(measurements=[measurement]) == ["/measurements/0/value/range"]


def test_document_without_content_type(judge: Judge) -> None:
    """An attachment without data says its content type or its language; ours says the language."""
    bundle = to_fhir(load_case(HEAD | {"documents": [{"key": "d", "label": "x"}]}), now=NOW)
    assert rest(judge.check(encode(bundle)), bundle, OF_BUNDLES) == []


def test_content_type_is_a_code() -> None:
    """Attachment.contentType is a media type, without spaces at its ends."""
    assert _refused_at(documents=[{"key": "d", "label": "x", "content_type": " text/plain"}]) == [
        "/documents/0/content_type"
    ]


def test_quality_with_the_code_of_its_finding() -> None:
    """A component that has the Observation's own code beside a value breaks obs-7."""
    code = {"codings": [{"system": "http://loinc.org", "code": "8709-8"}]}
    finding = {"key": "f", "code": code, "presence": "present", "when": {"at": "2020-01-01"}}
    finding["qualities"] = [{"code": code, "value": {"text": "x"}}]
    assert _refused_at(findings=[finding]) == ["/findings/0/qualities/0/code"]
