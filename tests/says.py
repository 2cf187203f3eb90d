"""How the elements and resources of the published report are said, in the words of `query.Look.told`: for `facts`."""

from __future__ import annotations

from typing import Any

from tests.table1 import Row

Says = dict[str, Any]


# --- elements ---------------------------------------------------------------------------------


def put(*parts: Says, **members: Any) -> Says:
    """The elements of all of them; a later one wins."""
    found: Says = {}
    for one in (*parts, members):
        found |= one
    return found


def source(where: str, basis: str = "stated") -> Says:
    return {"+source": f"{basis}, {where}"}


def value(words: str) -> Says:
    return {"valueCodeableConcept": words}


def untold(words: str) -> Says:
    """There is no value; the words say why."""
    return {"dataAbsentReason": f"{words} <dar-unknown>"}


def note(words: str) -> Says:
    return {"note": [words]}


def quality(name: str, term: str) -> Says:
    return {f"component[<{name}>].valueCodeableConcept": f"<{term}>"}


def relative(words: str, element: str = "_effectiveDateTime") -> Says:
    return {f"{element}+relative": words}


def before(anchor: str, element: str = "effective") -> Says:
    """A course that ended before the start of something; how long before is not known."""
    return relative(f"? before-start {anchor}", f"{element}Period._end")


def after(key: str, element: str = "effective") -> Says:
    """Part of a course, measured after it; how long after is not known."""
    return {"partOf": [f"@{key}"]} | relative(f"? after-end @{key}.{element}")


PARA1, PARA2, PARA3 = (f"Case report, para {number}" for number in (1, 2, 3))
ABSTRACT, GENERAL, CONCLUSION = f"Abstract; {PARA1}", "Discussion, para 2", "Discussion, para 3"
ADMISSION, IVIG, CP = "@enc-presentation.period", "@course-ivig.effective", "@course-cyclophosphamide.effective"
PATIENT: Says = {"subject": "@patient"}
UNDATED: Says = {"_effectiveDateTime": "absent: unknown"}
PRESENTED: Says = {"encounter": "@enc-presentation"} | UNDATED
BASELINE: Says = {"_effectiveDateTime": "absent: unknown, baseline"}
DAYS = relative(f"in words after-start {IVIG}") | {"_effectiveDateTime+words": "within a few days"}
EXAM, LABORATORY, IMAGING = ({"category": [f"<{word}>"]} for word in ("exam", "laboratory", "imaging"))
PRESENT, NORMAL = value("<present>"), value("<normal>") | {"interpretation": ["<normal-interpretation>"]}
COMPLETED: Says = {"status": "completed", "_status+source": "inferred"}
STOPPED: Says = {"status": "stopped", "statusReason": ["intolerance <intolerance-to-drug>"]}
FOR_DISEASE: Says = {"reasonReference": ["@cond-scleromyxedema"]}
OF_DISEASE: Says = {"focus": ["@cond-scleromyxedema"]}
ACTIVE: Says = {
    "clinicalStatus": "<clinical-active>",
    "verificationStatus": "<ver-confirmed>",
    "category": ["<problem-list-item>"],
}
IVIG_DRUG = "intravenous immunoglobulin (IVIg) <ivig>"
MASSIVE = [f"@find-skin-massive.{site}" for site in ("face", "knees", "elbows", "fingers")]
PAPULES = [f"@find-papules.{site}" for site in ("neck", "elbows", "forehead", "behind-the-ears")]


# --- resources --------------------------------------------------------------------------------


def observed(where: str, code: str, *more: Says, **members: Any) -> Says:
    """An Observation of the patient."""
    return put({"is": "Observation", "status": "final", "code": code}, PATIENT, source(where), *more, members)


def finding(where: str, code: str, *more: Says, **members: Any) -> Says:
    """A finding that is there when he presents."""
    return observed(where, code, PRESENT, PRESENTED, *more, members)


def at_sites(key: str, says: Says, sites: dict[str, str]) -> dict[str, Says]:
    """One Observation a site."""
    return {f"{key}.{site.replace(' ', '-')}": says | {"bodySite": f"{site} {term}"} for site, term in sites.items()}


def diagnosis(code: str, *more: Says, **members: Any) -> Says:
    return put({"is": "Condition", "code": code}, ACTIVE, PATIENT, source(ABSTRACT), *more, members)


def course(where: str, line: int, placed: Says, *more: Says, basis: str | None = "inferred") -> Says:
    """A course of therapy; its place in the order is a reading unless ``basis`` is None."""
    order = {"line": line} | ({"lineBasis": basis} if basis else {}) | placed
    return put(PATIENT, source(where), {"+smx-therapy-course": order}, *more)


def drug(name: str, *lines: Says) -> Says:
    found = {"is": "MedicationStatement", "medicationCodeableConcept": name}
    return found | {"dosage": [{"sequence": number} | line for number, line in enumerate(lines, 1)]}


