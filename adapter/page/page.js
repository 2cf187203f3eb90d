// The page: a document goes to the endpoint, and its answers are shown. Nothing is kept beyond the page.

import { FHIR, JSON_TYPE, PACKED_FROM, Refused, ask, curl } from "./endpoint.js";
import { JsonText } from "./json.js";
import { Pane } from "./pane.js";
import { by, count, element, fact, group, picture, say } from "./shown.js";

const MOST_LINKS = 500; // links of one line that are worth showing

const panes = [new Pane(by("left"), chosen), new Pane(by("right"), chosen)];
let run = new AbortController();
let links = [new Map(), new Map()]; // of each pane: line -> lines of the other one
let shown = {}; // what the buttons copy and save
let held = false;

// --- a conversion ---------------------------------------------------------------------------

async function convert(text, name) {
  run.abort();
  run = new AbortController();
  const { signal } = run;
  const doc = JsonText.read(text);
  const isFhir = doc.isText ? /"resourceType"/.test(text) : doc.kid(0, "resourceType") !== undefined;
  shown = { name, isFhir };
  clear();
  say(`Converting ${name} …`);
  try {
    const path = isFhir ? "fhir/$to-case" : "fhir/$to-fhir";
    const answer = await ask(path, text, isFhir ? FHIR : JSON_TYPE, signal);
    shown.output = await answer.text();
    present(isFhir ? "Converted to a case" : "Converted to FHIR R4");
    panes[0].show(isFhir ? "FHIR, as received" : "Case", doc);
    panes[1].show(isFhir ? "Case" : "FHIR Bundle", JsonText.read(shown.output));
    const [fhir, case_] = isFhir ? [text, shown.output] : [shown.output, text];
    const late = await Promise.allSettled([report(text, isFhir, signal), timeline(case_, signal), relate(fhir, signal)]);
    const failed = late.find(({ reason }) => reason && reason.name !== "AbortError");
    if (failed) throw failed.reason;
  } catch (error) {
    if (error.name !== "AbortError") await refused(error, doc, text, isFhir, signal);
  }
}

async function refused(error, doc, text, isFhir, signal) {
  if (!(error instanceof Refused)) error = new Refused([{ severity: "error", message: String(error), remedy: "" }], 0);
  let { issues } = error;
  if (!shown.output) {
    if (error.status === 422) {
      shown.report = await (await ask("page/report", text, isFhir ? FHIR : JSON_TYPE, signal)).json();
      issues = shown.report.issues;
    }
    present("Not converted");
    panes[0].show(doc.isText ? "What you gave" : isFhir ? "FHIR, as received" : "Case", doc);
    panes[1].root.hidden = true;
  }
  group("Problems", issues, panes[0], true);
  say(`${shown.output ? "Something is missing" : "Not converted"}: ${count(issues.length, "problem")}.`);
}

async function report(text, isFhir, signal) {
  const told = await (await ask("page/report", text, isFhir ? FHIR : JSON_TYPE, signal)).json();
  shown.report = told;
  by("save-report").hidden = false;
  const { total, mapped } = told.leaves;
  const sorts = { loud: [], left: [], made: [], noted: [] };
  for (const issue of told.issues) sorts[sortOf(issue)].push(issue);
  const made = sorts.made.reduce((all, { leaves }) => all + leaves, 0);
  const wrong = told.r4.filter(({ severity }) => severity === "error").length;
  const verdict = told.r4.length
    ? `${count(wrong, "error")}, ${count(told.r4.length - wrong, "warning")}` : "keeps to its rules";
  fact("FHIR R4 (4.0.1)", verdict, wrong ? "bad" : "good");
  if (isFhir) {
    fact("Values", `${mapped} of ${total} mapped`);
    fact("Made by an adapter", `${made}: frame, narrative`);
    fact("Left as they are", `${total - mapped - made}`);
  } else {
    const entries = panes[1].json.kid(0, "entry");
    fact("Values of the case", `${mapped} of ${total} written`, mapped === total ? "good" : "bad");
    fact("Entries", `${panes[1].json.lines[entries]?.kids?.length ?? 0}`);
  }
  fact("The way back", `gives ${told.reversible ? "the same" : "another"} ${isFhir ? "document" : "case"}`,
    told.reversible ? "good" : "bad");
  group("Problems", sorts.loud, panes[0], true);
  group("Not mapped, left as it is", sorts.left, panes[0], true);
  group("Notes", sorts.noted, panes[0], false);
  group("Against FHIR R4", told.r4, panes[isFhir ? 0 : 1], wrong > 0);
  say(`${shown.name}: converted, ${sorts.loud.length ? count(sorts.loud.length, "problem") : "no problems"}.`);
}

function sortOf({ severity, disposition }) {
  if (severity !== "information") return "loud";
  return { kept: "left", refused: "left", generated: "made" }[disposition] ?? "noted";
}

async function timeline(text, signal) {
  const figure = by("timeline");
  by("timeline-box").hidden = false;
  figure.textContent = "Drawing the timeline …";
  try {
    figure.replaceChildren(picture(await (await ask("page/timeline", text, JSON_TYPE, signal)).text()));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    figure.textContent = error.issues.map(({ message, remedy }) => `${message} ${remedy ?? ""}`).join(" ");
  }
}

async function relate(text, signal) {
  const pairs = await (await ask("page/links", text, FHIR, signal)).json();
  const [side, other] = [caseSide(), 1 - caseSide()];
  for (const [inCase, inFhir] of pairs) {
    const [a, b] = [panes[side].json.find(inCase), panes[other].json.find(inFhir)];
    put(links[side], a, b);
    put(links[other], b, a);
  }
  by("hint").hidden = false;
}

