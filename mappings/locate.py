"""Where in a JSON text something is wrong: a second look, once it is known that something is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}:]|[^\s\[\]{}:,"]++', re.DOTALL)


def place(text: str, offset: int) -> str:
    """An offset as people read it."""
    return f"line {text.count(chr(10), 0, offset) + 1}, column {offset - text.rfind(chr(10), 0, offset)}"


def string(text: str, wrong: Callable[[str], object]) -> int:
    """The offset of the first string of which this is true."""
    return next((at for at, token in _tokens(text) if token[0] == '"' and wrong(json.loads(token))), 0)


def number(text: str, wrong: Callable[[str], object]) -> int:
    """The offset of the first number, or what stands for one, of which this is true."""
    return next((at for at, token in _tokens(text) if token[0] not in '"[]{}:' and wrong(token)), 0)


def too_deep(text: str, most: int) -> int:
    """The offset at which the nesting first goes deeper than this."""
    open_now = 0
    for at, token in _tokens(text):
        open_now += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token, 0)
        if open_now > most:
            return at
    return 0


def twice(text: str) -> int:
    """The offset of the first member whose name its object has already."""
    objects: list[set[str]] = []
    before = (0, "")
    for at, token in _tokens(text):
        if token in "[{":
            objects.append(set())
        elif token in "]}":
            objects.pop()
        elif token == ":":
            name = json.loads(before[1])
            if name in objects[-1]:
                return before[0]
            objects[-1].add(name)
        before = at, token
    return 0


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    return ((match.start(), match.group()) for match in _TOKEN.finditer(text))
