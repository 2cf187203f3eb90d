"""Objects and arrays: the walk over JSON.

A check of an object looks up each member in a dict of checks; nothing is searched, no path is built
while all is well.
"""

from __future__ import annotations

from collections.abc import Callable

from adapter.r4.faults import DEEPEST, Check, Faults, Json, Rule, Run, at, item, join
from adapter.r4.invariants import Predicate
from adapter.r4.primitives import wrong_type

#: A list that says: nothing wrong yet, but look at the ``_name`` members of this object.
SIBLING: Faults = []
#: Where an element has faults already, a rule may meet a shape that it does not expect.
DEFEATED = (TypeError, AttributeError, KeyError, ValueError, ArithmeticError, RecursionError)


class Plan:
    """What an object may hold: a check for each JSON member, the required ones, its rules.

    ``check`` is there before the plan is `ready`, so that types may nest in themselves.
    """

    __slots__ = ("check", "fields", "kind", "needed", "predicates", "required", "rules", "shown", "waiting")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.fields: dict[str, Check] = {}
        self.shown: dict[str, str] = {}
        #: members that have to be there, and choices of which one has to be: stem, 0 or 1, members
        self.required: frozenset[str] = frozenset()
        self.needed: list[tuple[str, int, frozenset[str]]] = []
        self.predicates: list[tuple[str, Predicate]] = []
        self.rules: list[Rule] = []
        self.check: Check = lambda value, run: self.check(value, run)
        #: variants of this plan that were asked for before it was ready; none once it is
        self.waiting: list[Plan] | None = []

    def ready(self) -> Plan:
        """Make the check; the plan does not change from here."""
        self.check = object_check(self)
        waiting, self.waiting = self.waiting or [], None
        for plan in waiting:
            plan.follow(self)
        return self

    def follow(self, base: Plan) -> Plan:
        """Take the members of another plan, when it is ready."""
        if base.waiting is not None:
            base.waiting.append(self)
            return self
        self.fields, self.shown, self.required, self.needed = base.fields, base.shown, base.required, base.needed
        return self.ready()


def object_check(plan: Plan) -> Check:
    """Make the check of objects that follow a plan."""
    field, required = plan.fields.get, plan.required
    after = rules_check(plan) if plan.needed or plan.predicates or plan.rules else None

    def check(value: Json, run: Run) -> Faults | None:
        if type(value) is not dict:
            return wrong_type(value, run, f"an object ({plan.kind})")
        faults = None
        siblings = not value
        for name, member in value.items():
            known = field(name)
            found = known(member, run) if known is not None else unknown(plan, name, run)
            if found is None:
                continue
            siblings = True
            if found:
                faults = join(faults, at(found, name, plan.shown.get(name, "")))
        if siblings:
            faults = join(faults, aligned(value, run))
        if required and not required <= value.keys():
            faults = join(faults, missing(plan, value, run))
        return after(value, run, faults) if after else faults

    return check


def rules_check(plan: Plan) -> Callable[[Json, Run, Faults | None], Faults | None]:
    """Make the check of what concerns several members: choices, invariants, rules."""
    needed, predicates, rules = tuple(plan.needed), tuple(plan.predicates), tuple(plan.rules)

    def check(value: Json, run: Run, faults: Faults | None) -> Faults | None:
        for _, least, names in needed:
            if not least <= len(names.intersection(value)) <= 1:
                faults = join(faults, choices(plan, value, run))
                break
        if faults:
            return join(faults, guarded(plan, value, run))
        for key, holds in predicates:
            if not holds(value):
                faults = join(faults, run.fault(key))
        for rule in rules:
            found = rule(value, run)
            if found:
                faults = join(faults, found)
        return faults

    return check


def guarded(plan: Plan, value: Json, run: Run) -> Faults:
    """Run the rules of an object that has faults; those that its shape defeats are left out."""
    faults: Faults = []
    for key, holds in plan.predicates:
        try:
            faults += [] if holds(value) else run.fault(key)
        except DEFEATED:
            continue
    for rule in plan.rules:
        try:
            faults += rule(value, run) or []
        except DEFEATED:
            continue
    return faults


def unknown(plan: Plan, name: Json, run: Run) -> Faults:
    """Say that an element is not part of its type; of a misspelt choice also what is."""
    stem = name.lstrip("_") if type(name) is str else ""
    choice = [members for start, _, members in plan.needed if stem.startswith(start)]
    allowed = sorted(member for members in choice for member in members if member[0] != "_")
    return run.fault("unknown-element", plan.kind, expected=", ".join(allowed[:12]) + ", ..." * (len(allowed) > 12))


def missing(plan: Plan, value: Json, run: Run) -> Faults:
    """Say which required elements are missing; a sibling with an extension stands for its element."""
    faults: Faults = []
    for name in sorted(plan.required - value.keys()):
        if "_" + name not in value:
            faults += at(run.fault("cardinality/absent", expected=f"{plan.kind}.{name}"), name)
    return faults


def choices(plan: Plan, value: Json, run: Run) -> Faults:
    """Check that of each choice one member stands, or none where it may be absent."""
    faults: Faults = []
    for stem, least, names in plan.needed:
        standing = {name.lstrip("_") for name in names.intersection(value)}
        if len(standing) > 1:
            faults += run.fault("choice", stem, len(standing))
        elif len(standing) < least:
            faults += run.fault("cardinality/absent", expected=f"{plan.kind}.{stem}[x]")
    return faults


def aligned(value: Json, run: Run) -> Faults:
    """Check values against their ``_name`` siblings, item by item; each place needs a value or an extension."""
    faults = [] if value else run.fault("ele-1")
    for stem in dict.fromkeys(name.lstrip("_") for name in value if type(name) is str):
        main, more = value.get(stem), value.get("_" + stem)
        if isinstance(main, list) or isinstance(more, list):
            values, others = (both if isinstance(both, list) else [] for both in (main, more))
            for number in range(max(len(values), len(others))):
                if not any(number < len(both) and both[number] is not None for both in (values, others)):
                    faults += at(item(run.fault("null"), number), stem)
        elif stem not in value and isinstance(more, dict) and "extension" not in more:
            faults += at(run.fault("ele-1"), "_" + stem)
    return faults


def many(check: Check, primitive: bool) -> Check:
    """Make the check of an array; an array of primitives may hold nulls where siblings fill the place."""

    def check_all(value: Json, run: Run) -> Faults | None:
        if type(value) is not list:
            return wrong_type(value, run, "an array")
        faults = None if value else run.fault("cardinality/empty")
        nulls = False
        for number, one in enumerate(value):
            if one is None and primitive:
                nulls = True
                continue
            found = check(one, run)
            if found:
                faults = join(faults, item(found, number))
        return faults or (SIBLING if nulls else None)

    return check_all


def deeper(check: Check) -> Check:
    """Guard a check where types nest without end."""

    def check_deeper(value: Json, run: Run) -> Faults | None:
        if run.deep >= DEEPEST:
            return run.fault("depth", DEEPEST)
        run.deep += 1
        found = check(value, run)
        run.deep -= 1
        return found

    return check_deeper
