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

  const load = (name) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `data/${name}`;
      script.onload = () => resolve(script.remove());
      script.onerror = () => {
        script.remove();
        reject(new Error(`data/${name} cannot be read`));
      };
      document.head.append(script);
    });

  const fileOf = (number) => Math.floor((number - 1) / index.flows_per_file) + 1;
  const nameOf = (file) => `flows-${String(file).padStart(4, "0")}.js`;

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
      await Promise.all([wanted("index.js"), wanted("summary.js")]);
      await Promise.all(index.rows.map(wanted));
    },
    async report(number) {
      if (!rows.has(number)) throw new Error(`There is no flow ${number} in this report.`);
      if (!reports.has(number)) await loadFlows(fileOf(number));
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
  };
  cosInspect.row = (text) => {
    const row = JSON.parse(text);
    row.rules ||= [];
    row.groups ||= [];
    row.failed ||= [];
    row.sse ||= "none";
    row.at = row.started ? Date.parse(row.started) : null;
    rows.set(row.n, row);
    byFlow.set(row.flow, row);
    sorted = null;
  };
  cosInspect.flow = (number, text) => {
    reports.set(number, text);
  };
})();
