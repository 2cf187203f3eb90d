// The page: what goes to the endpoint and how its answers are shown. Nothing is kept beyond the page.

import { Document } from "./document.js";
import { Pane, element } from "./pane.js";

const FHIR = "application/fhir+json";
const JSON_TYPE = "application/json";
const GZIP_FROM = 2 ** 20; // characters
const MOST_SHOWN = 100; // issues of one group
const MOST_LINKS = 500; // links of one line that are worth showing
const by = (id) => document.getElementById(id);

const panes = [new Pane(by("left"), chosen), new Pane(by("right"), chosen)];
let apiKey = "";
let run = new AbortController();
let links = [new Map(), new Map()]; // of each pane: line -> lines of the other one
let shown = {}; // what the buttons copy and save
let held = false;

// --- the endpoint ---------------------------------------------------------------------------

class Refused extends Error {
  constructor(issues, status) {
    super(issues[0].message);
    Object.assign(this, { issues, status });
  }
}

async function ask(path, text, type, signal) {
  for (let tried = false; ; tried = true) {
    const headers = { "Content-Type": type };
    if (apiKey) headers.Authorization = `Bearer ${apiKey}`;
    let body = text;
    if (text.length > GZIP_FROM && "CompressionStream" in window) {
      headers["Content-Encoding"] = "gzip";
      const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
      body = await new Response(packed).blob();
    }
    let response;
    try {
      response = await fetch(path, { method: "POST", headers, body, signal, credentials: "omit" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused([{ severity: "error", message: "The endpoint does not answer.", remedy: "Try again." }], 0);
    }
    if (response.status === 401 && (await askForKey(tried && apiKey))) continue;
    if (response.ok) return response;
    throw new Refused(outcome(await response.text(), response.status), response.status);
  }
}

function outcome(text, status) {
  try {
    return JSON.parse(text).issue.map(({ severity, diagnostics, details, expression }) => ({
      severity, message: diagnostics, remedy: details?.text, path: expression?.[0], code: details?.coding?.[0]?.code,
    }));
  } catch {
    return [{ severity: "error", message: `The endpoint answered ${status}.`, remedy: "Ask whoever runs it." }];
  }
}

function askForKey(again) {
  const dialog = by("ask");
  by("ask-note").textContent = again ? "The key was not accepted." : "Whoever runs the endpoint gives it out.";
  by("key").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      apiKey = dialog.returnValue === "use" ? by("key").value.trim() : "";
      by("key").value = "";
      resolve(Boolean(apiKey));
    }, { once: true });
  });
}

// --- a conversion ---------------------------------------------------------------------------

async function convert(text, name) {
  run.abort();
  run = new AbortController();
  const { signal } = run;
  const doc = parsed(text);
  const isFhir = doc.isText ? /"resourceType"/.test(text) : doc.kid(0, "resourceType") !== undefined;
  shown = { name, isFhir };
  clear();
  say(`Converting ${name} …`);
  try {
    const path = isFhir ? "fhir/$to-case" : "fhir/$to-fhir";
    const answer = await ask(path, text, isFhir ? FHIR : JSON_TYPE, signal);
    shown.output = await answer.text();
    panes[0].show(isFhir ? "FHIR, as received" : "Case", doc);
    panes[1].show(isFhir ? "Case" : "FHIR Bundle", parsed(shown.output));
    present(isFhir ? "Converted to a case" : "Converted to FHIR R4");
    const [fhir, case_] = isFhir ? [text, shown.output] : [shown.output, text];
    const late = await Promise.allSettled([report(text, isFhir, signal), timeline(case_, signal), relate(fhir, signal)]);
    const failed = late.find(({ reason }) => reason && reason.name !== "AbortError");
    if (failed) throw failed.reason;
  } catch (error) {
    if (error.name !== "AbortError") await refused(error, doc, text, isFhir, signal);
  }
}

function parsed(text) {
  try {
    return Document.of(text);
  } catch {
    return Document.ofText(text);
  }
}

async function refused(error, doc, text, isFhir, signal) {
  if (!(error instanceof Refused)) error = new Refused([{ severity: "error", message: String(error), remedy: "" }], 0);
  let { issues } = error;
  if (!shown.output) {
    panes[0].show(isFhir ? "FHIR, as received" : doc.isText ? "What you gave" : "Case", doc);
    panes[1].root.hidden = true;
    if (error.status === 422) {
      shown.report = await (await ask("page/report", text, isFhir ? FHIR : JSON_TYPE, signal)).json();
      issues = shown.report.issues;
    }
    present("Not converted");
  }
  group("Problems", issues, 0, true);
  say(`${shown.output ? "Something is missing" : "Not converted"}: ${count(issues.length, "problem")}.`);
}

