import assert from "node:assert/strict";
import { test } from "node:test";
import { quantizeBlocks, quantizeRowsInt8 } from "../../../src/nn/quantize.ts";
import { seededRandom } from "../../../src/random.ts";
import { assertClose } from "../../support/assert-close.ts";

/** Sums of uniform numbers: near enough to the bell shape of real weights, with an outlier now and then. */
function randomWeight(seed: number, count: number): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => {
    const bell = random() + random() + random() + random() - 2;
    return random() < 0.01 ? bell * 8 : bell;
  });
}

/** The codes of a row's blocks as MatMulNBits reads them: low nibble first, zero point in the middle. */
function codesOf(values: Uint8Array, bits: 4 | 8): number[] {
  if (bits === 8) return Array.from(values, (value) => value - 128);
  return Array.from(values).flatMap((byte) => [(byte & 15) - 8, (byte >> 4) - 8]);
}

/** `code * scale` for every weight, padding left out. */
function restored(
  { values, scales }: { values: Uint8Array; scales: Float32Array },
  { rows, columns, bits, block }: { rows: number; columns: number; bits: 4 | 8; block: number },
): number[] {
  const codes = codesOf(values, bits);
  const blocks = Math.ceil(columns / block);
  return Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const place = (row * blocks + Math.floor(column / block)) * block + (column % block);
    return codes[place]! * scales[row * blocks + Math.floor(column / block)]!;
  });
}

for (const bits of [4, 8] as const) {
  test(`blocks of ${bits} bits give weights back to about half a step`, () => {
    const shape = { rows: 7, columns: 96, bits, block: 32 };
    const weight = randomWeight(bits, 7 * 96);
    const quantized = quantizeBlocks(weight, 7, 96, bits, 32);
    assert.equal(quantized.values.length, (7 * 96 * bits) / 8);
    assert.equal(quantized.scales.length, 7 * 3);
    const back = restored(quantized, shape);
    for (let block = 0; block < 21; block++) {
      const entries = weight.subarray(block * 32, block * 32 + 32);
      const extreme = Math.max(...entries.map(Math.abs));
      const step = extreme / 2 ** (bits - 1);
      entries.forEach((entry, i) => {
        const error = Math.abs(entry - back[block * 32 + i]!);
        // Half a step by rounding; a whole one where the code of greatest magnitude has no mirror image; the
        // least-squares scale moves every value by a share of its size, a quarter of a step at the far end.
        assert.ok(error <= 1.25 * step, `block ${block}, entry ${i}: ${entry} became ${back[block * 32 + i]}`);
      });
      const plain = entries.reduce((sum, entry) => {
        const code = Math.min(2 ** (bits - 1) - 1, Math.round(entry / step));
        return sum + (entry - Math.max(-(2 ** (bits - 1)), code) * step) ** 2;
      }, 0);
      const ours = entries.reduce((sum, entry, i) => sum + (entry - back[block * 32 + i]!) ** 2, 0);
      assert.ok(ours <= 1.5 * plain, `block ${block}: squared error ${ours}, plain rounding has ${plain}`);
    }
  });

  test(`the scale of a ${bits}-bit block is the least-squares one for its codes`, () => {
    const weight = randomWeight(10 + bits, 4 * 32);
    const { values, scales } = quantizeBlocks(weight, 4, 32, bits, 32);
    const codes = codesOf(values, bits);
    const best = Array.from({ length: 4 }, (_, row) => {
      let [product, square] = [0, 0];
      for (let i = row * 32; i < row * 32 + 32; i++) {
        product += weight[i]! * codes[i]!;
        square += codes[i]! ** 2;
      }
      return product / square;
    });
    assertClose(scales, best, { rtol: 1e-6, atol: 0 });
  });

  test(`the last ${bits}-bit block of a row is padded with zeros`, () => {
    const weight = randomWeight(20 + bits, 3 * 40);
    const quantized = quantizeBlocks(weight, 3, 40, bits, 32);
    const codes = codesOf(quantized.values, bits);
    for (let row = 0; row < 3; row++)
      assert.deepEqual(
        codes.slice(row * 64 + 40, row * 64 + 64),
        Array.from({ length: 24 }, () => 0),
        `row ${row}`,
      );
    // What a row holds does not depend on the padding of the one before it.
    const alone = quantizeBlocks(weight.slice(80), 1, 40, bits, 32);
    assert.deepEqual(alone.values, quantized.values.slice(2 * 8 * bits, 3 * 8 * bits));
    assert.deepEqual(alone.scales, quantized.scales.slice(4));
    assertClose(restored(quantized, { rows: 3, columns: 40, bits, block: 32 }), weight, {
      rtol: 0,
      atol: bits === 8 ? 0.06 : 1.1,
    });
  });

  test(`a ${bits}-bit block of zeros stays zero`, () => {
    const weight = new Float32Array(64);
    weight.fill(0.5, 32);
    const quantized = quantizeBlocks(weight, 1, 64, bits, 32);
    assert.equal(quantized.scales[0], 0);
    assert.deepEqual(
      codesOf(quantized.values, bits).slice(0, 32),
      Array.from({ length: 32 }, () => 0),
    );
    assertClose(restored(quantized, { rows: 1, columns: 64, bits, block: 32 }), weight, { rtol: 1e-6, atol: 0 });
  });
}

