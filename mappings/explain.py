"""What is wrong with a case document: one marshmallow schema, derived from the dataclasses.

Strict: unknown fields, nulls, strings for numbers and Python floats are refused. Every problem is
reported at once, each with its JSON pointer. A document in which nothing is wrong never comes here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import marshmallow as ma

from mappings import wire
from mappings.case import Case
from mappings.check import issue, places, problems, rule_issues
from mappings.report import Issue, MappingError
from mappings.shape import Shape, shapes
from mappings.values import SIZE, of_size

_SEPARATOR = "\x1f"  # between an issue code and what was expected, in marshmallow's messages


def _message(code: str, expected: str = "") -> str:
    return f"{code}{_SEPARATOR}{expected}"


class _Strict(ma.fields.Field[Any]):
    """A JSON primitive of exactly one type, and of these words if there are any."""

    def __init__(self, shape: Shape, **more: Any) -> None:
        super().__init__(error_messages=_MESSAGES, **more)
        self.shape = shape

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        kind = self.shape.type
        if type(value) is float or (type(value) is Decimal and not value.is_finite()):
            raise ma.ValidationError(_message("python-float" if type(value) is float else "bad-number"))
        if kind is Decimal and type(value) in (int, Decimal):
            if not of_size(number := Decimal(value)):
                raise ma.ValidationError(_message("bad-number", SIZE))
            return number
        if type(value) is not kind:
            raise ma.ValidationError(_message("wrong-type", _TYPE_WORDS[kind]))
        if self.shape.words and value not in self.shape.words:
            words = ", ".join(str(w).lower() if w is True else str(w) for w in self.shape.words)
            raise ma.ValidationError(_message("bad-value", f"one of {words}"))
        return value


_TYPE_WORDS = {str: "a string", int: "a whole number", bool: "true or false", Decimal: "a number"}
_MESSAGES: dict[str, Any] = {
    "required": _message("missing-field"),
    "null": _message("wrong-type", "a value; leave the field out"),
}


class _Union(ma.fields.Field[Any]):
    """A string or an object, as the annotation says."""

    def __init__(self, shape: Shape, **more: Any) -> None:
        super().__init__(error_messages=_MESSAGES, **more)
        self.choices = {choice.type is str: _one(choice) for choice in shape.choices}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str | dict):
            raise ma.ValidationError(_message("wrong-type", "a string or an object"))
        return self.choices[isinstance(value, str)].deserialize(value, attr, data)


class _Many(ma.fields.List[Any]):
    """A list -> a tuple."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, list):
            raise ma.ValidationError(_message("wrong-type", "an array"))
        return tuple(super()._deserialize(value, attr, data, **kwargs))


class _Object(ma.Schema):
    """The schema of one dataclass; what is loaded is the dataclass."""

    cls: type
    error_messages = {  # noqa: RUF012 (marshmallow's own name)
        "type": _message("wrong-type", "an object"),
        "unknown": _message("unknown-field"),
    }

    class Meta:
        unknown = ma.RAISE

    @ma.post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> Any:
        """The dataclass; what contradicts itself is an error of the object."""
        try:
            return self.cls(**data)
        except ValueError as error:
            raise ma.ValidationError(_message("rule", str(error))) from None


def _one(shape: Shape, **more: Any) -> ma.fields.Field[Any]:
    if shape.choices:
        return _Union(shape, **more)
    if is_dataclass(shape.type):
        return ma.fields.Nested(schema_of(shape.type), error_messages=_MESSAGES, **more)
    return _Strict(shape, **more)


@cache
def schema_of(cls: Any) -> type[ma.Schema]:
    """The marshmallow schema of a dataclass."""
    made: dict[str, Any] = {"cls": cls}
    for name, shape in shapes(cls).items():
        more: dict[str, Any] = {"required": shape.required, "data_key": shape.json_name}
        if shape.many:
            made[name] = _Many(_one(shape), error_messages=_MESSAGES, **more)
        else:
            made[name] = _one(shape, **more)
    return type(f"{cls.__name__}Schema", (_Object,), made)


@cache
def _schema(cls: Any) -> ma.Schema:
    return schema_of(cls)()


def explained(document: Any) -> Case:
    """The `Case` of a document, checked one by one; raises `MappingError` that lists everything that is wrong."""
    if not isinstance(document, dict):
        raise MappingError(issue("wrong-type", "", "a JSON object: the case"))
    if wire.depth(document) > wire.MAX_DEPTH:
        raise MappingError(wire.TOO_DEEP)
    issues = list(wire.refuse_floats(document))
    case: Case | None = None
    try:
        case = _schema(Case).load(document)
    except ma.ValidationError as error:
        issues += _issues(error.messages, "")
    issues += problems(document)
    if case is not None and not issues:
        issues = problems(case)
    elif issues:
        issues += _rules_of_sound_parts(document)
    if issues or case is None:
        raise MappingError(_distinct(issues))
    return case


def _rules_of_sound_parts(document: dict[str, Any]) -> Iterator[Issue]:
    """What the parts of a refused document that can be made say against themselves."""
    for place in places(document, Case):
        if hasattr(place.shape.type, "rules") and isinstance(place.value, dict):
            try:
                made = _schema(place.shape.type).load(place.value)
            except ma.ValidationError:
                continue
            yield from rule_issues(made, place.pointer)


def _issues(messages: Any, pointer: str) -> Iterator[Issue]:
    """marshmallow's nested messages as issues."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from _issues(inner, pointer if name == "_schema" else f"{pointer}/{wire.escape(str(name))}")
        return
    for message in messages:
        code, _, expected = message.partition(_SEPARATOR)
        yield issue(code, pointer, expected)


def _distinct(issues: list[Issue]) -> list[Issue]:
    """Each problem once: of several with one code at one place the first."""
    seen: dict[tuple[str, str], Issue] = {}
    for one in issues:
        seen.setdefault((one.pointer, one.code), one)
    return list(seen.values())
