"""The typed view of a Bundle: fhir.resources (pydantic) models for developers who want attributes and completion."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mappings import Issue, MappingError, encode
from mappings.report import Json
from mappings.wire import as_plain, escape

if TYPE_CHECKING:
    from fhir.resources.R4B.bundle import Bundle


def as_model(bundle: dict[str, Json]) -> Bundle:
    """The Bundle as a ``fhir.resources.R4B`` model.

    The model is a view and never the serializer: it writes 1.80 as 1.8, rounds long numbers and
    respells times. What is sent is the dict itself (`mappings.encode`), which keeps every digit.
    The model gets the JSON text, so that no number goes through a float on the way in.

    Raises `MappingError` with an issue for each element that fhir.resources refuses: its path
    and the name of the rule, never its value. Acceptance says little: these models know
    neither code bindings nor FHIR's invariants.
    """
    from fhir.resources.R4B.bundle import Bundle
    from pydantic import ValidationError

    plain = as_plain(bundle)
    if not isinstance(plain, dict) or plain.get("resourceType") != "Bundle":
        raise MappingError(Issue("not-fhir", pointer="/resourceType", path="resourceType", expected="a FHIR R4 Bundle"))
    if unknown := list(_unknown_types(plain, [])):
        raise MappingError(unknown)
    try:
        return Bundle.model_validate_json(encode(plain))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    raise MappingError([_refused(str(one["type"]), one["loc"]) for one in found])


def _unknown_types(json: Json, steps: list[str | int]) -> Iterator[Issue]:
    """An issue for each resourceType that fhir.resources has no model for; it raises other errors for them."""
    from fhir.resources.R4B import get_fhir_model_class

    if isinstance(json, dict):
        if "resourceType" in json:
            try:
                get_fhir_model_class(json["resourceType"])
            except (KeyError, TypeError, ValueError):
                yield _refused("unknown-resource-type", [*steps, "resourceType"])
        for name, value in json.items():
            yield from _unknown_types(value, [*steps, name])
    elif isinstance(json, list):
        for index, value in enumerate(json):
            yield from _unknown_types(value, [*steps, index])


def _refused(rule: str, location: Sequence[str | int]) -> Issue:
    """What fhir.resources refuses, as an issue: pydantic's own messages may quote values, so they are left out."""
    steps = [step for step in location if isinstance(step, int) or _NAME.fullmatch(step)]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    pointer = "".join(f"/{escape(str(step))}" for step in steps)
    return Issue("r4", f"fhir.resources refuses the element ({rule}).", f"Bundle{path}", pointer, rule=rule)


#: What a member's name may look like to be shown.
_NAME: re.Pattern[str] = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,40}")
