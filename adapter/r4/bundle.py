"""Bundles: bdl-*, full URLs, and what references lead to inside one."""

from __future__ import annotations

from collections.abc import Iterator

from adapter.r4.faults import Check, Faults, Json, Run, at, item, join
from adapter.r4.primitives import ABSOLUTE
from adapter.r4.references import target_of

#: Entries of these types need no fullUrl: they may not exist yet, or name a server's answer.
FREE = frozenset(["transaction", "batch", "transaction-response", "batch-response"])
REQUESTS = frozenset(["transaction", "batch", "history"])
RESPONSES = frozenset(["transaction-response", "batch-response", "history"])


class Scope:
    """One Bundle: its type, its resources by fullUrl and by Type/id, and what its references lead to."""

    def __init__(self, bundle: Json) -> None:
        self.kind = bundle.get("type") if isinstance(bundle.get("type"), str) else ""
        listed = bundle.get("entry")
        self.entries: list[Json] = listed if isinstance(listed, list) else []
        self.urls: dict[str, str] = {}
        self.names: set[str] = set()
        self.memos: dict[str, dict[str, str]] = {}
        #: the entry that is being checked, none outside of the entries, and how many were
        self.number, self.passed = -1, 0
        #: of a document: the references of this entry, and of each: the base of its fullUrl, its references
        self.links: list[str] | None = None
        self.linked: dict[int, tuple[str, list[str]]] = {}
        for _, url, resource in self.resources():
            kind = resource.get("resourceType")
            if isinstance(kind, str):
                self.names.add(f"{kind}/{resource.get('id')}")
                if url:
                    self.urls.setdefault(url, kind)

    def resources(self) -> Iterator[tuple[int, str, dict[str, Json]]]:
        """Walk the entries that have a resource: number, fullUrl or nothing, resource."""
        for number, one in enumerate(self.entries):
            if isinstance(one, dict) and isinstance(one.get("resource"), dict):
                url = one.get("fullUrl")
                yield number, url if isinstance(url, str) else "", one["resource"]

    def find(self, base: str, reference: str) -> str | None:
        """Find the fullUrl that a reference leads to from an entry with this base."""
        if reference in self.urls:
            return reference
        plain = reference.partition("/_history/")[0]
        return next((full for full in (plain, base + reference, base + plain) if full in self.urls), None)

    def missing(self, reference: str, kind: str, run: Run) -> Faults:
        """Say what a reference means that leads out of the Bundle."""
        document = self.kind == "document"
        if document and self.number == 0 and not run.inside:
            return run.fault("bundle-reference/composition")
        if reference.startswith("urn:"):
            closed = document or self.kind == "transaction"
            return run.fault("bundle-reference/closed" if closed else "bundle-reference/absent")
        if self.number < 0 or not kind or ":" in reference:
            return []
        if reference.partition("/_history/")[0] in self.names:
            return run.fault("bundle-relative/closed" if document else "bundle-relative/other")
        return [] if run.base or self.kind in FREE else run.fault("bundle-relative/urn")


def base_of(url: Json) -> str:
    """Give the part of a RESTful fullUrl before Type/id; empty where it is none."""
    if isinstance(url, str) and url[:4] == "http" and target_of(url):
        return url.rsplit("/", 2)[0] + "/"
    return ""


def entry(check: Check) -> Check:
    """Make the check of an entry: its references are read against its own fullUrl."""

    def check_entry(value: Json, run: Run) -> Faults | None:
        scope: Scope | None = run.bundle
        if scope is None or type(value) is not dict:
            return check(value, run)
        if run.tick is not None:
            run.tick()
        number = scope.number = scope.passed
        scope.passed += 1
        outer, run.base = run.kinds, base_of(value.get("fullUrl"))
        document = scope.kind == "document"
        run.kinds = scope.memos.setdefault("the Composition" if document and number == 0 else run.base, {})
        if document:
            scope.links = []
            scope.linked[number] = run.base, scope.links
        found = check(value, run)
        run.kinds, run.base, scope.links, scope.number = outer, "", None, -1
        return found

    return check_entry


