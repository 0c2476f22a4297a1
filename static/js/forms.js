// Helps in forms: a file dropped on a field, the list picker, and no second press of a button at work.

const MAX_FILE_BYTES = 64 * 1024; // credentials and certificates are a few kB

// --- Files read into a field -----------------------------------------------------------------------------------

async function fill(zone, file) {
  const field = zone.querySelector("textarea, input:not([type=file])");
  if (!field || !file) return;
  if (file.size > MAX_FILE_BYTES) {
    document.dispatchEvent(new CustomEvent("toast", { detail: { text: `${file.name} is too large for this field.`, level: "warning" } }));
    return;
  }
  field.value = await file.text();
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new Event("change", { bubbles: true }));
  field.focus();
  document.dispatchEvent(new CustomEvent("toast", { detail: { text: `Read ${file.name}.`, level: "success" } }));
}

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-drop-file]")) return;
  fill(event.target.closest("[data-drop-zone]"), event.target.files[0]);
  event.target.value = ""; // so that the same file can be chosen again; it is never uploaded
});

for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    const zone = event.target.closest?.("[data-drop-zone]");
    if (!zone || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    zone.classList.toggle("is-over", name === "dragover");
    if (name === "drop") fill(zone, event.dataTransfer.files[0]);
  });
}

// --- Picker: search, select all shown, count --------------------------------------------------------------------

// What stands in a closed "show all" is not shown.
const shown = (picker) =>
  [...picker.querySelectorAll("[data-picker-option]:not([hidden]) input")].filter((box) => !box.disabled && !box.closest("details:not([open])"));

function search(picker, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const option of picker.querySelectorAll("[data-picker-option]")) {
    const content = option.textContent.toLowerCase();
    option.hidden = !words.every((word) => content.includes(word));
  }
  for (const group of picker.querySelectorAll("[data-picker-group]")) {
    group.hidden = !group.querySelector("[data-picker-option]:not([hidden])");
  }
  // A search reaches the seldom needed ones too; an empty one puts them away again.
  const rest = picker.querySelector("[data-picker-rest]");
  if (rest) {
    rest.open = words.length > 0 || rest.querySelector(":checked") !== null;
    rest.hidden = rest.querySelector("[data-picker-option]:not([hidden])") === null;
  }
  picker.querySelector("[data-picker-nothing]").hidden = picker.querySelector("[data-picker-option]:not([hidden])") !== null;
}

function count(picker) {
  const boxes = [...picker.querySelectorAll("[data-picker-option] input")];
  const picked = boxes.filter((box) => box.checked).length;
  picker.querySelector("[data-picker-count]").textContent = `${picked} of ${boxes.length} picked`;
  // What is asked only when something picked before is taken away.
  const question = picker.closest("form")?.querySelector("[data-when-unpicked]");
  if (question) question.hidden = !boxes.some((box) => box.defaultChecked && !box.checked);
}

function tick(picker, on) {
  // "Clear" reaches all of them: nothing stays picked out of sight.
  const boxes = on ? shown(picker) : [...picker.querySelectorAll("[data-picker-option] input")];
  for (const box of boxes) {
    if (box.checked === on) continue;
    box.checked = on;
    box.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-picker-search]")) search(event.target.closest("[data-picker]"), event.target.value);
});
document.addEventListener("keydown", (event) => {
  // Enter in the search must not send the form around it.
  if (event.key === "Enter" && event.target.matches?.("[data-picker-search]")) event.preventDefault();
});
document.addEventListener("change", (event) => {
  const picker = event.target.closest?.("[data-picker]");
  if (picker) count(picker);
});
document.addEventListener("click", (event) => {
  const picker = event.target.closest("[data-picker]");
  if (picker && event.target.closest("[data-picker-all]")) tick(picker, true);
  if (picker && event.target.closest("[data-picker-none]")) tick(picker, false);
});

const countAll = (root) => root.querySelectorAll("[data-picker]").forEach(count);
countAll(document);
document.addEventListener("htmx:load", (event) => countAll(event.target.parentElement ?? event.target));

// --- Fields that belong to some choices: data-only-with="host=my_domain", "paging=offset|keyset" --------------------------------------------

function showFitting(root) {
  for (const field of root.querySelectorAll("[data-only-with]")) {
    const [name, value] = field.dataset.onlyWith.split("=");
    const box = field.closest(".form-field");
    const chosen = field.form?.querySelector(`[name="${CSS.escape(name)}"]:checked, select[name="${CSS.escape(name)}"]`);
    if (box && chosen) box.hidden = !value.split("|").includes(chosen.value) && !field.classList.contains("is-invalid");
  }
}

showFitting(document);
document.addEventListener("change", (event) => event.target.form && showFitting(event.target.form));
document.addEventListener("htmx:load", (event) => showFitting(event.target.parentElement ?? event.target));

// --- One press is enough ---------------------------------------------------------------------------------------

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.defaultPrevented || !button || event.target.method === "dialog" || button.hasAttribute("data-again")) return;
  setTimeout(() => (button.disabled = true)); // after the browser has taken the button's own value
  setTimeout(() => (button.disabled = false), 8000);
});
window.addEventListener("pageshow", (event) => {
  // Back from the browser's own page cache: buttons work again.
  if (event.persisted) document.querySelectorAll("button[disabled][type=submit]").forEach((button) => (button.disabled = false));
});
