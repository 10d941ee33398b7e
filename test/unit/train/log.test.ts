import assert from "node:assert/strict";
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readLog, TrainingLog, type LogRecord, type StepRecord } from "../../../src/train/log.ts";
import { reportHtml } from "../../../src/train/report.ts";
import { temporaryFolder } from "../../support/fixtures.ts";

function step(number: number, changes: Partial<StepRecord> = {}): StepRecord {
  return {
    type: "step",
    step: number,
    dataset: "toy",
    lm: 3 / number,
    contrastive: 2 / number,
    loss: 5 / number,
    hits: 1 - 1 / number,
    gradNorm: 1,
    learningRate: 1e-3,
    pairs: 16,
    tokens: 900,
    seconds: 0.5,
    generateSeconds: 0.1,
    endedShare: 0.5,
    rationaleTokens: 9,
    oracleShare: 0.25,
    rssBytes: 2 ** 29,
    ...changes,
  };
}

test("what is written is read back, and a torn last line is passed over", (t) => {
  const log = new TrainingLog(join(temporaryFolder(t), "log.jsonl"));
  log.write(step(1));
  log.write({ type: "checkpoint", step: 1, folder: "x" });
  appendFileSync(log.path, '{"type":"step","st');
  assert.deepEqual(readLog(log.path), [step(1), { type: "checkpoint", step: 1, folder: "x" }]);
});

test("going on drops what came after the checkpoint", (t) => {
  const folder = temporaryFolder(t);
  const log = new TrainingLog(join(folder, "log.jsonl"));
  for (const number of [1, 2, 3, 4]) log.write(step(number));
  appendFileSync(log.path, "{");
  log.truncateAfter(2);
  assert.deepEqual(
    readLog(log.path).map((record) => (record as StepRecord).step),
    [1, 2],
  );
  assert.ok(readFileSync(log.path, "utf8").endsWith("}\n"));
  assert.deepEqual(readdirSync(folder), ["log.jsonl"]);
});

/** Every tag that is opened is closed, in order. */
function assertWellFormed(html: string): void {
  const open: string[] = [];
  for (const [, closing, name, rest] of html.matchAll(/<(\/?)([a-z0-9]+)([^>]*)>/g)) {
    if (["meta", "br"].includes(name!) || rest!.endsWith("/")) continue;
    if (closing === "") open.push(name!);
    else assert.equal(open.pop(), name, `</${name}> closes something else`);
  }
  assert.deepEqual(open, []);
}

test("the report draws each curve, tells the datasets, and holds no mark-up from the log", () => {
  const hostile = `<img src=x onerror="alert(1)">`;
  const log: LogRecord[] = [
    {
      type: "start",
      time: "2026-11-24T00:00:00Z",
      version: "0.1.0",
      model: hostile,
      modelHash: "ab".repeat(32),
      parameters: 10,
      trained: 8,
      threads: 2,
      machine: "m",
      datasets: [{ name: "toy", rows: 5, problems: 1, hash: "cd" }],
      config: { note: hostile },
    },
    ...Array.from({ length: 60 }, (_, i) => step(i + 1, { dataset: i % 2 === 0 ? "toy" : hostile })),
    {
      type: "validation",
      step: 60,
      dataset: "held-out",
      lm: 0.5,
      contrastive: null,
      p1: 0.75,
      endedShare: null,
      oracleShare: null,
      pairs: 64,
    },
  ];
  const html = reportHtml(log);
  assertWellFormed(html);
  assert.ok(!html.includes("<img"), "a name from the log became mark-up");
  assert.ok(!/(https?:)?\/\/[a-z]/.test(html.replace(/xmlns="[^"]*"/g, "")), "something comes from the network");
  for (const title of [
    "LM loss per rationale token",
    "Contrastive loss per query",
    "Validation: P@1 in the batch",
    "Learning rate",
    "Gradient norm",
    "Pairs a second",
  ])
    assert.ok(html.includes(title), title);
  assert.ok(!html.includes("Validation: contrastive loss"), "a curve without a value is drawn");
  assert.match(html, /LM loss per rationale token\. training: 3 to 0\.05/);
});

test("a log of a hundred thousand steps makes a page below a megabyte, and an empty one a page", () => {
  const log = Array.from({ length: 100_000 }, (_, i) => step(i + 1));
  const html = reportHtml(log);
  assertWellFormed(html);
  assert.ok(html.length < 1_000_000, `${html.length} characters`);
  assertWellFormed(reportHtml([]));
  assertWellFormed(reportHtml([step(1)]));
});
