"""The facts F01-F50 of the published report: a sentence each, and what a Bundle must say for it, no more, no less.

A fact names resources by the keys of their case items and gives their elements in the words of `query.Look.told`;
`part` gives some elements of a resource that another fact gives in full. Together the facts claim every resource
that is made from the case, so that nothing can be added to the Bundle either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.query import Look
from tests.says import (
    ABSTRACT,
    ADMISSION,
    BASELINE,
    COMPLETED,
    CONCLUSION,
    CP,
    DAYS,
    EXAM,
    FOR_DISEASE,
    GENERAL,
    IVIG,
    IVIG_DRUG,
    LABORATORY,
    MASSIVE,
    NORMAL,
    OF_DISEASE,
    PAPULES,
    PARA1,
    PARA2,
    PARA3,
    PATIENT,
    PRESENT,
    PRESENTED,
    STOPPED,
    UNDATED,
    Says,
    after,
    answer,
    at_sites,
    before,
    clone,
    course,
    cycle,
    daily,
    diagnosis,
    document,
    done,
    drug,
    failed,
    figure,
    finding,
    neurological,
    note,
    observed,
    printed,
    procedure,
    put,
    quality,
    relative,
    report,
    response,
    seen,
    source,
    statement,
    thickness,
    tolerance,
    under_ivig,
    untold,
    value,
)
from tests.table1 import ROWS

#: Elements in which the published example still differs from the paper (key -> elements; "*": the whole resource).
#: `test_facts` fails as soon as one of them is mended: then it is taken off this list.
AWAITED: dict[str, tuple[str, ...]] = {}


class part(dict[str, Any]):
    """Some elements of a resource; the others are another fact's."""


@dataclass(frozen=True)
class Fact:
    """One fact: its number in the ledger, its sentence, and what the resources of these keys say."""

    id: str
    sentence: str
    says: dict[str, Says]

    def misses(self, look: Look) -> Iterator[tuple[str, str, Any, Any]]:
        """(key, element, expected, found) of each element that the Bundle says otherwise, lacks, or has too much."""
        for key, expected in self.says.items():
            awaited = AWAITED.get(key, ())
            found = look.told(key)
            for element in dict.fromkeys([*expected, *(() if isinstance(expected, part) else found)]):
                if expected.get(element) != found.get(element) and not {"*", element} & set(awaited):
                    yield key, element, expected.get(element), found.get(element)


# --- the facts --------------------------------------------------------------------------------

