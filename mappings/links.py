"""Which element of a FHIR document says which fact of its case: what a page highlights on both sides.

A fact is linked to what would be written otherwise if it were another one, which the tables tell when
they are run; so a link cannot disagree with them. It holds for what `to_fhir` writes and for what others send.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from copy import copy
from dataclasses import is_dataclass, replace
from decimal import Decimal
from typing import Any

from mappings import lens, wire
from mappings.account import bare
from mappings.case import Case
from mappings.check import places
from mappings.generated import labels
from mappings.reading import Read, read
from mappings.report import Json
from mappings.resource import Node, Planned, Writing, by_key
from mappings.shape import Shape, shapes

Link = tuple[str, str]
_OTHER = "another-item"


def links(document: Any, *, patient: str | None = None, tick: Callable[[], None] | None = None) -> list[Link]:
    """(pointer into the case, pointer into the document) for every fact of the case that `from_fhir` reads there.

    First of each resource comes its item as a whole, with the pointer of the resource; then the leaves of the
    item, each with the topmost elements that hold it. A pointer may stand in several links. ``patient`` and
    ``tick`` as for `from_fhir`, which also says what is raised.
    """
    read_ = read(wire.as_plain(document), patient, tick=tick)
    pointers = {id(place.value): place.pointer for place in places(read_.case, Case) if is_dataclass(place.value)}
    to = _writing(read_)
    found: list[Link] = []
    for node, planned in read_.matched:
        if tick is not None:
            tick()
        if node.index >= 0:  # else the document only implies the resource
            found += _of_resource(node, planned, to, pointers)
    return found


def _writing(found: Read) -> Writing:
    """What the tables need to write the resources as they were read."""
    known = by_key(found.plans)
    known[_OTHER] = [replace(found.matched[0][1], key=_OTHER, ref="urn:uuid:other")]
    same_labels = labels(found.case)
    return Writing(found.case, known, found.subject, found.optional_codes, lambda: same_labels)


def _of_resource(node: Node, planned: Planned, to: Writing, pointers: dict[int, str]) -> Iterator[Link]:
    yield pointers[id(planned.item)], node.pointer
    to.spelled = node.spelled
    was, old = bare(node), planned.table.write(planned, to)
    for pointer, other in _variants(planned, pointers):
        new = planned.table.write(other, to)
        for step in _touched(was, _difference(old, new), _difference(new, old)):
            yield pointer, node.pointer + step


def _difference(one: dict[str, Json], other: dict[str, Json]) -> dict[str, Json]:
    return {name: json for name, json in one.items() if name not in other or other[name] != json}


def _touched(was: dict[str, Json], old: dict[str, Json], new: dict[str, Json]) -> Iterator[str]:
    """The parts of ``was`` that writing ``new`` for ``old`` onto it changes."""
    if all(name in was and was[name] == json for name, json in old.items()):  # nothing foreign in it: no need to merge
        was = old
    else:
        new = lens.merge(was, old, new, lambda step, json: None)
    return (step for step, _ in lens.rest(was, new))


def _variants(planned: Planned, pointers: dict[int, str]) -> Iterator[tuple[str, Planned]]:
    """The resource with each leaf of its item, or of the item that holds this one, altered."""
    item, here = planned.item, pointers[id(planned.item)]
    if planned.table.has_key:
        yield f"{here}/key", replace(planned, key=_OTHER)
    spread = planned.table.spread.field if planned.table.spread else ""
    for pointer, other in _altered(item, {row.field for row in planned.table.each} | {spread}):
        yield here + pointer, replace(planned, item=other)
    if spread and planned.share is not None:
        share = pointers[id(planned.share)]
        for pointer, other in _altered(planned.share):
            yield share + pointer, replace(planned, share=other)
    if (owner := planned.owner) is not None:
        there, watch = pointers[id(owner.item)], _Watch(owner.item)
        yield there, replace(planned, owner=replace(owner, item=watch))  # changes nothing, and tells what is asked
        besides = [name for name in shapes(type(owner.item)) if name not in watch.asked]
        for pointer, other in _altered(owner.item, besides):
            yield there + pointer, replace(planned, owner=replace(owner, item=other))


class _Watch:
    """An item that remembers which of its fields were asked for."""

    def __init__(self, item: Any) -> None:
        self.item, self.asked = item, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.asked.add(name)
        return getattr(self.item, name)


def _altered(value: Any, besides: Collection[str] = ()) -> Iterator[tuple[str, Any]]:
    """(pointer, copy of the dataclass with the leaf at the pointer altered), leaf by leaf; keys stay."""
    for shape in shapes(type(value)).values():
        held = getattr(value, shape.name)
        if held in (None, ()) or shape.name in besides or shape.name == "key":
            continue
        for step, one in enumerate(held) if shape.many else [(-1, held)]:
            for inner, other in _altered(one) if is_dataclass(one) else [("", _another(one, shape))]:
                index = f"/{step}" if shape.many else ""
                new = (*held[:step], other, *held[step + 1 :]) if shape.many else other
                yield f"/{shape.json_name}{index}{inner}", _with(value, shape.name, new)


def _with(value: Any, name: str, new: Any) -> Any:
    """A copy with one field changed, whether or not it agrees with the others: it is only written, never kept."""
    made = copy(value)
    object.__setattr__(made, name, new)
    return made


def _another(leaf: Any, shape: Shape) -> Any:
    """A value of the leaf's type that is not the leaf; None for what is either true or left out."""
    if shape.refs is not None:
        return _OTHER
    if shape.words:
        return next((word for word in shape.words if word != leaf), None)
    if isinstance(leaf, str):
        return f"{leaf}~"
    return not leaf if isinstance(leaf, bool) else leaf + type(leaf)(1) if isinstance(leaf, int | Decimal) else None