function put(map, from, to) {
  const found = map.get(from);
  if (found) found.push(to);
  else map.set(from, [to]);
}

// --- the same fact on both sides ------------------------------------------------------------

function chosen(pane, line, how) {
  if (held && (how === "hover" || how === "leave")) return;
  const side = panes.indexOf(pane);
  const other = panes[1 - side];
  if (other.root.hidden) return;
  if (how === "hold") held = line >= 0;
  const found = line < 0 ? [] : related(side, line);
  if (how === "go") {
    other.view.focus();
    if (found.length) other.activate(found[0]);
    return;
  }
  if (how === "hover" && line === pane.hovered) return;
  pane.hovered = line;
  pane.mark(line < 0 || !found.length ? [] : [line], false);
  pane.tell(line < 0 ? "" : pane.json.path(line));
  other.mark(found, true);
  light(line < 0 ? -1 : side === caseSide() ? line : found[0] ?? -1);
}

// The item of a line of the case, in the timeline.
function light(line) {
  const { lines } = panes[caseSide()].json;
  let key = "";
  for (let at = line; at >= 0 && !key; at = lines[at].parent) key = panes[caseSide()].json.string(at, "key");
  for (const lit of by("timeline").querySelectorAll(".lit")) lit.classList.remove("lit");
  by("timeline").querySelector(`#item-${CSS.escape(key)}`)?.classList.add("lit");
}

// A mark in the timeline is pointed at or clicked: its item in the case.
function pictured({ target, type }) {
  const mark = target.closest('[id^="item-"]');
  const pane = panes[caseSide()];
  if (!mark || (type === "pointermove" && held)) return;
  const key = JSON.stringify(mark.id.slice("item-".length));
  const { lines } = pane.json;
  const line = lines.find(({ step, text }) => step === "key" && text === key)?.parent;
  if (line === undefined) return;
  if (type === "click") {
    pane.activate(line);
    by("panes").scrollIntoView({ block: "nearest" });
  } else {
    pane.reveal(line, "centre");
    chosen(pane, line, "hover");
  }
}

const caseSide = () => (shown.isFhir ? 1 : 0);

// The lines of the other side that say the same: of the line, of what is in it, or of what it is in.
function related(side, line) {
  const { lines } = panes[side].json;
  const map = links[side];
  for (let at = line; at > 0; at = lines[at].parent) {
    if (map.has(at)) return [...new Set(map.get(at))].sort((a, b) => a - b);
    const inside = new Set();
    for (let i = at + 1; at === line && i <= lines[at].end && inside.size < MOST_LINKS; i++) {
      for (const one of map.get(i) ?? []) inside.add(one);
    }
    if (inside.size) return [...inside].sort((a, b) => a - b);
  }
  return [];
}

// --- what is shown --------------------------------------------------------------------------

function clear() {
  links = [new Map(), new Map()];
  held = false;
  by("result").hidden = true;
  by("issues").hidden = by("timeline-box").hidden = by("hint").hidden = true;
  by("facts").replaceChildren();
  by("issues").replaceChildren();
  by("timeline").replaceChildren();
}

function present(verdict) {
  by("result").hidden = false;
  by("verdict").textContent = verdict;
  by("curl").textContent = curl(shown.isFhir);
  by("save-report").hidden = !shown.report;
  by("verdict").focus({ preventScroll: true });
  by("status").scrollIntoView({ block: "start" });
}

// --- buttons, files ---------------------------------------------------------------------------

async function copy(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed here";
  }
  setTimeout(() => (button.textContent = before), 1500);
}

function save(text, name) {
  const link = element("a", "", "");
  link.href = URL.createObjectURL(new Blob([text], { type: JSON_TYPE }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Give a file to the endpoint; what is not UTF-8 would not arrive as it is.
async function opened(file) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    return say(`${file.name} is not text in UTF-8.`);
  }
  await taken(text, file.name);
}

// Convert a document, and keep it where it can be edited, if it is not too large for that.
async function taken(text, name) {
  by("text").value = text.length > PACKED_FROM ? "" : text;
  await convert(text, name);
}

by("examples").addEventListener("click", async ({ target }) => {
  if (!target.dataset.example) return;
  const response = await fetch(`page/example/${target.dataset.example}`).catch(() => null);
  if (response?.ok) await taken(await response.text(), target.textContent);
  else say("The endpoint does not answer.");
});
by("convert").addEventListener("click", () => {
  const text = by("text").value;
  if (text.trim()) convert(text, "Your document");
  else say("Paste a document first, or pick an example.");
});
by("open").addEventListener("click", () => by("file").click());
by("file").addEventListener("change", async ({ target }) => {
  if (target.files[0]) await opened(target.files[0]);
  target.value = "";
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    if (name === "drop" || !event.relatedTarget) document.body.classList.remove("over");
  });
}
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const { files } = event.dataTransfer;
  if (files[0]) opened(files[0]);
  else taken(event.dataTransfer.getData("text"), "Your document");
});
panes.forEach((pane, side) => {
  const name = () => (shown.isFhir === (side === 0) ? "bundle.json" : "case.json");
  pane.root.addEventListener("click", ({ target }) => {
    if (target.dataset.act === "copy") copy(String(pane.json), target);
    if (target.dataset.act === "save") save(String(pane.json), name());
  });
});
for (const type of ["pointermove", "click"]) by("timeline").addEventListener(type, pictured);
by("copy-curl").addEventListener("click", ({ target }) => copy(by("curl").textContent, target));
by("save-report").addEventListener("click", () => save(JSON.stringify(shown.report, null, 2), "report.json"));
