"use strict";
// What can be taken along: the ticket line, ids, JSON, and a curl script without secrets.
(() => {
  const { el, say } = cosInspect.dom;
  const SECRET = /authorization|cookie|token|signature|^sign$|^policy$|customer-key$|password|secret(?!id)|^q-/i;
  const SECRET_INSIDE = /\[masked:|(?:signature|security-token|customer-key)(?:=|%3d)/i;
  const MADE_BY_CURL = /^(?:host|content-length|connection|proxy-.*|transfer-encoding|accept-encoding|expect|:.*)$/i;
  const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
  const CUT = /<[0-9]{1,12}-characters-sha256-[0-9a-f]{16}>/;
  const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Cs}/u;
  const LOOSE = /[\u0000-\u0020\u007f-\u{10ffff}"<>\\^`{|}]/gu;
  // What coscmd and coscli do alike, by operation.
  const TOOLS = {
    PutObject: [(key) => `upload BODY ${key}`, (key, bucket) => `cp BODY cos://${bucket}/${key}`],
    GetObject: [(key) => `download ${key} BODY`, (key, bucket) => `cp cos://${bucket}/${key} BODY`],
    DeleteObject: [(key) => `delete -f ${key}`, (key, bucket) => `rm cos://${bucket}/${key}`],
    HeadObject: [(key) => `info ${key}`, null],
    GetBucket: [(key) => `list ${key}`, (key, bucket) => `ls cos://${bucket}/${key}`],
  };

  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const word = (text) => text.replace(/[^A-Za-z0-9_:./-]/gu, "_");
  const cut = (text, sign) => {
    const at = text.indexOf(sign);
    return at < 0 ? [text, "", ""] : [text.slice(0, at), sign, text.slice(at + sign.length)];
  };
  // A percent sign that begins no escape stands for itself. Null where it is not UTF-8.
  const decoded = (text) => {
    try {
      return decodeURIComponent(text.replace(/%(?![0-9A-Fa-f]{2})/g, "%25"));
    } catch {
      return null;
    }
  };
  const encoded = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  const escaped = (url) => url.replace(LOOSE, (sign) => encoded(sign));
  const isSecret = (piece) => SECRET.test(cut(piece, "=")[0]) || SECRET_INSIDE.test(piece);
  const isKept = ({ name, value, category, redacted }) =>
    !(redacted || category === "auth" || SECRET.test(name) || SECRET_INSIDE.test(value)) && !MADE_BY_CURL.test(name) && TOKEN.test(name) && !CONTROL.test(value);
  const isMissed = (name) => name.toLowerCase() !== "authorization" && !name.toLowerCase().endsWith("security-token");
  const sorted = (map) => [...map].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

  const tools = ({ cos }, path, prefix) => {
    const found = TOOLS[cos.operation];
    if (!found || !cos.bucket || !cos.region || CONTROL.test(path)) return [];
    const key = (cos.operation === "GetBucket" ? prefix : cos.key) || "";
    if (CONTROL.test(key)) return [];
    if (cos.level === "object" && path !== `/${key}`) return [];
    const [coscmd, coscli] = found;
    const named = key ? quoted(key) : "";
    return [`coscmd -b ${cos.bucket} -r ${cos.region} ${coscmd(named)}`.trimEnd(),
      ...(coscli ? [`coscli ${coscli(named, cos.bucket)} -e cos.${cos.region}.myqcloud.com`] : [])];
  };

  // A shell script that signs when it runs; as report/curl.py makes it. Null where curl cannot.
  const curl = (report) => {
    const { method, headers, body } = report.request;
    if (report.cos.operation === "PostObject" || CUT.test(report.request.url)) return null;
    const [address, , query] = cut(report.request.url, "?");
    const [scheme, , rest] = cut(address, "://");
    const [host, slash, tail] = cut(rest, "/");
    const path = slash ? `/${tail}` : "/";
    const pieces = query.split("&").filter((piece) => piece && !isSecret(piece));
    const url = escaped(`${scheme}://${host}${path}${pieces.length ? `?${pieces.join("&")}` : ""}`);
    const plain = decoded(path);
    const asked = new Map();
    for (const piece of pieces) {
      const [name, , value] = cut(piece, "=").map(decoded);
      if (name === null || value === null) return null;
      const lower = encoded(name).toLowerCase();
      if (!asked.has(lower)) asked.set(lower, encoded(value));
    }
    if (plain === null || plain.includes("\0")) return null;
    const parameters = sorted(asked);
    const kept = headers.filter(isKept);
    const leftOut = headers.filter(({ name, redacted }) => redacted && isMissed(name));
    const signed = new Map([["host", host]]);
    for (const { name, value } of kept) {
      const lower = name.toLowerCase();
      if (/^x-(?:cos|ci)-[a-z0-9-]+$/.test(lower) && kept.filter((one) => one.name.toLowerCase() === lower).length === 1) signed.set(lower, value.trim());
    }
    const fields = sorted(signed);
    const joined = (pairs) => pairs.map(([name, value]) => `${name}=${value}`).join("&");
    const lines = [
      "#!/bin/sh",
      `# ${word(report.cos.operation)}, signed when this runs. Set COS_SECRET_ID and COS_SECRET_KEY, and COS_TOKEN with a temporary key.`,
      ...leftOut.map(({ name }) => `# Left out, because it is secret: ${word(name)}`),
      ...tools(report, plain, decoded(asked.get("prefix") || "")).map((line) => `# ${line}`),
      "set -eu",
      ': "${COS_SECRET_ID:?}" "${COS_SECRET_KEY:?}"',
      "sha1() { openssl dgst -sha1 \"$@\" | sed 's/^.*= *//'; }",
      'times="$(($(date +%s) - 60));$(($(date +%s) + 3600))"',
      'key=$(printf %s "$times" | sha1 -hmac "$COS_SECRET_KEY")',
      `request=$(printf '%s\\n' ${quoted(method.toLowerCase())} ${quoted(plain)} ${quoted(joined(parameters))} ${quoted(joined(fields.map(([name, value]) => [name, encoded(value)])))} | sha1)`,
      `signature=$(printf '%s\\n' sha1 "$times" "$request" | sha1 -hmac "$key")`,
      `authorization="q-sign-algorithm=sha1&q-ak=$COS_SECRET_ID&q-sign-time=$times&q-key-time=$times&q-header-list=${fields.map(([name]) => name).join(";")}&q-url-param-list=${parameters.map(([name]) => name).join(";")}&q-signature=$signature"`,
    ];
    const words = ["curl --globoff --include"];
    if (method === "HEAD") words.push("--head");
    else if (method !== "GET") words.push(`--request ${quoted(method)}`);
    words.push('--header "Authorization: $authorization"');
    words.push('${COS_TOKEN:+--header "x-cos-security-token: $COS_TOKEN"}');
    for (const { name, value } of kept) {
      if (name.toLowerCase() === "content-md5") words.push('--header "Content-MD5: $(openssl dgst -md5 -binary BODY | base64)"');
      else words.push(`--header ${quoted(value ? `${name}: ${value}` : `${name};`)}`);
    }
    if (body.size) words.push("--data-binary @BODY");
    words.push(quoted(url));
    return `${[...lines, words.join(" \\\n  ")].join("\n")}\n`;
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
