// Short notes at the edge of the page; screen readers say them.

import { byId, h } from "./dom.js";

const SHOWN_MS = 5000;
const LONGER_MS = 12000;
const AT_ONCE = 3;

/** `action` is `{ text, run }`: a button in the note. */
export function notice(text, { kind = "news", action = null } = {}) {
  const note = h("div", { class: "notice", "data-kind": kind }, h("span", {}, text));
  const remove = () => note.remove();
  if (action) note.append(h("button", { type: "button", onclick: () => { remove(); action.run(); } }, action.text));
  const place = byId("notices");
  place.append(note);
  while (place.children.length > AT_ONCE) place.firstElementChild.remove();
  setTimeout(remove, action || kind === "trouble" ? LONGER_MS : SHOWN_MS);
}

export const trouble = (text) => notice(text, { kind: "trouble" });

/** Takes notes of a kind away, once what they tell was seen. */
export function dismiss(kind) {
  for (const note of byId("notices").querySelectorAll(`[data-kind="${kind}"]`)) note.remove();
}
