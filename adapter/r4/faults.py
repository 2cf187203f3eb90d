"""What a check finds, and the state of one run.

A check returns ``None`` where all is well, else its faults. A path is built on the way out, only where
there is a fault: each level adds its own step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from adapter.r4.rules import table
from mappings.report import Issue, Severity

Json = Any
#: The most problems that one run lists; a hostile document may hold millions.
MOST = 5000
#: The most levels of resources, extensions, sections and identifiers inside each other.
DEEPEST = 48
NAME = 60


@cache
def texts() -> dict[str, list[str]]:
    """Read what is said of each rule: key -> severity, message, expected, remedy."""
    lines = Path(__file__).with_name("texts.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {key: rest for key, *rest in (line.split("\t") for line in lines)}


class Fault:
    """One broken rule: its key in ``texts.tsv`` or its invariant id, values for the text, and its place.

    The place is kept from the element up: (JSON step, FHIRPath step).
    """

    __slots__ = ("expected", "key", "values", "where")

    def __init__(self, key: str, values: tuple[Json, ...], expected: str) -> None:
        self.key, self.values, self.expected = key, values, expected
        self.where: list[tuple[str, str]] = []

    def issue(self, root: str) -> Issue:
        """The fault as an issue below a root such as ``Bundle``."""
        steps = self.where[::-1]
        path = root + "".join(step if step.startswith("[") else "." + step for _, step in steps)
        pointer = "".join("/" + step for step, _ in steps)
        if self.key in texts():
            severity, message, expected, remedy = (text.format(*self.values) for text in texts()[self.key])
        else:
            (severity, message, _), expected = table().invariants[self.key], ""
            remedy = "Mend the element as the rule says."
        level: Severity = "warning" if severity == "warning" else "error"
        rule = self.key.partition("/")[0]
        return Issue("r4", message, path, pointer, self.expected or expected, remedy, level, rule=rule)


Faults = list[Fault]
#: Looks at a value; a rule looks at an object whose members have been checked.
Check = Callable[[Json, "Run"], "Faults | None"]
Rule = Check
#: Stands for a fault that is not listed any more.
UNLISTED = Fault("limit", (), "")


class Run:
    """The state of one run: how deep it is, how much was found, and what the references lead to."""

    __slots__ = (
        "base", "bundle", "contained", "count", "deep", "ids", "inside", "kinds", "owner", "sound", "tick", "units",
    )  # fmt: skip

    def __init__(self, tick: Callable[[], None] | None = None) -> None:
        #: called once an entry
        self.tick = tick
        self.deep = self.count = 0
        #: of the resource that is being checked: its type, its element ids, what it contains, whether it is contained
        self.owner = ""
        self.ids: set[str] = set()
        self.contained: dict[str, str] = {}
        self.inside = False
        #: Codings and Quantities that are sound, and rare units that were looked at
        self.sound: set[tuple[Json, ...]] = set()
        self.units: set[str] = set()
        #: the Bundle, the base of the entry's fullUrl, and reference -> type that it leads to, "" if unknown
        self.bundle: Any = None
        self.base = ""
        self.kinds: dict[str, str] = {}

    def fault(self, key: str, *values: Json, expected: str = "") -> Faults:
        """Note one fault."""
        self.count += 1
        return [Fault(key, values, expected) if self.count <= MOST else UNLISTED]


def at(faults: Faults, step: Json, shown: str = "") -> Faults:
    """Put one step in front of the faults' places."""
    if not faults:
        return faults
    name = printable(step)
    pair = name.replace("~", "~0").replace("/", "~1"), shown or name.removeprefix("_")
    for fault in faults:
        if fault is not UNLISTED:
            fault.where.append(pair)
    return faults


def item(faults: Faults, index: int) -> Faults:
    """Put an array index in front of the faults' places."""
    return at(faults, str(index), f"[{index}]")


def join(first: Faults | None, second: Faults | None) -> Faults | None:
    """Put two findings together."""
    if not first or not second:
        return first or second
    first += second
    return first


def printable(text: Json) -> str:
    """Shorten a name and escape what a screen cannot show."""
    if type(text) is not str:
        return "?"
    short = text if len(text) <= NAME else text[:NAME] + "…"
    return short if short.isprintable() else short.encode("ascii", "backslashreplace").decode()


def quoted(code: Json) -> str:
    """Quote a code; a text that does not look like one is not quoted."""
    plain = type(code) is str and 0 < len(code) <= 40 and code.isprintable() and " " not in code
    return f" '{code}'" if plain else ""
