"use strict";
// What is counted of all flows, where there are too many for the pages to list each of them.
(() => {
  const { el, wire, count } = cosInspect.dom;
  const { VERDICTS, MANY } = cosInspect.words;
  const store = cosInspect.store;

  // The counts of all flows, also of those that are not listed; null while every one is.
  const counts = () => (store.isShort && store.summary.counts) || null;
  const sum = (numbers) => Object.values(numbers || {}).reduce((all, number) => all + number, 0);
  const tally = (rows) => {
    const found = {};
    for (const row of rows) found[row.verdict] = (found[row.verdict] || 0) + 1;
    return found;
  };
  // {flows, verdict, healed, broken, doubtful}, of all flows.
  const figures = (rows) => {
    const all = counts();
    if (all) return { flows: all.flows, verdict: all.verdict || {}, healed: all.healed || {}, broken: sum(all.error_rule), doubtful: sum(all.warning_rule) };
    const healed = tally(rows.filter((row) => row.healed));
    const verdict = tally(rows);
    return { flows: rows.length, verdict, healed, broken: (verdict.error || 0) - (healed.error || 0), doubtful: (verdict.warning || 0) - (healed.warning || 0) };
  };
  // How many of each verdict are not listed. Rows may be here before the summary counts them.
  const unlisted = () => {
    const all = counts();
    const listed = tally(store.all());
    return VERDICTS.map((verdict) => [verdict, all ? Math.max(0, (all.verdict?.[verdict] || 0) - (listed[verdict] || 0)) : 0]).filter(([, number]) => number);
  };

  const places = () => {
    const known = store.elsewhere;
    if (!known.length) return "No format was written that has all of them: --format jsonl has, or --dataset; live --set cos_report_format=jsonl.";
    return ["All of them: ", known.map((place, i) => [i ? ", " : "", el("code", null, wire(place))]), "."];
  };
  // Says what is left out, and where it is; null while nothing is. `which`: the flows that the
  // numbers of the page are of.
  const note = (which) => {
    const all = counts();
    if (!all) return null;
    const left = unlisted();
    const accused = left.some(([verdict]) => verdict !== "ok");
    return el("p", { class: "short", id: "short" },
      el("strong", null, `${store.all().length.toLocaleString("en")} of ${count(all.flows, "flow")} are listed one by one`),
      ": the first of each kind, then the worst. ", `Numbers are of ${which}. `,
      left.length ? [accused ? "Counted, but not listed: " : "Not listed: ", left.map(([verdict, number], i) => [i ? ", " : "", `${number.toLocaleString("en")} ${number === 1 ? verdict : MANY[verdict]}`]), ". "] : null,
      places());
  };
  // Why a number leads nowhere.
  const missing = (number) =>
    counts() ? `Flow ${number} is not listed on these pages, which have the worst ${store.all().length.toLocaleString("en")} of ${count(counts().flows, "flow")}.${store.elsewhere.length ? ` All are in ${store.elsewhere.join(", ")}.` : ""}` : `There is no flow ${number} in this report.`;

  cosInspect.totals = { counts, figures, note, missing };
})();
