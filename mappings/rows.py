"""The rows of a table: where a fact lives in a resource. Each row writes, reads, and checks itself; those of one
element are compiled to two functions (`Rows`), which `fhir-adapter table --compiled CONCEPT` shows.

``at`` an element; ``inside`` a nested element; ``extension`` and ``component``, found by their
url or code; ``fixed`` and ``also`` for what is always written. Choice elements (`when`, `value`)
are in `choices`; references and items of several resources in `many`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mappings.codec import (
    Codec,
    ReferenceCodec,
    Said,
    Unread,
    _need,
    contradiction,
    has_code,
    no_doubt,
    no_modifier,
    read_inside,
    term_json,
)
from mappings.compiled import maker
from mappings.report import Json
from mappings.shape import Shape, shapes
from mappings.straight import Script
from mappings.terms import Term
from mappings.values import Concept

if TYPE_CHECKING:
    from mappings.resource import Reading, Writing

Shapes = dict[str, Shape]
Steps = list[str | int]


class Row:
    """One row. ``fields`` are the case fields that it maps.

    ``field`` is the one without which there is nothing to write, ``member`` the JSON member without which there is
    nothing to read; empty if no one is. ``parts`` are (member, field, codec) of what the row writes, where no path
    of it tells. A row has the methods ``write`` and ``read``, or says in lines of Python what they would do.
    """

    fields: tuple[str, ...] = ()
    field: str = ""
    member: str = ""
    parts: tuple[tuple[str, str, Codec | None], ...] = ()

    def bind(self, known: Shapes) -> None:
        """Check the row against the dataclass, at import."""

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        """Put the item's facts into the element."""
        raise NotImplementedError("a row that says what it writes is run as one of `Rows`")

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        """Take the facts out of the element; what is not understood is left there."""
        raise NotImplementedError("a row that says what it reads is run as one of `Rows`")

    def writes(self, script: Script, out: str) -> None:
        """Say how the row is written: by its method, unless it knows better."""
        if type(self).write is not Row.write:
            script.say(f"{script.name(self.write)}(item, {out}, to)")

    def reads(self, script: Script, obj: str) -> None:
        """Say how the row is read, likewise."""
        if type(self).read is not Row.read:
            script.say(f"{script.name(self.read)}({obj}, by, into)")

    @property
    def is_silent(self) -> bool:
        """Whether the row writes nothing: it only looks at what is read."""
        return type(self).write is Row.write and type(self).writes is Row.writes

    def settle(self, resource: dict[str, Json], dropped: Callable[[str, Json], None]) -> None:
        """Take out foreign content that the resource's new facts make untrue."""


class Rows(tuple[Row, ...]):
    """The rows of one element, in their order, run both ways: as two functions, compiled at first use."""

    about, known = "", Shapes()

    def bind(self, about: str, known: Shapes) -> None:
        """Check the rows against the dataclass that they map; ``about`` names them."""
        self.about, self.known = about, known
        for row in self:
            row.bind(known)

    def writes(self, script: Script, out: str) -> None:
        """Say how the rows are written; a row whose ``field`` is not given is passed over."""
        for row in (row for row in self if not row.is_silent):
            shape, head = self.known[row.field] if row.field else None, ""
            if shape is not None and (shape.many or not shape.required):
                head = f"if item.{row.field}{'' if shape.many else ' is not None'}:"
            with script.under(head):
                row.writes(script, out)

    def reads(self, script: Script, obj: str) -> None:
        """Say how the rows are read; a row whose ``member`` is not there is passed over."""
        extensions = [row for row in self if isinstance(row, Extension)]
        for row in self:
            silent = type(row).read is Row.read and type(row).reads is Row.reads
            if silent or row in extensions[1:]:  # which are read with the first of them
                continue
            with script.under(f"if {row.member!r} in {obj}:" if row.member else ""):
                if row in extensions:
                    read_listed(script, obj, extensions)
                else:
                    row.reads(script, obj)

    @cached_property
    def writing(self) -> Script:
        """The text of `write`."""
        script = Script(self.about, "write", "item, out, to", {})
        self.writes(script, "out")
        script.say("return out")
        return script

    @cached_property
    def reading(self) -> Script:
        """The text of what `read` does within the element."""
        script = Script(self.about, "read", "obj, by, into", _READING)
        script.say("if 'modifierExtension' in obj:", "    no_modifier(obj)")
        self.reads(script, "obj")
        return script

    @cached_property
    def write(self) -> Callable[[Any, dict[str, Json], Writing], dict[str, Json]]:
        """Put an item's facts into the element, and give it."""
        return self.writing.compiled()

    @cached_property
    def read(self) -> Callable[[dict[str, Json], Reading, dict[str, Any]], None]:
        """Take the facts out of an element."""
        return self.reading.compiled()


