/** Two runs made up by hand, compared. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { DatasetError } from "../../../src/errors.ts";
import { compareRuns } from "../../../src/eval/compare.ts";

const root = mkdtempSync(join(tmpdir(), "rge-compare-"));
after(() => rmSync(root, { recursive: true, force: true }));

interface MadeDataset {
  readonly name: string;
  readonly ood?: boolean;
  readonly values: readonly number[];
  readonly metric?: string;
}

function run(name: string, datasets: readonly MadeDataset[], places: (i: number) => string = String): string {
  const folder = join(root, name);
  mkdirSync(join(folder, "queries"), { recursive: true });
  const candidate = { text: "x", images: [], index: 0, score: 1, grade: 1 };
  for (const { name: dataset, values } of datasets) {
    const lines = values.map((value, i) =>
      JSON.stringify({
        place: places(i),
        query: { text: "q", images: [] },
        rationale: "",
        rationaleTokens: 0,
        finish: "direct",
        value,
        rank: value === 1 ? 1 : 2,
        right: candidate,
        top: [candidate],
      }),
    );
    writeFileSync(join(folder, "queries", `${dataset}.jsonl`), `${lines.join("\n")}\n`);
  }
  const results = {
    format: "rge-eval/1",
    benchmark: "mmeb",
    provenance: { model: name, modelHash: "00", time: "2026-11-25T00:00:00Z" },
    settings: {},
    datasets: datasets.map(({ name: dataset, ood = false, values, metric = "hit@1" }) => ({
      name: dataset,
      metric,
      modality: "image",
      metaTask: ood ? "retrieval" : "vqa",
      ood,
      queries: values.length,
      metrics: { [metric]: 0 },
    })),
    means: {},
  };
  writeFileSync(join(folder, "results.json"), JSON.stringify(results));
  return folder;
}

/** So many ones, then zeros, of so many. */
function ones(count: number, all: number): number[] {
  return Array.from({ length: all }, (_, i) => (i < count ? 1 : 0));
}

describe("compareRuns", () => {
  test("gives differences, McNemar's p, and means that count datasets alike", async () => {
    // A of 40: 10 right; B: those and 10 more. C of 10: 5 right, then the other 5.
    const a = run("a", [
      { name: "A", values: ones(10, 40) },
      { name: "C", ood: true, values: ones(5, 10) },
    ]);
    const b = run("b", [
      { name: "A", values: ones(20, 40) },
      { name: "C", ood: true, values: ones(5, 10).toReversed() },
    ]);
    const { datasets, means, leftOut } = await compareRuns(a, b);
    assert.deepEqual(leftOut, []);
    const [first, second] = datasets;
    assert.deepEqual([first!.a, first!.b, first!.difference, first!.gained, first!.lost], [0.25, 0.5, 0.25, 10, 0]);
    // Ten changed queries, all one way: 2 / 2^10, below 0.05 / 2.
    assert.ok(Math.abs(first!.p - 2 / 1024) < 1e-9);
    assert.equal(first!.significant, true);
    assert.deepEqual([second!.difference, second!.gained, second!.lost, second!.p], [0, 5, 5, 1]);
    assert.equal(second!.significant, false);
    assert.deepEqual(
      means.map(({ name, a: before, b: then }) => [name, before, then]),
      [
        ["vqa", 0.25, 0.5],
        ["retrieval", 0.5, 0.5],
        ["IND", 0.25, 0.5],
        ["OOD", 0.5, 0.5],
        ["overall", 0.375, 0.5],
      ],
    );
    const overall = means.at(-1)!;
    assert.ok(overall.interval.low < 0.125 && overall.interval.high > 0.125);
  });

  test("holds datasets to account together", async () => {
    // Each gains 6 of 6: p = 2 / 2^6 = 0.03125. Alone it would hold at 0.05; of three, the smallest must be below 0.0167.
    const names = ["A", "B", "C"];
    const a = run(
      "holm-a",
      names.map((name) => ({ name, values: ones(0, 20) })),
    );
    const b = run(
      "holm-b",
      names.map((name) => ({ name, values: ones(6, 20) })),
    );
    const { datasets } = await compareRuns(a, b);
    assert.ok(datasets.every(({ p }) => Math.abs(p - 2 / 64) < 1e-9));
    assert.ok(datasets.every(({ significant }) => !significant));
    const alone = await compareRuns(
      run("one-a", [{ name: "A", values: ones(0, 20) }]),
      run("one-b", [{ name: "A", values: ones(6, 20) }]),
    );
    assert.equal(alone.datasets[0]!.significant, true);
  });

  test("leaves out what only one run has, and says so", async () => {
    const a = run("left-a", [
      { name: "A", values: [1] },
      { name: "B", values: [1] },
    ]);
    const b = run("left-b", [
      { name: "A", values: [0] },
      { name: "C", values: [1] },
    ]);
    const { leftOut, datasets } = await compareRuns(a, b);
    assert.deepEqual(leftOut, ["B", "C"]);
    assert.equal(datasets.length, 1);
  });

  test("refuses runs that cannot be compared", async () => {
    const a = run("no-a", [{ name: "A", values: [1, 0] }]);
    for (const [b, message] of [
      [run("no-b", [{ name: "B", values: [1, 0] }]), /no dataset in common/],
      [run("no-c", [{ name: "A", values: [1] }]), /has 2 queries and .* 1/],
      [run("no-d", [{ name: "A", values: [1, 0] }], (i) => `other ${i}`), /not the same/],
      [join(root, "nowhere"), /results\.json is not there/],
    ] as const)
      await assert.rejects(
        compareRuns(a, b),
        (error: Error) => error instanceof DatasetError && message.test(error.message),
      );
    const damaged = run("damaged", [{ name: "A", values: [1, 0] }]);
    writeFileSync(join(damaged, "queries/A.jsonl"), '{"place": 1}\n');
    await assert.rejects(compareRuns(a, damaged), /A\.jsonl, line 1/);
  });
});
