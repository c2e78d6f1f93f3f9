"use strict";
// Drawings: flows over time, the phases of one flow, the parts of a transfer.
(() => {
  const { el, svg, bytes, duration, speed, time, count } = cosInspect.dom;
  const { VERDICTS, MANY } = cosInspect.words;
  const BINS = 90;
  const MOST_BINS = 240;
  const MOST_BARS = 3000;

  const spanOf = (rows) => {
    let from = Infinity;
    let to = -Infinity;
    for (const row of rows) {
      if (!Number.isFinite(row.at)) continue;
      from = Math.min(from, row.at);
      to = Math.max(to, row.at);
    }
    return [from, to];
  };

  // `choose(from, to)` is called with ISO times when a part of the line is clicked.
  const timeLine = (rows, choose) => {
    const [from, to] = spanOf(rows);
    if (!Number.isFinite(from)) return null;
    const width = Math.max(1, Math.ceil((to - from + 1) / BINS));
    const bins = Array.from({ length: BINS }, emptyBin);
    for (const row of rows) {
      if (!Number.isFinite(row.at)) continue;
      const bin = bins[Math.min(BINS - 1, Math.floor((row.at - from) / width))];
      bin[row.verdict] += 1;
      bin.all += 1;
    }
    return timeLineOf(bins, from, to, width, rows.length, choose);
  };
  const emptyBin = () => ({ error: 0, warning: 0, notice: 0, ok: 0, all: 0 });
  // The same of what the summary counts: {seconds, bars: {second: [errors, warnings, notices, ok]}}.
  const timeLineOfAll = ({ seconds, bars }, flows, choose) => {
    const begins = Object.keys(bars).map(Number);
    if (!begins.length) return null;
    const from = Math.min(...begins);
    const bins = Array.from({ length: (Math.max(...begins) - from) / seconds + 1 }, emptyBin);
    // Few flows over long: a bar each would be too narrow to be seen.
    const each = Math.ceil(bins.length / MOST_BINS);
    const shown = Array.from({ length: Math.ceil(bins.length / each) }, emptyBin);
    for (const begin of begins) {
      const bin = shown[Math.floor((begin - from) / seconds / each)];
      bars[begin].forEach((number, i) => {
        bin[VERDICTS[i]] += number;
        bin.all += number;
      });
    }
    const width = seconds * each * 1000;
    return timeLineOf(shown, from * 1000, from * 1000 + shown.length * width, width, flows, choose);
  };
  const timeLineOf = (bins, from, to, width, flows, choose) => {
    const highest = Math.max(...bins.map((bin) => bin.all));
    const groups = bins.map((bin, i) => {
      if (!bin.all) return null;
      // A single failure among thousands is still to be seen.
      const heights = VERDICTS.map((verdict) => (bin[verdict] ? Math.max(4, (bin[verdict] / highest) * 92) : 0));
      const scale = Math.min(1, 98 / heights.reduce((sum, height) => sum + height, 0));
      let y = 100;
      const parts = VERDICTS.map((verdict, which) => {
        const height = heights[which] * scale;
        y -= height;
        return height ? svg("rect", { class: `fill ${verdict}`, x: i * 10 + 0.75, width: 8.5, y, height }) : null;
      });
      const begin = from + i * width;
      const told = VERDICTS.filter((verdict) => bin[verdict]).map((verdict) => `${bin[verdict]} ${MANY[verdict]}`);
      return svg(
        "g",
        { class: "bin", onclick: () => choose(new Date(begin).toISOString(), new Date(begin + width).toISOString()) },
        svg("title", null, `${time(begin)} to ${time(begin + width)}: ${told.join(", ")}`),
        svg("rect", { class: "reach", x: i * 10, y: 0, width: 10, height: 100 }),
        parts,
      );
    });
    const drawing = svg(
      "svg",
      {
        viewBox: `0 0 ${bins.length * 10} 100`,
        preserveAspectRatio: "none",
        class: "timeline",
        role: "img",
        "aria-label": `${count(flows, "flow")} from ${time(from, true)} to ${time(to, true)} UTC, at most ${highest} in ${duration(width)}`,
      },
      groups,
    );
    return el(
      "figure",
      { class: "over-time" },
      drawing,
      el("figcaption", { class: "axis" }, el("span", null, time(from)), el("span", null, `${duration(width)} a bar, ${highest} at most`), el("span", null, time(to))),
    );
  };

  const PHASES = [
    ["connect_ms", "connect"],
    ["tls_ms", "TLS"],
    ["request_ms", "request"],
    ["wait_ms", "wait"],
    ["response_ms", "answer"],
  ];
  const phases = (timing) => {
    const seen = PHASES.filter(([name]) => timing[name] !== null && timing[name] !== undefined);
    const whole = seen.reduce((sum, [name]) => sum + timing[name], 0);
    if (!whole) return null;
    const widths = seen.map(([name]) => Math.max(4, (timing[name] / whole) * 1000));
    const scale = 1000 / widths.reduce((sum, width) => sum + width, 0);
    let x = 0;
    return el(
      "figure",
      { class: "phases" },
      svg(
        "svg",
        { viewBox: "0 0 1000 24", preserveAspectRatio: "none", "aria-hidden": "true" },
        seen.map(([name, label], which) => {
          const width = widths[which] * scale;
          const bar = svg("rect", { class: `phase ${name}`, x, width, y: 0, height: 24 }, svg("title", null, `${label}: ${duration(timing[name])}`));
          x += width;
          return bar;
        }),
      ),
      el(
        "figcaption",
        { class: "legend" },
        seen.map(([name, label]) => el("span", null, el("i", { class: `phase ${name}` }), `${label} ${duration(timing[name])}`)),
        el("span", null, `in all ${duration(timing.total_ms ?? whole)}`),
      ),
    );
  };

  const isCarrier = (row) => /^(UploadPart|UploadPartCopy|PutObject|PostObject|AppendObject|GetObject)$/.test(row.op);
  const carried = (row) => (row.op === "GetObject" ? row.received : row.sent) || 0;

  // In lanes: one per part where they fit, else as many as ran at once.
  const lanesOf = (rows, most) => {
    const places = [...new Set(rows.map((row) => row.position ?? `#${row.n}`))];
    if (places.length <= most) {
      places.sort((a, b) => (a > b) - (a < b));
      return { count: places.length, laneOf: (row) => places.indexOf(row.position ?? `#${row.n}`), names: places };
    }
    const ends = [];
    const lanes = new Map();
    for (const row of [...rows].sort((a, b) => a.at - b.at)) {
      let lane = ends.findIndex((end) => end <= row.at);
      if (lane < 0) lane = ends.length;
      ends[lane] = row.at + (row.ms || 0);
      lanes.set(row, lane);
    }
    return { count: ends.length, laneOf: (row) => lanes.get(row), names: null };
  };

  const throughput = (rows, from, to, height) => {
    const steps = 100;
    const width = Math.max((to - from) / steps, 0.001);
    const sums = new Float64Array(steps);
    for (const row of rows) {
      const first = Math.max(0, Math.floor((row.at - from) / width));
      const last = Math.min(steps - 1, Math.floor((row.at + (row.ms || 0) - from) / width));
      for (let i = first; i <= last; i += 1) sums[i] += carried(row) / (last - first + 1);
    }
    const peak = Math.max(...sums);
    if (!peak) return null;
    const points = [...sums].flatMap((sum, i) => {
      const y = (height - (sum / peak) * (height - 2)).toFixed(1);
      return [`L${i * 10} ${y}`, `L${(i + 1) * 10} ${y}`];
    });
    return {
      peak: (peak / width) * 1000,
      drawing: svg(
        "svg",
        { viewBox: `0 0 1000 ${height}`, preserveAspectRatio: "none", class: "throughput", "aria-hidden": "true" },
        svg("path", { d: `M0 ${height} ${points.join(" ")} L1000 ${height} Z` }),
      ),
    };
  };

  // A transfer's exchanges on a time axis. `small`: without names and throughput.
  const transfer = (all, open, small) => {
    const rows = all.filter((row) => Number.isFinite(row.at)).slice(0, MOST_BARS);
    if (!rows.length) return null;
    const from = Math.min(...rows.map((row) => row.at));
    const to = Math.max(...rows.map((row) => row.at + (row.ms || 0)), from + 1);
    const carriers = rows.filter(isCarrier);
    const others = rows.filter((row) => !isCarrier(row));
    const { count: lanes, laneOf, names } = lanesOf(carriers, small ? 12 : 60);
    const step = small ? Math.max(3, Math.min(8, 48 / Math.max(lanes, 1))) : lanes > 24 ? 12 : 20;
    const head = others.length ? step : 0;
    const height = Math.max(head + lanes * step, step);
    const bar = (row, lane, name) => {
      const x = ((row.at - from) / (to - from)) * 994;
      const width = Math.max(5, ((row.ms || 0) / (to - from)) * 994);
      const retried = row.attempt > 1;
      const state = row.status === undefined || row.status >= 400 ? "error" : row.verdict;
      const told = `${name}: ${row.status ?? "no answer"}, ${bytes(carried(row))} in ${duration(row.ms)}${retried ? `, try ${row.attempt}` : ""}`;
      return svg(
        "rect",
        {
          class: `bar ${state}${retried ? " retried" : ""}${isCarrier(row) ? "" : " control"}`,
          x, width, y: lane * step + step * 0.12, height: step * 0.76, rx: small ? 1 : 2,
          onclick: () => open(row.n),
        },
        svg("title", null, `#${row.n} ${told}`),
      );
    };
    const partName = (row) => (row.position === undefined ? row.op : row.op === "GetObject" ? `from byte ${row.position}` : `part ${row.position}`);
    const drawing = svg(
      "svg",
      { viewBox: `0 0 1000 ${height}`, preserveAspectRatio: "none", class: "bars", height, role: "img",
        "aria-label": `${count(carriers.length, "exchange")} with bytes in ${duration(to - from)}` },
      small ? null : [0, 250, 500, 750].map((x) => svg("path", { class: "grid", d: `M${x + 0.5} 0V${height}` })),
      others.map((row) => bar(row, 0, row.op)),
      carriers.map((row) => bar(row, laneOf(row) + (head ? 1 : 0), partName(row))),
    );
    if (small) return drawing;
    const speedLine = throughput(carriers, from, to, 48);
    const labels = names && step >= 12
      ? el("div", { class: "lanes", "aria-hidden": "true" }, head ? el("span", null, "control") : null,
          names.map((name) => el("span", null, typeof name === "number" ? `${carriers[0].op === "GetObject" ? "@" : ""}${name}` : name)))
      : el("div", { class: "lanes", "aria-hidden": "true" });
    labels.classList.toggle("tight", step < 20);
    return el(
      "figure",
      { class: "transfer-drawing" },
      el("div", { class: "with-lanes" }, labels, drawing),
      el("div", { class: "with-lanes" }, el("div", { class: "lanes" }),
        el("div", { class: "axis" }, [0, 0.25, 0.5, 0.75, 1].map((part) => el("span", null, duration((to - from) * part))))),
      speedLine ? el("div", { class: "with-lanes" }, el("div", { class: "lanes speed" }, `${speed(speedLine.peak)} peak`), speedLine.drawing) : null,
      el("figcaption", { class: "legend" },
        el("span", null, el("i", { class: "bar ok" }), "stored"),
        el("span", null, el("i", { class: "bar ok retried" }), "stored by a retry"),
        el("span", null, el("i", { class: "bar error" }), "failed or damaged"),
        others.length ? el("span", null, el("i", { class: "bar ok control" }), "begin, end, other") : null,
        all.length > rows.length ? el("span", null, `the first ${rows.length} of ${all.length} exchanges`) : null),
    );
  };

  cosInspect.charts = { timeLine, timeLineOfAll, phases, transfer };
})();
