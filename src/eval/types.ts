/** What an evaluation is about and what comes of it: datasets, tasks, results as they stand in `results.json`. */
import type { EvalSide } from "../dataset/eval-task.ts";
import type { Grouped } from "./means.ts";

/** What a dataset's items mostly are; the leaderboard groups by it. */
export type Modality = "image" | "video" | "visdoc";

/** The figure that counts: share of queries whose first candidate is right, or NDCG with linear gain. */
export type MainMetric = "hit@1" | "ndcg_linear@5";

/** A dataset's place in a benchmark. */
export interface BenchmarkDataset {
  readonly name: string;
  readonly modality: Modality;
  /** `classification`, `vqa`, `retrieval`, `grounding` and so on. */
  readonly metaTask: string;
  /** Whether training data leave its kind out. */
  readonly ood: boolean;
  readonly metric: MainMetric;
}

/** Bounds of a bootstrap interval. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** How long rationales were. */
export interface RationaleLengths {
  readonly mean: number;
  readonly median: number;
  readonly p90: number;
  readonly max: number;
  /** Share that the budget ended, not the model. */
  readonly overrunShare: number;
  /** How many have 0 to 7 tokens, 8 to 15, and so on. */
  readonly histogram: readonly number[];
}

/** What came of one dataset. */
export interface DatasetResult extends BenchmarkDataset {
  readonly queries: number;
  /** Different items that its candidates are. */
  readonly targets: number;
  /** `hit@1`, `ndcg_linear@5` ...: means over queries, 0 to 1. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Of the main metric, 95%. */
  readonly interval: Interval;
  readonly rationales: RationaleLengths;
  /** Prompt and rationale tokens of its different items. */
  readonly promptTokens: number;
  readonly rationaleTokens: number;
  /** SHA-256 of its rows' files. */
  readonly dataHash: string;
  /** Different texts that the rules changed, of those there are. */
  readonly rewritten: { readonly queries: readonly [number, number]; readonly targets: readonly [number, number] };
}

/** A mean over datasets with its interval. */
export interface MeanResult extends Interval {
  readonly value: number;
  readonly datasets: number;
}

/** Means over datasets of their main metrics, each dataset counting once. */
export interface MeanResults extends Grouped<MeanResult> {
  readonly modalities: Readonly<Record<string, MeanResult>>;
}

/** How items are embedded; all of it is in the key of each cached vector. */
export interface EvalSettings {
  readonly weights: string;
  readonly minPixels: number | null;
  readonly maxPixels: number | null;
  readonly minSide: number | null;
  /** 0 embeds queries directly. */
  readonly maxNewTokens: number;
  readonly onBudget: "pool-last" | "force-emb";
  /** `null` is the checkpoint's. */
  readonly repetitionPenalty: number | null;
}

/** Where figures come from. */
export interface Provenance {
  readonly version: string;
  /** Of this package's repository, where it runs from one. */
  readonly commit: string | null;
  readonly machine: string;
  readonly time: string;
  readonly seconds: number;
  readonly model: string;
  readonly modelHash: string;
  readonly embeddingDimension: number;
  readonly data: string;
  /** The hub's commit, where the data came from there. */
  readonly dataRevision: string | null;
  readonly queryRules: { readonly name: string; readonly hash: string };
  readonly targetRules: { readonly name: string; readonly hash: string };
  readonly limit: number | null;
}

/** `results.json`. */
export interface EvalResults {
  readonly format: "rge-eval/1";
  readonly benchmark: "mmeb" | "mmeb-v2" | "scenes";
  readonly provenance: Provenance;
  readonly settings: EvalSettings;
  readonly datasets: readonly DatasetResult[];
  readonly means: MeanResults;
}

/** One query with what came of it: a line of `queries/<dataset>.jsonl`. */
export interface QueryRecord {
  /** `test-00000-of-00001.parquet, row 17`. */
  readonly place: string;
  /** As embedded. */
  readonly query: EvalSide;
  readonly rationale: string;
  readonly rationaleTokens: number;
  readonly finish: "emb" | "budget" | "direct";
  /** The dataset's main metric, of this query. */
  readonly value: number;
  /** Rank of the best candidate that is right, from 1. */
  readonly rank: number;
  /** The right candidate, or the best of them. */
  readonly right: RankedCandidate;
  /** The best candidates, at most ten. */
  readonly top: readonly RankedCandidate[];
  /** Of all candidates in their order, where they are at most a hundred. */
  readonly scores?: readonly number[] | undefined;
}

/** A candidate with its score. */
export interface RankedCandidate extends EvalSide {
  readonly index: number;
  readonly score: number;
  /** Relevance, 0 for a wrong one. */
  readonly grade: number;
}
