// What is put on the page: facts, issues, the picture.

const MOST_SHOWN = 100; // issues of one group

export const by = (id) => document.getElementById(id);
export const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

export function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

export function say(text) {
  by("status").textContent = text;
}

export function fact(name, value, kind = "") {
  const box = element("div", "", "");
  box.append(element("dt", "", name), element("dd", kind, value));
  by("facts").append(box);
}

export function group(title, issues, pane, open) {
  if (!issues.length) return;
  const box = element("details", "group", "");
  box.open = open;
  box.append(element("summary", "", `${title} (${issues.length})`));
  const list = box.appendChild(element("ul", "", ""));
  list.append(...issues.slice(0, MOST_SHOWN).map((issue) => item(issue, pane)));
  if (issues.length > MOST_SHOWN) {
    list.append(element("li", "", `${issues.length - MOST_SHOWN} more: download the report.`));
  }
  by("issues").append(box);
  by("issues").hidden = false;
  pane.flag(issues.map((issue) => flagged(issue, pane.json)).filter(([line]) => line >= 0));
}

function item({ severity, message, expected, remedy, path, pointer, code }, pane) {
  const made = element("li", severity, "");
  made.append(element("strong", "", `${severity}: `), message ?? "");
  if (expected) made.append(` Expected: ${expected}.`);
  if (remedy) made.append(element("span", "remedy", ` ${remedy}`));
  const line = /\bline (\d+)/.exec(message ?? "")?.[1];
  if (pointer || (line && pane.json.isText)) {
    const button = element("button", "place", pointer ? pointer : `line ${line}`);
    button.title = path || "";
    button.addEventListener("click", () => {
      const { json: doc, view } = pane;
      view.focus({ preventScroll: true });
      pane.activate(doc.isText ? Math.min(line - 1, doc.lines.length - 1) : doc.find(pointer));
      pane.root.scrollIntoView({ block: "nearest" });
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

// [line, kind] of what is not only for information; line -1 where there is none.
function flagged({ severity, message, pointer }, doc) {
  if (severity === "information" || (!pointer && !doc.isText)) return [-1, ""];
  const line = doc.isText ? Number(/\bline (\d+)/.exec(message)?.[1]) - 1 : doc.find(pointer);
  return [line, severity === "warning" ? "warned" : "wrong"];
}

// The SVG as a part of the page. Its styles are set one by one: the policy of the page allows none in attributes.
export function picture(text) {
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
