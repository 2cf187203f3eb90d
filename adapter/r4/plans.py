"""Plans: the table's types as checks, made at first use, one plan for each type and nested element."""

from __future__ import annotations

from threading import RLock
from typing import Any

from adapter.r4 import bundle
from adapter.r4.concepts import bound, coding, remembered_coding, remembered_quantity
from adapter.r4.contained import contained, index
from adapter.r4.extensions import absolute, by_url, core_extension, exclusive
from adapter.r4.faults import Check, Faults, Json, Rule, Run, at
from adapter.r4.invariants import INVARIANTS, TEXT_RULES, Predicate
from adapter.r4.narrative import spoken, xhtml
from adapter.r4.objects import SIBLING, Plan, deeper, many
from adapter.r4.primitives import identity, primitives, wrong_type
from adapter.r4.primitives import language as language_code
from adapter.r4.references import reference_rule, remembered_reference
from adapter.r4.rules import table
from adapter.r4.vitals import vital_signs

Row = list[Any]
#: One thread at a time makes plans; what is ready is only read.
LOCK = RLock()
READY: dict[tuple[str, bool], Plan] = {}
PLANS: dict[tuple[str, str, str], Plan] = {}
EXTENSIONS: dict[frozenset[str], Check] = {}
REFERENCES: dict[frozenset[str], Check] = {}
PRIMITIVES: dict[str, Check] = {}
EMPTY: dict[str, str] = {}
#: Attributes in XML: they carry no extensions, so there is no ``_name`` for them.
ATTRIBUTES = frozenset([("Element", "id"), ("Extension", "url"), ("Narrative", "div")])


def resource_plan(kind: str, inside: bool) -> Plan:
    """Give the plan of a resource type; a contained resource needs no narrative and contains nothing."""
    found = READY.get((kind, inside))
    if found is None:
        with LOCK:
            found = plan_of(kind, "")
            if inside:
                found = variant(
                    found,
                    [p for p in found.predicates if p[0] != "dom-6"],
                    [rule for rule in found.rules if rule is not contained],
                )
            READY[kind, inside] = found
    return found


def variant(base: Plan, predicates: list[tuple[str, Predicate]], rules: list[Rule]) -> Plan:
    """Make a plan with the same members and other rules."""
    plan = Plan(base.kind)
    plan.predicates, plan.rules = predicates, rules
    return plan.follow(base)


def resource_check(inside: bool) -> Check:
    """Make the check of a resource: the root, one of a Bundle or Parameters, or a contained one."""

    def check(value: Json, run: Run) -> Faults | None:
        if type(value) is not dict:
            return wrong_type(value, run, "a resource")
        kind = value.get("resourceType")
        if type(kind) is not str or kind not in table().resources:
            return at(run.fault("resource-type"), "resourceType")
        before = run.contained, run.owner, run.ids, run.inside
        run.inside = inside
        if not inside:
            run.contained = index(value) if "contained" in value else EMPTY
            run.owner, run.ids = kind, set()
        walk = resource_plan(kind, inside).check
        found = bundle.check(value, run, walk) if kind == "Bundle" else walk(value, run)
        run.contained, run.owner, run.ids, run.inside = before
        return found

    return check


def named(value: Json, run: Run) -> Faults | None:
    """Accept ``resourceType``, which `resource` has read."""
    return None


def plan_of(kind: str, path: str, place: str = "") -> Plan:
    """Give the plan of a type, or of a nested element of it; ``place`` where an extension knows the element."""
    plan = PLANS.get((kind, path, place))
    if plan is None:
        plan = PLANS[kind, path, place] = Plan(f"{kind}.{path}".rstrip("."))
        bases = ancestors(nested_base(kind, path)) if path else ancestors(kind)[1:]
        places = frozenset([plan.kind, place, "Element", *bases])
        for above in bases:
            fill(plan, above, "", places)
        fill(plan, kind, path, places)
        finish(plan, kind, path)
        plan.check = REMEMBERED.get(kind, same)(plan.ready().check)
    return plan


def same(check: Check) -> Check:
    """Leave a check as it is."""
    return check


def ancestors(kind: str) -> list[str]:
    """Name a type and those that it is derived from."""
    found = [kind]
    while table().types[found[-1]]["base"]:
        found.append(table().types[found[-1]]["base"])
    return found


def nested_base(kind: str, path: str) -> str:
    """Name the base type of a nested element."""
    return str(row_of(kind, path)[3][0])


def row_of(kind: str, path: str) -> Row:
    """Find the row of a nested element."""
    above, _, name = path.rpartition(".")
    return next(row for row in table().types[kind]["at"][above] if row[0] == name)


def fill(plan: Plan, kind: str, path: str, places: frozenset[str]) -> None:
    """Add a type's own elements to a plan."""
    for row in table().types[kind]["at"][path]:
        checks = field_checks(kind, path, row, places)
        name, least = row[0], row[1]
        plan.fields.update(checks)
        if name.endswith("[x]"):
            plan.needed.append((name[:-3], least, frozenset(checks)))
            plan.shown.update({key: f"{name[:-3]}.ofType({typed(key, row)})" for key in checks})
        elif least:
            plan.required |= {name}


def typed(key: str, row: Row) -> str:
    """Name the type of a choice's member."""
    tail = key.lstrip("_")[len(row[0]) - 3 :]
    return next((plain(kind) for kind in row[3] if plain(kind).lower() == tail.lower()), tail)


def plain(kind: str) -> str:
    """Name a type without its targets, and as JSON names it."""
    name = kind.partition("(")[0]
    return "Quantity" if name == "SimpleQuantity" else name