async function report(text, isFhir, signal) {
  const told = await (await ask("page/report", text, isFhir ? FHIR : JSON_TYPE, signal)).json();
  shown.report = told;
  by("save-report").hidden = false;
  const { total, mapped } = told.leaves;
  const loud = told.issues.filter(({ severity }) => severity !== "information" && severity !== "success");
  const quiet = told.issues.filter((issue) => !loud.includes(issue) && issue.disposition !== "generated");
  const left = quiet.filter(({ disposition }) => ["kept", "refused"].includes(disposition));
  const made = sum(told.issues.filter(({ disposition }) => disposition === "generated"));
  const wrong = told.r4.filter(({ severity }) => severity === "error").length;
  const verdict = told.r4.length
    ? `${count(wrong, "error")}, ${count(told.r4.length - wrong, "warning")}` : "keeps to its rules";
  fact("FHIR R4 (4.0.1)", verdict, wrong ? "bad" : "good");
  if (isFhir) {
    fact("Values", `${mapped} of ${total} mapped`);
    fact("Made by an adapter", `${made}: frame, narrative`);
    fact("Left as they are", `${total - mapped - made}`);
  } else {
    const entries = panes[1].document.kid(0, "entry");
    fact("Values of the case", `${mapped} of ${total} written`, mapped === total ? "good" : "bad");
    fact("Entries", `${panes[1].document.lines[entries]?.kids?.length ?? 0}`);
  }
  fact("The way back", `gives ${told.reversible ? "the same" : "another"} ${isFhir ? "document" : "case"}`,
    told.reversible ? "good" : "bad");
  group("Problems", loud, 0, true);
  group("Not mapped, left as it is", left, 0, true);
  group("Notes", quiet.filter((issue) => !left.includes(issue)), 0, false);
  group("Against FHIR R4", told.r4, isFhir ? 0 : 1, wrong > 0);
  say(`${shown.name}: converted, ${loud.length ? count(loud.length, "problem") : "no problems"}.`);
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

// The SVG as a part of the page. Its styles are set one by one: the policy of the page allows none in attributes.
function picture(text) {
  const plain = text.replace(/<style\b.*?<\/style>/gs, "").replaceAll(' style="', ' data-style="');
  const svg = document.importNode(new DOMParser().parseFromString(plain, "image/svg+xml").documentElement, true);
  for (const drawn of svg.querySelectorAll("[data-style]")) {
    drawn.style.cssText = drawn.dataset.style;
    delete drawn.dataset.style;
  }
  svg.removeAttribute("width");
  svg.removeAttribute("height");
  return svg;
}

async function relate(text, signal) {
  const pairs = await (await ask("page/links", text, FHIR, signal)).json();
  const [side, other] = [caseSide(), 1 - caseSide()];
  for (const [inCase, inFhir] of pairs) {
    const [a, b] = [panes[side].document.find(inCase), panes[other].document.find(inFhir)];
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
  if (how === "hover" && held) return;
  if (how === "leave" && held) return;
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
  if (how === "hover" && line === pane.pointed) return;
  pane.pointed = line;
  pane.mark(line < 0 || !found.length ? [] : [line], false);
  pane.tell(line < 0 ? "" : pane.document.path(line));
  other.mark(found, true);
  light(line < 0 ? -1 : side === caseSide() ? line : found[0] ?? -1);
}

// The item of a line of the case, in the timeline.
function light(line) {
  const { lines } = panes[caseSide()].document;
  let key = "";
  for (let at = line; at >= 0 && !key; at = lines[at].parent) key = panes[caseSide()].document.string(at, "key");
  for (const lit of by("timeline").querySelectorAll(".lit")) lit.classList.remove("lit");
  by("timeline").querySelector(`#item-${CSS.escape(key)}`)?.classList.add("lit");
}

// A mark in the timeline is pointed at or clicked: its item in the case.
function pictured({ target, type }) {
  const mark = target.closest('[id^="item-"]');
  const pane = panes[caseSide()];
  if (!mark || (type === "pointermove" && held)) return;
  const key = JSON.stringify(mark.id.slice("item-".length));
  const { lines } = pane.document;
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
  const { lines } = panes[side].document;
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
  by("curl").textContent = curl();
  by("save-report").hidden = !shown.report;
  for (const pane of panes) if (!pane.root.hidden) pane.show(pane.root.querySelector("h3").textContent, pane.document);
  by("verdict").focus({ preventScroll: true });
  by("status").scrollIntoView({ block: "start" });
}

function say(text) {
  by("status").textContent = text;
}

function fact(name, value, kind = "") {
  const box = element("div", "", "");
  box.append(element("dt", "", name), element("dd", kind, value));
  by("facts").append(box);
}

function group(title, issues, side, open) {
  if (!issues.length) return;
  const box = element("details", "group", "");
  box.open = open;
  box.append(element("summary", "", `${title} (${issues.length})`));
  const list = box.appendChild(element("ul", "", ""));
  list.append(...issues.slice(0, MOST_SHOWN).map((issue) => item(issue, side)));
  if (issues.length > MOST_SHOWN) {
    list.append(element("li", "", `${issues.length - MOST_SHOWN} more: download the report.`));
  }
  by("issues").append(box);
  by("issues").hidden = false;
  for (const issue of issues) flag(issue, panes[side]);
}

function item({ severity, message, expected, remedy, path, pointer, code }, side) {
  const made = element("li", severity, "");
  made.append(element("strong", "", `${severity}: `), message ?? "");
  if (expected) made.append(` Expected: ${expected}.`);
  if (remedy) made.append(element("span", "remedy", ` ${remedy}`));
  const line = /\bline (\d+)/.exec(message ?? "")?.[1];
  if (pointer || (line && panes[side].document.isText)) {
    const button = element("button", "place", pointer ? pointer : `line ${line}`);
    button.title = path || "";
    button.addEventListener("click", () => {
      const { document: doc, view } = panes[side];
      view.focus({ preventScroll: true });
      panes[side].activate(doc.isText ? Math.min(line - 1, doc.lines.length - 1) : doc.find(pointer));
      panes[side].root.scrollIntoView({ block: "nearest" });
    });
    made.append(" ", button);
  }
  if (code) {
    const more = element("a", "code", code);
    more.href = `errors#${code}`;
    made.append(" ", more);
  }
  return made;
}

function flag({ severity, message, pointer }, pane) {
  const line = pane.document.isText ? /\bline (\d+)/.exec(message)?.[1] - 1 : pointer && pane.document.find(pointer);
  if (line >= 0 && severity !== "information") pane.flags.set(line, severity === "warning" ? "warned" : "wrong");
  pane.draw();
}

function curl() {
  const [path, type, file, result] = shown.isFhir
    ? ["$to-case", FHIR, "bundle.json", "case.json"] : ["$to-fhir", JSON_TYPE, "case.json", "bundle.json"];
  const credentials = apiKey ? `  -H "Authorization: Bearer $FHIR_ADAPTER_KEY" \\\n` : "";
  const url = new URL(`fhir/${path}`, location.href);
  return `curl -sS -H 'Content-Type: ${type}' \\\n${credentials}  --data-binary @${file} \\\n  '${url}' -o ${result}`;
}

const sum = (issues) => issues.reduce((all, { leaves }) => all + leaves, 0);
const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

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

async function opened(file) {
  if (file) await convert(await file.text(), file.name);
}

by("examples").addEventListener("click", async ({ target }) => {
  if (!target.dataset.example) return;
  const response = await fetch(`page/example/${target.dataset.example}`).catch(() => null);
  if (response?.ok) await convert(await response.text(), target.textContent);
  else say("The endpoint does not answer.");
});
by("convert").addEventListener("click", () => {
  const text = by("text").value;
  if (text.trim()) convert(text, "Your document");
  else say("Paste a document first, or pick an example.");
});
by("open").addEventListener("click", () => by("file").click());
by("file").addEventListener("change", async ({ target }) => {
  await opened(target.files[0]);
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
  opened(event.dataTransfer.files[0]);
});
panes.forEach((pane, side) => {
  const name = () => (shown.isFhir === (side === 0) ? "bundle.json" : "case.json");
  pane.root.addEventListener("click", ({ target }) => {
    if (target.dataset.act === "copy") copy(String(pane.document), target);
    if (target.dataset.act === "save") save(String(pane.document), name());
  });
});
for (const type of ["pointermove", "click"]) by("timeline").addEventListener(type, pictured);
by("copy-curl").addEventListener("click", ({ target }) => copy(by("curl").textContent, target));
by("save-report").addEventListener("click", () => save(JSON.stringify(shown.report, null, 2), "report.json"));
