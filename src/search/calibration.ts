/** What scores mean for a model on a collection: learnt from queries whose answers are known. */
import { z } from "zod";
import { StoreError } from "../errors.ts";

/** Chance of being right by some numbers x: `1 / (1 + e^-(weights . x + offset))`. */
export interface Logistic {
  readonly weights: readonly number[];
  readonly offset: number;
}

/** What was learnt. */
export interface Calibration {
  /** Of the checkpoint that it holds for. */
  readonly modelHash: string;
  /** By the best direct cosine and its lead over the next. */
  readonly sure: Logistic;
  /** `auto` reasons where the direct result's chance by `sure` is less than this. */
  readonly leastSure: number;
  /** By cosine, as `reason` is. */
  readonly direct: Logistic;
  readonly reason: Logistic;
  /** Queries it was learnt from. */
  readonly queries: number;
}

/** A query whose right item is known: what both ways of asking found. */
export interface KnownQuery {
  readonly direct: readonly ScoredHit[];
  readonly reason: readonly ScoredHit[];
  readonly rationaleTokens: number;
}

/** A hit with its truth. */
export interface ScoredHit {
  readonly cosine: number;
  readonly right: boolean;
}

/** Accuracy and cost of reasoning only where the direct result is less sure than a threshold. */
export interface TradeOff {
  readonly leastSure: number;
  /** P@1. */
  readonly accuracy: number;
  /** Share of the rationale tokens that reasoning on every query would take. */
  readonly tokens: number;
}

function logistic(numbers: number) {
  return z.object({ weights: z.array(z.number()).length(numbers), offset: z.number() });
}

const calibrationSchema = z.object({
  modelHash: z.string(),
  sure: logistic(2),
  leastSure: z.number().nonnegative(),
  direct: logistic(1),
  reason: logistic(1),
  queries: z.int().nonnegative(),
});

/** @throws {StoreError} a text that is no calibration */
export function parseCalibration(text: string, file: string): Calibration {
  try {
    return calibrationSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new StoreError(`${file} is no calibration; remove it, or calibrate anew`, { cause: error });
  }
}

/** How sure a direct result is, 0 to 1; entirely where there is nothing to choose from. */
export function surenessOf(sure: Logistic, cosines: readonly number[]): number {
  return cosines.length < 2 ? 1 : chanceOf(sure, leadOf(cosines));
}

/** The best cosine, and its lead over the next. */
function leadOf(cosines: readonly number[]): [number, number] {
  const [first, second] = [...cosines].sort((x, y) => y - x);
  return [first!, first! - second!];
}

/** Every threshold that makes a difference, from never reasoning to always. */
export function tradeOffs(queries: readonly KnownQuery[], sure: Logistic): TradeOff[] {
  const judged = queries
    .map(({ direct, reason, rationaleTokens }) => ({
      sureness: surenessOf(
        sure,
        direct.map(({ cosine }) => cosine),
      ),
      direct: isRight(direct),
      reason: isRight(reason),
      rationaleTokens,
    }))
    .sort((a, b) => a.sureness - b.sureness);
  const allTokens = judged.reduce((sum, { rationaleTokens }) => sum + rationaleTokens, 0);
  let right = judged.filter(({ direct }) => direct).length;
  let tokens = 0;
  const points: TradeOff[] = [{ leastSure: 0, accuracy: right / judged.length, tokens: 0 }];
  judged.forEach(({ sureness, direct, reason, rationaleTokens }, i) => {
    right += Number(reason) - Number(direct);
    tokens += rationaleTokens;
    const next = judged[i + 1]?.sureness;
    // Queries that are equally sure are told apart by no threshold.
    if (next === sureness) return;
    points.push({
      // Of two neighbours in float64 the mean may be the lower one.
      leastSure: next === undefined ? Number.MAX_VALUE : Math.max(next, (sureness + next) / 2),
      accuracy: right / judged.length,
      tokens: tokens / Math.max(1, allTokens),
    });
  });
  return points;
}

/** The cheapest threshold that keeps a share of what reasoning gains; the gain of always reasoning may be 0 or less. */
export function cheapestKeeping(points: readonly TradeOff[], share: number): TradeOff {
  const [never, always] = [points[0]!, points.at(-1)!];
  const least = never.accuracy + share * Math.max(0, always.accuracy - never.accuracy);
  return points.find(({ accuracy }) => accuracy >= least - 1e-12) ?? always;
}

