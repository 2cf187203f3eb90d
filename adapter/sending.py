"""A case into a FHIR server: asked first what it can do and has, sent only what differs, read back.

Every entry is put under its id or its identifier, so sending the same case again leaves the same
resources, whatever became of the time before: a whole transaction, none, or one cut off half-way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal, NamedTuple

from adapter.client import Answer, Server, told
from adapter.verify import received, written
from mappings import Case, Issue, MappingError, Report, to_fhir
from mappings.bundle import MODES
from mappings.generated import is_generated
from mappings.lens import same
from mappings.report import Json

Bundle = dict[str, Json]
Outcome = Literal["created", "updated", "unchanged", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one entry; ``resource`` is Type/id where the server told the id."""

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
    #: whether what the server has was read after sending, and is what was sent
    read_back: bool = False

    @property
    def whole(self) -> bool:
        """Whether everything is on the server."""
        return not any(sent.outcome in ("refused", "unknown") for sent in self.entries) and not any(
            issue.level == "error" for issue in self.issues
        )

    def as_json(self) -> dict[str, Json]:
        """All of it as plain JSON."""
        issues = [{"severity": i.level, "code": i.code, "message": i.text, "path": i.path} for i in self.issues]
        entries = [asdict(sent) for sent in self.entries]
        return {
            "server": self.server,
            "mode": self.mode,
            "whole": self.whole,
            "read_back": self.read_back,
            "entries": entries,
            "issues": issues,
        }

    def as_text(self) -> str:
        """A line for each entry that is not as it was before, then the counts."""
        lines = [
            " ".join(filter(None, (f"{sent.outcome:9}", sent.resource, sent.status, sent.why)))
            for sent in self.entries
            if sent.outcome != "unchanged"
        ]
        words = [sent.outcome for sent in self.entries]
        counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words)) or "nothing"
        return "\n".join([*lines, f"{self.server}: {counts}" + ("; read back" if self.read_back else "")])


def send(
    server: Server,
    what: Case | Bundle,
    *,
    mode: str | None = None,
    subject: str | None = None,
    announce: Callable[[str], None],
) -> Delivery:
    """Send a case, or a transaction Bundle as it is, and tell what became of each entry.

    ``mode`` (`MODES`) and ``subject`` are those of `to_fhir`; without ``mode`` the server's
    CapabilityStatement decides. ``announce`` is told where it goes before anything is written.
    Raises `MappingError` where the server cannot take it (every gap at once), refuses it, or does
    not tell whether it took it.
    """
    bundle, chosen, issues = _fitting(server, what, mode, subject)
    software = server.capability.get("software", {}).get("name", "a server without a name")
    announce(f"{len(bundle['entry'])} resources for {server.base} ({software}), mode {chosen}")
    delivery = Delivery(server.base, chosen, issues=issues)
    before = _Before(server, bundle["entry"])
    changed = before.changed()
    delivery.entries = [Sent(n, before.place(entry), "unchanged") for n, entry in enumerate(bundle["entry"])]
    if changed:
        announce(f"{len(changed)} of them are not there, or not the same: sending")
        entries = [before.bound(n) for n in changed]
        answer = server.post({**bundle, "entry": entries})
        for number, sent in zip(changed, _read(server, answer, entries, delivery), strict=True):
            delivery.entries[number] = Sent(number, sent.resource, sent.outcome, sent.status, sent.why)
    _read_back(server, bundle["entry"], delivery)
    return delivery


# --- before: what the server can do -------------------------------------------------------------


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
            bundles[each] = written(bundle, "all"), report.issues
    else:
        if what.get("resourceType") != "Bundle" or what.get("type") != "transaction" or not what.get("entry"):
            expected = "a case, or a Bundle of type transaction (fhir-adapter to-fhir --type transaction)"
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


#: What a request needs a server to do: the element that states it, and the interaction.
_NEEDS = {
    "put": ("updateCreate", "update", "put a resource under an id that the client gives"),
    "conditional-update": ("conditionalUpdate", "update", "update by identifier"),
    "create-once": ("conditionalCreate", "create", "create only what is missing"),
    "create": ("", "create", "create"),
    "other": ("", "", ""),
}


def _need(request: dict[str, Json]) -> str:
    if request["method"] == "PUT":
        return "conditional-update" if "?" in request["url"] else "put"
    if request["method"] == "POST":
        return "create-once" if "ifNoneExist" in request else "create"
    return "other"


