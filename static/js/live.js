// The live viewer: messages of a stream as they arrive, newest on top. All of a message is a stranger's text: it goes in by
// textContent alone. The server sends at most ten frames a second and a sample of what is too quick; see consumers/live.py.

import { at, compact, lines, parse } from "./json-lines.js";

const MOST_ROWS = 500;
const MOST_KNOWN = 2000; // documents remembered to compare the next version with
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15000;
const SPEAK_EVERY_MS = 6000;
const TYPING_MS = 350;
const PREVIEW_LENGTH = 240;
const CLOSED_FOR_GOOD = {
  4401: "You were signed out. Reload the page to go on.",
  4403: "You may not watch this any more.",
  4404: "This consumer is gone.",
};
const STATES = { connecting: "Connecting…", live: "Live", log: "Our log, not the stream", trouble: "Not reading", paused: "Paused", lost: "Reconnecting…", ended: "Ended" };
const OPERATIONS = { create: ["New", "green"], update: ["Changed", "blue"], delete: ["Deleted", "red"] };

const root = document.getElementById("live");
const by = (id) => document.getElementById(id);
const list = by("live-list");
const details = by("live-details");
const filter = by("live-filter");
const wide = matchMedia("(min-width: 1100px)");

const titles = new Map([...filter.querySelectorAll("[name=collection] option")].filter(({ value }) => value).map(({ value, textContent }) => [value, textContent]));
const messages = new Map(); // row element -> message
const known = new Map(); // subject -> document as last seen
let socket = null;
let failures = 0;
let source = "connecting";
let paused = false;
let chosen = null;
let opened = null;
let lastSeq = 0;
let counts = { seen: 0, shown: 0, rate: 0, waiting: 0 };
let fresh = 0;
let rowNo = 0;

// --- The line to the server -------------------------------------------------------------------------------------

function wish(after = 0) {
  const form = new FormData(filter);
  return { last: Number(form.get("last")), sync: form.get("sync") || "", collection: form.get("collection") || "", text: (form.get("text") || "").trim(), after };
}

