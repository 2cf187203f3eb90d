"""Bytes <-> plain JSON values, with every decimal digit kept and nothing ambiguous let in.

Numbers come in as `int` or `Decimal`, never `float`. Refused, each with line and column where
there is one: bytes that are not UTF-8, text that is not JSON, NaN and infinities, a member named
twice, lone surrogates, numbers of absurd length or size, nesting beyond `MAX_DEPTH`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from decimal import Decimal
from types import NoneType
from typing import Any

import msgspec

from mappings import locate
from mappings.report import Issue, MappingError

MAX_DEPTH = 64
MAX_DIGITS = 400
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class _Refused(ValueError):
    """A value inside the text cannot be kept."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _number(text: str) -> Decimal:
    if _absurd(text):
        raise _Refused("bad-number", f"A number has more than {MAX_DIGITS} characters, or digits before or after.")
    return Decimal(text)


def _integer(text: str) -> int | Decimal:
    return _number(text) if text == "-0" or len(text) > MAX_DIGITS else int(text)


def _absurd(text: str) -> bool:
    """Whether it is no number, too long to be meant, or so large or small that its digits could not be written."""
    exponent = text.lower().partition("e")[2].lstrip("+-0")
    return len(text) > MAX_DIGITS or len(exponent) > 3 or int(exponent or 0) > MAX_DIGITS or text[-1] in "Ny"


def _constant(text: str) -> Decimal:
    raise _Refused("bad-number", f"{text} is not a JSON number.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = sorted(name for name in counts if counts[name] > 1)[:3]
        raise _Refused("duplicate-name", f"A JSON object names a member twice: {', '.join(map(_shown, twice))}.")
    return members


def _shown(name: str) -> str:
    """A member's name as an error may show it: only if it looks like a FHIR or case field."""
    return repr(name) if re.fullmatch(r"_?[A-Za-z][A-Za-z0-9_]{0,40}", name) else "(a name not shown)"


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_int=_integer, parse_constant=_constant
)


def parsed(raw: bytes | str) -> Any:
    """The JSON value of ``raw``, for who bounds its depth and refuses surrogates himself; errors are not yet told."""
    return _DECODER.decode(_as_text(raw))


def decode(raw: bytes | str, deepest: int = MAX_DEPTH) -> Any:
    """The JSON value of ``raw``, nested no deeper than ``deepest``; a byte order mark is accepted.

    Raises `MappingError` with one issue, which gives line and column.
    """
    text = _as_text(raw)
    try:
        value = _DECODER.decode(text)
        if depth(value, deepest) > deepest:
            raise RecursionError
    except RecursionError:
        raise _refusal("too-deep", f"Nested deeper than {deepest}", text, locate.too_deep(text, deepest)) from None
    except json.JSONDecodeError as error:
        raise MappingError(Issue("not-json", f"Not JSON at line {error.lineno}, column {error.colno}.")) from None
    except _Refused as error:
        at = locate.twice(text) if error.code == "duplicate-name" else locate.number(text, _bad)
        raise _refusal(error.code, str(error).rstrip("."), text, at) from None
    if isinstance(raw, str) or b"\\u" in raw:
        _refuse_surrogates(value, text)
    return value


def _bad(token: str) -> bool:
    return token not in ("true", "false", "null") and _absurd(token)


def _refusal(code: str, message: str, text: str, offset: int) -> MappingError:
    return MappingError(Issue(code, f"{message} ({locate.place(text, offset)})."))


def _as_text(raw: bytes | str) -> str:
    if isinstance(raw, str):
        return raw.removeprefix("\ufeff")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise MappingError(Issue("not-utf8", f"Byte {error.start} (line {line}) is not UTF-8.")) from None


_CONTAINERS = frozenset((dict, list))


def depth(value: Any, most: int = MAX_DEPTH) -> int:
    """How deep the value is nested, counted to ``most + 1``."""
    level, levels = [value] if type(value) in _CONTAINERS else [], 0
    while level and levels <= most:
        levels += 1
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) in _CONTAINERS
        ]
    return levels


def _refuse_surrogates(value: Any, text: str) -> None:
    if any(map(_SURROGATE.search, _strings(value))):
        at = locate.string(text, _SURROGATE.search)
        raise _refusal("bad-text", "A string holds half of a surrogate pair", text, at)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)


def encode(value: Any, *, pretty: bool = False) -> bytes:
    """The JSON text of plain values in UTF-8: the same value, the same bytes.

    Decimals are written with their own digits. ``pretty`` indents by two and ends with a newline. The value is
    not looked at: that it is plain is for `to_fhir` and `dump_case`, whose results are, or for its maker.
    """
    raw = _ENCODER.encode(value)
    return msgspec.json.format(raw, indent=2) + b"\n" if pretty else raw


