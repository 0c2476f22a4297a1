// JSON as it stands: read without changing a number, and laid out in lines that know what changed. No DOM in here.

const MOST_LINES = 5000;

/** A node per value: {kind: "object"|"array"|"text", entries, text}. Texts keep every digit. Throws on what is no JSON. */
export function parse(text) {
  let at = 0;
  const token = /\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:])/y;
  const next = () => {
    token.lastIndex = at;
    const found = token.exec(text);
    if (!found) throw new SyntaxError("no JSON");
    at = token.lastIndex;
    return found[1];
  };
  const peek = () => {
    const before = at;
    const found = next();
    at = before;
    return found;
  };
  const expect = (mark) => {
    if (next() !== mark) throw new SyntaxError("no JSON");
  };
  const list = (end, item) => {
    const entries = [];
    if (peek() === end) {
      next();
      return entries;
    }
    for (;;) {
      entries.push(item());
      const mark = next();
      if (mark === end) return entries;
      if (mark !== ",") throw new SyntaxError("no JSON");
    }
  };
  const value = (depth) => {
    if (depth > 200) throw new SyntaxError("too deep");
    const first = next();
    if (first === "{") {
      const entries = list("}", () => {
        const key = next();
        if (key[0] !== '"') throw new SyntaxError("no JSON");
        expect(":");
        return [key, value(depth + 1)];
      });
      return { kind: "object", entries };
    }
    if (first === "[") return { kind: "array", entries: list("]", () => [null, value(depth + 1)]) };
    if ("}],:".includes(first)) throw new SyntaxError("no JSON");
    return { kind: "text", text: first };
  };
  const root = value(0);
  if (text.slice(at).trim()) throw new SyntaxError("no JSON");
  return root;
}

/** The value at a top-level key, or null. */
export function at(node, key) {
  if (node?.kind !== "object") return null;
  return node.entries.find(([name]) => name === JSON.stringify(key))?.[1] ?? null;
}

/** The node on one line, as compact JSON. */
export function compact(node) {
  if (node.kind === "text") return node.text;
  const inner = node.entries.map(([key, value]) => (key ? `${key}:${compact(value)}` : compact(value))).join(",");
  return node.kind === "object" ? `{${inner}}` : `[${inner}]`;
}

const kindOf = (text) => (text[0] === '"' ? "string" : /[-\d]/.test(text[0]) ? "number" : "word");
const short = (text, most = 80) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/**
 * Lines to show: {indent, parts: [[kind, text]], change: ""|"added"|"changed"|"removed", was}.
 * Everything under `before` (a node, or null to compare nothing) is compared by key; lists as a whole.
 */
export function lines(node, before) {
  const out = [];
  const push = (indent, parts, change = "", was = "") => out.length < MOST_LINES && out.push({ indent, parts, change, was });
  const show = (value, old, indent, key, comma, inherited, compares) => {
    const head = key ? [["key", key], ["plain", ": "]] : [];
    const tail = comma ? [["plain", ","]] : [];
    let change = inherited;
    let was = "";
    if (compares && !inherited) {
      if (!old) change = "added";
      else if (value.kind !== old.kind || value.kind !== "object") {
        if (compact(value) !== compact(old)) [change, was] = ["changed", short(compact(old))];
      }
    }
    if (value.kind === "text") return push(indent, [...head, [kindOf(value.text), value.text], ...tail], change, was);
    const [open, close] = value.kind === "object" ? "{}" : "[]";
    const gone = compares && !change && old?.kind === "object" ? old.entries.filter(([name]) => !value.entries.some(([own]) => own === name)) : [];
    if (!value.entries.length && !gone.length) return push(indent, [...head, ["plain", open + close], ...tail], change, was);
    push(indent, [...head, ["plain", open]], change, was);
    const deeper = compares && !change && value.kind === "object";
    value.entries.forEach(([name, inner], index) => {
      const oldInner = deeper ? old?.entries.find(([own]) => own === name)?.[1] ?? null : null;
      show(inner, oldInner, indent + 1, name, index < value.entries.length - 1, change, deeper);
    });
    for (const [name, inner] of gone) push(indent + 1, [["key", name], ["plain", ": "], ["plain", short(compact(inner))]], "removed");
    push(indent, [["plain", close], ...tail], change);
  };
  show(node, before, 0, null, false, "", before !== null);
  return out;
}
