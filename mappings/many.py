"""Rows for references, and for items that become several resources.

``references`` in a list that several fields share; ``following`` for those that follow from
others; ``owner`` from a part back to its item; ``each`` for parts with a table of their own;
``spread`` where R4 has room for one value and the item has many; ``unused`` for what an
alternative cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from mappings.codec import Codec, ReferenceCodec, Unread, no_modifier
from mappings.report import Json
from mappings.rows import Derived, OnlyOne, Row, Shapes, _list
from mappings.straight import Script

if TYPE_CHECKING:
    from mappings.resource import AnyMap, Reading, Writing


class References(Row):
    """Keys <-> references in a list that other rows may share; each row reads its own kinds."""

    def __init__(self, name: str, field: str) -> None:
        self.name, self.field, self.fields, self.member = name, field, (field,), name

    def bind(self, known: Shapes) -> None:
        self.shape = known[self.field]
        ReferenceCodec().bound(self.shape)

    def writes(self, script: Script, out: str) -> None:
        keys, key = (f"for key in item.{self.field} ", "key") if self.shape.many else ("", f"item.{self.field}")
        made = f"[{{'reference': ref}} {keys}for ref in to.references({key})]"
        script.say(f"{out}.setdefault({self.name!r}, []).extend({made})")

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        kinds, found = self.shape.refs or (), []
        for json in _list(obj, self.name):
            key = by.key_in_list(json, kinds)
            if key is not None and key not in found:
                found.append(key)
        if found:
            into[self.field] = tuple(found) if self.shape.many else found[0]


def references(name: str, field: str) -> Row:
    """A field of keys in a list of references."""
    return References(name, field)


class Following(Derived):
    """References that follow from the item or its owner; of those that are received their spelling is kept."""

    def __init__(self, name: str, make: Callable[[Any, Writing], Iterable[str]]) -> None:
        super().__init__(name, lambda item, to: [{"reference": ref} for ref in make(item, to)] or None)
        self.name = self.member = name

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        for json in _list(obj, self.name):
            by.spell(json)


def following(name: str, make: Callable[[Any, Writing], Iterable[str]]) -> Row:
    """A list of references that others need and that follow from the case: they are no facts of their own."""
    return Following(name, make)


class Owner(Row):
    """The reference from a part back to the item that holds it."""

    def __init__(self, name: str, many: bool) -> None:
        self.name, self.many, self.member = name, many, name

    def writes(self, script: Script, out: str) -> None:
        ref = "{'reference': to.owner_reference()}"
        script.say(
            f"{out}.setdefault({self.name!r}, []).append({ref})" if self.many else f"{out}[{self.name!r}] = {ref}"
        )

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        for json in _list(obj, self.name) if self.many else [obj.get(self.name)]:
            if isinstance(json, dict):
                by.owned_by(json)


def owner(name: str, many: bool = True) -> Row:
    """A part's reference to its owner: in a list, or alone."""
    return Owner(name, many)


class Each(Row):
    """A field whose items (or whose one item) have resources of their own, by their own table."""

    def __init__(self, field: str, table: AnyMap, forward: str | None) -> None:
        self.field, self.fields, self.table, self.forward = field, (field,), table, forward
        self.name, _, self.inner = (forward or "").partition(".")
        self.member = self.name

    def bind(self, known: Shapes) -> None:
        self.shape = known[self.field]
        if self.shape.type is not self.table.cls:
            raise TypeError(f"field {self.field} holds no {self.table.cls.__name__}")

    def items(self, item: Any) -> tuple[Any, ...]:
        """The parts that the item holds."""
        value = getattr(item, self.field)
        return () if value is None else value if self.shape.many else (value,)

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        if self.forward is not None:
            refs = [{"reference": ref} for part in self.items(item) for ref in to.part_references(part, self.field)]
            if refs:
                out.setdefault(self.name, []).extend({self.inner: ref} if self.inner else ref for ref in refs)

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        for index, json in enumerate(_list(obj, self.name)):
            try:
                no_modifier(json)
                if self.inner and isinstance(json, dict) and json.get("deleted", False) is not False:
                    raise Unread("modifier", "The entry was deleted from the list.", "deleted false").at("deleted")
            except Unread as error:
                raise error.at(self.name, index) from None
            by.owns(json.get(self.inner) if self.inner and isinstance(json, dict) else json, self)


def each(field: str, table: AnyMap, forward: str | None = None) -> Row:
    """Parts with resources of their own.

    ``forward`` is the owner's list of references to them; ``entry.item`` where each lies in an
    element of the list.
    """
    return Each(field, table, forward)


class Spread(OnlyOne):
    """A field of many values, of which a resource can hold one: one resource for each."""

    def bind(self, known: Shapes) -> None:
        if not known[self.field].many:
            raise TypeError(f"field {self.field} is not many")
        super().bind(known)

    def writes(self, script: Script, out: str) -> None:
        self.path.puts(script, out, self.codec.writes(script, "to.share"))


def spread(path: str, codec: Codec, field: str) -> Row:
    """A field of many values where R4 allows one: one resource a value, its key ``<key>.<value>``."""
    return Spread(path, codec, field)


class Unused(Row):
    """Fields that this alternative of a `choose` cannot hold: a case that gives them is refused."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.fields = names


def unused(*names: str) -> Row:
    """Fields of the dataclass that have no place in this kind of resource."""
    return Unused(names)
