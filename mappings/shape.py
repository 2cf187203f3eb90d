"""What a dataclass field may hold, read once from its annotation.

The schema of the case document, the checks of the tables at import and the JSON Schema all ask
here, so that a field's type, units, words and references are declared in one place: on the field.
"""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any, Literal

from mappings.values import AtLeast, Forms, Ref, Text, Units


@dataclass(frozen=True, slots=True)
class Shape:
    """One field: ``type`` is str, int, bool, Decimal, a dataclass, or `object` for ``choices``.

    ``is_object`` says that the type is a dataclass. ``words`` are the values of a Literal;
    ``choices`` the alternatives of a union; ``many`` a tuple. ``json_name`` is the name in the
    case document (a trailing underscore goes).
    """

    name: str
    type: type
    required: bool
    many: bool = False
    words: tuple[Any, ...] = ()
    choices: tuple[Shape, ...] = ()
    texts: tuple[Text, ...] = ()
    refs: tuple[str, ...] | None = None
    units: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    least: int | None = None

    json_name: str = ""
    is_object: bool = False


def shapes(cls: type) -> dict[str, Shape]:
    """The fields of a dataclass, in order."""
    return _shapes(cls)


@cache
def _shapes(cls: Any) -> dict[str, Shape]:
    hints = typing.get_type_hints(cls, include_extras=True)
    found = {}
    for field in fields(cls):
        required = field.default is MISSING and field.default_factory is MISSING
        shape = _shape(field.name, hints[field.name], required)
        found[field.name] = replace(shape, json_name=field.name.rstrip("_"), is_object=is_dataclass(shape.type))
    return found


@cache
def unit_paths(cls: Any) -> tuple[tuple[str, ...], ...]:
    """Where the units of a value stand: of a quantity, of both ends of a range, of a value in one of these forms."""
    inner = [(name, shape.type) for name, shape in shapes(cls).items() if name in ("low", "high", "quantity", "range")]
    own = (("unit",),) if "unit" in shapes(cls) else ()
    return (*own, *((name, *path) for name, type_ in inner for path in unit_paths(type_)))


def _shape(name: str, hint: Any, required: bool) -> Shape:
    extra: dict[str, Any] = {"texts": ()}
    many = False
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            _marks(extra, typing.get_args(hint)[1:])
            hint = typing.get_args(hint)[0]
        elif origin is tuple:
            many, hint = True, typing.get_args(hint)[0]
        elif origin in (typing.Union, types.UnionType):
            rest = [arg for arg in typing.get_args(hint) if arg is not type(None)]
            if len(rest) > 1:
                choices = tuple(_shape(name, arg, required) for arg in rest)
                choices = tuple(replace(c, json_name=name, is_object=is_dataclass(c.type)) for c in choices)
                return Shape(name, object, required, many, choices=choices, **extra)
            hint = rest[0]
        elif origin is Literal:
            words = typing.get_args(hint)
            return Shape(name, type(words[0]), required, many, words=words, **extra)
        else:
            if not (hint in (str, int, bool, Decimal) or is_dataclass(hint)):
                raise TypeError(f"{name}: {hint!r} is no type that a case can hold")
            return Shape(name, hint, required, many, **extra)


def _marks(extra: dict[str, Any], marks: tuple[Any, ...]) -> None:
    for mark in marks:
        match mark:
            case Text():
                extra["texts"] = (*extra["texts"], mark)
            case Ref():
                extra["refs"] = mark.kinds
            case Units():
                extra["units"] = mark.codes
            case Forms():
                extra["forms"] = mark.names
            case AtLeast():
                extra["least"] = mark.least
