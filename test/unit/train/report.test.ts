import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { TrainingLog, type LogRecord } from "../../../src/train/log.ts";
import { reportHtml, writeReport } from "../../../src/train/report.ts";
import { START, stepRecord, validationRecord } from "./records.ts";

const VOID = new Set(["meta", "line", "path", "circle"]);

/** Checks that every element is closed in its turn and that no bare `<` or `&` is left in the text. */
function assertWellFormed(html: string): void {
  const open: string[] = [];
  const body = html.replace(/^<!doctype html>\n/, "");
  const text = body.replace(
    /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z][\w-]*(?:="[^"<]*")?)*)\s*\/?>/g,
    (_all, slash, name) => {
      if (slash === "/") assert.equal(open.pop(), name);
      else if (!VOID.has(String(name))) open.push(String(name));
      return "";
    },
  );
  assert.deepEqual(open, []);
  assert.doesNotMatch(text, /</);
  assert.doesNotMatch(text, /&(?!#\d+;|nbsp;)/);
}

function titles(html: string): string[] {
  return [...html.matchAll(/<figcaption>(.*?)<\/figcaption>/g)].map(([, title]) => title!);
}

/** The figure of this title. */
function figure(html: string, title: string): string {
  const found = html.split("<figure>").find((part) => part.startsWith(`<figcaption>${title}<`));
  assert.ok(found, `${title} among ${titles(html).join("; ")}`);
  return found;
}

/** A fact of the list at the top. */
function fact(html: string, name: string): string | undefined {
  return html.match(new RegExp(`<dt>${name}</dt><dd>(.*?)</dd>`))?.[1];
}

/** Cells of the table's rows, tags removed. */
function rowsOf(html: string, heading: string): string[][] {
  const section = html.split(`<h2>${heading}</h2>`)[1]!.split("</tbody>")[0]!.split("<tbody>")[1]!;
  return [...section.matchAll(/<tr>(.*?)<\/tr>/g)].map(([, row]) =>
    [...row!.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g)].map(([, cell]) => cell!),
  );
}

const RUN: readonly LogRecord[] = [
  START,
  ...Array.from({ length: 40 }, (_, i) => stepRecord(i + 1)),
  validationRecord(20, { lm: 1.75, p1: 0.125 }),
  validationRecord(40),
  { type: "checkpoint", step: 40, folder: "f" },
  { type: "end", step: 40, seconds: 81, reason: "finished" },
];

