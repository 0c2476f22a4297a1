// Sets light or dark before the first paint, so that a page never flashes. Runs in the head, before the styles.
(() => {
  const KEY = "console-theme";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function choice() {
    try {
      const kept = localStorage.getItem(KEY);
      return kept === "light" || kept === "dark" ? kept : "auto";
    } catch {
      return "auto"; // storage is switched off
    }
  }

  function apply() {
    const now = choice();
    const theme = now === "auto" ? (dark.matches ? "dark" : "light") : now;
    document.documentElement.setAttribute("data-bs-theme", theme);
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === now));
    }
    document.dispatchEvent(new CustomEvent("theme-changed"));
  }

  apply();
  dark.addEventListener("change", apply);
  window.addEventListener("storage", (event) => event.key === KEY && apply()); // chosen in another tab
  document.addEventListener("DOMContentLoaded", apply);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    try {
      localStorage.setItem(KEY, button.dataset.themeChoice);
    } catch {
      // not kept: it holds for this page only
    }
    apply();
  });
})();
