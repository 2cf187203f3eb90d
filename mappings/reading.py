"""Bundle -> case, with an account of every leaf: mapped, or in the rest with the reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mappings import lens, wire
from mappings.case import SCHEMA_VERSION, SECTIONS, Case
from mappings.check import places, plan, problems
from mappings.codec import Unread, coding
from mappings.generated import SOFTWARE, is_generated, labels
from mappings.lens import _CHOICE
from mappings.received import Received
from mappings.report import Issue, Json, MappingError, Report
from mappings.resource import Node, Writing, members
from mappings.shape import shapes
from mappings.terms import CODES, SYSTEMS, WORDS
from mappings.values import INSTANT, LANGUAGE

_TOP = frozenset(table for _, any_map in SECTIONS for table in any_map.tables)
_LICENSED = frozenset((SYSTEMS[code.system].uri, code.code) for code in CODES if code.kind == "licensed")
_SECTION = {table: name for name, any_map in SECTIONS for table in any_map.tables}


def from_fhir(bundle: Any, *, patient: str | None = None, strict: bool = False) -> tuple[Case, Report]:
    """The case that a FHIR R4 Bundle holds, and the report on every leaf of it.

    ``bundle`` is plain JSON (numbers int or `Decimal`), bytes, text, or a fhir.resources model.
    ``patient`` (an id or fullUrl) says which one where there are several. ``strict`` refuses a
    Bundle of which anything is not mapped.

    Raises `MappingError` for what is no R4 Bundle of one patient.
    """
    found = read(wire.as_plain(bundle), patient)
    report = found.report()
    if strict:
        kept = [issue for issue in report.issues if issue.disposition in ("kept", "refused")]
        if kept:
            raise MappingError(
                [Issue("not-mapped-strict", i.text, i.path, i.pointer, i.expected, rule=i.code) for i in kept]
            )
    return found.case, report


def read(document: Any, patient: str | None) -> Read:
    """Read a bundle; the fix point of "a resource that refers to one that cannot be read is read without it"."""
    received = Received(document, patient)
    while True:
        _read_nodes(received)
        found = Read(received)
        if found.settled:
            return found


def _read_nodes(received: Received) -> None:
    """Read every node that has a table; one that fails loses it, and those that referred to it are read again."""
    while True:
        failed = False
        for node in received.nodes:
            node.owner, node.slot = None, ""
        for node in received.nodes:
            if node.table is not None:
                try:
                    node.table.read(node, received)
                except Unread as error:
                    node.table, node.refused, failed = None, error, True
        for node in received.nodes:
            if node.table is not None and node.table not in _TOP and node.owner is None:
                node.refused = Unread(
                    "unattached", "Nothing in the Bundle holds this part.", "the resource it belongs to"
                )
                node.table, failed = None, True
        if received.patient.table is None:
            raise MappingError(_as_issue(received.patient, received.patient.refused or Unread("bug", ""), "refused"))
        if not failed:
            return


class Read:
    """What was read: the case, its nodes, what the writer makes of each, and where the rest lies."""

    def __init__(self, received: Received) -> None:
        self.received = received
        self.all_nodes = received.nodes
        self.nodes = [node for node in received.order() if node.table is not None]
        self._children: dict[tuple[int, str], list[Node]] = {}
        for node in self.nodes:
            if node.owner is not None:
                self._children.setdefault((id(node.owner), node.slot), []).append(node)
        self._of_item: dict[int, Node] = {}
        self.case = self._case()
        self.settled = self._refuse_what_breaks_rules()
        if self.settled:
            self.optional_codes = any(_LICENSED & _codings(node.resource) for node in self.nodes)
            self._write_again()

    # assembling the case

    def _case(self) -> Case:
        patient = self.received.patient
        sections: dict[str, Any] = {name: [] for name, _ in SECTIONS}
        for shares in self._items([node for node in self.nodes if node.owner is None]):
            table = shares[0].table
            assert table is not None
            sections[_SECTION[table]].append(self._item(shares))
        system, case_id = self.received.identity
        language = patient.resource.get("language") or self.received.document.get("language")
        many = {name: shape.many for name, shape in shapes(Case).items()}
        root: dict[str, Any] = {
            name: tuple(found) if many[name] else found[0] for name, found in sections.items() if found
        }
        root["schema_version"] = SCHEMA_VERSION
        root |= {"case_system": system, "case_id": case_id, "recorded": self._recorded()}
        root["language"] = language if isinstance(language, str) and LANGUAGE.ok(language) else "und"
        return Case(**root, **_labels(patient.resource))

    @staticmethod
    def _items(nodes: list[Node]) -> list[list[Node]]:
        """The nodes by item: the shares of one item together, at the place of the first."""
        by_key: dict[str, list[Node]] = {}
        for node in nodes:
            by_key.setdefault(node.item_key, []).append(node)
        return list(by_key.values())

    def _item(self, shares: list[Node]) -> Any:
        """One item, with its shares folded and its parts put in."""
        node = shares[0]
        table = node.table
        assert table is not None
        if table.spread is not None:
            name = table.spread.field
            node.into[name] = tuple(value for share in shares for value in share.into.get(name, ())[:1])
        for row in table.each:
            parts = tuple(self._item(s) for s in self._items(self._children.get((id(node), row.field), [])))
            if parts:
                node.into[row.field] = parts if row.shape.many else parts[0]
        item = table.make(node)
        self._of_item[id(item)] = node
        return item

    def _recorded(self) -> str | None:
        for node in self.all_nodes:
            if node.type == "Provenance" and is_generated(node.resource):
                recorded = node.resource.get("recorded")
                return recorded if isinstance(recorded, str) and INSTANT.ok(recorded) else None
        return None

    def _refuse_what_breaks_rules(self) -> bool:
        """A resource whose item contradicts itself loses its table; says whether none did."""
        found = problems(self.case)
        if not found:
            return True
        owners = {
            p.pointer: self._of_item[id(p.value)] for p in places(self.case, Case) if id(p.value) in self._of_item
        }
        for issue in found:
            steps = issue.pointer.split("/")
            node = next(
                (owners[w] for i in range(len(steps), 0, -1) if (w := "/".join(steps[:i])) in owners),
                self.received.patient,
            )
            if node is self.received.patient:
                raise MappingError(found)
            node.table, node.refused = None, Unread(issue.code, issue.text, issue.expected)
        return False

    # what the writer makes of it

    def ref(self, node: Node) -> str:
        """How the bundle itself would refer to the node."""
        return node.full_url or f"{node.type}/{node.resource.get('id')}"

    def _write_again(self) -> None:
        self.plans = plans = list(plan(self.case))
        by_key = {node.key: node for node in self.nodes}
        writing: dict[str, list[Any]] = {}
        matched = []
        for planned in plans:
            node = by_key.get(planned.key) or by_key[planned.item_key]
            id_ = node.resource.get("id")
            planned.key, planned.ref = node.key, self.ref(node)
            planned.id = id_ if isinstance(id_, str) else planned.id
            writing.setdefault(planned.item_key, []).append(planned)
            matched.append((node, planned))
        self.subject = self.ref(self.received.patient)
        case = self.case
        to = Writing(case, writing, self.subject, self.optional_codes, lambda: labels(case))
        self.written: dict[int, dict[str, Json]] = {}
        for node, planned in matched:
            to.spelled = node.spelled
            self.written[id(node)] = planned.table.write(planned, to)

    @staticmethod
    def bare(node: Node) -> dict[str, Json]:
        """The resource without a generated narrative, which is made anew and never read."""
        text = node.resource.get("text")
        if isinstance(text, dict) and text.get("status") == "generated":
            return {name: value for name, value in node.resource.items() if name != "text"}
        return node.resource

    def software_ref(self) -> str | None:
        """How the bundle refers to this adapter's own Device."""
        for node in self.all_nodes:
            profiles = (node.resource.get("meta") or {}).get("profile", ()) if is_generated(node.resource) else ()
            if SOFTWARE in profiles:
                return self.ref(node)
        return None

    # the account

    def path(self, node: Node, pointer: str) -> str:
        """A pointer into a resource as a FHIRPath from the Bundle."""
        return f"Bundle.entry[{node.index}].resource{fhirpath(pointer)}"

    def report(self) -> Report:
        """Every leaf of the bundle: mapped, or in the rest with its reason."""
        report = Report("fhir-to-case", total=lens.leaves(self.received.document))
        inside = narratives = made = 0
        for node in self.all_nodes:
            size = lens.leaves(node.resource)
            inside += size
            if node.table is not None:
                bare = self.bare(node)
                text = size - lens.leaves(bare) if bare is not node.resource else 0
                narratives += text
                report.mapped += size - text - self._rest(node, bare, report)
            elif is_generated(node.resource):
                made += size
            else:
                self._unmapped(node, size, report)
        for code, count in (("envelope", report.total - inside), ("narrative-generated", narratives),
                            ("generated-resource", made)):  # fmt: skip
            if count:
                report.add(code, path="Bundle", leaves=count, disposition="generated")
        return report

    def _rest(self, node: Node, bare: dict[str, Json], report: Report) -> int:
        """Report what of a mapped resource is not in the case; gives its leaves."""
        reasons = {"".join(f"/{wire.escape(str(s))}" for s in error.steps): error for error in node.problems}
        count = 0
        for pointer, json in lens.rest(bare, self.written[id(node)]):
            size = lens.leaves(json)
            count += size
            error = next((e for p, e in reasons.items() if p == pointer or p.startswith(pointer + "/")
                          or pointer.startswith(p + "/")), None)  # fmt: skip
            code = error.code if error else _code_of(pointer)
            report.issues.append(
                Issue(code if code in _SOFT else "unreadable-element", error.message if error else "",
                      self.path(node, pointer), node.pointer + pointer, error.expected if error else "",
                      disposition="kept", leaves=size, severity=None if code in _SOFT else "warning")
            )  # fmt: skip
        return count

    def _unmapped(self, node: Node, size: int, report: Report) -> None:
        if node.refused is not None:
            report.issues.append(replace(_as_issue(node, node.refused, "refused"), leaves=size))
        else:
            message = f"{_type_shown(node.type)} is not mapped."
            where = self.path(node, "")
            report.add(
                "unknown-resource", message=message, path=where, pointer=node.pointer, disposition="kept", leaves=size
            )


