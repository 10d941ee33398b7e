import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../src/random.ts";
import {
  calibrate,
  chanceOf,
  cheapestKeeping,
  fitLogistic,
  fitSureness,
  surenessOf,
  parseCalibration,
  tradeOffs,
  type KnownQuery,
  type Logistic,
} from "../../../src/search/calibration.ts";
import { StoreError } from "../../../src/errors.ts";

function numbers({ weights, offset }: Logistic): number[] {
  return [...weights, offset];
}

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
  const sure = fitSureness(known);
  const points = tradeOffs(known, sure);
  assert.ok(points.length > 100);
  const all = known.reduce((sum, { rationaleTokens }) => sum + rationaleTokens, 0);
  for (const { leastSure, accuracy, tokens } of points) {
    let [right, spent] = [0, 0];
    for (const { direct, reason, rationaleTokens } of known) {
      const reasons =
        surenessOf(
          sure,
          direct.map(({ cosine }) => cosine),
        ) < leastSure;
      if (reasons) spent += rationaleTokens;
      if ((reasons ? reason : direct)[0]!.right) right++;
    }
    assert.ok(Math.abs(accuracy - right / known.length) < 1e-12, `below ${leastSure}`);
    assert.ok(Math.abs(tokens - spent / all) < 1e-12, `below ${leastSure}`);
  }
});

test("the cheapest threshold keeps the share of the gain that is asked for, and no cheaper one does", () => {
  const known = queries(300, 2);
  const points = tradeOffs(known, fitSureness(known));
  const [never, always] = [points[0]!.accuracy, points.at(-1)!.accuracy];
  assert.ok(always > never);
  const chosen = cheapestKeeping(points, 0.9);
  assert.ok(chosen.accuracy >= never + 0.9 * (always - never) - 1e-9);
  assert.ok(chosen.tokens < 1);
  for (const { accuracy, tokens } of points)
    if (tokens < chosen.tokens) assert.ok(accuracy < never + 0.9 * (always - never));
  // Where reasoning gains nothing, it is never done.
  const worse = queries(50, 3).map((it) => ({ ...it, reason: [{ cosine: 1, right: false }] }));
  assert.equal(cheapestKeeping(tradeOffs(worse, fitSureness(worse)), 0.9).tokens, 0);
});

test("the logistic curve is the likeliest: no other nearby explains the samples better", () => {
  const random = seededRandom(4);
  const truth = { weights: [6, -3], offset: -2 };
  const samples = Array.from({ length: 8000 }, () => {
    const x = [random() * 2 - 1, random() * 2 - 1];
    return { x, right: random() < chanceOf(truth, x) };
  });
  const fitted = fitLogistic(samples);
  numbers(fitted).forEach((value, i) => assert.ok(Math.abs(value - numbers(truth)[i]!) < 0.4, JSON.stringify(fitted)));
  const loss = (curve: Logistic): number =>
    samples.reduce((sum, { x, right }) => sum - Math.log(right ? chanceOf(curve, x) : 1 - chanceOf(curve, x)), 0);
  for (const [a, b, c] of [
    [0.1, 0, 0],
    [-0.1, 0, 0],
    [0, 0.1, 0],
    [0, -0.1, 0],
    [0, 0, 0.1],
    [0, 0, -0.1],
    [0.1, 0.1, -0.05],
  ]) {
    const [first, second] = fitted.weights;
    assert.ok(loss(fitted) < loss({ weights: [first! + a!, second! + b!], offset: fitted.offset + c! }));
  }
});

test("samples that are told apart perfectly, or all right, leave a curve that is finite", () => {
  for (const rights of [
    [0.8, 0.9],
    [0.8, 0.9, 0.1, 0.2],
  ]) {
    const samples = [0.1, 0.2, 0.8, 0.9].map((cosine) => ({ x: [cosine], right: rights.includes(cosine) }));
    const curve = fitLogistic(samples);
    assert.ok([...curve.weights, curve.offset].every(Number.isFinite));
    assert.ok(chanceOf(curve, [0.95]) > 0.5);
  }
});

test("a calibration survives its file, and a damaged file is refused", () => {
  const calibration = calibrate("0123", queries(100, 5), 0.9);
  assert.deepEqual(parseCalibration(JSON.stringify(calibration), "c.json"), calibration);
  for (const text of ["", "{}", '{"modelHash": 1}']) assert.throws(() => parseCalibration(text, "c.json"), StoreError);
});
