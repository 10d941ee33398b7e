/** What scores mean for a model on a collection: learnt from queries whose answers are known. */
import { z } from "zod";
import { StoreError } from "../errors.ts";

/** Chance of being right by cosine: `1 / (1 + e^-(slope * cosine + offset))`. */
export interface Logistic {
  readonly slope: number;
  readonly offset: number;
}

/** What was learnt. */
export interface Calibration {
  /** Of the checkpoint that it holds for. */
  readonly modelHash: string;
  /** `auto` reasons where the best two direct hits are closer than this. */
  readonly margin: number;
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

/** Accuracy and cost of reasoning only where the direct margin is below a threshold. */
export interface TradeOff {
  readonly margin: number;
  /** P@1. */
  readonly accuracy: number;
  /** Share of the rationale tokens that reasoning on every query would take. */
  readonly tokens: number;
}

const logistic = z.object({ slope: z.number(), offset: z.number() });
const calibrationSchema = z.object({
  modelHash: z.string(),
  margin: z.number().nonnegative(),
  direct: logistic,
  reason: logistic,
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

/** How much surer the best hit is than the next; `Infinity` where there is none. */
export function marginOf(cosines: readonly number[]): number {
  const [first, second] = [...cosines].sort((a, b) => b - a);
  return second === undefined ? Infinity : first! - second;
}

/** Every threshold that makes a difference, from never reasoning to always. */
export function tradeOffs(queries: readonly KnownQuery[]): TradeOff[] {
  const judged = queries
    .map(({ direct, reason, rationaleTokens }) => ({
      margin: marginOf(direct.map(({ cosine }) => cosine)),
      direct: isRight(direct),
      reason: isRight(reason),
      rationaleTokens,
    }))
    .sort((a, b) => a.margin - b.margin);
  const allTokens = judged.reduce((sum, { rationaleTokens }) => sum + rationaleTokens, 0);
  let right = judged.filter(({ direct }) => direct).length;
  let tokens = 0;
  const points: TradeOff[] = [{ margin: 0, accuracy: right / judged.length, tokens: 0 }];
  judged.forEach(({ margin, direct, reason, rationaleTokens }, i) => {
    right += Number(reason) - Number(direct);
    tokens += rationaleTokens;
    const next = judged[i + 1]?.margin;
    // Queries of one margin are told apart by no threshold.
    if (next === margin) return;
    points.push({
      margin: next === undefined ? Number.MAX_VALUE : (margin + next) / 2,
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

/**
 * Fits the chance of being right by cosine: the maximum of the likelihood by Newton's method, with a little of Platt's
 * smoothing (Platt 1999), so that hits that are told apart perfectly leave the slope finite.
 */
export function fitLogistic(hits: readonly ScoredHit[]): Logistic {
  const rights = hits.filter(({ right }) => right).length;
  const [high, low] = [(rights + 1) / (rights + 2), 1 / (hits.length - rights + 2)];
  let [slope, offset] = [0, Math.log((rights + 1) / (hits.length - rights + 1))];
  for (let round = 0; round < 100; round++) {
    let [gradientSlope, gradientOffset, ss, so, oo] = [0, 0, 1e-9, 0, 1e-9];
    for (const { cosine, right } of hits) {
      const p = chanceOf({ slope, offset }, cosine);
      const off = p - (right ? high : low);
      const weight = p * (1 - p);
      gradientSlope += off * cosine;
      gradientOffset += off;
      ss += weight * cosine * cosine;
      so += weight * cosine;
      oo += weight;
    }
    const determinant = ss * oo - so * so;
    const [stepSlope, stepOffset] = [
      (oo * gradientSlope - so * gradientOffset) / determinant,
      (ss * gradientOffset - so * gradientSlope) / determinant,
    ];
    if (!Number.isFinite(stepSlope + stepOffset)) break;
    slope -= stepSlope;
    offset -= stepOffset;
    if (Math.abs(stepSlope) + Math.abs(stepOffset) < 1e-10) break;
  }
  return { slope, offset };
}

/** Chance of being right of a hit with this cosine, 0 to 1. */
export function chanceOf({ slope, offset }: Logistic, cosine: number): number {
  return 1 / (1 + Math.exp(-(slope * cosine + offset)));
}

/** Learns from queries whose answers are known. */
export function calibrate(modelHash: string, queries: readonly KnownQuery[], share: number): Calibration {
  const { margin } = cheapestKeeping(tradeOffs(queries), share);
  return {
    modelHash,
    margin,
    direct: fitLogistic(queries.flatMap(({ direct }) => direct)),
    reason: fitLogistic(queries.flatMap(({ reason }) => reason)),
    queries: queries.length,
  };
}

function isRight(hits: readonly ScoredHit[]): boolean {
  return hits[0]?.right ?? false;
}
