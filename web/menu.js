// A small menu above the button that opened it. The browser closes it on Escape and on a click elsewhere.

import { h } from "./dom.js";
import { icon } from "./icons.js";

const DISTANCE = 8;
const EDGE = 12;

/** `groups`: `[{ title, items: [{ text, detail, icon, checked, run }] }]`; `checked` makes an item one of a choice. */
export function openMenu(button, groups, name) {
  const menu = h("div", { class: "menu", popover: "auto", role: "menu", "aria-label": name }, groups.flatMap((group) => groupElements(group, () => menu.hidePopover())));
  menu.addEventListener("keydown", (event) => move(menu, event));
  menu.addEventListener("toggle", (event) => {
    button.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "closed") menu.remove();
  });
  document.body.append(menu);
  menu.showPopover();
  place(menu, button.getBoundingClientRect());
  (menu.querySelector("[aria-checked=true]") ?? menu.querySelector("button"))?.focus();
}

function groupElements(group, close) {
  const items = group.items.map((item) =>
    h("button", {
      type: "button", role: item.checked === undefined ? "menuitem" : "menuitemradio",
      "aria-checked": item.checked === undefined ? null : String(item.checked),
      onclick: () => { close(); item.run(); },
    }, item.icon && icon(item.icon), h("span", {}, item.text, item.detail && h("small", {}, item.detail))));
  return [group.title && h("h3", {}, group.title), ...items].filter(Boolean);
}

function place(menu, anchor) {
  const { offsetWidth: width, offsetHeight: height } = menu;
  const left = Math.min(Math.max(EDGE, anchor.left + anchor.width / 2 - width / 2), innerWidth - width - EDGE);
  menu.style.setProperty("left", `${left}px`);
  menu.style.setProperty("top", `${Math.max(EDGE, anchor.top - height - DISTANCE)}px`);
}

function move(menu, event) {
  const items = [...menu.querySelectorAll("button")];
  const here = items.indexOf(document.activeElement);
  const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: items.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  items[(to + items.length) % items.length].focus();
}
