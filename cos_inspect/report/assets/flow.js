"use strict";
// One flow's whole report.
(() => {
  const { el, wire, visible, badge, bytes, time, facts, section, table, flowLink, number6 } = cosInspect.dom;
  const { card, bySeverity, checks } = cosInspect.findings;
  const { button, curl } = cosInspect.copy;

  const take = (report) => {
    const script = curl(report);
    return el("div", { class: "take", role: "group", "aria-label": "Copy" },
      report.ticket ? button("Copy ticket line", report.ticket, "Ticket line") : null,
      script ? button("Copy curl", script, "curl script") : null,
      report.ids.request_id ? button("Copy request id", report.ids.request_id, "Request id") : null,
      cosInspect.live.isLive
        ? el("a", { class: "copy", href: `../#/flows/${encodeURIComponent(report.flow_id)}/${report.response ? "response" : "request"}` }, "Open in mitmweb") : null,
      cosInspect.live.isLive
        ? el("button", { type: "button", class: "copy", title: "After an edit in mitmweb, by the keys of cos_credentials", onclick: () => cosInspect.live.command("cos.resign", `@${report.flow_id}`) }, "Sign anew") : null,
      button("Copy JSON", () => JSON.stringify(report, null, 2), "JSON"));
  };

  const about = (report) => {
    const { cos, ids, encryption, transfer } = report;
    const sse = encryption.mode === "none" ? "" : [encryption.mode, encryption.algorithm, encryption.kms_key_id].filter(Boolean).join(" · ");
    const client = cos.client ? [cos.client.name, cos.client.version, cos.client.wrapper, cos.client.platform].filter(Boolean).join(" ") : "";
    return facts([
      ["Key", cos.key === null ? "" : wire(cos.key)],
      ["Bucket", cos.bucket ? wire(cos.bucket) : ""],
      ["Region", cos.region ? wire(cos.region) : ""],
      ["Endpoint", cos.endpoint],
      ["Client", client ? wire(client) : ""],
      ["Started", report.started ? `${time(Date.parse(report.started), true)} UTC` : "unknown"],
      ["Request id", ids.request_id ? [wire(ids.request_id, "mono"), ids.request_id_time ? el("small", null, ` made ${visible(ids.request_id_time)}`) : ""] : "none"],
      ["Trace id", ids.trace_id ? wire(ids.trace_id, "mono") : ""],
      ["Encryption", sse ? wire(sse) : ""],
      ["Transfer", transfer ? [el("a", { href: `#transfer=${encodeURIComponent(transfer.id)}` }, cosInspect.words.KINDS[transfer.kind] || transfer.kind),
        transfer.position === null || transfer.position === undefined ? "" : ` · ${transfer.kind === "multipart-upload" ? "part" : transfer.kind === "retry" ? "try" : "from byte"} ${transfer.position}`,
        transfer.attempt > 1 ? ` · try ${transfer.attempt}` : ""] : ""],
    ]);
  };

  const error = (error_) =>
    error_ && section("error", "Error",
      facts([["Code", error_.code ? wire(error_.code, "mono") : ""], ["Message", error_.message ? wire(error_.message) : ""],
        ["Means", error_.meaning ? wire(error_.meaning) : ""], ["Likely", error_.cause ? wire(error_.cause) : ""],
        ["What to do", error_.fix ? wire(error_.fix) : ""], ["Resource", error_.resource ? wire(error_.resource, "mono") : ""],
        ["Request id in the body", error_.request_id ? wire(error_.request_id, "mono") : ""],
        ["Trace id in the body", error_.trace_id ? wire(error_.trace_id, "mono") : ""]]));

  const body = (message) => {
    const found = message.body;
    const payload = found.payload;
    return facts([
      ["Signed anew", message.resigned ? wire(`by cos.resign${message.resigned.at ? ` at ${message.resigned.at}` : ""}, for ${message.resigned.secret_id}${message.resigned.token_removed ? ", without the token" : ""}`) : ""],
      ["Body", found.size === null ? "unknown length" : `${bytes(found.size)}${found.size >= 1024 ? ` (${found.size.toLocaleString("en")} bytes)` : ""}`],
      ["Complete", found.complete ? "" : el("strong", { class: "bad" }, "no: it ended early")],
      ["MD5", found.md5 ? wire(found.md5, "mono") : ""],
      ["CRC-64", found.crc64ecma ? wire(found.crc64ecma, "mono") : ""],
      ["Content coding", found.encoding ? wire(found.encoding) : ""],
      ["Inside", payload ? `${payload.kind}, ${bytes(payload.size)}${payload.problem ? `: ${visible(payload.problem)}` : ""}` : ""],
      ["MD5 inside", payload?.md5 ? wire(payload.md5, "mono") : ""],
      ["CRC-64 inside", payload?.crc64ecma ? wire(payload.crc64ecma, "mono") : ""],
    ]);
  };

  const header = (one) =>
    el("tr", { class: (one.issues || []).length ? "has-issues" : null },
      el("td", { class: "header-name" }, wire(one.name, "mono"), el("span", { class: `category ${one.category}` }, one.category)),
      el("td", { class: "value" }, wire(one.value, "mono"), one.redacted ? el("span", { class: "masked" }, "masked") : null),
      el("td", { class: "meaning" }, visible(one.meaning || ""), (one.issues || []).map((issue) => el("p", { class: "issue" }, wire(issue)))));
  const value = (text) => (text == null ? el("span", { class: "muted" }, "none") : wire(text, "mono"));
  const change = (one) =>
    el("tr", null, el("td", null, one.part, one.name ? [" ", wire(one.name, "mono")] : null),
      el("td", { class: "value" }, value(one.client)), el("td", { class: "value" }, value(one.sent)), el("td", null, wire(one.by)));
  const changes = (all) =>
    all && all.length
      ? [el("h3", null, "Changed by this proxy"), table("Changed by this proxy", ["What", "From the client", "As sent", "By"], all.map(change), "changes")]
      : null;
  const answeredBy = ({ by, option }) =>
    by === "proxy" ? el("p", { class: "notice-text" }, "This proxy answered in the server's place", option ? [": ", wire(option, "mono")] : "", ".") : null;
  const brokeOff = (who) =>
    who && who.by === "proxy"
      ? el("p", { class: "notice-text" }, "This proxy ended it", who.option ? [": ", wire(who.option, "mono")] : "", who.said ? [" (", wire(who.said), ")"] : "", ".")
      : null;
  const message = (id, title, first, side, who) =>
    section(id, title, el("p", { class: "start-line" }, first), answeredBy(side), brokeOff(who), body(side), changes(side.changes),
      table(`${title}: headers`, ["Header", "Value", "Meaning"], side.headers.map(header), "headers"));

  // A failed try leads to the story's end, and the end to the tries before it.
  const story = ({ transfer, flow_id: flow }) => {
    if (!transfer) return null;
    if (transfer.healed) {
      const chain = (cosInspect.store.summary.retries || []).find((one) => one.flows.includes(flow));
      const last = chain && cosInspect.store.rowOfFlow(chain.flows.at(-1));
      return el("p", { class: "notice-text" }, "A later try of this request came through", last ? [": flow ", flowLink(last.n)] : "", ".");
    }
    const rows = (transfer.earlier_tries || []).map(cosInspect.store.rowOfFlow).filter(Boolean);
    return rows.length ? el("p", { class: "notice-text" }, "Failed before: ", rows.map((row, i) => [i ? ", " : "", flowLink(row.n)]), ".") : null;
  };

  // `near` has the numbers of the flows before and behind it in the list.
  const crumbs = (near) =>
    el("nav", { class: "crumbs", "aria-label": "Flow" }, el("a", { href: near.back, id: "back" }, near.back === "#" ? "← Overview" : "← Flows"), step(near.before, "Previous"), step(near.after, "Next"));
  const step = (number, label) => (number === undefined ? el("span", { class: "step off", "aria-hidden": "true" }, label) : el("a", { class: "step", href: `#${number6(number)}` }, label));
  const page = (report, near) => {
    const { cos, request, response } = report;
    return el("div", { class: "flow-page" },
      crumbs(near),
      el("h1", { tabindex: -1 }, badge(report.verdict), " ", el("span", { class: "muted" }, `#${report.sequence}`), " ", wire(cos.operation), " ",
        el("span", { class: `code ${!response || response.status >= 400 ? "bad" : ""}` }, response ? String(response.status) : "no answer")),
      el("p", { class: "object" }, wire(cos.key ?? cos.bucket ?? request.url, "mono", 300)),
      story(report),
      take(report),
      cosInspect.compare.chooser(report),
      report.findings.length
        ? el("section", { class: "found", "aria-labelledby": "found-title" }, el("h2", { id: "found-title", class: "unseen" }, "Findings"), bySeverity(report.findings).map(card))
        : el("p", { class: "fine" }, "Nothing was found."),
      report.ticket ? section("ticket", "For a ticket", el("p", { class: "ticket" }, wire(report.ticket, "mono"))) : null,
      error(report.error),
      report.checks.length ? section("checks", "Checks", checks(report.checks)) : null,
      section("about", "About", about(report)),
      section("timing", "Time", cosInspect.charts.phases(report.timing) || el("p", null, "No times were seen.")),
      message("request", "Request", [wire(`${request.method} ${request.url}`, "mono"), " ", request.http_version], request),
      response
        ? message("response", "Response", [wire(`${response.status} ${response.reason}`, "mono"), " ", response.http_version], response, report.broke_off)
        : section("response", "Response", el("p", null, "There was no answer."), brokeOff(report.broke_off)));
  };

  cosInspect.flowPage = page;
  cosInspect.flowCrumbs = crumbs;
  cosInspect.flowLink = flowLink;
})();