def _gaps(server: Server, bundle: Bundle) -> _Gaps:
    """What the CapabilityStatement says against the Bundle, all of it; what it leaves open is no gap."""
    capability, missing, stated = server.capability, [], True
    if not str(capability.get("fhirVersion", "")).startswith("4.0"):
        missing.append(("fhirVersion", "It is not FHIR R4.", "4.0.1"))
    if not any("json" in form for form in capability.get("format", ("json",))):
        missing.append(("format", "It does not speak JSON.", "json"))
    if "transaction" not in server.interactions:
        missing.append(("rest.interaction", "It does not state that it takes transactions.", "transaction"))
    needs: dict[str, set[str]] = {}
    for entry in bundle["entry"]:
        needs.setdefault(_need(entry["request"]), set()).add(entry["request"]["url"].split("/")[0].split("?")[0])
    for need, types in needs.items():
        element, interaction, words = _NEEDS[need]
        lacking = []
        for type_ in sorted(types):
            says = server.resources.get(type_, {"interaction": [{}]} if server.resources else {})
            listed = {one.get("code") for one in says.get("interaction", ())}
            if (interaction and listed and interaction not in listed) or says.get(element) is False:
                lacking.append(type_)
            stated &= not element or says.get(element) is True
        if lacking:
            missing.append((f"rest.resource.{element}".rstrip("."), f"It does not {words}: {', '.join(lacking)}.", ""))
    issues = [Issue("server-gap", text, f"CapabilityStatement.{path}", expected=e) for path, text, e in missing]
    return _Gaps(issues, stated)


# --- before: what the server has ----------------------------------------------------------------


def _ask(server: Server, urls: dict[int, str]) -> dict[int, Bundle] | None:
    """What the server has under each URL, asked in one batch of reads; a search counts where it finds one.

    None where it takes no batch, or does not answer it.
    """
    if not urls:
        return {}
    if "batch" not in server.interactions:
        return None
    questions = [{"request": {"method": "GET", "url": url}} for url in urls.values()]
    answer = server.post({"resourceType": "Bundle", "type": "batch", "entry": questions}, writes=False)
    entries = _entries(answer, "batch-response")
    if entries is None or len(entries) != len(urls):
        return None
    found = {}
    for number, entry in zip(urls, entries, strict=True):
        resource = entry.get("resource")
        if isinstance(resource, dict) and resource.get("resourceType") == "Bundle":
            matches = [e["resource"] for e in resource.get("entry", ()) if e.get("search", {}).get("mode") == "match"]
            resource = matches[0] if len(matches) == 1 else None
        if isinstance(resource, dict) and resource.get("resourceType") == re.split("[/?]", urls[number])[0]:
            found[number] = resource
    return found


class _Before:
    """The entries beside what the server has of each."""

    def __init__(self, server: Server, entries: list[Bundle]) -> None:
        self.server, self.entries = server, list(entries)
        urls = {n: url for n, entry in enumerate(entries) if (url := _question(entry["request"]))}
        self.has = _ask(server, urls) or {}
        self.known = {entries[n].get("fullUrl", ""): f"{r['resourceType']}/{r.get('id')}" for n, r in self.has.items()}
        self._find_provenance()

    def _find_provenance(self) -> None:
        """Where ids are the server's, R4 has no way to name a Provenance but by what it is about."""
        items = [entry.get("fullUrl") for entry in self.entries if entry["resource"]["resourceType"] != "Device"]
        about = [self.known[url] for url in items if url in self.known]
        for number, entry in enumerate(self.entries):
            if about and _need(entry["request"]) == "create" and is_generated(entry["resource"]):
                bundle = self.server.get(f"Provenance?target={about[-1]}")
                own = [e["resource"] for e in bundle.get("entry", ()) if is_generated(e.get("resource", {}))]
                for resource in own[:1]:
                    place = f"Provenance/{resource['id']}"
                    body = {**entry["resource"], "id": resource["id"]}
                    self.entries[number] = {**entry, "resource": body, "request": {"method": "PUT", "url": place}}
                    self.has[number], self.known[entry["fullUrl"]] = resource, place

    def changed(self) -> list[int]:
        """Which entries are not there, or not the same. What is created only where missing is left as it is."""
        return [
            number
            for number, entry in enumerate(self.entries)
            if number not in self.has
            or (_need(entry["request"]) != "create-once" and any(self._differences(entry, self.has[number])))
        ]

    def _differences(self, entry: Bundle, kept: Bundle) -> Iterator[str]:
        return differences(_bare(entry["resource"], self.known), _bare(kept, {}, self.server.base))

    def place(self, entry: Bundle) -> str:
        """Type/id, or the type alone."""
        return self.known.get(entry.get("fullUrl", "")) or str(entry["resource"]["resourceType"])

    def bound(self, number: int) -> Bundle:
        """The entry as it is sent; what it refers to and is not sent with it is named as the server knows it."""
        staying = {self.entries[n].get("fullUrl", "") for n in self.changed()}
        known = {url: place for url, place in self.known.items() if url not in staying}
        entry = self.entries[number]
        return {**entry, "resource": _resolved(entry["resource"], known, "")}


