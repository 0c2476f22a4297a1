// The consumer form and the checks: results appear one by one, and what was typed into secret fields outlives an error.

// --- Checks, streamed -------------------------------------------------------------------------------------------
// A button or form with data-stream="ID" is sent by fetch; the answer is lines of {"id", "html"}, each in place of the
// element with this id. The HTML is the console's own, escaped by its templates.

let running = null;

function put(id, html) {
  const old = document.getElementById(id);
  if (!old) return;
  const box = document.createElement("template");
  box.innerHTML = html;
  const fresh = box.content.firstElementChild;
  old.replaceWith(fresh);
  window.htmx?.process(fresh);
}

async function readLines(response, onLine) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.filter(Boolean).forEach(onLine);
  }
  if (rest) onLine(rest);
}

function toast(text, level = "error") {
  document.dispatchEvent(new CustomEvent("toast", { detail: { text, level } }));
}

async function run(form, button, place) {
  running?.abort();
  const mine = (running = new AbortController());
  const action = button?.getAttribute("formaction") || form.getAttribute("action");
  button?.classList.add("htmx-request");
  try {
    const response = await fetch(action, { method: "POST", body: new FormData(form), headers: { "X-Stream": "1" }, signal: mine.signal });
    if (response.status === 422) return showForm(form, await response.text());
    if (!response.ok || response.redirected) throw new Error(String(response.status));
    let isFirst = true;
    await readLines(response, (line) => {
      const { id, html } = JSON.parse(line);
      put(id, html);
      if (isFirst) document.getElementById(place)?.scrollIntoView({ block: "nearest", behavior: "smooth" });
      isFirst = false;
    });
    document.getElementById(place)?.scrollIntoView({ block: "nearest", behavior: "smooth" });
  } catch (error) {
    if (error.name !== "AbortError") toast(error.message === "403" ? "You may not do this." : "The console could not run the checks. Try again.");
  } finally {
    button?.classList.remove("htmx-request");
    document.querySelectorAll(`#${CSS.escape(place)} [data-stream] button[disabled]`).forEach((each) => (each.disabled = false));
    if (running === mine) running = null;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-stream]");
  if (!button?.form) return;
  event.preventDefault(); // before htmx sees a submit
  run(button.form, button, button.dataset.stream);
});
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-stream]");
  if (!form) return;
  event.preventDefault();
  run(form, event.submitter, form.dataset.stream);
});

// --- Secrets typed stay where they were typed ----------------------------------------------------------------------
// The console never sends a secret back, so a form that returns with errors would come back without them.

function typed(box) {
  return new Map([...box.querySelectorAll("[data-keep]")].map((field) => [field.name, field.value]).filter(([, value]) => value));
}

function restore(box, kept) {
  for (const [name, value] of kept) {
    const field = box.querySelector(`[data-keep][name="${CSS.escape(name)}"]`);
    if (field && !field.value) field.value = value;
  }
}

function showForm(form, html) {
  const box = form.closest("[data-keep-box]");
  const kept = typed(box);
  const { id } = box;
  put(id, html);
  const fresh = document.getElementById(id);
  restore(fresh, kept);
  fresh.querySelector(".is-invalid, .field-error, [role=alert]")?.scrollIntoView({ block: "center" });
}

let kept = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  const box = event.detail.target.closest?.("[data-keep-box]");
  kept = box && event.detail.target === box ? typed(box) : null;
});
document.addEventListener("htmx:afterSettle", () => {
  const box = document.querySelector("[data-keep-box]");
  if (box && kept) restore(box, kept);
  kept = null;
});
