"use strict";
// The list of flows. Only the rows in sight are elements, so that length costs nothing.
(() => {
  const { el, wire, icon, bytes, duration, time, flowLink, unseen } = cosInspect.dom;
  const OVERSCAN = 12;

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
    ["client", "Client", (row) => row.client || ""],
  ];

  const line = (row, index) =>
    el(
      "tr",
      { class: `row ${row.healed ? "healed" : row.verdict}`, "aria-rowindex": index + 2, "data-index": index, onclick: (event) => {
        if (!event.target.closest("a") && !String(getSelection())) event.currentTarget.querySelector("a").click();
      } },
      el("td", { class: "n" }, flowLink(row.n)),
      el("td", { class: "verdict" }, icon(row.verdict), unseen(row.verdict)),
      el("td", { class: "time" }, time(row.at)),
      el("td", { class: "op" }, wire(row.op)),
      el("td", { class: "status" }, row.status === undefined ? "none" : String(row.status)),
      el("td", { class: "key", title: row.title ? `${row.title}\n${row.why}` : row.key || row.bucket || "" },
        wire(row.key ?? row.bucket ?? row.host, "name"),
        row.rules.length ? el("span", { class: "why" }, row.healed ? "healed: " : "", row.rules.join(", ")) : null),
      el("td", { class: "size" }, bytes(Math.max(row.sent || 0, row.received || 0))),
      el("td", { class: "ms" }, duration(row.ms)),
      el("td", { class: "client" }, row.client ? wire(row.client) : "unknown"),
    );

  // {element, show(rows), focus(number), destroy()}
  const create = () => {
    let rows = [];
    let order = { name: "n", down: false };
    let drawn = [-1, -1];
    const head = el("tr", { "aria-rowindex": 1 });
    const body = el("tbody");
    const grid = el("table", { class: "flows", "aria-label": "Flows" }, el("thead", null, head), body);
    const empty = el("p", { class: "empty" }, "No flow is like that.");
    const element = el("div", { class: "list" }, grid, empty);

    const rowHeight = () => parseFloat(getComputedStyle(grid).getPropertyValue("--row")) || 36;
    const spacer = (height) => {
      const cell = el("td", { colspan: COLUMNS.length });
      cell.style.height = `${height}px`;
      return el("tr", { class: "spacer", "aria-hidden": "true" }, cell);
    };

    const draw = (force) => {
      const height = rowHeight();
      const top = body.getBoundingClientRect().top;
      // The list may lie wholly below or above what is in sight.
      const within = (index) => Math.max(0, Math.min(rows.length, index));
      const first = within(Math.floor(-top / height) - OVERSCAN);
      const last = within(Math.ceil((innerHeight - top) / height) + OVERSCAN);
      if (!force && first === drawn[0] && last === drawn[1]) return;
      const focused = body.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.index : null;
      drawn = [first, last];
      const lines = rows.slice(first, last).map((row, i) => line(row, first + i));
      const before = first ? [spacer(first * height)] : [];
      const after = last < rows.length ? [spacer((rows.length - last) * height)] : [];
      body.replaceChildren(...before, ...lines, ...after);
      if (focused !== null && focused !== undefined) {
        body.querySelector(`tr[data-index="${focused}"] a`)?.focus({ preventScroll: true });
      }
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
    return {
      element,
      show(wanted) {
        rows = [...wanted];
        if (order.name !== "n" || order.down) sort();
        grid.setAttribute("aria-rowcount", rows.length + 1);
        empty.hidden = rows.length > 0;
        grid.hidden = rows.length === 0;
        draw(true);
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
      },
    };
  };

  cosInspect.list = { create };
})();
