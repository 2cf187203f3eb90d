"""The laws of `architecture.md`: they hold for every case, and for every bundle that others have worked on.

Equality is that of the encoded bytes: 1.80 is not 1.8, and True is not 1.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass, replace
from difflib import unified_diff
from itertools import islice
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from mappings import Case, MappingError, Report, dump_case, encode, from_fhir, load_case, to_fhir
from mappings.case import SECTIONS, TABLES
from mappings.check import places, plan
from mappings.concepts.patient import Patient
from mappings.generated import is_generated
from mappings.shape import shapes
from mappings.wire import leaves as count_leaves
from tests.foreign import MARK, Facts, Stranger, damaged, facts, leaves, marks, placeless, received, restful, shuffled
from tests.strategies import Choose, cases, edited, repaired, seeded

Json = Any
NOW = "2024-07-15T10:00:00+02:00"
FORMS = (
    {"bundle_type": "collection"},
    {"bundle_type": "document", "now": NOW},
    {"bundle_type": "transaction", "mode": "put"},
    {"bundle_type": "transaction", "mode": "conditional-update"},
)
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.get("mode") or form["bundle_type"])


seeds = st.integers(0, 2**32 - 1)


def chances(seed: int) -> Choose:
    """What others do: many small choices, of which it is not worth shrinking each."""
    return random.Random(seed).randrange


def assert_same(a: Case, b: Case) -> None:
    """Equal to the last digit; says where they are not."""
    texts = [encode(dump_case(case), pretty=True).decode().splitlines() for case in (a, b)]
    assert texts[0] == texts[1], "\n".join(islice(unified_diff(*texts, lineterm="", n=3), 40))


def handled(choose: Choose, bundle: Json, calm: bool = False) -> Json:
    """The bundle as it comes back from others: foreign content, perhaps a server's addresses, another order."""
    bundle = received(bundle)
    if choose(3) == 1:
        bundle = restful(bundle)
    bundle = Stranger(choose, calm=calm).bundle(bundle)
    return received(shuffled(choose, bundle) if choose(2) else bundle)


# --- PutGet -------------------------------------------------------------------------------------


@each_form
@given(case=cases())
def test_what_is_written_is_read_back_exactly(form: dict[str, str], case: Case) -> None:
    """PutGet: `from_fhir(to_fhir(case))` is the case, in every kind of Bundle; transactions go without literature."""
    bundle = to_fhir(case, **form)  # type: ignore[arg-type]
    back, _ = from_fhir(encode(bundle), strict=True)
    if form["bundle_type"] == "transaction":
        case = replace(case, literature=None)
    if "now" in form and case.recorded is None:
        case = replace(case, recorded=form["now"])
    assert_same(back, case)


@given(case=cases())
def test_the_case_document_is_read_back_exactly(case: Case) -> None:
    """`load_case(dump_case(case))` is the case, as bytes and as a dict."""
    document = dump_case(case)
    assert_same(load_case(encode(document)), case)
    assert_same(load_case(document), case)


# --- GetPut -------------------------------------------------------------------------------------


@each_form
@given(case=cases())
def test_an_own_bundle_written_back_is_the_same_bytes(form: dict[str, str], case: Case) -> None:
    """GetPut on what we wrote ourselves, in every kind of Bundle."""
    raw = encode(to_fhir(case, **form))  # type: ignore[arg-type]
    assert encode(to_fhir(from_fhir(raw)[0], onto=raw)) == raw


@given(case=cases(), seed=seeds)
def test_a_foreign_bundle_written_back_is_the_same_bytes(case: Case, seed: int) -> None:
    """GetPut with foreign content everywhere, entries in any order, urn or server addresses."""
    bundle = handled(chances(seed), to_fhir(case))
    back, report = from_fhir(bundle)
    assert_account(bundle, report)
    assert encode(to_fhir(back, onto=bundle)) == encode(bundle)


