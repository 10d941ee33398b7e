import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InputError } from "../../../src/errors.ts";
import { seededRandom } from "../../../src/random.ts";
import {
  BatchOrder,
  type BatchOrderOptions,
  type BatchSource,
  type PlannedBatch,
} from "../../../src/train/batch-order.ts";

const OPTIONS: BatchOrderOptions = { batchSize: 4, seed: 5, bucketBatches: 3 };

/** A source whose lengths are spread from 10 to 1000. */
function source(rows: number, weight = 1, name = `${rows} rows`): BatchSource {
  const random = seededRandom(rows);
  return { name, weight, lengths: Float64Array.from({ length: rows }, () => 10 + 990 * random()) };
}

function first(count: number, order: BatchOrder): PlannedBatch[] {
  return Array.from({ length: count }, (_, index) => order.at(index));
}

/** Rows of one source as they come, end to end. */
function stream(batches: readonly PlannedBatch[], from = 0): number[] {
  return batches.filter((batch) => batch.source === from).flatMap(({ rows }) => rows);
}

/** Mean over batches of the longest less the shortest row. */
function meanSpread({ lengths }: BatchSource, batches: readonly PlannedBatch[]): number {
  const spreads = batches.map(({ rows }) => {
    const own = rows.map((row) => lengths[row]!);
    return Math.max(...own) - Math.min(...own);
  });
  return spreads.reduce((sum, spread) => sum + spread, 0) / spreads.length;
}

function refuses(sources: readonly BatchSource[], options: Partial<BatchOrderOptions>, message: RegExp): void {
  assert.throws(
    () => new BatchOrder(sources, { ...OPTIONS, ...options }),
    (error) => error instanceof InputError && message.test(error.message),
  );
}

describe("rows", () => {
  // 4 divides 24, leaves 3 of 11, and of 5 more than a pass goes by without a whole batch of new rows.
  for (const rows of [4, 5, 7, 11, 24, 50])
    for (const bucketBatches of [1, 3])
      test(`each of ${rows} comes once per pass, buckets of ${bucketBatches}`, () => {
        const drawn = stream(first(5 * rows, new BatchOrder([source(rows)], { ...OPTIONS, bucketBatches })));
        const all = Array.from({ length: rows }, (_, row) => row);
        for (let pass = 0; pass < 20; pass++) {
          const own = drawn.slice(pass * rows, (pass + 1) * rows);
          assert.deepEqual(
            own.sort((a, b) => a - b),
            all,
            `pass ${pass}`,
          );
        }
      });

  test("epoch counts the passes that are complete: 10 rows in fours", () => {
    // Before batch k, 4k rows have come.
    const epochs = first(8, new BatchOrder([source(10)], OPTIONS)).map(({ epoch }) => epoch);
    assert.deepEqual(epochs, [0, 0, 0, 1, 1, 2, 2, 2]);
  });
});

describe("sources", () => {
  test("one of three times the weight has three batches of each four", () => {
    const order = new BatchOrder([source(8, 3), source(8, 1)], OPTIONS);
    const taken = first(400, order).map((batch) => batch.source);
    for (let at = 0; at < 400; at += 4)
      assert.equal(taken.slice(at, at + 4).filter((it) => it === 1).length, 1, `batch ${at}`);
  });

  test("their counts stay within one batch of their shares from the start", () => {
    const weights = [0.5, 7, 2.25, 1, 1];
    const order = new BatchOrder(
      weights.map((weight, i) => source(20 + i, weight)),
      OPTIONS,
    );
    const counts = weights.map(() => 0);
    for (let index = 0; index < 1000; index++) {
      counts[order.at(index).source]!++;
      for (const [i, weight] of weights.entries())
        assert.ok(Math.abs(counts[i]! - (weight / 11.75) * (index + 1)) <= 1, `batch ${index}, source ${i}`);
    }
  });
});

describe("order", () => {
  const sources = [source(11, 2), source(30, 1)];

  test("does not depend on what was asked before", () => {
    const expected = first(60, new BatchOrder(sources, OPTIONS));
    const order = new BatchOrder(sources, OPTIONS);
    for (const index of [40, 3, 3, 59, 0, 12, 13, 14, 13, 41]) assert.deepEqual(order.at(index), expected[index]);
    // As a resumed run asks: somewhere in the middle, then on.
    const resumed = new BatchOrder(sources, OPTIONS);
    for (let index = 25; index < 60; index++) assert.deepEqual(resumed.at(index), expected[index]);
  });
});

describe("buckets", () => {
  test("bring rows of like length together", () => {
    const rows = source(800);
    const spread = (bucketBatches: number): number =>
      meanSpread(rows, first(100, new BatchOrder([rows], { batchSize: 8, seed: 1, bucketBatches })));
    const [without, four, sixteen] = [spread(1), spread(4), spread(16)];
    // The expected range of 8 uniform draws is 7/9 of 990.
    assert.ok(Math.abs(without - 770) < 40, `without: ${without}`);
    assert.ok(four < without / 2, `4: ${four}`);
    assert.ok(sixteen < four / 2, `16: ${sixteen}`);
  });

  test("do not make a pass go from short to long", () => {
    const rows = source(800);
    const batches = first(100, new BatchOrder([rows], { batchSize: 8, seed: 1, bucketBatches: 100 }));
    const means = batches.map(({ rows: own }) => own.reduce((sum, row) => sum + rows.lengths[row]!, 0) / 8);
    const rises = means.slice(1).filter((mean, i) => mean > means[i]!).length;
    assert.ok(rises > 30 && rises < 70, `${rises} of 99 are longer than the one before`);
  });
});

describe("refusals", () => {
  test("a source with fewer rows than a batch is named, with what to do", () => {
    refuses([source(9), source(3, 1, "tiny")], {}, /^tiny: 3 rows are too few for batches of 4: .*Lower batchSize/);
  });

  test("weights that are not positive numbers are refused", () => {
    for (const weight of [0, -1, NaN, Infinity]) refuses([source(9, weight, "odd")], {}, /^odd: weight/);
  });

  test("no source, and sizes that are no whole numbers from 1, are refused", () => {
    refuses([], {}, /at least one/);
    for (const size of [0, 2.5, NaN]) {
      refuses([source(9)], { batchSize: size }, /^batchSize is/);
      refuses([source(9)], { bucketBatches: size }, /^bucketBatches is/);
    }
  });

  test("an index that is none is a bug of ours", () => {
    const order = new BatchOrder([source(9)], OPTIONS);
    for (const index of [-1, 0.5, NaN]) assert.throws(() => order.at(index), /^Error: internal: batch/);
  });
});
