"use strict";
// Takes in what the data files say. Every line of them calls one of the functions at the
// end with one string of JSON, which is parsed here: data are never code.
const cosInspect = {};
(() => {
  const KEPT_FILES = 8;
  const rows = new Map();
  const byFlow = new Map();
  const reports = new Map();
  const files = new Map();
  let index = { rows: [], flows_per_file: 100 };
  let summary = {};
  let sorted = null;
  let byTransfer = null;
  let touched = new Set();
  let fresh = 0;

  const load = (name) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = name;
      script.onload = () => resolve(script.remove());
      script.onerror = () => {
        script.remove();
        reject(new Error(`${name.split("?")[0]} cannot be read`));
      };
      document.head.append(script);
    });

  const fileOf = (number) => Math.floor((number - 1) / index.flows_per_file) + 1;
  const nameOf = (file) => `data/flows-${String(file).padStart(4, "0")}.js`;

  // Holds the text of a few files only, the one used longest ago goes first.
  const loadFlows = async (file) => {
    const pending = files.get(file) || load(nameOf(file));
    files.delete(file);
    files.set(file, pending);
    try {
      await pending;
    } catch (error) {
      files.delete(file);
      throw error;
    }
    for (const oldest of files.keys()) {
      if (files.size <= KEPT_FILES) break;
      files.delete(oldest);
      for (const number of [...reports.keys()]) {
        if (fileOf(number) === oldest) reports.delete(number);
      }
    }
  };

  cosInspect.store = {
    problems: [],
    get summary() {
      return summary;
    },
    // Not every flow has a row.
    get isShort() {
      return Boolean(index.listed);
    },
    // Where every report is, as far as it is known.
    get elsewhere() {
      return index.elsewhere || [];
    },
    // All rows by number.
    all() {
      sorted ||= [...rows.values()].sort((a, b) => a.n - b.n);
      return sorted;
    },
    row: (number) => rows.get(number),
    rowOfFlow: (id) => byFlow.get(id),
    async start() {
      const wanted = async (name) => {
        try {
          await load(name);
        } catch (error) {
          this.problems.push(error.message);
        }
      };
      await Promise.all([wanted("data/index.js"), wanted("data/summary.js")]);
      await Promise.all(index.rows.map((name) => wanted(`data/${name}`)));
      this.taken();
    },
    // Reads everything anew: rows were taken out.
    async again() {
      for (const held of [rows, byFlow, reports, files]) held.clear();
      sorted = null;
      this.problems = [];
      await this.start();
    },
    load,
    // Numbers of the rows that came or were revised since the last call, and how many came.
    taken() {
      const found = { rows: touched, fresh };
      touched = new Set();
      fresh = 0;
      return found;
    },
    // The transfers that a flow is part of: it may be a try and a part.
    transfersOf(row) {
      if (!byTransfer) {
        byTransfer = new Map();
        for (const one of summary.transfers || []) {
          for (const flow of one.flows || []) byTransfer.set(flow, [...(byTransfer.get(flow) || []), one.id]);
        }
      }
      const listed = byTransfer.get(row.flow) || [];
      return row.transfer && !listed.includes(row.transfer) ? [row.transfer, ...listed] : listed;
    },
    async report(number) {
      if (!rows.has(number)) throw new Error(cosInspect.totals.missing(number));
      if (!reports.has(number)) {
        // It may have come after the file was read.
        files.delete(fileOf(number));
        await loadFlows(fileOf(number));
        // It may have been taken out since its row was read.
        if (!reports.has(number)) throw new Error(cosInspect.totals.missing(number));
      }
      return JSON.parse(reports.get(number));
    },
    // The JSON of every report, file by file; `each` says false to stop.
    async scan(each) {
      const last = new Set(this.all().map((row) => fileOf(row.n)));
      let done = 0;
      for (const file of last) {
        await loadFlows(file);
        const first = (file - 1) * index.flows_per_file + 1;
        const found = [];
        for (let n = first; n < first + index.flows_per_file; n += 1) {
          if (reports.has(n)) found.push([n, reports.get(n)]);
        }
        done += 1;
        if (each(found, done / last.size) === false) return;
      }
    },
  };

  cosInspect.index = (text) => {
    index = JSON.parse(text);
  };
  cosInspect.summary = (text) => {
    summary = JSON.parse(text);
    byTransfer = null;
  };
  cosInspect.row = (text) => {
    const row = JSON.parse(text);
    row.rules ||= [];
    row.groups ||= [];
    row.failed ||= [];
    row.sse ||= "none";
    row.at = row.started ? Date.parse(row.started) : null;
    const before = rows.get(row.n);
    if (!before) fresh += 1;
    else if (reports.has(row.n)) {
      // What was read of its report is of before.
      reports.delete(row.n);
      files.delete(fileOf(row.n));
    }
    touched.add(row.n);
    rows.set(row.n, row);
    byFlow.set(row.flow, row);
    sorted = null;
  };
  cosInspect.flow = (number, text) => {
    reports.set(number, text);
  };
})();