def _lines(raw: bytes | str, deepest: int) -> Any:
    """NDJSON: lines that are each a FHIR resource, as one collection; None where the text is one document."""
    text = _as_text(raw)
    lines = [(number, line) for number, line in enumerate(text.split("\n")) if line.strip()]
    if len(lines) < 2 or not all(line.lstrip()[0] == "{" and line.rstrip()[-1] == "}" for _, line in lines):
        return None
    entries = [{"resource": _line(number, line, deepest)} for number, line in lines]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def is_same_text(a: Any, b: Any) -> bool:
    """Whether two values surely have the same JSON text, members in the same order; soon told."""
    try:
        return bool(_ENCODER.encode(a) == _ENCODER.encode(b))
    except (UnicodeEncodeError, OverflowError):  # no JSON of ours: half of a surrogate pair, a number without end
        return False


def _line(number: int, line: str, deepest: int) -> Any:
    try:
        return decode(line, deepest)
    except MappingError:
        return decode("\n" * number + line, deepest)  # for the number of its line


def as_plain(document: Any, deepest: int = MAX_DEPTH) -> Any:
    """Plain JSON values of bytes, text, a dict, or a fhir.resources model (by its own JSON text)."""
    if isinstance(document, bytes | str):
        return _lines(document, deepest) or decode(document, deepest)
    if hasattr(document, "model_dump_json"):
        return decode(document.model_dump_json())
    return counted(document)[0]


def counted(document: Any) -> tuple[Any, int]:
    """`as_plain`, and how many leaves it has: one walk tells that, and that each value is plain."""
    if isinstance(document, bytes | str) or hasattr(document, "model_dump_json"):
        document = as_plain(document)
    try:
        return document, leaves(document)
    except TypeError:
        raise MappingError(_not_plain(document)) from None


TOO_DEEP = Issue("too-deep", expected=f"{MAX_DEPTH} levels or fewer")


def leaves(json: Any, apart: Collection[int] = ()) -> int:
    """How many leaves a plain JSON value has; an empty object or array counts as one.

    What is in it and ``apart`` (by its `id`) does not count. Raises `TypeError` for what is not plain, and
    `MappingError` (too-deep).
    """
    return _leaves({"": json}, apart, 0)


def _leaves(json: dict[str, Any], apart: Collection[int], level: int) -> int:
    """The leaves of an object that so many others are around."""
    if level >= _LAST and level + depth(json, 2) > MAX_DEPTH + 1:
        raise MappingError(TOO_DEEP)
    count = 0
    for one in json.values():
        kind = type(one)
        if kind is str:
            count += 1
        elif kind is dict and one:
            if not apart or id(one) not in apart:
                count += _leaves(one, apart, level + 1)
        elif kind is list and one:
            for item in one:  # here, since nearly half of all objects are in a list
                kind = type(item)
                if kind is dict and item:
                    if not apart or id(item) not in apart:
                        count += _leaves(item, apart, level + 2)
                elif kind is str:
                    count += 1
                elif kind is list:
                    count += _leaves({"": item}, apart, level + 1)
                elif kind in _JSON or (kind is Decimal and item.is_finite()):
                    count += 1
                else:
                    raise TypeError(kind)
        elif kind in _JSON or (kind is Decimal and one.is_finite()):
            count += 1
        else:
            raise TypeError(kind)
    return count


_LAST = MAX_DEPTH - 1  # a list in an object that is so deep is the deepest that may be
_JSON = frozenset((int, bool, NoneType, dict, list, str))
_TYPES = "dict, list, str, int, Decimal, bool or None"


def _not_plain(document: Any) -> list[Issue]:
    other = Issue("wrong-type", "A value has a type that JSON does not have.", expected=_TYPES)
    try:
        return list(refuse_floats(document)) or [other]
    except RecursionError:
        return [TOO_DEEP]


def refuse_floats(value: Any, pointer: str = "") -> Iterator[Issue]:
    """An issue for each Python float, and for each Decimal that is not finite."""
    if isinstance(value, float):
        yield Issue("python-float", pointer=pointer)
    elif isinstance(value, Decimal):
        if not value.is_finite():
            yield Issue("bad-number", pointer=pointer)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from refuse_floats(member, f"{pointer}/{escape(str(name))}")
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            yield from refuse_floats(member, f"{pointer}/{index}")


def escape(name: str) -> str:
    """A member's name as one step of a JSON pointer (RFC 6901)."""
    return name if name.isalnum() else name.replace("~", "~0").replace("/", "~1")


def steps(pointer: str) -> list[str]:
    """The members and places that a JSON pointer leads through."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
