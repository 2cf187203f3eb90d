"""Straight-line Python: what the rows of an element do, as the text of one function.

Rows say their part of it in lines (`Row.writes`, `Row.reads`); the objects that a line needs go by a name.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def anew(json: Any) -> Callable[[], Any]:
    """A function that makes a plain JSON value of our own, anew each time."""
    made: Callable[[], Any] = eval(f"lambda: {json!r}")
    return made


class Script:
    """The text of one function under way."""

    def __init__(self, about: str, name: str, parameters: str, names: dict[str, Any]) -> None:
        self.about, self.title, self.names = about, name, dict(names)
        self.lines = [f"def {name}({parameters}):"]
        self._depth = 1

    def say(self, *lines: str) -> None:
        """Lines at this depth."""
        self.lines += ["    " * self._depth + line for line in lines]

    @contextmanager
    def under(self, head: str) -> Iterator[None]:
        """What is said in the block stands under this line; under none, at the same depth."""
        if head:
            self.say(head)
            self._depth += 1
        yield
        if head:
            self._depth -= 1

    def name(self, thing: Any, hint: str = "") -> str:
        """A name for an object; a method is called after its class: `write_When_3`."""
        owner = type(getattr(thing, "__self__", None)).__name__
        name = f"{hint or f'{thing.__name__}_{owner}'}_{len(self.names)}"
        self.names[name] = thing
        return name

    @property
    def text(self) -> str:
        """The function as Python text."""
        return "\n".join([*self.lines, "    return", ""])

    def compiled(self) -> Callable[..., Any]:
        """The function; a debugger and a traceback show its text."""
        file = f"<{self.about}: {self.title}>"
        linecache.cache[file] = len(self.text), None, self.text.splitlines(True), file
        exec(compile(self.text, file, "exec"), self.names)
        found: Callable[..., Any] = self.names[self.title]
        return found
