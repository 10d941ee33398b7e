/** Asks a collection: a query of words, a picture or both is embedded, with or without a rationale, and the nearest found. */
import type { EmbedItem, EmbedResult, ImageSource } from "../embed/types.ts";
import { AbsentError, InputError } from "../errors.ts";
import type { Collection, Filter, Hit } from "../store/store.ts";
import { chanceOf, surenessOf, type Calibration } from "./calibration.ts";
import { judgeItems } from "./rerank.ts";
import { boundsOf } from "./target-item.ts";
import { loadQuery, type LoadedQuery, type OnRationale, type QueryEmbedder } from "./query-embedder.ts";

/** Whether the model reasons: never, always, or where the direct result is unsure (without a calibration, always). */
export type SearchMode = "direct" | "reason" | "auto";
export const SEARCH_MODES: readonly SearchMode[] = ["direct", "reason", "auto"];

/** What is asked. */
export interface SearchQuery {
  readonly text?: string | undefined;
  /** A path, a `data:` URL or bytes. */
  readonly image?: ImageSource | undefined;
  /** Put before the text. */
  readonly instruction?: string | undefined;
  /** @default "reason" */
  readonly mode?: SearchMode | undefined;
  /** Words that captions and file names are searched for as well; both rankings are joined. */
  readonly words?: string | undefined;
  /** @default 10 */
  readonly limit?: number | undefined;
  readonly where?: Filter | undefined;
  /** Leaves out hits whose chance of being right is below this; needs a calibration. */
  readonly leastChance?: number | undefined;
  /** How many of the best hits the model judges, to be put in the order of its verdicts. @default 0 */
  readonly rerank?: number | undefined;
  /** Longest rationale. @default 128 */
  readonly maxNewTokens?: number | undefined;
  /** Scans all vectors rather than an index. */
  readonly exact?: boolean | undefined;
}

/** A hit with what its cosine means. */
export interface SearchHit extends Hit {
  /** Chance that it is what was asked for, where a calibration tells. */
  readonly chance: number | undefined;
  /** Chance that it is what was asked for in the model's own opinion, where it was asked for that. */
  readonly judged?: number | undefined;
}

/** What was found, and why. */
export interface SearchAnswer {
  readonly hits: readonly SearchHit[];
  /** Hits without reasoning, where they were looked for. */
  readonly directHits: readonly SearchHit[] | undefined;
  /** Whether `hits` are of the reasoned query. */
  readonly reasoned: boolean;
  readonly rationale: string;
  readonly rationaleTokens: number;
  readonly finish: EmbedResult["finish"];
  /** Whether the query's embedding was remembered. */
  readonly cached: boolean;
  readonly timings: { readonly embedMs: number; readonly searchMs: number; readonly rerankMs: number };
}

/** How a call is carried out. */
export interface SearchOptions extends OnRationale {
  readonly signal?: AbortSignal | undefined;
  /** Looks without reasoning as well, so that both can be shown. @default false */
  readonly compare?: boolean | undefined;
}

export const MAX_LIMIT = 1000;
/** Most hits that the model judges: it reads each of them with the query. */
export const MAX_RERANK = 100;
const MAX_TEXT_CHARS = 20_000;

/** A ranking of one way of asking. */
interface Asked {
  readonly hits: readonly SearchHit[];
  readonly result: EmbedResult;
  readonly cached: boolean;
}

/** Searches a collection with the model that its items were embedded with. */
export class Searcher {
  readonly #embedder: QueryEmbedder;
  readonly #collection: Collection;
  readonly #calibration: Calibration | undefined;

  /** @param calibration of this model; one of another is not used */
  constructor(embedder: QueryEmbedder, collection: Collection, calibration?: Calibration) {
    this.#embedder = embedder;
    this.#collection = collection;
    this.#calibration = calibration?.modelHash === collection.origin.modelHash ? calibration : undefined;
  }