@given(case=cases(), seed=seeds)
def test_a_damaged_bundle_is_refused_or_written_back_the_same(case: Case, seed: int) -> None:
    """Whatever was done to a Bundle's values and types: a clear refusal, or every byte comes back."""
    bundle = received(damaged(chances(seed), received(to_fhir(case))))
    try:
        back, report = from_fhir(bundle)
    except MappingError:
        return
    assert_account(bundle, report)
    assert encode(to_fhir(back, onto=bundle)) == encode(bundle)


# --- Account ------------------------------------------------------------------------------------


def assert_account(bundle: Json, report: Report) -> None:
    """Every leaf is mapped or stands in an issue, counted here anew."""
    assert report.total == sum(1 for _ in leaves(bundle)) == count_leaves(bundle)
    assert report.mapped + sum(issue.leaves for issue in report.issues) == report.total
    assert report.rest == report.total - report.mapped


@given(case=cases())
def test_every_leaf_of_a_case_is_written(case: Case) -> None:
    """Writing tells of every leaf of the case document; only what an option leaves out is not mapped."""
    report = Report("case-to-fhir")
    to_fhir(case, report=report)
    assert report.mapped == report.total == sum(1 for _ in leaves(dump_case(case)))
    to_fhir(case, bundle_type="transaction", report=report)
    left_out = sum(1 for _ in leaves(dump_case(case)["literature"])) if case.literature else 0
    assert report.total - report.mapped == left_out


@given(case=cases())
def test_every_leaf_of_an_own_bundle_is_a_fact_or_follows_from_facts(case: Case) -> None:
    """Of our own resources nothing is left but the narrative: each element is read, or what the writer makes of it."""
    bundle = received(to_fhir(case))
    _, report = from_fhir(bundle)
    assert_account(bundle, report)
    ours = sum(count_leaves({n: v for n, v in r.items() if n != "text"}) for r in items(bundle).values())
    assert report.mapped == ours


# --- the edit law -------------------------------------------------------------------------------


@dataclass
class Difference:
    """What differs between the resources of items in two bundles: leaves gone and new, resources that go or come."""

    gone: dict[str, Facts]
    new: dict[str, Facts]
    other: set[str]


def items(bundle: Json) -> dict[str, Json]:
    """The resources that are not generated, by the last part of their fullUrl."""
    found = [(e.get("fullUrl", ""), e["resource"]) for e in bundle["entry"] if "resource" in e]
    return {url[-36:]: resource for url, resource in found if not is_generated(resource)}


def bare(resource: Json) -> bytes:
    """The bytes of a resource but for its narrative."""
    return encode({name: value for name, value in (resource or {}).items() if name != "text"})


def difference(a: Json, b: Json) -> Difference:
    """From one bundle to the other."""
    was, now = items(a), items(b)
    both = [(id_, facts(was[id_]), facts(now[id_])) for id_ in was if id_ in now]
    gone = {id_: old - new for id_, old, new in both if old - new}
    return Difference(gone, {id_: new - old for id_, old, new in both if new - old}, set(was) ^ set(now))


@given(case=cases(), seed=seeds)
def test_one_changed_fact_changes_exactly_its_leaves(case: Case, seed: int) -> None:
    """The edit law. ``was`` is read from a foreign bundle, ``now`` is ``was`` with one field changed. Then

    - `to_fhir(now, onto=bundle)` is read as ``now``;
    - in each resource of an item the leaves that go and come are those that differ between `to_fhir(was)` and
      `to_fhir(now)`, and foreign content goes only with the element it hung on, which the report says;
    - where no leaf differs, not one byte does: other resources, entries, their order, the Provenance.

    Generated narrative is written anew where facts changed. A changed word may ask for resources of another
    type, a changed site for another resource: then those go and come, and the rest still stays.
    """
    choose = chances(seed)
    bundle = handled(choose, to_fhir(case), calm=True)
    was, _ = from_fhir(bundle)
    for _ in range(3):
        now, pointer = edited(choose, was)
        assert_edit_law(bundle, was, now, labels=pointer.split("/")[1] in LABELS)


