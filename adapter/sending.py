"""A case into a FHIR server: asked first what it can do and has, sent only what differs, read back.

Every entry is put under its id or its identifier, so sending again leaves the same resources,
whatever became of the time before: a whole transaction, none, or one that was cut off.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, NamedTuple

from adapter.client import Answer, Server, told
from adapter.verify import received, written
from mappings import Case, Issue, MappingError, Report, to_fhir
from mappings.bundle import MODES
from mappings.generated import is_generated
from mappings.lens import same
from mappings.report import Json
from mappings.resource import members
from mappings.wire import decode, encode

Bundle = dict[str, Json]
Outcome = Literal["created", "updated", "unchanged", "refused", "missing", "unknown"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one entry; ``resource`` is Type/id, or the type where the server told no id."""

    entry: int
    resource: str
    outcome: Outcome
    status: str = ""
    why: str = ""


@dataclass(slots=True)
class Delivery:
    """What became of all that was sent, in codes and ids: no patient value is in it."""

    server: str
    mode: str
    entries: list[Sent] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether everything is on the server, which was read back."""
        there = all(sent.outcome in ("created", "updated", "unchanged") for sent in self.entries)
        return there and not any(issue.code == "unknown-outcome" for issue in self.issues)

    @property
    def counts(self) -> dict[str, int]:
        """How many entries had each outcome."""
        return dict(Counter(sent.outcome for sent in self.entries))

    def as_json(self) -> dict[str, Json]:
        """All of it as plain JSON."""
        issues = [{"severity": i.level, "code": i.code, "message": i.text, "path": i.path} for i in self.issues]
        entries = [asdict(sent) for sent in self.entries]
        head = {"server": self.server, "mode": self.mode, "whole": self.whole, "counts": self.counts}
        return {**head, "entries": entries, "issues": issues}

    def as_text(self) -> str:
        """A line for each entry that is not as it was before, then the counts."""
        news = [sent for sent in self.entries if sent.outcome != "unchanged"]
        lines = [f"{sent.outcome:9} {sent.resource} {sent.status} {sent.why}".rstrip() for sent in news]
        counts = ", ".join(f"{count} {word}" for word, count in self.counts.items())
        return "\n".join([*lines, f"{self.server}: {counts}"])


def send(
    server: Server,
    what: Case | Bundle,
    *,
    mode: str | None = None,
    subject: str | None = None,
    announce: Callable[[str], None] = lambda line: None,
) -> Delivery:
    """Send a case, or a transaction Bundle as it is, and tell what became of each entry.

    ``mode`` (`MODES`) and ``subject`` are those of `to_fhir`; without ``mode`` the server's
    CapabilityStatement decides. ``announce`` is told where it goes before anything does.
    Raises `MappingError` where the server cannot take it (every gap at once), refuses it, or does
    not tell whether it took it.
    """
    announce(f"asking {server.base}")
    bundle, chosen, issues = _fitting(server, what, mode, subject)
    entries = bundle["entry"]
    announce(f"{len(entries)} resources, mode {chosen}")
    before = has = _Present(server, entries, {})
    delivery = Delivery(server.base, chosen, has.unchanged(), issues)
    changed = has.changed()
    for again in (False, True):
        if changed:
            announce(f"sending {len(changed)} that are not there, or not the same")
            asked = [has.bound(number) for number in changed]
            answer = server.post({**bundle, "entry": asked})
            for number, sent in zip(changed, _read(server, answer, asked, delivery), strict=True):
                if not again or sent.outcome == "refused":
                    delivery.entries[number] = replace(sent, entry=number)
            try:
                has = _Present(server, entries, {s.entry: s.resource for s in delivery.entries if "/" in s.resource})
            except MappingError:
                text = f"{server.base}: what it says that it stored could not be read back."
                delivery.issues.append(Issue("unknown-outcome", text))
                return delivery
            changed = has.left_unbound()
    _compare(before, has, delivery)
    return delivery


# --- what the server can do ---------------------------------------------------------------------


class _Gaps(NamedTuple):
    """Why a server cannot take a Bundle, and whether it states all that is needed."""

    issues: list[Issue]
    stated: bool


def _fitting(
    server: Server, what: Case | Bundle, mode: str | None, subject: str | None
) -> tuple[Bundle, str, list[Issue]]:
    """The Bundle that the server can take, in the mode that is asked for, else in the one that it states best."""
    bundles: dict[str, tuple[Bundle, list[Issue]]] = {}
    if isinstance(what, Case):
        for each in (mode,) if mode else MODES:
            report = Report("case-to-fhir")
            bundle = to_fhir(what, bundle_type="transaction", mode=each, subject=subject, report=report)
            bundles[each] = decode(encode(written(bundle, "all"))), report.issues
    else:
        entries = members(what, "entry")
        asked = [(entry.get("request") or {}).get("method") for entry in entries if "resource" in entry]
        if what.get("type") != "transaction" or not entries or asked.count("PUT") + asked.count("POST") < len(entries):
            expected = "a case, or a Bundle of type transaction whose entries are PUT or POST"
            raise MappingError(Issue("bad-value", "This cannot be sent.", "Bundle.type", expected=expected))
        bundles["as it is"] = what, received(what, "all", strict=True)
    gaps = {name: _gaps(server, bundle) for name, (bundle, _) in bundles.items()}
    possible = [name for name in bundles if not gaps[name].issues]
    if not possible:
        raise MappingError(list(dict.fromkeys(issue for found in gaps.values() for issue in found.issues)))
    chosen = next((name for name in possible if gaps[name].stated), possible[0])
    bundle, issues = bundles[chosen]
    return bundle, chosen, [*(i for i in issues if i.code != "not-idempotent"), *_created_each_time(bundle)]


def _created_each_time(bundle: Bundle) -> Iterator[Issue]:
    """The entries that another sending would write twice; our own Provenance is looked for first."""
    for number, entry in enumerate(bundle["entry"]):
        if _need(entry["request"]) == "create" and not is_generated(entry["resource"]):
            yield Issue("not-idempotent", path=f"Bundle.entry[{number}]", pointer=f"/entry/{number}")


#: What a request needs a server to do: the element that states it, the interaction, and in words.
_NEEDS = {
    "put": ("updateCreate", "update", "create under an id that the client gives"),
    "conditional-update": ("conditionalUpdate", "update", "update by identifier"),
    "create-once": ("conditionalCreate", "create", "create only what is missing"),
    "create": ("", "create", "create"),
}


def _need(request: dict[str, Json]) -> str:
    if request["method"] == "PUT":
        return "conditional-update" if "?" in request["url"] else "put"
    return "create-once" if "ifNoneExist" in request else "create"


def _gaps(server: Server, bundle: Bundle) -> _Gaps:
    """What the CapabilityStatement says against the Bundle, all of it; what it leaves open is no gap."""
    capability, stated = server.capability, True
    missing = []
    if not str(capability.get("fhirVersion", "")).startswith("4.0"):
        missing.append(("fhirVersion", "It is not FHIR R4.", "4.0.1"))
    if "json" not in str(capability.get("format", "json")):
        missing.append(("format", "It does not speak JSON.", "json"))
    if "transaction" not in {one.get("code") for one in members(server.rest, "interaction")}:
        missing.append(("rest.interaction", "It does not state that it takes transactions.", "transaction"))
    needs = {(_need(entry["request"]), _type(entry["request"]["url"])) for entry in bundle["entry"]}
    lacking: dict[str, list[str]] = {}
    for need, type_ in sorted(needs):
        element, interaction, _ = _NEEDS[need]
        says = server.resources.get(type_, {})
        listed = [one.get("code") for one in members(says, "interaction")]
        unlisted = bool(server.resources) and not says
        if unlisted or (listed and interaction not in listed) or says.get(element) is False:
            lacking.setdefault(need, []).append(type_)
        stated &= not element or says.get(element) is True
    for need, types in lacking.items():
        element, _, words = _NEEDS[need]
        missing.append((f"rest.resource.{element}".strip("."), f"It does not {words}: {', '.join(types)}.", ""))
    issues = [Issue("server-gap", text, f"CapabilityStatement.{path}", expected=e) for path, text, e in missing]
    return _Gaps(issues, stated)


def _type(url: str) -> str:
    return re.split("[/?]", url)[0]


# --- what the server has ------------------------------------------------------------------------


class _Present:
    """The entries beside what the server has of each; ``places`` (Type/id) where that is known already."""

    def __init__(self, server: Server, entries: list[Bundle], places: dict[int, str]) -> None:
        self.server, self.entries = server, list(entries)
        urls = {number: places.get(number) or _question(entry["request"]) for number, entry in enumerate(entries)}
        self.urls = {number: url for number, url in urls.items() if url}
        self.has = _ask(server, self.urls)
        self._find_provenance()
        #: fullUrl -> Type/id
        self.known = {self.entries[n].get("fullUrl", ""): _place_of(resource) for n, resource in self.has.items()}

    def _find_provenance(self) -> None:
        """Where ids are the server's, R4 has no way to name a Provenance but by what it is about."""
        about = [_place_of(resource) for resource in self.has.values() if resource["resourceType"] != "Device"]
        for number, entry in enumerate(self.entries):
            if about and _need(entry["request"]) == "create" and is_generated(entry["resource"]):
                found = _matches(self.server.get(f"Provenance?target={about[-1]}"))
                for kept in [kept for kept in found if is_generated(kept)][:1]:
                    body, put = {**entry["resource"], "id": kept["id"]}, {"method": "PUT", "url": _place_of(kept)}
                    self.entries[number] = {**entry, "resource": body, "request": put}
                    self.has[number] = kept

    def unchanged(self) -> list[Sent]:
        """Every entry as if nothing were to do."""
        types = [_type(entry["request"]["url"]) for entry in self.entries]
        places = {number: _place_of(kept) for number, kept in self.has.items()}
        return [Sent(number, places.get(number, type_), "unchanged") for number, type_ in enumerate(types)]

    def changed(self) -> list[int]:
        """Which entries are not there, or not the same."""
        return [number for number in range(len(self.entries)) if number not in self.has or self.differences(number)]

    def left_unbound(self) -> list[int]:
        """Which are there with a reference that the server did not make its own: HAPI, in extensions of primitives."""
        unbound = [number for number, kept in self.has.items() if not same(_resolved(kept, self.known), kept)]
        return [n for n in unbound if self.entries[n]["request"]["method"] == "PUT"]

    def differences(self, number: int) -> list[str]:
        """The paths at which the server has something else; none for what is created only where missing."""
        entry, kept = self.entries[number], self.has[number]
        if _need(entry["request"]) == "create-once":
            return []
        return list(_differences(_bare(entry["resource"], self.known), _bare(kept, {}, self.server.base)))

    def bound(self, number: int) -> Bundle:
        """The entry as it is sent: what the server has is named as the server knows it."""
        entry = self.entries[number]
        return {**entry, "resource": _resolved(entry["resource"], self.known)}


