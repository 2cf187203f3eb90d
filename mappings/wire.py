"""Bytes <-> plain JSON values, with every decimal digit kept and nothing ambiguous let in.

Numbers come in as `int` or `Decimal`, never `float`. Refused, each with line and column where
there is one: bytes that are not UTF-8, text that is not JSON, NaN and infinities, a member named
twice, lone surrogates, numbers of absurd length, nesting beyond `MAX_DEPTH`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from types import NoneType
from typing import Any

import msgspec

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
    if len(text) > MAX_DIGITS:
        raise _Refused("bad-number", f"A number has more than {MAX_DIGITS} characters.")
    return Decimal(text)


def _integer(text: str) -> int | Decimal:
    if len(text) > MAX_DIGITS:
        raise _Refused("bad-number", f"A number has more than {MAX_DIGITS} characters.")
    return Decimal(text) if text == "-0" else int(text)


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


def decode(raw: bytes | str) -> Any:
    """The JSON value of ``raw``; a byte order mark is accepted.

    Raises `MappingError` with one issue, which gives line and column.
    """
    text = _as_text(raw)
    try:
        value = _DECODER.decode(text)
        if depth(value) > MAX_DEPTH:
            raise RecursionError
    except RecursionError:
        where = _place(text, _deepest_allowed(text))
        raise MappingError(Issue("too-deep", f"Nested deeper than {MAX_DEPTH}, {where}.")) from None
    except json.JSONDecodeError as error:
        raise MappingError(Issue("not-json", f"Not JSON at line {error.lineno}, column {error.colno}.")) from None
    except _Refused as error:
        raise MappingError(Issue(error.code, f"{error}{_hint(text, error.code)}")) from None
    if isinstance(raw, str) or b"\\u" in raw:
        _refuse_surrogates(value)
    return value


def _as_text(raw: bytes | str) -> str:
    if isinstance(raw, str):
        return raw.removeprefix("\ufeff")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise MappingError(Issue("not-utf8", f"Byte {error.start} (line {line}) is not UTF-8.")) from None


_CONTAINERS = frozenset((dict, list))
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


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


def _deepest_allowed(text: str) -> int:
    """The offset at which the nesting first goes too deep."""
    open_now = 0
    for match in _STRUCTURE.finditer(text):
        open_now += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match.group(), 0)
        if open_now > MAX_DEPTH:
            return match.start()
    return 0


def _place(text: str, offset: int) -> str:
    return f"line {text.count(chr(10), 0, offset) + 1}, column {offset - text.rfind(chr(10), 0, offset)}"


def _hint(text: str, code: str) -> str:
    """Line and column of the first bad constant, where a search can tell."""
    if code != "bad-number":
        return ""
    match = re.search(rf"(?<![\w\"])-?(?:NaN|Infinity|[0-9.eE+-]{{{MAX_DIGITS + 1},}})", text)
    return f" ({_place(text, match.start())})" if match else ""


def _refuse_surrogates(value: Any) -> None:
    for text in _strings(value):
        if _SURROGATE.search(text):
            raise MappingError(Issue("bad-text", "A string holds half of a surrogate pair."))


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

    Decimals are written with their own digits. ``pretty`` indents by two and ends with a newline.
    """
    raw = _ENCODER.encode(value)
    return msgspec.json.format(raw, indent=2) + b"\n" if pretty else raw


def _lines(raw: bytes | str) -> Any:
    """NDJSON: lines that are each a FHIR resource, as one collection; None where the text is one document."""
    text = _as_text(raw)
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) < 2 or not all(line.lstrip().startswith("{") and line.rstrip().endswith("}") for line in lines):
        return None
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": decode(line)} for line in lines]}


def is_same_text(a: Any, b: Any) -> bool:
    """Whether two values surely have the same JSON text, members in the same order; soon told."""
    try:
        return bool(_ENCODER.encode(a) == _ENCODER.encode(b))
    except (UnicodeEncodeError, OverflowError):  # no JSON of ours: half of a surrogate pair, a number without end
        return False


def as_plain(document: Any) -> Any:
    """Plain JSON values of bytes, text, a dict, or a fhir.resources model (by its own JSON text)."""
    if isinstance(document, bytes | str):
        return _lines(document) or decode(document)
    if hasattr(document, "model_dump_json"):
        return decode(document.model_dump_json())
    if has_floats(document):
        raise MappingError(list(refuse_floats(document)))
    return document


def has_floats(value: Any) -> bool:
    """Whether there is a Python float, or a Decimal that is not finite, anywhere."""
    kind = type(value)
    for one in value.values() if kind is dict else value if kind is list else (value,):
        kind = type(one)
        if kind is dict or kind is list:
            if has_floats(one):
                return True
        elif kind not in _JSON and not (kind is Decimal and one.is_finite()):
            return True
    return False


_JSON = frozenset((str, int, bool, NoneType))


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
    return name.replace("~", "~0").replace("/", "~1")
