"use strict";
// Findings, and two values side by side with what differs marked.
(() => {
  const { el, wire, label, folded, visible, icon } = cosInspect.dom;
  const MOST_SAME = 400;
  const MOST_DIFFERENT = 1200;
  const { LINES } = cosInspect.words;

  // [same, different, same] of each: what they share at both ends is not marked.
  const apart = (one, other) => {
    let start = 0;
    while (start < one.length && start < other.length && one[start] === other[start]) start += 1;
    let end = 0;
    const most = Math.min(one.length, other.length) - start;
    while (end < most && one[one.length - 1 - end] === other[other.length - 1 - end]) end += 1;
    const cut = (text) => [text.slice(0, start), text.slice(start, text.length - end), text.slice(text.length - end)];
    return [cut(one), cut(other)];
  };
  const marked = ([before, different, after]) =>
    el("bdi", { class: "wire" }, folded(visible(before), MOST_SAME, true),
      different === "" ? el("mark", { class: "gap" }, el("span", { class: "unseen" }, "nothing here")) : el("mark", null, folded(visible(different), MOST_DIFFERENT)),
      folded(visible(after), MOST_SAME));
  const differing = (one, other) => apart(String(one), String(other)).map(marked);

  const PAIRS = [
    ["cos_has", "wire_has", "COS has", "on the wire"],
    ["expected", "actual", "expected", "actual"],
    ["asked", "confirmed", "asked for", "confirmed"],
    ["header", "body", "in the header", "in the body"],
  ];
  const plain = (value) => typeof value === "string" || typeof value === "number";
  const pairIn = (data) =>
    PAIRS.find(([one, other]) => plain(data[one]) && plain(data[other]) && (one !== "header" || data[one] !== data[other]));

  const comparison = (data) => {
    const pair = pairIn(data);
    if (!pair) return null;
    const [one, other] = differing(data[pair[0]], data[pair[1]]);
    const where = data.line ? `${LINES[data.line] || data.line}${data.name ? ` ${data.name}` : ""}` : "";
    return el("div", { class: "comparison" },
      where ? el("p", { class: "where" }, "First difference: ", wire(where)) : null,
      el("dl", null,
        el("div", null, el("dt", null, pair[2]), el("dd", null, one)),
        el("div", null, el("dt", null, pair[3]), el("dd", null, other))));
  };

  const value = (data) => {
    if (Array.isArray(data)) {
      if (data.every((item) => plain(item) || item === null)) return wire(data.join(", "));
      return el("ul", { class: "values" }, data.map((item) => el("li", null, value(item))));
    }
    if (data !== null && typeof data === "object") return evidence(data);
    const lines = String(data ?? "none").replace(/\n$/, "").split("\n");
    return lines.length > 1 ? el("div", { class: "lines" }, lines.map((line) => el("div", null, wire(line)))) : wire(lines[0]);
  };
  const evidence = (data) => {
    const entries = Object.entries(data).filter(([, item]) => item !== null && item !== "");
    if (!entries.length) return null;
    const pair = pairIn(data);
    const told = pair ? [pair[0], pair[1], ...(pair[0] === "cos_has" ? ["line", "name", "at", "cos_part", "wire_part"] : [])] : [];
    const shown = entries.filter(([name]) => !told.includes(name));
    return el("div", null, comparison(data),
      shown.length
        ? el("dl", { class: "evidence" }, shown.map(([name, item]) => el("div", null, el("dt", null, visible(name.replaceAll("_", " "))), el("dd", null, value(item)))))
        : null);
  };

  const card = (finding) =>
    el("article", { class: `finding ${finding.severity}` },
      el("h3", null, icon(finding.severity), el("span", { class: "unseen" }, `${finding.severity}: `), label(finding.title), " ",
        el("code", { class: "rule" }, finding.rule)),
      el("p", { class: "detail" }, wire(finding.detail)),
      finding.fix ? el("p", { class: "fix" }, el("strong", null, "What to do: "), wire(finding.fix)) : null,
      evidence(finding.evidence || {}));

  const RANK = { error: 0, warning: 1, notice: 2 };
  const bySeverity = (findings) => [...(findings || [])].sort((a, b) => RANK[a.severity] - RANK[b.severity]);

  const checkLine = (check) => {
    const both = check.expected !== null && check.actual !== null && check.expected !== undefined;
    const [one, other] = both && check.status === "mismatch" ? differing(check.expected, check.actual)
      : [check.expected, check.actual].map((text) => (text === null || text === undefined ? "" : wire(text)));
    const verdict = { match: "ok", mismatch: "error" }[check.status];
    const reason = check.reason ? cosInspect.words.REASONS[check.reason] || check.reason : null;
    return el("tr", { class: `check ${check.status}` },
      el("td", null, el("code", null, check.check), el("span", { class: "side" }, check.body)),
      el("td", { class: "state" }, verdict ? icon(verdict) : el("span", { class: "dash", "aria-hidden": "true" }), check.status),
      reason ? el("td", { colspan: 2, class: "reason" }, reason, " ", el("code", null, check.reason))
        : [el("td", { class: "value", "data-label": "expected" }, one), el("td", { class: "value", "data-label": "actual" }, other)]);
  };
  const ORDER = { mismatch: 0, match: 1, skipped: 2 };
  const checks = (list) =>
    cosInspect.dom.table("Checks", ["Check", "Result", "Expected", "Actual"],
      [...list].sort((a, b) => ORDER[a.status] - ORDER[b.status]).map(checkLine), "checks");

  cosInspect.findings = { card, bySeverity, checks, differing };
})();
