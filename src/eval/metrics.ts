/**
 * The ranking metrics of the MMEB-V2 leaderboard, of one query and as means over queries. Definitions are those of
 * VLM2Vec's `src/eval_utils/metrics.py` at 6ac33bb; where they are not the usual ones, a comment says so.
 */

/** How many of the best candidates a metric looks at. */
const CUTOFFS = [1, 5, 10] as const;

const MAX_CUTOFF = 10;

/** What a metric is computed from. */
interface Judged {
  /** Grades of the best candidates, best first, 0 for a wrong one; at most as many as the cutoff. */
  readonly top: readonly number[];
  /** Grades of all right candidates, highest first, whether or not they were found. */
  readonly ideal: readonly number[];
  readonly cutoff: number;
}

/** In the order of the leaderboard's files. */
const METRICS: Readonly<Record<string, (judged: Judged) => number>> = {
  hit: ({ top }) => (found(top) > 0 ? 1 : 0),
  ndcg_linear: (judged) => ndcg(judged, (grade) => grade),
  ndcg_exponential: (judged) => ndcg(judged, (grade) => 2 ** grade - 1),
  precision,
  recall,
  f1: harmonicMean,
  map: averagePrecision,
  mrr: ({ top }) => {
    const first = top.findIndex((grade) => grade > 0);
    return first < 0 ? 0 : 1 / (first + 1);
  },
};

/** `hit@1`, `hit@5`, ...: what `queryMetrics` gives, in the order of the leaderboard's files. */
export const METRIC_KEYS: readonly string[] = Object.keys(METRICS).flatMap((name) =>
  CUTOFFS.map((cutoff) => `${name}@${cutoff}`),
);

/**
 * Hit, NDCG with linear and with exponential gain, precision, recall, F1, average precision and reciprocal rank, each
 * at 1, 5 and 10. All but NDCG take every grade above 0 alike.
 * @param ranked places of the candidates, best first: at least ten, or all where there are fewer
 * @param relevance grade, above 0, of each right candidate by its place
 * @returns by `METRIC_KEYS`, 0 to 1
 * @throws {Error} internal: a place that is ranked twice, a grade that is not above 0
 */
export function queryMetrics(
  ranked: readonly number[],
  relevance: ReadonlyMap<number, number>,
): Readonly<Record<string, number>> {
  const best = ranked.slice(0, MAX_CUTOFF);
  if (new Set(best).size < best.length) throw new Error(`internal: a place is ranked twice: ${best.join(", ")}`);
  // The reference brings labels and grades together by their order in two lists, of which it has passed one through a
  // set: with string ids its graded NDCG (ViDoSeek-doc, MMLongBench-doc) differs from run to run. Here a grade stays
  // with its candidate.
  const grades = best.map((place) => relevance.get(place) ?? 0);
  const ideal = [...relevance.values()].sort((a, b) => b - a);
  if (!ideal.every((grade) => grade > 0 && grade < Infinity)) {
    throw new Error(`internal: grades of right candidates are above 0, got ${ideal.join(", ")}`);
  }
  const judged = CUTOFFS.map((cutoff) => ({ top: grades.slice(0, cutoff), ideal, cutoff }));
  return Object.fromEntries(
    Object.entries(METRICS).flatMap(([name, metric]) => judged.map((it) => [`${name}@${it.cutoff}`, metric(it)])),
  );
}

/**
 * Means over queries, each counting once.
 * @throws {Error} internal: no queries, or queries with different metrics
 */
export function meanMetrics(queries: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const [first] = queries;
  if (first === undefined) throw new Error("internal: mean metrics of no queries");
  const keys = Object.keys(first);
  for (const metrics of queries) {
    if (Object.keys(metrics).join() !== keys.join()) {
      throw new Error(`internal: mean of ${keys.join(", ")} and of ${Object.keys(metrics).join(", ")}`);
    }
  }
  return Object.fromEntries(
    keys.map((key) => [key, queries.reduce((sum, metrics) => sum + metrics[key]!, 0) / queries.length]),
  );
}

function found(top: readonly number[]): number {
  return top.filter((grade) => grade > 0).length;
}

/** Divided by the cutoff even where there are fewer candidates: with two, precision@5 is at most 0.4. */
function precision({ top, cutoff }: Judged): number {
  return found(top) / cutoff;
}

/** 1 for a query without right candidates, although every other metric is 0 then. */
function recall({ top, ideal }: Judged): number {
  return ideal.length === 0 ? 1 : found(top) / ideal.length;
}

function harmonicMean(judged: Judged): number {
  const [p, r] = [precision(judged), recall(judged)];
  return p + r === 0 ? 0 : (2 * p * r) / (p + r);
}

/**
 * Sum of the precision at each right candidate that was found, divided by how many could be within the cutoff. trec_eval
 * divides by all right candidates, which keeps queries with more of them than the cutoff from reaching 1.
 */
function averagePrecision({ top, ideal, cutoff }: Judged): number {
  let hits = 0;
  let sum = 0;
  top.forEach((grade, i) => {
    if (grade > 0) sum += ++hits / (i + 1);
  });
  return hits === 0 ? 0 : sum / Math.min(ideal.length, cutoff);
}

/** DCG over that of the best order of all right candidates, both within the cutoff. */
function ndcg({ top, ideal, cutoff }: Judged, gain: (grade: number) => number): number {
  const dcg = (grades: readonly number[]): number =>
    grades.reduce((sum, grade, i) => sum + gain(grade) / Math.log2(i + 2), 0);
  return ideal.length === 0 ? 0 : dcg(top) / dcg(ideal.slice(0, cutoff));
}