def _question(request: dict[str, Json]) -> str | None:
    """Under which URL the server has what a request writes; None where only its answer can tell."""
    if request["method"] == "PUT":
        return str(request["url"])
    return f"{request['url']}?{request['ifNoneExist']}" if "ifNoneExist" in request else None


def _ask(server: Server, urls: dict[int, str]) -> dict[int, Bundle]:
    """What the server has under each URL, asked in one batch, else one by one; a search counts if it finds one."""
    questions = [{"request": {"method": "GET", "url": url}} for url in urls.values()]
    batch = server.post({"resourceType": "Bundle", "type": "batch", "entry": questions}, writes=False) if urls else None
    entries = _entries(batch, "batch-response") if batch else []
    if entries is None or len(entries) != len(urls):
        entries = [{"resource": server.read(url)} for url in urls.values()]
    found = {}
    for (number, url), entry in zip(urls.items(), entries, strict=True):
        resource = entry.get("resource")
        matches = _matches(resource) if "?" in url else [resource]
        if len(matches) == 1 and isinstance(matches[0], dict) and matches[0].get("resourceType") == _type(url):
            found[number] = matches[0]
    return found


def _matches(bundle: Json) -> list[Bundle]:
    """The resources that a search found."""
    entries = [entry for entry in members(bundle, "entry") if isinstance(entry.get("resource"), dict)]
    return [one["resource"] for one in entries if (one.get("search") or {}).get("mode", "match") == "match"]


