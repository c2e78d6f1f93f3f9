"use strict";
// What can be taken along: the ticket line, ids, JSON, and a curl command without secrets.
(() => {
  const { el, say } = cosInspect.dom;
  const SECRET = /authorization|cookie|token|signature|^sign$|^policy$|customer-key$|password|secret(?!id)/i;
  const SECRET_INSIDE = /\[masked:|(?:signature|security-token|customer-key)(?:=|%3d)/i;
  // curl makes these itself.
  const LEFT_OUT = /^(?:host|content-length|connection|proxy-.*|transfer-encoding|accept-encoding|expect|:.*)$/i;
  const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
  const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Cs}/u;

  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

  const cleanAddress = (url) => {
    const at = url.indexOf("?");
    const path = at < 0 ? url : url.slice(0, at);
    const kept = (at < 0 ? "" : url.slice(at + 1))
      .split("&")
      .filter((pair) => pair && !SECRET.test(pair.split("=")[0]) && !SECRET_INSIDE.test(pair));
    const address = kept.length ? `${path}?${kept.join("&")}` : path;
    return address.replace(/[\u0000-\u0020\u007f-\uffff"<>\\^`{|}]/g, (sign) => {
      try {
        return encodeURIComponent(sign);
      } catch {
        return "%EF%BF%BD";
      }
    });
  };

  // Reproduces the request, less what would let others sign in.
  const curl = (report) => {
    const { method, url, headers, body } = report.request;
    const words = ["curl --globoff --include"];
    if (method === "HEAD") words.push("--head");
    else if (method !== "GET") words.push(`--request ${quoted(method)}`);
    let hidden = 0;
    for (const { name, value, category, redacted } of headers) {
      if (redacted || category === "auth" || SECRET.test(name) || SECRET_INSIDE.test(value)) {
        hidden += 1;
      } else if (!LEFT_OUT.test(name) && TOKEN.test(name) && !CONTROL.test(value)) {
        words.push(`--header ${quoted(value ? `${name}: ${value}` : `${name};`)}`);
      }
    }
    if (hidden) words.push("--header \"Authorization: $AUTHORIZATION\"");
    if (body.size) words.push("--data-binary @BODY");
    words.push(quoted(cleanAddress(url)));
    return words.join(" \\\n  ");
  };

  const put = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = el("textarea", { class: "unseen", "aria-hidden": "true", tabindex: -1 });
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  // `text` may be a function, so that nothing is made before it is wanted.
  const button = (label, text, what) =>
    el(
      "button",
      {
        type: "button",
        class: "copy",
        onclick: async (event) => {
          const place = event.currentTarget;
          await put(typeof text === "function" ? text() : text);
          say(`${what || label} copied`);
          place.classList.add("done");
          setTimeout(() => place.classList.remove("done"), 1500);
        },
      },
      label,
    );

  cosInspect.copy = { button, curl };
})();
