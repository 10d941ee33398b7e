import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../src/random.ts";
import {
  calibrate,
  chanceOf,
  cheapestKeeping,
  fitLogistic,
  marginOf,
  parseCalibration,
  tradeOffs,
  type KnownQuery,
} from "../../../src/search/calibration.ts";
import { StoreError } from "../../../src/errors.ts";

/** Queries whose direct answers are the likelier right the surer they are, and whose reasoned ones mostly are. */
function queries(count: number, seed: number): KnownQuery[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => {
    const [best, other] = [0.5 + random() / 2, random() / 2];
    const sure = best - other;
    const hits = (right: boolean) => [
      { cosine: best, right },
      { cosine: other, right: false },
    ];
    return {
      direct: hits(random() < sure),
      reason: hits(random() < 0.9),
      rationaleTokens: 10 + Math.floor(random() * 20),
    };
  });
}

test("each threshold's accuracy and tokens are those of applying it", () => {
  const known = queries(300, 1);
  const points = tradeOffs(known);
  assert.ok(points.length > 100);
  const all = known.reduce((sum, { rationaleTokens }) => sum + rationaleTokens, 0);
  for (const { margin, accuracy, tokens } of points) {
    let [right, spent] = [0, 0];
    for (const { direct, reason, rationaleTokens } of known) {
      const reasons = marginOf(direct.map(({ cosine }) => cosine)) < margin;
      if (reasons) spent += rationaleTokens;
      if ((reasons ? reason : direct)[0]!.right) right++;
    }
    assert.ok(Math.abs(accuracy - right / known.length) < 1e-12, `margin ${margin}`);
    assert.ok(Math.abs(tokens - spent / all) < 1e-12, `margin ${margin}`);
  }
});

test("the cheapest threshold keeps the share of the gain that is asked for, and no cheaper one does", () => {
  const points = tradeOffs(queries(300, 2));
  const [never, always] = [points[0]!.accuracy, points.at(-1)!.accuracy];
  assert.ok(always > never);
  const chosen = cheapestKeeping(points, 0.9);
  assert.ok(chosen.accuracy >= never + 0.9 * (always - never) - 1e-9);
  assert.ok(chosen.tokens < 1);
  for (const { accuracy, tokens } of points)
    if (tokens < chosen.tokens) assert.ok(accuracy < never + 0.9 * (always - never));
  // Where reasoning gains nothing, it is never done.
  const worse = tradeOffs(queries(50, 3).map((it) => ({ ...it, reason: [{ cosine: 1, right: false }] })));
  assert.equal(cheapestKeeping(worse, 0.9).tokens, 0);
});

test("the logistic curve is the likeliest: no other nearby explains the hits better", () => {
  const random = seededRandom(4);
  const hits = Array.from({ length: 4000 }, () => {
    const cosine = random() * 2 - 1;
    return { cosine, right: random() < chanceOf({ slope: 6, offset: -2 }, cosine) };
  });
  const fitted = fitLogistic(hits);
  assert.ok(Math.abs(fitted.slope - 6) < 0.6 && Math.abs(fitted.offset + 2) < 0.3, JSON.stringify(fitted));
  const loss = ({ slope, offset }: typeof fitted): number =>
    hits.reduce((sum, { cosine, right }) => {
      const p = chanceOf({ slope, offset }, cosine);
      return sum - Math.log(right ? p : 1 - p);
    }, 0);
  for (const [a, b] of [
    [0.1, 0],
    [-0.1, 0],
    [0, 0.1],
    [0, -0.1],
    [0.1, -0.05],
  ])
    assert.ok(loss(fitted) < loss({ slope: fitted.slope + a!, offset: fitted.offset + b! }));
});

test("hits that are told apart perfectly, or all right, leave a curve that is finite", () => {
  for (const rights of [
    [0.8, 0.9],
    [0.8, 0.9, 0.1, 0.2],
  ]) {
    const hits = [0.1, 0.2, 0.8, 0.9].map((cosine) => ({ cosine, right: rights.includes(cosine) }));
    const { slope, offset } = fitLogistic(hits);
    assert.ok(Number.isFinite(slope) && Number.isFinite(offset));
    assert.ok(chanceOf({ slope, offset }, 0.95) > 0.5);
  }
});

test("a calibration survives its file, and a damaged file is refused", () => {
  const calibration = calibrate("0123", queries(100, 5), 0.9);
  assert.deepEqual(parseCalibration(JSON.stringify(calibration), "c.json"), calibration);
  for (const text of ["", "{}", '{"modelHash": 1}']) assert.throws(() => parseCalibration(text, "c.json"), StoreError);
});