def _place_of(resource: Bundle) -> str:
    return f"{resource['resourceType']}/{resource.get('id')}"


def _resolved(json: Json, known: dict[str, str], base: str = "") -> Json:
    """The same with the references to ``known`` entries as Type/id, and those to this server without its address."""
    if isinstance(json, list):
        return [_resolved(item, known, base) for item in json]
    if not isinstance(json, dict):
        return json
    out = {name: _resolved(value, known, base) for name, value in json.items()}
    if isinstance(ref := out.get("reference"), str):
        out["reference"] = known.get(ref, ref.removeprefix(f"{base}/") if base else ref)
    return out


def _bare(resource: Bundle, known: dict[str, str], base: str = "") -> Bundle:
    """A resource without what is the server's own to write (id, version, time, source), and without its narrative."""
    out: Bundle = _resolved({name: v for name, v in resource.items() if name not in ("id", "text")}, known, base)
    meta = {name: v for name, v in out.pop("meta", {}).items() if name not in ("versionId", "lastUpdated", "source")}
    return out | ({"meta": meta} if meta else {})


def _differences(sent: Json, kept: Json, path: str = "") -> Iterator[str]:
    """The paths at which two JSON values are not the same; 1.80 is not 1.8."""
    if same(sent, kept):
        return
    if isinstance(sent, dict) and isinstance(kept, dict):
        for name in {**sent, **kept}:
            yield from _differences(sent.get(name), kept.get(name), f"{path}.{name}")
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        for a, b in zip(sent, kept, strict=True):
            yield from _differences(a, b, path)
    else:
        yield path