# --- paths ----------------------------------------------------------------------------------


class Path:
    """Where an element lies in another: ``name.name``; ``name[0]`` is the first of a list.

    ``steps`` are the names as they were given, ``at`` the same as steps through JSON, ``only`` is the one name of a
    path that has no more.
    """

    def __init__(self, text: str) -> None:
        self.steps = tuple(text.split("."))
        self.names = tuple((step.removesuffix("[0]"), step.endswith("[0]")) for step in self.steps)
        self.at: Steps = [step for name, first in self.names for step in ((name, 0) if first else (name,))]
        self.member, first = self.names[0]
        self.only = None if first or len(self.steps) > 1 else self.member

    def gets(self, script: Script, obj: str) -> str:
        """The expression of the value there, or `MISSING`; one member is known to be there."""
        return f"{obj}[{self.only!r}]" if self.only else f"{script.name(self.get)}({obj})"

    def puts(self, script: Script, out: str, value: str) -> None:
        """Say that the value of an expression is written there."""
        for name, first in self.names[:-1]:
            out = f"{out}.setdefault({name!r}, [{{}}])[0]" if first else f"{out}.setdefault({name!r}, {{}})"
        name, first = self.names[-1]
        script.say(f"{out}[{name!r}] = {f'[{value}]' if first else value}")

    def get(self, obj: dict[str, Json]) -> Json:
        """The value there, or `MISSING`."""
        here: Json = obj
        for name, first in self.names:
            if not isinstance(here, dict):
                raise Unread("wrong-type", "The element has another shape.", "a JSON object")
            no_modifier(here)
            here = here.get(name, MISSING)
            if first and here is not MISSING:
                here = _need(here, list, "a JSON array")
                here = here[0] if here else MISSING
            if here is MISSING:
                return MISSING
        return here

    def put(self, out: dict[str, Json], value: Json) -> None:
        """Write the value there, making what lies on the way."""
        for name, first in self.names[:-1]:
            out = out.setdefault(name, [{}])[0] if first else out.setdefault(name, {})
        name, first = self.names[-1]
        out[name] = [value] if first else value


# --- single elements ------------------------------------------------------------------------


class At(Row):
    """A field at a path; a field of many values is a list there."""

    def __init__(self, path: str, codec: Codec, field: str) -> None:
        self.path, self.codec, self.field, self.fields = Path(path), codec, field, (field,)
        self.member = self.path.member
        #: the list where others add to it, of which the field is one
        self.list = Path(path.removesuffix("[0]")) if path.endswith("[0]") else None

    def bind(self, known: Shapes) -> None:
        self.shape = known[self.field]
        self.codec = self.codec.bound(self.shape)

    def writes(self, script: Script, out: str) -> None:
        value = f"item.{self.field}"
        many = f"[{self.codec.writes(script, 'one')} for one in {value}]"
        self.path.puts(script, out, many if self.shape.many else self.codec.writes(script, value))

    def reads(self, script: Script, obj: str) -> None:
        if self.list is not None:
            return super().reads(script, obj)
        with trying(script, ", ".join(map(repr, self.path.at)), self.shape.required):
            script.say(f"json = {self.path.gets(script, obj)}")
            with script.under("" if self.path.only else "if json is not MISSING:"):
                self.takes(script, repr(self.path.at))

    def takes(self, script: Script, at: str) -> None:
        """Say what becomes of the ``json`` that lies ``at`` these steps."""
        if not self.shape.many:
            return script.say(f"into[{self.field!r}] = {self.codec.reads(script, 'json', at)}")
        script.say(f"found = read_many(need(json, list, 'a JSON array'), {script.name(self.codec, 'codec')}, by, {at})")
        with script.under("if found:"):
            script.say(f"into[{self.field!r}] = distinct({script.name(self.shape, 'shape')}, found)")

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        """Of a list that others add to, the first item that is understood."""
        assert self.list is not None
        path, fault = self.list, None
        try:
            json = path.get(obj)
            for index, one in enumerate(() if json is MISSING else _need(json, list, "a JSON array")):
                try:
                    into[self.field] = by.inside((*path.at, index), self.codec.read, one, by)
                    return
                except Unread as error:
                    fault = fault or error.at(index)
                    if error.code == "modifier":
                        break
            if fault is not None:
                raise fault
        except Unread as error:
            _left(error.at(*path.at), self.shape.required, by)


