/** Queries against their candidates: embeddings, scores, which candidates come first. */
import type { EvalQuery, EvalSide, EvalTask } from "../dataset/eval-task.ts";
import { dot } from "../dot.ts";
import type { EmbedItem, ReasonOptions } from "../embed/types.ts";
import { DatasetError } from "../errors.ts";
import { embedItems, type EmbedPlan, type EvaluateOptions } from "./embed-items.ts";
import { finalSide, rewritten } from "./final-text.ts";
import type { ItemKeys } from "./item-key.ts";
import type { TextRule } from "./rules.ts";
import type { KeptItem, VectorCache } from "./vector-cache.ts";

/**
 * How queries are embedded: directly, after the oracle's rationale, after one that the model writes, or after one that
 * is known.
 */
export type Reasoning = "direct" | "oracle" | ReasonOptions | ((query: EvalQuery) => string);

/** What an evaluation does with items, whatever the dataset. */
export interface EvalPlan extends EmbedPlan {
  readonly keys: ItemKeys;
  readonly bounds: Pick<EmbedItem, "minPixels" | "maxPixels" | "minSide">;
}

/** The rules of one dataset. */
export interface SideRules {
  readonly query?: TextRule | undefined;
  readonly target?: TextRule | undefined;
}

/** What came of a query. */
export interface QueryOutcome extends Omit<KeptItem, "embedding"> {
  /** Cosine with each candidate, in their order. */
  readonly scores: Float32Array;
  /** Places of the candidates, the best first; of equals, the first. At least ten, or all. */
  readonly ranked: readonly number[];
  /** As embedded. */
  readonly query: EvalSide;
}

/** Each different item under its key, and the key of each place. */
interface DifferentItems {
  readonly keys: readonly string[];
  readonly items: ReadonlyMap<string, EmbedItem>;
}

/** How much of a ranking is made out: what metrics and reports look at. */
const RANKED = 10;

/**
 * One dataset against a model, as MMEB measures it: each different text and picture is embedded once, a query is scored
 * against its own candidates in float32.
 */
export class TaskEvaluator {
  readonly #task: EvalTask;
  readonly #rules: SideRules;
  readonly #plan: EvalPlan;
  readonly #cache: VectorCache;
  readonly #everyTarget: readonly number[];
  #targets: DifferentItems | undefined;
  /** Of the reasoning that was asked for last. */
  #queries: (DifferentItems & { readonly reasoning: Reasoning; readonly sides: readonly EvalSide[] }) | undefined;

  constructor(task: EvalTask, rules: SideRules, plan: EvalPlan, cache: VectorCache) {
    this.#task = task;
    this.#rules = rules;
    this.#plan = plan;
    this.#cache = cache;
    this.#everyTarget = [...task.targets.keys()];
  }