def procedure(code: str) -> Says:
    return {"is": "Procedure", "code": code}


def daily(text: str, rate: str) -> Says:
    return {"text": text, "doseAndRate": [{"rateRatio": rate}]}


def response(where: str, code: str, words: str, key: str, *more: Says) -> Says:
    """What became of the patient in one domain under one course."""
    under = {"partOf": [f"@{key}"], "focus": ["@cond-scleromyxedema", f"@{key}"]}
    return observed(where, code, under, value(words), *more)


def under_ivig(where: str, code: str, words: str, *more: Says) -> Says:
    return response(where, code, words, "course-ivig", relative(f"? after-start {IVIG}"), *more)


def tolerance(where: str, key: str, term: str, *more: Says) -> Says:
    under = {"partOf": [f"@{key}"], "focus": [f"@{key}"]}
    return observed(where, "<adverse-effects>", under, quality("tolerability", term), *more)


def thickness(where: str, *more: Says, basis: str = "stated") -> Says:
    """Skin thickness by 20 MHz sonography in one phase of Figure 2: no number is told."""
    how = {"method": "20 MHz sonography <diagnostic-ultrasonography>", "device": "@dev-us20", "derivedFrom": ["@fig-2"]}
    plotted = untold("plotted in Figure 2, no number in the text")
    return observed(where, "<skin-thickness-hfus>", source(where, basis), IMAGING, plotted, how, *more)


def report(where: str, code: str, category: str, conclusion: str, *more: Says, **members: Any) -> Says:
    found = {"is": "DiagnosticReport", "status": "final", "category": [category], "code": code}
    return put(found, PATIENT, source(where), {"conclusion": conclusion}, *more, members)


def done(name: str) -> Says:
    """A test that was done; its result is not told."""
    return observed(PARA2, name, LABORATORY, PRESENTED, untold("result not reported"))


def seen(code: str) -> Says:
    """What the microscope shows at baseline."""
    on = {"specimen": "@spec-skin", "derivedFrom": ["@fig-1"]}
    return observed("Figure 1", code, LABORATORY, PRESENT, BASELINE, on)


def cycle(number: int) -> Says:
    """One cycle of IVIg, 2 g/kg over 2 days; the months are counted from the start of the course."""
    start = f"{number - 1} mo after-start {IVIG}" if number > 1 else f"? concurrent-with-start {IVIG}"
    dose = {"dosage.text": "2 g/kg BM over 2 days", "dosage.route": "intravenous <intravenous>"}
    dose |= {"dosage.dose": "2 g/kg", "dosage.rateRatio": "2 g/kg : 2 d"}
    found = {"is": "MedicationAdministration", "status": "completed", "medicationCodeableConcept": IVIG_DRUG}
    found |= {"+smx-cycle": {"number": number}, "supportingInformation": ["@course-ivig"]}
    derived = source(f"{PARA3}; Figures 3-5", "derived")
    return put(found, dose, PATIENT, FOR_DISEASE, derived, relative(start, "effectivePeriod._start"))


def clone(chain: str, *more: Says) -> Says:
    chains = quality("m-protein-heavy-chain", chain) | quality("m-protein-light-chain", "lambda")
    return observed(ABSTRACT, "<m-protein-clone>", LABORATORY, UNDATED, untold("quantity not reported"), chains, *more)


def figure(number: int, where: str, caption: str) -> Says:
    content = {"content.title": f"Figure {number}", "content.language": "en"}
    return put({"is": "Media", "status": "completed"}, note(caption), content, PATIENT, source(where))


def document(title: str, **more: Any) -> Says:
    content = {"attachment.contentType": "text/plain", "attachment.title": title}
    return put({"is": "DocumentReference", "status": "current"}, PATIENT, content=[content | more])


def statement(where: str, title: str, text: str, *about: str, section: str = "<section-discussion>") -> Says:
    related = {"context.related": [f"@{key}" for key in about]} if about else {}
    return put(document(title, **{"attachment.data": text}), source(where), related, type=section)


# --- the reports of Table 1 -------------------------------------------------------------------

_ORGANS = ("cutaneous", "gastrointestinal", "hematologic", "neurologic")
_EXTENT = {
    "tumorous": ("tumorous",),
    "skin restricted": ("skin-restricted",),
    "with cutaneous": tuple(f"{organ}-involvement" for organ in _ORGANS),
}
_BESIDES = {
    "paraproteinemia": ("paraprotein", "IgG-λ paraproteinemia <igg-lambda-paraproteinemia>"),
    "dermatoneuro": ("neuro", "dermatoneuro-syndrome <dermato-neuro-syndrome>"),
    "gammopathy": ("gammopathy", "monoclonal gammopathy <monoclonal-gammopathy>"),
}
_ORAL: Says = {"dosage": [{"sequence": 1, "route": "oral <oral>"}]}
_DRUGS: dict[str, tuple[str, str, Says]] = {
    "melphalan": ("melphalan", "<melphalan>", {}),
    "oral glucocorticoids": ("oral-glucocorticoids", "oral glucocorticoids <oral-glucocorticoids>", _ORAL),
    "oral thalidomide": ("thalidomide", "oral thalidomide <thalidomide>", _ORAL),
}