def _question(request: dict[str, Json]) -> str | None:
    """Under which URL the server has what a request writes; None where only its answer can tell."""
    if request["method"] == "PUT":
        return str(request["url"])
    return f"{request['url']}?{request['ifNoneExist']}" if "ifNoneExist" in request else None


def _resolved(json: Json, known: dict[str, str], base: str) -> Json:
    """The same with the references to entries as Type/id, and those to this server without its address."""
    if isinstance(json, list):
        return [_resolved(item, known, base) for item in json]
    if not isinstance(json, dict):
        return json
    out = {name: _resolved(value, known, base) for name, value in json.items()}
    if isinstance(ref := out.get("reference"), str):
        out["reference"] = known.get(ref, ref.removeprefix(f"{base}/") if base else ref)
    return out


def _bare(resource: Bundle, known: dict[str, str], base: str = "") -> Bundle:
    """A resource without what is the server's own to write: id, version, time; and without its narrative."""
    out: Bundle = _resolved({name: v for name, v in resource.items() if name not in ("id", "text")}, known, base)
    meta = {n: v for n, v in out.pop("meta", {}).items() if n not in ("versionId", "lastUpdated", "source")}
    return out | ({"meta": meta} if meta else {})


def differences(sent: Json, kept: Json, path: str = "") -> Iterator[str]:
    """The paths at which two JSON values are not the same; 1.80 is not 1.8."""
    if same(sent, kept):
        return
    if isinstance(sent, dict) and isinstance(kept, dict):
        for name in {**sent, **kept}:
            yield from differences(sent.get(name), kept.get(name), f"{path}.{name}")
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        for a, b in zip(sent, kept, strict=True):
            yield from differences(a, b, path)
    else:
        yield path


# --- after --------------------------------------------------------------------------------------

_PLACE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})(?:/_history/[^/]*)?")


def _entries(answer: Answer, type_: str) -> list[Bundle] | None:
    """The entries of a Bundle of this type; None for any other answer."""
    document = answer.document
    if answer.status // 100 != 2 or not isinstance(document, dict) or document.get("type") != type_:
        return None
    entries = document.get("entry", [])
    return entries if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries) else None


def _read(server: Server, answer: Answer, entries: list[Bundle], delivery: Delivery) -> Iterable[Sent]:
    """What became of each entry, by its own status; an answer that does not fit is said to be so."""
    if answer.status // 100 != 2:
        raise MappingError(server.refusal(answer, wrote=True))
    if answer.document is None:
        raise MappingError(Issue("unknown-outcome", f"{server.base}: what it answered is not JSON."))
    responses = _entries(answer, "transaction-response")
    if responses is None:
        responses = _entries(answer, "batch-response")
        delivery.issues.append(server.strange("a Bundle of type transaction-response"))
    if responses is not None and len(responses) != len(entries):
        delivery.issues.append(server.strange(f"{len(entries)} entries, one for each, not {len(responses)}"))
        responses = None
    return [
        _of_one(entry, response) for entry, response in zip(entries, responses or [{} for _ in entries], strict=True)
    ]


def _of_one(entry: Bundle, answered: Bundle) -> Sent:
    response = answered.get("response")
    response = response if isinstance(response, dict) else {}
    status = str(response.get("status", ""))[:3]
    place = _PLACE.fullmatch(str(response.get("location", "")))
    url = entry["request"]["url"]
    resource = place[1] if place else (url if "/" in url and "?" not in url else url.partition("?")[0])
    if not status.isdigit():
        return Sent(0, resource, "unknown")
    outcome: Outcome = {"2": "updated", "3": "unchanged"}.get(status[0], "refused")  # type: ignore[assignment]
    why = told(response.get("outcome")).strip(" ()") if outcome == "refused" else ""
    return Sent(0, resource, "created" if status == "201" else outcome, status, why)


def _read_back(server: Server, entries: list[Bundle], delivery: Delivery) -> None:
    """Read what is now on the server, and name what is not there or is not what was sent."""
    urls = {
        sent.entry: sent.resource for sent in delivery.entries if "/" in sent.resource and sent.outcome != "refused"
    }
    fresh = {n: url for n, url in urls.items() if delivery.entries[n].outcome != "unchanged"}
    found = _ask(server, fresh)
    if found is None:
        return
    known = {entries[n]["fullUrl"]: url for n, url in urls.items() if "fullUrl" in entries[n]}
    places: dict[str, int] = {}
    for number, url in fresh.items():
        type_ = url.partition("/")[0]
        if number not in found:
            delivery.issues.append(
                Issue("server-answer", "It says that it stored a resource and does not have it.", url)
            )
            continue
        kept = _bare(found[number], {}, server.base)
        for path in {*differences(_bare(entries[number]["resource"], known), kept)}:
            places[type_ + path] = places.get(type_ + path, 0) + 1
    for path, count in places.items():
        delivery.issues.append(Issue("stored-differently", f"In {count} resources it keeps something else.", path))
    delivery.read_back = True