  /** Different texts of each side that the rules change, and how many there are. */
  rewrittenTexts(): { queries: [changed: number, all: number]; targets: [changed: number, all: number] } {
    return {
      queries: changedTexts(
        this.#task.queries.map(({ query }) => query),
        this.#rules.query,
      ),
      targets: changedTexts(this.#task.targets, this.#rules.target),
    };
  }

  /** A candidate as embedded. */
  target(index: number): EvalSide {
    return finalSide(this.#task.targets[index]!, this.#rules.target);
  }

  /** The candidate of a query at a place of its list, as an index among the targets. */
  candidate(query: number, place: number): number {
    return this.#candidatesOf(this.#task.queries[query]!)[place]!;
  }

  /**
   * Embeds the candidates and the queries, as far as they are not kept, without scoring them.
   * @throws {InputError} an item that cannot be embedded; it is named
   */
  async embed(reasoning: Reasoning, options: EvaluateOptions = {}): Promise<void> {
    const [targets, queries] = [await this.#targetItems(), await this.#queryItems(reasoning)];
    await embedItems([targets.items, queries.items], this.#cache, this.#plan, options);
  }

  /** What is kept of the different items of both sides; call `embed` before. */
  async kept(reasoning: Reasoning): Promise<KeptItem[]> {
    const keys = [...(await this.#queryItems(reasoning)).items.keys(), ...(await this.#targetItems()).items.keys()];
    return keys.map((key) => this.#keptOf(key));
  }

  /** Embeddings of the queries, in their order; call `embed` before. */
  async queryVectors(reasoning: Reasoning): Promise<Float32Array[]> {
    return (await this.#queryItems(reasoning)).keys.map((key) => this.#keptOf(key).embedding);
  }

  /**
   * Embeds what is not kept, then scores each query against its candidates.
   * @returns an outcome per query
   * @throws {InputError} an item that cannot be embedded; it is named
   */
  async evaluate(reasoning: Reasoning, options: EvaluateOptions = {}): Promise<QueryOutcome[]> {
    await this.embed(reasoning, options);
    const vectors = (await this.#targetItems()).keys.map((key) => this.#keptOf(key).embedding);
    const { keys, sides } = await this.#queryItems(reasoning);
    return this.#task.queries.map((query, i) => {
      const { embedding, ...kept } = this.#keptOf(keys[i]!);
      // In float32, from sums in double precision: the array rounds.
      const scores = Float32Array.from(this.#candidatesOf(query), (at) => dot(embedding, vectors[at]!));
      return { ...kept, scores, ranked: bestOf(scores), query: sides[i]! };
    });
  }

  #candidatesOf({ candidates }: EvalQuery): readonly number[] {
    return candidates ?? this.#everyTarget;
  }

  #keptOf(key: string): KeptItem {
    const kept = this.#cache.get(key);
    if (kept === undefined) throw new Error("internal: an item that was not embedded");
    return kept;
  }

  async #targetItems(): Promise<DifferentItems> {
    this.#targets ??= await this.#different(
      this.#task.targets.map((side) => this.#itemOf(finalSide(side, this.#rules.target), "target")),
    );
    return this.#targets;
  }

  async #queryItems(reasoning: Reasoning): Promise<DifferentItems & { readonly sides: readonly EvalSide[] }> {
    if (this.#queries?.reasoning === reasoning) return this.#queries;
    const sides = this.#task.queries.map(({ query }) => finalSide(query, this.#rules.query));
    const items = this.#task.queries.map((query, i) => ({
      ...this.#itemOf(sides[i]!, "query"),
      ...reasoningOf(query, reasoning),
    }));
    this.#queries = { ...(await this.#different(items)), reasoning, sides };
    return this.#queries;
  }

  #itemOf({ text, images }: EvalSide, role: "query" | "target"): EmbedItem {
    return { role, text, images, ...this.#plan.bounds };
  }

  async #different(wanted: readonly EmbedItem[]): Promise<DifferentItems> {
    const items = new Map<string, EmbedItem>();
    const keys: string[] = [];
    for (const item of wanted) {
      const key = await this.#plan.keys.keyOf(item);
      keys.push(key);
      if (!items.has(key)) items.set(key, item);
    }
    return { keys, items };
  }
}

function changedTexts(sides: readonly EvalSide[], rule: TextRule | undefined): [changed: number, all: number] {
  const texts = [...new Set(sides.map(({ text }) => text))];
  return [texts.filter((text) => rewritten(text, rule) !== text).length, texts.length];
}

function reasoningOf(query: EvalQuery, reasoning: Reasoning): Pick<EmbedItem, "reason" | "rationale"> {
  if (reasoning === "direct") return { reason: false };
  if (typeof reasoning === "object") return { reason: reasoning };
  // A rationale that is given is read, not written.
  const rationale = reasoning === "oracle" ? query.rationale : reasoning(query);
  if (rationale === undefined) throw new DatasetError(`${query.place}: the row has no rationale`);
  return { rationale };
}

/** Places of the best scores. */
function bestOf(scores: Float32Array): number[] {
  const best: number[] = [];
  for (let place = 0; place < scores.length; place++) {
    const score = scores[place]!;
    if (best.length === RANKED && !(score > scores[best.at(-1)!]!)) continue;
    let at = best.length;
    while (at > 0 && score > scores[best[at - 1]!]!) at--;
    best.splice(at, 0, place);
    if (best.length > RANKED) best.pop();
  }
  return best;
}