_SOFT = ("unknown-element", "unknown-extension", "unmapped-code", "unresolved-reference", "ambiguous-reference",
         "wrong-unit", "unreadable-element")  # fmt: skip
_HARD = ("modifier", "entered-in-error", "other-subject", "unattached", "duplicate-key")


def _code_of(pointer: str) -> str:
    if "/extension/" in pointer:
        return "unknown-extension"
    return "unresolved-reference" if pointer.endswith("/reference") else "unknown-element"


def _as_issue(node: Node, error: Unread, disposition: Any) -> Issue:
    """Why a resource could not be read, as an issue of level error."""
    pointer = "".join(f"/{wire.escape(str(step))}" for step in error.steps)
    code = error.code if error.code in _HARD else "unreadable-resource"
    path = f"Bundle.entry[{node.index}].resource{fhirpath(pointer)}"
    message = f"{_type_shown(node.type)}: {error.message}"
    return Issue(code, message, path, node.pointer + pointer, error.expected, disposition=disposition)


def _type_shown(type_: str) -> str:
    return type_ if type_.isascii() and type_.isalpha() and len(type_) < 41 else "A resource"


def fhirpath(pointer: str) -> str:
    """The steps of a pointer within a resource as FHIRPath: /valueQuantity/code is .value.code."""
    path = ""
    for step in pointer.split("/")[1:]:
        match = _CHOICE.fullmatch(step)
        name = match[1] if match else step.removeprefix("_")
        path += f"[{name}]" if name.isdigit() else f".{name}"
    return path


def _codings(json: Json) -> set[tuple[Any, Any]]:
    """Every (system, code) anywhere in an element."""
    if isinstance(json, dict):
        here = {(json.get("system"), json["code"])} if isinstance(json.get("code"), str) else set()
        return here.union(*map(_codings, json.values()))
    return set().union(*map(_codings, json)) if isinstance(json, list) else set()


def _labels(resource: dict[str, Json]) -> dict[str, Any]:
    """``security`` and ``tags`` of the case, from the patient's meta."""
    meta = resource.get("meta")
    labels_, tags_ = (members(meta, name) for name in ("security", "tag"))
    order = [(c.get("system"), c.get("code")) for c in labels_]
    word_of = {pair: word for word, term in WORDS["security"].items() for pair in term.pairs}
    words = tuple(dict.fromkeys(word_of[pair] for pair in order if pair in word_of))
    tags = []
    for json in tags_:
        try:
            tags.append(coding().read(json, None))  # type: ignore[arg-type]
        except Unread:
            continue
    return {"security": words, "tags": tuple(tags)}