@contextmanager
def trying(script: Script, steps: str, required: bool) -> Iterator[None]:
    """What is said in the block may find that an element at ``steps`` cannot be read."""
    with script.under("try:"):
        yield
    with script.under("except Unread as error:"):
        script.say(f"left(error.at({steps}), {required}, by)")


def _left(error: Unread, required: bool, by: Reading) -> None:
    """A field that must be there takes its resource with it; another is left in the rest."""
    if required or error.code == "modifier":
        raise error
    by.unread(error)


def read_many(items: list[Json], codec: Codec, by: Reading, steps: Steps) -> tuple[Any, ...]:
    """Each item that can be read, in order."""
    found = []
    for index, json in enumerate(items):
        try:
            found.append(by.inside((*steps, index), codec.read, json, by))
        except Unread as error:
            if error.code == "modifier":
                raise error.at(index) from None
            by.unread(error.at(*steps, index))
    return tuple(found)


def distinct(shape: Shape, found: Iterable[Any]) -> tuple[Any, ...]:
    """The values of a list; words and keys each once, for a case names none twice."""
    return tuple(dict.fromkeys(found) if shape.words or shape.refs is not None else found)


def at(path: str, codec: Codec, field: str) -> Row:
    """A field at an element: ``at("bodySite", concept(), "site")``; ``name[0]`` is one of a list, the first so read."""
    return At(path, codec, field)


class OnlyOne(At):
    """A field of many values where this resource type has room for one (its rules say so)."""

    def writes(self, script: Script, out: str) -> None:
        self.path.puts(script, out, self.codec.writes(script, f"item.{self.field}[0]"))

    def takes(self, script: Script, at: str) -> None:
        script.say(f"into[{self.field!r}] = ({self.codec.reads(script, 'json', at)},)")


def only_one(path: str, codec: Codec, field: str) -> Row:
    """A field of many values where this resource type has room for one."""
    return OnlyOne(path, codec, field)


class Fixed(Row):
    """A concept that is always written; where ``verify``, the resource must have it."""

    def __init__(self, path: str, term: Term, verify: bool) -> None:
        self.path, self.term, self.verify = Path(path), term, verify

    def writes(self, script: Script, out: str) -> None:
        free, every = (repr(term_json(self.term, optional)) for optional in (False, True))
        self.path.puts(script, out, free if free == every else f"{every} if to.optional_codes else {free}")

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        if self.verify:
            json = obj.get(self.path.only) if self.path.only else self.path.get(obj)
            if not has_code(json, self.term.pairs):
                raise Unread("unmapped-code", "The code is another one.", self.term.code).at(*self.path.at)


def fixed(path: str, term: Term) -> Row:
    """A concept that makes the resource what it is: written always, verified on reading."""
    return Fixed(path, term, verify=True)


def also(path: str, term: Term) -> Row:
    """A concept that is written for the benefit of others and not needed on reading."""
    return Fixed(path, term, verify=False)


class Constant(Row):
    """A code that a resource of this table always has, such as a status that the case does not tell."""

    def __init__(self, path: str, term: Term) -> None:
        self.path, self.term = Path(path), term

    def writes(self, script: Script, out: str) -> None:
        self.path.puts(script, out, repr(self.term.code))

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        json = self.path.get(obj)
        if json == "entered-in-error":
            raise Unread("entered-in-error", "The record is marked as entered in error.").at(*self.path.at)
        if json != self.term.code:
            raise Unread("unmapped-code", "The code is another one.", self.term.code).at(*self.path.at)


def constant(path: str, term: Term) -> Row:
    """A bare code that is written always and verified on reading."""
    return Constant(path, term)


class Derived(Row):
    """An element that follows from the item or its owner, or is always the same: written, compared, never read."""

    def __init__(self, path: str, make: Callable[[Any, Writing], Json] | Json) -> None:
        self.path, self.make = Path(path), make

    def writes(self, script: Script, out: str) -> None:
        if not callable(self.make):
            return self.path.puts(script, out, repr(self.make))
        script.say(f"made = {script.name(self.make, 'make')}(item, to)")
        with script.under("if made is not None:"):
            self.path.puts(script, out, "made")


