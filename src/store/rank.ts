/** Orders of found items. */

/** Reciprocal rank fusion's constant. Cormack, Clarke and Büttcher 2009. */
const RRF_K = 60;

/** Something found, with its score. */
export interface Ranked {
  readonly id: string;
  readonly score: number;
}

/** The best first; of equal scores the smaller id, so that an order is the same on every machine. */
export function byScore(a: Ranked, b: Ranked): number {
  return b.score - a.score || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** Joins rankings: an item scores the sum of 1 / (60 + rank) over those that it is in. */
export function fused(...rankings: readonly (readonly Ranked[])[]): Ranked[] {
  const scores = new Map<string, number>();
  for (const ranking of rankings)
    ranking.forEach(({ id }, rank) => scores.set(id, (scores.get(id) ?? 0) + 1 / (RRF_K + rank + 1)));
  return [...scores].map(([id, score]) => ({ id, score })).sort(byScore);
}

/** Items that each ranking of a joined search goes down to. */
export function depthOf(limit: number): number {
  return Math.max(100, 4 * limit);
}
