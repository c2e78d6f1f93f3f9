"use strict";
// Addresses to pages: "" the overview, #filter=… the list, #000001 a flow,
// #transfers and #transfer=… the transfers, #compare=000001,000002 two flows.
(() => {
  const { el, count, say } = cosInspect.dom;
  const store = cosInspect.store;
  const main = document.getElementById("main");
  const box = document.getElementById("filter");
  const places = new Map();
  let list = cosInspect.list.create();
  let shown = null;
  let back = "#";
  let inOrder = [];
  let round = 0;

  const put = (page, title) => {
    main.replaceChildren(page);
    document.title = title ? `${title} · COS report` : "COS report";
    main.setAttribute("aria-busy", "false");
  };
  const mark = (hash) => {
    for (const link of document.querySelectorAll("#views a")) {
      const own = link.getAttribute("href");
      const current = own === "#" ? hash === "" : own === "#transfers" ? hash.startsWith("transfer") : own === "#setup" ? hash === "setup" : hash.startsWith("filter=");
      if (current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  const read = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };

  const showOverview = () => {
    box.value = "";
    back = "#";
    const rows = store.all();
    inOrder = null;
    list.show(rows);
    put(cosInspect.overview.page(rows, list));
    list.redraw();
  };
  const chosen = (text) => {
    const filter = cosInspect.filter.parse(text);
    const rows = store.all();
    return { filter, rows: filter.isEmpty ? rows : rows.filter(filter.test) };
  };
  const titleOf = (found, text) => (text ? `${count(found.length, "flow")}: ${text}` : "Flows");

  const showFiltered = (text, mine) => {
    if (box.value.trim() !== text) box.value = text;
    const { filter, rows } = chosen(text);
    back = cosInspect.filter.address(text);
    inOrder = null;
    const draw = (found, problems) => {
      list.show(found);
      put(cosInspect.overview.filtered(found, text, problems, list), titleOf(found, text));
      list.redraw();
    };
    if (!filter.deep.length) {
      draw(rows, filter.problems);
      return Promise.resolve();
    }
    return searchReports(rows, filter, mine, draw);
  };

  // Headers and bodies of reports are not in the list's data: file by file.
  const searchReports = async (rows, filter, mine, draw) => {
    const candidates = new Map(rows.map((row) => [row.n, row]));
    const found = [];
    draw(found, [...filter.problems, "Searching whole reports …"]);
    let told = performance.now();
    await store.scan((reports, done) => {
      if (mine !== round) return false;
      for (const [number, json] of reports) {
        if (candidates.has(number) && filter.deep.every(({ test, not }) => test(json) !== not)) found.push(candidates.get(number));
      }
      if (performance.now() - told > 400) {
        told = performance.now();
        draw(found, [...filter.problems, `Searching whole reports: ${Math.round(done * 100)} %`]);
      }
      return true;
    });
    if (mine === round) draw(found, filter.problems);
  };

  const near = (number) => {
    inOrder ||= list.numbers();
    if (!inOrder.length) inOrder = store.all().map((row) => row.n);
    const at = inOrder.indexOf(number);
    return at < 0 ? { back } : { back, before: inOrder[at - 1], after: inOrder[at + 1] };
  };
  const notShown = (title, error) => el("div", null, el("h1", { tabindex: -1 }, title), el("p", null, error.message), el("p", null, el("a", { href: "#" }, "Overview")));
  const showFlow = async (number, mine) => {
    main.setAttribute("aria-busy", "true");
    let page;
    let title;
    try {
      const report = await store.report(number);
      page = cosInspect.flowPage(report, near(number));
      title = `#${number} ${report.cos.operation} ${report.verdict}`;
    } catch (error) {
      page = notShown("This flow cannot be shown", error);
      title = "Not found";
    }
    if (mine !== round) return;
    put(page, title);
  };

  // By mitmproxy's id, as the comment in mitmweb names it.
  const showById = async (id, mine) => {
    const row = store.rowOfFlow(id);
    if (row) await showFlow(row.n, mine);
    else put(notShown("This flow is not there yet", new Error(cosInspect.totals.counts() ? `It may be one that these pages do not list.${store.elsewhere.length ? ` All are in ${store.elsewhere.join(", ")}.` : ""}` : cosInspect.live.isLive ? "It is shown as soon as its report is written." : "No report of this directory is of a flow with this id.")), "Not there");
  };

  const showSetup = async (mine) => {
    let page;
    try {
      page = await cosInspect.setup.read();
    } catch {
      page = notShown("The setup is shown by mitmweb alone", new Error("It needs the running proxy: open /cos/setup of mitmweb."));
    }
    if (mine === round) put(page, "Setup");
  };

  const showComparison = async (text, mine) => {
    main.setAttribute("aria-busy", "true");
    const [first, second] = text.split(",").map(Number);
    let page;
    try {
      page = await cosInspect.compare.show(first, second);
    } catch (error) {
      page = notShown("These flows cannot be compared", error);
    }
    if (mine === round) put(page, `#${first} beside #${second}`);
  };

  const route = async () => {
    const hash = location.hash.slice(1);
    const mine = (round += 1);
    if (shown !== null) places.set(shown, scrollY);
    const before = shown;
    shown = hash;
    mark(hash);
    const flow = /^\d+$/.test(hash) ? Number(hash) : null;
    const whole = before === null;
    if (flow !== null) await showFlow(flow, mine);
    else if (hash.startsWith("flow=")) await showById(read(hash.slice(5)), mine);
    else if (hash === "setup") await showSetup(mine);
    else if (hash === "connections") {
      showOverview();
      document.getElementById("connections")?.scrollIntoView();
      document.querySelector("#connections h2")?.setAttribute("tabindex", -1);
      document.querySelector("#connections h2")?.focus({ preventScroll: true });
      return;
    }
    else if (hash === "transfers") put(cosInspect.transfers.list(), "Transfers");
    else if (hash.startsWith("transfer=")) put(cosInspect.transfers.page(read(hash.slice(9))), "Transfer");
    else if (hash.startsWith("compare=")) await showComparison(hash.slice(8), mine);
    else if (hash.startsWith("filter=")) await showFiltered(read(hash.slice(7)), mine);
    else showOverview();
    if (mine !== round) return;
    const isList = hash === "" || hash.startsWith("filter=");
    const from = /^\d+$/.test(before || "") ? Number(before) : null;
    scrollTo(0, isList && from !== null ? places.get(hash) || 0 : 0);
    if (isList && list.element.isConnected) list.redraw();
    if (isList && from !== null && document.activeElement !== box) list.focus(from);
    else if (!whole && !(isList && document.activeElement === box)) main.querySelector("h1")?.focus({ preventScroll: true });
  };

  // What came is put into the page that is read; `touched` has the numbers of the flows.
  const renew = (touched) => {
    const renewal = cosInspect.renewal.renew;
    const hash = shown;
    if (hash === null || main.getAttribute("aria-busy") === "true") return;
    inOrder = null;
    const stand = { element: el("div", { class: "list" }) };
    if (hash === "" || hash === "connections") {
      const rows = store.all();
      if (!list.element.isConnected) showOverview();
      else renewal(cosInspect.overview.page(rows, stand), list, rows);
    } else if (hash.startsWith("filter=")) {
      const text = read(hash.slice(7));
      const { filter, rows } = chosen(text);
      // Whole reports are searched when they are asked for: that reads every file.
      if (filter.deep.length) return;
      renewal(cosInspect.overview.filtered(rows, text, filter.problems, stand), list, rows);
      document.title = `${titleOf(rows, text)} · COS report`;
    } else if (hash === "transfers") renewal(cosInspect.transfers.list(), null);
    else if (hash.startsWith("transfer=")) renewal(cosInspect.transfers.page(read(hash.slice(9))), null);
    else if (hash === "setup") {
      cosInspect.setup.read().then((page) => {
        if (shown !== "setup") return;
        for (const old of main.querySelectorAll("details[open] > summary")) {
          [...page.querySelectorAll("summary")].find((one) => one.textContent === old.textContent)?.parentElement.setAttribute("open", "");
        }
        renewal(page, null);
      }, () => {});
    } else if (/^\d+$/.test(hash)) renewFlow(Number(hash), touched);
    else if (hash.startsWith("flow=")) {
      const row = store.rowOfFlow(read(hash.slice(5)));
      if (!row) return;
      if (!main.querySelector(".flow-page")) route();
      else renewFlow(row.n, touched);
    }
  };
  // A report that somebody reads does not change under their eyes.
  const renewFlow = (number, touched) => {
    const old = main.querySelector(".crumbs");
    const crumbs = cosInspect.flowCrumbs(near(number));
    if (old && !old.contains(document.activeElement) && !old.isEqualNode(crumbs)) old.replaceWith(crumbs);
    if (!touched.has(number) || document.getElementById("revised")) return;
    main.querySelector("h1")?.after(el("p", { id: "revised", class: "notice-text", role: "status" },
      "More was learned of this flow since. ", el("button", { type: "button", class: "more", onclick: route }, "Show it")));
  };
  const newest = () => {
    const last = store.all().at(-1);
    if (!last) return;
    const isList = list.element.isConnected && list.numbers().includes(last.n);
    if (isList) list.focus(last.n);
    else {
      location.hash = "filter=";
      setTimeout(() => list.focus(last.n), 50);
    }
  };

  const typed = () => {
    const text = box.value.trim();
    const address = text ? cosInspect.filter.address(text) : location.hash.startsWith("#filter=") ? "#filter=" : "#";
    if (location.hash === address || (address === "#" && !location.hash)) return;
    // Each letter is no step to go back to.
    if (location.hash.startsWith("#filter=")) {
      history.replaceState(null, "", address);
      round += 1;
      shown = address.slice(1);
      showFiltered(text, round);
      scrollTo(0, 0);
      clearTimeout(typed.timer);
      typed.timer = setTimeout(() => say(document.getElementById("matches")?.textContent || ""), 700);
    } else {
      location.hash = address.slice(1);
    }
  };

  const help = () => {
    const rows = [
      ["report 2026", "both words, anywhere in what the list knows"],
      ['"two words"', "these words together"],
      ["verdict:error,warning", "either of them"],
      ["op:Put  key:photos/*  rule:etag", "a part of the value, or a pattern"],
      ["op:=PutObject", "exactly this"],
      ["status:>=400  status:4xx  status:none", "numbers; also n, run, size, sent, received, ms, position, try"],
      ["size:>1m  ms:>2s", "with k, m, g for bytes and s for seconds"],
      ["after:2026-11-22T10:00  before:…", "time, UTC"],
      ["worst:=crc64-mismatch healed:no", "flows whose worst finding it is, without failed tries that a later one repaired"],
      ["verified:CRC-64  verified:content", "bytes that were checked; bytes of which nothing could be"],
      ["-client:boto3", "not"],
      ["header:x-cos-acl  header:range=bytes", "headers of whole reports"],
      ["any:text", "anything in whole reports"],
    ];
    const fields = "verdict op method status bucket region key host query endpoint client version sse code id trace flow rule group check kind transfer worst healed why verified";
    const dialog = el("dialog", { "aria-labelledby": "help-title", onclose: () => dialog.remove() },
      el("h2", { id: "help-title" }, "How to filter"),
      el("dl", { class: "help" }, rows.map(([example, meaning]) => el("div", null, el("dt", null, el("code", null, example)), el("dd", null, meaning)))),
      el("p", null, "Fields: ", fields.split(" ").map((name, i) => [i ? " " : "", el("code", null, name)])),
      el("p", null, "Keys: ", el("kbd", null, "/"), " goes to the filter, ", el("kbd", null, "↓"), " to the list and through it, ", el("kbd", null, "Enter"), " opens a flow, ", el("kbd", null, "Esc"), " goes back."),
      el("form", { method: "dialog" }, el("button", { class: "more" }, "Close")));
    document.body.append(dialog);
    dialog.showModal();
  };

  document.getElementById("search").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("help").addEventListener("click", help);
  document.getElementById("skip").addEventListener("click", () => main.querySelector("h1")?.focus());
  box.addEventListener("input", typed);
  addEventListener("hashchange", route);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = /^(input|textarea|select)$/i.test(event.target.tagName);
    if (event.key === "/" && !typing) {
      event.preventDefault();
      box.focus();
      box.select();
    } else if (event.key === "ArrowDown" && event.target === box) {
      event.preventDefault();
      list.element.querySelector("tbody a")?.focus();
    } else if (event.key === "Escape" && !typing && /^#(?:\d|compare=)/.test(location.hash)) {
      document.getElementById("back")?.click();
    }
  });

  history.scrollRestoration = "manual";
  cosInspect.app = { rows: () => store.all().length, renew, newest };
  cosInspect.live.begin().then(() => store.start()).then(route).then(() => cosInspect.live.follow());
})();
