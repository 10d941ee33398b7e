import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bootstrapMean, exactMcNemar, pairedDifference } from "../../../src/eval/statistics.ts";
import { assertClose } from "../../support/assert-close.ts";

type Groups = number[][];

/** From scripts/make_metric_fixtures.py. */
const fixture = JSON.parse(readFileSync(new URL("../../fixtures/eval/metrics.json", import.meta.url), "utf8")) as {
  binomial: { gained: number; lost: number; p: number }[];
  bootstrap: { name: string; groups: Groups; level: number; low: number; high: number; standard_error: number }[];
  binomial_quantiles: { right: number; queries: number; low: number; high: number }[];
  sign_flip: { name: string; groups: Groups; p: number }[];
};

test("McNemar's test is SciPy's binomial test, for few changes and for a hundred thousand", () => {
  assertClose(
    fixture.binomial.map(({ gained, lost }) => exactMcNemar(gained, lost)),
    fixture.binomial.map(({ p }) => p),
    { rtol: 1e-8, atol: 0 },
  );
});

test("McNemar's test knows nothing where nothing changed, and takes either direction alike", () => {
  assert.equal(exactMcNemar(0, 0), 1);
  assert.equal(exactMcNemar(7, 7), 1);
  assert.equal(exactMcNemar(9, 2), exactMcNemar(2, 9));
  // By hand: 2 * (1 + 6) / 2^6.
  assertClose([exactMcNemar(1, 5)], [14 / 64], { rtol: 1e-12, atol: 0 });
  // One of a hundred thousand in one direction is less likely than a double can say.
  assert.equal(exactMcNemar(99_999, 1), 0);
});

for (const { name, groups, level, low, high, standard_error: deviation } of fixture.bootstrap) {
  test(`the interval is SciPy's percentile bootstrap of the macro mean: ${name}`, () => {
    const interval = bootstrapMean(groups, { samples: 20_000, level });
    // A quantile of 20,000 resamples is known to about 2% of their deviation, and that of a coarse mean to a step.
    const step = Math.min(...groups.map((group) => 1 / group.length)) / groups.length;
    const tolerance = { rtol: 0, atol: 0.05 * deviation + step };
    assertClose([interval.low, interval.high], [low, high], tolerance);
  });
}

for (const { right, queries, low, high } of fixture.binomial_quantiles) {
  test(`the interval of ${right} hits in ${queries} has the binomial distribution's quantiles`, () => {
    const hits = Array.from({ length: queries }, (_, i) => (i < right ? 1 : 0));
    const interval = bootstrapMean([hits], { samples: 20_000 });
    // Resampled means are whole numbers of hits; a quantile at the edge of one may fall to its neighbour.
    assertClose([interval.low, interval.high], [low, high], { rtol: 0, atol: 1.001 / queries });
  });
}

test("datasets count alike and queries are drawn within their dataset", () => {
  // Without variation within datasets the macro mean has none, however unequal and differently large they are.
  const { low, high } = bootstrapMean([Array.from({ length: 50 }, () => 1), [0, 0], [0.5]]);
  assertClose([low, high], [0.5, 0.5], { rtol: 0, atol: 1e-12 });
});

test("an interval of a higher level is wider, and the seed decides everything", () => {
  const groups = [Array.from({ length: 60 }, (_, i) => Number(i % 3 === 0)), [0, 1, 1, 0, 1]];
  const narrow = bootstrapMean(groups, { level: 0.5 });
  const wide = bootstrapMean(groups, { level: 0.99 });
  assert.ok(wide.low < narrow.low && narrow.high < wide.high);
  assert.deepEqual(bootstrapMean(groups, { seed: 3 }), bootstrapMean(groups, { seed: 3 }));
  assert.notDeepEqual(bootstrapMean(groups, { seed: 3, samples: 50 }), bootstrapMean(groups, { seed: 4, samples: 50 }));
});

for (const { name, groups, p } of fixture.sign_flip) {
  test(`the permutation test's p is that of all sign flips: ${name}`, () => {
    const zeros = groups.map((group) => group.map(() => 0));
    const samples = 20_000;
    const found = pairedDifference(zeros, groups, { samples });
    // Four standard deviations of a share of that many flips.
    assertClose([found.p], [p], { rtol: 0, atol: 4 * Math.sqrt((p * (1 - p)) / samples) + 1 / samples });
  });
}

test("the difference is of macro means, positive where the second run is better", () => {
  // By hand: (2/4 - 1/4) and (1/2 - 1/2), their mean.
  const a = [
    [1, 0, 0, 0],
    [1, 0],
  ];
  const b = [
    [1, 1, 0, 0],
    [0, 1],
  ];
  assert.equal(pairedDifference(a, b).difference, 0.125);
  assert.equal(pairedDifference(b, a).difference, -0.125);
});

test("a paired interval is narrower than what either run varies, as shared queries cancel", () => {
  const a = [Array.from({ length: 200 }, (_, i) => Number(i % 2 === 0))];
  const b = [a[0]!.map((value, i) => (i < 10 ? 1 : value))];
  const { difference, interval, p } = pairedDifference(a, b);
  assertClose([difference], [5 / 200], { rtol: 1e-12, atol: 0 });
  const alone = bootstrapMean(b);
  assert.ok(interval.high - interval.low < (alone.high - alone.low) / 2);
  assert.ok(interval.low >= 0 && interval.low <= difference && difference <= interval.high);
  // Five gained, none lost: 2 / 2^5 by enumeration.
  assertClose([p], [exactMcNemar(5, 0)], { rtol: 0, atol: 0.02 });
});

test("two equal runs differ by nothing", () => {
  const run = [[1, 0, 1], [0.5]];
  assert.deepEqual(pairedDifference(run, run), { difference: 0, interval: { low: 0, high: 0 }, p: 1 });
});

test("p is never 0, however clear the difference", () => {
  const a = [Array.from({ length: 100 }, () => 0)];
  const b = [Array.from({ length: 100 }, () => 1)];
  assert.equal(pairedDifference(a, b, { samples: 99 }).p, 0.01);
});

test("groups and settings that make no sense are refused", () => {
  assert.throws(() => bootstrapMean([]), /internal: .*no groups/);
  assert.throws(() => bootstrapMean([[1], []]), /internal: .*group 1.*empty/);
  assert.throws(() => bootstrapMean([[1, NaN]]), /internal: group 0 .*not a number/);
  assert.throws(() => bootstrapMean([[1]], { samples: 0 }), /internal: 0 resamples/);
  assert.throws(() => bootstrapMean([[1]], { level: 1 }), /internal: an interval of 1/);
  assert.throws(() => pairedDifference([[1, 0]], [[1]]), /internal: paired runs have groups of 2 and of 1 queries/);
  assert.throws(
    () => pairedDifference([[1], [0]], [[1]]),
    /internal: paired runs have groups of 1, 1 and of 1 queries/,
  );
  assert.throws(() => exactMcNemar(-1, 2), /internal: McNemar's test of -1 and 2/);
  assert.throws(() => exactMcNemar(0.5, 2), /internal/);
});
