"""The web page, in Chromium, on `fhir-adapter serve`; and the routes that it has beside the operations."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from adapter.keys import new_key
from adapter.service import create_app
from mappings import dump_case, encode, from_fhir, load_case, to_fhir
from tests.serving import Served, serving

ROOT = Path(__file__).parent.parent
EXAMPLES = {"published-case": "Published case", "synthetic-course": "Synthetic course", "minimal": "Smallest case"}
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
pytestmark = pytest.mark.xdist_group("browser")
expect.set_options(timeout=30_000)
Json = Any


def case(name: str) -> bytes:
    """The case of an example."""
    return (ROOT / "examples" / name / "case.json").read_bytes()


# --- the routes ---------------------------------------------------------------------------------


def ask(path: str, body: bytes, kind: str = "application/json") -> Any:
    """The answer of the endpoint in this process."""
    return create_app().test_client().post(path, data=body, content_type=kind)


def test_the_report_tells_of_both_directions_and_of_what_is_refused() -> None:
    """A case and its Bundle are mapped whole and keep to R4; a refusal is told with its pointers, as a report."""
    told = ask("/page/report", case("synthetic-course")).json
    assert told["leaves"]["rest"] == 0
    assert told["reversible"] is True
    assert told["r4"] == []
    bundle = to_fhir(load_case(case("synthetic-course")))
    bundle["entry"][0]["resource"]["gender"] = "man"
    told = ask("/page/report", encode(bundle), "application/fhir+json").json
    assert told["readable"] is True
    assert [issue["pointer"] for issue in told["r4"]] == ["/entry/0/resource/gender"]
    answer = ask("/page/report", b'{"case_id": 1}')
    assert answer.status_code == 200
    assert "/case_id" in [issue["pointer"] for issue in answer.json["issues"]]
    assert ask("/page/report", b"{").status_code == 400


def test_the_other_routes_answer_what_the_page_asks() -> None:
    """Examples by name and no other file; links of a document; the timeline as SVG."""
    client = create_app().test_client()
    for name in EXAMPLES:
        assert client.get(f"/page/example/{name}").data == case(name)
    assert [client.get(f"/page/example/{name}").status_code for name in ("refused", "..", "%2e%2e")] == [404] * 3
    pairs = ask("/page/links", encode(to_fhir(load_case(case("minimal")))), "application/fhir+json").json
    assert ["/patient", "/entry/0/resource"] in pairs
    drawn = ask("/page/timeline", case("minimal"))
    assert drawn.content_type == "image/svg+xml; charset=utf-8"
    assert b"<svg" in drawn.data


def test_without_matplotlib_there_is_no_timeline_and_the_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """404 with the remedy: asking again would not help, and nothing is broken."""
    monkeypatch.setitem(__import__("sys").modules, "adapter.plot", None)
    answer = ask("/page/timeline", case("minimal"))
    assert answer.status_code == 404
    assert "[plot]" in answer.json["issue"][0]["details"]["text"]


def test_the_wheel_holds_every_package_and_one_copy_of_each_example() -> None:
    """The list of packages in setup.cfg, which setuptools cannot find alone because one of them lies elsewhere."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    found = [
        init.parent.relative_to(ROOT)
        for room in ("adapter", "mappings")
        for init in ROOT.glob(f"{room}/**/__init__.py")
    ]
    assert set(config["options"]["packages"].split()) == {"adapter.examples", *(".".join(at.parts) for at in found)}
    assert config["options"]["package_dir"].split() == ["adapter.examples", "=", "examples"]
    shipped = config["options.package_data"]["adapter.examples"].split(", ")
    assert shipped == [f"{name}/case.json" for name in EXAMPLES]


# --- the page in a browser ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it a skip, in CI an error."""
    if CHROMIUM is None and os.environ.get("CI") != "true":
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    assert CHROMIUM, "CI needs chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An endpoint that asks for no credentials."""
    with serving(tmp_path_factory.mktemp("page")) as served:
        yield served