  /**
   * Finds what is asked for.
   * @throws {InputError} a query that cannot be embedded, or options that make no sense
   * @throws {StoreFailure} a store that fails
   */
  async search(
    query: SearchQuery,
    { signal, onRationale, compare = false }: SearchOptions = {},
  ): Promise<SearchAnswer> {
    const checked = checkQuery(query);
    if (query.leastChance !== undefined && this.#calibration === undefined)
      throw new InputError(
        `collection ${this.#collection.name} has no calibration for this model, so chances are not known: calibrate it, or leave the cut-off out`,
      );
    const item = await loadQuery(itemOf(checked, this.#collection));
    const spent = { embedMs: 0, searchMs: 0, rerankMs: 0 };
    const ask = async (reason: LoadedQuery["reason"]): Promise<Asked> => {
      const startMs = performance.now();
      const { result, cached } = await this.#embedder.embed({ ...item, reason }, { signal, onRationale });
      spent.embedMs += performance.now() - startMs;
      const foundMs = performance.now();
      const hits = await this.#nearest(result, checked);
      spent.searchMs += performance.now() - foundMs;
      return { hits, result, cached };
    };
    const { mode } = checked;
    const isAuto = mode === "auto" && this.#calibration !== undefined;
    const direct = mode === "direct" || isAuto || compare ? await ask(false) : undefined;
    const reasons = mode !== "direct" && !(isAuto && this.#isSure(direct!.hits));
    const reasoned = reasons ? await ask({ maxNewTokens: checked.maxNewTokens, onBudget: "force-emb" }) : undefined;
    const { hits, result, cached } = reasoned ?? direct!;
    const judgedMs = performance.now();
    const ranked = checked.rerank === 0 ? hits : await this.#rerank(hits, checked, item, result.rationale, signal);
    spent.rerankMs = performance.now() - judgedMs;
    return {
      hits: this.#cut(ranked, checked),
      directHits: direct && this.#cut(direct.hits, checked),
      reasoned: reasoned !== undefined,
      rationale: result.rationale,
      rationaleTokens: result.rationaleTokens,
      finish: result.finish,
      cached,
      timings: spent,
    };
  }

  /**
   * The items nearest to one that is there, without itself.
   * @throws {AbsentError} no such item
   */
  async similar(id: string, { limit = 10, where }: Pick<SearchQuery, "limit" | "where"> = {}): Promise<Hit[]> {
    checkLimit(limit);
    const [item] = await this.#collection.get([id]);
    if (item === undefined) throw new AbsentError(`there is no item ${JSON.stringify(id)}`);
    const hits = await this.#collection.search({ vector: item.vector, limit: limit + 1, where });
    return hits.filter((hit) => hit.item.id !== id).slice(0, limit);
  }

  async #nearest({ embedding, finish }: EmbedResult, query: CheckedQuery): Promise<SearchHit[]> {
    const { words, where, exact } = query;
    // How sure a result is shows in the best two.
    const hits = await this.#collection.search({
      vector: embedding,
      words,
      limit: Math.max(2, query.limit, query.rerank),
      where,
      exact,
    });
    const curve = this.#calibration?.[finish === "direct" ? "direct" : "reason"];
    return hits.map((hit) => ({
      ...hit,
      chance: curve === undefined || hit.cosine === undefined ? undefined : chanceOf(curve, [hit.cosine]),
    }));
  }

  /** The best hits in the order of the model's verdicts, then those that it could not or was not to judge. */
  async #rerank(
    hits: readonly SearchHit[],
    query: CheckedQuery,
    { images: [image] }: LoadedQuery,
    rationale: string,
    signal: AbortSignal | undefined,
  ): Promise<SearchHit[]> {
    const best = hits.slice(0, query.rerank);
    const wanted = { words: wordsOf(query), image, rationale };
    const items = best.map((hit) => hit.item);
    const chances = await judgeItems(this.#embedder.model, wanted, items, this.#collection.origin, signal);
    const judged = best.map((hit, i) => ({ ...hit, judged: chances[i] }));
    return [...judged.sort((a, b) => (b.judged ?? -1) - (a.judged ?? -1)), ...hits.slice(query.rerank)];
  }

  #isSure(hits: readonly SearchHit[]): boolean {
    const { sure, leastSure } = this.#calibration!;
    const cosines = hits.flatMap(({ cosine }) => cosine ?? []);
    return surenessOf(sure, cosines) >= leastSure;
  }

  #cut(hits: readonly SearchHit[], { limit, leastChance }: CheckedQuery): SearchHit[] {
    const likely = hits.filter(({ chance }) => leastChance === undefined || (chance ?? 0) >= leastChance);
    return likely.slice(0, limit);
  }
}

/** A query with its defaults. */
interface CheckedQuery extends SearchQuery {
  readonly mode: SearchMode;
  readonly limit: number;
  readonly rerank: number;
  readonly maxNewTokens: number;
}

function checkQuery(query: SearchQuery): CheckedQuery {
  const { mode = "reason", limit = 10, rerank = 0, maxNewTokens = 128, leastChance, text, image } = query;
  if (!SEARCH_MODES.includes(mode)) throw new InputError(`mode is one of ${SEARCH_MODES.join(", ")}, got ${mode}`);
  checkLimit(limit);
  if (!Number.isInteger(rerank) || rerank < 0 || rerank > MAX_RERANK)
    throw new InputError(`rerank is a whole number from 0 to ${MAX_RERANK}, got ${rerank}`);
  if (leastChance !== undefined && !(leastChance >= 0 && leastChance <= 1))
    throw new InputError(`the least chance is a number from 0 to 1, got ${leastChance}`);
  if ((text ?? "").trim() === "" && image === undefined)
    throw new InputError("the query is empty: give it a text, a picture or both");
  if ((text?.length ?? 0) > MAX_TEXT_CHARS)
    throw new InputError(`the query's text has ${text!.length} characters, limit ${MAX_TEXT_CHARS}`);
  return { ...query, mode, limit, rerank, maxNewTokens };
}

function checkLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new InputError(`the limit is a whole number from 1 to ${MAX_LIMIT}, got ${limit}`);
}

/** As RGE was trained: the slot, then instruction and text, then a line break. */
function itemOf(query: SearchQuery, { origin }: Collection): EmbedItem {
  const { image } = query;
  const words = wordsOf(query);
  return {
    role: "query",
    text: `${image === undefined ? "" : "<|image_1|>\n"}${words === "" ? "" : `${words}\n`}`,
    images: image === undefined ? [] : [image],
    ...boundsOf(origin),
  };
}

function wordsOf({ text = "", instruction = "" }: SearchQuery): string {
  return [instruction, text].filter((part) => part !== "").join(" ");
}
