"use strict";
// Transfers of several exchanges, retries, and connections that failed.
(() => {
  const { el, wire, label, visible, icon, badge, bytes, duration, speed, count, flowLink, facts, section, table } = cosInspect.dom;
  const { card, bySeverity, checks } = cosInspect.findings;
  const store = cosInspect.store;
  const WORST = { error: 0, warning: 1, notice: 2, ok: 3 };
  const MOST = 200;

  const open = (number) => {
    location.hash = cosInspect.dom.number6(number);
  };
  const all = () =>
    [...(store.summary.transfers || [])].sort((a, b) => (WORST[a.verdict] ?? 3) - (WORST[b.verdict] ?? 3));
  const address = (transfer) => `#transfer=${encodeURIComponent(transfer.id)}`;
  const kind = (transfer) => cosInspect.words.KINDS[transfer.kind] || visible(transfer.kind);
  const rowsOf = (transfer) => (transfer.flows || []).map(store.rowOfFlow).filter(Boolean);

  const line = (transfer) =>
    el("article", { class: `transfer ${transfer.verdict}` },
      el("h3", null, icon(transfer.verdict), el("a", { href: address(transfer) }, label(transfer.key ?? transfer.id)),
        el("span", { class: "unseen" }, `, ${transfer.verdict}`)),
      el("p", { class: "meta" }, [kind(transfer), visible(transfer.state), bytes(transfer.size), transfer.parts ? count(transfer.parts, "part") : "",
        duration(transfer.duration_ms), speed(transfer.throughput),
        transfer.bytes_sent_twice ? `${bytes(transfer.bytes_sent_twice)} sent again` : ""].filter(Boolean).join(" · ")),
      cosInspect.charts.transfer(rowsOf(transfer), open, true),
      bySeverity(transfer.findings).slice(0, 2).map((finding) => el("p", { class: "said-of" }, el("code", null, finding.rule), " ", label(finding.detail, null, 600))));

  // Adds a button for the rest of a long list.
  const some = (items, most, make, place) => {
    const put = (from) => {
      place.append(...items.slice(from, from + most).map(make));
      if (from + most < items.length) {
        const more = el("button", { type: "button", class: "more", onclick: () => {
          const before = place.childElementCount - 1;
          place.lastElementChild.remove();
          put(from + most);
          place.children[before]?.querySelector("a, button")?.focus();
        } }, `${items.length - from - most} more`);
        place.append(place.tagName === "TBODY" ? el("tr", null, el("td", { colspan: 9 }, more)) : more);
      }
    };
    put(0);
    return place;
  };

  const overview = (most) => {
    const transfers = all();
    if (!transfers.length) return null;
    const shown = transfers.slice(0, most);
    return section("transfers", count(transfers.length + (store.summary.left_out || 0), "transfer"),
      el("div", { class: "transfers" }, shown.map(line)),
      shown.length < transfers.length ? el("p", null, el("a", { href: "#transfers" }, store.summary.left_out ? `The worst ${transfers.length.toLocaleString("en")} transfers` : `All ${transfers.length} transfers`)) : null);
  };

  const chainLine = (chain) => {
    const rows = chain.flows.map(store.rowOfFlow).filter(Boolean);
    const first = rows[0];
    return el("tr", null,
      el("td", null, icon(chain.succeeded ? "ok" : "error"), chain.succeeded ? "came through" : "gave up"),
      el("td", { class: "chain" }, chain.tries > chain.flows.length ? `${chain.tries.toLocaleString("en")} tries, the last: ` : null, rows.map((row, i) => [i ? " → " : "", flowLink(row.n, row.status === undefined ? "none" : String(row.status))])),
      el("td", null, first ? [wire(first.op), " ", label(first.key || "")] : wire(chain.flows.join(", "))),
      el("td", null, wire((chain.causes || []).join(", "))),
      el("td", null, duration(chain.time_lost_ms)),
      el("td", null, (chain.hosts || []).length > 1 ? ["hosts: ", wire(chain.hosts.join(", ")), chain.clock_corrected ? "; " : ""] : null, chain.clock_corrected ? "the SDK corrected its clock" : null));
  };
  const retries = () => {
    const chains = store.summary.retries || [];
    if (!chains.length) return null;
    const place = table("Retries", ["In the end", "Answers", "Request", "Causes", "Time lost", "Also"], [], "retries");
    some(chains, 50, chainLine, place.querySelector("tbody"));
    const left = store.summary.retries_left_out || 0;
    return section("retries", chains.length + left === 1 ? "1 request was retried" : `${(chains.length + left).toLocaleString("en")} requests were retried`,
      left ? el("p", { class: "meta" }, `${count(chains.length, "chain")} of tries are listed, the worst; ${left.toLocaleString("en")} are not.`) : null, place);
  };

  const connections = () => {
    const troubles = store.summary.connections || [];
    if (!troubles.length) return null;
    const items = troubles.map((trouble) => {
      const worst = bySeverity(trouble.findings)[0];
      const rows = (trouble.flows || []).map(store.rowOfFlow).filter(Boolean);
      return el("article", { class: `trouble ${worst ? worst.severity : "notice"}` },
        el("h3", null, icon(worst ? worst.severity : "notice"), wire(trouble.failed.replaceAll("-", " ")), el("span", { class: "times" }, ` × ${trouble.count}`)),
        el("p", { class: "meta" }, "host ", wire(trouble.host ?? "unknown"), trouble.client ? [" · client ", wire(trouble.client)] : null),
        trouble.detail ? el("p", null, wire(trouble.detail)) : null,
        trouble.fix && !worst ? el("p", { class: "fix" }, el("strong", null, "What to do: "), wire(trouble.fix)) : null,
        bySeverity(trouble.findings).map(card),
        rows.length ? el("p", null, "Flows: ", rows.map((row, i) => [i ? ", " : "", flowLink(row.n)])) : null);
    });
    return el("div", { id: "connections" }, section("connections-of", "Connections that failed", items));
  };

  const readBack = () => {
    const found = (store.summary.read_back || []).filter((one) => !one.same);
    if (!found.length) return null;
    return section("read-back", "Objects that were read otherwise than written",
      el("ul", null, found.slice(0, 50).map((one) => {
        const rows = [one.write, ...one.reads].map(store.rowOfFlow).filter(Boolean);
        return el("li", null, wire(one.key ?? ""), " ", rows.map((row, i) => [i ? ", " : "", flowLink(row.n)]));
      })));
  };

  const list = () => {
    const transfers = all();
    const place = el("div", { class: "transfers" });
    some(transfers, MOST, line, place);
    return el("div", null, el("h1", { tabindex: -1 }, transfers.length ? count(transfers.length, "transfer") : "No transfers were seen"),
      transfers.length ? null : el("p", null, "Multipart uploads, ranged downloads and appends of several exchanges are listed here."),
      store.summary.left_out ? el("p", null, `These are the worst; ${count(store.summary.left_out, "more transfer")} were seen.`) : null,
      el("h2", { class: "unseen" }, "All transfers"), place, retries());
  };

  const unlistedOf = (transfer) => {
    const left = (transfer.flows || []).length - rowsOf(transfer).length;
    return left > 0 && cosInspect.totals.counts() ? el("p", { class: "meta" }, `${count(left, "of its flows is", "of its flows are")} not listed on these pages, and not drawn.`) : null;
  };
  const partLine = (part) => {
    const row = store.rowOfFlow(part.flow);
    return el("tr", null,
      el("td", null, row ? flowLink(row.n, String(part.number)) : String(part.number)),
      el("td", null, bytes(part.size)), el("td", null, duration(part.duration_ms)),
      el("td", null, part.duration_ms ? speed((part.size / part.duration_ms) * 1000) : ""),
      el("td", { class: part.tries > 1 ? "tried" : null }, String(part.tries)),
      el("td", null, wire(part.etag ?? "")), el("td", null, wire(part.crc64ecma ?? "")), el("td", null, wire(part.host ?? "")));
  };
  const page = (id) => {
    const transfer = (store.summary.transfers || []).find((one) => one.id === id);
    if (!transfer) return el("div", null, el("h1", { tabindex: -1 }, "There is no such transfer"), el("p", null, el("a", { href: "#transfers" }, "All transfers")));
    const parts = transfer.part_table || [];
    const place = parts.length
      ? table("Parts", ["Part", "Size", "Took", "Speed", "Tries", "ETag", "CRC-64", "Host"], [], "parts") : null;
    if (place) some(parts, MOST, partLine, place.querySelector("tbody"));
    const drawing = cosInspect.charts.transfer(rowsOf(transfer), open, false);
    return el("div", { class: "transfer-page" },
      el("p", { class: "crumbs" }, el("a", { href: "#transfers" }, "← Transfers")),
      el("h1", { tabindex: -1 }, badge(transfer.verdict), " ", kind(transfer), " ", label(transfer.key ?? "")),
      facts([["State", wire(transfer.state)], ["Size", bytes(transfer.size)], ["Parts", transfer.parts || ""], ["Exchanges with bytes", transfer.tries],
        ["Took", duration(transfer.duration_ms)], ["Throughput", speed(transfer.throughput)],
        ["Sent again", transfer.bytes_sent_twice ? bytes(transfer.bytes_sent_twice) : ""],
        ["Key", transfer.key ? wire(transfer.key) : "", "wide"], ["Bucket", transfer.bucket ? wire(transfer.bucket) : "", "wide"], ["Id", wire(transfer.id), "wide"],
        ["Flows", el("a", { href: cosInspect.filter.address(cosInspect.filter.term("transfer", transfer.id)) }, String((transfer.flows || []).length))]]),
      transfer.notice ? el("p", { class: "notice-text" }, wire(transfer.notice)) : null,
      (transfer.findings || []).length ? el("h2", { class: "unseen" }, "Findings") : null,
      bySeverity(transfer.findings).map(card),
      drawing ? section("drawing", "Over time", unlistedOf(transfer), drawing) : unlistedOf(transfer),
      (transfer.checks || []).length ? section("checks", "Checks", checks(transfer.checks)) : null,
      place ? section("parts", "Parts", place) : null);
  };

  cosInspect.transfers = { overview, retries, connections, readBack, list, page, address, all, rowsOf };
})();
