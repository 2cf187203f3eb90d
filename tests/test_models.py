"""The typed view: what fhir.resources makes of our Bundles, and how it refuses others without telling values."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapter.models import as_model
from mappings import MappingError, encode, from_fhir, load_case, to_fhir

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("published-case", "synthetic-course", "minimal")
SECRET = "Erika Mustermann 1961"


def bundle_of(name: str, **options: Any) -> dict[str, Any]:
    return to_fhir(load_case((EXAMPLES / name / "case.json").read_bytes()), now="2024-07-15T10:00:00Z", **options)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bundle_type", ["collection", "document", "transaction"])
def test_models_accept_every_example_in_every_form(name: str, bundle_type: str) -> None:
    """Each Bundle that is made of an example is a valid fhir.resources.R4B Bundle with all its entries."""
    bundle = bundle_of(name, bundle_type=bundle_type)
    model = as_model(bundle)
    assert [entry.resource.get_resource_type() for entry in model.entry] == [
        entry["resource"]["resourceType"] for entry in bundle["entry"]
    ]


def test_model_is_a_view_with_attributes_and_exact_numbers() -> None:
    """A quantity is an attribute of the model, and its number is the Decimal that was written, not a float's."""
    bundle = bundle_of("synthetic-course")
    written = [e["resource"]["valueQuantity"]["value"] for e in bundle["entry"] if "valueQuantity" in e["resource"]]
    read = [
        e.resource.valueQuantity.value for e in as_model(bundle).entry if getattr(e.resource, "valueQuantity", None)
    ]
    assert len(written) > 10
    assert [Decimal(value) for value in written] == read
    assert {type(value) for value in read} == {Decimal}


def test_model_leaves_the_bundle_as_it_is() -> None:
    """The dict is what is sent: making the view of it changes nothing in it, digits included."""
    bundle = bundle_of("synthetic-course")
    before = encode(bundle)
    as_model(bundle)
    assert encode(bundle) == before


def test_a_model_is_read_like_the_bundle_it_views() -> None:
    """`from_fhir` takes the model and finds the same case; only closing zeros are the model's to lose."""
    case = load_case((EXAMPLES / "published-case" / "case.json").read_bytes())
    assert from_fhir(as_model(to_fhir(case)))[0] == case


def _patient(bundle: dict[str, Any]) -> dict[str, Any]:
    return next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient")


def _wrong_value(bundle: dict[str, Any]) -> None:
    _patient(bundle)["birthDate"] = SECRET


def _wrong_type(bundle: dict[str, Any]) -> None:
    _patient(bundle)["gender"] = {"text": SECRET}


def _unknown_member(bundle: dict[str, Any]) -> None:
    _patient(bundle)["surname"] = SECRET


def _unprintable_member(bundle: dict[str, Any]) -> None:
    _patient(bundle)[SECRET] = "x"


def _no_type(bundle: dict[str, Any]) -> None:
    del bundle["type"]


def _two_choices(bundle: dict[str, Any]) -> None:
    _patient(bundle).update(deceasedBoolean=False, deceasedDateTime="2024", maidenName=SECRET)


def _unknown_resource(bundle: dict[str, Any]) -> None:
    bundle["entry"].append({"resource": {"resourceType": SECRET}})


def _resource_type_of_another_type(bundle: dict[str, Any]) -> None:
    _patient(bundle)["contained"] = [{"resourceType": {SECRET: SECRET}}]


REFUSED: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (_wrong_value, "/entry/0/resource/birthDate"),
    (_wrong_type, "/entry/0/resource/gender"),
    (_unknown_member, "/entry/0/resource/surname"),
    (_unprintable_member, "/entry/0/resource"),
    (_no_type, "/type"),
    (_two_choices, "/entry/0/resource/maidenName"),
    (_unknown_resource, "/entry/3/resource/resourceType"),
    (_resource_type_of_another_type, "/entry/0/resource/contained/0/resourceType"),
]


@pytest.mark.parametrize(("break_it", "pointer"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_refusal_names_the_element_and_never_the_value(
    break_it: Callable[[dict[str, Any]], None], pointer: str
) -> None:
    """What fhir.resources refuses is told by path and rule; its own message, which quotes the value, is not."""
    bundle = copy.deepcopy(bundle_of("minimal"))
    break_it(bundle)
    with pytest.raises(MappingError) as caught:
        as_model(bundle)
    issues = caught.value.issues
    assert pointer in [issue.pointer for issue in issues]
    assert {issue.code for issue in issues} == {"r4"}
    assert all(issue.rule for issue in issues)
    assert "Mustermann" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("document", [{}, [], None, 5, {"resourceType": "Patient"}])
def test_only_a_bundle_has_a_view(document: Any) -> None:
    """Anything but a Bundle is refused as such."""
    with pytest.raises(MappingError) as caught:
        as_model(document)
    assert [issue.code for issue in caught.value.issues] == ["not-fhir"]


def test_a_float_is_refused_before_it_can_lose_digits() -> None:
    """A Python float has no exact digits, so a Bundle with one gets no view."""
    with pytest.raises(MappingError) as caught:
        as_model({"resourceType": "Bundle", "type": "collection", "total": 1.5})
    assert [(issue.code, issue.pointer) for issue in caught.value.issues] == [("python-float", "/total")]


def test_nothing_heavy_is_imported_with_the_package() -> None:
    """fhir.resources and Flask are loaded by those who use them, not by a command that shows a table."""
    code = (
        "import sys, adapter, adapter.models, adapter.cli;"
        "print([m for m in ('flask', 'fhir.resources', 'pydantic', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
