// Elements without strings of markup: what people call themselves is never parsed as HTML.

import { icon } from "./icons.js";

/** An element. `on...` are listeners, `style` holds custom properties, the rest are attributes; null and false leave one out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
  else element.setAttribute(name, value === true ? "" : value);
}

export const byId = (id) => document.getElementById(id);

/** Fills every `data-icon` of the page as it was loaded. */
export function paintIcons(root = document) {
  for (const place of root.querySelectorAll("[data-icon]")) place.replaceChildren(icon(place.dataset.icon));
}

/** What a button shows and says. `hint` is its keyboard shortcut. */
export function label(button, { icon: name, text, hint = "", pressed = null }) {
  button.setAttribute("aria-label", text);
  button.title = hint ? `${text} (${hint})` : text;
  if (hint) button.setAttribute("aria-keyshortcuts", hint);
  if (pressed !== null) button.setAttribute("aria-pressed", String(pressed));
  if (name) button.replaceChildren(icon(name));
}

/** Shows a sentence in a place that is hidden while there is none. */
export function tell(place, sentence) {
  place.textContent = sentence ?? "";
  place.hidden = !sentence;
}