def field_checks(kind: str, path: str, row: Row, places: frozenset[str]) -> dict[str, Check]:
    """Make the checks of an element's JSON members: each type of a choice, and ``_name`` for primitives."""
    checks: dict[str, Check] = {}
    for one in row[3]:
        name = row[0] if not row[0].endswith("[x]") else row[0][:-3] + plain(one)[0].upper() + plain(one)[1:]
        primitive = one in table().primitives
        check = element_check(kind, path, row, one, places)
        checks[name] = many(check, primitive) if row[2] else check
        if primitive and (kind, row[0]) not in ATTRIBUTES:
            where = frozenset([f"{kind}.{path}.{row[0]}".replace("..", "."), one, "Element"])
            checks["_" + name] = sibling(where, bool(row[2]))
    return checks


def element_check(kind: str, path: str, row: Row, one: str, places: frozenset[str]) -> Check:
    """Make the check of one value of an element, of one type."""
    below = f"{path}.{row[0]}".lstrip(".")
    if one.startswith("#"):
        return deeper(plan_of(kind, one[1:]).check)
    if below in table().types[kind]["at"]:
        check = plan_of(kind, below).check
        return bundle.entry(check) if (kind, below) == ("Bundle", "entry") else check
    if one.startswith("Reference"):
        return reference(frozenset(filter(None, one.partition("(")[2].rstrip(")").split("|"))))
    if one == "Extension":
        return deeper(extension(places if kind != "Extension" and "Extension" not in places else frozenset()))
    if one == "Resource":
        return deeper(resource_check(inside=row[0] == "contained"))
    if one in table().primitives:
        check = primitive_check(kind, row, one)
    else:
        place = f"{kind}.{below}"
        check = plan_of(one, "", place if place in table().contexts else "").check
        check = deeper(check) if kind == "Reference" else check
    return ruled(with_binding(row, one, check), row)


def primitive_check(kind: str, row: Row, one: str) -> Check:
    """Give the check of a primitive value; ids of elements and languages have their own."""
    if not PRIMITIVES:
        PRIMITIVES.update(primitives(table().primitives, xhtml))
    if (kind, row[0]) == ("Element", "id"):
        return element_id
    return language_code if (kind, row[0]) == ("Resource", "language") else PRIMITIVES[one]


def with_binding(row: Row, one: str, check: Check) -> Check:
    """Add the row's binding, where it has one."""
    written = row[4] if len(row) > 4 else ""
    return bound(table().valueset(written[1:]), written[0] == "!", one, check) if written else check


def ruled(check: Check, row: Row) -> Check:
    """Add the invariants that stand on an element rather than on its type."""
    keys = [(key, INVARIANTS[key]) for key in (row[5] if len(row) > 5 else ()) if key in INVARIANTS]
    if not keys:
        return check

    def check_ruled(value: Json, run: Run) -> Faults | None:
        found = check(value, run)
        if found:
            return found
        return next((run.fault(key) for key, holds in keys if not holds(value)), None)

    return check_ruled


def reference(targets: frozenset[str]) -> Check:
    """Make the check of a Reference to the given types."""
    if targets not in REFERENCES:
        found = plan_of("Reference", "")
        REFERENCES[targets] = remembered_reference(
            variant(found, found.predicates, [reference_rule(targets)]).check, targets
        )
    return REFERENCES[targets]


def extension(places: frozenset[str]) -> Check:
    """Make the check of extensions that stand at a place; at no place: of sub-extensions."""
    if places not in EXTENSIONS:
        found = plan_of("Extension", "")
        if places:
            general = variant(found, [], [exclusive, absolute]).check
            EXTENSIONS[places] = by_url(general, table().extensions, lambda url: core(url, places))
        else:
            EXTENSIONS[places] = variant(found, [], [exclusive]).check
    return EXTENSIONS[places]


def core(url: str, places: frozenset[str]) -> Check:
    """Make the check of an extension of R4's own."""
    with LOCK:
        base = variant(plan_of("Extension", ""), [], [exclusive])
        return core_extension(url, places, base, lambda row: field_checks("Extension", "", row, frozenset()))


def sibling(places: frozenset[str], repeats: bool) -> Check:
    """Make the check of a ``_name`` member, when the first one comes."""
    made_once: list[Check] = []

    def check(value: Json, run: Run) -> Faults | None:
        if not made_once:
            plan = Plan("Element")
            with LOCK:
                plan.fields.update({"id": element_id, "extension": many(deeper(extension(places)), primitive=False)})
            one = plan.ready().check
            made_once.append(many(one, primitive=True) if repeats else one)
        return made_once[0](value, run) or SIBLING

    return check


def element_id(value: Json, run: Run) -> Faults | None:
    """Check an element's id, which is its own inside the resource."""
    found = identity(value, run)
    if not found:
        if value in run.ids:
            return run.fault("duplicate-id")
        run.ids.add(value)
    return found


def finish(plan: Plan, kind: str, path: str) -> None:
    """Add the invariants and rules of a type to its plan."""
    if path:
        row = row_of(kind, path)
        keys = row[5] if len(row) > 5 else []
    else:
        keys = table().types[kind]["keys"]
        plan.rules = list(RULES.get(kind, ()))
    plan.predicates = [(key, INVARIANTS[key]) for key in keys if key in INVARIANTS]
    plan.predicates += TEXT_RULES.get(kind, ()) if not path else ()
    if not path and table().types[kind]["kind"] == "resource":
        plan.fields["resourceType"] = named
        if "contained" in plan.fields:
            plan.rules += [contained, spoken]


RULES: dict[str, list[Rule]] = {
    **{kind: [coding] for kind in ("Coding", "Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration")},
    "Observation": [vital_signs],
}
REMEMBERED = {"Coding": remembered_coding, "Quantity": remembered_quantity, "SimpleQuantity": remembered_quantity}
