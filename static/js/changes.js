// One WebSocket says what changed; each topic becomes an event on the body, which fragments listen to:
// {"changed": ["sync-7"]} -> "sync-7" -> hx-trigger="sync-7 from:body". It carries names only, never content.
// "*" (anything may have changed) becomes "catch-up", as does a line that was down and is back.

const PER_TOPIC_MS = 1000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15000;
const SHOW_MARK_AFTER_MS = 2500;
const NOT_SIGNED_IN = 4401;
const NOT_ALLOWED = 4403;

const path = document.querySelector("script[data-socket]")?.dataset.socket;
const mark = document.getElementById("connection-mark");
const sentAt = new Map();
const waiting = new Map();
let failures = 0;
let markTimer = null;

// At most one event a second per topic: the first at once, the last never lost.
function announce(topic) {
  const restMs = (sentAt.get(topic) ?? 0) + PER_TOPIC_MS - Date.now();
  if (restMs <= 0) {
    sentAt.set(topic, Date.now());
    document.body.dispatchEvent(new CustomEvent(topic));
  } else if (!waiting.has(topic)) {
    waiting.set(topic, setTimeout(() => {
      waiting.delete(topic);
      announce(topic);
    }, restMs));
  }
}

function showMark(isDown) {
  if (!isDown) {
    clearTimeout(markTimer);
    markTimer = null;
    if (mark) mark.hidden = true;
  } else {
    markTimer ??= setTimeout(() => mark && (mark.hidden = false), SHOW_MARK_AFTER_MS);
  }
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}${path}`);
  socket.addEventListener("open", () => {
    showMark(false);
    // What changed while the line was down was not heard: everything that listens reloads once.
    if (failures) announce("catch-up");
    failures = 0;
  });
  socket.addEventListener("message", (event) => {
    const { changed = [] } = JSON.parse(event.data);
    for (const topic of changed) announce(topic === "*" ? "catch-up" : topic);
  });
  socket.addEventListener("close", (event) => {
    if (event.code === NOT_SIGNED_IN || event.code === NOT_ALLOWED) {
      const text = "You were signed out, or your role changed. Reload the page to go on.";
      document.dispatchEvent(new CustomEvent("toast", { detail: { text, level: "error" } }));
      return;
    }
    failures += 1;
    showMark(true);
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1));
    setTimeout(connect, waitMs * (0.5 + Math.random() / 2)); // jitter: tabs do not come back all at once
  });
}

// Only a signed-in page has the user menu; the sign-in page opens no socket.
if (path && document.querySelector(".user-menu")) connect();
window.addEventListener("beforeunload", () => clearTimeout(markTimer));
