"use strict";
// The filter's language: words, field:value, -not, a,b for either, * for anything,
// = for exactly, > >= < <= and from..to for numbers.
(() => {
  const size = (row) => Math.max(row.sent || 0, row.received || 0);
  const TEXT = {
    verdict: (row) => row.verdict,
    op: (row) => row.op,
    method: (row) => row.method,
    bucket: (row) => row.bucket,
    region: (row) => row.region,
    key: (row) => row.key,
    host: (row) => row.host,
    query: (row) => row.query,
    endpoint: (row) => row.endpoint,
    client: (row) => row.client || "unknown",
    version: (row) => row.version,
    sse: (row) => row.sse,
    code: (row) => row.code,
    id: (row) => row.id,
    trace: (row) => row.trace,
    flow: (row) => row.flow,
    rule: (row) => row.rules,
    group: (row) => row.groups,
    check: (row) => row.failed,
    kind: (row) => row.kind,
    transfer: (row) => cosInspect.store.transfersOf(row),
    // The worst finding's rule, under which the overview lists the flow.
    worst: (row) => row.worst,
    healed: (row) => (row.healed ? "yes" : "no"),
    why: (row) => row.why,
    // In short what was checked of it, and what was not.
    verified: (row) => row.verified,
  };
  const NUMBER = {
    n: (row) => row.n,
    run: (row) => row.run,
    status: (row) => row.status,
    size,
    sent: (row) => row.sent,
    received: (row) => row.received,
    ms: (row) => row.ms,
    position: (row) => row.position,
    try: (row) => row.attempt,
  };
  const TIME = { after: (row, moment) => row.started >= moment, before: (row, moment) => row.started < moment };
  const DEEP = new Set(["header", "any"]);
  const OTHER_NAMES = { operation: "op", "request-id": "id", "trace-id": "trace", part: "position", attempt: "try", sequence: "n" };
  const FACTORS = { k: 1024, m: 1024 ** 2, g: 1024 ** 3, s: 1000 };

  // Without its transfers, which each summary may tell anew.
  const textOf = (row) => {
    if (row.text === undefined) {
      const parts = [`#${row.n}`, row.started, row.status];
      for (const [name, get] of Object.entries(TEXT)) if (name !== "transfer") parts.push(get(row));
      row.text = parts.flat().filter(Boolean).join("\n").toLowerCase();
    }
    return row.text;
  };

  // Into words; quotes hold one together, a backslash takes the next sign as it is. `raw` is
  // the word as it was typed.
  const split = (text) => {
    const words = [];
    let word = null;
    let quoted = false;
    const put = (sign, literal) => {
      word ||= { text: "", literal: [], raw: "" };
      word.text += sign;
      for (let i = 0; i < sign.length; i += 1) word.literal.push(literal);
    };
    for (let i = 0; i < text.length; i += 1) {
      const sign = text[i];
      const begin = i;
      if (sign === "\\" && quoted && i + 1 < text.length) put(text[(i += 1)], true);
      else if (sign === '"') {
        quoted = !quoted;
        put("", true);
      } else if (/\s/.test(sign) && !quoted) {
        if (word) words.push(word);
        word = null;
      } else put(sign, quoted);
      if (word) word.raw += text.slice(begin, i + 1);
    }
    if (word) words.push(word);
    return words;
  };

  const cut = (word, from, to = word.text.length) => ({ text: word.text.slice(from, to), literal: word.literal.slice(from, to) });
  const find = (word, sign) => {
    for (let i = 0; i < word.text.length; i += 1) if (word.text[i] === sign && !word.literal[i]) return i;
    return -1;
  };
  const choices = (word) => {
    const parts = [];
    let rest = word;
    for (let at = find(rest, ","); at >= 0; at = find(rest, ",")) {
      parts.push(cut(rest, 0, at));
      rest = cut(rest, at + 1);
    }
    parts.push(rest);
    const filled = parts.filter((part) => part.text);
    return filled.length ? filled : parts.slice(0, 1);
  };

  const matcher = (word) => {
    const exact = word.text[0] === "=" && !word.literal[0];
    const value = exact ? cut(word, 1) : word;
    const wanted = value.text.toLowerCase();
    if (find(value, "*") >= 0) {
      let pattern = "";
      for (let i = 0; i < wanted.length; i += 1) {
        pattern += wanted[i] === "*" && !value.literal[i] ? "[^]*" : wanted[i].replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
      }
      const found = new RegExp(`^${pattern}$`);
      return (text) => found.test(text);
    }
    return exact ? (text) => text === wanted : (text) => text.includes(wanted);
  };

  const amount = (text) => {
    const found = /^(\d+(?:\.\d+)?)(ms|[kmgs])?(?:i?b)?$/.exec(text);
    return found ? Number(found[1]) * (FACTORS[found[2]] || 1) : null;
  };
  const comparison = (text) => {
    const lower = text.toLowerCase();
    if (lower === "none") return (value) => value === undefined || value === null;
    const hundreds = /^([1-9])xx$/.exec(lower);
    if (hundreds) return (value) => Math.floor(value / 100) === Number(hundreds[1]);
    const range = /^(.+)\.\.(.+)$/.exec(lower);
    if (range) {
      const [from, to] = [amount(range[1]), amount(range[2])];
      return from === null || to === null ? null : (value) => value >= from && value <= to;
    }
    const [, sign, rest] = /^(>=|<=|>|<|=)?(.*)$/.exec(lower);
    const wanted = amount(rest);
    if (wanted === null) return null;
    return {
      ">": (value) => value > wanted,
      ">=": (value) => value >= wanted,
      "<": (value) => value < wanted,
      "<=": (value) => value <= wanted,
    }[sign] || ((value) => value === wanted);
  };

  const fieldTest = (field, word, problems) => {
    if (TIME[field]) return (row) => TIME[field](row, word.text);
    if (NUMBER[field]) {
      const tests = choices(word).map((choice) => comparison(choice.text));
      if (tests.includes(null)) {
        problems.push(`${field}: takes a number such as 404, >=400, 4xx, 1m or 1..5`);
        return () => true;
      }
      return (row) => {
        const value = NUMBER[field](row);
        return tests.some((test) => test(value));
      };
    }
    const tests = choices(word).map(matcher);
    const get = TEXT[field];
    return (row) => {
      const value = get(row);
      if (Array.isArray(value)) return value.some((one) => tests.some((test) => test(one.toLowerCase())));
      const text = String(value ?? "").toLowerCase();
      return tests.some((test) => test(text));
    };
  };

  // header:name, header:name=value, any:text: asked of whole reports.
  const deepTest = (field, word) => {
    if (field === "any") {
      const inside = JSON.stringify(word.text.toLowerCase()).slice(1, -1);
      return (json) => json.toLowerCase().includes(inside);
    }
    const at = find(word, "=");
    const name = (at < 0 ? word : cut(word, 0, at)).text.toLowerCase();
    const value = at < 0 ? "" : word.text.slice(at + 1).toLowerCase();
    return (json) => {
      const report = JSON.parse(json);
      return [report.request, report.response].some((side) =>
        (side?.headers || []).some(
          (header) => header.name.toLowerCase().includes(name) && header.value.toLowerCase().includes(value),
        ),
      );
    };
  };

  // {test(row), deep: [{test(json), not}], problems: [text]}
  const parse = (text) => {
    const tests = [];
    const deep = [];
    const problems = [];
    for (const whole of split(text)) {
      const not = whole.text.length > 1 && "-!".includes(whole.text[0]) && !whole.literal[0];
      const word = not ? cut(whole, 1) : whole;
      const colon = find(word, ":");
      const name = colon > 0 ? word.text.slice(0, colon).toLowerCase() : "";
      const field = OTHER_NAMES[name] || name;
      const value = cut(word, colon + 1);
      let test = null;
      if (field && (Object.hasOwn(TEXT, field) || Object.hasOwn(NUMBER, field) || Object.hasOwn(TIME, field))) {
        if (!value.text && !value.literal.length) continue;
        test = fieldTest(field, value, problems);
      } else if (DEEP.has(field)) {
        if (value.text) deep.push({ test: deepTest(field, value), not });
        continue;
      } else {
        const found = matcher(find(word, "*") >= 0 ? { text: `*${word.text}*`, literal: [false, ...word.literal, false] } : word);
        test = (row) => found(textOf(row)) || TEXT.transfer(row).some((id) => found(id.toLowerCase()));
      }
      tests.push(not ? (row) => !test(row) : test);
    }
    return { test: (row) => tests.every((test) => test(row)), deep, problems, isEmpty: !tests.length && !deep.length };
  };

  // A word for exactly this value.
  const term = (field, value) => {
    const plain = /^[\w.+/@-]+$/.test(value);
    return `${field}:=${plain ? value : `"${value.replace(/[\\"]/g, "\\$&")}"`}`;
  };

  const words = (text) => split(text).map((word) => word.raw);

  cosInspect.filter = { parse, term, words, address: (text) => `#filter=${encodeURIComponent(text)}` };
})();
