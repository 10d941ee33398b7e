import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { MMEB, MMEB_V2 } from "../../../src/eval/mmeb.ts";
import { evalReport } from "../../../src/eval/report.ts";
import type { Provenance } from "../../../src/eval/types.ts";
import { datasetResult } from "./eval-results.ts";
import { makeRun, meanOf, queries, type MadeDataset, type MadeQuery } from "./report-run.ts";

const root = mkdtempSync(join(tmpdir(), "rge-eval-report-"));
after(() => rmSync(root, { recursive: true, force: true }));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "run-"));
});

/** Rows of the table under a label: texts of their cells, those of its head first. */
function rowsOf(html: string, label: string): string[][] {
  const table = html.split(`aria-label="${label}"><table`)[1]?.split("</table>")[0];
  assert.ok(table, `no table ${label}`);
  return [...table.matchAll(/<tr[^>]*>(.*?)<\/tr>/gs)].map(([, row]) =>
    [...row!.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell]) =>
      cell!.replaceAll("<small>", " | ").replace(/<[^>]+>/g, ""),
    ),
  );
}

/** A row by its name, under the heads of the columns. */
function rowOf(html: string, label: string, name: string): Record<string, string> {
  const [head, ...rows] = rowsOf(html, label);
  const row = rows.find(([first]) => first === name);
  assert.ok(row, `no row ${name} in ${label}`);
  return Object.fromEntries(head!.map((title, i) => [title, row[i]!]));
}

function fact(html: string, name: string): string | undefined {
  return html.match(new RegExp(`<dt>${name}</dt><dd>(.*?)</dd>`))?.[1];
}

function warningsOf(html: string): string[] {
  return [...html.matchAll(/<p class="warning">(.*?)<\/p>/gs)]
    .map(([, text]) => text!.replace(/<[^>]+>/g, "").replaceAll("&#39;", "'"))
    .filter((text) => !text.startsWith("Queries are shown by a script"));
}

/** What a chart says. */
function told(html: string, title: string): string {
  const label = html.split(`<figcaption>${title}</figcaption>`)[1]?.match(/aria-label="([^"]*)"/)?.[1];
  assert.ok(label, `no chart ${title}`);
  return label;
}

function rules(queryRules: string, targetRules: string): Pick<Provenance, "queryRules" | "targetRules"> {
  return { queryRules: { name: queryRules, hash: "b" }, targetRules: { name: targetRules, hash: "c" } };
}

/** All of MMEB with two queries a dataset. */
function wholeMmeb(): MadeDataset[] {
  return MMEB.map((dataset) => ({ ...dataset, queries: queries(2, 1) }));
}

