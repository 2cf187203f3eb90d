"""What the judge found in Bundles of the adapter and is not mended yet: each the smallest case that shows it.

A test that begins to pass is a finding that was mended: take its mark away, and its entry out of
``accepted.REPORTED``.
"""

from __future__ import annotations

from typing import Any

import pytest

from mappings import encode, load_case, to_fhir
from tests.judge.accepted import OF_BUNDLES, rest
from tests.judge.judge import Judge
from tests.judge.test_judge import HEAD, NOW

pytestmark = pytest.mark.xdist_group("judge")
REASON = "a finding of the judge, reported"


def _verdict(judge: Judge, **sections: Any) -> list[str]:
    bundle = to_fhir(load_case(HEAD | sections), now=NOW)
    return rest(judge.check(encode(bundle)), bundle, OF_BUNDLES)


def _weight(**fields: Any) -> dict[str, Any]:
    measured = {"value": {"quantity": {"value": 70, "unit": "kg"}}, "when": {"at": "2020-01-01"}}
    return {"measurements": [{"key": "weight", "kind": "body-weight"} | measured | fields]}


@pytest.mark.xfail(strict=True, reason=REASON)
@pytest.mark.parametrize("value", [{"range": {"low": {"value": 69, "unit": "kg"}}}, {"text": "about 70"}], ids=str)
def test_vital_sign_is_a_quantity(judge: Judge, value: Any) -> None:
    """R4's vital-signs profiles know a weight as a Quantity alone; a range or words need another code, or refusal."""
    assert _verdict(judge, **_weight(value=value)) == []


@pytest.mark.xfail(strict=True, reason=REASON)
@pytest.mark.parametrize("fields", [{"trend": "decreased"}, {"layer": "dermis"}, {"percent_change": 5}], ids=str)
def test_components_of_a_vital_sign(judge: Judge, fields: Any) -> None:
    """R4 binds the components of a vital sign: their codes to vital signs, their values to units of these."""
    assert _verdict(judge, **_weight(**fields)) == []


@pytest.mark.xfail(strict=True, reason=REASON)
def test_range_of_two_units(judge: Judge) -> None:
    """Nobody can say whether 1 mm is below 2 g (rng-2): the ends of a range share a unit."""
    value = {"range": {"low": {"value": 1, "unit": "mm"}, "high": {"value": 2, "unit": "g"}}}
    measurement = {"key": "m", "kind": "other", "code": {"text": "x"}, "value": value, "when": {"at": "2020-01-01"}}
    assert _verdict(judge, measurements=[measurement]) == []


@pytest.mark.xfail(strict=True, reason=REASON)
def test_document_without_content_type(judge: Judge) -> None:
    """An attachment without data says its content type or its language; a source document may say neither."""
    assert _verdict(judge, documents=[{"key": "d", "label": "x"}]) == []


@pytest.mark.xfail(strict=True, reason=REASON)
def test_content_type_is_a_code(judge: Judge) -> None:
    """``content_type`` takes any line of text, Attachment.contentType a code: no spaces at its ends."""
    assert _verdict(judge, documents=[{"key": "d", "label": "x", "content_type": " text/plain"}]) == []


@pytest.mark.xfail(strict=True, reason=REASON)
def test_quality_with_the_code_of_its_finding(judge: Judge) -> None:
    """A component that has the Observation's own code beside a value breaks obs-7."""
    code = {"codings": [{"system": "http://loinc.org", "code": "8709-8"}]}
    finding = {"key": "f", "code": code, "presence": "present", "when": {"at": "2020-01-01"}}
    assert _verdict(judge, findings=[{**finding, "qualities": [{"code": code, "value": {"text": "x"}}]}]) == []
