"use strict";
// How a client is put behind the proxy, and which devices came through it.
(() => {
  const { el, svg, wire, icon, time, count, section, table, facts } = cosInspect.dom;
  const { button } = cosInspect.copy;
  const store = cosInspect.store;
  const EDGE = 4;
  let known = null;

  const code = ({ title, text, modules }) => {
    const size = modules.length + 2 * EDGE;
    const dark = modules.flatMap((row, y) => [...row].map((sign, x) => (sign === "1" ? `M${x + EDGE} ${y + EDGE}h1v1h-1z` : ""))).join("");
    return el("figure", { class: "code" },
      svg("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": `QR code: ${title}`, "shape-rendering": "crispEdges" },
        svg("rect", { class: "paper", width: size, height: size }), svg("path", { class: "ink", d: dark })),
      el("figcaption", null, title, /^https?:/.test(text) ? [": ", el("code", null, text)] : ""));
  };
  const name = (host) => (host.includes(":") ? `[${host}]` : host);
  const address = (proxy) =>
    el("p", { class: "address" }, el("b", null, `${name(proxy.host)}:${proxy.port}`), " ", el("span", { class: "muted" }, proxy.mode, proxy.is_reachable ? "" : ", this machine alone"),
      button("Copy", `${name(proxy.host)}:${proxy.port}`, "Address"));

  const REFUSED = { "ca-not-trusted": "CA not trusted", pinned: "pinned", unclear: "closed in the handshake" };
  const tls = (device) => {
    const why = REFUSED[device.tls_refused] || "";
    switch (device.tls) {
      case "trusted": return [icon("ok"), " trusted"];
      case "mixed": return [icon("warning"), ` ok for some hosts, refused for others: ${why}`];
      case "refused": return [icon("error"), ` refused: ${why}`];
      case "doubtful": return [icon("notice"), " closed once after the handshake"];
      default: return el("span", { class: "muted" }, "none yet");
    }
  };
  const clock = (device) => {
    const off = device.clock_seconds;
    if (off === null || off === undefined) return el("span", { class: "muted" }, "unknown");
    if (Math.abs(off) < 2) return [icon("ok"), " right"];
    return [icon(Math.abs(off) >= 900 ? "error" : Math.abs(off) > 300 ? "warning" : "ok"), ` ${Math.abs(off).toLocaleString("en")} s ${off > 0 ? "ahead" : "behind"}`];
  };
  const adviceOf = (device) => known.advice[device.address] || [];
  const COLUMNS = ["Address", "Client", "TLS", "Flows", "Last seen", "Clock against ours", "What to do"];
  const line = (device) => {
    const row = cells(device);
    // Where the window is narrow, a cell is a line with its column's name.
    [...row.cells].forEach((cell, i) => cell.setAttribute("data-label", COLUMNS[i]));
    return row;
  };
  const cells = (device) =>
    el("tr", { "data-address": device.address },
      el("td", { class: "state" }, wire(device.address)),
      el("td", null, device.client ? wire([device.client, device.version].filter(Boolean).join(" ")) : el("span", { class: "muted" }, "unknown")),
      el("td", { class: "state" }, tls(device)),
      el("td", { class: "state" }, count(device.flows, "COS flow"), device.others ? el("span", { class: "muted" }, `, ${device.others.toLocaleString("en")} other`) : ""),
      el("td", null, device.last_seen ? `${time(Date.parse(device.last_seen)).slice(0, 8)} UTC` : ""),
      el("td", { class: "state" }, clock(device)),
      el("td", { class: "advice" }, adviceOf(device).map((text) => el("p", null, wire(text)))));
  const devices = () => {
    const found = store.summary.devices || [];
    return section("devices", found.length ? `${count(found.length, "device")} came through the proxy` : "No device came through the proxy yet",
      found.length ? table("Devices", COLUMNS, found.map(line), "devices")
        : el("p", null, "As soon as one connects, it stands here: what it is, whether it trusts the CA, and what keeps it from being seen."));
  };
  const platform = ({ client, steps }) =>
    el("details", { class: "panel platform" }, el("summary", null, client), el("ol", null, steps.map((step) => el("li", null, step))));

  const page = () =>
    el("div", { class: "setup" },
      el("div", { class: "heading" }, el("h1", { tabindex: -1 }, "Put a client behind this proxy"), el("p", { class: "meta" }, `mitmproxy ${known.mitmproxy}`)),
      section("address", "The proxy's address", known.proxies.map(address), known.remarks.length ? el("ul", { class: "remarks" }, known.remarks.map((text) => el("li", null, text))) : null),
      devices(),
      section("codes", "To scan", el("div", { class: "codes" }, known.codes.map(code)),
        known.wireguard ? button("Copy WireGuard configuration", known.wireguard, "Configuration") : null),
      known.clients.map(platform));

  const read = async () => {
    await store.load("setup.js");
    return page();
  };
  cosInspect.setupFacts = (text) => {
    known = JSON.parse(text);
  };
  cosInspect.setup = { read };
})();
