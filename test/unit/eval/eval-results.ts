/** Results to write in other forms. */
import { METRIC_KEYS } from "../../../src/eval/metrics.ts";
import type { DatasetResult, EvalResults, Modality, Provenance } from "../../../src/eval/types.ts";

/** What came of a dataset: metric number i is i hundredths. */
export function datasetResult(name: string, modality: Modality, queries: number): DatasetResult {
  return {
    name,
    modality,
    metaTask: "retrieval",
    ood: false,
    metric: modality === "visdoc" ? "ndcg_linear@5" : "hit@1",
    queries,
    targets: 10,
    metrics: Object.fromEntries(METRIC_KEYS.map((key, i) => [key, i / 100])),
    interval: { low: 0, high: 1 },
    rationales: { mean: 0, median: 0, p90: 0, max: 0, overrunShare: 0, histogram: [] },
    promptTokens: 100,
    rationaleTokens: 0,
    dataHash: "d".repeat(64),
    rewritten: { queries: [0, queries], targets: [0, 10] },
  };
}

/** Results of `datasets` with a model of some name. */
export function evalResults(datasets: readonly DatasetResult[], provenance: Partial<Provenance> = {}): EvalResults {
  return {
    format: "rge-eval/1",
    benchmark: "mmeb-v2",
    provenance: {
      version: "0.1.0",
      commit: null,
      machine: "a machine",
      time: "2026-11-25T21:00:00.250Z",
      seconds: 60,
      model: "/models/nano",
      modelHash: "a".repeat(64),
      embeddingDimension: 192,
      data: "/data/mmeb",
      dataRevision: null,
      queryRules: { name: "mmeb", hash: "b".repeat(64) },
      targetRules: { name: "mmeb", hash: "c".repeat(64) },
      limit: null,
      ...provenance,
    },
    settings: {
      weights: "int8",
      minPixels: null,
      maxPixels: null,
      minSide: null,
      maxNewTokens: 0,
      onBudget: "pool-last",
      repetitionPenalty: null,
    },
    datasets,
    means: { overall: { value: 0, low: 0, high: 1, datasets: datasets.length }, metaTasks: {}, modalities: {} },
  };
}