def assert_edit_law(bundle: Json, was: Case, now: Case, labels: bool) -> None:
    """The law for one bundle, what is read from it, and that with one field changed."""
    report = Report("case-to-fhir")
    out = received(to_fhir(now, onto=bundle, report=report))
    assert_same(from_fhir(out)[0], now)
    written, rewritten = received(to_fhir(was)), received(to_fhir(now))
    own, seen = difference(written, rewritten), difference(bundle, out)
    untouched = [id_ for id_, resource in items(written).items() if bare(resource) == bare(items(rewritten).get(id_))]
    assert all(encode(items(bundle)[id_]) == encode(items(out)[id_]) for id_ in untouched)
    dropped = assert_foreign_content_stays(bundle, out, written, own, report)
    if not own.other:
        assert not seen.other
        assert seen.new == own.new
        assert {id_: gone for id_ in seen.gone if (gone := seen.gone[id_] - dropped[id_])} == own.gone
        moved = targets(written) != targets(rewritten)
        assert sorted(targets(bundle)) == sorted(targets(out))
        assert_the_rest_of_the_bundle_stays(bundle, out, labels or moved)


def targets(bundle: Json) -> list[str]:
    """What our Provenance speaks of, in its order, which is that of the case: shares of one item too."""
    resources = [entry.get("resource", {}) for entry in bundle["entry"]]
    listed = [one.get("target", ()) for one in resources if one.get("resourceType") == "Provenance"]
    return [target["reference"] for found in listed for target in found if "reference" in target]


LABELS = ("language", "recorded", "security", "tags")  # what the Provenance has too, as it has the order


def assert_foreign_content_stays(
    bundle: Json, out: Json, written: Json, own: Difference, report: Report
) -> dict[str, Facts]:
    """All of it is there, but for what the report says: that hung on elements that went. Gives its leaves."""
    dropped: dict[str, Facts] = defaultdict(Counter)
    lost: set[str] = set()
    for issue in report.issues:
        if issue.code not in ("rest-dropped", "removed"):
            continue
        index, pointer = _split(issue.pointer)
        entry = bundle["entry"][index]
        if issue.code == "rest-dropped":
            id_, leaves_ = entry["fullUrl"][-36:], facts(entry["resource"], pointer)
            if id_ in items(written) and not own.other:
                ours, gone = facts(items(written)[id_]), own.gone.get(id_, Counter())
                came = {path for path, _ in own.new.get(id_, ())}  # there an equal leaf may have come in its place
                went = {leaf for leaf in ours if leaf in gone or leaf[0] in came}
                assert hung_on_what_went(entry["resource"], pointer, ours, went)
            assert issue.leaves == leaves_.total()
            dropped[id_] += leaves_
            lost |= marks([[path, text.decode()] for path, text in leaves_])
        else:
            lost |= marks(entry)
    facts_now = marks(written)  # what others added to a concept or as a note is a fact
    assert marks(bundle) - marks(out) - facts_now == lost - facts_now
    return dropped


def _split(pointer: str) -> tuple[int, str]:
    """An entry's number, and the pointer into its resource."""
    index, _, rest = pointer.removeprefix("/entry/").partition("/resource")
    return int(index), rest


def hung_on_what_went(resource: Json, pointer: str, ours: Facts, gone: set[tuple[str, bytes]]) -> bool:
    """Whether an element around the pointer, or the primitive beside it, lost all its facts or is another one now.

    What makes a list item itself is its url, reference, system and code; a Reference is its reference; and
    beside another code foreign codings are no longer true.
    """
    steps = pointer.split("/")[1:]
    for end in range(len(steps), 0, -1):
        around = "/" + "/".join(steps[:end])
        beside = "/" + "/".join([*steps[: end - 1], steps[end - 1].removeprefix("_")])
        inside = {leaf for path in (around, beside) for leaf in facts(resource, path) if leaf in ours}
        went = {leaf for leaf in inside if leaf in gone}
        itself = [leaf for leaf in went if ITSELF.fullmatch(leaf[0].removeprefix(placeless(around)))]
        if itself and "Quantity" not in steps[max(end - 2, 0)] + steps[end - 1]:
            return True
        is_list = end < len(steps) and steps[end].isdigit()  # a list is no element: its other items stay
        if went and went == inside and not is_list:
            return True
    return False


