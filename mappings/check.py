"""What a case must keep to beyond its JSON shape: patterns, units, forms, keys, references, rules.

One walk, led by the annotations, serves both the plain document (so that every problem is found
at once, whatever else is wrong with it) and a `Case` made in Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from decimal import Decimal
from functools import cache, reduce
from itertools import chain
from typing import Any
from weakref import WeakValueDictionary

from mappings.case import SECTIONS, Case
from mappings.choices import WhenRow
from mappings.compiled import Seen, look
from mappings.report import Issue, MappingError
from mappings.resource import Planned, ResourceMap
from mappings.shape import Shape, shapes, unit_paths
from mappings.values import GREATEST, SIZE, UNFIT, Item, Quantity, Relative, ValueOrAbsent, When, of_size


@dataclass(frozen=True, slots=True)
class Place:
    """One value of the case: its pointer, its field, the class and key of the item it belongs to."""

    pointer: str
    value: Any
    shape: Shape
    parent: type
    item: str
    wrong: bool = False


def path_of(pointer: str) -> str:
    """A JSON pointer into the case as a path that people read: case.therapies[0].doses[1]."""
    path = "case"
    for step in pointer.split("/")[1:]:
        path += f"[{step}]" if step.isdigit() else f".{step}"
    return path


def issue(code: str, pointer: str, expected: str = "", **more: Any) -> Issue:
    """An issue of the case document."""
    return Issue(code, pointer=pointer, path=path_of(pointer), expected=expected, **more)


def _field(node: Any, shape: Shape) -> Any:
    return node.get(shape.json_name) if isinstance(node, dict) else getattr(node, shape.name)


def places(node: Any, cls: type, pointer: str = "", item: str = "patient") -> Iterator[Place]:
    """Every value below a node, led by the annotations; values of a wrong type are passed over."""
    if issubclass(cls, Item):
        key = node.get("key") if isinstance(node, dict) else node.key
        item = key if isinstance(key, str) else ""
    for shape in shapes(cls).values():
        value = _field(node, shape)
        made = not isinstance(node, dict)
        if value is None and not (made and (shape.required or shape.many)):
            continue
        here = f"{pointer}/{shape.json_name}"
        many = shape.many and isinstance(value, tuple if made else list | tuple) and (value or not shape.required)
        for step, one in [(f"{here}/{i}", v) for i, v in enumerate(value)] if many else [(here, value)]:
            place = Place(step, one, _chosen(shape, one), cls, item, made and not _fits(shape, one, value))
            yield place
            if place.shape.is_object and isinstance(one, dict | place.shape.type):
                yield from places(one, place.shape.type, step, item)


def _fits(shape: Shape, one: Any, value: Any) -> bool:
    """Whether a value that was made in Python is of the type that its field declares."""
    if shape.many and type(value) is not tuple:
        return False
    if shape.choices:
        return any(_fits(choice, one, one) for choice in shape.choices)
    return type(one) is shape.type and (not shape.words or one in shape.words)


def _chosen(shape: Shape, value: Any) -> Shape:
    """The alternative of a union that the value belongs to."""
    for choice in shape.choices:
        if isinstance(value, str) == (choice.type is str):
            return choice
    return shape


def need_case(value: Any) -> None:
    """Raise `MappingError` (wrong-type) for what is no `Case`: a document that was not loaded, say."""
    if not isinstance(value, Case):
        expected = "a Case, which load_case makes of a document"
        raise MappingError(Issue("wrong-type", "This is no Case.", path="case", expected=expected))


def problems(root: Any) -> list[Issue]:
    """Every problem of a case, plain or made: fields, keys, references; of a made one also its rules."""
    if type(root) is Case and (_SOUND.get(id(root)) is root or is_sound(root)):
        approve(root)
        return []
    return _explained(root)


#: The cases that were found sound and are still there; a case cannot change, so none is looked at twice.
_SOUND: WeakValueDictionary[int, Case] = WeakValueDictionary()


def approve(case: Case) -> None:
    """Remember a case as sound."""
    _SOUND[id(case)] = case


def is_sound(case: Case) -> bool:
    """Whether a case is sound; one that is not surely so is for `problems` to explain."""
    seen = Seen()
    try:
        look(case, seen)
    except ValueError:
        return False
    return is_whole(case, seen)


def is_whole(case: Case, seen: Seen) -> bool:
    """Whether what the sound parts of a case say of each other holds."""
    if any(_astray(key, kinds, seen.kinds) for key, kinds in seen.references):
        return False
    anchors: dict[str, list[tuple[str, str]]] = {}
    for item, time in seen.times:
        anchors.setdefault(item, []).append(("", time.anchor))
    times = [("", time) for _, time in seen.times]
    return next(chain(_circles(anchors), _room_problems(case, times, {})), None) is None


def _explained(root: Any) -> list[Issue]:
    found = list(places(root, Case))
    issues = [problem for place in found for problem in _field_problems(place)]
    kinds: dict[str, str] = {"patient": "Patient"}
    anchors: dict[str, list[tuple[str, str]]] = {}
    for place in found:
        if isinstance(place.value, str) and place.shape.name == "key" and issubclass(place.parent, Item):
            if place.value in kinds:
                issues.append(issue("duplicate-key", place.pointer, "a key that no other item has"))
            kinds[place.value] = place.parent.__name__
        elif isinstance(place.value, str) and place.shape.name == "anchor" and place.parent is Relative:
            anchors.setdefault(place.item, []).append((place.pointer, place.value))
    issues += [problem for place in found for problem in _reference_problems(place, kinds)]
    issues += _repeated(found)
    issues += _circles(anchors)
    if isinstance(root, Case) and not issues:
        issues += _rule_problems(root, found)
    return issues


def _field_problems(place: Place) -> Iterator[Issue]:
    shape, value = place.shape, place.value
    if place.wrong:
        yield issue("wrong-type", place.pointer, shape.type.__name__)
    elif shape.many and value in ((), []):
        yield issue("missing-field", place.pointer, "one at least")
    elif isinstance(value, str):
        if not value.isprintable() and UNFIT.search(value):
            yield issue("bad-text", place.pointer)
        for text in shape.texts:
            if not text.ok(value):
                yield issue("bad-value", place.pointer, text.meaning)
    elif shape.least is not None and type(value) is int and value < shape.least:
        yield issue("bad-value", place.pointer, f"{shape.least} or more")
    elif shape.type is int and type(value) is int and not -GREATEST - 1 <= value <= GREATEST:
        yield issue("bad-value", place.pointer, f"{-GREATEST - 1} to {GREATEST}")
    elif isinstance(value, Decimal) and not (value.is_finite() and of_size(value)):
        yield issue("bad-number", place.pointer, SIZE if value.is_finite() else "")
    if shape.forms:
        names = [shape_.json_name for shape_ in shapes(shape.type).values() if _given(value, shape_)]
        for name in names:
            if name not in shape.forms and not (name == "text" and shape.type is When):
                yield issue("bad-value", f"{place.pointer}/{name}", f"one of {', '.join(shape.forms)}")
    yield from _unit_problems(place)


def _given(value: Any, shape: Shape) -> bool:
    return _field(value, shape) is not None if isinstance(value, dict) or is_dataclass(value) else False


def _unit_problems(place: Place) -> Iterator[Issue]:
    for path in unit_paths(place.shape.type) if place.shape.units else ():
        unit = reduce(_get, path, place.value)
        if isinstance(unit, str) and unit not in place.shape.units:
            expected = f"UCUM {' or '.join(place.shape.units)}"
            yield issue("wrong-unit", "/".join((place.pointer, *path)), expected)
    if place.shape.type is Quantity and place.parent is not ValueOrAbsent and _get(place.value, "comparator"):
        yield issue("bad-value", f"{place.pointer}/comparator", "an exact number: a comparator goes with a result only")


def _get(node: Any, name: str) -> Any:
    return node.get(name) if isinstance(node, dict) else getattr(node, name, None)


def _reference_problems(place: Place, kinds: dict[str, str]) -> Iterator[Issue]:
    refs = place.shape.refs
    if refs is not None and isinstance(place.value, str) and (code := _astray(place.value, refs, kinds)):
        yield issue(code, place.pointer, f"the key of {_either(refs)}")


def _astray(key: str, wanted: tuple[str, ...], kinds: dict[str, str]) -> str:
    """The code of a reference that leads nowhere, or to another kind; nothing where it is right."""
    if key not in kinds:
        return "dangling-reference"
    return "wrong-reference" if wanted and kinds[key] not in wanted else ""


def _either(kinds: tuple[str, ...]) -> str:
    return " or ".join(f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}" for kind in kinds) or "an item of this case"


def _repeated(found: list[Place]) -> Iterator[Issue]:
    """Words and keys that a list names twice: FHIR would say one thing twice."""
    seen: set[tuple[str, str]] = set()
    for place in found:
        if place.shape.many and (place.shape.words or place.shape.refs is not None) and isinstance(place.value, str):
            one = (place.pointer.rpartition("/")[0], place.value)
            if one in seen:
                yield issue("bad-value", place.pointer, "each one once")
            seen.add(one)


def _circles(anchors: dict[str, list[tuple[str, str]]]) -> Iterator[Issue]:
    """Relative times whose anchors lead back to themselves: by item, the pointers and keys of its anchors."""
    done: set[str] = set()
    for start in anchors:
        trail: dict[str, None] = {}
        waiting = [(start, False)]
        while waiting:
            key, leaving = waiting.pop()
            if leaving:
                trail.pop(key, None)
                done.add(key)
            elif key not in done:
                trail[key] = None
                waiting.append((key, True))
                for pointer, anchor in anchors.get(key, ()):
                    if anchor in trail:
                        yield issue("circular-anchor", pointer, "a time that does not depend on this one")
                    else:
                        waiting.append((anchor, False))


def _rule_problems(case: Case, found: list[Place]) -> Iterator[Issue]:
    """What the dataclasses say of themselves, and what the tables have no room for."""
    yield from rule_issues(case, "")
    pointers: dict[int, str] = {}
    for place in found:
        if is_dataclass(place.value):
            pointers[id(place.value)] = place.pointer
            yield from rule_issues(place.value, place.pointer)
    times = [(place.pointer, place.value) for place in found if isinstance(place.value, Relative)]
    yield from _room_problems(case, times, pointers)


def _room_problems(case: Case, times: list[tuple[str, Relative]], pointers: dict[int, str]) -> Iterator[Issue]:
    """What the tables have no room for, and relative times whose anchor holds no such time."""
    elements: dict[str, frozenset[str]] = {}
    shares: set[str] = set()
    for planned in plan(case):
        elements[planned.item_key] = _time_elements(planned.table)
        if planned.share is not None:
            if planned.key in shares:
                where = pointers.get(id(planned.share), "")
                yield issue("id-collision", where, "a name that differs from the others")
            shares.add(planned.key)
        for name in planned.table.unused:
            if getattr(planned.item, name) not in (None, ()):
                where = f"{pointers.get(id(planned.item), '')}/{name.rstrip('_')}"
                yield issue("rule", where, f"nothing: a {planned.table.type} has no place for it")
    for pointer, time in times:
        have = elements.get(time.anchor, frozenset())
        if time.anchor_element not in have:
            expected = f"one of {', '.join(sorted(have))}" if have else "an anchor that has a time"
            yield issue("rule", f"{pointer}/anchor_element", expected)


@cache
def _time_elements(table: ResourceMap) -> frozenset[str]:
    """The elements in which the resources of a table hold a time."""
    return frozenset(row.group for row in table.rows if isinstance(row, WhenRow))


def rule_issues(node: Any, pointer: str) -> Iterator[Issue]:
    """What a dataclass says against itself; it names the field, or the path below it that is wrong."""
    for name, expected in node.rules() if hasattr(node, "rules") else ():
        code = "wrong-unit" if name.endswith("/unit") else "rule"
        yield issue(code, f"{pointer}/{name.rstrip('_')}", expected)


def plan(case: Case) -> Iterator[Planned]:
    """Every resource that the case becomes, in order."""
    for name, table in SECTIONS:
        value = getattr(case, name)
        for item in value if isinstance(value, tuple) else filter(None, [value]):
            yield from table.plan(item)