describe("a whole run", () => {
  const html = reportHtml(RUN);

  test("is a page of its own: well formed, no script, nothing from elsewhere", () => {
    assertWellFormed(html);
    assert.doesNotMatch(html, /<script|<link|<img|src=|href=|url\(|@import|https?:/);
    assert.match(html, /prefers-color-scheme:dark/);
  });

  test("has every curve, told in words as well", () => {
    assert.deepEqual(titles(html), [
      "Training loss, the weighted sum",
      "LM loss per rationale token",
      "Contrastive loss per query",
      "Queries nearest to their own target in the batch",
      "Validation: LM loss",
      "Validation: contrastive loss",
      "Validation: P@1 in the batch",
      "Rationales written in training",
      "Tokens of a written rationale",
      "Gradient norm",
      "Learning rate",
      "Pairs a second",
      "Memory, GiB",
    ]);
    assert.equal(html.match(/<svg [^>]*role="img" aria-label="[^"]+"/g)?.length, 13);
    // Step 1 has 3 + 2, step 40 has 3 + 2 / 40.
    assert.match(figure(html, "Training loss, the weighted sum"), /total: 5 to 3\.05"/);
    assert.match(figure(html, "Validation: LM loss"), /birds: 1\.75 to 1\.5"/);
    // 8 pairs in 2 seconds; 2^30 bytes.
    assert.match(figure(html, "Pairs a second"), /training: 4 to 4"/);
    assert.match(figure(html, "Memory, GiB"), /resident: 1 to 1"/);
  });

  test("draws losses raw and smoothed, validation points once", () => {
    assert.equal(figure(html, "LM loss per rationale token").match(/<path /g)?.length, 2);
    assert.equal(figure(html, "Validation: LM loss").match(/<path /g)?.length, 1);
  });

  test("sums up its facts", () => {
    const expected = {
      State: "finished",
      Steps: "40",
      Pairs: "320",
      "Time in steps": "1 min 20 s",
      "Of it writing rationales": "25%",
      "Pairs a second": "4.0",
      "Peak memory": "1,024 MiB",
      Parameters: "12,345 trained of 3,000,000",
      Seed: "77",
      "Times resumed": "0",
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(fact(html, name), value, name);
    assert.match(html, /<details><summary>Settings<\/summary><pre>[^<]*&#34;temperature&#34;: 0\.02/);
  });

  test("tells the data, and the losses of each dataset from first to last", () => {
    assert.deepEqual(rowsOf(html, "Data"), [
      ["cats", "1,200", "3", "aa".repeat(8)],
      ["dogs", "64", "0", "bb".repeat(8)],
    ]);
    // A tenth of 20 steps is 2: steps 1 and 3, 37 and 39 for cats; 2 and 4, 38 and 40 for dogs.
    const cats = [1 + (1 + 1 / 3) / 2, 1 + (1 / 37 + 1 / 39) / 2].map((mean) => mean.toFixed(3));
    const dogs = [1 + (1 / 2 + 1 / 4) / 2, 1 + (1 / 38 + 1 / 40) / 2].map((mean) => mean.toFixed(3));
    const rows = rowsOf(html, "Losses by dataset");
    assert.deepEqual(
      rows.map((row) => row.slice(0, 4)),
      [
        ["cats", "training", "20 steps", cats.join(" → ")],
        ["dogs", "training", "20 steps", dogs.join(" → ")],
        ["birds", "validation", "64 pairs", "1.750 → 1.500"],
      ],
    );
    assert.equal(rows[2]!.at(-1), "0.125 → 0.250");
  });
});

test("names and settings cannot become markup", () => {
  const hostile = `</title><script>alert("1")</script>'&amp;<b x=">`;
  const html = reportHtml([
    { ...START, model: hostile, machine: hostile, config: { [hostile]: hostile, seed: hostile } },
    stepRecord(1, { dataset: hostile }),
    validationRecord(1, { dataset: hostile }),
    { type: "end", step: 1, seconds: 1, reason: hostile },
  ]);
  assertWellFormed(html);
  assert.doesNotMatch(html, /<script|<b |&amp;/);
  assert.ok(html.includes("&#60;script&#62;alert(&#34;1&#34;)"));
  assertWellFormed(reportHtml([{ ...START, datasets: [{ name: hostile, rows: 1, problems: 0, hash: hostile }] }]));
});

test("a log without steps, without a start, or of one step makes a page", () => {
  for (const log of [[], [START], [stepRecord(1)], [START, stepRecord(1)]]) assertWellFormed(reportHtml(log));
  const one = reportHtml([START, stepRecord(1)]);
  assert.match(figure(one, "Training loss, the weighted sum"), /<circle /);
  assert.doesNotMatch(one, /NaN|undefined|Infinity/);
  assert.equal(fact(one, "State"), "running, or cut off");
});

test("terms that a mode lacks have no chart and no figure", () => {
  const none = { contrastive: null, hits: null, endedShare: null, rationaleTokens: null, oracleShare: null };
  const html = reportHtml([START, stepRecord(1, none), stepRecord(2, none)]);
  assert.deepEqual(
    titles(html).filter((title) => /Contrastive|Queries|ationale(s| written)|of a written/.test(title)),
    [],
  );
  assert.deepEqual(rowsOf(html, "Losses by dataset")[0]!.slice(-2), ["-", "-"]);
});

test("a run that was stopped and goes on is not told as stopped", () => {
  const stopped: LogRecord = { type: "end", step: 1, seconds: 1, reason: "stopped" };
  const resumed: LogRecord[] = [START, stepRecord(1), stopped, { type: "resume", step: 1, time: "t" }, stepRecord(2)];
  assert.equal(fact(reportHtml(resumed.slice(0, 3)), "State"), "stopped");
  assert.equal(fact(reportHtml(resumed), "State"), "running, or cut off");
  assert.equal(fact(reportHtml(resumed), "Times resumed"), "1");
});

test("values that are not finite are left out of the curves and counted", () => {
  const html = reportHtml([START, stepRecord(1), stepRecord(2, { lm: NaN, gradNorm: Infinity }), stepRecord(3)]);
  assert.match(html, /2 values are NaN or infinite and are not drawn/);
  assert.doesNotMatch(figure(html, "LM loss per rationale token"), /NaN/);
  assert.doesNotMatch(reportHtml(RUN), /not drawn/);
});

test("many validation datasets share a curve, their mean", () => {
  const records = Array.from({ length: 8 }, (_, i) => validationRecord(10, { dataset: `set ${i}`, p1: i / 10 }));
  const html = reportHtml([START, ...records]);
  // The mean of 0 to 0.7.
  assert.match(figure(html, "Validation: P@1 in the batch"), /mean of 8 datasets: 0\.35 to 0\.35"/);
  assert.equal(rowsOf(html, "Losses by dataset").length, 8);
});

test("updates over several datasets have one row", () => {
  const html = reportHtml([
    START,
    stepRecord(1, { dataset: "cats, dogs" }),
    stepRecord(2, { dataset: "dogs, cats" }),
    stepRecord(3, { dataset: "dogs" }),
  ]);
  assert.deepEqual(
    rowsOf(html, "Losses by dataset").map(([name, , seen]) => [name, seen]),
    [
      ["several in one update", "2 steps"],
      ["dogs", "1 step"],
    ],
  );
});

test("long runs stay below a megabyte", () => {
  for (const steps of [1, 100_000, 200_000]) {
    const validations = Array.from({ length: 6 }, (_, set) =>
      Array.from({ length: 1000 }, (_unused, i) => validationRecord((i + 1) * 100, { dataset: `set ${set}` })),
    ).flat();
    const html = reportHtml([START, ...Array.from({ length: steps }, (_, i) => stepRecord(i + 1)), ...validations]);
    assert.ok(html.length < 1_000_000, `${steps} steps: ${html.length} characters`);
    assert.equal(fact(html, "Steps"), steps.toLocaleString("en-US"));
    assert.equal(titles(html).length, 13);
  }
});

test("writeReport turns a log's file into a page and leaves nothing else", () => {
  const folder = mkdtempSync(join(tmpdir(), "rge-report-"));
  try {
    const log = new TrainingLog(join(folder, "log.jsonl"));
    for (const record of RUN) log.write(record);
    writeReport(log.path, join(folder, "report.html"));
    assert.equal(readFileSync(join(folder, "report.html"), "utf8"), reportHtml(RUN));
    assert.deepEqual(readdirSync(folder).sort(), ["log.jsonl", "report.html"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
