"use strict";
// What is wrong, in one look; then time, counts, transfers and the list.
(() => {
  const { el, wire, label, visible, icon, badge, time, count, duration, speed, bytes, flowLink, section, table, unseen } = cosInspect.dom;
  const { VERDICTS, MANY } = cosInspect.words;
  const { term, words, address } = cosInspect.filter;
  const { figures } = cosInspect.totals;
  const store = cosInspect.store;
  const MOST_GROUPS = 8;
  const EACH = 3;
  const MOST_FACETS = 6;
  const MOST_UNFOLDED = 200;
  const MOST_MEASURED = 30;
  const MOST_CAPTURES = 50;
  const unfolded = new Set();

  const tally = (rows, get) => {
    const counts = new Map();
    for (const row of rows) for (const name of [get(row)].flat()) counts.set(name, (counts.get(name) || 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  };

  // Of transfers and connections only what went wrong counts: that one is fine says nothing
  // that its flows do not say.
  const beside = () => {
    const found = { error: {}, warning: {}, notice: {}, ok: {} };
    const add = (verdict, kind, number = 1) => {
      if (found[verdict]) found[verdict][kind] = (found[verdict][kind] || 0) + number;
    };
    if (store.summary.left_out) {
      for (const [verdict, number] of Object.entries(store.summary.counts?.transfers || {})) if (isBad(verdict)) add(verdict, "transfer", number);
    } else {
      for (const transfer of cosInspect.transfers.all()) if (isBad(transfer.verdict)) add(transfer.verdict, "transfer");
    }
    for (const trouble of store.summary.connections || []) {
      const worst = cosInspect.findings.bySeverity(trouble.findings)[0];
      if (worst && isBad(worst.severity)) add(worst.severity, "connection", trouble.count);
    }
    return found;
  };
  const isBad = (verdict) => verdict === "error" || verdict === "warning";

  // A tile leads to the flows that it counts; beside it stands what is no flow. `others` is
  // null where a filter chose the flows.
  const tiles = (rows, text, others) => {
    const listed = Object.fromEntries(tally(rows, (row) => row.verdict));
    const counted = others ? figures(rows) : { verdict: listed, healed: healedOf(rows) };
    return el("ul", { class: "tiles", "aria-label": "By verdict" },
      VERDICTS.map((verdict) => {
        const number = counted.verdict[verdict] || 0;
        const also = [counted.healed[verdict] ? `${counted.healed[verdict].toLocaleString("en")} healed` : "", number > (listed[verdict] || 0) ? `${(listed[verdict] || 0).toLocaleString("en")} listed` : ""].filter(Boolean);
        const { transfer = 0, connection = 0 } = others?.[verdict] || {};
        const label = number === 1 && verdict !== "ok" ? verdict : MANY[verdict];
        return el("li", { class: `tile ${verdict}${number + transfer + connection ? "" : " none"}` },
          el("a", { href: address(join(text, `verdict:${verdict}`)) },
            icon(verdict), el("b", null, number.toLocaleString("en")), " ", label, also.length ? el("small", null, ` (${also.join(", ")})`) : null),
          transfer ? el("a", { class: "beside", href: "#transfers" }, "+ ", count(transfer, "transfer")) : null,
          connection ? el("a", { class: "beside", href: "#connections" }, "+ ", count(connection, "connection")) : null);
      }));
  };
  const healedOf = (rows) => Object.fromEntries(tally(rows.filter((row) => row.healed), (row) => row.verdict));
  const join = (text, word) => {
    const field = word.slice(0, word.indexOf(":") + 1);
    const kept = words(text).filter((old) => !(field === "verdict:" && old.startsWith(field)) && old !== word);
    return [...kept, word].join(" ");
  };

  // Groups of broken flows under their worst rule, the worst group first.
  const wrong = (rows) => {
    const groups = new Map();
    const add = (kind, severity, rule, title, item, number = 1) => {
      const group = groups.get(`${severity} ${rule}`) || { severity, rule, title, items: [], count: 0, kinds: {} };
      groups.set(`${severity} ${rule}`, group);
      group.count += number;
      group.kinds[kind] = (group.kinds[kind] || 0) + number;
      if (group.items.length < EACH) group.items.push(item());
    };
    for (const row of rows) {
      if (row.healed) continue;
      if (row.verdict === "error" || row.verdict === "warning") {
        add("flow", row.verdict, worstRule(row), row.title, () =>
          el("li", null, flowLink(row.n), " ", el("span", { class: "what" }, wire(row.op), " ", label(row.key ?? row.bucket ?? row.host, "name", 120)),
            el("span", { class: "why" }, label(row.why || ""))));
      }
    }
    for (const transfer of cosInspect.transfers.all()) {
      for (const finding of transfer.findings || []) {
        if (finding.severity === "notice" || cosInspect.transfers.rowsOf(transfer).some((row) => row.rules.includes(finding.rule))) continue;
        add("transfer", finding.severity, finding.rule, finding.title, () =>
          el("li", null, el("a", { href: cosInspect.transfers.address(transfer) }, "transfer"), " ",
            el("span", { class: "what" }, label(transfer.key ?? transfer.id, "name", 120)), el("span", { class: "why" }, label(finding.detail))));
      }
    }
    for (const trouble of store.summary.connections || []) {
      for (const finding of trouble.findings || []) {
        if (finding.severity === "notice" || (trouble.flows || []).length) continue;
        add("connection", finding.severity, finding.rule, finding.title, () =>
          el("li", null, el("a", { href: "#connections" }, "connection"), " ", el("span", { class: "what" }, "to ", label(trouble.host ?? "unknown host", "name", 120), trouble.count > 1 ? ` ${count(trouble.count, "time")}` : ""), el("span", { class: "why" }, label(finding.detail))), trouble.count);
      }
    }
    countAll(groups);
    const sorted = [...groups.values()].sort((a, b) => (a.severity === b.severity ? b.count - a.count : a.severity === "error" ? -1 : 1));
    if (!sorted.length) return null;
    const rest = sorted.slice(MOST_GROUPS);
    return section("wrong", "What is wrong",
      el("div", { class: "groups" }, sorted.slice(0, MOST_GROUPS).map((group) =>
        el("article", { class: `group ${group.severity}` },
          el("h3", null, el("span", { class: "title" }, icon(group.severity), unseen(`${group.severity}: `), label(group.title || group.rule), " ", el("code", { class: "rule" }, group.rule)),
            counted(group)),
          el("ul", null, group.items)))),
      rest.length ? el("p", { class: "also" }, "Also: ", rest.map((group, i) => [i ? ", " : "", wire(group.rule), " (", counted(group), ")"])) : null);
  };
  // Of all flows, where not all are listed.
  const countAll = (groups) => {
    const counts = cosInspect.totals.counts();
    for (const severity of counts ? ["error", "warning"] : []) {
      for (const [rule, number] of Object.entries(counts[`${severity}_rule`] || {})) {
        const group = groups.get(`${severity} ${rule}`) || { severity, rule, title: null, items: [], count: 0, kinds: {} };
        groups.set(`${severity} ${rule}`, group);
        group.listed = group.kinds.flow || 0;
        const all = Math.max(number, group.listed);
        group.count += all - group.listed;
        group.kinds.flow = all;
      }
    }
  };
  // Each number leads to exactly those that it counts, as far as they are listed.
  const counted = (group) => {
    const places = { flow: address(`${term("worst", group.rule)} ${term("verdict", group.severity)} healed:no`), transfer: "#transfers", connection: "#connections" };
    return el("span", { class: "number" }, Object.entries(group.kinds).map(([kind, number], i) =>
      [i ? ", " : "", el("a", { href: places[kind] }, count(number, kind), unseen(` with ${group.rule}`)),
        kind === "flow" && group.listed < number ? ` (${group.listed.toLocaleString("en")} listed)` : ""]));
  };
  const worstRule = (row) => row.worst || row.rules[0] || "unknown";

  // The filter does not tell upper from lower case.
  const facet = (name, field, rows, get) => {
    const spelt = new Map();
    return facetOf(name, field, tally(rows, (row) => [get(row)].flat().map((value) => {
      const lower = String(value).toLowerCase();
      if (!spelt.has(lower)) spelt.set(lower, value);
      return spelt.get(lower);
    })));
  };
  const facetOf = (name, field, counts) => {
    if (!counts.length) return null;
    const most = counts[0][1];
    const item = ([value, number]) =>
      el("li", null, el(isNamed(field, value) ? "a" : "div", { class: "facet-line", href: isNamed(field, value) ? address(term(field, value)) : null, title: visible(value) },
        el("span", { class: "label" }, wire(value)), el("span", { class: "number" }, number.toLocaleString("en")), meter(number / most)));
    const list = el("ul", null, counts.slice(0, unfolded.has(name) ? MOST_UNFOLDED : MOST_FACETS).map(item));
    const more = counts.length > MOST_FACETS && !unfolded.has(name)
      ? el("button", { type: "button", class: "more", onclick: (event) => {
          unfolded.add(name);
          event.currentTarget.remove();
          list.append(...counts.slice(MOST_FACETS, MOST_UNFOLDED).map(item));
          list.children[MOST_FACETS].querySelector("a")?.focus();
        } }, `${counts.length - MOST_FACETS} more`)
      : null;
    return el("div", { class: "facet" }, el("h3", null, name), list, more);
  };
  // Many names are counted together, and what has none cannot be looked for.
  const isNamed = (field, value) => value !== "(others)" && !(field === "region" && value === "none");
  const meter = (part) => {
    const bar = el("i", { class: "meter" });
    bar.style.setProperty("--part", part.toFixed(3));
    return bar;
  };
  const ofAll = (counted) => Object.entries(counted || {}).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const facetsOfAll = (counts) =>
    section("counts", "Counts of all flows", el("div", { class: "facets" },
      facetOf("Rules", "rule", ofAll(counts.rule)),
      facetOf("Operations", "op", ofAll(counts.operation)),
      facetOf("Hosts", "host", ofAll(counts.host)),
      facetOf("Clients", "client", ofAll(counts.client)),
      facetOf("Statuses", "status", ofAll(counts.status)),
      facetOf("Regions", "region", ofAll(counts.region))));
  const facets = (rows) =>
    section("counts", "Counts", el("div", { class: "facets" },
      facet("Rules", "rule", rows, (row) => row.rules),
      facet("Operations", "op", rows, (row) => row.op),
      facet("Hosts", "host", rows, (row) => row.host),
      facet("Clients", "client", rows, (row) => row.client || "unknown")));

  const percent = (part) => (part ? `${(part * 100).toFixed(part < 0.1 ? 1 : 0)} %` : "0");
  const spread = (values, show, names = ["p50", "p95", "p99"]) => (values && values.count ? names.map((name) => show(values[name])).join(" · ") : "");
  const measured = (one) =>
    el("tr", null,
      el("td", null, wire(one.operation)), el("td", null, wire(one.host)), el("td", { class: "number" }, one.count.toLocaleString("en")),
      el("td", { class: `number ${one.errors ? "bad" : ""}` }, percent(one.error_rate)),
      el("td", { class: "number" }, spread(one.wait_ms, duration)), el("td", { class: "number" }, spread(one.total_ms, duration)),
      el("td", { class: "number" }, spread(one.throughput, speed, ["p50", "p5", "min"])));
  // Of all runs into this directory.
  const statistics = () => {
    const all = [...(store.summary.statistics || [])].sort((a, b) => b.count - a.count);
    if (!all.length) return null;
    const place = el("div", null, table("Times and speed", ["Operation", "Host", "Flows", "Failed", "Wait: p50 · p95 · p99", "Total: p50 · p95 · p99", "Speed of bodies: p50 · p5 · least"],
      all.slice(0, MOST_MEASURED).map(measured), "measured"));
    return section("statistics", "Times and speed", place,
      all.length > MOST_MEASURED ? el("p", { class: "meta" }, `The ${MOST_MEASURED} with the most flows of ${all.length}; all stand in summary.json.`) : null);
  };
  const runOf = (run) => {
    const wrong = ["error", "warning"].filter((verdict) => run.verdict?.[verdict]).map((verdict) => `${run.verdict[verdict]} ${MANY[verdict]}`);
    const begin = run.started ? time(Date.parse(run.started), true).slice(0, 19) : "at an unknown time";
    return el("li", null, el("a", { href: address(`run:${run.id}`) }, `${run.name}, ${begin}`), " ", el("span", { class: "muted" }, [count(run.flows, "flow"), ...wrong].join(", ")));
  };
  const runs = () => {
    const all = [...(store.summary.runs || [])].reverse();
    if (all.length < 2) return null;
    return el("details", { class: "panel runs" }, el("summary", null, `${all.length} runs wrote into this directory; this is all of them together`),
      el("ul", null, all.slice(0, 200).map(runOf)));
  };
  // Of flow files and HAR that hold all there was, nothing is to be said.
  const captures = () => {
    const all = (store.summary.captures || []).filter((one) => !["mitm", "har"].includes(one.format) || Object.keys(one.left_out || {}).length || one.bytes_lost || one.packets_lost);
    if (!all.length) return null;
    const left = (one) => Object.entries(one.left_out || {}).map(([reason, number]) => `${number.toLocaleString("en")} ${reason}`);
    const gone = (one) => [one.packets_lost ? count(one.packets_lost, "packet") : "", one.bytes_lost ? bytes(one.bytes_lost) : ""].filter(Boolean);
    const place = el("div", null, table("Captures", ["File", "Format", "Written by", "Exchanges", "Left out", "Lost"], all.slice(-MOST_CAPTURES).reverse().map((one) =>
      el("tr", null, el("td", null, wire(one.file)), el("td", null, one.format), el("td", null, wire(one.program || "")), el("td", { class: "number" }, one.exchanges.toLocaleString("en")),
        el("td", null, wire(left(one).join(", "))), el("td", null, gone(one).join(", ")))), "captures"));
    return section("captures", "Captures, and what they do not hold", place);
  };
  const elsewhere = (rows) => {
    const hosts = Object.entries(store.summary.other_hosts || {}).sort((a, b) => b[1] - a[1]);
    if (rows.length || !hosts.length) return null;
    return section("elsewhere", "Who was asked instead",
      el("ul", null, hosts.slice(0, 20).map(([host, number]) => el("li", null, wire(host), " ", el("span", { class: "muted" }, count(number, "flow"))))),
      el("p", null, "A bucket behind a name of your own is known by ", el("code", null, "--set cos_hosts=NAME"), "."));
  };

  const timeLine = (rows, text, isAll) => {
    const choose = (from, to) => {
      const kept = words(text).filter((word) => !/^(after|before):/.test(word));
      location.hash = address([...kept, `after:${from}`, `before:${to}`].join(" ")).slice(1);
    };
    const counts = isAll && store.summary.time_line ? cosInspect.totals.counts() : null;
    const drawing = counts ? cosInspect.charts.timeLineOfAll(store.summary.time_line, counts.flows, choose) : cosInspect.charts.timeLine(rows, choose);
    return drawing && section("time", cosInspect.totals.counts() && !counts ? "Time line of listed flows" : "Time line", drawing);
  };

  const headline = (rows, others) => {
    const { flows: all, broken, doubtful, healed: healedBy } = figures(rows);
    const healed = Object.values(healedBy).reduce((sum, number) => sum + number, 0);
    const flows = (number, one, many) => (number ? [`${number.toLocaleString("en")} of ${count(all, "flow")} ${number === 1 ? one : many}`] : []);
    // Of what could not be read nothing is known: it is not to be taken for "none", or for "fine".
    const unread = store.problems.length > 0;
    const wrong = [
      ...flows(broken, "is broken", "are broken"), ...what(others.error, "is broken", "are broken"), ...lost(),
      ...flows(doubtful, "needs a look", "need a look"), ...what(others.warning, "needs a look", "need a look"),
      ...(unread && rows.length ? ["a part of the report cannot be read"] : []),
    ];
    const said = wrong.length > 1 ? `${wrong.slice(0, -1).join(", ")} and ${wrong.at(-1)}` : wrong.join("");
    const but = said ? `, but ${said}` : "";
    if (broken || doubtful) return said;
    if (!rows.length && unread) return `The report cannot be read${but}`;
    if (!rows.length) return `No COS flows yet${but}`;
    if (healed) return `${said ? "All flows" : "Everything"} came through in the end, after ${count(healed, "failed try", "failed tries")}${but}`;
    return all === 1 ? `The one flow is fine${but}` : `All ${count(all, "flow")} are fine${but}`;
  };
  const what = (kinds, one, many) =>
    Object.entries(kinds).map(([kind, number]) =>
      kind === "connection" && one === "is broken" ? `${count(number, "connection")} failed` : `${count(number, kind)} ${number === 1 ? one : many}`);
  const lost = () => {
    const number = store.summary.lost?.count || 0;
    return number ? [`${count(number, "report")} ${number === 1 ? "is" : "are"} lost`] : [];
  };
  const span = (rows) => {
    const others = store.summary.others;
    if (!rows.length && store.problems.length) return ["The folder ", el("code", null, "data"), " has to lie beside ", el("code", null, "index.html"), ": take the whole report directory."];
    if (!rows.length) {
      const seen = others ? `${count(others, "flow was", "flows were")} seen that ${others === 1 ? "is" : "are"} not COS; hosts of your own are named with cos_hosts. ` : "";
      return [seen, cosInspect.live.isLive ? [el("a", { href: "#setup" }, "Put a client behind this proxy"), ": what comes through it stands here at once."] : "Reload this page when a client has sent something through the proxy."];
    }
    const counts = cosInspect.totals.counts();
    const bars = counts ? Object.keys(store.summary.time_line?.bars || {}).map(Number) : [];
    const known = bars.length ? [{ at: Math.min(...bars) * 1000 }, { at: (Math.max(...bars) + store.summary.time_line.seconds) * 1000 }] : rows.filter((row) => row.at !== null);
    if (!known.length) return "At a time that nobody knows" + (others ? ` · ${count(others, "other flow was", "other flows were")} not COS` : "");
    const [first, last] = [known[0].at, known.at(-1).at];
    return `${time(Math.min(first, last), true)} to ${time(Math.max(first, last), true)} UTC`
      + (others ? ` · ${count(others, "other flow was", "other flows were")} not COS` : "");
  };

  const facetsOr = (rows) => (cosInspect.totals.counts() ? facetsOfAll(cosInspect.totals.counts()) : facets(rows));

  const page = (rows, list) => {
    const others = beside();
    return el("div", { class: "overview" },
      el("div", { class: "heading" }, el("h1", { tabindex: -1 }, headline(rows, others)), el("p", { class: "meta" }, span(rows))),
      store.problems.map((problem) => el("p", { class: "problem", role: "alert" }, badge("warning"), " ", problem)),
      cosInspect.totals.note("all of them"),
      tiles(rows, "", others),
      runs(),
      elsewhere(rows),
      wrong(rows),
      captures(),
      cosInspect.transfers.retries(),
      timeLine(rows, "", true),
      rows.length ? facetsOr(rows) : null,
      statistics(),
      cosInspect.transfers.overview(6),
      cosInspect.transfers.connections(),
      cosInspect.transfers.readBack(),
      rows.length ? section("flows", cosInspect.totals.counts() ? "Listed flows" : "All flows", list.element) : null);
  };

  // The list alone, for a filter.
  const filtered = (rows, text, problems, list) =>
    el("div", { class: "overview" },
      el("div", { class: "heading" },
        el("h1", { tabindex: -1, id: "matches" }, (text ? `${rows.length.toLocaleString("en")} of ${count(store.all().length, "flow")}` : count(rows.length, "flow")) + (cosInspect.totals.counts() ? " that are listed" : "")),
        text ? el("p", { class: "meta" }, el("a", { href: "#filter=" }, "Show all flows")) : null,
        cosInspect.exported.buttons(rows)),
      cosInspect.totals.note("those that are listed"),
      problems.map((problem) => el("p", { class: "problem", role: "alert" }, problem)),
      tiles(rows, text, null),
      rows.length ? timeLine(rows, text) : null,
      el("section", { class: "panel", "aria-label": "Flows" }, list.element));

  cosInspect.overview = { page, filtered };
})();
