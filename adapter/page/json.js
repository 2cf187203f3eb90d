// A JSON text as lines. Numbers and strings stay as they were written: 1.80 is not 1.8.

const TOKEN = /\s*([{}[\],:]|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;
const CLOSE = { "{": "}", "[": "]" };

// A line: depth; text (the value, an opening bracket, or a closing one); parent (the line that holds it, or that a
// closing bracket closes); step (member name or index in it); end (its last line); kids (lines, of a container).
export class JsonText {
  constructor(lines, isText = false) {
    Object.assign(this, { lines, isText });
  }

  // JSON; else NDJSON, which is read as one Bundle; else plain text.
  static read(text) {
    const entries = text.split("\n").filter((line) => line.trim()).map((line) => `{"resource":${line}}`);
    for (const json of [text, `{"resourceType":"Bundle","type":"collection","entry":[${entries}]}`]) {
      try {
        return JsonText.of(json);
      } catch {
        continue;
      }
    }
    return JsonText.ofText(text);
  }

  // What is no JSON is shown as it is.
  static ofText(text) {
    const lines = text.split("\n").map((line, i) => ({ depth: 0, text: line, parent: -1, step: i, end: i }));
    return new JsonText(lines, true);
  }

  // Throws SyntaxError for what is no JSON; whether it is good JSON is for the endpoint to say.
  static of(text) {
    const lines = [];
    let at = text.startsWith("\ufeff") ? 1 : 0;
    const next = () => {
      TOKEN.lastIndex = at;
      const found = TOKEN.exec(text);
      if (!found) throw new SyntaxError("not JSON");
      at = TOKEN.lastIndex;
      return found[1];
    };
    const value = (token, depth, parent, step) => {
      const here = lines.length;
      const line = { depth, text: token, parent, step, end: here, comma: false };
      lines.push(line);
      const close = CLOSE[token];
      if (!close) {
        if (",:]}".includes(token)) throw new SyntaxError("not JSON");
        return line;
      }
      line.kids = [];
      for (let word = next(); word !== close; ) {
        let name = line.kids.length;
        if (token === "{") {
          name = JSON.parse(word);
          if (next() !== ":") throw new SyntaxError("not JSON");
          word = next();
        }
        line.kids.push(lines.length);
        const kid = value(word, depth + 1, here, name);
        word = next();
        if (word === ",") {
          lines[kid.end].comma = true;
          word = next();
        } else if (word !== close) throw new SyntaxError("not JSON");
      }
      if (line.kids.length) {
        line.end = lines.length;
        lines.push({ depth, text: close, parent: here, closes: true, end: lines.length, comma: false });
      } else line.text += close;
      return line;
    };
    value(next(), 0, -1, "");
    if (text.slice(at).trim()) throw new SyntaxError("not JSON");
    return new JsonText(lines);
  }

  // The line itself, or the one that a closing bracket belongs to.
  open(line) {
    return this.lines[line].closes ? this.lines[line].parent : line;
  }

  // The lines from the root to this one, without the root.
  trail(line) {
    const found = [];
    for (let at = this.open(line); this.lines[at].parent >= 0; at = this.lines[at].parent) found.unshift(at);
    return found;
  }

  kid(line, step) {
    const { kids, text } = this.lines[line];
    if (!kids) return undefined;
    return text[0] === "[" ? kids[step] : kids.find((kid) => this.lines[kid].step === step);
  }

  // The line at a JSON pointer, or of the nearest part of it that is there.
  find(pointer) {
    let at = 0;
    for (const step of pointer.split("/").slice(1)) {
      const kid = this.kid(at, step.replaceAll("~1", "/").replaceAll("~0", "~"));
      if (kid === undefined) break;
      at = kid;
    }
    return at;
  }

  // Where a line is, in words: therapies[2].doses[0], or entry[41] MedicationAdministration.dosage.dose.
  path(line) {
    let path = "";
    for (const at of this.trail(line)) {
      const { step } = this.lines[at];
      path += typeof step === "number" ? `[${step}]` : `${path && "."}${step}`;
      const type = this.string(at, "resourceType");
      if (type) path = `${path.replace(/\.resource$/, "")} ${type}`;
    }
    return path;
  }

  // A member of an object that is a string, or "".
  string(line, step) {
    const text = this.lines[this.kid(line, step)]?.text ?? "";
    return text[0] === '"' ? JSON.parse(text) : "";
  }

  shown(line) {
    const { text, step, parent, closes, comma } = this.lines[line];
    const name = !closes && !this.isText && typeof step === "string" && parent >= 0 ? `${JSON.stringify(step)}: ` : "";
    return { name, text: text + (comma ? "," : "") };
  }

  toString() {
    const pretty = (line, i) => "  ".repeat(line.depth) + Object.values(this.shown(i)).join("");
    return this.isText ? this.lines.map((line) => line.text).join("\n") : `${this.lines.map(pretty).join("\n")}\n`;
  }
}
