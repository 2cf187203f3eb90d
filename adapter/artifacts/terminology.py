"""CodeSystems, ValueSets and a ConceptMap from the tables of codes and words, with the notices of their owners."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from adapter.artifacts.found import Found
from adapter.artifacts.frame import published, titled
from mappings.codec import LICENSED_PAIRS
from mappings.report import CATALOGUE, ISSUE_SYSTEM, Json
from mappings.terms import CODES, SILENT, SYSTEMS, TERMS, Code, System, rows
from mappings.values import Coding

Resources = list[dict[str, Json]]
NOTICE = Path(__file__).parents[2] / "NOTICE"
OWN = "smx"
#: Systems that are a grammar: every validator knows them whole, and a list of some codes would hide the rest.
GRAMMARS = ("ucum", "mime")
_KEYS = {system.uri: key for key, system in SYSTEMS.items()}


# --- notices ----------------------------------------------------------------------------------


@cache
def notices() -> dict[str, str]:
    """The paragraphs of NOTICE by their heading."""
    found = {}
    for paragraph in NOTICE.read_text(encoding="utf-8").split("\n\n"):
        heading, _, text = paragraph.strip().partition("\n")
        found[heading] = " ".join(text.split())
    return found


def copyright_of(key: str, licensed: bool = False) -> str | None:
    """The notice of a system's owner; HL7's own systems are CC0 and the project's own are under its licence."""
    system = SYSTEMS[key]
    if key == OWN or system.licence.startswith("CC0"):
        return None
    for heading, text in notices().items():
        name = re.sub(r" \(.*", "", heading)
        if key == "snomed" and heading == f"SNOMED CT, in {'licensed' if licensed else 'codes'}.tsv":
            return text
        if name == re.sub(r" \(.*| for .*", "", system.title) or name.lower() == key:
            return text
    raise KeyError(f"NOTICE says nothing of {system.title}")


def _copyright(keys: Iterable[str]) -> dict[str, Json]:
    texts = [text for key in sorted(set(keys)) if (text := copyright_of(key))]
    return {"copyright": "\n".join(texts)} if texts else {}


# --- code systems -----------------------------------------------------------------------------


def _code_system(id_: str, title: str, description: str, concepts: Resources, **members: Json) -> dict[str, Json]:
    return published("CodeSystem", id_, title, description, **members, caseSensitive=True, concept=concepts)


def _concepts(codes: Iterable[Code]) -> Resources:
    """One concept a code, sorted by code."""
    displays = {code.code: code.display for code in reversed(list(codes))}
    return [{"code": code, "display": display} for code, display in sorted(displays.items())]


def own_systems() -> Resources:
    """The project's own terms, and the issue codes of its reports."""
    terms = _concepts(code for code in CODES if code.system == OWN)
    issues = [
        {"code": code, "display": kind.meaning, "definition": f"{kind.meaning} {kind.remedy}"}
        for code, kind in sorted(CATALOGUE.items())
    ]
    text = "Terms for which no code of a public terminology was found, or none that says as much."
    about = "The codes of issues in conversion reports and OperationOutcomes; none ever changes its meaning."
    whole = {"content": "complete"}
    return [
        _code_system(OWN, SYSTEMS[OWN].title, text, terms, url=SYSTEMS[OWN].uri, count=len(terms), **whole),
        _code_system("issue", "Issues of a conversion", about, issues, url=ISSUE_SYSTEM, count=len(issues), **whole),
    ]


def in_use() -> Iterator[Code]:
    """The codes that are written or read; those that are only read are licensed if codes that are written are."""
    yield from CODES
    for term, system, code, display, _, source in rows("inbound.tsv"):
        kind = "licensed" if (SYSTEMS[system].uri, code) in LICENSED_PAIRS else "open"
        yield Code(term, system, code, display, kind, source)


def fragments() -> Resources:
    """The codes in use of every terminology of others that validators do not bring along."""
    keys = [key for key in SYSTEMS if key not in (OWN, *GRAMMARS) and not SYSTEMS[key].licence.startswith("CC0")]
    return [_fragment(SYSTEMS[key], [c for c in in_use() if c.system == key and c.kind != "licensed"]) for key in keys]


def licensed_fragments() -> Resources:
    """The fragments with codes that need a licence, to load in place of those without."""
    keys = sorted({code.system for code in CODES if code.kind == "licensed"})
    return [_fragment(SYSTEMS[key], [c for c in in_use() if c.system == key], licensed=True) for key in keys]


def _fragment(system: System, codes: list[Code], licensed: bool = False) -> dict[str, Json]:
    notice = copyright_of(system.system)
    if licensed:
        notice = f"{notice}\n{copyright_of(system.system, licensed=True)}"
    return _code_system(
        f"fragment-{system.system}",
        system.title,
        "Not the code system: only its codes that the tables of this project use, so that a validator knows them.",
        _concepts(codes),
        url=system.uri,
        content="fragment",
        copyright=notice,
    )


# --- value sets ---------------------------------------------------------------------------------


def value_sets(found: Found) -> Resources:
    """The value sets that the profiles bind."""
    return [_value_set(name, codings) for name, codings in sorted(found.sets.items())]


def _value_set(name: str, codings: tuple[Coding, ...]) -> dict[str, Json]:
    by_system: dict[str, Resources] = {}
    for coding in codings:
        concept = {"code": coding.code} | ({"display": coding.display} if coding.display else {})
        if concept not in by_system.setdefault(coding.system, []):
            by_system[coding.system].append(concept)
    include = [{"system": system, "concept": concepts} for system, concepts in by_system.items()]
    return published(
        "ValueSet",
        name,
        titled(name),
        f"What the tables of this project write and read here: {titled(name).lower()}.",
        compose={"include": include},
        **_copyright(_KEYS[system] for system in by_system),
    )


# --- concept maps -------------------------------------------------------------------------------

#: The equivalence of R4 says what the target is to the source; inbound.tsv what the sender's code is to the term.
SEEN_FROM_SOURCE = {"wider": "narrower", "narrower": "wider"}
READ_ALL_THE_SAME = "The two do not say the same: the sender's code is read as this one, and reported."


def concept_maps() -> Resources:
    """The codes of other systems that are read as terms of the tables; without those that need a licence."""
    groups: dict[tuple[str, str], list[Json]] = {}
    for term, system, code, display, equivalence, _ in rows("inbound.tsv"):
        if (SYSTEMS[system].uri, code) not in LICENSED_PAIRS:
            target = TERMS[term].codings[0]
            element = {"code": code, "display": display, "target": [_target(target, equivalence)]}
            groups.setdefault((SYSTEMS[system].uri, target.system), []).append(element)
    listed = [
        {"source": source, "target": target, "element": sorted(elements, key=lambda element: str(element["code"]))}
        for (source, target), elements in sorted(groups.items())
    ]
    about = "Codes that other systems send, and the codes of this project's tables as which they are read."
    keys = {_KEYS[system] for pair in groups for system in pair}
    return [published("ConceptMap", "smx-inbound", "Inbound codes", about, group=listed, **_copyright(keys))]


def _target(coding: Coding, equivalence: str) -> dict[str, Json]:
    seen = SEEN_FROM_SOURCE.get(equivalence, equivalence)
    comment = {} if seen in SILENT else {"comment": READ_ALL_THE_SAME}
    return {"code": coding.code, "display": coding.display, "equivalence": seen, **comment}
