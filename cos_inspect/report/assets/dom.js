"use strict";
// Builds elements. Text from the wire only ever becomes text nodes.
(() => {
  const SVG = "http://www.w3.org/2000/svg";

  const fill = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  };
  const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  // What would not be seen, is taken for a space, or would turn the text around, is spelt out.
  const HIDDEN = /[\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]/gu;
  const visible = (text) =>
    String(text).replace(HIDDEN, (sign) => `\\u${sign.codePointAt(0).toString(16).padStart(4, "0")}`);
  const bdi = (name, ...parts) => el("bdi", { class: name ? `wire ${name}` : "wire" }, parts);

  // So long a text would push all else out of sight: the rest is a button away, and stays
  // unfolded when the page is renewed.
  const MOST = 1200;
  const unfolded = new Set();
  // The begin of a text, or with `atEnd` its end, and behind a button the rest.
  const folded = (text, most, atEnd = false) => {
    const kept = Math.floor(most * 0.75);
    if (text.length <= most || unfolded.has(text)) return text;
    // No pair of surrogates is torn.
    const isPair = (at) => /[\udc00-\udfff]/.test(text[at]);
    const cut = atEnd ? text.length - kept + isPair(text.length - kept) : kept - isPair(kept);
    const rest = atEnd ? cut : text.length - cut;
    const whole = document.createTextNode(text);
    const button = el("button", { type: "button", class: "unfold", onclick: () => {
      unfolded.add(text);
      shown.forEach((part) => part !== button && part.remove());
      button.replaceWith(whole);
    } }, atEnd ? "" : "… ", count(rest, "more character"), atEnd ? " …" : "");
    const shown = atEnd ? [button, document.createTextNode(text.slice(cut))] : [document.createTextNode(text.slice(0, cut)), button];
    return shown;
  };
  const wire = (text, name, most = MOST) => bdi(name, folded(visible(text), most));
  // In links, headings and lists, which have no room for more: cut, with all of it as title.
  const label = (text, name, most = 300) => {
    const whole = visible(text);
    const shown = bdi(name, whole.length > most ? `${[...whole.slice(0, most + 1)].slice(0, -1).join("")}…` : whole);
    if (whole.length > most) shown.title = whole;
    return shown;
  };

  const PATHS = {
    ok: "M3.5 8.5l3 3 6-7",
    notice: "M8 7.2v4.3M8 4.3v.4",
    warning: "M8 4.2v4.6M8 11.6v.2",
    error: "M4.8 4.8l6.4 6.4M11.2 4.8l-6.4 6.4",
  };
  const SHAPES = {
    ok: () => svg("circle", { cx: 8, cy: 8, r: 8 }),
    notice: () => svg("circle", { cx: 8, cy: 8, r: 8 }),
    warning: () => svg("path", { d: "M8 .6l7.8 14H.2z", "stroke-linejoin": "round" }),
    error: () => svg("rect", { width: 16, height: 16, rx: 4 }),
  };
  // Told apart by shape and sign, not by colour alone.
  const icon = (verdict) => {
    const known = PATHS[verdict] ? verdict : "notice";
    const sign = svg("path", { d: PATHS[known], class: "sign", transform: known === "warning" ? "translate(0 1.6) scale(1 .94)" : null });
    return svg("svg", { viewBox: "0 0 16 16", class: `icon ${known}`, "aria-hidden": "true" }, SHAPES[known](), sign);
  };
  const badge = (verdict) => el("span", { class: `badge ${verdict}` }, icon(verdict), verdict);
  const unseen = (text) => el("span", { class: "unseen" }, text);

  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
  const bytes = (count) => {
    if (count === null || count === undefined) return "";
    let unit = 0;
    let value = count;
    while (value >= 1024 && unit < UNITS.length - 1) {
      value /= 1024;
      unit += 1;
    }
    return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${UNITS[unit]}`;
  };
  const duration = (ms) => {
    if (ms === null || ms === undefined) return "";
  if (ms === 0) return "0 ms";
    if (ms < 10) return `${ms.toFixed(1)} ms`;
    if (ms < 1000) return `${Math.round(ms)} ms`;
    if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
    const minutes = Math.floor(ms / 60_000);
    return minutes < 60
      ? `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`
      : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  };
  const speed = (perSecond) => (perSecond ? `${bytes(Math.round(perSecond))}/s` : "");
  // Times are UTC, as in the protocol, in logs of COS and in tickets.
  const time = (at, withDate = false) => {
    if (!Number.isFinite(at)) return "";
    const text = new Date(at).toISOString();
    return withDate ? `${text.slice(0, 10)} ${text.slice(11, 23)}` : text.slice(11, 23);
  };
  const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many || `${one}s`}`;
  const number6 = (number) => String(number).padStart(6, "0");
  const flowLink = (number, ...children) =>
    el("a", { href: `#${number6(number)}`, class: "flow-link" }, children.length ? children : `#${number}`);

  const facts = (pairs) => {
    const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
    return el("dl", { class: "facts" }, shown.map(([name, value, place]) => el("div", { class: place }, el("dt", null, name), el("dd", null, value))));
  };
  const section = (id, title, ...children) =>
    el("section", { class: "panel", "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), children);
  // A table that is wider than its place can be scrolled, also by keyboard.
  const table = (label, columns, body, name) =>
    el(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": `${label}, table` },
      el(
        "table",
        { class: name || null },
        el("thead", null, el("tr", null, columns.map((column) => el("th", { scope: "col" }, column)))),
        el("tbody", null, body),
      ),
    );

  const say = (text, ms = 4000) => {
    const place = document.getElementById("said");
    place.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => {
      place.textContent = "";
    }, ms);
  };

  cosInspect.dom = {
    el, svg, wire, label, folded, visible, icon, badge, unseen, bytes, duration, speed, time, count, number6, flowLink, facts,
    section, table, say,
  };
})();