const say = (word) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(word));

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}${root.dataset.socket}`);
  socket.addEventListener("open", () => {
    failures = 0;
    say({ watch: wish(lastSeq) });
    if (paused) say({ pause: true });
  });
  socket.addEventListener("message", (event) => hear(JSON.parse(event.data)));
  socket.addEventListener("close", (event) => {
    if (CLOSED_FOR_GOOD[event.code]) {
      setState("ended");
      notice({ message: CLOSED_FOR_GOOD[event.code], next_step: "", blocks: [] });
      return;
    }
    failures += 1;
    setState("lost");
    setTimeout(connect, Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1)) * (0.5 + Math.random() / 2));
  });
}

function hear(frame) {
  if (frame.state) {
    source = frame.state;
    setState(source);
    notice(source === "live" || source === "connecting" ? null : frame);
  }
  if (!frame.rows) return;
  counts = frame;
  if (frame.rows.length) add(frame.rows);
  showCounts();
}

// --- State and counts ---------------------------------------------------------------------------------------------

function setState(state) {
  const shown = paused && (state === "live" || state === "log") ? "paused" : state;
  by("live-state").dataset.state = shown;
  by("live-state-word").textContent = STATES[shown] ?? shown;
}

const number = (value) => Math.round(value).toLocaleString("en");

function showCounts() {
  const { seen, shown, rate, waiting } = counts;
  const parts = [];
  if (paused && waiting) parts.push(`${number(waiting)} ${waiting === 1 ? "waits" : "wait"}`);
  else if (rate >= 1.5 && shown < seen) parts.push(`showing ${Math.min(30, Math.round(rate))} of ${number(rate)} a second`);
  else if (rate >= 0.5) parts.push(`${number(rate)} a second`);
  parts.push(`${number(seen)} seen`);
  if (shown < seen && !paused) parts.push(`${number(seen - shown)} not shown`);
  by("live-counts").textContent = parts.join(" · ");
  by("live-pause-word").textContent = paused ? (waiting ? `Resume (${number(waiting)})` : "Resume") : "Pause";
}

// Spoken now and then, not for every message.
setInterval(() => {
  if (!fresh || paused || document.hidden) return;
  by("live-spoken").textContent = `${number(fresh)} new ${fresh === 1 ? "message" : "messages"}, ${number(counts.rate)} a second.`;
  fresh = 0;
}, SPEAK_EVERY_MS);

function notice(frame) {
  by("live-notice").hidden = !frame?.message;
  if (!frame?.message) return;
  by("live-notice-what").textContent = frame.message;
  by("live-notice-next").textContent = frame.next_step;
  by("live-notice-blocks").replaceChildren(
    ...(frame.blocks ?? []).map(({ label, text }) => {
      const block = by("live-block").content.firstElementChild.cloneNode(true);
      block.querySelector(".copy-label").textContent = label;
      block.querySelector("pre").textContent = text;
      return block;
    }),
  );
}

// --- Rows -------------------------------------------------------------------------------------------------------

function add(rows) {
  const before = list.scrollTop > 4 ? list.scrollHeight : 0;
  const box = document.createDocumentFragment();
  for (const message of rows) {
    if (source === "live") lastSeq = Math.max(lastSeq, message.seq);
    read(message);
    box.prepend(rowOf(message));
  }
  fresh += rows.length;
  list.prepend(box);
  while (list.childElementCount > MOST_ROWS) {
    messages.delete(list.lastElementChild);
    list.lastElementChild.remove();
  }
  if (before) list.scrollTop += list.scrollHeight - before; // what is being read stays where it is
  by("live-empty").hidden = true;
  if (chosen && !chosen.isConnected) choose(null);
}

// The document inside, and what it was before: from the console's history, else the version seen here last.
function read(message) {
  try {
    message.node = parse(message.json);
  } catch {
    message.node = null;
  }
  const data = message.node && at(message.node, "data");
  message.document = data ?? message.node;
  const remembered = known.get(message.subject);
  message.before = message.previous ?? remembered?.text ?? null;
  message.beforeIsOurs = message.previous != null;
  if (message.document && !message.cut) {
    known.delete(message.subject);
    known.set(message.subject, { text: compact(message.document) });
    if (known.size > MOST_KNOWN) known.delete(known.keys().next().value);
  }
}

function rowOf(message) {
  const row = by("live-row").content.firstElementChild.cloneNode(true);
  const [time, what, collection, id, preview] = row.children;
  row.id = `live-row-${(rowNo += 1)}`;
  row.setAttribute("aria-selected", "false");
  const moment = new Date(message.at);
  time.textContent = moment.toLocaleTimeString("en-GB", { hour12: false });
  time.title = moment.toISOString();
  badge(what.firstElementChild, message);
  collection.textContent = titles.get(message.collection) ?? (message.collection || "–");
  collection.title = message.collection;
  id.textContent = message.id;
  preview.textContent = previewOf(message).slice(0, PREVIEW_LENGTH);
  messages.set(row, message);
  return row;
}

// One line: what changed where that is known, else what tells most about the record.
function previewOf(message) {
  const { document: now } = message;
  if (now?.kind !== "object") return now ? compact(now) : message.json;
  const before = message.operation === "update" ? beforeOf(message) : null;
  const changes = before ? changedKeys(now, before).filter(({ key }) => !CLOCKS.test(key)) : [];
  if (changes.length) return changes.map(({ key, old, fresh: value }) => `${key}: ${plain(old)} → ${plain(value)}`).join(", ");
  const telling = now.entries
    .map(([key, value]) => ({ key: JSON.parse(key), text: plain(value), isText: value.kind === "text" }))
    .filter(({ key, text, isText }) => isText && text && !DULL.test(text) && text !== message.id && !CLOCKS.test(key));
  telling.sort((one, other) => Number(NAMES.test(other.key)) - Number(NAMES.test(one.key)));
  return telling.length ? telling.map(({ key, text }) => `${key}: ${text}`).join(", ") : compact(now);
}

const CLOCKS = /(date|modstamp|_at|_on|timestamp|modified|byid|version(__c)?)$/i; // they change with everything
const DULL = /^(–|true|false|0|(?=\w*\d)[0-9a-zA-Z]{15,18})$/;
const NAMES = /^(name|title|subject|email|summary|description|amount|status|stagename)$/i;

function plain(node) {
  if (!node || node.text === "null") return "–";
  const text = compact(node);
  if (text[0] !== '"') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function beforeOf(message) {
  if (message.before == null) return null;
  try {
    return parse(message.before);
  } catch {
    return null;
  }
}

function changedKeys(now, before) {
  if (now?.kind !== "object" || before?.kind !== "object") return [];
  const old = new Map(before.entries);
  const found = now.entries.filter(([key, value]) => !old.has(key) || compact(old.get(key)) !== compact(value));
  const gone = before.entries.filter(([key]) => !now.entries.some(([own]) => own === key));
  return [...found.map(([key, value]) => ({ key: JSON.parse(key), old: old.get(key), fresh: value })), ...gone.map(([key, value]) => ({ key: JSON.parse(key), old: value, fresh: null }))];
}

function badge(element, message) {
  const [word, colour] = message.foreign === "outside" ? ["From outside", "yellow"] : OPERATIONS[message.operation] ?? ["Message", "secondary"];
  element.textContent = message.foreign === "other" ? `${word}, other consumer` : word;
  element.className = `badge status-${colour}`;
}

// --- Choosing and details -----------------------------------------------------------------------------------------

function choose(row, show = false) {
  chosen?.setAttribute("aria-selected", "false");
  chosen = row;
  if (!row) return list.removeAttribute("aria-activedescendant");
  row.setAttribute("aria-selected", "true");
  list.setAttribute("aria-activedescendant", row.id);
  row.scrollIntoView({ block: "nearest" });
  if (show || !details.hidden) open(messages.get(row));
}

function open(message) {
  if (!message) return;
  if (message !== opened) details.scrollTop = 0;
  opened = message;
  details.hidden = false;
  root.classList.add("has-details");
  by("live-details-title").textContent = message.id;
  const where = [message.sync, message.collection].filter(Boolean).join(", ");
  const size = message.size >= 1000 ? `${(message.size / 1000).toFixed(1)} kB` : `${message.size} B`;
  by("live-details-note").textContent = [where, `${source === "log" ? "place in our log" : "stream sequence"} ${message.seq.toLocaleString("en")}`, size].filter(Boolean).join(" · ");
  by("live-subject").textContent = message.subject;
  const link = by("live-record");
  link.hidden = !message.url;
  if (message.url) link.href = message.url;
  showDocument(message);
  if (!wide.matches) details.focus();
}

function showDocument(message) {
  const box = by("live-json");
  const words = by("live-changes");
  box.replaceChildren();
  if (!message.node) {
    box.textContent = message.json;
    words.textContent = message.cut ? "Too large to show whole: this is its beginning." : "This is not JSON, so it is shown as it is.";
    return;
  }
  const before = message.operation === "create" ? null : beforeOf(message);
  const found = at(message.node, "data") && before ? { kind: "object", entries: message.node.entries.map(([key, value]) => [key, key === '"data"' ? before : value]) } : before;
  const shown = lines(message.node, found);
  const box2 = document.createDocumentFragment();
  for (const line of shown) box2.append(lineOf(line));
  box.append(box2);
  const keys = before ? changedKeys(message.document, before).map(({ key }) => key) : [];
  const since = message.beforeIsOurs ? "since the version before" : "since the version this page saw last";
  if (!before) words.textContent = message.operation === "update" ? "No earlier version is known to compare with." : "";
  else if (!keys.length) words.textContent = "The document is the same as before.";
  else words.textContent = `Changed ${since}: ${keys.slice(0, 12).join(", ")}${keys.length > 12 ? " …" : ""}.`;
}

function lineOf({ indent, parts, change, was }) {
  const line = document.createElement("span");
  line.className = change ? `live-line live-${change}` : "live-line";
  line.append("  ".repeat(indent));
  for (const [kind, text] of parts) {
    const part = document.createElement("span");
    if (kind !== "plain") part.className = `json-${kind}`;
    part.textContent = text;
    line.append(part);
  }
  const note = { removed: "removed", added: "new", changed: was ? `was ${was}` : "" }[change];
  if (note) {
    const mark = document.createElement("span");
    mark.className = "live-was";
    mark.textContent = note;
    line.append(" ", mark);
  }
  return line;
}

function close() {
  details.hidden = true;
  root.classList.remove("has-details");
  opened = null;
  list.focus({ preventScroll: true });
}

// --- What a person does -----------------------------------------------------------------------------------------

list.addEventListener("click", (event) => {
  const row = event.target.closest(".live-row");
  if (row && !getSelection().toString()) choose(row, true);
});
list.addEventListener("keydown", (event) => {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const end = { Home: "firstElementChild", End: "lastElementChild" }[event.key];
  if (step) choose(chosen ? chosen[step] ?? chosen : list.firstElementChild);
  else if (end) choose(list[end]);
  else if (event.key === "Enter" && chosen) choose(chosen, true);
  else return;
  event.preventDefault();
});
root.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !details.hidden && !event.target.matches("input, select")) close();
});
by("live-close").addEventListener("click", close);

by("live-pause").addEventListener("click", () => {
  paused = !paused;
  by("live-pause").setAttribute("aria-pressed", String(paused));
  root.classList.toggle("is-paused", paused);
  say({ pause: paused });
  setState(source);
  showCounts();
});

by("live-clear").addEventListener("click", clear);

function clear() {
  list.replaceChildren();
  messages.clear();
  choose(null);
  by("live-empty").hidden = false;
}

function watchAgain() {
  lastSeq = 0;
  counts = { seen: 0, shown: 0, rate: 0, waiting: 0 };
  clear();
  say({ watch: wish() });
  const query = new URLSearchParams([...new FormData(filter)].filter(([, value]) => value));
  history.replaceState(null, "", `?${query}`);
}

let typing = null;
filter.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  watchAgain();
});
filter.addEventListener("change", (event) => event.target.matches("select") && watchAgain());
filter.addEventListener("input", (event) => {
  if (!event.target.matches("[type=search]")) return;
  clearTimeout(typing);
  typing = setTimeout(watchAgain, TYPING_MS);
});

details.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-what]");
  if (!button || !opened) return;
  const word = button.querySelector("span");
  const before = button.dataset.word ?? (button.dataset.word = word.textContent);
  word.textContent = (await copy(opened[button.dataset.copyWhat])) ? "Copied" : "Could not copy";
  setTimeout(() => (word.textContent = before), 1800);
});

// The clipboard needs https or localhost; elsewhere a hidden field and the old command do it.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    details.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

connect();
