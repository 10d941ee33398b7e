import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { METRIC_KEYS, meanMetrics, queryMetrics } from "../../../src/eval/metrics.ts";
import { assertClose } from "../../support/assert-close.ts";

/** From scripts/make_metric_fixtures.py. */
const { metrics: cases } = JSON.parse(
  readFileSync(new URL("../../fixtures/eval/metrics.json", import.meta.url), "utf8"),
) as {
  metrics: {
    name: string;
    ranked: number[];
    relevance: [place: number, grade: number][];
    torchmetrics: Record<string, number>;
    sklearn: Record<string, number>;
  }[];
};

const EXACT = { rtol: 1e-12, atol: 1e-12 };

/** torchmetrics computes in float32. */
const SINGLE = { rtol: 1e-6, atol: 1e-7 };

const CUTOFFS = [1, 5, 10];

for (const { name, ranked, relevance, torchmetrics, sklearn } of cases) {
  const ours = queryMetrics(ranked, new Map(relevance));

  test(`hit, precision, recall and reciprocal rank are torchmetrics': ${name}`, () => {
    for (const metric of ["hit", "precision", "recall", "mrr"]) {
      for (const k of CUTOFFS) {
        assertClose([ours[`${metric}@${k}`]!], [torchmetrics[`${metric}@${k}`]!], SINGLE, `${metric}@${k}`);
      }
    }
  });

  test(`average precision is torchmetrics' but for what it is divided by: ${name}`, () => {
    for (const k of CUTOFFS) {
      // torchmetrics divides by the right candidates that were found, the leaderboard's reference by those that could be.
      const hits = ranked.slice(0, k).filter((place) => new Map(relevance).has(place)).length;
      const expected = (torchmetrics[`map@${k}`]! * hits) / Math.min(relevance.length, k);
      assertClose([ours[`map@${k}`]!], [expected], SINGLE, `map@${k}`);
    }
  });

  test(`NDCG, F1 and average precision of whole rankings are scikit-learn's: ${name}`, () => {
    assertClose(
      Object.keys(sklearn).map((key) => ours[key]!),
      Object.values(sklearn),
      EXACT,
      Object.keys(sklearn).join(),
    );
  });
}

test("average precision is divided by the smaller of the right candidates and the cutoff", () => {
  // By hand: four right candidates, found first and third of five: (1 + 2/3) / min(4, 5), at 1 it is 1 / min(4, 1).
  const right = new Map([0, 1, 2, 3].map((place) => [place, 1]));
  const ours = queryMetrics([0, 9, 1, 8, 7], right);
  assert.equal(ours["map@1"], 1);
  assertClose([ours["map@5"]!, ours["map@10"]!], [(1 + 2 / 3) / 4, (1 + 2 / 3) / 4], EXACT);
});

test("precision is divided by the cutoff even where there are two candidates, and F1 goes with it", () => {
  // By hand: right one second of two. precision@5 1/5, recall 1, F1 2 * 0.2 * 1 / 1.2; precision@10 1/10, F1 0.2 / 1.1.
  const ours = queryMetrics([1, 0], new Map([[0, 1]]));
  assert.equal(ours["precision@5"], 0.2);
  assert.equal(ours["precision@10"], 0.1);
  assertClose([ours["f1@5"]!, ours["f1@10"]!], [1 / 3, 0.2 / 1.1], EXACT);
});

test("graded NDCG is as computed by hand", () => {
  // Order 0 (1), 5 (0), 1 (3); right candidates 1 (3), 2 (2), 0 (1), of which 2 was not ranked among the candidates.
  const ours = queryMetrics(
    [0, 5, 1],
    new Map([
      [0, 1],
      [1, 3],
      [2, 2],
    ]),
  );
  const log3 = Math.log2(3);
  assertClose(
    ["ndcg_linear@1", "ndcg_exponential@1", "ndcg_linear@5", "ndcg_exponential@5"].map((key) => ours[key]!),
    [1 / 3, 1 / 7, (1 + 3 / 2) / (3 + 2 / log3 + 1 / 2), (1 + 7 / 2) / (7 + 3 / log3 + 1 / 2)],
    EXACT,
  );
});

test("only the best ten candidates count", () => {
  const ranked = [9, 8, 7, 6, 5, 4, 3, 2, 1, 10, 0];
  assert.deepEqual(queryMetrics(ranked, new Map([[0, 1]])), queryMetrics(ranked.slice(0, 10), new Map([[0, 1]])));
});

test("a query without right candidates has recall 1 and nothing else, as in the reference", () => {
  const ours = queryMetrics([0, 1, 2], new Map());
  for (const [key, value] of Object.entries(ours)) assert.equal(value, key.startsWith("recall") ? 1 : 0, key);
});

test("means over queries are the leaderboard's published figures", () => {
  // Qwen3-VL-Embedding-8B on HatefulMemes: 1000 queries with two candidates each, so that hit@1 says everything.
  const published = {
    "hit@1": 0.775,
    "hit@5": 1.0,
    "hit@10": 1.0,
    "ndcg_linear@1": 0.775,
    "ndcg_linear@5": 0.9169591945535781,
    "ndcg_linear@10": 0.9169591945535781,
    "ndcg_exponential@1": 0.775,
    "ndcg_exponential@5": 0.9169591945535781,
    "ndcg_exponential@10": 0.9169591945535781,
    "precision@1": 0.775,
    "precision@5": 0.20000000000000004,
    "precision@10": 0.10000000000000002,
    "recall@1": 0.775,
    "recall@5": 1.0,
    "recall@10": 1.0,
    "f1@1": 0.775,
    "f1@5": 0.3333333333333333,
    "f1@10": 0.18181818181818182,
    "map@1": 0.775,
    "map@5": 0.8875,
    "map@10": 0.8875,
    "mrr@1": 0.775,
    "mrr@5": 0.8875,
    "mrr@10": 0.8875,
  };
  const right = new Map([[0, 1]]);
  const queries = Array.from({ length: 1000 }, (_, i) => queryMetrics(i < 775 ? [0, 1] : [1, 0], right));
  const means = meanMetrics(queries);
  assert.deepEqual(Object.keys(means), Object.keys(published));
  assert.deepEqual(METRIC_KEYS, Object.keys(published));
  assertClose(Object.values(means), Object.values(published), EXACT);
});

test("means are of queries that have the same metrics", () => {
  assert.deepEqual(meanMetrics([{ "hit@1": 1 }, { "hit@1": 0 }]), { "hit@1": 0.5 });
  assert.throws(() => meanMetrics([]), /internal: .*no queries/);
  assert.throws(() => meanMetrics([{ "hit@1": 1 }, { "hit@5": 1 }]), /internal: .*hit@1.*hit@5/);
  assert.throws(() => meanMetrics([{ "hit@1": 1 }, { "hit@1": 1, "hit@5": 1 }]), /internal/);
});

test("rankings and grades that cannot be are refused", () => {
  assert.throws(() => queryMetrics([0, 1, 0], new Map([[0, 1]])), /internal: .*twice/);
  assert.throws(() => queryMetrics([0, 1], new Map([[0, 0]])), /internal: grades/);
  assert.throws(() => queryMetrics([0, 1], new Map([[0, NaN]])), /internal: grades/);
});
