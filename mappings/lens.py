"""The lens: what of a received element the tables account for, and writing new facts over the rest.

Three values meet: ``was``, the element as received; ``old``, what the writer makes of the facts
that were read from it; ``new``, what the writer makes of the facts now. Everything in ``was``
that differs from ``old`` is the rest. `merge` changes ``was`` only where ``new`` differs from
``old``, so with ``new == old`` it gives ``was`` back, and one changed fact changes its own leaves.

List items are paired by exact twin, then by anchor (url, reference, code, system and value),
then by order; entry order is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any

from mappings.codec import DAR_URL, disowned, pairs
from mappings.report import Json
from mappings.wire import escape

Dropped = Callable[[str, Json], None]

_TYPES = (
    "Quantity|CodeableConcept|String|Boolean|Integer|Range|Ratio|SampledData|Time|DateTime|Period|Timing|Instant|"
    "Age|Duration|Reference|Date|Coding|Code|Decimal|Uri|Identifier|Attachment|Annotation|Money|PositiveInt|"
    "UnsignedInt|Markdown|Id|Url|Canonical|Dosage|Base64Binary"
)
_CHOICE = re.compile(
    rf"_?(value|effective|onset|abatement|performed|deceased|medication|rate|dose|occurrence|multipleBirth|born)({_TYPES})"
)


def same(a: Json, b: Json) -> bool:
    """Equal as JSON text: 1.80 is not 1.8, and True is not 1."""
    return a is b or (a == b and _alike(a, b))


def _alike(a: Json, b: Json) -> bool:
    """Whether what is equal is also the same text, which only numbers may not be."""
    kind = type(a)
    if kind is dict:
        return all(_alike(value, b[name]) for name, value in a.items() if type(value) is not str)
    if kind is list:
        return all(map(_alike, a, b))
    return kind is type(b) and (kind is str or str(a) == str(b))


def fhirpath(pointer: str) -> str:
    """The steps of a pointer within a resource as FHIRPath: /valueQuantity/code is .value.code."""
    # pointers of FHIR's are short and come again; others are not kept in memory
    return _known_path(pointer) if len(pointer) < 96 else _fhirpath(pointer)


def _fhirpath(pointer: str) -> str:
    found = ""
    for step in pointer.split("/")[1:]:
        match = _CHOICE.fullmatch(step)
        name = match[1] if match else step.removeprefix("_")
        found += f"[{name}]" if name.isdigit() else f".{name}"
    return found


_known_path = lru_cache(4096)(_fhirpath)


# --- what is accounted for ------------------------------------------------------------------


def rest(was: Json, old: Json, pointer: str = "") -> list[tuple[str, Json]]:
    """(pointer, element) of each topmost part of ``was`` that ``old`` does not reproduce."""
    found: list[tuple[str, Json]] = []
    if was != old:  # enough here: codecs keep types and digits, so what is equal is also written alike
        _differ(was, old, pointer, found)
    return found


def _differ(was: Json, old: Json, pointer: str, found: list[tuple[str, Json]]) -> None:
    """Gather the parts of two elements that are not equal."""
    kind = type(was) if was and type(was) is type(old) else None
    if kind is dict:
        for name, value in was.items():
            if name not in old:
                found.append((f"{pointer}/{escape(name)}", value))
            elif value != old[name]:
                _differ(value, old[name], f"{pointer}/{escape(name)}", found)
    elif kind is list:
        twins = pair(was, old)
        for index, value in enumerate(was):
            if index not in twins:
                found.append((f"{pointer}/{index}", value))
            elif value != old[twins[index]]:
                _differ(value, old[twins[index]], f"{pointer}/{index}", found)
    else:
        found.append((pointer, was))


# --- pairing lists --------------------------------------------------------------------------


def pair(a: list[Json], b: list[Json], ours: bool = False) -> dict[int, int]:
    """index in ``a`` -> index in ``b`` of the items that are the same thing; ``ours``: both are the writer's."""
    found: dict[int, int] = {}
    for index, (one, other) in enumerate(zip(a, b, strict=False)):
        if not same(one, other):
            break
        found[index] = index
    here = len(found)
    if here in (len(a), len(b)):  # nothing is left of one of them
        return found
    if len(a) == len(b) == here + 1:
        return found | {here: here} if _may_be(a[here], b[here], ours) else found
    taken = set(found)
    _pair_by(_hint, same, a, b, found, taken)
    _pair_by(_anchors, None, a, b, found, taken)
    left = [i for i in range(len(a)) if i not in found]
    right = [j for j in range(len(b)) if j not in taken]
    if left and right:
        _pair_in_order(_either_holds if ours else _holds, a, b, left, right, found)
        left, right = [i for i in left if _loose(a[i], ours)], [j for j in right if _loose(b[j], ours)]
        _pair_in_order(lambda one, other: not (_anchors(one) and _anchors(other)), a, b, left, right, found)
    _in_order(b, found)
    return found