Open = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, server: Served) -> Iterator[Open]:
    """Opens the page in a new profile; afterwards nothing was blocked, broken, kept, or asked of another host."""
    contexts, wrong = [], []

    def visit_(served: Served = server, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": WIDE} | options)
        contexts.append(context)
        page, home = context.new_page(), f"http://127.0.0.1:{served.port}/"
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console", lambda m: wrong.append(m.text) if "status of 4" not in m.text and m.type == "error" else None
        )
        page.on("request", lambda r: None if r.url.startswith((home, "blob:", "data:")) else wrong.append(r.url))
        page.goto(home)
        return page

    yield visit_
    for context in contexts:
        assert context.cookies() == []
        assert context.storage_state()["origins"] == []
        context.close()
    assert wrong == []


def convert(page: Page, document: bytes | str) -> None:
    """Give a document to the page as a file, and wait until all of the answer is there."""
    raw = document if isinstance(document, bytes) else document.encode()
    page.locator("#file").set_input_files({"name": "given.json", "mimeType": "application/json", "buffer": raw})
    expect(page.locator("#status")).to_contain_text("onverted")


def pick(page: Page, name: str) -> None:
    """Pick an example, and wait until everything about it is there."""
    page.get_by_role("button", name=EXAMPLES[name]).click()
    expect(page.locator("#status")).to_contain_text("no problems")
    expect(page.locator("#hint")).to_be_visible()


def find(page: Page, side: str, text: str) -> None:
    """Make the next line with this text the active one."""
    page.locator(f"#{side} input[type=search]").fill(text)
    page.locator(f"#{side} input[type=search]").press("Enter")


def lit(page: Page, side: str) -> list[str]:
    """The lines that are lit on a side."""
    return [text.strip() for text in page.locator(f"#{side} .mark").all_inner_texts()]


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_converted_and_shown(visit: Open, name: str) -> None:
    """Both documents, every value written, R4 kept, the way back, the timeline, the call as curl."""
    page = visit()
    pick(page, name)
    facts = page.locator("#facts").inner_text()
    assert "keeps to its rules" in facts
    assert "gives the same case" in facts
    assert f"{len(to_fhir(load_case(case(name)))['entry'])}" in facts
    expect(page.locator("#left .row").nth(1)).to_contain_text("schema_version")
    expect(page.locator("#right .row").nth(1)).to_contain_text('"resourceType": "Bundle"')
    expect(page.locator("#timeline svg")).to_be_visible()
    assert "fhir/$to-fhir" in page.locator("#curl").inner_text()


def test_a_cycle_and_its_administration_light_up_together(visit: Open) -> None:
    """By pointing at either side, down to the field; and by the mark of the timeline. A click holds, Escape lets go."""
    page = visit()
    pick(page, "synthetic-course")
    find(page, "left", '"infusion-1-1"')
    page.locator("#left .view").press("ArrowLeft")
    assert '"resourceType": "MedicationAdministration",' in lit(page, "right")
    assert "MedicationAdministration" in page.locator("#right .crumb").inner_text()
    page.locator("#left .view").press("Escape")
    assert lit(page, "right") == []
    page.locator("#left .row", has_text='"value": 75.0').first.hover()
    assert lit(page, "right") == ['"value": 75.0,']
    page.locator("#right .row.mark").hover()
    assert lit(page, "left") == ['"value": 75.0,']
    page.locator("#item-infusion-4-1").click()
    assert '"key": "infusion-4-1",' in lit(page, "left")
    assert '"resourceType": "MedicationAdministration",' in lit(page, "right")
    expect(page.locator("#item-infusion-4-1")).to_have_class("lit")


