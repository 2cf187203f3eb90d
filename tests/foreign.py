"""What others do to a bundle: foreign content in every corner, their own order and addresses; and counting leaves.

Every foreign string holds `MARK` and a number of its own, so that a test can say which of them is still there.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from mappings import decode, encode
from tests.strategies import Choose

Json = Any
MARK = "foreign-"
SERVER = "http://server.example/fhir"
_REFERENCE = re.compile(r"urn:uuid:([0-9a-f-]{36})")


# --- leaves -----------------------------------------------------------------------------------


def leaves(json: Json, pointer: str = "") -> Iterator[tuple[str, Json]]:
    """(pointer, value) of each leaf; an empty object or array is one."""
    if isinstance(json, dict) and json:
        for name, value in json.items():
            yield from leaves(value, f"{pointer}/{name}")
    elif isinstance(json, list) and json:
        for index, value in enumerate(json):
            yield from leaves(value, f"{pointer}/{index}")
    else:
        yield pointer, json


def placeless(pointer: str) -> str:
    """The pointer without the positions in lists."""
    return re.sub(r"/\d+(?=/|$)", "/*", pointer)


Facts = Counter[tuple[str, bytes]]


def facts(resource: Json, under: str = "") -> Facts:
    """The leaves of a resource but for its narrative, with their JSON text; references without their spelling."""
    found: Facts = Counter()
    for pointer, value in leaves(resource):
        if f"{pointer}/".startswith(f"{under}/") and not pointer.startswith("/text/"):
            text = encode(value[-36:] if pointer.endswith("/reference") and isinstance(value, str) else value)
            found[placeless(pointer), text] += 1
    return found


def marks(json: Json) -> set[str]:
    """The marks of the foreign content in it."""
    return set(re.findall(rf"{MARK}\d+", encode(json).decode()))


# --- what others do -----------------------------------------------------------------------------


def restful(bundle: Json) -> Json:
    """The same bundle as a server hands it out: absolute fullUrls and relative references."""
    types = {e["fullUrl"]: f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle["entry"]}

    def moved(json: Json) -> Json:
        if isinstance(json, dict):
            return {n: types.get(v, v) if n == "reference" else moved(v) for n, v in json.items()}
        return [moved(one) for one in json] if isinstance(json, list) else json

    out: Json = moved(bundle)
    for entry in out["entry"]:
        entry["fullUrl"] = f"{SERVER}/{types[entry['fullUrl']]}"
    return out


def shuffled(choose: Choose, bundle: Json) -> Json:
    """The same entries in another order."""
    entries = list(bundle["entry"])
    for index in range(len(entries) - 1, 0, -1):
        other = choose(index + 1)
        entries[index], entries[other] = entries[other], entries[index]
    return bundle | {"entry": entries}


class Stranger:
    """Adds foreign content to a bundle; ``percent`` of the places where some can stand get it.

    A ``calm`` one leaves alone what would turn into other facts: the patient's tags, labels of concepts, and
    the resources of an item with several sites, which are one item only while they say the same.
    """

    def __init__(self, choose: Choose, percent: int = 12, calm: bool = False) -> None:
        self.choose, self.percent, self.calm, self.count = choose, percent, calm, 0
        self.shared = False

    def mark(self) -> str:
        """A string that occurs once."""
        self.count += 1
        return f"{MARK}{self.count}"

    def here(self) -> bool:
        """Whether to add something."""
        return self.choose(100) >= 100 - self.percent

    def bundle(self, bundle: Json) -> Json:
        """The bundle with foreign content inside its resources and between them."""
        out = copy.deepcopy(bundle)
        for entry in out["entry"]:
            self.resource(entry["resource"])
            if self.here():
                entry["search"] = {"mode": "match", "extension": [self.extension()]}
        for make in (self.organization, self.observation, self.other_subject, self.in_error, self.no_resource):
            if self.choose(4) == 3:
                out["entry"].insert(self.choose(len(out["entry"]) + 1), make())
        if self.here():
            out["link"] = [{"relation": "self", "url": f"{SERVER}?{self.mark()}"}]
        return out

    def resource(self, resource: Json) -> None:
        """Foreign content in a resource and in all that is in it."""
        own = (resource.get("identifier") or [{}])[0].get("extension", [{}])[0].get("valueString", "")
        self.shared = self.calm and "." in own
        for name, value in list(resource.items()):
            if name != "text":
                self.element(resource, name, value)
        self.object(resource)
        if self.here():
            resource["contained"] = [{"resourceType": "Practitioner", "id": self.mark()}]
        meta = resource.setdefault("meta", {})
        if self.here():
            meta["versionId"] = self.mark()
        if self.here() and not (self.calm and resource["resourceType"] == "Patient"):
            meta.setdefault("tag", []).append({"system": "urn:x:tag", "code": self.mark()})
        if self.here():
            meta.setdefault("profile", []).insert(0, f"http://foreign.example/{self.mark()}")
        if self.here():
            self.insert(resource.setdefault("identifier", []), {"system": "urn:x:id", "value": self.mark()})

    def element(self, parent: Json, name: str, json: Json) -> None:
        """Foreign content in one member: in objects at any depth, beside primitives."""
        if self.calm and name == "medicationCodeableConcept":  # a course and its administrations have the same one
            return
        if isinstance(json, dict):
            for inner, value in list(json.items()):
                self.element(json, inner, value)
            self.object(json)
        elif isinstance(json, list):
            for one in json:
                if isinstance(one, dict):
                    self.element({}, "", one)
            shared = ("coding", "note", "component", "category", "interpretation", "target")
            if name in shared and not self.shared and self.here():
                json.insert(len(json) if self.calm else self.choose(len(json) + 1), self.listed(name))
        elif name not in ("resourceType", "id", "url") and f"_{name}" not in parent and self.here():
            parent[f"_{name}"] = {"extension": [self.extension()]} if self.choose(2) else {"id": self.mark()}

    def object(self, json: Json) -> None:
        """An extension, an element id or an element that nobody knows."""
        if self.here():
            self.insert(json.setdefault("extension", []), self.extension())
        if self.here():
            json[f"element{self.mark()}"] = (1, {}, [], [{"a": 1}], "text", False)[self.choose(6)]

    def insert(self, items: Json, one: Json) -> None:
        """An item somewhere in a list."""
        items.insert(self.choose(len(items) + 1), one)

    def extension(self, deep: int = 0) -> Json:
        """An extension with a string or with extensions of its own."""
        if deep < 3 and self.choose(3) == 2:
            inner = [self.extension(deep + 1) for _ in range(2)]
            return {"url": "http://foreign.example/complex", "extension": inner}
        return {"url": f"http://foreign.example/{self.mark()}", "valueString": f'é " < {self.mark()}'}

    def listed(self, name: str) -> Json:
        """One more item of a list that others add to."""
        coding = {"system": "http://foreign.example/cs", "code": self.mark(), "userSelected": True}
        if name == "coding":
            return coding
        if name == "note":
            return {"authorString": self.mark(), "text": "seen"}
        if name == "target":
            return {"display": self.mark()}
        concept = {"coding": [coding]}
        return {"code": concept, "valueInteger": 3} if name == "component" else concept

    # resources of others

    def organization(self) -> Json:
        """A type that no table knows."""
        id_ = self.mark()
        resource = {"resourceType": "Organization", "id": id_, "name": "Clinic"}
        return {"fullUrl": f"{SERVER}/Organization/{id_}", "resource": resource}

    def observation(self) -> Json:
        """A type that tables know, with a code that none knows; the entry has no fullUrl."""
        code = {"coding": [{"system": "http://foreign.example/cs", "code": self.mark()}]}
        return {"resource": {"resourceType": "Observation", "id": self.mark(), "status": "final", "code": code}}

    def other_subject(self) -> Json:
        """A body weight, but somebody else's."""
        code = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}
        subject = {"reference": f"{SERVER}/Patient/{self.mark()}"}
        resource = {"resourceType": "Observation", "status": "final", "code": code, "subject": subject}
        return {"fullUrl": f"urn:uuid:{self.mark()}", "resource": resource}

    def in_error(self) -> Json:
        """A body weight that is marked as an error."""
        entry = self.other_subject()
        entry["resource"]["status"] = "entered-in-error"
        return entry

    def no_resource(self) -> Json:
        """An entry without a resource."""
        return {"response": {"status": "204", "etag": self.mark()}}


