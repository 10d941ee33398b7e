/** A dataset to be evaluated, whatever its packaging: queries, candidates, and which of them are right. */

/** A text as its file has it, with the pictures that stand in its slots; a video is its frames. */
export interface EvalSide {
  readonly text: string;
  /** Absolute paths, in the order of their slots. */
  readonly images: readonly string[];
}

/** A query with its candidates. */
export interface EvalQuery {
  /** `test.parquet, row 17`, for messages. */
  readonly place: string;
  readonly query: EvalSide;
  /** Indices of its candidates among the task's targets, in order; `undefined` where all are. */
  readonly candidates: readonly number[] | undefined;
  /** Grade of each right candidate, above 0, by its place among the candidates. */
  readonly relevance: ReadonlyMap<number, number>;
  /** What the oracle wrote, where the file has it. */
  readonly rationale: string | undefined;
}

/** A dataset, read whole. */
export interface EvalTask {
  readonly queries: readonly EvalQuery[];
  /** Each different candidate once. */
  readonly targets: readonly EvalSide[];
  /** SHA-256 in hex of the files that rows came from. */
  readonly hash: string;
}
