"""Bundle -> case, with an account of every leaf: mapped, or in the rest with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mappings import wire
from mappings.account import account, as_issue
from mappings.case import ALTERNATES, SCHEMA_VERSION, SECTIONS, Case
from mappings.check import places, plan, problems
from mappings.codec import Unread, coding, pairs
from mappings.concepts.patient import PATIENT
from mappings.derive import derive_courses, derive_panel, group_cycles
from mappings.doubts import is_part
from mappings.generated import SOFTWARE, is_generated, labels
from mappings.received import Received, hash_of
from mappings.report import Issue, Json, MappingError, Report
from mappings.resource import Node, Planned, Writing, adopt, by_key, members
from mappings.shape import shapes
from mappings.terms import WORDS
from mappings.values import INSTANT, LANGUAGE

_SECTION = {table: name for name, any_map in SECTIONS for table in any_map.tables}
_SECTION |= {table: section for table, section in ALTERNATES.items() if section}


def from_fhir(
    bundle: Any, *, patient: str | None = None, strict: bool = False, tick: Callable[[], None] | None = None
) -> tuple[Case, Report]:
    """The case that a FHIR R4 Bundle holds, and the report on every leaf of it.

    ``bundle`` is plain JSON (numbers int or `Decimal`), bytes, text, or a fhir.resources model.
    ``patient`` (an id or fullUrl) says which one where there are several. ``strict`` refuses a
    Bundle of which anything is not mapped. ``tick`` is called once a resource, and may raise to end the work.

    Raises `MappingError` for what is no R4 Bundle of one patient.
    """
    document, leaves = wire.counted(bundle)
    found = read(document, patient, tick=tick)
    report = account(found, leaves)
    if strict:
        kept = [issue for issue in report.issues if issue.disposition in ("kept", "refused")]
        if kept:
            raise MappingError(
                [Issue("not-mapped-strict", i.text, i.path, i.pointer, i.expected, rule=i.code) for i in kept]
            )
    return found.case, report


def read(
    document: Any, patient: str | None, identity: tuple[str, str] | None = None, tick: Callable[[], None] | None = None
) -> Read:
    """Read a bundle; the fix point of "a resource that refers to one that cannot be read is read without it"."""
    received = Received(document, patient, identity)
    while True:
        _read_nodes(received, tick)
        found = Read(received)
        if found.settled:
            return found


def _read_nodes(received: Received, tick: Callable[[], None] | None) -> None:
    """Read every node that has a table; one that fails loses it, and those that referred to it are read again."""
    while True:
        failed = False
        derive_courses(received)
        derive_panel(received)
        for node in received.everyone:
            if not node.given:  # a derived owner stays
                node.owner, node.slot = None, ""
        for node in received.everyone:
            if tick is not None:
                tick()
            if node.table is not None:
                try:
                    node.table.read(node, received)
                except Unread as error:
                    node.table, node.refused, failed = None, error, True
        for node in received.nodes:
            if node.table is not None and node.table not in _SECTION and node.owner is None:
                node.refused = Unread(
                    "unattached", "Nothing in the Bundle holds this part.", "the resource it belongs to"
                )
                node.table, failed = None, True
        for node in () if failed else received.strays():
            node.refused = Unread("other-subject", "Nothing says that it is of this patient.")
            node.table, failed = None, True
        if received.patient.table is None:
            raise MappingError(as_issue(received.patient, received.patient.refused or Unread("bug", ""), "refused"))
        if not (failed or _parted(received)):
            group_cycles(received)
            return


def _parted(received: Received) -> bool:
    """Make items of their own of resources that share an item and no longer say the same; whether there were any."""
    parted = False
    for nodes in _items([n for n in received.everyone if n.table is not None and n.table.spread is not None]):
        for node in nodes[1:]:
            if not _agree(nodes[0], node):
                node.item_key, parted = f"{node.key.partition('.')[0][:55]}-{hash_of(node)}", True
    return parted


def _agree(one: Node, other: Node) -> bool:
    """Whether two resources that share an item have a share each and say the same of the rest."""
    assert one.table is not None
    assert one.table.spread is not None
    name = one.table.spread.field
    told = [{field: value for field, value in node.into.items() if field != name} for node in (one, other)]
    return name in one.into and name in other.into and wire.is_same_text(*told)


def _items(nodes: list[Node]) -> list[list[Node]]:
    """The nodes by item: the shares of one item together, at the place of the first."""
    by_key: dict[str, list[Node]] = {}
    for node in nodes:
        by_key.setdefault(node.item_key, []).append(node)
    return list(by_key.values())


class Read:
    """What was read: the case, its nodes, what the writer makes of each, and where the rest lies."""

    def __init__(self, received: Received) -> None:
        self.received, self.document = received, received.document
        self.all_nodes, self.notices = received.nodes, received.notices
        self.nodes = [node for node in received.order() if node.table is not None]
        self._children: dict[tuple[int, str], list[Node]] = {}
        for node in self.nodes:
            if node.owner is not None:
                self._children.setdefault((id(node.owner), node.slot), []).append(node)
        self._of_item: dict[int, list[Node]] = {}
        self._crowded = False
        self.case = self._case()
        self.settled = not self._crowded and self._refuse_what_breaks_rules()
        if self.settled:
            self.optional_codes = any(node.licensed for node in self.nodes)
            self._plan()

    # assembling the case

    def _case(self) -> Case:
        head = self.received.head
        many = {name: shape.many for name, shape in shapes(Case).items()}
        sections: dict[str, Any] = {name: [] for name, _ in SECTIONS}
        for shares in _items([node for node in self.nodes if node.owner is None]):
            table = shares[0].table
            assert table is not None
            section = _SECTION[table]
            if sections[section] and not many[section]:
                self._turn_away(shares)
            else:
                sections[section].append(self._item(shares))
        system, case_id = self.received.identity
        language = head.get("language") or self.received.document.get("language")
        root: dict[str, Any] = {
            name: tuple(found) if many[name] else found[0] for name, found in sections.items() if found
        }
        root["schema_version"] = SCHEMA_VERSION
        root |= {"case_system": system, "case_id": case_id, "recorded": self._recorded()}
        root["language"] = language if isinstance(language, str) and LANGUAGE.ok(language) else "und"
        return Case(**root, **_labels(head))

    def _item(self, shares: list[Node]) -> Any:
        """One item, with its shares folded and its parts put in."""
        node = shares[0]
        table = node.table
        assert table is not None
        if table.spread is not None:
            name = table.spread.field
            node.into[name] = tuple(value for share in shares for value in share.into.get(name, ())[:1])
        for row in table.each:
            found = _items(self._children.get((id(node), row.field), []))
            if not row.shape.many:
                for surplus in found[1:]:
                    self._turn_away(surplus)
            parts = tuple(self._item(one) for one in (found if row.shape.many else found[:1]))
            if parts:
                node.into[row.field] = parts if row.shape.many else parts[0]
        item = table.make(node)
        self._of_item[id(item)] = shares
        return item

    def _turn_away(self, shares: list[Node]) -> None:
        """A second item where the case has room for one is not read."""
        self._crowded = True
        for node in shares:
            node.table, node.refused = None, Unread("second", "The case has room for one of these.", "one")

    def _recorded(self) -> str | None:
        for node, _ in self.received.provenances[:1]:
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
            nodes = next(
                (owners[w] for i in range(len(steps), 0, -1) if (w := "/".join(steps[:i])) in owners),
                [self.received.patient],
            )
            if nodes[0] is self.received.patient:
                raise MappingError(found)
            for node in nodes:
                node.table, node.refused = None, Unread(issue.code, issue.text, issue.expected)
        return False

    # what the writer makes of it

    def ref(self, node: Node) -> str:
        """How the bundle itself would refer to the node."""
        return node.full_url or f"{node.type}/{node.resource.get('id')}"

    def _plan(self) -> None:
        self.plans = plans = list(plan(self.case))
        shares = {item: iter(nodes) for item, nodes in self._of_item.items()}
        self.matched = [(next(shares[id(planned.item)]), planned) for planned in plans]
        self._planned: dict[int, Planned] = {}
        for node, planned in self.matched:
            adopt(planned, node, self.ref(node))
            node.item_key = planned.item_key
            self._planned[id(node)] = planned
        self.subject = self.ref(self.received.patient)
        labelled = labels(self.case)  # what is written is only compared
        self._to = Writing(self.case, by_key(plans), self.subject, self.optional_codes, lambda: labelled)

    def written(self, node: Node, told: bool = False) -> dict[str, Json]:
        """What the writer makes of what was read from a node; ``told``: without what was derived."""
        planned = self._planned[id(node)]
        if told and node.derived:
            planned = replace(planned, item=replace(planned.item, **dict.fromkeys(node.derived)))
        self._to.spelled = node.spelled
        return planned.table.write(planned, self._to)

    def software_ref(self) -> str | None:
        """How the bundle refers to this adapter's own Device."""
        for node in self.all_nodes:
            if is_generated(node.resource) and SOFTWARE in node.resource["meta"]["profile"]:
                return self.ref(node)
        return None


def _labels(resource: dict[str, Json]) -> dict[str, Any]:
    """``security`` and ``tags`` of the case, from the meta of the resource that stands for it."""
    meta = resource.get("meta")
    labels_, tags_ = (members(meta, name) for name in ("security", "tag"))
    order = list(pairs(labels_))
    word_of = {pair: word for word, term in WORDS["security"].items() for pair in term.pairs}
    words = tuple(dict.fromkeys(word_of[pair] for pair in order if pair in word_of))
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    ours = is_generated(resource) or (isinstance(profiles, list) and PATIENT.profile in profiles)
    tags = []
    for json in tags_:
        if not ours and is_part({"meta": {"tag": [json]}}):  # true of what another server sent, not of the case
            continue
        try:
            tags.append(coding().read(json, None))  # type: ignore[arg-type]
        except Unread:
            continue
    return {"security": words, "tags": tuple(tags)}