def derived(path: str, make: Callable[[Any, Writing], Json] | Json) -> Row:
    """An element that others need and that follows from the case, or is always this: it is no fact of its own."""
    return Derived(path, make)


class Flag(Row):
    """A field that is True or not given <-> a concept that is there or not."""

    def __init__(self, path: str, field: str, on: Term, off: Term | None) -> None:
        self.path, self.flag, self.fields, self.on, self.off = Path(path), field, (field,), on, off
        self.list = Path(path.removesuffix("[0]"))

    def bind(self, known: Shapes) -> None:
        if known[self.flag].words != (True,):
            raise TypeError(f"field {self.flag} is no Literal[True]")

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        term = self.on if getattr(item, self.flag) else self.off
        if term is not None:
            self.path.put(out, term_json(term, to.optional_codes))

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        json = self.list.get(obj)
        concepts = json if isinstance(json, list) else [json]
        if any(has_code(one, self.on.pairs) for one in concepts):
            into[self.flag] = True
        elif self.off is not None and not any(has_code(one, self.off.pairs) for one in concepts):
            raise Unread("unmapped-code", "The code is another one.", self.off.code).at(*self.path.at)


def flag(path: str, field: str, on: Term, off: Term | None = None) -> Row:
    """True <-> the concept ``on``; not given <-> the concept ``off``, or none."""
    return Flag(path, field, on, off)


# --- nested elements ------------------------------------------------------------------------


class Nest(Row):
    """Rows of the same item that live in a nested element, made only if one of them writes."""

    def __init__(self, rows: tuple[Row, ...]) -> None:
        self.rows = Rows(rows)
        self.fields = tuple(field for row in rows for field in row.fields)

    def bind(self, known: Shapes) -> None:
        """Bind the rows."""
        self.rows.bind("", known)

    def writes(self, script: Script, out: str) -> None:
        """Say how the rows are written into a new element, which is attached unless it stays empty."""
        inner = f"{out}_{len(script.lines)}"
        script.say(f"{inner} = {{}}")
        self.rows.writes(script, inner)
        with script.under(f"if {inner}:"):
            self.attach(script, out, inner)

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        """Read the rows from the element, if it is there."""
        try:
            found, steps = self.find(obj)
        except Unread as error:
            return _left(error, False, by)
        if found is not None:
            try:
                by.inside(steps, self.rows.read, found, by, into)
            except Unread as error:
                raise error.at(*steps) from None

    def attach(self, script: Script, out: str, inner: str) -> None:
        """Say how the new element comes into its place."""
        raise NotImplementedError

    def find(self, obj: dict[str, Json]) -> tuple[dict[str, Json] | None, Steps]:
        """The element and its path."""
        raise NotImplementedError


class Inside(Nest):
    """A nested element at a path."""

    def __init__(self, path: str, rows: tuple[Row, ...]) -> None:
        super().__init__(rows)
        self.path = Path(path)
        self.member = self.path.member

    def attach(self, script: Script, out: str, inner: str) -> None:
        self.path.puts(script, out, inner)

    def find(self, obj: dict[str, Json]) -> tuple[dict[str, Json] | None, Steps]:
        json = self.path.get(obj)
        if json is MISSING:
            return None, []
        if not isinstance(json, dict):
            raise Unread("wrong-type", "The element has another shape.", "a JSON object").at(*self.path.at)
        return json, self.path.at


class InList(Nest):
    """A nested element in a list, found by its url or its code."""

    def __init__(
        self, name: str, head: Callable[[], dict[str, Json]], is_it: Callable[[Json], bool], rows: tuple[Row, ...]
    ) -> None:
        super().__init__(rows)
        self.name, self.head, self.is_it, self.member = name, head, is_it, name

    def attach(self, script: Script, out: str, inner: str) -> None:
        script.say(f"{out}.setdefault({self.name!r}, []).append({self.head()!r} | {inner})")

    def find(self, obj: dict[str, Json]) -> tuple[dict[str, Json] | None, Steps]:
        for index, json in enumerate(_list(obj, self.name)):
            if isinstance(json, dict) and self.is_it(json):
                try:
                    no_doubt(json)
                    if error := contradiction(json):
                        raise error
                except Unread as error:
                    raise error.at(self.name, index) from None
                return json, [self.name, index]
        return None, []


def _list(obj: dict[str, Json], name: str) -> list[Json]:
    json = obj.get(name, ())
    return json if isinstance(json, list) else []