def _of(owner: str, type_: str, where: str, *more: Says) -> Says:
    """A resource about the people of one report."""
    return put({"is": type_, "subject": f"@{owner}"}, source(where), *more)


def _taken(owner: str, where: str, role: str, name: str, *more: Says) -> Says:
    taken = {"status": "unknown", "category": f"<{role}>", "medicationCodeableConcept": name}
    return _of(owner, "MedicationStatement", where, taken, *more)


def answer(owner: str, where: str, words: str, therapy: str, code: str = "response <overall-response>") -> Says:
    found = {"status": "final", "code": code, "focus": [f"@{therapy}"]}
    return _of(owner, "Observation", where, found, value(words), UNDATED)


def _background(row: Row) -> Says:
    """The clinical background as printed; scleroderma is no scleromyxedema, and gets no code."""
    extent = next((terms for word, terms in _EXTENT.items() if word in row.background), ())
    stages = [{"summary": f"<{term}>", "type": "<extent-of-disease>"} for term in extent]
    if "scleroderma" in row.background:
        return {"code": row.background} | note("sic: the source says scleroderma; probably a slip for scleromyxedema.")
    return {"code": f"{row.background} <scleromyxedema>"} | ({"stage": stages} if stages else {})


def _regimen(row: Row) -> Says:
    text = f"{row.printed_dose} g/kg body weight, once monthly"
    every = {"timing.repeat.frequency": 1, "timing.repeat.period": "1", "timing.repeat.periodUnit": "mo"}
    return {"dosage": [{"sequence": 1, "text": text, "doseAndRate": [{"doseQuantity": f"{row.dose} g/kg"}]} | every]}


def _reference(row: Row) -> Says:
    title = {"attachment.title": f"{row.label} ({row.reference})", "attachment.language": "en"}
    number = f"{row.reference} of https://scleromyx.invalid/fhir/sid/reference-number"
    return {"is": "DocumentReference", "status": "current", "subject": f"@{row.key}"} | {
        "identifier": [number],
        "content": [title],
    }


def printed(place: int, row: Row) -> dict[str, Says]:
    """One row of the table and what hangs on it."""
    key, where, ivig = row.key, f"Table 1, row {place}", f"{row.key}-ivig"
    marks: list[Says] = [{"code": "<ivig-protocol>", "exclude": False} | value(f"<{row.protocol}>")]
    marks += [] if row.combination else [{"code": "<combination-therapy>", "exclude": False, "valueBoolean": False}]
    group = {"is": "Group", "type": "person", "actual": True, "code": "<literature-report>", "characteristic": marks}
    found = {
        key: put(group, source(where), name=row.label, quantity=row.patients),
        f"{key}-cond": _of(key, "Condition", where, _background(row)),
        ivig: _taken(key, where, "studied-regimen", IVIG_DRUG, _regimen(row)),
        f"{key}-response": answer(key, where, f"{row.response} <{row.result}>", ivig),
        f"{key}-reference": _reference(row),
    }
    for word, (suffix, code) in _BESIDES.items():
        if word in row.background:
            found[f"{key}-cond-{suffix}"] = _of(key, "Condition", where, {"code": code})
    for suffix, name, more in (_DRUGS[one] for one in row.combination):
        found[f"{key}-{suffix}"] = _taken(key, where, "combination-therapy", name, more)
    return found


def failed(number: int, *codes: str) -> dict[str, Says]:
    """Treatments to which the people of one report had not responded."""
    owner, found = f"lit-ref-{number}", {}
    for code in codes:
        slug = code.partition("<")[2].removesuffix(">")
        type_, element = ("MedicationStatement", "medicationCodeableConcept")
        if slug.startswith(("uva1", "extracorporeal")):
            type_, element = "Procedure", "code"
        given = {"status": "unknown", "category": "<prior-therapy>", element: code}
        found[f"{owner}-prior-{slug}"] = _of(owner, type_, GENERAL, given)
        found[f"{owner}-failed-{slug}"] = answer(
            owner, GENERAL, "failed to respond <no-response>", f"{owner}-prior-{slug}"
        )
    return found


def neurological(number: int, basis: str) -> dict[str, Says]:
    """IVIg and neurological involvement; "improved" is a reading where the table does not say so."""
    owner, code = f"lit-ref-{number}", "neurological involvement <neurological>"
    found = answer(owner, GENERAL, "significant contribution <improved>", f"{owner}-ivig", code)
    return {f"{owner}-neuro": found | source(GENERAL, basis)}
