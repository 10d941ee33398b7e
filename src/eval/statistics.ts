/** How sure figures over queries are: bootstrap intervals, and paired tests of two runs on the same queries. */
import { seededRandom, type Random } from "../random.ts";
import type { Interval } from "./types.ts";

/** How often chance is asked. */
export interface ResampleOptions {
  /** Resamples of the bootstrap, and sign flips of the test: 1000 tell a bound to a tenth of a standard error. @default 1000 */
  readonly samples?: number;
  /** @default 0 */
  readonly seed?: number;
  /** Share of resamples within the interval. @default 0.95 */
  readonly level?: number;
}

/** What a second run has over a first. */
export interface PairedDifference {
  /** Macro mean of the second less that of the first. */
  readonly difference: number;
  readonly interval: Interval;
  /** Chance of a difference at least as large in either direction if the runs were alike; at least `1 / (samples + 1)`. */
  readonly p: number;
}

/** Sums that differ by less than this share of the largest possible one count as equal, as they may be. */
const ROUNDING = 1e-12;

/**
 * Percentile interval of the macro mean: datasets count alike, and queries are drawn again within each of them, as the
 * datasets are what the benchmark consists of and not a sample of them.
 * @param groups values of the queries by dataset
 * @throws {Error} internal: no groups, an empty one, a value that is not a number; settings that make no sense
 */
export function bootstrapMean(groups: readonly (readonly number[])[], options: ResampleOptions = {}): Interval {
  const { samples, random, level } = settings(options);
  return percentileInterval(resampledMeans(checked(groups), samples, random), level);
}

/**
 * Compares two runs query by query: paired bootstrap interval, and two-sided permutation test in which each query's
 * difference keeps its dataset and changes its sign by chance. One is added to the count and to the number of flips
 * (Phipson and Smyth 2010), as the observed signs are one of the possible outcomes.
 * @param a,b values of the same queries in the same order, by dataset
 * @throws {Error} internal: groups of different shapes, and as for `bootstrapMean`
 */
export function pairedDifference(
  a: readonly (readonly number[])[],
  b: readonly (readonly number[])[],
  options: ResampleOptions = {},
): PairedDifference {
  const shapes = [a, b].map((groups) => groups.map((group) => group.length).join(", "));
  if (shapes[0] !== shapes[1]) {
    throw new Error(`internal: paired runs have groups of ${shapes[0]} and of ${shapes[1]} queries`);
  }
  const { samples, random, level } = settings(options);
  const groups = checked(b.map((group, i) => group.map((value, j) => value - a[i]![j]!)));
  return {
    difference: macroMean(groups),
    interval: percentileInterval(resampledMeans(groups, samples, random), level),
    p: signFlipTest(groups, samples, random),
  };
}

/**
 * Exact two-sided McNemar test: chance of queries that changed between two runs dividing at least as unevenly, if
 * either way were as likely.
 * @param gained queries that only the second run answers right
 * @param lost queries that only the first one does
 * @returns 0 to 1, to about 9 digits for 1e5 queries; 1 where none changed
 * @throws {Error} internal: counts that are not whole numbers
 */
export function exactMcNemar(gained: number, lost: number): number {
  if (![gained, lost].every((count) => Number.isSafeInteger(count) && count >= 0)) {
    throw new Error(`internal: McNemar's test of ${gained} and ${lost}`);
  }
  const changed = gained + lost;
  const fewer = Math.min(gained, lost);
  // P(X = fewer) of the binomial distribution, and from it down to 0: each term is the one before times k / (n - k + 1).
  let term = Math.exp(logFactorial(changed) - logFactorial(fewer) - logFactorial(changed - fewer) - changed * Math.LN2);
  let tail = 0;
  for (let k = fewer; k >= 0; k--) {
    tail += term;
    term *= k / (changed - k + 1);
  }
  // Both tails hold the middle term where the two counts are equal.
  return Math.min(1, 2 * tail);
}

function settings({ samples = 1000, seed = 0, level = 0.95 }: ResampleOptions): {
  samples: number;
  random: Random;
  level: number;
} {
  if (!Number.isSafeInteger(samples) || samples < 1) throw new Error(`internal: ${samples} resamples`);
  if (!(level > 0 && level < 1)) throw new Error(`internal: an interval of ${level}, expected between 0 and 1`);
  return { samples, random: seededRandom(seed), level };
}

function checked(groups: readonly (readonly number[])[]): readonly Float64Array[] {
  if (groups.length === 0) throw new Error("internal: statistics over no groups");
  return groups.map((group, i) => {
    if (group.length === 0) throw new Error(`internal: statistics over group ${i}, which is empty`);
    if (!group.every(Number.isFinite)) throw new Error(`internal: group ${i} has a value that is not a number`);
    return Float64Array.from(group);
  });
}

function macroMean(groups: readonly Float64Array[]): number {
  const means = groups.map((group) => group.reduce((sum, value) => sum + value, 0) / group.length);
  return means.reduce((sum, mean) => sum + mean, 0) / means.length;
}

function resampledMeans(groups: readonly Float64Array[], samples: number, random: Random): Float64Array {
  const means = new Float64Array(samples);
  for (const group of groups) {
    const { length } = group;
    for (let i = 0; i < samples; i++) {
      let sum = 0;
      for (let j = 0; j < length; j++) sum += group[Math.floor(random() * length)]!;
      means[i]! += sum / length / groups.length;
    }
  }
  return means;
}

/** Between the values next to a quantile it is interpolated, as NumPy and SciPy do. */
function percentileInterval(means: Float64Array, level: number): Interval {
  const sorted = means.toSorted();
  const quantile = (share: number): number => {
    const place = share * (sorted.length - 1);
    const below = sorted[Math.floor(place)]!;
    return below + (place % 1) * (sorted[Math.ceil(place)]! - below);
  };
  return { low: quantile((1 - level) / 2), high: quantile((1 + level) / 2) };
}

function signFlipTest(groups: readonly Float64Array[], samples: number, random: Random): number {
  // Each difference's part of the macro mean; zeros stay zero whatever their sign.
  const parts = Float64Array.from(
    groups.flatMap((group) => Array.from(group, (difference) => difference / group.length / groups.length)),
  ).filter((part) => part !== 0);
  const largest = parts.reduce((sum, part) => sum + Math.abs(part), 0);
  const observed = Math.abs(parts.reduce((sum, part) => sum + part, 0)) - ROUNDING * largest;
  let extreme = 0;
  for (let i = 0; i < samples; i++) {
    let sum = 0;
    let signs = 0;
    for (let j = 0; j < parts.length; j++) {
      // A drawn number has 32 random bits; with one each, and without a branch, large runs take a third of the time.
      if (j % 32 === 0) signs = random() * 2 ** 32;
      sum += parts[j]! * (1 - 2 * (signs & 1));
      signs >>>= 1;
    }
    if (Math.abs(sum) >= observed) extreme++;
  }
  return (extreme + 1) / (samples + 1);
}

/** ln n!, by Stirling's series beyond 20, where its next term is below 1e-12. */
function logFactorial(n: number): number {
  if (n > 20) {
    const series = 1 / (12 * n) - 1 / (360 * n ** 3) + 1 / (1260 * n ** 5);
    return n * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI * n) + series;
  }
  let product = 1;
  for (let k = 2; k <= n; k++) product *= k;
  return Math.log(product);
}