#: Below an element: what it is. In a list of codings one code is enough to make the others untrue.
ITSELF = re.compile(r"/(url|reference|system|code|value|sequence|(code/)?coding/\*/(system|code)|\*/code)")


def assert_the_rest_of_the_bundle_stays(bundle: Json, out: Json, labels: bool) -> None:
    """The Bundle's own members, entries without resource, and what we generate; labels stand in the Provenance too."""
    assert {n: v for n, v in out.items() if n != "entry"} == {n: v for n, v in bundle.items() if n != "entry"}
    assert len(out["entry"]) == len(bundle["entry"])
    for old, new in zip(bundle["entry"], out["entry"], strict=True):
        resource = old.get("resource", {})
        ours = is_generated(resource) and not (labels and resource["resourceType"] == "Provenance")
        assert {n: v for n, v in old.items() if n != "resource"} == {n: v for n, v in new.items() if n != "resource"}
        assert not ours or encode(old) == encode(new)


@given(case=cases(), other=cases(), seed=seeds)
def test_any_case_written_onto_an_own_bundle_is_read_back(case: Case, other: Case, seed: int) -> None:
    """PutGet onto: whatever the bundle held, with ``remove`` it then holds the case, and foreign resources still."""
    case = replace(case, case_system=other.case_system, case_id=other.case_id)
    bundle = handled(chances(seed), to_fhir(other))
    out = received(to_fhir(case, onto=bundle, remove=True))
    assert_same(from_fhir(out)[0], case)
    kept = [e for e in bundle["entry"] if "resource" not in e or MARK in str(e.get("fullUrl", MARK))]
    assert all(entry in out["entry"] for entry in kept)


@given(case=cases(), conditional=st.booleans())
def test_a_case_bound_to_a_chart_comes_back_but_for_its_patient(case: Case, conditional: bool) -> None:
    """Every resource says whose case it is: only what the Patient would say, and literature, is not there."""
    mode = "conditional-update" if conditional else "put"
    bundle = received(to_fhir(case, bundle_type="transaction", mode=mode, subject="Patient/123"))
    assume(b'"Patient/123"' in encode(bundle))
    expected = replace(case, literature=None, patient=Patient(ages=case.patient.ages))
    assert_same(from_fhir(bundle)[0], expected)


@given(case=cases(), seed=seeds)
def test_an_item_that_is_not_in_the_case_stays_unless_remove_is_asked(case: Case, seed: int) -> None:
    """An item taken out of the case: its resource is kept and told, or with ``remove`` goes; no other is touched."""
    choose = chances(seed)
    bundle = handled(choose, to_fhir(case), calm=True)
    was, _ = from_fhir(bundle)
    top = [(name, i) for name, _ in SECTIONS if isinstance(v := getattr(was, name), tuple) for i in range(len(v))]
    assume(top)
    name, index = top[choose(len(top))]
    items_ = getattr(was, name)
    now = repaired(replace(was, **{name: items_[:index] + items_[index + 1 :]}))
    report = Report("case-to-fhir")
    out = received(to_fhir(now, onto=bundle, report=report))
    assert items(out).keys() == items(bundle).keys()
    told = {issue.pointer for issue in report.issues if issue.code == "not-in-case"}
    assert told
    assert all(bundle["entry"][_split(p)[0]] == out["entry"][_split(p)[0]] for p in told)
    out = received(to_fhir(now, onto=bundle, remove=True))
    assert_same(from_fhir(out)[0], now)
    assert len(out["entry"]) == len(bundle["entry"]) - len(told)


# --- order, identity ----------------------------------------------------------------------------


@given(case=cases(), seed=seeds)
def test_the_order_of_entries_means_nothing(case: Case, seed: int) -> None:
    """A permuted own bundle holds the identical case: the Provenance names the items in their order."""
    assert_same(from_fhir(shuffled(chances(seed), received(to_fhir(case))))[0], case)


