// One document on the screen. Only the lines in sight are elements, so that a large Bundle stays quick.

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
    this.view.addEventListener("focus", () => this.document && this.active < 0 && this.activate(0));
    const find = root.querySelector("input[type=search]");
    find.addEventListener("keydown", (event) => event.key === "Enter" && this.search(find, event.shiftKey ? -1 : 1));
  }

  show(title, doc) {
    this.root.querySelector("h3").textContent = title;
    this.document = doc;
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

  measure() {
    const probe = this.rows.appendChild(this.row(0));
    this.height = probe.getBoundingClientRect().height || 20;
    probe.remove();
    this.space.style.height = `${this.height * this.document.lines.length}px`;
  }

  later() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      if (this.document) this.draw();
    });
  }

  draw() {
    const { lines } = this.document;
    const first = Math.max(0, Math.floor(this.view.scrollTop / this.height) - SPARE);
    const count = Math.ceil(this.view.clientHeight / this.height) + 2 * SPARE;
    const made = [];
    for (let i = first; i < Math.min(lines.length, first + count); i++) made.push(this.row(i));
    this.rows.style.transform = `translateY(${first * this.height}px)`;
    this.rows.replaceChildren(...made);
    const active = this.active >= first && this.active < first + count;
    if (active) this.view.setAttribute("aria-activedescendant", `${this.root.id}-${this.active}`);
    else this.view.removeAttribute("aria-activedescendant");
  }

  row(i) {
    const line = this.document.lines[i];
    const { name, text } = this.document.shown(i);
    const row = document.createElement("div");
    row.className = "row";
    row.dataset.line = i;
    row.style.paddingInlineStart = `${line.depth * 1.5 + 1}ch`;
    if (line.closes) row.setAttribute("aria-hidden", "true");
    else {
      row.role = "treeitem";
      row.id = `${this.root.id}-${i}`;
      const around = line.parent < 0 ? undefined : this.document.lines[line.parent].kids;
      row.setAttribute("aria-level", line.depth + 1);
      row.setAttribute("aria-setsize", around?.length ?? (this.document.isText ? this.document.lines.length : 1));
      row.setAttribute("aria-posinset", (around ? around.indexOf(i) : this.document.isText ? i : 0) + 1);
      row.setAttribute("aria-selected", i === this.active);
    }
    row.classList.toggle("active", i === this.active);
    row.classList.toggle("mark", this.marks.has(i));
    if (this.flags.has(i)) row.classList.add(this.flags.get(i));
    if (this.document.isText) row.append(element("span", "number", `${i + 1}`));
    if (name) row.append(element("span", "name", name));
    row.append(element("span", "value", text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text || " "));
    return row;
  }

  pointed(event, how) {
    const row = event.target.closest(".row");
    if (!row || !this.document) return;
    const line = this.document.open(Number(row.dataset.line));
    if (how === "hold") this.activate(line);
    else this.chosen(this, line, how);
  }

  pressed(event) {
    if (!this.document || event.ctrlKey || event.metaKey || event.altKey) return;
    const { lines } = this.document;
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
    const { lines } = this.document;
    while (lines[line].closes && lines[line + way]) line += way;
    return this.document.open(line);
  }

  // Make a line the one that keys act on, and hold it.
  activate(line) {
    this.active = line;
    this.reveal(line, "nearest");
    this.chosen(this, line, "hold");
    this.draw();
  }

  // Light up these lines, and all that is in them, and bring the first into sight.
  mark(found, reveal) {
    this.marks.clear();
    for (const line of found) {
      for (let i = line; i <= this.document.lines[line].end; i++) this.marks.add(i);
    }
    if (reveal && found.length) this.reveal(found[0], "centre");
    this.tell(found.length ? this.document.path(found[0]) + (found.length > 1 ? ` and ${found.length - 1} more` : "") : "");
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
    const { lines } = this.document;
    const wanted = input.value.toLowerCase();
    const holds = (i) => Object.values(this.document.shown(i)).join("").toLowerCase().includes(wanted);
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

export function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
