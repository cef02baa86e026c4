// Single-letter shortcuts, silent while something is typed or a dialog is open.

import { byId, h } from "./dom.js";

const TYPING = "input:not([type=range]), textarea, select, [contenteditable]";

/** `shortcuts`: `[{ key, text, run, isActive }]`. */
export function listenToKeys(shortcuts) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.key !== "Escape" && event.target.closest?.(TYPING)) return;
    if (document.querySelector("dialog[open], [popover]:popover-open")) return;
    const found = shortcuts.find((one) => one.key === event.key.toUpperCase() && one.isActive());
    if (!found) return;
    event.preventDefault();
    found.run();
  });
}

export function showHelp(shortcuts) {
  byId("help-list").replaceChildren(...shortcuts.flatMap((one) => [h("dt", {}, h("kbd", {}, one.shown ?? one.key)), h("dd", {}, one.text)]));
  byId("help").showModal();
}