# fmt: off
FACTS = (
    Fact("F01", "He is 63 years old when he presents.", {
        "age-presentation": observed(ABSTRACT, "<age>", PRESENTED, valueQuantity="63 a"),
    }),
    Fact("F02", "He is a man; he has no name and no birth date here.", {
        "patient": put(
            source(ABSTRACT), {"is": "Patient", "gender": "male", "_birthDate": "absent: unknown"},
            {"+smx-ethnicity": "Caucasian <caucasian>"},
            identifier=["published-case-p1 of https://scleromyx.invalid/fhir/sid/patient-pseudonym"
                        " {'+smx-pseudonym-kind': 'anonymized'}"],
        ),
    }),
    Fact("F03", "He is Caucasian, in the word of the source.", {
        "patient": part({"+smx-ethnicity": "Caucasian <caucasian>"}),
    }),
    Fact("F04", "He presented and was admitted to hospital: time zero, on an unknown day.", {
        "enc-presentation": put(
            PATIENT, source(PARA1), {"is": "Encounter", "class": "v3-ActCode IMP", "type": ["<time-zero>"]},
            {"period._start": "absent: unknown", "status": "finished", "_status+source": "inferred"},
            reasonReference=["@status-worse", "@find-myalgia", "@find-fever", "@find-lethargy", "@find-malaise"],
        ),
    }),
    Fact("F05", "His general condition had become acutely worse.", {
        "status-worse": observed(
            PARA1, "<disease-status>", PRESENTED, OF_DISEASE,
            value("acute worsening of the general condition <worse>"),
            note("Told of the general condition; that it is the disease's is a reading."),
        ),
    }),
    Fact("F06", "He has myalgias when he presents.", {"find-myalgia": finding(PARA1, "myalgias <myalgia>")}),
    Fact("F07", "He has fever when he presents.", {"find-fever": finding(PARA1, "fever <fever>")}),
    Fact("F08", "He is lethargic when he presents.", {"find-lethargy": finding(PARA1, "lethargy <lethargy>")}),
    Fact("F09", "He has malaise when he presents.", {"find-malaise": finding(PARA1, "malaise <malaise>")}),
    Fact("F10", "He has had scleromyxedema for three years; no date and no age at onset.", {
        "cond-scleromyxedema": diagnosis(
            "scleromyxedema <scleromyxedema>", relative(f"3 a before-start {ADMISSION}", "_onsetString"),
            {"+condition-related": "@cond-gammopathy"}, onsetString="3 years before presentation",
            evidence=[{"detail": ["@rep-histology"]}, {"detail": ["@criteria"]}],
        ),
    }),
    Fact("F11", "With it goes a biclonal gammopathy, IgG and IgM λ; that the λ is also the IgG's is a reading.", {
        "cond-scleromyxedema": part({"+condition-related": "@cond-gammopathy"}),
        "cond-gammopathy": diagnosis(
            "biclonal IgG and IgM λ-gammopathy <monoclonal-gammopathy>", evidence=[{"detail": ["@mprot-panel"]}],
        ),
        "mprot-panel": observed(
            ABSTRACT, "<m-protein-panel>", LABORATORY, UNDATED, value("<biclonal>"),
            hasMember=["@mprot-igg", "@mprot-igm"],
        ),
        "mprot-igg": clone(
            "igg", {"component[<m-protein-light-chain>]+source": "inferred"},
            note("λ is stated for IgM; that it also holds for IgG is a reading."),
        ),
        "mprot-igm": clone("igm"),
    }),
    Fact("F12", "First line: UVA1 phototherapy; how often, how much and how it ended is not told.", {
        "course-uva1": course(
            PARA1, 1, {}, procedure("<uva1-phototherapy>"), FOR_DISEASE, before(ADMISSION, "performed"),
            {"status": "unknown"},
        ),
    }),
    Fact("F13", "Second line: hydroxychloroquine, first 600 mg a day, then 200 mg, for 2 months.", {
        "course-hydroxychloroquine-1": course(
            PARA1, 2, {"duration": "2 mo"}, COMPLETED, FOR_DISEASE, before(ADMISSION),
            drug("<hydroxychloroquine>", daily("initially 600 mg daily", "600 mg : 1 d"),
                 daily("successively 200 mg daily", "200 mg : 1 d")),
            note("Whether the 2 months cover both doses is not stated."),
        ),
    }),
    Fact("F14", "Third line: six cycles of a cyclophosphamide pulse of 750 mg/m².", {
        "course-cyclophosphamide": course(
            PARA1, 3, {"label": "CP", "cyclesAdministered": 6}, STOPPED, FOR_DISEASE, before(ADMISSION),
            drug("<cyclophosphamide>", {
                "text": "pulse therapy, 750 mg/m², 6 cycles", "timing.repeat.count": 6,
                "doseAndRate": [{"doseQuantity": "750 mg/m2"}],
            }),
        ),
    }),
    Fact("F15", "Cyclophosphamide was stopped because he did not tolerate it; what happened is not told.", {
        "course-cyclophosphamide": part(STOPPED),
        "tol-cp": tolerance(
            PARA1, "course-cyclophosphamide", "not-tolerated", UNDATED, untold("intolerance, kind not stated"),
        ),
    }),
    Fact("F16", "After cyclophosphamide he was better for a time.", {
        "resp-cp": response(
            PARA1, "response <overall-response>", "temporary amelioration <temporary-improvement>",
            "course-cyclophosphamide", relative(f"? after {CP}"),
        ),
    }),
    Fact("F17", "Fourth line: hydroxychloroquine again, 200 mg a day for 12 months.", {
        "course-hydroxychloroquine-2": course(
            PARA1, 4, {"label": "revision", "duration": "12 mo"}, COMPLETED, FOR_DISEASE, before(ADMISSION),
            drug("<hydroxychloroquine>", daily("200 mg daily", "200 mg : 1 d")),
        ),
    }),
    Fact("F18", "Fifth line: 21 cycles of extracorporeal photopheresis in 15 months.", {
        "course-ecp": course(
            PARA1, 5, {"label": "ECP", "cyclesAdministered": 21, "duration": "15 mo"}, COMPLETED, FOR_DISEASE,
            procedure("extracorporeal photophoresis <extracorporeal-photopheresis>"), before(ADMISSION, "performed"),
        ),
    }),
    Fact("F19", "Methylprednisolone by mouth, alone: 60 mg, tapered in 3 weeks, before IVIg; sixth by inference.", {
        "course-methylprednisolone": course(
            PARA3, 6, {}, COMPLETED, before(IVIG), note("Given alone."),
            drug("<methylprednisolone>",
                 {"text": "60 mg initially", "route": "peroral <oral>", "doseAndRate": [{"doseQuantity": "60 mg"}]},
                 {"text": "gradually tapered over 3 weeks", "route": "peroral <oral>",
                  "timing.repeat.boundsDuration": "3 wk"}),
        ),
    }),
    Fact("F20", "He did not respond to methylprednisolone.", {
        "resp-mp": response(
            PARA3, "response <overall-response>", "failed to respond <no-response>", "course-methylprednisolone",
            UNDATED,
        ),
    }),
    Fact("F21", "The skin is diffusely thickened, and hyperpigmented.", {
        "find-skin-thickened": finding(
            PARA2, "diffusely thickened skin <thickened-skin>", EXAM, quality("lesion-distribution", "diffuse"),
        ),
        "find-hyperpigmentation": finding(PARA2, "hyperpigmented skin <hyperpigmentation>", EXAM),
    }),
    Fact("F22", "It is massively thickened in the face and at knees, elbows and fingers.", at_sites(
        "find-skin-massive",
        finding(PARA2, "massively thickened skin <thickened-skin>", EXAM)
        | {"component[<severity>].valueString": "massively"},
        {"face": "<skin-of-face>", "knees": "<knee>", "elbows": "<elbow>", "fingers": "<finger>"},
    )),
    Fact("F23", "The thick skin makes the joints less mobile.", {
        "find-motility": finding(
            PARA2, "decreased articular motility <reduced-joint-mobility>", EXAM, {"+smx-cause": MASSIVE},
        ),
    }),
    Fact("F24", "The thick skin makes the mouth narrow.", {
        "find-microstomia": finding(PARA2, "microstomy <microstomia>", EXAM, {"+smx-cause": MASSIVE}),
    }),
    Fact("F25", "Waxy, yellowish, sclerotic papules in lines on neck, elbows, forehead and behind the ears.", at_sites(
        "find-papules",
        finding(PARA2, "papules <papular-eruption>", EXAM, quality("lesion-surface", "waxy"),
                quality("lesion-color", "yellowish"), quality("lesion-consistency", "sclerotic"),
                quality("lesion-arrangement", "linear")),
        {"neck": "<skin-of-neck>", "elbows": "<elbow>", "forehead": "<skin-of-forehead>",
         "behind the ears": "<skin-behind-ear>"},
    )),
    Fact("F26", "Absent axillary hair is present.", {
        "find-axillary-hair": finding(PARA2, "absent axillary hair <absent-axillary-hair>", EXAM),
    }),
    Fact("F27", "The heart is in order.", {
        "sys-cardio": observed(PARA2, "cardiological status <cardiovascular-status>", EXAM, PRESENTED, NORMAL),
    }),
    Fact("F28", "The neurological status is normal, lethargy and signs of depression notwithstanding.", {
        "sys-neuro": observed(
            PARA2, "neurological status <neurological-status>", EXAM, PRESENTED, NORMAL,
            note("Normal despite lethargy and signs of depression."),
        ),
    }),
    Fact("F29", "On examination he is lethargic and shows signs of depression.", {
        "find-lethargy-exam": finding(PARA2, "lethargy <lethargy>", EXAM),
        "find-depression": finding(PARA2, "signs of depression <signs-of-depression>", EXAM),
    }),
    Fact("F30", "The bone marrow biopsy shows no abnormality.", {
        "rep-marrow": report(
            PARA2, "bone marrow biopsy <bone-marrow-biopsy-report>", "<report-category-pathology>", "no abnormalities",
            UNDATED, specimen=["@spec-marrow"], result=["@marrow-normal"],
            conclusionCode=["no abnormalities <no-abnormality-detected>"],
        ),
        "marrow-normal": observed(
            PARA2, "no abnormalities in the bone marrow biopsy <no-abnormality-detected>", LABORATORY, PRESENT, UNDATED,
            specimen="@spec-marrow",
        ),
        "spec-marrow": put(
            PATIENT, source(PARA2), {"is": "Specimen"}, type="bone marrow biopsy <bone-marrow-specimen>",
        ),
    }),
    Fact("F31", "Six laboratory tests showed no infectious state, taken together; their results are not told.", {
        "rep-laboratory": report(
            PARA2, "laboratory investigations <laboratory-report>", "<report-category-laboratory>",
            "no infectious state revealed", PRESENTED,
            result=["@find-infection", "@test-urine", "@test-hemogram", "@test-glucose", "@test-renal", "@test-liver",
                    "@test-serology"],
        ),
        "find-infection": finding(PARA2, "infectious state <infectious-state>", LABORATORY, value("<absent>")),
        "test-urine": done("urine analysis"),
        "test-hemogram": done("hemogram"),
        "test-glucose": done("blood glucose"),
        "test-renal": done("renal function tests"),
        "test-liver": done("liver function tests"),
        "test-serology": done("serology monitoring"),
    }),
    Fact("F32", "Histology at baseline: thin epidermis, much mucin, fibroblasts proliferating; of fibrosis nothing.", {
        "rep-histology": report(
            "Figure 1", "skin histology <pathology-study>", "<report-category-pathology>",
            "epidermis thinned; mucin in the upper dermis; fibroblasts proliferating", BASELINE,
            specimen=["@spec-skin"], result=["@hist-epidermis", "@hist-mucin", "@hist-fibroblasts"],
            media=[{"link": "@fig-1"}],
        ),
        "spec-skin": put(
            PATIENT, source("Figure 1"), {"is": "Specimen"}, type="skin <skin-specimen>",
            processing=[{"procedure": "hematoxylin stain <hematoxylin-stain>"},
                        {"procedure": "alcian blue stain <alcian-blue-stain>"}],
        ),
        "hist-epidermis": seen("thinned epidermis <epidermal-thinning>"),
        "hist-mucin": seen("prominent mucin deposits, upper dermis <dermal-mucin-deposition>"),
        "hist-fibroblasts": seen("widespread proliferation of fibroblasts <dermal-fibroblast-proliferation>"),
    }),
    Fact("F33", "Last line: IVIg, 2 g/kg over 2 days, once monthly for 6 months; six cycles; managed successfully.", {
        "course-ivig": course(
            f"{PARA3}; Figures 3-5", 7, {"label": "IVIG", "cyclesAdministered": 6}, COMPLETED, FOR_DISEASE,
            relative(f"? after-start {ADMISSION}", "effectivePeriod._start"),
            drug(IVIG_DRUG, {
                "text": "2 g/kg BM over 2 days, once monthly, 6 months", "route": "intravenous <intravenous>",
                "timing.repeat.boundsDuration": "6 mo", "timing.repeat.count": 6,
                "timing.repeat.duration": "2", "timing.repeat.durationUnit": "d",
                "timing.repeat.frequency": 1, "timing.repeat.period": "1", "timing.repeat.periodUnit": "mo",
                "doseAndRate": [{"doseQuantity": "2 g/kg", "rateRatio": "2 g/kg : 2 d"}],
            }),
            {"derivedFrom": [f"@adm-ivig-{number}" for number in range(1, 7)]},
            basis=None,
        ),
        **{f"adm-ivig-{number}": cycle(number) for number in range(1, 7)},
        "resp-ivig": under_ivig(
            f"Abstract; {CONCLUSION}", "response <overall-response>", "successfully managed <improved>",
        ),
    }),
    Fact("F34", "Within a few days of IVIg his general condition, lethargy and depressive symptoms are better.", {
        "resp-general": under_ivig(PARA3, "general condition <general-condition>", "- <improved>", DAYS),
        "resp-lethargy": under_ivig(PARA3, "lethargy <lethargy>", "- <improved>", DAYS),
        "resp-depression": under_ivig(PARA3, "depressive symptoms <mood>", "- <improved>", DAYS),
    }),
    Fact("F35", "While IVIg goes on the skin gets thinner; by how much is not told.", {
        "skin-ivig": part(
            untold("plotted in Figure 2, no number in the text") | quality("trend", "trend-decreased")
            | relative(f"? after-start {IVIG}") | {"code": "<skin-thickness-hfus>", "partOf": ["@course-ivig"]}
        ),
    }),
    Fact("F36", "Figure 2 plots the thickness by 20 MHz sonography in the phases HC, CP, ECP, IVIG, without numbers.", {
        "skin-hc": thickness(
            f"Figure 2; {CONCLUSION}", UNDATED, basis="figure-only",
        ) | note("Figure 2, phase HC: the legend does not say which of the two hydroxychloroquine courses."),
        "skin-cp": thickness(f"Figure 2; {CONCLUSION}", after("course-cyclophosphamide"), basis="figure-only"),
        "skin-ecp": thickness(f"Figure 2; {CONCLUSION}", after("course-ecp", "performed"), basis="figure-only"),
        "skin-ivig": thickness(
            f"{PARA3}; Figures 2-5", relative(f"? after-start {IVIG}"), {"partOf": ["@course-ivig"]},
            quality("trend", "trend-decreased"), note("Reduction under continued monthly IVIg; no figure is given."),
        ),
        "dev-us20": put(
            source("Figure 2"), {"is": "Device"}, type="ultrasound device <ultrasound-device>",
            property=[{"type": "transducer frequency <transducer-frequency>", "valueQuantity": ["20 MHz"]}],
        ),
    }),
    Fact("F37", "Under IVIg the joints get more mobile.", {
        "resp-motility": under_ivig(PARA3, "articular motility <articular-mobility>", "increased <improved>"),
    }),
    Fact("F38", "After six cycles of IVIg the mouth opens wider; by how much is not told.", {
        "mouth-opening-ivig": observed(
            f"{PARA3}; Figures 3-5", "<mouth-opening>", EXAM, after("course-ivig"), untold("no figure given"),
            quality("trend", "better"), interpretation=["<better>"], derivedFrom=["@fig-5"],
        ),
    }),
    Fact("F39", "After six cycles of IVIg the papules are gone.", {
        "resp-papules": response(
            "Figures 3-5", "papules <papules>", "cleared <resolved>", "course-ivig", after("course-ivig"),
            {"derivedFrom": ["@fig-3", "@fig-4", "@fig-5"]},
        ),
    }),
    Fact("F40", "New dentures became possible; it is not told that they were made.", {
        "resp-dentures": observed(
            PARA3, "function <functional-outcome>", relative(f"? after-start {IVIG}"), partOf=["@course-ivig"],
            focus=["@cond-scleromyxedema", "@course-ivig"], valueString="new dentures became possible",
        ),
    }),
    Fact("F41", "The quality of life got significantly better.", {
        "resp-qol": under_ivig(PARA3, "quality of life <quality-of-life>", "improved significantly <improved>"),
    }),
    Fact("F42", "IVIg was tolerated very well, without side effects.", {
        "tol-ivig": tolerance(
            PARA3, "course-ivig", "very-good", relative(f"? concurrent {IVIG}"), value("no side effects <absent>"),
        ),
    }),
    Fact("F43", "The disease is refractory.", {
        "status-refractory": observed(
            f"Abstract; {CONCLUSION}", "<disease-status>", UNDATED, OF_DISEASE,
            value("refractory <treatment-refractory>"),
        ),
    }),
    Fact("F44", "Thickness by ultrasound went with the clinical response to each regimen: a tool to objectify it.", {
        "stmt-ultrasound": statement(
            CONCLUSION, "Ultrasound and response",
            "Thickness by ultrasound after each regimen went with the clinical response to it; an attractive tool to"
            " objectify responses, in other skin mucinoses too.",
            "skin-hc", "skin-cp", "skin-ecp", "skin-ivig",
        ),
    }),
    Fact("F45", "Table 1: ten reports of others in print order, 18 patients, with background, dose and response.", {
        "literature": put(
            source("Table 1"), note("A dash in the column of combinations is read as none (inferred)."),
            {"is": "List", "status": "current", "mode": "snapshot", "code": "<literature-list>"},
            orderedBy="<list-order-user>", title="IVIg in scleromyxedema: ten earlier reports",
            entry=[{"item": f"@{row.key}"} for row in ROWS],
        ),
        **{key: says for place, row in enumerate(ROWS, 1) for key, says in printed(place, row).items()},
    }),
    Fact("F46", "IVIg worked where HCQ, UVA1, isotretinoin (8), ECP, cyclophosphamide and melphalan (9) had failed.", {
        **failed(8, "<hydroxychloroquine>", "<uva1-phototherapy>", "<isotretinoin>"),
        **failed(9, "extracorporeal photophoresis <extracorporeal-photopheresis>", "<cyclophosphamide>",
                 "melphalane <melphalan>"),
    }),
    Fact("F47", "Systemic manifestations got better (11); IVIg contributed where nerves were involved (9, 11, 13).", {
        "lit-ref-11-systemic": answer(
            "lit-ref-11", GENERAL, "improved <improved>", "lit-ref-11-ivig",
            "systemic manifestations <systemic-manifestations>",
        ),
        **neurological(9, "stated"), **neurological(11, "inferred"), **neurological(13, "inferred"),
    }),
    Fact("F48", "Of the four criteria three are met, which is derived; of the thyroid nothing is told.", {
        "criteria": observed(
            "Introduction, para 1", "diagnostic criteria of scleromyxedema <diagnostic-criteria>",
            source("Introduction, para 1", "derived"), UNDATED, OF_DISEASE,
            *(
                {f"component[{name}]+source": f"derived, {where}",
                 f"component[{name}].valueCodeableConcept": "<present>"}
                for name, where in (
                    ("generalized papular, sclerodermoid eruption <skin-eruption>", PARA2),
                    ("histology: mucin, fibroblasts, fibrosis <histology-criterion>",
                     "Figure 1; fibrosis is not mentioned"),
                    ("monoclonal gammopathy <gammopathy-criterion>", PARA1),
                )
            ),
            {"component[absence of thyroid disease <no-thyroid-disease>]+source":
                "not-stated, not stated for this patient",
             "component[absence of thyroid disease <no-thyroid-disease>].dataAbsentReason": "<dar-unknown>"},
            derivedFrom=["@find-skin-thickened", *PAPULES, "@hist-mucin", "@hist-fibroblasts", "@mprot-panel"],
        ),
    }),
    Fact("F49", "What is said of the disease, of IVIg and of doses in general is told as such; the source is named.", {
        "stmt-conclusion": statement(
            CONCLUSION, "Conclusion on IVIg",
            "IVIg: highly effective and well tolerated where other first-line modalities failed; may be a first choice"
            " in acute worsening with neurological symptoms.",
            "course-ivig",
        ),
        "stmt-disease": statement(
            "Abstract; Introduction, para 1 (references 1, 3, 4)", "The disease in general",
            "Rare, chronic, idiopathic; typically in middle-aged adults, usually with a monoclonal gammopathy."
            " Muscular, neurological, rheumatologic, pulmonary, renal and cardiovascular manifestations are known."
            " No causal, no standard therapy. Limited to the skin: at first topical retinoids, PUVA; more extensive:"
            " glucocorticoids, cyclophosphamide, plasmapheresis, melphalan, thalidomide, chloroquine, photopheresis,"
            " IVIg, autologous stem cell transplantation, with varying success.",
            section="Introduction",
        ),
        "stmt-features": statement(
            "Introduction, para 1 (reference 2)", "How it looks in general",
            "Diffuse thickening of face, trunk and distal extremities, mouth and joints less mobile; many firm waxy"
            " papules of 2 to 3 mm in lines, symmetrical, chiefly on hands, forearms, head, neck, upper trunk and"
            " thighs.",
            section="Introduction",
        ),
        "stmt-mode-of-action": statement(
            "Discussion, para 1 (references 5, 6)", "How IVIg may act",
            "Not fully understood. Postulated: Fc receptor blockade on splenic macrophages, less complement damage,"
            " cytokine modulation, antiidiotype antibodies, neutralized pathogens, CD95 blockade.",
        ),
        "stmt-protocols": statement(
            GENERAL, "High and low dose",
            "High doses in most reports, commonly 2 g/kg monthly (6-11); 0.4-0.5 g/kg monthly (12-15) did comparably"
            " well. Neurological involvement: a significant contribution is reported (9, 11, 13).",
        ),
        "src-article": document(
            "Published case report (title, authors and journal are not in the text)", **{"attachment.language": "en"}
        ),
    }),
    Fact("F50", "There are five figures, with captions in own words.", {
        "fig-1": figure(
            1, "Figure 1", "Skin histology at baseline; hematoxylin (a), alcian blue (b), magnification x40.",
        ),
        "fig-2": figure(2, "Figure 2", "Skin thickness by 20 MHz sonography in the phases HC, CP, ECP, IVIG."),
        **{f"fig-{number}": figure(
            number, "Figures 3-5", "Clinical appearance right before IVIg and after six cycles.",
        ) for number in (3, 4, 5)},
    }),
)
# fmt: on
