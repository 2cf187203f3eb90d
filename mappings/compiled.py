"""The shapes of the dataclasses as straight-line Python, compiled when a class is first met.

``read`` makes a dataclass of its plain document and ``look`` looks at one that was made; both know what is sound
and raise `Odd`, without a word, at the first thing that is not surely so: `check` and `explain` say what it is.
What the parts of a case say of each other is gathered in `Seen`. ``write`` makes the plain document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from mappings.shape import Shape, shapes, unit_paths
from mappings.straight import Script
from mappings.values import (
    GREATEST,
    LINE,
    LONGEST,
    MOST_PLACES,
    UNFIT,
    Item,
    Quantity,
    Relative,
    Text,
    ValueOrAbsent,
    When,
)


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


def _names_each(text: Text) -> bool:
    """Whether the pattern names each character that may be: then it admits none that is unfit."""
    return "[^" not in text.pattern and "\\S" not in text.pattern


@cache
def _compiled(way: str, cls: Any) -> Callable[..., Any]:
    return (_Writing if way == "write" else _Checking)(way, cls).compiled()


def _unfrozen(cls: type) -> type:
    """The class with fields that can be set, for an instance that is frozen by its ``__class__`` when all are.

    The constructor of a frozen dataclass sets each by a call, which is half of the time that reading takes.
    """
    members = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(cls.__name__, (cls,), members)


T = TypeVar("T")


def maker(cls: type[T]) -> Callable[..., T]:
    """The constructor of a dataclass, all by name; as `_unfrozen`, without a call for each field."""
    return _maker(cls)  # type: ignore[arg-type]  # mypy: a class is no Hashable


@cache
def _maker(cls: Any) -> Callable[..., Any]:
    given = {one.name: "" if one.default is MISSING else f"={one.default!r}" for one in fields(cls)}
    parameters = ", ".join(name + default for name, default in given.items())
    script = Script(cls.__name__, "make", f"*, {parameters}", {"cls": cls, "new": object.__new__})
    _make(script, cls, {name: name for name in given})
    script.say("return made")
    return script.compiled()


def _make(script: Script, cls: type, values: dict[str, str]) -> None:
    """Say how ``made`` comes to be of the values of its fields."""
    script.say(f"made = new({script.name(_unfrozen(cls), 'unfrozen')})")
    script.say(*(f"made.{name} = {value}" for name, value in values.items()), "made.__class__ = cls")
    if hasattr(cls, "__post_init__"):
        script.say("made.__post_init__()")


class _Function(Script):
    """One function for one dataclass."""

    def __init__(self, way: str, cls: type, parameters: str, names: dict[str, Any]) -> None:
        super().__init__(cls.__name__, way, parameters, names)
        self.way, self.cls, self.known = way, cls, tuple(shapes(cls).values())

    def of(self, cls: type) -> str:
        """The name of the same function for another dataclass."""
        return self.name(_compiled(self.way, cls), f"{self.way}_{cls.__name__}")


class _Writing(_Function):
    """``write(made)``."""

    def __init__(self, way: str, cls: type) -> None:
        super().__init__(way, cls, "made", {})
        self.say("out = {}")
        for shape in self.known:
            self.say(f"value = made.{shape.name}")
            with self.under("if value:" if shape.many else "if value is not None:"):
                plain = self.plain(shape, "one" if shape.many else "value")
                if shape.many:
                    plain = "list(value)" if plain == "one" else f"[{plain} for one in value]"
                self.say(f"out[{shape.json_name!r}] = {plain}")
        self.say("return out")

    def plain(self, shape: Shape, var: str) -> str:
        """The plain value of one."""
        if shape.choices:
            other = next(choice for choice in shape.choices if choice.is_object)
            return f"{var} if type({var}) is str else {self.of(other.type)}({var})"
        return f"{self.of(shape.type)}({var})" if shape.is_object else var


class _Checking(_Function):
    """``read(made, item, seen)`` or ``look(made, item, seen)``, of what belongs to the item of a key."""

    def __init__(self, way: str, cls: type) -> None:
        names = {"Odd": Odd, "Decimal": Decimal, "unfit": UNFIT.search, "cls": cls, "new": object.__new__}
        super().__init__(way, cls, "made, item, seen", names)
        self.reading = way == "read"
        self.refuse(f"type(made) is not {'dict' if self.reading else 'cls'}")
        if self.reading:
            self.say(f"get, more = made.get, len(made) - {sum(shape.required for shape in self.known)}")
        for shape in self.known:
            self.field(shape)
        if self.reading:
            self.refuse("more")  # a member that is unknown, or null
            _make(self, cls, {shape.name: f"_{shape.name}" for shape in self.known})
        if hasattr(cls, "rules"):
            self.say("for _ in made.rules():", "    raise Odd")
        if cls is Relative:
            self.say("seen.times.append((item, made))")
        self.say("return made")

    def refuse(self, condition: str) -> None:
        """Refuse what is under a condition."""
        self.say(f"if {condition}:", "    raise Odd")

    def field(self, shape: Shape) -> None:
        """One field, in the variable ``_FIELD``."""
        var, given = f"_{shape.name}", ""
        self.say(f"{var} = get({shape.json_name!r})" if self.reading else f"{var} = made.{shape.name}")
        if shape.many and self.reading and not shape.required:
            self.say(f"if {var} is None:", f"    {var} = ()")
            given = "else:"
        elif not shape.many and not shape.required:
            given = f"if {var} is not None:"
        with self.under(given):
            if given and self.reading:
                self.say("more -= 1")
            (self.several if shape.many else self.single)(shape, var)
        if shape.name == "key" and issubclass(self.cls, Item):
            self.refuse(f"{var} in seen.kinds")
            self.say(f"item = {var}", f"seen.kinds[item] = {self.cls.__name__!r}")

    def several(self, shape: Shape, var: str) -> None:
        """A list, or a tuple."""
        self.refuse(f"type({var}) is not {'list' if self.reading else 'tuple'}")
        if shape.required:
            self.refuse(f"not {var}")
        anew = self.reading and (shape.is_object or shape.choices or shape.type is Decimal)
        if anew:
            self.say("found = []")
        with self.under(f"for one in {var}:"):
            self.single(shape, "one")
            if anew:
                self.say("found.append(one)")
        if shape.words or shape.refs is not None:
            self.refuse(f"len(set({var})) != len({var})")
        if self.reading:
            self.say(f"{var} = tuple({'found' if anew else var})")

    def single(self, shape: Shape, var: str) -> None:
        """One value."""
        if shape.choices:
            text, other = sorted(shape.choices, key=lambda choice: choice.is_object)
            with self.under(f"if type({var}) is str:"):
                self.single(text, var)
            with self.under("else:"):
                self.single(other, var)
        elif shape.is_object:
            self.say(f"{var} = {self.of(shape.type)}({var}, item, seen)")
            for condition in self.wrong_object(shape, var):
                self.refuse(condition)
        else:
            if self.reading and shape.type is Decimal:
                self.say(f"if type({var}) is int:", f"    {var} = Decimal({var})")
            self.refuse(" or ".join((f"type({var}) is not {shape.type.__name__}", *self.wrong_plain(shape, var))))
            if shape.refs is not None:
                self.say(f"seen.references.append(({var}, {self.name(shape.refs, 'kinds')}))")

    def wrong_plain(self, shape: Shape, var: str) -> Iterator[str]:
        """What may be wrong with a value of the right type."""
        if shape.words:
            yield f"{var} not in {self.name(frozenset(shape.words), 'words')}"
        elif shape.type is str:
            unfit = f"not {var}.isprintable() and unfit({var})"
            fits = [f"not {self.name(text.test, 'fits')}({var})" for text in shape.texts]
            long = f"len({var}) > {LONGEST}"
            if shape.texts == (LINE,):  # which all is that can be printed
                yield f"not {var} or {long} or (not {var}.isprintable() and (unfit({var}) or {fits[0]}))"
            else:
                yield from fits if any(_names_each(text) for text in shape.texts) else (long, f"({unfit})", *fits)
        elif shape.type is int:
            yield f"not {-GREATEST - 1 if shape.least is None else shape.least} <= {var} <= {GREATEST}"
        elif shape.type is Decimal:
            yield f"not {var}.is_finite() or not {-MOST_PLACES} < {var}.adjusted() < {MOST_PLACES}"

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
