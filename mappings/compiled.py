"""The shapes of the dataclasses as straight-line Python, compiled when a class is first met.

``read`` makes a dataclass of its plain document and ``look`` looks at one that was made; both know what is sound
and raise `Odd`, without a word, at the first thing that is not surely so: `check` and `explain` say what it is.
What the parts of a case say of each other is gathered in `Seen`. ``write`` makes the plain document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

from mappings.shape import Shape, shapes, unit_paths
from mappings.values import GREATEST, UNFIT, Item, Quantity, Relative, ValueOrAbsent, When


class Odd(ValueError):
    """Not surely sound."""


@dataclass(slots=True)
class Seen:
    """What the parts of a case say of each other: keys with their kinds, references, relative times by item."""

    kinds: dict[str, str] = field(default_factory=lambda: {"patient": "Patient"})
    references: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    times: list[tuple[str, Relative]] = field(default_factory=list)


def read(cls: type, document: Any, seen: Seen) -> Any:
    """The dataclass of a plain document; raises `Odd`, or what the dataclass raises of itself: another `ValueError`."""
    return _compiled("read", cls)(document, "patient", seen)


def look(made: Any, seen: Seen) -> None:
    """Raise `Odd` unless a dataclass and all below it are sound."""
    _compiled("look", made.__class__)(made, "patient", seen)


def write(made: Any) -> dict[str, Any]:
    """The plain document of a dataclass; what is not given is left out."""
    return _compiled("write", made.__class__)(made)  # type: ignore[no-any-return]


@cache
def _compiled(way: str, cls: Any) -> Callable[..., Any]:
    text = (_Writing if way == "write" else _Checking)(way, cls)
    exec(compile(text.source(), f"<{way} {cls.__name__}>", "exec"), text.names)
    return text.names[way]  # type: ignore[no-any-return]


def _unfrozen(cls: type) -> type:
    """The class with fields that can be set, for an instance that is frozen by its ``__class__`` when all are.

    The constructor of a frozen dataclass sets each by a call, which is half of the time that reading takes.
    """
    members = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(cls.__name__, (cls,), members)


class _Function:
    """The text of one function for one dataclass; ``names`` is what it refers to."""

    def __init__(self, way: str, cls: type) -> None:
        self.way, self.cls, self.known = way, cls, tuple(shapes(cls).values())
        self.names: dict[str, Any] = {}
        self.lines: list[str] = []

    def line(self, depth: int, *texts: str) -> None:
        """Lines at a depth of indentation."""
        self.lines += ["    " * depth + text for text in texts]

    def name(self, value: Any, hint: str) -> str:
        """A name for a value."""
        hints = (hint, *(f"{hint}{n}" for n in range(2, 99)))
        return next(name for name in hints if self.names.setdefault(name, value) is value)

    def of(self, cls: type) -> str:
        """The name of the same function for another dataclass."""
        return self.name(_compiled(self.way, cls), f"{self.way}_{cls.__name__}")


class _Writing(_Function):
    """``write(made)``."""

    def source(self) -> str:
        """The text."""
        self.line(0, "def write(made):", "    out = {}")
        for shape in self.known:
            plain = self.plain(shape, "one" if shape.many else "value")
            self.line(1, f"value = made.{shape.name}", "if value:" if shape.many else "if value is not None:")
            if shape.many:
                plain = "list(value)" if plain == "one" else f"[{plain} for one in value]"
            self.line(2, f"out[{shape.json_name!r}] = {plain}")
        self.line(1, "return out")
        return "\n".join(self.lines)

    def plain(self, shape: Shape, var: str) -> str:
        """The plain value of one."""
        if shape.choices:
            other = next(choice for choice in shape.choices if choice.is_object)
            return f"{var} if type({var}) is str else {self.of(other.type)}({var})"
        return f"{self.of(shape.type)}({var})" if shape.is_object else var


class _Checking(_Function):
    """``read(made, item, seen)`` or ``look(made, item, seen)``, of what belongs to the item of a key."""

    def source(self) -> str:
        """The text."""
        self.names |= {"Odd": Odd, "Decimal": Decimal, "unfit": UNFIT.search, "cls": self.cls, "new": object.__new__}
        self.reading = self.way == "read"
        self.line(0, f"def {self.way}(made, item, seen):")
        self.refuse(1, f"type(made) is not {'dict' if self.reading else 'cls'}")
        if self.reading:
            self.line(1, f"get, more = made.get, len(made) - {sum(shape.required for shape in self.known)}")
        for shape in self.known:
            self.field(shape)
        if self.reading:
            self.refuse(1, "more")  # a member that is unknown, or null
            self.line(1, f"made = new({self.name(_unfrozen(self.cls), 'unfrozen')})")
            self.line(1, *(f"made.{shape.name} = _{shape.name}" for shape in self.known), "made.__class__ = cls")
            if hasattr(self.cls, "__post_init__"):
                self.line(1, "made.__post_init__()")
        if hasattr(self.cls, "rules"):
            self.line(1, "for _ in made.rules():", "    raise Odd")
        if self.cls is Relative:
            self.line(1, "seen.times.append((item, made))")
        self.line(1, "return made")
        return "\n".join(self.lines)

    def refuse(self, depth: int, condition: str) -> None:
        """Refuse what is under a condition."""
        self.line(depth, f"if {condition}:", "    raise Odd")

    def field(self, shape: Shape) -> None:
        """One field, in the variable ``_FIELD``."""
        var, depth = f"_{shape.name}", 1
        self.line(1, f"{var} = get({shape.json_name!r})" if self.reading else f"{var} = made.{shape.name}")
        if not shape.required and (self.reading or not shape.many):
            depth = 2
            if shape.many:
                self.line(1, f"if {var} is None:", f"    {var} = ()", "else:")
            else:
                self.line(1, f"if {var} is not None:")
            if self.reading:
                self.line(2, "more -= 1")
        if shape.many:
            self.several(depth, shape, var)
        else:
            self.single(depth, shape, var)
        if shape.name == "key" and issubclass(self.cls, Item):
            self.refuse(1, f"{var} in seen.kinds")
            self.line(1, f"item = {var}", f"seen.kinds[item] = {self.cls.__name__!r}")

    def several(self, depth: int, shape: Shape, var: str) -> None:
        """A list, or a tuple."""
        self.refuse(depth, f"type({var}) is not {'list' if self.reading else 'tuple'}")
        if shape.required:
            self.refuse(depth, f"not {var}")
        anew = self.reading and (shape.is_object or shape.choices or shape.type is Decimal)
        if anew:
            self.line(depth, "found = []")
        self.line(depth, f"for one in {var}:")
        self.single(depth + 1, shape, "one")
        if anew:
            self.line(depth + 1, "found.append(one)")
        if shape.words or shape.refs is not None:
            self.refuse(depth, f"len(set({var})) != len({var})")
        if self.reading:
            self.line(depth, f"{var} = tuple({'found' if anew else var})")

    def single(self, depth: int, shape: Shape, var: str) -> None:
        """One value."""
        if shape.choices:
            text, other = sorted(shape.choices, key=lambda choice: choice.is_object)
            self.line(depth, f"if type({var}) is str:")
            self.single(depth + 1, text, var)
            self.line(depth, "else:")
            self.single(depth + 1, other, var)
        elif shape.is_object:
            self.line(depth, f"{var} = {self.of(shape.type)}({var}, item, seen)")
            for condition in self.wrong_object(shape, var):
                self.refuse(depth, condition)
        else:
            if self.reading and shape.type is Decimal:
                self.line(depth, f"if type({var}) is int:", f"    {var} = Decimal({var})")
            conditions = (f"type({var}) is not {shape.type.__name__}", *self.wrong_plain(shape, var))
            self.refuse(depth, " or ".join(conditions))
            if shape.refs is not None:
                self.line(depth, f"seen.references.append(({var}, {self.name(shape.refs, 'kinds')}))")

    def wrong_plain(self, shape: Shape, var: str) -> Iterator[str]:
        """What may be wrong with a value of the right type."""
        if shape.words:
            yield f"{var} not in {self.name(frozenset(shape.words), 'words')}"
        elif shape.type is str:
            yield f"(not {var}.isprintable() and unfit({var}))"
            yield from (f"not {self.name(text.test, 'fits')}({var})" for text in shape.texts)
        elif shape.type is int:
            yield f"not {-GREATEST - 1 if shape.least is None else shape.least} <= {var} <= {GREATEST}"
        elif shape.type is Decimal:
            yield f"not {var}.is_finite()"

    def wrong_object(self, shape: Shape, var: str) -> Iterator[str]:
        """What may be wrong with a sound dataclass in this field: its form, its units, a comparator."""
        if shape.forms:
            forms = (*shape.forms, "text") if shape.type is When else shape.forms
            yield from (f"{var}.{name} is not None" for name in shapes(shape.type) if name not in forms)
        for path in unit_paths(shape.type) if shape.units else ():
            steps = [".".join((var, *path[: end + 1])) for end in range(len(path))]
            given = "".join(f"{step} is not None and " for step in steps[:-1])
            yield f"{given}{steps[-1]} not in {self.name(frozenset(shape.units), 'units')}"
        if shape.type is Quantity and self.cls is not ValueOrAbsent:
            yield f"{var}.comparator is not None"
