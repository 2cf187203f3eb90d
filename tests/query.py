"""A Bundle, asked in plain words: resources by the key of their case item, and what each of them says.

`Look.told` turns a resource into a flat table of element -> words, so that a test can hold a fact beside
the paper: a CodeableConcept is ``text <term>`` (``<term>`` where the text is the term's display, ``- <term>``
where there is no text), a reference ``@key``, a quantity ``2 g/kg``, a ratio ``2 g/kg : 2 d``, a missing value
``absent: unknown``, a relative time ``3 a before-start @key.period`` (``?``: no distance is known).
Nothing is looked up in the case: a Bundle is enough.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from mappings.codec import DAR_URL, ORIGINAL_TEXT, UCUM
from mappings.terms import BASE, TERMS, Term

Json = dict[str, Any]
OWN = f"{BASE}/StructureDefinition/"
CASE_ITEM = f"{OWN}smx-case-item"
SOURCE = f"{OWN}smx-source-assertion"
RELATIVE = "http://hl7.org/fhir/StructureDefinition/cqf-relativeDateTime"
#: What the frame puts on every resource, and no clinician reads.
FRAME = ("resourceType", "id", "meta", "language", "text", "performer")
_NAMES = {SOURCE: "source", RELATIVE: "relative", ORIGINAL_TEXT: "words"}
_OFFSETS = {"absent: unknown": "?", "absent: as-text": "in words"}
_BY_CODINGS = {frozenset((c.system, c.code) for c in term.codings): term for term in TERMS}


class Look:
    """A Bundle to be asked."""

    def __init__(self, bundle: Json) -> None:
        self.entries: list[Json] = bundle["entry"]
        self.by_key: dict[str, Json] = {}
        self.keys: dict[str, str] = {}
        for entry in self.entries:
            if (key := item_key(entry["resource"])) is not None:
                self.by_key[key] = entry["resource"]
                self.keys[entry["fullUrl"]] = key

    def all(self, type_: str) -> list[Json]:
        """The resources of one type, in the order of the Bundle."""
        return [e["resource"] for e in self.entries if e["resource"]["resourceType"] == type_]

    def at(self, reference: Json) -> Json:
        """The resource that a reference leads to."""
        return next(e["resource"] for e in self.entries if e["fullUrl"] == reference["reference"])

    def about(self, subject: Json, type_: str) -> list[Json]:
        """The resources of one type whose subject is this resource."""
        return [r for r in self.all(type_) if r.get("subject", {}).get("reference") == f"urn:uuid:{subject['id']}"]

    def told(self, key: str) -> dict[str, Any]:
        """What the resource of an item says, element by element; nothing if there is none."""
        resource = self.by_key.get(key)
        if resource is None:
            return {}
        told = {name: value for name, value in resource.items() if name not in FRAME}
        told["identifier"] = [one for one in told.get("identifier", ()) if not _marked(one, CASE_ITEM)]
        return {"is": resource["resourceType"]} | dict(self._members(told, ""))

    def _members(self, json: Json, path: str) -> Iterator[tuple[str, Any]]:
        for name, value in json.items():
            here = f"{path}{'' if name.startswith('+') else '.'}{name}" if path else name
            if name == "extension":
                yield from self._extensions(value, path)
            elif name == "component":
                for one in value:
                    rest = {inner: said for inner, said in one.items() if inner != "code"}
                    yield from self._members(rest, f"{here}[{self.say(one['code'])}]")
            elif isinstance(value, dict) and isinstance(said := self.say(value), dict):
                yield from self._members(said, here)
            elif value != []:
                yield here, self.say(value)

    def _extensions(self, found: list[Json], path: str) -> Iterator[tuple[str, Any]]:
        said = [(_name(one.get("url", "-")), self._extension(one)) for one in found]
        for name in dict.fromkeys(name for name, _ in said):
            values = [value for other, value in said if other == name]
            yield f"{path}+{name}", values if len(values) > 1 else values[0]

    def _extension(self, one: Json) -> Any:
        parts = {part.get("url", "-"): self._extension(part) for part in one.get("extension", ())}
        if one.get("url") == SOURCE and set(parts) <= {"basis", "locator"}:
            return ", ".join(filter(None, [parts.get("basis"), parts.get("locator")]))
        if one.get("url") == RELATIVE and set(parts) == {"target", "targetPath", "relationship", "offset"}:
            offset = parts["offset"] if isinstance(parts["offset"], str) else "-"
            offset = _OFFSETS.get(offset, offset)
            return f"{offset} {parts['relationship']} {parts['target']}.{parts['targetPath']}"
        value = next((value for name, value in one.items() if name.startswith("value")), None)
        return parts if value is None else self.say(value)

    def say(self, json: Any) -> Any:
        """One value in words; what has none of its own stays a table of its members."""
        if isinstance(json, list):
            return [self.say(one) for one in json]
        if not isinstance(json, dict):
            return str(json) if isinstance(json, Decimal) else json
        if "reference" in json:
            return f"@{self.keys.get(json['reference'], '?')}"
        if "coding" in json or set(json) == {"text"}:
            return concept(json)
        if "numerator" in json:
            return f"{self.say(json['numerator'])} : {self.say(json['denominator'])}"
        if "value" in json and "code" in json:
            system = "" if json.get("system") == UCUM else f" of {json.get('system')}"
            return f"{json.get('comparator', '')}{json['value']} {json['code']}{system}"
        if "value" in json and "system" in json:
            marks = dict(self._members({"extension": json.get("extension", [])}, ""))
            return f"{json['value']} of {json['system']}{f' {marks}' if marks else ''}"
        if "system" in json and "code" in json:
            return f"{json['system'].rpartition('/')[2]} {json['code']}"
        if set(json) == {"extension"} and (words := _why(json["extension"])):
            return words
        if json.get("contentType") == "text/plain" and "data" in json:
            json = json | {"data": _decoded(json["data"])}
        return dict(self._members(json, ""))


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except ValueError:
        return f"no text: {data}"


def _name(url: str) -> str:
    return _NAMES.get(url, url.rpartition("/")[2])


def _why(extensions: list[Json]) -> str:
    """A missing primitive: why, and in which words the sender put it."""
    by_url = {one.get("url"): one for one in extensions}
    if DAR_URL not in by_url or not set(by_url) <= {DAR_URL, ORIGINAL_TEXT}:
        return ""
    text = by_url.get(ORIGINAL_TEXT, {}).get("valueString")
    return f"absent: {by_url[DAR_URL].get('valueCode')}" + (f", {text}" if text else "")


def concept(json: Json) -> str:
    """A CodeableConcept: its text and the term whose codings, no more and no fewer, it has."""
    codings = frozenset((c.get("system"), c.get("code")) for c in json.get("coding", ()))
    term: Term | None = _BY_CODINGS.get(codings)
    text = json.get("text", "-")
    if not codings:
        return str(text)
    if term is None:
        return f"{text} {sorted(map(str, codings))}"
    return f"<{term.name}>" if text == term.display else f"{text} <{term.name}>"


def item_key(resource: Json) -> str | None:
    """The key of the case item that a resource was made from."""
    for one in resource.get("identifier", ()):
        for extension in one.get("extension", ()):
            if extension.get("url") == CASE_ITEM:
                return str(extension["valueString"])
    return None


def means(json: Any, term: Term) -> bool:
    """Whether a CodeableConcept has the first code of a term."""
    first = term.codings[0]
    codings = json.get("coding", ()) if isinstance(json, dict) else ()
    return any((c.get("system"), c.get("code")) == (first.system, first.code) for c in codings)


def _marked(identifier: Json, url: str) -> bool:
    return any(extension.get("url") == url for extension in identifier.get("extension", ()))


def is_own(identifier: Json) -> bool:
    """Whether an identifier is that of the case item."""
    return _marked(identifier, CASE_ITEM)
