"""The timeline: every fact of a course stands in the picture, what is not stated says so, and no number is made up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from adapter import plot
from adapter.axis import Where
from adapter.cli import main
from adapter.plot import figure
from adapter.timeline import Mark, timeline
from mappings import Case, MappingError, encode, load_case
from tests.goldens import NAMES, TIMELINE, case_bytes
from tests.strategies import cases

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"
NUMBER = re.compile(r"\d+(?:\.\d+)?")
CASES = {name: load_case(case_bytes(name)) for name in NAMES}
PUBLISHED, SYNTHETIC, MINIMAL = (CASES[name] for name in ("published-case", "synthetic-course", "minimal"))


class Picture:
    """What an SVG says: its texts without those of an axis, the texts of its axes, the titles of its items."""

    def __init__(self, case: Case) -> None:
        self.raw = figure(case)
        root = ElementTree.fromstring(self.raw)
        groups = list(root.iter(f"{SVG}g"))
        ticks = [g for g in groups if g.get("id", "").startswith("tick-")]
        self.ticks = [said for g in ticks for text in g.iter(f"{SVG}text") if (said := text.text)]
        inside = {text for g in ticks for text in g.iter(f"{SVG}text")}
        self.texts = [text.text or "" for text in root.iter(f"{SVG}text") if text not in inside]
        self.titles = {
            g.get("id", "").removeprefix("item-"): title.text or ""
            for g in groups
            if g.get("id", "").startswith("item-") and (title := g.find(f"{SVG}title")) is not None
        }
        self.all = " ".join(self.texts)
        self.root = root


@cache
def picture_of(name: str) -> Picture:
    """The picture of an example."""
    return Picture(CASES[name])


def case_with(**sections: Any) -> Case:
    frame = {"schema_version": "1.0", "case_system": "x:y", "case_id": "a", "language": "en", "patient": {}}
    return load_case(encode(frame | sections))


def course(key: str = "c1", **more: Any) -> dict[str, Any]:
    return {"key": key, "kind": "drug", "code": {"text": key}, "status": "completed"} | more


def told(anchor: str, relation: str, **more: Any) -> dict[str, Any]:
    """A time against the start or end of a course."""
    return {"relative": {"anchor": anchor, "anchor_element": "effective", "relation": relation} | more}


# --- what the picture says ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_course_and_cycle_is_there(name: str) -> None:
    """Each course has its name, its line and its reasons in the text, and each cycle and infusion a mark of its own."""
    case, picture = CASES[name], picture_of(name)
    for one in case.therapies:
        assert one.code.label in picture.titles[one.key]
        assert all(reason.label in picture.all for reason in one.status_reasons)
        assert one.line is None or re.search(rf"\b{one.line}\b", picture.all)
        for part in (*one.cycle_records, *one.administrations):
            assert part.key in picture.titles
            assert all(reason.label in picture.all for reason in getattr(part, "status_reasons", ()))
    for item in (*case.assessments, *case.disease_status, *case.tolerance):
        assert item.key in picture.titles
    for measured in case.measurements:
        assert (measured.key in picture.titles) == (measured.kind in ("skin-thickness", "mouth-opening", "skin-score"))


@pytest.mark.parametrize("name", NAMES)
def test_no_number_that_the_case_does_not_state(name: str) -> None:
    """Every number in a text of the picture stands in the case; only the ticks of an axis may hold another."""
    stated = set(NUMBER.findall(case_bytes(name).decode()))
    picture = picture_of(name)
    assert not set(NUMBER.findall(picture.all)) - stated
    assert not set(NUMBER.findall(" ".join(picture.titles.values()))) - stated


def test_published_case_says_what_is_not_stated() -> None:
    """No thickness, no dates, an order only: each is said, and nothing has a height or a date."""
    picture = picture_of("published-case")
    assert "not stated: plotted in Figure 2, no number in the text" in picture.all
    assert "status not stated" in picture.all
    assert "length not stated" in picture.all
    assert "time not stated" in picture.all
    assert "lengths, gaps and overlaps are not to scale" in picture.all
    assert picture.ticks == ["line (1)", "(2)", "(3)", "(4)", "(5)", "(6)", "7"]
    assert timeline(PUBLISHED).panels == ()
    assert not re.search(r"\d{4}", picture.all.replace("1680", ""))


@pytest.mark.parametrize(
    "words",
    ["initially 600 mg daily", "12 months", "15 months", "21 cycles given", "stopped: intolerance", "no side effects",
     "2 g/kg BM over 2 days, once monthly, 6 months", "response: failed to respond", "IVIG: decreased",
     "papules: cleared", "within a few days after the start of IVIG", "completed (inferred)",
     "63 years (at the presentation)"],
)  # fmt: skip
def test_published_case_facts(words: str) -> None:
    """What a reader of the report looks for stands in its timeline."""
    assert words in picture_of("published-case").all


@pytest.mark.parametrize(
    "words",
    ["3.60", "2.85", "2.10", "[mm]", "stopped: no effect", "18 cycles given, 30 planned", "not given: neuropathy",
     "light dose per session: 60 J/cm2", "cycle 4 day 1 not given: fever, infection suspected", "calendar date",
     "cycle 5 day 2 partial: headache", "ongoing", "end not stated", "Mood: cheerful again", "tolerability: good"],
)  # fmt: skip
def test_synthetic_course_facts(words: str) -> None:
    """The full picture has the values with their digits and units, the reasons, and what is open."""
    assert words in picture_of("synthetic-course").all


def test_a_case_with_nothing_to_draw_says_so() -> None:
    """It has a picture too, so that a page always has one to show."""
    assert plot.NOTHING in picture_of("minimal").all
    assert timeline(MINIMAL).groups == timeline(MINIMAL).panels == ()


def test_who_the_patient_is_stays_out() -> None:
    """Neither an identifier, nor a pseudonym, nor the date of birth is in the picture."""
    patient = {
        "identifiers": [{"system": "urn:oid:1.2.3", "value": "MRN-4711-Q"}],
        "pseudonym": {"kind": "pseudonymized", "system": "urn:oid:1.2.4", "value": "PSEUDO-0815"},
        "birth_date": {"at": "1961-07-23"},
    }
    svg = figure(case_with(patient=patient, therapies=[course(when={"at": "2024"})])).decode()
    assert not [word for word in ("4711", "0815", "1961") if word in svg]
    assert PUBLISHED.patient.pseudonym
    assert PUBLISHED.patient.pseudonym.value not in figure(PUBLISHED).decode()


def test_texts_are_drawn_as_they_are() -> None:
    """No markup is read in a text of the case: neither XML nor TeX."""
    odd = r"$\alpha$ <b> & 5 $"
    picture = Picture(case_with(therapies=[course(code={"text": odd}, line=1)]))
    assert f"1 {odd}" in picture.all
    assert odd in picture.titles["c1"]


# --- where things stand -------------------------------------------------------------------------


def _marks(case: Case) -> dict[str, Mark]:
    found = timeline(case)
    rows = [row for _, rows in found.groups for row in rows]
    marks = [mark for row in rows for mark in (*row.marks, row.bar) if mark]
    return {mark.key: mark for mark in (*marks, *(mark for _, some in found.panels for mark in some))}


def _status(when: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [{"key": "s", "status": "worse", "condition": "k"} | ({"when": when} if when else {})]


CONDITIONS = [{"key": "k", "role": "mucinosis", "code": {"text": "k"}, "verification_status": "confirmed",
               "clinical_status": "active"}]  # fmt: skip
TWO = {"value": 2, "unit": "wk"}
DAY = 738945  # 2024-02-29


@pytest.mark.parametrize(
    ("when", "where"),
    [
        ({"at": "2024-02-29"}, Where(DAY, DAY + 1)),
        ({"at": "2024-02"}, Where(DAY - 28, DAY + 1)),
        ({"at": "2024"}, Where(DAY - 59, DAY + 307)),
        ({"at": "2024-02-29T12:00:00+05:30"}, Where(DAY + 0.5, DAY + 0.5)),
        ({"period": {"start": "2024-02-29", "end": "2024-03-01"}}, Where(DAY, DAY + 2)),
        (told("c1", "after-start", offset=TWO), Where(DAY + 14, DAY + 15)),
        (told("c1", "before-start", offset=TWO), Where(DAY - 14, DAY - 13)),
        (told("c1", "after-start"), Where(DAY, DAY + 1, 1)),
        (told("c1", "before-start"), Where(DAY, DAY + 1, -1)),
        (told("c1", "after-start", offset_text="a few days"), Where(DAY, DAY + 1, 1)),
        (told("c1", "concurrent"), Where(DAY, DAY + 11)),
        (told("c1", "concurrent-with-end"), Where(DAY + 10, DAY + 11)),
        ({"absent": "unknown"}, None),
        (None, None),
    ],
)
def test_a_place_is_what_is_stated(when: dict[str, Any] | None, where: Where | None) -> None:
    """A month is a month wide; a distance is kept; without one it leans; without a time there is no place."""
    period = {"period": {"start": "2024-02-29", "end": "2024-03-10"}}
    case = case_with(conditions=CONDITIONS, therapies=[course(when=period)], disease_status=_status(when))
    assert _marks(case)["s"].where == where


def test_the_order_is_an_order() -> None:
    """Where only lines are known, each course has a step, in their order, and none has a date."""
    bars = [_marks(PUBLISHED)[one.key].where for one in PUBLISHED.therapies]
    places = [bar[:2] for bar in bars if bar]
    assert len(places) == 7
    assert all(before[1] < after[0] for before, after in pairwise(places))


def test_cycles_keep_their_distances_in_an_order() -> None:
    """The six cycles of the published case are one month apart, since that is stated."""
    where = [_marks(PUBLISHED)[f"adm-ivig-{n}"].where for n in range(1, 7)]
    steps = [b.low - a.low for a, b in pairwise(where) if a and b]
    assert steps == pytest.approx([steps[0]] * 5)
    assert steps[0] > 0


def test_the_presentation_is_a_band_where_its_place_is_not_known() -> None:
    """After line 5 and before line 7: line 6 is told against the next course only."""
    zero, marks = timeline(PUBLISHED).zero, _marks(PUBLISHED)
    before, after = marks["course-ecp"].where, marks["course-ivig"].where
    assert zero
    assert before
    assert after
    assert zero.where == Where(before.high, after.low)


@pytest.mark.parametrize(
    ("courses", "axis"),
    [
        ([course(when={"at": "2024-01"}), course("c2", line=2)], "calendar date"),
        ([course(line=1), course("c2", line=2)], "order of the lines of therapy"),
        (
            [course(), course("c2", when=told("c1", "after-end", offset=TWO | {"unit": "a"}))],
            "months from the end of c1",
        ),
        ([course(), course("c2", when=told("c1", "before-start", offset=TWO))], "days from the start of c1"),
    ],
)
def test_the_axis_is_the_best_that_is_stated(courses: list[dict[str, Any]], axis: str) -> None:
    """Dates, else distances from an item, else the order of the lines."""
    assert timeline(case_with(therapies=courses)).axis.startswith(axis)


def test_what_has_no_date_stands_apart_from_what_has() -> None:
    """A course without a time beside one with dates has no place on the calendar."""
    marks = _marks(case_with(therapies=[course(line=1), course("c2", line=2, when={"at": "2024-01"})]))
    assert (marks["c1"].where, bool(marks["c2"].where)) == (None, True)


@pytest.mark.parametrize(
    ("period", "status", "said"),
    [
        ({"start": "2024"}, "completed", "end not stated"),
        ({"start": "2024"}, "active", "ongoing"),
        ({"end": "2024"}, "completed", "start not stated"),
        ({"start": "2024", "end": told("c0", "before-start")["relative"]}, "completed", ""),
        ({"start": "2024", "end": "2025"}, "completed", ""),
    ],
)
def test_an_open_end_is_said(period: dict[str, Any], status: str, said: str) -> None:
    """Not stated, unless the case says something of it, such as that it was before another course."""
    courses = [course("c0"), course(status=status, when={"period": period})]
    assert _marks(case_with(therapies=courses))["c1"].text == said


def test_what_times_are_told_against_is_marked() -> None:
    """On an axis of distances from the encounter that is time zero, that stands at nought."""
    encounter = {"key": "e", "class": {"system": "x:y", "code": "IMP"}, "status": "finished", "time_zero": True}
    start = {"anchor": "e", "anchor_element": "period", "relation": "before-start", "offset": TWO}
    case = case_with(
        encounters=[encounter | {"when": {"absent": "unknown"}}], therapies=[course(when={"period": {"start": start}})]
    )
    found = timeline(case)
    assert found.zero
    assert found.zero.where == Where(0, 0)
    assert _marks(case)["c1"].where == Where(-14, -14, 1)


def test_a_long_chain_of_times_is_followed() -> None:
    """Each of 400 cycles told against the one before it: the last has its place, and at once."""
    cycles = [{"key": "a0", "status": "given", "cycle": 1, "when": {"at": "2024-02-29"}}]
    for n in range(1, 400):
        start = told(f"a{n - 1}", "after-start", offset=TWO)["relative"]
        period = {"period": {"start": start, "end": start | {"relation": "after-end"}}}
        cycles.append({"key": f"a{n}", "status": "given", "cycle": n + 1, "when": period})
    marks = _marks(case_with(therapies=[course(administrations=cycles)]))
    assert marks["a399"].where == Where(DAY + 399 * 14, DAY + 1 + 399 * 14)


@pytest.mark.parametrize("number", ["9E+99", "1E-99"])
def test_the_greatest_and_least_numbers_are_drawn(number: str) -> None:
    """What a case takes has a place on an axis, and stays in the text digit by digit."""
    value = {"quantity": {"value": Decimal(number), "unit": "mm"}}
    case = case_with(measurements=[{"key": "m", "kind": "skin-thickness", "value": value, "when": {"at": "2024"}}])
    assert number in Picture(case).texts


def test_a_case_made_in_python_is_checked_first() -> None:
    """What `to_fhir` would refuse is refused here too, with the same issues."""
    with pytest.raises(MappingError, match="dangling-reference"):
        figure(replace(SYNTHETIC, conditions=()))


# --- the files ----------------------------------------------------------------------------------


def test_same_bytes_in_threads_and_processes(tmp_path: Path) -> None:
    """The settings of a user, the hash seed and other threads change nothing; pyplot is not touched."""
    (tmp_path / "matplotlibrc").write_text("svg.fonttype: path\nfont.size: 30\n")
    script = (
        "import sys; from pathlib import Path; from mappings import load_case; from adapter.plot import figure\n"
        "svg = figure(load_case(Path(sys.argv[1]).read_bytes())); assert 'matplotlib.pyplot' not in sys.modules\n"
        "sys.stdout.buffer.write(svg)"
    )
    path = ROOT / "examples" / "synthetic-course" / "case.json"
    environment = os.environ | {
        "PYTHONHASHSEED": "7",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "TZ": "Asia/Tokyo",
    }
    other = subprocess.run(
        [sys.executable, "-c", script, path], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    with ThreadPoolExecutor(4) as pool:
        drawn = set(pool.map(figure, [SYNTHETIC, PUBLISHED] * 3))
    assert drawn == {figure(SYNTHETIC), figure(PUBLISHED)}
    assert other.stdout == figure(SYNTHETIC)


def test_svg_can_be_read_aloud() -> None:
    """It has a name, a description with every course and response, real text, and needs nothing from elsewhere."""
    picture = picture_of("published-case")
    name, words = picture.root.find(f"{SVG}title"), picture.root.find(f"{SVG}desc")
    assert picture.root.get("role") == "img"
    assert name is not None
    assert words is not None
    assert {name.get("id"), words.get("id")} == set(picture.root.get("aria-labelledby", "").split())
    assert all(one.code.label in (words.text or "") for one in PUBLISHED.therapies)
    assert "failed to respond" in (words.text or "")
    raw = picture.raw.decode()
    assert not re.search(r"<!DOCTYPE|<script|<image|href=\"(?!#)|@import|<metadata", raw)
    ids = re.findall(r'\bid="([^"]+)"', raw)
    assert len(ids) == len(set(ids))


def test_colours_are_seen_on_white() -> None:
    """Text has a contrast of 4.5 or more, signs and bars of 3 or more (WCAG 2.1)."""
    texts = [plot.INK, plot.SOFT, *plot.SERIES, "#6b5400", "#00446b"]
    signs = [color for color, _ in plot.KINDS.values()] + [color for *_, color, _ in plot.SIGNS.values()]
    assert min(map(_contrast, texts)) >= 4.5
    assert min(map(_contrast, signs)) >= 3


def _contrast(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


@settings(max_examples=40)
@given(cases())
def test_any_case_has_a_picture(case: Case) -> None:
    """Whatever a case holds, it is drawn as well-formed XML, with each course and administration in it."""
    picture = Picture(case)
    parts = [part for one in case.therapies for part in (one, *one.cycle_records, *one.administrations)]
    assert {part.key for part in parts} <= picture.titles.keys()


def test_published_timeline_is_current() -> None:
    """The README's picture says what the case says now; `make goldens` draws it anew.

    The words are compared, not the bytes: another version of matplotlib may draw the same a little differently.
    """

    def words(svg: bytes) -> list[str]:
        return [said for said in ElementTree.fromstring(svg).itertext() if said.strip()]

    assert words(TIMELINE.read_bytes()) == words(figure(PUBLISHED))


# --- the command --------------------------------------------------------------------------------


def test_command_writes_by_the_name(tmp_path: Path) -> None:
    """The ending says the form; standard output gets SVG, and gives the same bytes."""
    source, svg, png = "examples/published-case/case.json", tmp_path / "a.svg", tmp_path / "a.PNG"
    for target in (svg, png):
        done = CliRunner().invoke(main, ["plot", str(ROOT / source), "-o", str(target)])
        assert (done.exit_code, done.output) == (0, "")
    assert svg.read_bytes() == CliRunner().invoke(main, ["plot", str(ROOT / source)]).stdout_bytes == figure(PUBLISHED)
    assert png.read_bytes().startswith(b"\x89PNG\r\n")
    assert png.read_bytes() == figure(PUBLISHED, "png")


def test_command_refuses(tmp_path: Path) -> None:
    """Another ending is a wrong command line; a wrong case is told as everywhere; nothing is written."""
    source = str(ROOT / "examples" / "minimal" / "case.json")
    wrong = CliRunner().invoke(main, ["plot", source, "-o", str(tmp_path / "a.pdf")])
    assert wrong.exit_code == 2
    assert ".svg or .png" in wrong.output
    bad = CliRunner().invoke(main, ["plot", "-", "-o", str(tmp_path / "a.svg")], input=b"{}")
    assert bad.exit_code == 1
    assert "missing-field" in bad.output
    assert list(tmp_path.iterdir()) == []


def test_command_without_matplotlib_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named; no traceback."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "adapter.plot", raising=False)
    done = CliRunner().invoke(main, ["plot", str(ROOT / "examples" / "minimal" / "case.json")])
    assert done.exit_code == 1
    assert "pip install 'scleromyxedema-fhir-adapter[plot]'" in done.output