def inside(path: str, *rows: Row) -> Row:
    """Rows within a nested element."""
    return Inside(path, rows)


def inside_extension(url: str, *rows: Row) -> Row:
    """Rows within a complex extension."""
    return InList("extension", lambda: {"url": url}, lambda json: bool(json.get("url") == url), rows)


def component(term: Term, *rows: Row) -> Row:
    """Rows within the component of an Observation that has this code."""

    return InList(
        "component", lambda: {"code": term_json(term)}, lambda json: has_code(json.get("code"), term.pairs), rows
    )


def own_code(item: Any, code: Concept, **terms: Term) -> Iterator[tuple[str, str]]:
    """A rule of items with a value: the component that a given field is must not have the item's code (FHIR obs-7)."""
    mine = {(coding.system, coding.code) for coding in code.codings}
    for name, term in terms.items():
        if getattr(item, name) is not None and mine & term.pairs:
            yield name, "nothing, or another code of the item: its component would have the same (FHIR obs-7)"


class Listed(Row):
    """A field whose values share a list with others: ``is_ours`` tells them apart."""

    def __init__(self, name: str, codec: Codec, field: str, is_ours: Callable[[dict[str, Json]], bool]) -> None:
        self.member, self.codec, self.field, self.fields, self.is_ours = name, codec, field, (field,), is_ours

    def bind(self, known: Shapes) -> None:
        self.shape = known[self.field]
        self.codec = self.codec.bound(self.shape)

    def writes(self, script: Script, out: str) -> None:
        script.say(f"made = {out}.setdefault({self.member!r}, [])")
        one = "one" if self.shape.many else f"item.{self.field}"
        with script.under(f"for one in item.{self.field}:" if self.shape.many else ""):
            self.adds(script, one)

    def adds(self, script: Script, one: str) -> None:
        """Say how a value comes into the list, ``made``."""
        script.say(f"made.append({self.codec.writes(script, one)})")

    def reads(self, script: Script, obj: str) -> None:
        read_listed(script, obj, [self])

    def ours(self, script: Script) -> str:
        """The condition under which ``json`` is of this row."""
        return f"{script.name(self.is_ours, 'is_ours')}(json)"

    @property
    def where(self) -> str:
        """The steps to the value of ``json``."""
        return f"{self.member!r}, index"

    def finds(self, script: Script) -> None:
        """Say how ``json`` becomes a value; of several for one, the first."""
        value = self.codec.reads(script, "json", f"({self.where},)")
        script.say(f"{self.found}.append({value})" if self.shape.many else f"into.setdefault({self.field!r}, {value})")

    @property
    def found(self) -> str:
        """The variable of the values."""
        return f"found_{self.field}"


def read_listed(script: Script, obj: str, rows: Sequence[Listed]) -> None:
    """Say how rows that share a list are read, in one walk through it."""
    many = [row for row in rows if row.shape.many]
    script.say(*(f"{row.found} = []" for row in many))
    with (
        script.under(f"for index, json in enumerate(listed({obj}, {rows[0].member!r})):"),
        script.under("if type(json) is dict:"),
    ):
        for place, row in enumerate(rows):  # of extensions, which differ by their url, one fits
            with (
                script.under(f"{'el' if place else ''}if {row.ours(script)}:"),
                trying(script, row.where, row.shape.required),
            ):
                row.finds(script)
    for row in many:
        with script.under(f"if {row.found}:"):
            script.say(f"into[{row.field!r}] = distinct({script.name(row.shape, 'shape')}, {row.found})")


def listed(name: str, codec: Codec, field: str, is_ours: Callable[[dict[str, Json]], bool]) -> Row:
    """A field in a list that other rows share; ``is_ours`` says which items are the field's."""
    return Listed(name, codec, field, is_ours)


class Extension(Listed):
    """A field as the value of an extension; many values are many extensions."""

    def __init__(self, url: str, name: str | None, codec: Codec, field: str) -> None:
        super().__init__("extension", codec, field, lambda json: bool(json.get("url") == url))
        self.url, self.name = url, name

    def adds(self, script: Script, one: str) -> None:
        if isinstance(self.codec, ReferenceCodec):  # to each of the resources that the item is
            body = f"{{'url': {self.url!r}, {self.name!r}: {{'reference': ref}}}}"
            return script.say(f"made += [{body} for ref in to.references({one})]")
        head = f"'url': {self.url!r}"
        if isinstance(self.codec, Element) and not self.name:
            return script.say(f"made.append({self.codec.writes(script, one, head)})")
        script.say(f"made.append({{{head}, {self.name!r}: {self.codec.writes(script, one)}}})")

    def ours(self, script: Script) -> str:
        return f"json.get('url') == {self.url!r}"

    @property
    def where(self) -> str:
        return f"'extension', index, {self.name!r}" if self.name else "'extension', index"

    def finds(self, script: Script) -> None:
        if self.name:
            script.say(f"json = json.get({self.name!r})")
        super().finds(script)


