import assert from "node:assert/strict";

/** How far two numbers may be apart: `|actual - expected| <= atol + rtol * |expected|`. */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

/** Every entry of `actual` is near that of `expected`; a failure names the worst place and how far off it is. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { rtol, atol }: Tolerance,
  label = "values",
): void {
  assert.equal(actual.length, expected.length, `${label}: lengths differ`);
  let worst = -1;
  let worstExcess = 0;
  for (let i = 0; i < expected.length; i++) {
    const excess = Math.abs(actual[i]! - expected[i]!) - (atol + rtol * Math.abs(expected[i]!));
    // NaN compares false with everything: it must count as the worst of all.
    if (Number.isNaN(excess) || excess > worstExcess) {
      worst = i;
      worstExcess = excess;
      if (Number.isNaN(excess)) break;
    }
  }
  if (worst < 0) return;
  const [got, wanted] = [actual[worst]!, expected[worst]!];
  assert.fail(
    `${label}: worst at ${worst} of ${expected.length}: got ${got}, expected ${wanted}, off by ${Math.abs(got - wanted)} (rtol ${rtol}, atol ${atol})`,
  );
}

/** Cosine of the angle between two vectors, in double precision. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length, "vectors of different lengths");
  let [dot, squareA, squareB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    squareA += a[i]! ** 2;
    squareB += b[i]! ** 2;
  }
  return dot / Math.sqrt(squareA * squareB);
}

/** Two vectors point the same way. */
export function assertCosine(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  least: number,
  label: string,
): void {
  const found = cosine(actual, expected);
  assert.ok(found >= least, `${label}: cosine ${found}, expected at least ${least}`);
}