def check(bundle: Json, run: Run, walk: Check) -> Faults | None:
    """Check a Bundle: its elements in a scope of their own, then the rules of the whole."""
    before = run.bundle, run.kinds, run.base
    run.bundle = scope = Scope(bundle)
    run.kinds, run.base = {}, ""
    faults = join(walk(bundle, run), at(entries(scope, run), "entry"))
    faults = join(faults, whole(bundle, scope, run))
    run.bundle, run.kinds, run.base = before
    return faults


def entries(scope: Scope, run: Run) -> Faults:
    """Check the rules of single entries and their full URLs."""
    requests, responses, needs_url = scope.kind in REQUESTS, scope.kind in RESPONSES, scope.kind not in FREE
    seen: set[tuple[str, Json]] = set()
    faults: Faults = []
    for number, one in enumerate(scope.entries):
        if not isinstance(one, dict):
            continue
        found: Faults = []
        if ("request" in one) is not requests:
            found += run.fault("bdl-3")
        if ("response" in one) is not responses:
            found += run.fault("bdl-4")
        if "search" in one and scope.kind != "searchset":
            found += run.fault("bdl-2")
        url = one.get("fullUrl")
        if isinstance(url, str):
            found += at(full_url(url, one.get("resource"), scope, seen, run), "fullUrl")
        elif needs_url and "fullUrl" not in one and "_fullUrl" not in one:
            found += run.fault("bundle-fullurl/absent")
        faults += item(found, number) if found else []
    return faults


def full_url(url: str, resource: Json, scope: Scope, seen: set[tuple[str, Json]], run: Run) -> Faults:
    """Check one fullUrl: absolute, no version, unique, in line with type and id."""
    faults = [] if ABSOLUTE.match(url) else run.fault("bundle-fullurl/absolute")
    if "/_history/" in url:
        faults += run.fault("bdl-8")
    if not isinstance(resource, dict):
        return faults
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    key = url, version if isinstance(version, str) else ""
    if key in seen and scope.kind != "history":
        faults += run.fault("bdl-7")
    seen.add(key)
    kind, ident = resource.get("resourceType"), resource.get("id")
    if url[:4] == "http" and kind and target_of(url) and not url.endswith(f"/{kind}/{ident}"):
        faults += run.fault("bundle-fullurl/id")
    return faults


def whole(bundle: Json, scope: Scope, run: Run) -> Faults:
    """Check the rules of the Bundle as a whole."""
    faults: Faults = []
    if "total" in bundle and scope.kind not in ("searchset", "history"):
        faults += at(run.fault("bdl-1"), "total")
    links = bundle.get("link") if scope.kind == "searchset" else None
    relations = [str(one.get("relation")) for one in links if isinstance(one, dict)] if isinstance(links, list) else []
    if len(set(relations)) < len(relations):
        faults += at(run.fault("bundle-link"), "link")
    first = next(((number, r.get("resourceType")) for number, _, r in scope.resources()), (0, None))
    if scope.kind == "message" and first != (0, "MessageHeader"):
        faults += run.fault("bdl-12")
    return faults + document(bundle, first == (0, "Composition"), scope, run) if scope.kind == "document" else faults


def document(bundle: Json, led: bool, scope: Scope, run: Run) -> Faults:
    """Check the rules of a document: identifier, time, Composition first, and every entry linked to it."""
    identifier = bundle.get("identifier")
    sound = isinstance(identifier, dict) and identifier.keys() >= {"system", "value"}
    faults = [] if sound else run.fault("bdl-9")
    if "timestamp" not in bundle:
        faults += run.fault("bdl-10")
    if not led:
        return faults + run.fault("bdl-11")
    for number in sorted(unreached(scope)):
        faults += at(item(run.fault("bundle-orphan"), number), "entry")
    return faults


def unreached(scope: Scope) -> set[int]:
    """Find the entries of a document that no chain of references joins to its Composition."""
    numbers = {url: number for number, url, _ in scope.resources()}
    near: dict[int, set[int]] = {number: set() for number in numbers.values()}
    for number, (base, references) in scope.linked.items():
        for full in {scope.find(base, reference) for reference in references} - {None}:
            other = numbers.get(full or "", number)
            near.setdefault(number, set()).add(other)
            near.setdefault(other, set()).add(number)
    todo, found = [0], {0}
    while todo:
        fresh = near.get(todo.pop(), set()) - found
        found |= fresh
        todo += fresh
    return near.keys() - found