# --- what became of it --------------------------------------------------------------------------

_PLACE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})(?:/_history/[^/]*)?")


def _entries(answer: Answer, type_: str) -> list[Bundle] | None:
    """The entries of a Bundle of this type; None for any other answer."""
    document = answer.document
    if answer.status // 100 != 2 or not isinstance(document, dict) or document.get("type") != type_:
        return None
    return members(document, "entry")


def _read(server: Server, answer: Answer, asked: list[Bundle], delivery: Delivery) -> list[Sent]:
    """What became of each entry, by its own status; an answer that does not fit is said to be so."""
    if answer.status // 100 != 2:
        raise MappingError(server.refusal(answer, wrote=True))
    responses = _entries(answer, "transaction-response")
    if responses is None:
        responses = _entries(answer, "batch-response")
        delivery.issues.append(server.strange("a Bundle of type transaction-response"))
    if responses is None or len(responses) != len(asked):
        delivery.issues.append(server.strange(f"{len(asked)} entries, one for each"))
        responses = [{} for _ in asked]
    return [_of_one(entry["request"]["url"], answered) for entry, answered in zip(asked, responses, strict=True)]


def _of_one(url: str, answered: Bundle) -> Sent:
    response = answered.get("response")
    response = response if isinstance(response, dict) else {}
    status = str(response.get("status", ""))[:3]
    place = _PLACE.fullmatch(str(response.get("location", ""))) or _PLACE.fullmatch(url)
    resource = place[1] if place else _type(url)
    if status[:1] in ("2", "3"):
        return Sent(0, resource, "created" if status == "201" else "updated", status)
    return Sent(0, resource, "refused" if status else "unknown", status, told(response.get("outcome")).strip(" ()"))


def _compare(before: _Present, has: _Present, delivery: Delivery) -> None:
    """Hold what the server now has against what was sent; what its answer left open is told by what is there."""
    places: Counter[str] = Counter()
    for number, sent in enumerate(delivery.entries):
        if sent.outcome == "refused" or not (number in has.urls or number in has.has):
            continue
        if number not in has.has:
            outcome: Outcome = "unknown" if sent.outcome == "unknown" else "missing"
        elif sent.outcome == "unknown":
            outcome = "unknown" if has.differences(number) else "updated" if number in before.has else "created"
        else:
            outcome = sent.outcome
            places.update({sent.resource.partition("/")[0] + path for path in has.differences(number)})
        delivery.entries[number] = replace(sent, outcome=outcome)
    for path, count in places.items():
        text = f"The server keeps something else than was sent, in {count} resources."
        delivery.issues.append(Issue("stored-differently", text, path))