def _may_be(one: Json, other: Json, ours: bool) -> bool:
    """Whether two items that are not the same text are the same thing where there are no others."""
    anchors, others = _anchors(one), _anchors(other)
    if any(anchor in others for anchor in anchors):
        return True
    if type(one) is not type(other):
        return False
    fits = _either_holds(one, other) if ours else _holds(one, other)
    return fits or (_loose(one, ours) and _loose(other, ours) and not (anchors and others))


def _in_order(b: list[Json], found: dict[int, int]) -> None:
    """Of items that are the same twice, the first is the first."""
    places, swapped = sorted(found), True
    while swapped:
        swapped = False
        for i, k in pairwise(places):
            if found[i] > found[k] and same(b[found[i]], b[found[k]]):
                found[i], found[k], swapped = found[k], found[i], True


def _pair_in_order(
    fits: Callable[[Json, Json], bool],
    a: list[Json],
    b: list[Json],
    left: list[int],
    right: list[int],
    found: dict[int, int],
) -> None:
    """Pair what is left over, the first with the first that fits."""
    for j in list(right):
        i = next((i for i in left if type(a[i]) is type(b[j]) and fits(a[i], b[j])), None)
        if i is not None:
            found[i] = j
            left.remove(i)
            right.remove(j)


def _holds(a: Json, b: Json) -> bool:
    """Whether all of ``b`` is in ``a``, which may have more."""
    if isinstance(a, dict) and isinstance(b, dict):
        return all(name in a and _holds(a[name], value) for name, value in b.items())
    if isinstance(a, list) and isinstance(b, list):
        return all(any(_holds(one, other) for one in a) for other in b)
    return bool(a == b)


def _either_holds(a: Json, b: Json) -> bool:
    return _holds(a, b) or _holds(b, a)


def _pair_by(
    keys: Callable[[Json], list[Any]],
    fits: Callable[[Json, Json], bool] | None,
    a: list[Json],
    b: list[Json],
    found: dict[int, int],
    taken: set[int],
) -> None:
    """Pair the items that share a key, and fit, each at most once, in order."""
    places: dict[Any, list[int]] = {}
    for j, other in enumerate(b):
        if j not in taken:
            for key in keys(other):
                places.setdefault(key, []).append(j)
    for i, item in enumerate(a) if places else ():
        if i in found:
            continue
        for key in keys(item):
            free = places.get(key, [])
            fit = next((j for j in free if j not in taken and (fits is None or fits(item, b[j]))), None)
            if fit is not None:
                found[i] = fit
                taken.add(fit)
                free.remove(fit)
                break


def _hint(item: Json) -> list[Any]:
    """What equal items share, at little cost."""
    if isinstance(item, dict):
        return [frozenset([value for value in item.values() if type(value) is str])]
    return [len(item) if isinstance(item, list) else str(item)]


