import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/random.ts";

const DRAWS = 100_000;
/** Standard deviation of a uniform number in [0, 1). */
const DEVIATION = Math.sqrt(1 / 12);

function drawn(seed: number, count: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random());
}

test("the same seed gives the same numbers, whatever other streams do", () => {
  const alone = drawn(7, 1000);
  const [a, b] = [seededRandom(7), seededRandom(8)];
  const mixed = Array.from({ length: 1000 }, () => {
    b();
    return a();
  });
  assert.deepEqual(mixed, alone);
});

test("seeds that are close, negative or large give streams of their own", () => {
  const seeds = [0, 1, 2, 3, -1, -2, 2 ** 31 - 1, -(2 ** 31), 1e9];
  const firsts = seeds.map((seed) => drawn(seed, 3).join());
  assert.equal(new Set(firsts).size, seeds.length);
});

test("numbers are in [0, 1), of mean 1/2 and of uniform spread", () => {
  for (const seed of [0, 1, 42, -5]) {
    const numbers = drawn(seed, DRAWS);
    assert.ok(numbers.every((number) => number >= 0 && number < 1));
    const mean = numbers.reduce((sum, number) => sum + number, 0) / DRAWS;
    // Five standard errors: one false alarm in two million.
    assert.ok(Math.abs(mean - 0.5) < (5 * DEVIATION) / Math.sqrt(DRAWS), `seed ${seed}: mean ${mean}`);
    const counts = Array.from({ length: 10 }, () => 0);
    for (const number of numbers) counts[Math.floor(number * 10)]! += 1;
    const expected = DRAWS / 10;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 0.001 quantile of chi-square with 9 degrees of freedom is 27.9.
    assert.ok(chiSquare < 27.9, `seed ${seed}: chi-square ${chiSquare}`);
  }
});

test("first draws of neighbouring seeds are not correlated", () => {
  const firsts = Array.from({ length: 10_000 }, (_, seed) => drawn(seed, 1)[0]! - 0.5);
  const products = firsts.slice(1).map((first, i) => first * firsts[i]!);
  const correlation = products.reduce((sum, product) => sum + product, 0) / products.length / DEVIATION ** 2;
  assert.ok(Math.abs(correlation) < 5 / Math.sqrt(10_000), `correlation ${correlation}`);
});
