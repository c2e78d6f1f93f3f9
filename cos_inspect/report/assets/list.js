"use strict";
// The list of flows. Only the rows in sight are elements, so that length costs nothing.
(() => {
  const { el, svg, wire, label, visible, icon, bytes, duration, time, flowLink, unseen } = cosInspect.dom;
  const OVERSCAN = 12;
  const MOST_PRINTED = 2000;

  const WORST = { error: 3, warning: 2, notice: 1, ok: 0 };
  const COLUMNS = [
    ["n", "#", (row) => row.n],
    ["verdict", "Verdict", (row) => WORST[row.verdict]],
    ["time", "Time", (row) => row.at ?? 0],
    ["op", "Operation", (row) => row.op],
    ["status", "Status", (row) => row.status ?? 999],
    ["key", "Key and finding", (row) => row.key || ""],
    ["size", "Size", (row) => Math.max(row.sent || 0, row.received || 0)],
    ["ms", "Took", (row) => row.ms || 0],
    ["fall", "Waterfall", (row) => row.at ?? 0],
    ["client", "Client", (row) => row.client || ""],
  ];

  // Where the flow lies between the first and the last one of the list.
  const bar = (row, span) => {
    if (row.at === null || !span) return null;
    const drawing = svg("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none", class: "fall-bar", "aria-hidden": "true" });
    const begin = ((row.at - span.from) / span.length) * 1000;
    const width = Math.max(8, ((row.ms || 0) / span.length) * 1000);
    drawing.append(svg("rect", { class: `bar ${row.healed ? "notice" : row.verdict}`, x: Math.min(begin, 1000 - Math.min(width, 1000)), y: 1, width: Math.min(width, 1000), height: 8 }));
    return drawing;
  };
  const spanOf = (rows) => {
    let from = Infinity;
    let to = -Infinity;
    for (const row of rows) {
      if (row.at === null) continue;
      from = Math.min(from, row.at);
      to = Math.max(to, row.at + (row.ms || 0));
    }
    return Number.isFinite(from) ? { from, length: Math.max(1, to - from) } : null;
  };

  // The rules that it broke; of one that is fine, what was verified.
  const saidOf = (row) => {
    const text = row.rules.length ? `${row.healed ? "healed: " : ""}${row.rules.join(", ")}` : row.verified;
    return text ? el("span", { class: "why" }, text) : null;
  };
  const titleOf = (row) =>
    [visible(row.key || row.bucket || ""), row.title && `${visible(row.title)}: ${visible(row.why || "")}`, row.verified].filter(Boolean).join("\n");

  const line = (row, index, span) =>
    el(
      "tr",
      { class: `row ${row.healed ? "healed" : row.verdict}`, "aria-rowindex": index + 2, "data-index": index, "data-number": row.n, onclick: (event) => {
        if (!event.target.closest("a") && !String(getSelection())) event.currentTarget.querySelector("a").click();
      } },
      el("td", { class: "n" }, flowLink(row.n)),
      el("td", { class: "verdict" }, icon(row.verdict), unseen(row.verdict)),
      el("td", { class: "time" }, time(row.at)),
      el("td", { class: "op" }, wire(row.op)),
      el("td", { class: "status" }, row.status === undefined ? "none" : String(row.status)),
      el("td", { class: "key", title: titleOf(row) },
        el("div", null, label(row.key ?? row.bucket ?? row.host, "name"), saidOf(row))),
      el("td", { class: "size" }, bytes(Math.max(row.sent || 0, row.received || 0))),
      el("td", { class: "ms" }, duration(row.ms)),
      el("td", { class: "fall" }, bar(row, span)),
      el("td", { class: "client" }, row.client ? wire(row.client) : "unknown"),
    );

  // {element, show(rows), keep(), redraw(), numbers(), focus(number), destroy()}
  const create = () => {
    let rows = [];
    let order = { name: "n", down: false };
    let drawn = [-1, -1];
    let lines = new Map();
    let span = null;
    let printing = false;
    const head = el("tr", { "aria-rowindex": 1 });
    const body = el("tbody");
    const grid = el("table", { class: "flows", "aria-label": "Flows" }, el("thead", null, head), body);
    const empty = el("p", { class: "empty" }, "No flow is like that.");
    const rest = el("p", { class: "rest" });
    const element = el("div", { class: "list" }, grid, rest, empty);

    const rowHeight = () => parseFloat(getComputedStyle(grid).getPropertyValue("--row")) || 36;
    const spacer = (height) => {
      // One column wide: a cell across columns that are not shown would make them anew.
      const cell = el("td");
      cell.style.height = `${height}px`;
      return el("tr", { class: "spacer", "aria-hidden": "true" }, cell);
    };

    const draw = (force) => {
      const height = rowHeight();
      const top = body.getBoundingClientRect().top;
      // The list may lie wholly below or above what is in sight.
      const within = (index) => Math.max(0, Math.min(rows.length, index));
      const first = printing ? 0 : within(Math.floor(-top / height) - OVERSCAN);
      const last = printing ? within(MOST_PRINTED) : within(Math.ceil((innerHeight - top) / height) + OVERSCAN);
      if (!force && first === drawn[0] && last === drawn[1]) return;
      const focused = body.contains(document.activeElement) ? document.activeElement : null;
      const number = focused && numberOf(focused);
      drawn = [first, last];
      // A row that stays as it was stays the same element, with its focus.
      const before = lines;
      lines = new Map();
      const shown = rows.slice(first, last).map((row, i) => {
        const kept = before.get(row.n);
        const known = kept && kept.row === row && kept.at === first + i ? kept : { row, at: first + i, span, element: line(row, first + i, span) };
        if (known.span !== span) {
          known.span = span;
          known.element.querySelector(".fall").replaceChildren(bar(row, span) || "");
        }
        lines.set(row.n, known);
        return known.element;
      });
      if (first) shown.unshift(spacer(first * height));
      if (last < rows.length && !printing) shown.push(spacer((rows.length - last) * height));
      rest.textContent = last < rows.length && printing ? `… and ${(rows.length - last).toLocaleString("en")} more; a filter has fewer` : "";
      cosInspect.renewal.place(body, shown);
      if (focused && document.activeElement !== focused) lines.get(number)?.element.querySelector("a").focus({ preventScroll: true });
    };
    const numberOf = (element) => {
      const number = Number(element.closest("tr")?.dataset.number);
      return Number.isNaN(number) ? null : number;
    };
    const print = (on) => {
      if (printing === on || !element.isConnected) return;
      printing = on;
      draw(true);
    };
    let waiting = false;
    const soon = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        draw(false);
      });
    };

    const sort = () => {
      const get = COLUMNS.find(([name]) => name === order.name)[2];
      const sign = order.down ? -1 : 1;
      rows.sort((a, b) => {
        const [left, right] = [get(a), get(b)];
        return (left < right ? -1 : left > right ? 1 : a.n - b.n) * sign;
      });
    };
    const drawHead = () => {
      head.replaceChildren(
        ...COLUMNS.map(([name, label]) => {
          const chosen = order.name === name;
          return el(
            "th",
            { scope: "col", class: name, "aria-sort": chosen ? (order.down ? "descending" : "ascending") : null },
            el("button", { type: "button", "data-sort": name, onclick: () => {
              order = { name, down: chosen ? !order.down : name === "verdict" || name === "size" || name === "ms" };
              sort();
              drawHead();
              head.querySelector(`[data-sort="${name}"]`).focus();
              draw(true);
            } }, label, chosen ? el("span", { "aria-hidden": "true" }, order.down ? " ↓" : " ↑") : null),
          );
        }),
      );
    };

    // The row that the reader looks at: the focused one, else the first in sight.
    const looked = () => {
      const sticky = document.querySelector(".top").offsetHeight + head.offsetHeight;
      const inSight = (one) => one.getBoundingClientRect().bottom > sticky && one.getBoundingClientRect().top < innerHeight;
      const focused = body.contains(document.activeElement) ? document.activeElement.closest("tr") : null;
      const found = focused && inSight(focused) ? focused : [...body.querySelectorAll("tr.row")].find(inSight);
      return found ? { number: numberOf(found), top: found.getBoundingClientRect().top } : null;
    };
    const goTo = (index) => {
      const height = rowHeight();
      const top = body.getBoundingClientRect().top + scrollY + index * height;
      const sticky = document.querySelector(".top").offsetHeight + head.offsetHeight;
      if (top < scrollY + sticky) scrollTo(0, top - sticky);
      else if (top + height > scrollY + innerHeight) scrollTo(0, top + height - innerHeight + 8);
      draw(true);
      body.querySelector(`tr[data-index="${index}"] a`)?.focus({ preventScroll: true });
    };
    body.addEventListener("keydown", (event) => {
      const index = Number(event.target.closest("tr")?.dataset.index);
      const page = Math.max(1, Math.floor(innerHeight / rowHeight()) - 4);
      const to = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + page, PageUp: index - page, Home: 0, End: rows.length - 1 }[event.key];
      if (to === undefined || Number.isNaN(index)) return;
      event.preventDefault();
      goTo(Math.max(0, Math.min(rows.length - 1, to)));
    });

    drawHead();
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    const begin = () => print(true);
    const end = () => print(false);
    addEventListener("beforeprint", begin);
    addEventListener("afterprint", end);
    return {
      element,
      show(wanted) {
        rows = [...wanted];
        const now = spanOf(rows);
        if (!now || !span || now.from !== span.from || now.length !== span.length) span = now;
        if (order.name !== "n" || order.down) sort();
        grid.setAttribute("aria-rowcount", rows.length + 1);
        empty.hidden = rows.length > 0;
        grid.hidden = rows.length === 0;
        draw(true);
      },
      // Called before the page changes; what it returns puts the reader back to the row that
      // was looked at. Null where no row was.
      keep() {
        const isFocused = body.contains(document.activeElement);
        const place = isFocused || body.getBoundingClientRect().top < 0 ? looked() : null;
        if (!place) return null;
        const focused = isFocused ? numberOf(document.activeElement) : null;
        return () => {
          const index = rows.findIndex((row) => row.n === place.number);
          const moved = index < 0 ? 0 : body.getBoundingClientRect().top + index * rowHeight() - place.top;
          if (Math.abs(moved) >= 1) {
            scrollBy(0, moved);
            draw(true);
          }
          if (focused !== null && !body.contains(document.activeElement)) lines.get(focused)?.element.querySelector("a").focus({ preventScroll: true });
        };
      },
      redraw: () => draw(true),
      numbers: () => rows.map((row) => row.n),
      focus(number) {
        const index = rows.findIndex((row) => row.n === number);
        if (index >= 0) goTo(index);
      },
      destroy() {
        removeEventListener("scroll", soon);
        removeEventListener("resize", soon);
        removeEventListener("beforeprint", begin);
        removeEventListener("afterprint", end);
      },
    };
  };

  cosInspect.list = { create };
})();