/** A sample for a curve. */
export interface Sample {
  readonly x: readonly number[];
  readonly right: boolean;
}

/** Holds the matrix of second derivatives away from a singular one. */
const RIDGE = 1e-9;

/**
 * Fits the chance of being right: the maximum of the likelihood by Newton's method, with a little of Platt's smoothing
 * (Platt 1999), so that samples that are told apart perfectly leave the weights finite.
 */
export function fitLogistic(samples: readonly Sample[]): Logistic {
  const size = (samples[0]?.x.length ?? 0) + 1;
  const rights = samples.filter(({ right }) => right).length;
  const [high, low] = [(rights + 1) / (rights + 2), 1 / (samples.length - rights + 2)];
  // The offset stands last.
  let beta = Array.from({ length: size }, (_, i) =>
    i < size - 1 ? 0 : Math.log((rights + 1) / (samples.length - rights + 1)),
  );
  for (let round = 0; round < 100; round++) {
    const slope = Array.from({ length: size }, () => 0);
    const bend = slope.map((_, i) => slope.map((__, j) => (i === j ? RIDGE : 0)));
    for (const { x, right } of samples) {
      const row = [...x, 1];
      const p = chanceOf(logisticOf(beta), x);
      const off = p - (right ? high : low);
      for (let i = 0; i < size; i++) {
        slope[i]! += off * row[i]!;
        for (let j = 0; j < size; j++) bend[i]![j]! += p * (1 - p) * row[i]! * row[j]!;
      }
    }
    const step = solved(bend, slope);
    if (!step.every(Number.isFinite)) break;
    beta = beta.map((value, i) => value - step[i]!);
    if (step.reduce((sum, value) => sum + Math.abs(value), 0) < 1e-10) break;
  }
  return logisticOf(beta);
}

function logisticOf(beta: readonly number[]): Logistic {
  return { weights: beta.slice(0, -1), offset: beta.at(-1)! };
}

/** Solves a small system by elimination; rows are taken with the largest pivot first. */
function solved(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  for (let at = 0; at < rows.length; at++) {
    const best = rows
      .slice(at)
      .reduce((most, row, i) => (Math.abs(row[at]!) > Math.abs(rows[most]![at]!) ? at + i : most), at);
    [rows[at], rows[best]] = [rows[best]!, rows[at]!];
    for (let other = 0; other < rows.length; other++) {
      if (other === at) continue;
      const factor = rows[other]![at]! / rows[at]![at]!;
      rows[other] = rows[other]!.map((value, j) => value - factor * rows[at]![j]!);
    }
  }
  return rows.map((row, i) => row.at(-1)! / row[i]!);
}

/** Chance of being right, 0 to 1. */
export function chanceOf({ weights, offset }: Logistic, x: readonly number[]): number {
  return 1 / (1 + Math.exp(-weights.reduce((sum, weight, i) => sum + weight * x[i]!, offset)));
}

/** How sure direct results are, learnt from whether their best hits are right. */
export function fitSureness(queries: readonly KnownQuery[]): Logistic {
  return fitLogistic(
    queries
      .filter(({ direct }) => direct.length > 1)
      .map(({ direct }) => ({ x: leadOf(direct.map(({ cosine }) => cosine)), right: isRight(direct) })),
  );
}

/** Learns from queries whose answers are known. */
export function calibrate(modelHash: string, queries: readonly KnownQuery[], share: number): Calibration {
  const sure = fitSureness(queries);
  return {
    modelHash,
    sure,
    leastSure: cheapestKeeping(tradeOffs(queries, sure), share).leastSure,
    direct: byCosine(queries.flatMap(({ direct }) => direct)),
    reason: byCosine(queries.flatMap(({ reason }) => reason)),
    queries: queries.length,
  };
}

function isRight(hits: readonly ScoredHit[]): boolean {
  return hits[0]?.right ?? false;
}

function byCosine(hits: readonly ScoredHit[]): Logistic {
  return fitLogistic(hits.map(({ cosine, right }) => ({ x: [cosine], right })));
}