def frozen(json: Json) -> Any:
    """A value that is equal, and can be looked up, where the JSON text is the same but for the order of members."""
    kind = type(json)
    if kind is str:
        return json
    if kind is dict:
        return frozenset([(name, value if type(value) is str else frozen(value)) for name, value in json.items()])
    if kind is list:
        return tuple(map(frozen, json))
    return (kind, str(json))


def _anchors(item: Json) -> list[Any]:
    """What makes a list item itself, beside its values."""
    if not isinstance(item, dict):
        return []
    if isinstance(item.get("url"), str):
        return [("url", item["url"])]
    if isinstance(item.get("reference"), str):
        return [("reference", item["reference"])]
    if isinstance(item.get("system"), str) and isinstance(item.get("value", ""), str):  # no Quantity
        return [(item["system"], str(item.get("code")), str(item.get("value")))]
    if isinstance(item.get("code"), dict):
        return [("code", *pair_) for pair_ in pairs(item["code"].get("coding"))]
    if isinstance(item.get("coding"), list):
        return [("coding", *pair_) for pair_ in pairs(item["coding"])]
    if type(item.get("sequence")) is int:
        return [("sequence", item["sequence"])]
    return []


def _loose(item: Json, coded: bool) -> bool:
    """Whether order may pair it: nothing makes it itself; or only a code, where before there may have been words."""
    return all(coded and anchor[0] in ("code", "coding") for anchor in _anchors(item))


# --- writing onto ---------------------------------------------------------------------------


def merge(was: Json, old: Json, new: Json, dropped: Dropped, pointer: str = "") -> Json:
    """``was`` with the difference between ``old`` and ``new`` applied, and nothing else touched.

    ``dropped`` is told of foreign content that went because the element it hung on went.
    """
    if same(old, new):
        return was
    if isinstance(was, dict) and isinstance(old, dict) and isinstance(new, dict) and not _leads_elsewhere(old, new):
        return _merge_object(was, old, new, dropped, pointer)
    if isinstance(was, list) and isinstance(old, list) and isinstance(new, list):
        return _merge_list(was, old, new, dropped, pointer)
    for step, value in rest(was, old, pointer):
        dropped(step, value)
    return new


def _leads_elsewhere(old: dict[str, Json], new: dict[str, Json]) -> bool:
    """Whether they are References to two things: a display of the one does not fit the other."""
    return "reference" in old and "reference" in new and not same(old["reference"], new["reference"])


def _merge_object(
    was: dict[str, Json], old: dict[str, Json], new: dict[str, Json], dropped: Dropped, pointer: str
) -> dict[str, Json]:
    out: dict[str, Json] = {}
    gone = _gone(was, old, new)
    for name, value in was.items():
        step = f"{pointer}/{escape(name)}"
        if name in gone:
            left = _without(name, value, old, new, dropped, step)
            if left:
                out[name] = left
        elif name in new and name in old:
            out[name] = merge(value, old[name], new[name], dropped, step)
        elif name in new:
            out[name] = _over(value, new[name], dropped, step)
        else:
            out[name] = value
    for name, value in new.items():
        if name in was or (name in old and same(old[name], value)):
            continue
        if isinstance(value, list) and isinstance(old.get(name), list):  # only what is new in it
            value = _merge_list([], old[name], value, dropped, f"{pointer}/{escape(name)}")
        if value != []:
            out[name] = value
    for name in disowned(out):
        if name in new and name not in old:
            _own(name, out, dropped, pointer)
    return out


def _own(name: str, out: dict[str, Json], dropped: Dropped, pointer: str) -> None:
    """Take the reason why there is no value from a member that has one now."""
    sibling = out.pop(f"_{name}")
    reasons = [one for one in sibling["extension"] if isinstance(one, dict) and one.get("url") == DAR_URL]
    for one in reasons:
        dropped(f"{pointer}/_{name}", one)
    kept = [one for one in sibling["extension"] if one not in reasons]
    left = {key: value for key, value in sibling.items() if key != "extension"} | ({"extension": kept} if kept else {})
    if left:
        out[f"_{name}"] = left