test("the entry of greatest magnitude takes the code without a mirror image, whatever its sign", () => {
  for (const extreme of [8, -8]) {
    const weight = Float32Array.from({ length: 16 }, (_, i) => (i === 5 ? extreme : 0));
    const { values, scales } = quantizeBlocks(weight, 1, 16, 4, 16);
    assert.equal(codesOf(values, 4)[5], -8);
    assert.equal(scales[0], -extreme / 8);
  }
});

test("four bits are packed low nibble first", () => {
  // -8 .. 7 has scale 1 and codes equal to the weights; the zero point is 8.
  const weight = Float32Array.from({ length: 16 }, (_, i) => i - 8);
  const { values, scales } = quantizeBlocks(weight, 1, 16, 4, 16);
  assert.deepEqual([...values], [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
  assert.deepEqual([...scales], [1]);
});

test("rows in eight bits are transposed and have max / 127 as their scale", () => {
  const weight = Float32Array.of(1, -2, 4, /**/ 0, 0, 0, /**/ -127, 63.4, 0.6, /**/ 1e-3, 5e-4, -1e-3);
  const { values, scales } = quantizeRowsInt8(weight, 4, 3);
  // By hand: 1/4 * 127 = 31.75, -2/4 * 127 = -63.5 (rounds up), 5e-4/1e-3 * 127 = 63.5 (rounds up).
  assert.deepEqual([...values], [32, 0, -127, 127, /**/ -63, 0, 63, 64, /**/ 127, 0, 1, -127]);
  assertClose(scales, [4 / 127, 0, 1, 1e-3 / 127], { rtol: 1e-6, atol: 0 });
});

test("a matrix larger than a tile, of odd sides, is transposed as one", () => {
  const [rows, columns] = [131, 67];
  const weight = randomWeight(5, rows * columns);
  const { values, scales } = quantizeRowsInt8(weight, rows, columns);
  for (let row = 0; row < rows; row++) {
    const extreme = Math.max(...weight.subarray(row * columns, (row + 1) * columns).map(Math.abs));
    assertClose([scales[row]!], [extreme / 127], { rtol: 1e-6, atol: 0 }, `scale ${row}`);
    for (let column = 0; column < columns; column++) {
      const error = Math.abs(values[column * rows + row]! * scales[row]! - weight[row * columns + column]!);
      assert.ok(error <= (extreme / 127) * 0.5001, `[${row}, ${column}] is off by ${error}`);
    }
  }
});
