"""The case document <-> `Case`, and its JSON Schema, which tells other tools what a case may hold."""

from __future__ import annotations

from dataclasses import is_dataclass
from decimal import Decimal
from typing import Any

from mappings import wire
from mappings.case import Case
from mappings.check import approve, is_whole, need_case
from mappings.compiled import Seen, read, write
from mappings.report import Json
from mappings.shape import Shape, shapes
from mappings.values import GREATEST, LINE, LONGEST, Quantity


def load_case(source: bytes | str | dict[str, Any]) -> Case:
    """A `Case` from its JSON document: bytes, text, or a dict whose numbers are int or `Decimal`.

    Raises `MappingError` whose ``issues`` list everything that is wrong.
    """
    seen = Seen()
    try:
        case: Case = read(Case, wire.parsed(source) if isinstance(source, bytes | str) else source, seen)
        if is_whole(case, seen):
            approve(case)
            return case
    except (ValueError, RecursionError):
        pass
    from mappings.explain import explained  # marshmallow is heavy, and needed for what is wrong only

    return explained(wire.decode(source) if isinstance(source, bytes | str) else source)


def dump_case(case: Case) -> dict[str, Any]:
    """The case document as plain JSON values; numbers are `Decimal` and keep their digits.

    Raises `MappingError` for what is no `Case`.
    """
    need_case(case)
    return write(case)


def case_json_schema() -> dict[str, Json]:
    """The JSON Schema (2020-12) of the case document; rules between fields are in its descriptions."""
    definitions: dict[str, Json] = {}
    root = _definition(Case, definitions)
    definitions.pop("Case")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Scleromyxedema case",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _definition(cls: type, definitions: dict[str, Json]) -> dict[str, Json]:
    made: dict[str, Json] = {"type": "object", "description": (cls.__doc__ or "").strip()}
    definitions[cls.__name__] = made
    made["properties"] = {s.json_name: _property(s, definitions) for s in shapes(cls).values()}
    made["required"] = [s.json_name for s in shapes(cls).values() if s.required]
    made["additionalProperties"] = False
    return made


def _property(shape: Shape, definitions: dict[str, Json]) -> dict[str, Json]:
    if shape.many:
        distinct = {"uniqueItems": True} if shape.words or shape.refs is not None else {}
        least = {"minItems": 1} if shape.required else {}
        return {"type": "array", "items": _single(shape, definitions)} | least | distinct
    return _single(shape, definitions)


def _single(shape: Shape, definitions: dict[str, Json]) -> dict[str, Json]:
    if shape.choices:
        return {"anyOf": [_single(choice, definitions) for choice in shape.choices]}
    if is_dataclass(shape.type):
        if shape.type.__name__ not in definitions:
            _definition(shape.type, definitions)
        found: dict[str, Json] = {"$ref": f"#/$defs/{shape.type.__name__}"}
        if shape.type is Quantity and shape.units:
            found["properties"] = {"unit": {"enum": list(shape.units)}}
        if shape.forms:
            found["description"] = f"One of: {', '.join(shape.forms)}."
        return found
    found = {"type": {str: "string", int: "integer", bool: "boolean", Decimal: "number"}[shape.type]}
    if shape.words:
        found["enum"] = list(shape.words)
    if shape.texts:
        found |= {"pattern": f"^(?:{shape.texts[0].pattern})$", "description": shape.texts[0].meaning}
        if shape.texts == (LINE,):
            found["maxLength"] = LONGEST
    if shape.refs is not None:
        found["description"] = f"The key of {' or '.join(shape.refs) or 'any item'}."
    if shape.least is not None:
        found["minimum"] = shape.least
    if shape.type is int:
        found["maximum"] = GREATEST
    return found
