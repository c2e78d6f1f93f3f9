"use strict";
// Puts a newer page in the place of the one that is read: what is equal stays the same
// element, and the reader's place and keyboard focus stay where they were.
(() => {
  const main = document.getElementById("main");
  const nameOf = (element) => element.getAttribute("aria-labelledby") || element.getAttribute("aria-label") || element.id || `${element.tagName}.${element.className}`;

  // Children of `page` are kept where `newer` has an equal one, or where it holds `list`.
  const merge = (page, newer, list) => {
    const old = new Map();
    for (const child of page.children) {
      const name = nameOf(child);
      old.set(name, [...(old.get(name) || []), child]);
    }
    const wanted = [...newer.children].map((child) => {
      const before = old.get(nameOf(child))?.shift();
      return before && (before.contains(list) || before.isEqualNode(child)) ? before : child;
    });
    place(page, wanted);
  };
  // Makes `nodes` the children; those that stay are not touched, which would take their focus.
  const place = (parent, nodes) => {
    const kept = new Set(nodes);
    for (const child of [...parent.childNodes]) if (!kept.has(child)) child.remove();
    let at = parent.firstChild;
    for (const node of nodes) {
      if (node === at) at = at.nextSibling;
      else parent.insertBefore(node, at);
    }
  };

  const labelOf = (element) => `${element.tagName} ${element.getAttribute("href") || ""} ${element.id || element.getAttribute("data-sort") || element.textContent}`;
  const focusIn = (page) => {
    const focused = document.activeElement;
    if (!focused || !page.contains(focused)) return () => {};
    const label = labelOf(focused);
    return () => {
      if (document.activeElement === focused || (document.activeElement && document.activeElement !== document.body)) return;
      [...main.querySelectorAll("a, button, [tabindex]")].find((one) => labelOf(one) === label)?.focus({ preventScroll: true });
    };
  };
  // The first part that is in sight below the top bar, and how far below it begins.
  const placeIn = (page, list) => {
    if (scrollY < 4) return () => {};
    const top = document.querySelector(".top").offsetHeight;
    const parts = [...page.children].flatMap((part) => (part.contains(list) ? [part] : [part, ...part.querySelectorAll("article, li, tr")]));
    const part = parts.find((one) => one.getBoundingClientRect().bottom > top);
    if (!part) return () => {};
    const before = part.getBoundingClientRect().top;
    const name = nameOf(part);
    const text = part.textContent;
    return () => {
      const now = part.isConnected ? part
        : [...main.querySelectorAll(part.tagName)].find((one) => nameOf(one) === name && one.textContent === text)
          || [...main.querySelectorAll(part.tagName)].find((one) => nameOf(one) === name);
      const moved = now ? now.getBoundingClientRect().top - before : 0;
      if (Math.abs(moved) >= 1) scrollBy(0, moved);
    };
  };

  // `list` is the page's list of flows, null where it has none, and `rows` what it shows now.
  const renew = (newer, list, rows) => {
    const page = main.firstElementChild;
    const backToRow = list?.keep();
    const backToPart = backToRow ? null : placeIn(page, list?.element);
    const backToFocus = focusIn(page);
    merge(page, newer, list?.element);
    list?.show(rows);
    backToRow?.();
    backToPart?.();
    backToFocus();
  };

  cosInspect.renewal = { renew, place };
})();
