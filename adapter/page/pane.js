// One document on the screen. Only the lines in sight are elements, so that a large Bundle stays quick.

import { element } from "./shown.js";

const LONGEST = 400; // characters of a line that are shown
const SPARE = 20; // lines above and below those in sight

export class Pane {
  // `chosen(pane, line, how)` is called when a line is pointed at, moved to or held: how is hover, hold, go or leave.
  constructor(root, chosen) {
    this.root = root;
    this.chosen = chosen;
    this.view = root.querySelector(".view");
    this.crumb = root.querySelector(".crumb");
    this.marks = new Set();
    this.space = this.view.appendChild(document.createElement("div"));
    this.space.role = "presentation";
    this.rows = this.space.appendChild(document.createElement("div"));
    this.rows.className = "rows";
    this.rows.role = "presentation";
    this.view.addEventListener("scroll", () => this.later());
    new ResizeObserver(() => this.later()).observe(this.view);
    this.view.addEventListener("pointermove", (event) => this.pointed(event, "hover"));
    this.view.addEventListener("click", (event) => this.pointed(event, "hold"));
    this.view.addEventListener("pointerleave", () => this.chosen(this, -1, "leave"));
    this.view.addEventListener("keydown", (event) => this.pressed(event));
    this.view.addEventListener("focus", () => this.json && this.active < 0 && this.activate(0));
    const find = root.querySelector("input[type=search]");
    find.addEventListener("keydown", (event) => event.key === "Enter" && this.search(find, event.shiftKey ? -1 : 1));
  }

  show(title, doc) {
    this.root.querySelector("h3").textContent = title;
    this.json = doc;
    this.active = -1;
    this.marks.clear();
    this.flags = new Map();
    this.rows.replaceChildren();
    this.view.scrollTop = this.view.scrollLeft = 0;
    this.root.hidden = false;
    this.tell("");
    this.measure();
    this.draw();
  }

  // Lines that something is said about: line -> "wrong" or "warned".
  flag(found) {
    for (const [line, kind] of found) this.flags.set(line, kind);
    this.paint();
  }

  measure() {
    const probe = this.rows.appendChild(this.row(0));
    this.height = probe.getBoundingClientRect().height || 20;
    probe.remove();
    this.space.style.height = `${this.height * this.json.lines.length}px`;
  }

  later() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      if (this.json) this.draw();
    });
  }

  // Make the lines in sight; what is there already stays, or a pointer would lose what it is on.
  draw() {
    const { lines } = this.json;
    const first = Math.max(0, Math.floor(this.view.scrollTop / this.height) - SPARE);
    const last = Math.min(lines.length, first + Math.ceil(this.view.clientHeight / this.height) + 2 * SPARE);
    const made = [];
    const there = new Map([...this.rows.children].map((row) => [Number(row.dataset.line), row]));
    for (let i = first; i < last; i++) made.push(there.get(i) ?? this.row(i));
    if (made.length !== there.size || made.some((row) => !row.isConnected)) this.rows.replaceChildren(...made);
    this.rows.style.transform = `translateY(${first * this.height}px)`;
    this.paint();
  }

  // Show which of the lines in sight are lit, held or flagged.
  paint() {
    this.view.removeAttribute("aria-activedescendant");
    for (const row of this.rows.children) {
      const i = Number(row.dataset.line);
      const active = i === this.active;
      row.className = `row ${this.flags.get(i) ?? ""}`;
      row.classList.toggle("mark", this.marks.has(i));
      row.classList.toggle("active", active);
      if (row.role) row.ariaSelected = active;
      if (active) this.view.setAttribute("aria-activedescendant", row.id);
    }
  }

  row(i) {
    const { lines, isText } = this.json;
    const line = lines[i];
    const { name, text } = this.json.shown(i);
    const row = element("div", "row", "");
    row.dataset.line = i;
    row.style.paddingInlineStart = `${line.depth * 1.5 + 1}ch`;
    if (line.closes) row.ariaHidden = "true";
    else {
      const kids = lines[line.parent]?.kids ?? [];
      row.role = "treeitem";
      row.id = `${this.root.id}-${i}`;
      row.ariaLevel = line.depth + 1;
      row.ariaSetSize = isText ? lines.length : Math.max(1, kids.length);
      row.ariaPosInSet = typeof line.step === "number" ? line.step + 1 : Math.max(0, kids.indexOf(i)) + 1;
    }
    if (isText) row.append(element("span", "number", `${i + 1}`));
    if (name) row.append(element("span", "name", name));
    row.append(element("span", "value", text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text || " "));
    return row;
  }

  pointed(event, how) {
    const row = event.target.closest(".row");
    if (!row || !this.json) return;
    const line = this.json.open(Number(row.dataset.line));
    if (how === "hold") this.activate(line);
    else this.chosen(this, line, how);
  }

  pressed(event) {
    if (!this.json || event.ctrlKey || event.metaKey || event.altKey) return;
    const { lines } = this.json;
    const page = Math.max(1, Math.floor(this.view.clientHeight / this.height) - 1);
    const line = lines[Math.max(0, this.active)];
    const to = {
      ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page, PageUp: this.active - page,
      Home: 0, End: lines.length - 1, ArrowLeft: line.parent, ArrowRight: line.kids?.[0] ?? this.active,
    }[event.key];
    if (event.key === "Enter") this.chosen(this, this.active, "go");
    else if (event.key === "Escape") this.chosen(this, -1, "hold");
    else if (to === undefined) return;
    else this.activate(this.opened(Math.min(lines.length - 1, Math.max(0, to)), to < this.active ? -1 : 1));
    event.preventDefault();
  }

  // The next line that is not a closing bracket.
  opened(line, way) {
    const { lines } = this.json;
    while (lines[line].closes && lines[line + way]) line += way;
    return this.json.open(line);
  }

  // Make a line the one that keys act on, and hold it.
  activate(line) {
    this.active = line;
    this.reveal(line, "nearest");
    this.draw();
    this.chosen(this, line, "hold");
  }

  // Light up these lines, and all that is in them, and bring the first into sight.
  mark(found, reveal) {
    this.marks.clear();
    for (const line of found) {
      for (let i = line; i <= this.json.lines[line].end; i++) this.marks.add(i);
    }
    if (reveal && found.length) this.reveal(found[0], "centre");
    this.tell(found.length ? this.json.path(found[0]) + (found.length > 1 ? ` and ${found.length - 1} more` : "") : "");
    this.draw();
  }

  tell(text) {
    this.crumb.textContent = text;
  }

  reveal(line, where) {
    const top = line * this.height;
    const { scrollTop, clientHeight } = this.view;
    if (top >= scrollTop + this.height && top + 2 * this.height <= scrollTop + clientHeight) return;
    const centre = where === "centre" || Math.abs(top - scrollTop) > 2 * clientHeight;
    if (centre) this.view.scrollTop = top - clientHeight / 3;
    else this.view.scrollTop = top < scrollTop + this.height ? top - this.height : top + 2 * this.height - clientHeight;
  }

  search(input, way) {
    const { lines } = this.json;
    const wanted = input.value.toLowerCase();
    const holds = (i) => Object.values(this.json.shown(i)).join("").toLowerCase().includes(wanted);
    for (let step = 1; wanted && step <= lines.length; step++) {
      const i = (Math.max(0, this.active) + way * step + lines.length * 2) % lines.length;
      if (!lines[i].closes && holds(i)) {
        input.setCustomValidity("");
        return this.activate(i);
      }
    }
    input.setCustomValidity(wanted ? "It is not in this document." : "");
    input.reportValidity();
  }
}