@each_form
@given(case=cases())
def test_ids_are_legal_and_distinct_and_references_lead_somewhere(form: dict[str, str], case: Case) -> None:
    """Every id is a FHIR id, every fullUrl its own, every reference the fullUrl of an entry."""
    bundle = to_fhir(case, **form)  # type: ignore[arg-type]
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    ids = [entry["resource"]["id"] for entry in bundle["entry"] if "id" in entry["resource"]]
    assert all(re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", id_) for id_ in [bundle["id"], *ids])
    assert len(set(ids)) == len(ids)
    references = {value for pointer, value in leaves(bundle) if pointer.endswith("/reference")}
    assert references <= set(urls)


@given(case=cases(), seed=seeds)
def test_a_corrected_value_keeps_its_id(case: Case, seed: int) -> None:
    """An id comes from the case's identity, the item's key and the type, from nothing else."""
    now, _ = edited(chances(seed), case)
    was_ids, now_ids = ({(p.table.type, p.key) for p in plan(c)} for c in (case, now))
    if was_ids == now_ids:
        assert items(to_fhir(case)).keys() == items(to_fhir(now)).keys()


@given(case=cases())
def test_two_hospitals_never_share_an_id(case: Case) -> None:
    """The same case under another case_system, or another case_id, has other ids throughout."""
    ours = items(to_fhir(case)).keys()
    assert not ours & items(to_fhir(replace(case, case_system="https://b.example/other"))).keys()
    assert not ours & items(to_fhir(replace(case, case_id="another"))).keys()


@given(case=cases())
def test_models_accept_every_generated_bundle(case: Case) -> None:
    """fhir.resources (R4B models) accepts them, but for one valid shape that it does not know.

    Where an administration's time is told by extensions alone, it misses the value: R4 wants the element there,
    which it is, and the model looks for the member without underscore.
    """
    bundle = to_fhir(case)
    given_ = [r for r in items(bundle).values() if r["resourceType"] == "MedicationAdministration"]
    untold = [r for r in given_ if not {"effectiveDateTime", "effectivePeriod"} & r.keys()]
    assert refusals(bundle) == [MISSED] * len(untold)


def refusals(bundle: Json) -> list[str]:
    """What fhir.resources has against a Bundle."""
    try:
        Bundle.model_validate_json(encode(bundle))
    except ValidationError as error:
        return [fault["msg"] for fault in error.errors()]
    return []


MISSED = "Value error, Expect any of field value from this list ['effectiveDateTime', 'effectivePeriod']."


# --- that the laws speak of everything ----------------------------------------------------------


def test_the_generated_cases_hold_every_field_in_every_form_for_every_table() -> None:
    """A handful of generated cases use every field of every dataclass, every form of every value, every table."""
    made = [seeded(seed, most=4, least=2) for seed in range(40)]
    assert set.intersection(*map(unused, made)) == set()
    assert {id(planned.table) for case in made for planned in plan(case)} == {id(table) for table in TABLES}
    for case in made:
        assert_same(from_fhir(encode(to_fhir(case)), strict=True)[0], case)


def unused(case: Case) -> set[str]:
    """The fields, and the forms of fields, that the case does not hold."""
    held = {f"{place.parent.__name__}.{place.shape.name}" for place in places(case, Case)}
    for place in places(case, Case):
        if place.shape.forms:
            held |= {
                f"{place.parent.__name__}.{place.shape.name}.{f}" for f in place.shape.forms if _has(place.value, f)
            }
    return set(_fields(Case, set())) - held


def _has(value: Any, form: str) -> bool:
    return getattr(value, form) is not None


def _fields(cls: type, seen: set[type]) -> Iterator[str]:
    seen.add(cls)
    for shape in shapes(cls).values():
        yield f"{cls.__name__}.{shape.name}"
        yield from (f"{cls.__name__}.{shape.name}.{form}" for form in shape.forms)
        for kind in (shape, *shape.choices):
            if is_dataclass(kind.type) and kind.type not in seen:
                yield from _fields(kind.type, seen)
