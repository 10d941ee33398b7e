/** Queries against their candidates: embeddings, scores, which candidate comes first. */
import type { EvalRow } from "../dataset/eval-rows.ts";
import type { TrainSide } from "../dataset/train-row.ts";
import type { Embedder } from "../embed/embedder.ts";
import { withBreak } from "../embed/line-break.ts";
import type { EmbedItem, EmbedResult, ReasonOptions } from "../embed/types.ts";

/** How queries are embedded: directly, after the oracle's rationale, or after one that the model writes. */
export type Reasoning = "direct" | "oracle" | ReasonOptions;

/** How a call is carried out. */
export interface EvaluateOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told after each item that was embedded. */
  readonly onItem?: (() => void) | undefined;
}

/** What came of a query. */
export interface QueryOutcome {
  /** The candidate with the highest score, the first of equals. */
  readonly prediction: number;
  /** Cosine with each candidate, in their order. */
  readonly scores: Float32Array;
  readonly rationale: string;
  readonly rationaleTokens: number;
  readonly finish: EmbedResult["finish"];
}

/**
 * The rows of one dataset against a model, as MMEB measures it: each different text and picture is embedded once, a row
 * is scored against its own candidates in float32, and candidate 0 is right.
 */
export class RowEvaluator {
  readonly #embedder: Embedder;
  readonly #rows: readonly EvalRow[];
  readonly #targets: Unique;
  #targetResults: readonly EmbedResult[] | undefined;

  constructor(embedder: Embedder, rows: readonly EvalRow[]) {
    this.#embedder = embedder;
    this.#rows = rows;
    this.#targets = new Unique(rows.flatMap(({ targets }) => targets.map((side) => itemOf(side, "target"))));
  }

  /** Different items that the candidates are. */
  get targetCount(): number {
    return this.#targets.items.length;
  }

  /**
   * Embeds the candidates, unless that was done, then the queries, and scores them.
   * @returns an outcome per row
   * @throws {InputError} an item that cannot be embedded; it is named
   */
  async evaluate(reasoning: Reasoning, options: EvaluateOptions = {}): Promise<QueryOutcome[]> {
    this.#targetResults ??= await this.#embed(this.#targets, options);
    const targets = this.#targetResults;
    const queries = new Unique(this.#rows.map((row) => queryOf(row, reasoning)));
    const results = await this.#embed(queries, options);
    let next = 0;
    return this.#rows.map((row, i) => {
      const { embedding, rationale, rationaleTokens, finish } = results[queries.indices[i]!]!;
      const scores = Float32Array.from(row.targets, () =>
        dot(embedding, targets[this.#targets.indices[next++]!]!.embedding),
      );
      const prediction = scores.indexOf(scores.reduce((most, score) => Math.max(most, score), -Infinity));
      return { prediction, scores, rationale, rationaleTokens, finish };
    });
  }

  async #embed({ items }: Unique, { signal, onItem }: EvaluateOptions): Promise<EmbedResult[]> {
    const results: EmbedResult[] = [];
    for await (const outcome of this.#embedder.stream(items, { signal })) {
      if ("error" in outcome) {
        signal?.throwIfAborted();
        outcome.error.message = `${nameOf(items[outcome.index]!)}: ${outcome.error.message}`;
        throw outcome.error;
      }
      results.push(outcome.result);
      onItem?.();
    }
    return results;
  }
}

/** Each different item once, and which of them each place has. */
class Unique {
  readonly items: EmbedItem[] = [];
  readonly indices: readonly number[];

  constructor(wanted: readonly EmbedItem[]) {
    const known = new Map<string, number>();
    this.indices = wanted.map((item) => {
      const key = JSON.stringify([item.text, item.images, item.rationale]);
      const index = known.get(key) ?? this.items.length;
      if (index === this.items.length) this.items.push(item);
      known.set(key, index);
      return index;
    });
  }
}

function queryOf({ query, rationale }: EvalRow, reasoning: Reasoning): EmbedItem {
  const item = itemOf(query, "query");
  if (reasoning === "direct") return { ...item, reason: false };
  if (reasoning !== "oracle") return { ...item, reason: reasoning };
  // A rationale that is given is read, not written.
  return rationale === undefined ? { ...item, reason: false } : { ...item, rationale };
}

/** A side as RGE's evaluation embeds it: its text ends in a line break. */
function itemOf({ text, image }: TrainSide, role: "query" | "target"): EmbedItem {
  return { role, text: withBreak(text), images: image === undefined ? [] : [image] };
}

/** `query "Count the objects" images/0.png`. */
function nameOf({ role, text = "", images = [] }: EmbedItem): string {
  const files = images.map((image) => (typeof image === "string" ? image : "a picture"));
  return [role, JSON.stringify(text.slice(0, 80)), ...files].join(" ");
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return Math.fround(sum);
}
