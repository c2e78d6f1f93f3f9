"use strict";
// Two flows side by side: what differs between the requests, and which difference matters.
// The same as compare.py, which a test holds it equal to.
(() => {
  const { el, wire, visible, badge, section, table, time, flowLink, number6 } = cosInspect.dom;
  const store = cosInspect.store;
  const LONGEST = 120;
  const NONE = "none";
  const NO_TIME = "no time is signed";

  const unquoted = (text) => {
    // Bytes that are no UTF-8 become replacement characters, as in Python.
    const bytes = [];
    const source = new TextEncoder().encode(text);
    for (let at = 0; at < source.length; at += 1) {
      const hex = source[at] === 37 ? String.fromCharCode(...source.subarray(at + 1, at + 3)) : "";
      if (/^[0-9a-f]{2}$/i.test(hex)) {
        bytes.push(parseInt(hex, 16));
        at += 2;
      } else bytes.push(source[at]);
    }
    return new TextDecoder().decode(new Uint8Array(bytes));
  };
  const cut = (text, mark) => {
    const at = text.indexOf(mark);
    return at < 0 ? [text, "", ""] : [text.slice(0, at), mark, text.slice(at + mark.length)];
  };
  const short = (text) => {
    const signs = [...text];
    return signs.length <= LONGEST ? text : `${signs.slice(0, LONGEST - 1).join("")}…`;
  };
  const byCode = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const names = (text) => new Set(text.toLowerCase().split(";").filter(Boolean));
  const fieldsOf = (text) => Object.fromEntries(text.split(/[&, ]/).map((piece) => cut(piece, "=")).filter(([name, equals]) => equals && name).map(([name, , value]) => [name.toLowerCase(), value]));

  const signingOf = (authorization, query) => {
    let fields = fieldsOf(authorization);
    let where = "header";
    if (!Object.keys(fields).length) {
      where = "URL";
      fields = { ...query, ...("sign" in query ? fieldsOf(query.sign) : {}) };
    }
    const none = { secretId: "", headers: new Set(), parameters: new Set(), start: null, end: null };
    if ("q-ak" in fields) {
      const window = /^([0-9]{1,11});([0-9]{1,11})$/.exec(fields["q-sign-time"] || "");
      return {
        how: `COS signature in the ${where}`,
        secretId: fields["q-ak"],
        headers: names(fields["q-header-list"] || ""),
        parameters: names(fields["q-url-param-list"] || ""),
        start: window ? Number(window[1]) : null,
        end: window ? Number(window[2]) : null,
      };
    }
    const credential = fields.credential || fields["x-amz-credential"];
    if (credential) {
      const signed = fields.signedheaders || fields["x-amz-signedheaders"] || "";
      return { ...none, how: `AWS4 signature in the ${where}`, secretId: cut(credential, "/")[0], headers: names(signed) };
    }
    return { ...none, how: authorization || "sign" in query ? "another scheme" : "not signed" };
  };

  const read = (report) => {
    const known = cosInspect.differences;
    const [scheme, , rest] = cut(report.request.url, "://");
    const [address, , query] = cut(rest, "?");
    const [host, slash, path] = cut(address, "/");
    const headers = new Map();
    for (const { name, value } of report.request.headers) {
      const lower = name.toLowerCase();
      headers.set(lower, headers.has(lower) ? `${headers.get(lower)}, ${value}` : value);
    }
    if (!headers.has("host")) headers.set("host", host);
    const pairs = query.split("&").map((piece) => cut(piece, "=")).filter(([name]) => name).map(([name, , value]) => [name, value]);
    const ofSignature = {};
    for (const [name, value] of pairs) {
      if (known.signature_parameters.includes(unquoted(name).toLowerCase())) ofSignature[name.toLowerCase()] = unquoted(value);
    }
    const tokens = known.elsewhere.filter((name) => name.endsWith("-token")).flatMap((name) => [headers.get(name), ofSignature[name]]).filter(Boolean);
    return {
      report,
      signing: signingOf(headers.get("authorization") || "", ofSignature),
      scheme,
      host: headers.get("host").toLowerCase(),
      path: slash + path,
      query: pairs.filter(([name]) => !known.signature_parameters.includes(unquoted(name).toLowerCase())),
      headers,
      token: tokens.join(", "),
      started: report.started === null ? null : Date.parse(report.started) / 1000,
    };
  };

  const clientOf = ({ cos }) => (cos.client ? [cos.client.name, cos.client.version, cos.client.wrapper ? `(${cos.client.wrapper})` : null].filter(Boolean).join(" ") : "");
  const SINGLE = [
    ["method", (each) => each.report.request.method],
    ["scheme", (each) => each.scheme],
    ["signing", (each) => each.signing.how],
    ["secret-id", (each) => each.signing.secretId],
    ["token", (each) => each.token],
    ["client", (each) => clientOf(each.report)],
    ["http-version", (each) => each.report.request.http_version],
    ["ids", (each) => each.report.ids.request_id || ""],
  ];

  // By the same scheme in another place; a form's signature is not part of a report.
  const signedAlike = (one, other) => cut(one.signing.how, " ")[0] === cut(other.signing.how, " ")[0] || [one, other].some((each) => each.report.cos.operation === "PostObject");
  const isPlain = (each) => /^[A-Za-z0-9\-_.~/]*$/.test(unquoted(each.path));
  const ofPlace = (one, other, found) => {
    const mine = one.report.cos;
    const theirs = other.report.cos;
    if (mine.bucket !== theirs.bucket) found("bucket", "", mine.bucket || NONE, theirs.bucket || NONE);
    if (mine.region !== theirs.region) found("region", "", mine.region || NONE, theirs.region || NONE);
    else if (one.host !== other.host && mine.bucket === theirs.bucket) found("host", "", one.host, other.host);
    if (one.path === other.path) return;
    if (unquoted(one.path) === unquoted(other.path)) {
      found("escape", "", one.path, other.path);
      return;
    }
    // As people write it.
    if (mine.key && theirs.key && mine.key !== theirs.key) found("path", "", `/${mine.key}`, `/${theirs.key}`);
    else found("path", "", one.path, other.path);
    if (isPlain(one) !== isPlain(other)) found("characters", "", mine.key || one.path, theirs.key || other.path);
  };

  const span = (seconds) => {
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
    }
    return `${Math.trunc(seconds)} s`;
  };
  const stateOfTime = ({ signing: { start, end }, started }) => {
    if (start === null || started === null) return NO_TIME;
    if (start - started > cosInspect.differences.skew_seconds) return `begins ${span(start - started)} after it was sent`;
    return started > end ? `ended ${span(started - end)} before it was sent` : "valid when it was sent";
  };
  const ofTimes = (one, other, found) => {
    const mine = one.report.started || "unknown";
    const theirs = other.report.started || "unknown";
    if (mine !== theirs) found("time", "", mine, theirs);
    const states = [stateOfTime(one), stateOfTime(other)];
    if (states[0] !== states[1] && !states.includes(NO_TIME)) found(states.some((state) => state.startsWith("begins")) ? "clock" : "validity", "", ...states);
  };

  const withSigning = (value, signed) => {
    if (value === undefined) return signed ? "signed, but not in the request" : NONE;
    return `${value} (${signed ? "signed" : "not signed"})`;
  };
  const expectText = (value, signed) => (value === undefined && !signed ? NONE : withSigning(value, signed));
  const ofHeaders = (one, other, found, code) => {
    const { elsewhere, expected, need_no_signature: common } = cosInspect.differences;
    const decisive = Object.hasOwn(cosInspect.differences.decisive, code) ? cosInspect.differences.decisive[code] : [];
    const all = new Set([...one.headers.keys(), ...other.headers.keys(), ...one.signing.headers, ...other.signing.headers]);
    for (const name of [...all].sort(byCode)) {
      const mine = one.headers.get(name);
      const theirs = other.headers.get(name);
      const signed = [one.signing.headers.has(name), other.signing.headers.has(name)];
      if (name === "expect") {
        const texts = [expectText(mine, signed[0]), expectText(theirs, signed[1])];
        if (texts[0] !== texts[1]) found("expect", "", ...texts);
      } else if (signed[0] !== signed[1] && one.signing.headers.size && other.signing.headers.size) {
        const kind = common.includes(name) ? "unsigned-common" : mine === undefined || theirs === undefined ? "header-signed" : "unsigned-header";
        found(kind, name, withSigning(mine, signed[0]), withSigning(theirs, signed[1]));
      } else if (!elsewhere.includes(name) && mine !== theirs) {
        const kind = expected.includes(name) && !decisive.includes(name) ? "header-expected" : signed[0] || signed[1] ? "header-signed" : "header";
        found(kind, name, mine ?? NONE, theirs ?? NONE);
      }
    }
  };

  const queryText = (each) => each.query.map(([name, value]) => (value ? `${name}=${value}` : name)).join("&");
  const valuesByName = new WeakMap();
  const values = (each, name) => {
    let grouped = valuesByName.get(each);
    if (!grouped) {
      grouped = new Map();
      for (const [its, value] of each.query) {
        if (!grouped.has(its)) grouped.set(its, []);
        grouped.get(its).push(value || '""');
      }
      valuesByName.set(each, grouped);
    }
    return grouped.get(name)?.join(", ") ?? NONE;
  };
  const ofParameters = (one, other, found) => {
    const list = (each) => each.query.map((pair) => pair.join("="));
    if (list(one).sort().join("&") === list(other).sort().join("&")) {
      if (list(one).join("&") !== list(other).join("&")) found("parameter-order", "", queryText(one), queryText(other));
      return;
    }
    for (const name of [...new Set([...one.query, ...other.query].map(([its]) => its))].sort(byCode)) {
      const [mine, theirs] = [values(one, name), values(other, name)];
      if (mine === theirs) continue;
      const lower = name.toLowerCase();
      const signed = one.signing.parameters.has(lower) || other.signing.parameters.has(lower);
      found(signed ? "parameter-signed" : "parameter", name, mine, theirs);
    }
  };

  const bodyText = ({ size, md5 }) => (size === null ? "unknown" : `${size} bytes${md5 ? `, MD5 ${md5}` : ""}`);
  const checksOf = (report) => {
    const found = new Map();
    for (const { check, status } of report.checks) if (found.get(check) !== "mismatch") found.set(check, status);
    return found;
  };
  const address = ({ report }) => (report.connection?.by_address ? "by IP address" : "by name");
  const ofBodies = (one, other, found) => {
    const mine = one.report.request.body;
    const theirs = other.report.request.body;
    const differ = (a, b) => a !== null && b !== null && a !== b;
    if (["size", "md5", "crc64ecma"].some((member) => differ(mine[member], theirs[member]))) found("body", "", bodyText(mine), bodyText(theirs));
    const [here, there] = [checksOf(one.report), checksOf(other.report)];
    for (const name of [...new Set([...here.keys(), ...there.keys()])].sort(byCode)) {
      const pair = [here.get(name), there.get(name)];
      if (pair.includes("mismatch") && pair[0] !== pair[1]) found("check", name, pair[0] ?? "not made", pair[1] ?? "not made");
    }
    if (address(one) !== address(other)) found("address", "", address(one), address(other));
  };

  const sameOf = (one, other) => {
    const { kinds, elsewhere } = cosInspect.differences;
    const same = [];
    for (const [kind, value] of SINGLE) {
      if (kind !== "ids" && value(one) && value(one) === value(other)) same.push(`${kinds[kind].title}: ${short(value(one))}`);
    }
    if (one.host === other.host) same.push(`${kinds.host.title}: ${short(one.host)}`);
    if (one.path === other.path) same.push(`${kinds.path.title}: ${short(one.path)}`);
    const alike = [...one.headers].filter(([name, value]) => !elsewhere.includes(name) && other.headers.get(name) === value).map(([name]) => name);
    if (alike.length) same.push(`Headers: ${alike.sort(byCode).join(", ")}`);
    const parameters = [...new Set(one.query.map(([name]) => name).filter((name) => values(one, name) === values(other, name)))];
    if (parameters.length) same.push(`Parameters: ${parameters.sort(byCode).join(", ")}`);
    return same;
  };

  const failed = (report) => !report.response || report.response.status >= 400 || report.verdict === "error";
  const headline = (first, second, found) => {
    const worst = found.find((each) => each.matters);
    if (!worst) {
      const text = "Nothing that matters differs between the requests";
      const codes = [first.error?.code ?? null, second.error?.code ?? null];
      if (codes.includes("SignatureDoesNotMatch") && codes[0] !== codes[1]) return `${text}; how the client signs, and with which SecretKey, cannot be seen on the wire.`;
      if (failed(first) !== failed(second)) return `${text}; the reason lies at COS or on the way: rights, state or load at that moment.`;
      return codes[0] === codes[1] ? `${text}.` : `${text}; they failed for other reasons: ${codes[0] || NONE}, ${codes[1] || NONE}.`;
    }
    let places = ["here", "there"];
    if (failed(first) !== failed(second)) {
      places = ["in the one that failed", "in the one that worked"];
      if (failed(second)) places.reverse();
    }
    const { title } = cosInspect.differences.kinds[worst.kind];
    return `${title}${worst.name ? ` ${worst.name}` : ""}: ${worst.first} ${places[0]}, ${worst.second} ${places[1]}. ${worst.why}`;
  };

  const compare = (first, second) => {
    const { kinds } = cosInspect.differences;
    const [one, other] = [read(first), read(second)];
    const code = first.error?.code || second.error?.code;
    const weight = (kind) => kinds[kind].weight + (kinds[kind].codes.includes(code) ? 100 : 0);
    const differences = [];
    const found = (kind, name, mine, theirs) =>
      differences.push({ kind, name, first: short(mine), second: short(theirs), matters: kinds[kind].weight > 0, why: kinds[kind].why });
    for (const [kind, value] of SINGLE) {
      const [mine, theirs] = [value(one), value(other)];
      if (mine === theirs || (kind === "secret-id" && !(mine && theirs))) continue;
      found(kind === "signing" && signedAlike(one, other) ? "signing-place" : kind, "", mine || NONE, theirs || NONE);
    }
    for (const look of [ofPlace, ofTimes, ofHeaders, ofParameters, ofBodies]) look(one, other, found, code);
    differences.sort((a, b) => weight(b.kind) - weight(a.kind));
    return { headline: headline(first, second, differences), differences, same: sameOf(one, other) };
  };

  // The nearest in time that worked, of the same operation, bucket and client; null where none did.
  const rowFailed = (row) => row.status === undefined || row.status === null || row.status >= 400 || row.verdict === "error";
  const candidates = (row) =>
    store.all().filter((each) => each.n !== row.n && each.op === row.op && !rowFailed(each))
      .map((each) => ({ each, alike: 2 * (each.bucket === row.bucket) + (each.client === row.client && each.version === row.version), apart: each.at === null || row.at === null ? Infinity : Math.abs(each.at - row.at) }))
      .sort((a, b) => b.alike - a.alike || (a.apart === b.apart ? 0 : a.apart - b.apart)).map(({ each }) => each);
  const address_ = (first, second) => `#compare=${number6(first)},${number6(second)}`;

  // "Compare with …" on a flow's page: the flow that is proposed, and a place for any other.
  const chooser = (report) => {
    const row = store.row(report.sequence);
    const near = row ? candidates(row).slice(0, 50) : [];
    const box = el("input", { id: "compare-with", inputmode: "numeric", list: "compare-proposed", autocomplete: "off", oninput: () => box.setCustomValidity(""), value: near.length ? String(near[0].n) : null, placeholder: "number" });
    const go = (event) => {
      event.preventDefault();
      const number = Number(box.value.replace(/^\s*#/, ""));
      if (store.row(number)) location.hash = address_(report.sequence, number);
      else box.setCustomValidity(`There is no flow ${box.value}.`); // Till something else is typed.
      box.reportValidity();
    };
    return el("form", { class: "compare-with", onsubmit: go },
      el("label", { for: "compare-with" }, "Compare with flow "), box,
      el("datalist", { id: "compare-proposed" }, near.map((each) => el("option", { value: String(each.n) }, `${visible(each.key || each.bucket || "")} ${each.started || ""}`))),
      el("button", { class: "copy" }, "Compare"),
      near.length ? null : el("small", { class: "muted" }, cosInspect.totals.counts() ? " No flow that is listed, and of this operation, has worked." : " No flow of this operation has worked."));
  };

  const mark = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  const rowOf = (one, other) => ({ kind, name, first, second, matters, why }) =>
    el("tr", { class: matters ? "matters" : "no-matter" },
      el("th", { scope: "row" }, cosInspect.differences.kinds[kind].title, name ? [" ", wire(name, "mono")] : null),
      el("td", { class: "value", "data-label": `#${one.sequence}` }, wire(first, "mono")), el("td", { class: "value", "data-label": `#${other.sequence}` }, wire(second, "mono")),
      el("td", { class: "meaning" }, matters ? null : el("span", { class: "muted" }, "Does not matter. "), mark(why)));
  const outcome = (report) =>
    el("li", null, flowLink(report.sequence), " ", badge(report.verdict), " ", wire(report.cos.operation), " ",
      el("span", { class: `code ${failed(report) ? "bad" : ""}` }, report.response ? String(report.response.status) : "no answer"), " ",
      report.error?.code ? [wire(report.error.code, "mono"), " "] : null, wire(report.cos.key ?? report.request.url, "mono", 300),
      report.started ? el("small", { class: "muted" }, ` ${time(Date.parse(report.started), true)} UTC`) : null);

  const page = (first, second) => {
    const { headline: line, differences, same } = compare(first, second);
    const columns = ["What", `#${first.sequence}`, `#${second.sequence}`, "What it means"];
    const [some, others] = [differences.filter((each) => each.matters), differences.filter((each) => !each.matters)];
    const { button } = cosInspect.copy;
    const row = rowOf(first, second);
    return el("div", { class: "compare-page" },
      el("nav", { class: "crumbs", "aria-label": "Compare" },
        el("a", { href: `#${number6(first.sequence)}`, id: "back" }, `← #${first.sequence}`), el("a", { class: "step", href: address_(second.sequence, first.sequence) }, "Swap")),
      el("h1", { tabindex: -1 }, `#${first.sequence} beside #${second.sequence}`),
      el("p", { class: "headline", id: "headline" }, wire(line)),
      el("ul", { class: "outcomes" }, [first, second].map(outcome)),
      el("div", { class: "take", role: "group", "aria-label": "Copy" },
        button("Copy as text", () => [line, ...differences.map((each) => `${cosInspect.differences.kinds[each.kind].title}${each.name ? ` ${each.name}` : ""}: ${each.first} | ${each.second}`)].join("\n"), "Comparison"),
        button("Copy cos.compare", `cos.compare @${first.flow_id},${second.flow_id}`, "Command for mitmweb"),
        button("Copy shell command", `cos-inspect compare ${first.sequence} ${second.sequence}`, "Command")),
      some.length ? section("matters", "What differs and matters", table("What differs and matters", columns, some.map(row), "compare")) : null,
      others.length ? el("details", { class: "panel" }, el("summary", null, `Expected to differ, or without effect (${others.length})`), table("What differs without effect", columns, others.map(row), "compare")) : null,
      same.length ? el("details", { class: "panel" }, el("summary", null, `The same in both (${same.length})`), el("ul", null, same.map((text) => el("li", null, wire(text))))) : null);
  };

  const show = async (first, second) => page(await store.report(first), await store.report(second));
  cosInspect.compare = { compare, chooser, show };
})();
