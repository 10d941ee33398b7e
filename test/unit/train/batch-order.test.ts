import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../../../src/errors.ts";
import { BatchOrder, mix, type BatchSource } from "../../../src/train/batch-order.ts";
import { seededRandom } from "../../../src/random.ts";

function source(name: string, rows: number, weight = 1): BatchSource {
  const random = seededRandom(rows);
  return { name, weight, lengths: Array.from({ length: rows }, () => Math.floor(random() * 100)) };
}
const OPTIONS = { batchSize: 4, seed: 3, bucketBatches: 3 };

test("every row comes once per pass, and what does not fill a batch opens the next pass", () => {
  for (const rows of [4, 5, 7, 22, 40]) {
    const order = new BatchOrder([source("a", rows)], OPTIONS);
    const passes = 6;
    const seen = Array.from({ length: Math.floor((rows * passes) / 4) }, (_, i) => order.at(i).rows).flat();
    const counts = Array.from({ length: rows }, (_, row) => seen.filter((it) => it === row).length);
    for (const count of counts) assert.ok(count >= passes - 1 && count <= passes, `${rows} rows: ${counts.join(" ")}`);
  }
});

test("a batch never holds a row twice and comes from one source", () => {
  const order = new BatchOrder([source("a", 7), source("b", 9)], OPTIONS);
  for (let i = 0; i < 100; i++) {
    const { rows, source: from } = order.at(i);
    assert.equal(new Set(rows).size, 4);
    assert.ok(rows.every((row) => row < [7, 9][from]!));
  }
});

test("sources come by their weights from the start", () => {
  const order = new BatchOrder([source("a", 8, 3), source("b", 8, 1), source("c", 8, 2)], OPTIONS);
  for (const length of [6, 12, 60]) {
    const counts = [0, 0, 0];
    for (let i = 0; i < length; i++) counts[order.at(i).source]!++;
    assert.deepEqual(counts, [length / 2, length / 6, length / 3]);
  }
});

test("a batch depends on the seed and its number alone, whatever was asked for before", () => {
  const sources = [source("a", 30), source("b", 17, 2)];
  const [forward, backward] = [new BatchOrder(sources, OPTIONS), new BatchOrder(sources, OPTIONS)];
  const batches = Array.from({ length: 50 }, (_, i) => forward.at(i));
  for (let i = 49; i >= 0; i--) assert.deepEqual(backward.at(i), batches[i]);
  const other = new BatchOrder(sources, { ...OPTIONS, seed: 4 });
  assert.notDeepEqual(
    Array.from({ length: 50 }, (_, i) => other.at(i)),
    batches,
  );
});

test("passes differ in their order", () => {
  const order = new BatchOrder([source("a", 40)], { ...OPTIONS, bucketBatches: 1 });
  const pass = (n: number): number[] => Array.from({ length: 10 }, (_, i) => order.at(n * 10 + i).rows).flat();
  assert.notDeepEqual(pass(0), pass(1));
  assert.equal(order.at(10).epoch, 1);
});

/** How far lengths are apart within batches, summed over a pass of 200 rows. */
function spread(bucketBatches: number): number {
  const { lengths } = source("a", 200);
  const order = new BatchOrder([source("a", 200)], { ...OPTIONS, bucketBatches });
  return Array.from({ length: 50 }, (_, i) => {
    const own = order.at(i).rows.map((row) => lengths[row]!);
    return Math.max(...own) - Math.min(...own);
  }).reduce((a, b) => a + b);
}

test("buckets bring rows of like length together", () => {
  assert.ok(spread(10) < spread(1) / 3);
});

test("a source with fewer rows than a batch is refused", () => {
  assert.throws(
    () => new BatchOrder([source("tiny", 3)], OPTIONS),
    new InputError(
      "tiny: 3 rows are too few for batches of 4: a row would be its own negative. Lower batchSize or join datasets.",
    ),
  );
});

test("batches per pass count whole ones", () => {
  assert.equal(new BatchOrder([source("a", 30), source("b", 17)], OPTIONS).batchesPerPass, 11);
});

test("mixed numbers are spread and depend on every part", () => {
  const values = new Set<number>();
  for (let a = 0; a < 40; a++) for (let b = 0; b < 40; b++) values.add(mix(a, b));
  assert.equal(values.size, 1600);
  assert.notEqual(mix(1, 2), mix(2, 1));
});
