import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../src/random.ts";
import { KvCache, type KvBlock, type KvSizes } from "../../../src/runtime/kv-cache.ts";

const SIZES: KvSizes = { layers: 2, kvHeads: 3, headDim: 4 };
const MAX_ROWS = 5;

/** What a token's key or value is in the naive model: one number tells token, layer, head, dim and kind apart. */
function entry(token: number, layer: number, head: number, dim: number, kind: number): number {
  return (((token * SIZES.layers + layer) * SIZES.kvHeads + head) * SIZES.headDim + dim) * 2 + kind;
}

/** A block whose row `row` holds the tokens `tokens[row]`. */
function blockOf(tokens: readonly (readonly number[])[], length: number): KvBlock {
  const { layers, kvHeads, headDim } = SIZES;
  const make = (kind: number): Float32Array[] =>
    Array.from({ length: layers }, (_, layer) => {
      const array = new Float32Array(tokens.length * kvHeads * length * headDim).fill(-1);
      tokens.forEach((row, r) =>
        row.forEach((token, at) => {
          for (let head = 0; head < kvHeads; head++)
            for (let dim = 0; dim < headDim; dim++)
              array[((r * kvHeads + head) * length + at) * headDim + dim] = entry(token, layer, head, dim, kind);
        }),
      );
      return array;
    });
  return { keys: make(0), values: make(1), length };
}

/** Compares everything the cache shows with rows that are plain lists of tokens. */
function assertHolds(cache: KvCache, rows: readonly (readonly number[])[]): void {
  const { layers, kvHeads, headDim } = SIZES;
  assert.equal(cache.rows, rows.length);
  const feeds = cache.feeds();
  assert.deepEqual(Object.keys(feeds).sort(), [
    "past_bias",
    "past_key.0",
    "past_key.1",
    "past_value.0",
    "past_value.1",
  ]);
  assert.deepEqual(feeds["past_bias"]!.shape, [rows.length, 1, 1, 1, cache.length]);
  const bias = feeds["past_bias"]!.data as Float32Array;
  assert.equal(bias.length, rows.length * cache.length);
  rows.forEach((tokens, row) => {
    assert.equal(cache.lengthOf(row), tokens.length);
    assert.ok(cache.length >= Math.max(1, tokens.length));
    for (let at = 0; at < cache.length; at++)
      assert.equal(bias[row * cache.length + at], at < tokens.length ? 0 : -1e9, `bias of row ${row} at ${at}`);
  });
  for (let layer = 0; layer < layers; layer++)
    for (const [kind, name] of [`past_key.${layer}`, `past_value.${layer}`].entries()) {
      const { data, shape } = feeds[name]!;
      assert.deepEqual(shape, [rows.length, kvHeads, cache.length, headDim]);
      assert.equal(data.length, rows.length * kvHeads * cache.length * headDim);
      rows.forEach((tokens, row) =>
        tokens.forEach((token, at) => {
          for (let head = 0; head < kvHeads; head++)
            for (let dim = 0; dim < headDim; dim++)
              assert.equal(
                data[((row * kvHeads + head) * cache.length + at) * headDim + dim],
                entry(token, layer, head, dim, kind),
                `${name}, row ${row}, head ${head}, token ${at}`,
              );
        }),
      );
    }
}

test("an empty cache has one masked slot per row", () => {
  const cache = new KvCache(SIZES, MAX_ROWS, 0);
  assert.equal(cache.length, 1);
  assertHolds(cache, []);
  assert.equal(cache.addRow(), 0);
  assertHolds(cache, [[]]);
});

test("appending takes the row and the tokens asked for and no others", () => {
  const cache = new KvCache(SIZES, MAX_ROWS, 8);
  cache.addRow();
  cache.addRow();
  cache.append(
    1,
    blockOf(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      3,
    ),
    1,
    2,
  );
  assertHolds(cache, [[], [4, 5]]);
  cache.append(1, blockOf([[7], [8]], 1), 0, 1);
  assertHolds(cache, [[], [4, 5, 7]]);
});

test("room that runs out grows and keeps what is there", () => {
  const cache = new KvCache(SIZES, MAX_ROWS, 2);
  cache.addRow();
  cache.addRow();
  cache.append(0, blockOf([[1, 2]], 2), 0, 2);
  cache.append(1, blockOf([[3]], 1), 0, 1);
  cache.reserve(3);
  const grown = cache.length;
  assert.ok(grown >= 3);
  assertHolds(cache, [[1, 2], [3]]);
  cache.reserve(2);
  assert.equal(cache.length, grown, "a cache does not shrink");
  const many = Array.from({ length: grown + 5 }, (_, i) => 10 + i);
  cache.append(1, blockOf([many], many.length), 0, many.length);
  assertHolds(cache, [
    [1, 2],
    [3, ...many],
  ]);
});

test("a row that goes is filled by the last one, and a new row starts empty", () => {
  const cache = new KvCache(SIZES, MAX_ROWS, 4);
  for (const [row, tokens] of [[1], [2, 3], [4, 5, 6]].entries()) {
    cache.addRow();
    cache.append(row, blockOf([tokens], tokens.length), 0, tokens.length);
  }
  assert.equal(cache.removeRow(0), 2);
  assertHolds(cache, [
    [4, 5, 6],
    [2, 3],
  ]);
  assert.equal(cache.removeRow(1), 1);
  assertHolds(cache, [[4, 5, 6]]);
  assert.equal(cache.addRow(), 1);
  assertHolds(cache, [[4, 5, 6], []]);
});

test("a row past the last is refused", () => {
  const cache = new KvCache(SIZES, 1, 1);
  cache.addRow();
  assert.throws(() => cache.addRow(), /^Error: internal: all 1 rows of the cache are taken$/);
});

test("random operations leave what plain lists of tokens hold", () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = seededRandom(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const cache = new KvCache(SIZES, MAX_ROWS, below(4));
    const rows: number[][] = [];
    let token = 0;
    for (let step = 0; step < 60; step++) {
      const kind = below(4);
      if (kind === 0 && rows.length < MAX_ROWS) {
        assert.equal(cache.addRow(), rows.length);
        rows.push([]);
      } else if (kind === 1 && rows.length > 0) {
        const row = below(rows.length);
        assert.equal(cache.removeRow(row), rows.length - 1);
        const last = rows.pop()!;
        if (row < rows.length) rows[row] = last;
      } else if (kind === 2) {
        cache.reserve(below(90));
      } else if (rows.length > 0) {
        const [row, length] = [below(rows.length), 1 + below(9)];
        const tokens = Array.from({ length: 3 }, () => Array.from({ length }, () => token++));
        const [from, count] = [below(3), below(length + 1)];
        cache.append(row, blockOf(tokens, length), from, count);
        rows[row]!.push(...tokens[from]!.slice(0, count));
      }
      assertHolds(cache, rows);
    }
  }
});