def extension(url: str, name: str | None, codec: Codec, field: str) -> Row:
    """A field in an extension: ``name`` is its ``value[x]`` member, None for a complex one."""
    return Extension(url, name, codec, field)


class Element(Said):
    """A dataclass that lives in one element, by rows of its own: a codec made of rows."""

    def __init__(self, cls: type, *rows: Row) -> None:
        self.yields, self.rows = cls, Rows(rows)
        self.required = bind_all(cls, self.rows)

    def bound(self, shape: Shape) -> Codec:
        if shape.type is not self.yields:
            raise TypeError(f"field {shape.name} holds no {self.yields.__name__}")
        return self

    def writes(self, script: Script, value: str, head: str = "") -> str:
        return f"{script.name(self.rows.write, f'write_{self.yields.__name__}')}({value}, {{{head}}}, to)"

    @cached_property
    def read(self) -> Callable[[Json, Reading], Any]:
        """The dataclass of an element."""
        script = Script(self.yields.__name__, "read", "obj, by", _READING)
        script.say("if type(obj) is not dict or 'modifierExtension' in obj:")
        script.say("    no_modifier(need(obj, dict, 'a JSON object'))", "into = {}")
        self.rows.reads(script, "obj")
        script.say(f"return build({script.name(maker(self.yields), 'make')}, {self.required}, into)")
        return script.compiled()

    def reads(self, script: Script, json: str, steps: str) -> str:
        return read_inside(self, script, json, steps)


def build(make: Callable[..., Any], required: tuple[str, ...], into: dict[str, Any]) -> Any:
    """The dataclass from what was read."""
    require(required, into)
    try:
        return make(**into)
    except ValueError as error:
        raise Unread("bad-value", "The element contradicts itself.", str(error)) from None


def require(required: tuple[str, ...], into: dict[str, Any]) -> None:
    """Raise `Unread` for what was not read and must be there."""
    if not all(map(into.__contains__, required)):
        names = ", ".join(name for name in required if name not in into)
        raise Unread("missing-field", f"Nothing gives {names}.", "the element that gives it")


def bind_all(cls: type, rows: Rows, besides: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Bind the rows to the dataclass; every field must be mapped exactly once. Gives the required fields."""
    known = shapes(cls)
    mapped = [field for row in rows for field in row.fields] + list(besides)
    names = [field.name for field in fields(cls)]
    if sorted(mapped) != sorted(names):
        twice = sorted({name for name in mapped if mapped.count(name) > 1})
        raise TypeError(
            f"{cls.__name__}: mapped twice {twice}, not mapped {sorted(set(names) - set(mapped))}, "
            f"unknown {sorted(set(mapped) - set(names))}"
        )
    rows.bind(cls.__name__, known)
    return tuple(name for name, shape in known.items() if shape.required and name not in besides)


class Embed(Row):
    """A field that is a dataclass whose rows live in the same element."""

    def __init__(self, element: Element, field: str) -> None:
        self.element, self.field, self.fields = element, field, (field,)

    def bind(self, known: Shapes) -> None:
        self.element.bound(known[self.field])

    def writes(self, script: Script, out: str) -> None:
        script.say(f"{script.name(self.element.rows.write, 'embed')}(item.{self.field}, {out}, to)")

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        found: dict[str, Any] = {}
        self.element.rows.read(obj, by, found)
        if found:
            into[self.field] = build(maker(self.element.yields), self.element.required, found)


def embed(element: Element, field: str) -> Row:
    """A dataclass whose facts lie in the element of its owner."""
    return Embed(element, field)


#: What the text of a reading function may name.
_READING = {
    "Unread": Unread, "MISSING": MISSING, "left": _left, "listed": _list, "need": _need, "no_modifier": no_modifier,
    "read_many": read_many, "distinct": distinct, "build": build,
}  # fmt: skip