def test_text_that_is_no_json_is_shown_with_its_line(visit: Open) -> None:
    """The line is named, and a click goes there; what was pasted stays."""
    page = visit()
    page.locator("#text").fill('{"schema_version": "1.0",\n "case_id": }')
    page.get_by_role("button", name="Convert").click()
    expect(page.locator("#status")).to_contain_text("Not converted: 1 problem")
    page.get_by_role("button", name="line 2").click()
    expect(page.locator("#left .row.active.wrong")).to_contain_text('"case_id": }')
    assert "case_id" in page.locator("#text").input_value()


def test_a_document_can_be_dropped_and_copied(visit: Open) -> None:
    """A file dropped anywhere; NDJSON as one Bundle; the other side and the command to the clipboard; not UTF-8: no."""
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    entries = to_fhir(load_case(case("minimal")))["entry"]
    drop(page, b"\n".join(encode(entry["resource"]) for entry in entries))
    expect(page.locator("#verdict")).to_have_text("Converted to a case")
    expect(page.locator("#hint")).to_be_visible()
    find(page, "right", '"patient"')
    assert '"resourceType": "Patient",' in lit(page, "left")
    page.locator("#right").get_by_role("button", name="Copy").click()
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == json.loads(case("minimal"))
    page.get_by_role("button", name="Copy as curl").click()
    assert page.evaluate("navigator.clipboard.readText()").startswith(
        "curl -sS -H 'Content-Type: application/fhir+json'"
    )
    drop(page, "é".encode("latin-1"))
    expect(page.locator("#status")).to_have_text("dropped.json is not text in UTF-8.")


