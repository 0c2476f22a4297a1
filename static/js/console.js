// What every page has: htmx's manners, relative times, toasts, copy buttons. Works by delegation, so fragments need no set-up.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

// --- htmx ------------------------------------------------------------------------------------------------------

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = meta("csrf-token");
});

document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  if (isBackground(event)) return;
  const text =
    { 403: "You may not do this. Ask an admin for the right to.", 404: "This is gone: somebody else may have deleted it." }[status] ??
    (status === 429 ? "Too many tries. Wait a minute, then try again." : "The console could not do this. Try again; its log says why.");
  toast(text, "error");
});

for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, (event) => {
    if (!isBackground(event)) toast("The console did not answer. Check that it runs, then try again.", "error");
  });
}

// A fragment that reloads by itself fails quietly: the "reconnecting" mark tells of it.
function isBackground(event) {
  const cause = event.detail.requestConfig?.triggeringEvent?.type;
  return !["click", "submit", "change", "input", "keyup"].includes(cause);
}

// --- Toasts ----------------------------------------------------------------------------------------------------

const TOAST_MS = 6000;
const LEVELS = ["success", "info", "warning", "error"];

// `HX-Trigger: {"toast": {"text": "Sync paused", "level": "success"}}` arrives as an event named "toast".
document.addEventListener("toast", (event) => {
  const { text, level, value } = event.detail ?? {};
  toast(text ?? value, level);
});

function toast(text, level = "success") {
  if (!text) return;
  const kind = LEVELS.includes(level) ? level : "info";
  const box = document.getElementById("toast-template").content.firstElementChild.cloneNode(true);
  for (const icon of box.querySelectorAll(".toast-icon")) icon.hidden = icon.dataset.level !== kind;
  box.querySelector(".toast-text").textContent = text;
  document.getElementById(kind === "error" ? "toasts-urgent" : "toasts").append(box);
  if (kind === "error") return; // stays until closed
  let timer = setTimeout(() => box.remove(), TOAST_MS);
  box.addEventListener("mouseenter", () => clearTimeout(timer));
  box.addEventListener("mouseleave", () => (timer = setTimeout(() => box.remove(), TOAST_MS)));
}

document.addEventListener("click", (event) => {
  event.target.closest("[data-close]")?.closest("[data-closable]")?.remove();
});

// --- Relative times --------------------------------------------------------------------------------------------

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
// How far this machine's clock is from the server's, whose times the page shows.
const skewMs = (() => {
  const server = Number(meta("server-time")) * 1000;
  const skew = server - Date.now();
  return server && Math.abs(skew) > 5000 ? skew : 0;
})();

// The same words as relative_words in console_tags.py.
function relativeWords(moment, now) {
  const aheadS = (moment - now) / 1000;
  const distanceS = Math.abs(aheadS);
  if (distanceS < 5) return "just now";
  if (distanceS >= 7 * 86400) {
    const day = new Date(moment);
    return `${day.getUTCDate()} ${MONTHS[day.getUTCMonth()]} ${day.getUTCFullYear()}`;
  }
  const [unit, size] = UNITS.find(([, sizeS]) => distanceS >= sizeS);
  const count = Math.floor(distanceS / size);
  const words = `${count} ${unit}${count === 1 ? "" : "s"}`;
  return aheadS > 0 ? `in ${words}` : `${words} ago`;
}

function updateTimes(root = document) {
  const now = Date.now() + skewMs;
  for (const element of root.querySelectorAll("time[data-relative]")) {
    const words = relativeWords(Date.parse(element.dateTime), now);
    if (element.textContent !== words) element.textContent = words;
  }
}

updateTimes();
setInterval(() => document.hidden || updateTimes(), 5000);
document.addEventListener("visibilitychange", () => document.hidden || updateTimes());
document.addEventListener("htmx:load", (event) => updateTimes(event.target));

// --- Copy buttons ----------------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-button]");
  if (!button) return;
  const source = button.closest("[data-copy]").querySelector("pre, input, textarea");
  const text = source.value ?? source.textContent.replace(/\n$/, "");
  const done = await copy(text, source);
  const word = button.querySelector("[data-copy-word]");
  button.classList.toggle("is-done", done);
  word.textContent = done ? "Copied" : "Press Ctrl+C";
  if (done) announce("Copied");
  setTimeout(() => {
    button.classList.remove("is-done");
    word.textContent = "Copy";
  }, 2000);
});

// The clipboard needs https or localhost; elsewhere the text is selected, ready for the keyboard.
async function copy(text, source) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy");
  }
}

function announce(text) {
  const region = document.createElement("p");
  region.className = "visually-hidden";
  region.textContent = text;
  document.getElementById("toasts").append(region);
  setTimeout(() => region.remove(), 2000);
}
