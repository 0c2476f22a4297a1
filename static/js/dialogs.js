// Dialogs are native <dialog> elements: they keep the focus inside and give it back when they close.

// --- Open and close --------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog-open]");
  if (opener) document.getElementById(opener.dataset.dialogOpen)?.showModal();
  if (event.target.closest("[data-dialog-close]")) event.target.closest("dialog")?.close();
});

// A press on the backdrop reaches the dialog element itself; one that began inside (marking text) does not close it.
let pressedOn = null;
document.addEventListener("pointerdown", (event) => (pressedOn = event.target));
document.addEventListener("click", (event) => {
  if (event.target instanceof HTMLDialogElement && pressedOn === event.target) event.target.close();
});

// A fragment may bring an open dialog: `{% dialog ... open=True %}` into #dialog-slot.
function showNew(root) {
  const found = [...root.querySelectorAll("dialog[data-open]")];
  if (root.matches?.("dialog[data-open]")) found.push(root);
  for (const dialog of found) {
    dialog.removeAttribute("data-open");
    if (!dialog.open) dialog.showModal();
  }
}

showNew(document.body);
document.addEventListener("htmx:load", (event) => showNew(event.target));

// `HX-Trigger: {"close-dialog": true}`: the work is done.
document.addEventListener("close-dialog", () => {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
});

// --- Ask first -------------------------------------------------------------------------------------------------

const box = document.getElementById("confirm");

/** Resolves to whether the person said yes. The element's data attributes hold the words. */
function ask(question, element) {
  const { confirmText = "", confirmButton = element.textContent.trim() || "Continue", confirmLevel } = element.dataset;
  const yes = document.getElementById("confirm-yes");
  document.getElementById("confirm-question").textContent = question;
  document.getElementById("confirm-text").textContent = confirmText;
  yes.textContent = confirmButton;
  yes.classList.toggle("btn-danger", confirmLevel === "danger");
  yes.classList.toggle("btn-primary", confirmLevel !== "danger");
  box.returnValue = "no";
  box.showModal();
  return new Promise((resolve) => {
    box.addEventListener("close", () => resolve(box.returnValue === "yes"), { once: true });
  });
}

document.addEventListener("htmx:confirm", async (event) => {
  if (!box || !event.detail.question) return;
  event.preventDefault();
  if (await ask(event.detail.question, event.detail.elt)) event.detail.issueRequest(true);
});

// A plain form: <form data-confirm="Delete this token?">. Without JavaScript it posts at once.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!box || !form.dataset.confirm || form.dataset.confirmed) return;
  event.preventDefault();
  if (!(await ask(form.dataset.confirm, form.dataset.confirmButton ? form : (event.submitter ?? form)))) return;
  form.dataset.confirmed = "yes";
  form.requestSubmit(event.submitter);
  delete form.dataset.confirmed;
});