def drop(page: Page, raw: bytes) -> None:
    """Drop a file on the page."""
    transfer = page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.json"));
            return transfer;
        }""",
        list(raw),
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})


def test_every_problem_of_a_case_is_listed_and_leads_to_its_place(visit: Open) -> None:
    """Three problems, three pointers; each jumps to the line, or to the nearest that is there."""
    wrong = json.loads(case("minimal"))
    wrong |= {"language": None, "patient": {"sex": "m"}, "unknown": [1]}
    page = visit()
    convert(page, json.dumps(wrong))
    expect(page.locator("#issues li")).to_have_count(3)
    for pointer, line in (("/language", "null"), ("/patient/sex", '"m"'), ("/unknown", "[")):
        page.get_by_role("button", name=pointer).click()
        expect(page.locator("#left .row.active.wrong")).to_contain_text(line)
    expect(page.locator("#right")).to_be_hidden()


def test_a_bundle_of_others_tells_what_is_left(visit: Open) -> None:
    """What is not mapped is listed with its place, what breaks R4 too; the case is beside it, down to the digit."""
    bundle = to_fhir(load_case(case("synthetic-course")))
    bundle["entry"].insert(1, {"fullUrl": "urn:uuid:3f0a1c52-8a8e-4a04-9a3c-7d1f2f1f0c11",
                               "resource": {"resourceType": "Basic", "code": {"text": "<b>&amp;"}}})  # fmt: skip
    bundle["entry"][0]["resource"]["gender"] = "man"
    page = visit()
    convert(page, encode(bundle))
    expect(page.locator("#issues")).to_contain_text("Basic is not mapped.")
    expect(page.locator("#facts")).to_contain_text("1 error")
    page.get_by_role("button", name="/entry/1/resource", exact=True).first.click()
    expect(page.locator("#left .crumb")).to_contain_text("entry[1] Basic")
    with page.expect_download() as saved:
        page.locator("#right").get_by_role("button", name="Download").click()
    assert json.loads(saved.value.path().read_bytes()) == json.loads(encode(dump_case(from_fhir(bundle)[0])))
    assert '"value": 3.60,' in saved.value.path().read_text()


def test_a_bundle_of_five_thousand_entries_stays_usable(visit: Open) -> None:
    """Few lines are elements, whatever the size; the last entry is found, and what is linked still lights up."""
    bundle = to_fhir(load_case(case("synthetic-course")))
    others = ({"resourceType": "Basic", "id": f"b{n}", "code": {"text": f"thing {n}"}} for n in range(4900))
    bundle["entry"] += [{"fullUrl": f"urn:x:{one['id']}", "resource": one} for one in others]
    page = visit()
    convert(page, encode(bundle))
    expect(page.locator("#hint")).to_be_visible(timeout=30_000)
    find(page, "left", "thing 4899")
    expect(page.locator("#left .row.active")).to_contain_text("thing 4899")
    assert page.locator(".row").count() < 300
    assert page.locator("#issues li").count() < 300
    find(page, "right", '"infusion-1-1"')
    assert page.locator("#left .crumb").inner_text().startswith("entry[")


def test_everything_can_be_done_by_keyboard(visit: Open) -> None:
    """From the top: an example, both documents, the linked line on the other side; focus is always to be seen."""
    page = visit()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#hint")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "verdict"
    for _ in range(30):
        page.keyboard.press("Tab")
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none"
        if page.evaluate("document.activeElement.matches('#left .view')"):
            break
    for key in ("ArrowRight", *["ArrowDown"] * 4, "ArrowRight"):
        page.keyboard.press(key)
    active = page.locator("#" + str(page.evaluate("document.activeElement.getAttribute('aria-activedescendant')")))
    expect(active).to_have_attribute("aria-selected", "true")
    for key in ("End", "PageUp", "Home", "PageDown", "ArrowUp"):
        page.keyboard.press(key)
    find(page, "left", '"infusion-1-1"')
    page.locator("#left .view").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.matches('#right .view')")
    expect(page.locator("#right .row.active")).to_be_visible()


def test_a_key_is_asked_for_where_one_is_needed_and_is_not_kept(visit: Open, tmp_path: Path) -> None:
    """A wrong key is asked for again, a good one converts, no answer is a refusal; it is in no command and no store."""
    key, line = new_key("dermatology")
    keys = tmp_path / "keys"
    keys.write_text(f"{line}\n")
    keys.chmod(0o600)
    with serving(tmp_path, keys_file=keys) as served:
        page = visit(served)
        page.get_by_role("button", name="Smallest case").click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#status")).to_contain_text("Not converted")
        page.get_by_role("button", name="Smallest case").click()
        page.get_by_label("API key", exact=True).fill(new_key("nobody")[0])
        page.keyboard.press("Enter")
        expect(page.get_by_text("The key was not accepted.")).to_be_visible()
        page.get_by_label("API key", exact=True).fill(key)
        page.get_by_role("button", name="Use the key").click()
        expect(page.locator("#status")).to_contain_text("no problems")
        assert key not in page.content() + page.locator("#curl").inner_text()
        assert "$FHIR_ADAPTER_KEY" in page.locator("#curl").inner_text()
        page.reload()
        page.get_by_role("button", name="Smallest case").click()
        expect(page.get_by_role("dialog")).to_be_visible()


@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", PHONE)], ids=["light-wide", "dark-phone"])
def test_the_page_is_accessible_and_fits(visit: Open, scheme: str, size: dict[str, int]) -> None:
    """axe finds nothing, at the start and with a result lit; only documents and picture scroll aside."""
    page = visit(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    assert faults(page) == []
    pick(page, "synthetic-course")
    find(page, "left", '"dose"')
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_what_asks_and_what_refuses_is_accessible_too(visit: Open) -> None:
    """axe on the problems of a case, and on the question for a key."""
    page = visit()
    convert(page, (ROOT / "examples" / "refused" / "a-dozen-at-once" / "wrong.json").read_bytes())
    assert faults(page) == []
    page.route("**/fhir/**", lambda route: route.fulfill(status=401))
    page.get_by_role("button", name="Smallest case").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert faults(page) == []


def faults(page: Page) -> list[str]:
    """What axe-core finds wrong."""
    return [f"{one['id']}: {node['html']}" for one in Axe().run(page).response["violations"] for node in one["nodes"]]
