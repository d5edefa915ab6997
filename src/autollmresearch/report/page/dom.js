// Elements from data, and a page that changes without losing what its reader does.
// Text that anybody wrote becomes text nodes or attribute values, never markup.
"use strict";

/** An element; `attributes` of null or false are left out, children of null too. */
function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

/** Which columns hold words, to be read from the left; the others hold numbers. */
function wordy({ headers, rows }) {
  return headers.map((_, i) => {
    const said = rows.map((row) => row[i]).filter((cell) => cell !== "" && cell !== "-");
    const long = said.some((cell) => cell.length > 30);
    return long || (said.length > 0 && said.every((cell) => /^[\p{L}{]/u.test(cell))) ? "words" : null;
  });
}

/** A table {title, headers, rows} that scrolls by itself where it is too wide. */
function table({ title, headers, rows }) {
  const kinds = wordy({ headers, rows });
  const cells = (row) => row.map((cell, i) => el(i ? "td" : "th", i ? { class: kinds[i] } : { scope: "row" }, cell));
  return el(
    "div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": title },
    el(
      "table",
      null,
      el("caption", null, title),
      el("thead", null, el("tr", null, headers.map((h, i) => el("th", { scope: "col", class: kinds[i] }, h)))),
      el("tbody", null, rows.map((row) => el("tr", null, cells(row)))),
    ),
  );
}

/** A labelled <select> whose choice is kept under `key`; options are [value, text]. */
function choice(label, key, options, chosen) {
  return el(
    "label",
    null,
    label,
    el(
      "select",
      { "data-key": key },
      options.map(([value, text]) => el("option", { value, selected: String(value) === String(chosen) }, text)),
    ),
  );
}

/** Make `old` what `fresh` is, in place: focus, scrolling and what was folded stay as they are. */
function patch(old, fresh) {
  if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  const folded = old.nodeName === "DETAILS";
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(folded && name === "open") && old.dataset.plot === undefined) {
      old.removeAttribute(name);
    }
  }
  for (const { name, value } of fresh.attributes) {
    const theirs = (folded && name === "open") || (old.dataset.plot !== undefined && name === "class");
    if (old.getAttribute(name) !== value && !theirs) old.setAttribute(name, value);
  }
  if (old.dataset.plot !== undefined) return; // plotly's own
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((child, i) => (i < before.length ? patch(before[i], child) : old.append(child)));
  before.slice(after.length).forEach((child) => child.remove());
  if (old.nodeName === "SELECT") {
    const chosen = [...old.options].findIndex((option) => option.hasAttribute("selected"));
    old.selectedIndex = Math.max(chosen, 0);
  }
  if (old.nodeName === "INPUT") old.checked = old.hasAttribute("checked");
}