describe("the tables", () => {
  test("a dataset's row has the figures of its result", async () => {
    const results = makeRun(folder, [
      {
        name: "ChartQA",
        metaTask: "vqa",
        queries: queries(4, 3),
        targets: 1234,
        metrics: { "hit@5": 0.812, "hit@10": 0.9, "ndcg_linear@5": 0.7654, "mrr@10": 0.5 },
        interval: { low: 0.4321, high: 0.9876 },
        rationales: { mean: 30.26, median: 28, p90: 61, max: 128, overrunShare: 0.0625, histogram: [] },
        rewritten: { queries: [3, 4], targets: [1000, 1234] },
      },
    ]);
    assert.deepEqual(rowOf(await evalReport(folder, results), "Datasets", "ChartQA"), {
      dataset: "ChartQA",
      "main metric": "75.0 | 43.2 to 98.8",
      "meta-task": "vqa",
      kind: "IND",
      "hit@1": "75.0",
      "hit@5": "81.2",
      "hit@10": "90.0",
      "ndcg_linear@5": "76.5",
      "mrr@10": "50.0",
      queries: "4",
      targets: "1,234",
      "tokens mean": "30.3",
      median: "28",
      p90: "61",
      max: "128",
      "overruns %": "6.3",
      "queries rewritten": "3/4",
      "targets rewritten": "1,000/1,234",
    });
  });

  test("the run's means stand above the paper's rows, and say how many datasets are in", async () => {
    const means = { metaTasks: { vqa: meanOf(0.5, 1) }, ind: meanOf(0.4, 1), overall: meanOf(0.5, 1) };
    const run = makeRun(folder, [{ name: "ChartQA", metaTask: "vqa", queries: queries(2, 1) }], { means });
    const html = await evalReport(folder, run);
    const own = rowOf(html, "Means", "this run");
    assert.equal(own["vqa"], "50.0 | 49.0 to 51.0 | 1 of 10 datasets");
    assert.equal(own["IND"], "40.0 | 39.0 to 41.0 | 1 of 20 datasets");
    assert.equal(own["OOD"], "-");
    assert.equal(own["overall"], "50.0 | 49.0 to 51.0 | 1 of 36 datasets");
    // method.md 2.4.
    const rows = rowsOf(html, "Means");
    assert.deepEqual(rows.find(([name]) => name === "RGE 3B")?.slice(1, 8), [
      "64.4",
      "67.8",
      "70.2",
      "90.1",
      "75.3",
      "63.7",
      "70.1",
    ]);
    const baseline = rows.find(([name]) => name?.includes("baseline without reasoning"));
    assert.deepEqual(baseline?.slice(1, 8), ["59.5", "59.9", "66.8", "88.0", "70.6", "58.4", "65.2"]);
    assert.equal(fact(html, "IND"), "40.0 (39.0 to 41.0)");
    assert.match(html, /<strong>50\.0<\/strong> overall, 95% 49\.0 to 51\.0/);
  });

  test("on MMEB-V2 modalities are compared, and meta-tasks have a table of their own", async () => {
    const means = {
      modalities: { image: meanOf(0.7, 36), visdoc: meanOf(0.6, 2) },
      metaTasks: { vqa: meanOf(0.55, 10) },
      overall: meanOf(0.65, 38),
    };
    const run = makeRun(folder, [{ name: "ChartQA", queries: queries(1, 1) }], { benchmark: "mmeb-v2", means });
    const html = await evalReport(folder, run);
    const own = rowOf(html, "Means", "this run");
    assert.equal(own["image"], "70.0 | 69.0 to 71.0");
    assert.equal(own["visdoc"], "60.0 | 59.0 to 61.0 | 2 of 24 datasets");
    assert.equal(own["writes text first"], "yes");
    const qwen = rowOf(html, "Means", "Qwen3-VL-Embedding 8B");
    assert.deepEqual([qwen["image"], qwen["overall"], qwen["writes text first"]], ["80.1", "77.8", "no"]);
    assert.deepEqual(rowsOf(html, "Means by meta-task")[1], ["vqa", "55.0", "54.0 to 56.0", "10"]);
    assert.match(warningsOf(html)[0]!, /1 of MMEB-V2's 78 datasets/);
    const all = MMEB_V2.map((dataset) => ({ ...dataset, queries: queries(1, 1) }));
    assert.doesNotMatch(
      await evalReport(folder, makeRun(folder, all, { benchmark: "mmeb-v2" })),
      /This run is partial/,
    );
  });

  test("Scenes has nothing beside it", async () => {
    const run = makeRun(folder, [{ name: "TwoHop", metaTask: "vqa", queries: queries(2, 1) }], { benchmark: "scenes" });
    const html = await evalReport(folder, run);
    assert.equal(rowsOf(html, "Means").length, 2);
    assert.doesNotMatch(html, /published|RGE 3B|This run is partial/i);
  });
});

describe("warnings", () => {
  test("a run of all datasets has none", async () => {
    const html = await evalReport(folder, makeRun(folder, wholeMmeb(), { provenance: rules("none", "none") }));
    assert.deepEqual(warningsOf(html), []);
  });

  test("datasets that are missing, or a limit, make a run partial and not comparable", async () => {
    const some = wholeMmeb().filter(({ name }) => name !== "EDIS" && name !== "GQA");
    const part = await evalReport(folder, makeRun(folder, some, { provenance: rules("none", "none") }));
    assert.deepEqual(warningsOf(part), [
      "This run is partial: it has 34 of MMEB's 36 datasets, without GQA, EDIS. The overall figure is not comparable with published ones.",
    ]);
    const provenance = { ...rules("none", "none"), limit: 1500 };
    assert.deepEqual(warningsOf(await evalReport(folder, makeRun(folder, wholeMmeb(), { provenance }))), [
      "This run is partial: at most the first 1,500 queries of each dataset are in it. The overall figure is not comparable with published ones.",
    ]);
  });

  test("rules that change no text of a dataset are told, and not where there are none", async () => {
    const datasets: MadeDataset[] = [
      { name: "ChartQA", queries: queries(2, 1), rewritten: { queries: [0, 2], targets: [0, 9] } },
      { name: "DocVQA", queries: queries(2, 1), rewritten: { queries: [2, 2], targets: [0, 9] } },
    ];
    const run = makeRun(folder, datasets, { benchmark: "scenes", provenance: rules("queries.yaml", "none") });
    const html = await evalReport(folder, run);
    assert.deepEqual(warningsOf(html), [
      "The rules queries.yaml change no text of queries in ChartQA. A rule that misses its text gives other numbers without an error.",
    ]);
    assert.deepEqual(
      [...html.matchAll(/class="odd">(.*?)<\/td>/g)].map(([, text]) => text),
      ["0/2"],
    );
  });
});

describe("plots", () => {
  test("tell each dataset's metric and interval by meta-task", async () => {
    const interval = { low: 0.5, high: 0.8 };
    const datasets: MadeDataset[] = [
      { name: "GQA", metaTask: "vqa", ood: true, queries: queries(4, 3), interval },
      { name: "ChartQA", metaTask: "vqa", queries: queries(4, 1), interval },
    ];
    const html = await evalReport(folder, makeRun(folder, datasets));
    assert.equal(told(html, "vqa"), "vqa. GQA, OOD: 75.0, 50.0 to 80.0; ChartQA, IND: 25.0, 50.0 to 80.0");
  });

  test("tell how long rationales are, how many overran, and how often the first candidate is right", async () => {
    const made: MadeQuery[] = [
      { rationaleTokens: 7 },
      { rationaleTokens: 8, rank: 2 },
      { rationaleTokens: 16, finish: "budget", rank: 2 },
      { rationaleTokens: 16, finish: "budget" },
    ];
    const html = await evalReport(folder, makeRun(folder, [{ name: "GQA", metaTask: "vqa", queries: made }]));
    assert.equal(
      told(html, "GQA"),
      "GQA. from 0 tokens 25.0%; from 8 tokens 25.0%; from 16 tokens 50.0%, of which ended by the budget 50.0%",
    );
    assert.match(html, /50\.0% overran; right: 50\.0% where ended, 50\.0% where overran/);
    // Wilson's interval of 1 of 1 is 1 / (1 + z^2) to 1, and of 1 of 2: 0.0945 to 0.9055.
    assert.equal(
      told(html, "By the length of the rationale"),
      "By the length of the rationale. 0 to 7 tokens: 100.0, 20.7 to 100.0, 1 queries; 8 to 15 tokens: 0.0, 0.0 to 79.3, 1 queries; 16 to 23 tokens: 50.0, 9.5 to 90.5, 2 queries",
    );
    const ends = rowOf(html, "Right by what ended the rationale", "vqa");
    assert.equal(ends["by the budget"], "50.0 | 9.5 to 90.5 | 2 queries");
  });

  test("of rationales are left out where there are none", async () => {
    const made = queries(3, 1, { finish: "direct", rationale: "", rationaleTokens: 0 });
    const run = makeRun(folder, [{ name: "GQA", queries: made }], { settings: { maxNewTokens: 0 } });
    const html = await evalReport(folder, run);
    assert.match(html, /all are embedded directly/);
    const [page] = html.split("<script");
    for (const word of ["By the length of the rationale", "NaN", "undefined", "Infinity"])
      assert.ok(!page!.includes(word), word);
  });
});

test("provenance is told whole, with each dataset's hash and how to compare", async () => {
  const dataset = { ...datasetResult("GQA", "image", 1), dataHash: "0123456789abcdef".repeat(4) };
  const run = makeRun(folder, [{ ...dataset, queries: queries(1, 1), metrics: {} }], {
    provenance: { commit: "abc123", dataRevision: "def456", limit: 50 },
  });
  const html = await evalReport(folder, run);
  const { queryRules, targetRules, ...plain } = run.provenance;
  for (const value of [...Object.values(plain), ...Object.values(queryRules), ...Object.values(targetRules)])
    assert.ok(html.split('id="provenance"')[1]!.includes(String(value)), String(value));
  assert.deepEqual(rowsOf(html, "Data of each dataset")[1], ["GQA", "0123456789ab", "100", "0"]);
  assert.match(html, /rge eval compare A B/);
});