def _without(name: str, was: Json, old: dict[str, Json], new: dict[str, Json], dropped: Dropped, pointer: str) -> Json:
    """What stays of a member that goes: the foreign items of a list, foreign content beside a primitive that stays."""
    if isinstance(was, list) and isinstance(old.get(name), list):
        return _merge_list(was, old[name], [], dropped, pointer)
    if isinstance(was, dict) and isinstance(old.get(name), dict) and name[1:] in new and name.startswith("_"):
        return _merge_object(was, old[name], {}, dropped, pointer)
    for inner, part in rest(was, old.get(name), pointer):
        dropped(inner, part)
    return None


def _over(was: Json, new: Json, dropped: Dropped, pointer: str) -> Json:
    """A fact where only foreign content was: lists and objects are joined, a foreign value gives way."""
    if isinstance(was, dict) and isinstance(new, dict):
        return merge(was, {}, new, dropped, pointer)
    if isinstance(was, list) and isinstance(new, list):
        return merge(was, [], new, dropped, pointer)
    if not same(was, new):
        dropped(pointer, was)
    return new


def _gone(was: dict[str, Json], old: dict[str, Json], new: dict[str, Json]) -> set[str]:
    """The members that go: facts that are no more, with their siblings, and other members of their choice."""
    gone = {name for name in old if name not in new and name in was}
    for name in list(gone):
        twin = name[1:] if name.startswith("_") else "_" + name
        if twin in was and twin not in new:
            gone.add(twin)
    added = (name for name in new if name not in was and not (name in old and same(old[name], new[name])))
    groups = {m[1] for name in added if (m := _CHOICE.fullmatch(name))}
    for name in was:
        m = _CHOICE.fullmatch(name)
        if m and m[1] in groups and name not in new and name.lstrip("_") not in new and "_" + name not in new:
            gone.add(name)
    return gone


def _merge_list(was: list[Json], old: list[Json], new: list[Json], dropped: Dropped, pointer: str) -> list[Json]:
    to_old, to_new = pair(was, old), pair(old, new, ours=True)
    stale = "coding" if pointer.endswith("/coding") else ""
    out: list[Json] = []
    placed: dict[int, int] = {}
    for index, value in enumerate(was):
        step = f"{pointer}/{index}"
        if index not in to_old:
            if stale:  # a foreign coding beside a code that is no longer true
                dropped(step, value)
            else:
                out.append(value)
        elif to_old[index] in to_new:
            j = to_new[to_old[index]]
            placed[j] = len(out)
            out.append(merge(value, old[to_old[index]], new[j], dropped, step))
        else:
            for inner, part in rest(value, old[to_old[index]], step):
                dropped(inner, part)
    if [j for _, j in sorted(to_new.items())] != sorted(to_new.values()):
        _reorder(out, placed)
    origin = {j: i for i, j in to_new.items()}
    added = [j for j, item in enumerate(new) if j not in placed and not (j in origin and same(old[origin[j]], item))]
    return _insert(out, new, set(added), placed)


def _reorder(out: list[Json], placed: dict[int, int]) -> None:
    """Put the facts in their new order into the places that facts have; what is foreign stays between them."""
    items = {j: out[index] for j, index in placed.items()}
    for j, index in zip(sorted(placed), sorted(placed.values()), strict=True):
        out[index], placed[j] = items[j], index


def _insert(out: list[Json], new: list[Json], added: set[int], placed: dict[int, int]) -> list[Json]:
    """Put each added item behind the one that precedes it among the facts; with none to follow, at the end."""
    first = min(placed.values(), default=len(out)) - 1
    behind: dict[int, list[Json]] = {}
    last = first
    for j, item in enumerate(new):
        last = placed.get(j, last)
        if j in added:
            behind.setdefault(last, []).append(item)
    found = list(behind.get(-1, ()))
    for index, item in enumerate(out):
        found.append(item)
        found.extend(behind.get(index, ()))
    return found