_VALUES = ("x", "", 5, -1, Decimal("0.50"), Decimal("-0.0"), True, None, {}, [], {"a": 1}, ["b"], "2024-02-30",
           "2024-13", "unknown", "entered-in-error", "Patient/1", "#p", "urn:uuid:x", "http://loinc.org")  # fmt: skip


def damaged(choose: Choose, bundle: Json) -> Json:
    """The bundle with one to twenty members gone, doubled, swapped, of another type or with another value."""
    out = copy.deepcopy(bundle)
    for _ in range(1 + choose(20)):
        spots = [spot for entry in out["entry"] for spot in _spots(entry)]
        holder, name = spots[choose(len(spots))]
        other, its_name = spots[choose(len(spots))]
        match choose(6):
            case 0:
                del holder[name]
            case 1:
                holder[name] = copy.deepcopy(_VALUES[choose(len(_VALUES))])
            case 2:
                holder[name] = copy.deepcopy(other[its_name])
            case 3 if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[name]))
            case 4:
                holder[name] = [holder[name]]
            case _ if isinstance(holder[name], str):
                holder[name] = holder[name][:-1] + "abc019"[choose(6)]
    return out


def _spots(json: Json) -> Iterator[tuple[Any, Any]]:
    """Every (object, name) and (array, index) below a value."""
    for name, value in json.items() if isinstance(json, dict) else enumerate(json):
        yield json, name
        if isinstance(value, dict | list):
            yield from _spots(value)


def received(json: Json) -> Json:
    """The value as it comes off the wire: whole numbers are int."""
    return decode(encode(json))
