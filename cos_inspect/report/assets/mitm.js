"use strict";
// Flows as a file that mitmproxy opens: the heads as the reports have them, and of the bodies
// the facts that the inspector leaves on a flow whose body it does not hold.
(() => {
  const VERSION = 21;
  const NOWHERE = ["", 0];
  const MARKERS = { ok: ":green_circle:", notice: ":large_blue_circle:", warning: ":orange_circle:", error: ":red_circle:" };
  const utf8 = new TextEncoder();

  // Tagged netstrings: the length, a colon, the value, and a sign for its type.
  class Bytes {
    constructor(text) {
      this.content = utf8.encode(text);
    }
  }
  class Float {
    constructor(value) {
      this.value = value;
    }
  }
  const bytes = (text) => new Bytes(text ?? "");
  const moment = (value) => (value === null || value === undefined ? null : new Float(value));
  const joined = (pieces) => {
    const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  };
  const framed = (content, sign) => joined([utf8.encode(`${content.length}:`), content, utf8.encode(sign)]);
  const encoded = (value) => {
    if (value === null || value === undefined) return utf8.encode("0:~");
    if (value instanceof Bytes) return framed(value.content, ",");
    if (value instanceof Float) return framed(utf8.encode(String(value.value)), "^");
    if (typeof value === "boolean") return framed(utf8.encode(String(value)), "!");
    if (typeof value === "number") return framed(utf8.encode(String(value)), "#");
    if (typeof value === "string") return framed(utf8.encode(value), ";");
    if (Array.isArray(value)) return framed(joined(value.map(encoded)), "]");
    return framed(joined(Object.entries(value).flatMap(([name, one]) => [encoded(name), encoded(one)])), "}");
  };

  const fields = (headers) => headers.map(({ name, value }) => [bytes(name), bytes(cosInspect.exported.whole(value))]);
  const peer = (text) => {
    const found = /^\[?(.+?)\]?:(\d+)$/.exec(text || "");
    return found ? [found[1], Number(found[2])] : null;
  };
  const cut = (url) => {
    const [, scheme, host, port, path] = /^(\w+):\/\/(\[[^\]]*\]|[^/:?]*)(?::(\d+))?(.*)$/s.exec(url) || [null, "https", "", "", url];
    return { scheme, host, port: Number(port) || (scheme === "http" ? 80 : 443), path: path || "/" };
  };
  const facts = (body, reasons) => {
    const end = reasons.has("proxy-stopped") && !body.complete ? "stopped" : body.size === null ? "not-captured" : reasons.has("not-inspected") ? "not-inspected" : reasons.has("re-encoded") ? "re-encoded" : body.complete ? "complete" : "cut";
    const inside = body.payload && { kind: body.payload.kind, size: body.payload.size, md5: body.payload.md5, crc64: body.payload.crc64ecma, complete: body.payload.complete, problem: body.payload.problem };
    return { end, size: body.size, md5: body.md5, crc64: body.crc64ecma, ...(inside ? { payload: inside } : {}) };
  };
  // What an error said, where the report has it: its bytes are gone, its facts are not.
  const document = (error) => {
    const parts = [["Code", error.code], ["Message", error.message], ["Resource", error.resource], ["RequestId", error.request_id], ["TraceId", error.trace_id]];
    const safe = (text) => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
    return `<Error>${parts.map(([name, text]) => (text ? `<${name}>${safe(text)}</${name}>` : "")).join("")}</Error>`;
  };

  // Headers that the proxy took away, which no list of headers has.
  const droppedOf = (findings) => {
    const names = findings.find((one) => one.rule === "signature-broken-by-proxy")?.evidence.headers;
    return names?.length ? { dropped: names.map((name) => [name, ""]) } : {};
  };

  // The state of a flow, as mitmproxy saves it.
  const state = (report) => {
    const { request, response, timing, connection } = report;
    const begin = report.started ? Date.parse(report.started) / 1000 : 0;
    const later = (from, ms) => (from === null || ms === null || ms === undefined ? null : from + ms / 1000);
    const asked = later(begin, timing.request_ms) ?? (response ? begin : null);
    const answered = response ? later(asked, timing.wait_ms) ?? asked : null;
    const ended = response && response.body.complete ? later(answered, timing.response_ms) ?? answered : null;
    const url = cut(request.url);
    const reasons = (side) => new Set(report.checks.filter((check) => check.body === side).map((check) => check.reason));
    const received = {
      ...(report.error?.code && !report.findings.some((one) => one.rule === "not-from-cos") ? { sample: document(report.error), sample_is_whole: true } : {}),
      ...(response?.by === "proxy" ? { answered_by: response.option || "another addon" } : {}),
      ...(report.broke_off ? { broke_off: { by: report.broke_off.by, option: report.broke_off.option } } : {}),
      ...(connection?.by_address ? { by_address: true } : {}),
      ...droppedOf(report.findings),
      ...(request.changes?.length ? { changes: request.changes } : {}),
    };
    const failed = report.broke_off || (!response && !reasons("request").has("proxy-stopped"));
    const connected = later(begin, -(timing.connect_ms ?? 0) - (timing.tls_ms ?? 0));
    return {
      version: VERSION,
      type: "http",
      id: report.flow_id,
      backup: null,
      comment: [report.verdict, ...report.findings.map((one) => one.rule)].join(", "),
      error: failed ? { msg: report.broke_off?.said || "no answer", timestamp: moment(later(begin, timing.total_ms ?? 0)) } : null,
      intercepted: false,
      is_replay: null,
      marked: MARKERS[report.verdict] || "",
      metadata: {
        cos: {
          version: 1,
          started: moment(begin),
          verdict: report.verdict,
          operation: report.cos.operation,
          findings: report.findings.map((one) => one.rule),
          request_body: facts(request.body, reasons("request")),
          ...(response ? { response_body: facts(response.body, reasons("response")) } : {}),
          ...(Object.keys(received).length ? { received } : {}),
          ...(report.checks.some((check) => check.reason === "proxy-stopped") ? { proxy_stopped: true } : {}),
        },
      },
      timestamp_created: moment(begin),
      websocket: null,
      client_conn: {
        alpn: null, alpn_offers: [], certificate_list: [], cipher: null, cipher_list: [], error: null, id: `client-${report.flow_id}`, mitmcert: null,
        peername: peer(connection?.client) ?? NOWHERE, proxy_mode: "regular", sni: connection?.sni ?? null, sockname: NOWHERE, timestamp_end: null, timestamp_start: moment(begin),
        timestamp_tls_setup: connection?.tls ? moment(begin) : null, tls: Boolean(connection?.tls), tls_version: connection?.tls ?? null, transport_protocol: "tcp",
      },
      server_conn: {
        address: [url.host, url.port], alpn: null, alpn_offers: [], certificate_list: [], cipher: null, cipher_list: [], error: null, id: `server-${report.flow_id}`,
        peername: peer(connection?.server), sni: connection?.sni ?? null, sockname: null, timestamp_end: null,
        timestamp_start: timing.connect_ms === null ? null : moment(connected),
        timestamp_tcp_setup: timing.connect_ms === null ? null : moment(later(connected, timing.connect_ms)),
        timestamp_tls_setup: timing.tls_ms === null ? null : moment(later(connected, (timing.connect_ms ?? 0) + timing.tls_ms)),
        tls: url.scheme === "https", tls_version: null, transport_protocol: "tcp", via: null,
      },
      request: {
        method: bytes(request.method), scheme: bytes(url.scheme), authority: bytes(""), host: url.host, port: url.port, path: bytes(url.path),
        http_version: bytes(request.http_version || "HTTP/1.1"), headers: fields(request.headers), trailers: null,
        content: null, timestamp_start: moment(begin), timestamp_end: moment(asked),
      },
      response: response && {
        status_code: response.status, reason: bytes(response.reason), http_version: bytes(response.http_version || "HTTP/1.1"), headers: fields(response.headers),
        trailers: null, content: null, timestamp_start: moment(answered), timestamp_end: moment(ended),
      },
    };
  };

  // The bytes of one flow; a file is one after the other.
  cosInspect.mitm = (report) => encoded(state(report));
})();
