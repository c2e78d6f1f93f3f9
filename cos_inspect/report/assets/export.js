"use strict";
// Flows as one HAR to send on: masked as the reports are, without bodies.
(() => {
  const { el, count, say } = cosInspect.dom;
  const store = cosInspect.store;
  const MOST = 20_000;

  const fields = (headers) => headers.map(({ name, value }) => ({ name, value }));
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
  const har = async (rows) => {
    const wanted = new Set(rows.map((row) => row.n));
    const entries = [];
    await store.scan((reports) => {
      for (const [number, json] of reports) if (wanted.has(number)) entries.push(entry(JSON.parse(json)));
    });
    return { log: { version: "1.2", creator: { name: "cos_inspect", version: "1", comment: "masked, without bodies" }, entries } };
  };
  const save = async (rows) => {
    say(`Reading ${count(rows.length, "report")} …`, 60_000);
    const text = JSON.stringify(await har(rows), null, 1);
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    el("a", { href: address, download: "cos-flows.har" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    say(`${count(rows.length, "flow")} saved as cos-flows.har`);
  };
  // `rows` are those of the list.
  const button = (rows) => {
    if (!rows.length) return null;
    const few = rows.slice(0, MOST);
    return el("button", { type: "button", class: "more", title: "Masked as the reports are, and without bodies: to send on", onclick: () => save(few) },
      `Save ${rows.length > MOST ? `the first ${count(MOST, "flow")}` : count(rows.length, "flow")} as HAR`);
  };

  cosInspect.exported = { button, har };
})();
