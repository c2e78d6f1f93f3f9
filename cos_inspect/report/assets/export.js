"use strict";
// Flows as one file to send on, a HAR or one for mitmproxy: as the reports say them, so masked as
// these are, and without bodies.
(() => {
  const { el, count, say } = cosInspect.dom;
  const store = cosInspect.store;
  const MOST = 20_000;

  // Of a value beyond this a report has the beginning; it is made too long to be judged again.
  const CUT_AT = 1024;
  const UNREAD = 65_537;
  const whole = (value) => (value.length === CUT_AT ? value.padEnd(UNREAD, "…") : value);
  const fields = (headers) => headers.map(({ name, value }) => ({ name, value: whole(value) }));
  const version = (text) => text || "HTTP/1.1";
  const known = (number) => (number === null || number === undefined ? -1 : number);
  const headerOf = (headers, name) => headers.find((one) => one.name.toLowerCase() === name)?.value || "";
  const asked = (url) =>
    (url.split("?").slice(1).join("?") || "").split("&").filter(Boolean).map((piece) => {
      const [name, ...rest] = piece.split("=");
      return { name, value: rest.join("=") };
    });
  const entry = (report) => {
    const { request, response, timing, findings } = report;
    return {
      startedDateTime: report.started || "1970-01-01T00:00:00.000Z",
      time: timing.total_ms ?? 0,
      request: {
        method: request.method, url: request.url, httpVersion: version(request.http_version), cookies: [], headers: fields(request.headers),
        queryString: asked(request.url), headersSize: -1, bodySize: known(request.body.size),
      },
      response: response
        ? { status: response.status, statusText: response.reason, httpVersion: version(response.http_version), cookies: [], headers: fields(response.headers),
            content: { size: response.body.size ?? 0, mimeType: headerOf(response.headers, "content-type"), comment: "the body is left out" },
            redirectURL: headerOf(response.headers, "location"), headersSize: -1, bodySize: known(response.body.size) }
        : { status: 0, statusText: "", httpVersion: "", cookies: [], headers: [], content: { size: 0, mimeType: "" }, redirectURL: "", headersSize: -1, bodySize: -1 },
      cache: {},
      timings: { send: known(timing.request_ms), wait: known(timing.wait_ms), receive: known(timing.response_ms), connect: known(timing.connect_ms), ssl: known(timing.tls_ms) },
      comment: [report.verdict, ...findings.map((one) => one.rule)].join(", "),
      _cosInspect: report,
    };
  };
  // The reports of `rows`, made into something by `one`.
  const made = async (rows, one) => {
    const wanted = new Set(rows.map((row) => row.n));
    const found = [];
    await store.scan((reports) => {
      for (const [number, json] of reports) if (wanted.has(number)) found.push(one(JSON.parse(json)));
    });
    return found;
  };
  // Of runs with cos_redact=false, secrets go along.
  const areMasked = (rows) => {
    const open = new Set((store.summary.runs || []).filter((run) => run.masked === false).map((run) => run.id));
    return !rows.some((row) => open.has(row.run));
  };
  const har = async (rows) => {
    const entries = await made(rows, entry);
    const how = areMasked(rows) ? "masked, without bodies" : "not masked (cos_redact=false), without bodies";
    return { log: { version: "1.2", creator: { name: "cos_inspect", version: "1", comment: how }, entries } };
  };
  // The bytes of a file for mitmproxy, in pieces.
  const mitm = (rows) => made(rows, cosInspect.mitm);
  const save = async (rows, name, content) => {
    say(`Reading ${count(rows.length, "report")} …`, 60_000);
    const address = URL.createObjectURL(new Blob(await content(), { type: "application/octet-stream" }));
    el("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    say(`${count(rows.length, "flow")} saved as ${name}`);
  };
  // `rows` are those of the list.
  const buttons = (rows) => {
    if (!rows.length) return null;
    const few = rows.slice(0, MOST);
    const masked = areMasked(few);
    const how = masked ? "Masked as the reports are, and without bodies: to send on" : "Not masked, for cos_redact was off: secrets go along";
    const what = rows.length > MOST ? `the first ${count(MOST, "flow")}` : count(rows.length, "flow");
    const button = (label, name, content) =>
      el("button", { type: "button", class: "more", title: how, onclick: () => save(few, name, content) }, label);
    return el("div", { class: "save", role: "group", "aria-label": "Save" },
      button(`Save ${what} as HAR`, "cos-flows.har", async () => [JSON.stringify(await har(few), null, 1)]),
      button("as .mitm", "cos-flows.mitm", () => mitm(few)),
      masked ? null : el("strong", { class: "bad" }, "with secrets: cos_redact was off"));
  };

  cosInspect.exported = { buttons, har, mitm, whole };
})();
