/** Pairs of a batch as the feeds of a training graph: packed rows, where they attend, and what is asked of them. */
import type { TextConfig } from "../checkpoint/config.ts";
import { floats, indices, joinFloats, type Feeds, type HostTensor } from "../host-tensor.ts";
import type { PreparedImage } from "../input/image-processor.ts";
import {
  anglesOf,
  inverseFrequencies,
  mropeAxes,
  packedFeeds,
  PREFIX,
  type Positions,
  type Segment,
} from "../models/index.ts";
import { EXCLUDED } from "./losses.ts";
import { LAYOUT, QUERY_GROUP, TARGET_GROUP, type GraphKind, type ModelShape } from "./training-graph.ts";

/** A prompt up to where the assistant's answer begins. */
export interface PromptSide {
  readonly ids: readonly number[];
  readonly positions: Positions;
  /** Where image tokens stand, in order. */
  readonly imageSlots: readonly number[];
  /** In the order of their tokens. */
  readonly images: readonly PreparedImage[];
  /** Equal for sides that the model cannot tell apart. */
  readonly key: string;
}

/** A query with what it is to find. */
export interface TrainingPair {
  /** Names the row in messages. */
  readonly place: string;
  readonly query: PromptSide;
  /** Ids of the oracle's rationale, without `<emb>`; `undefined` where there is none. */
  readonly oracleIds: readonly number[] | undefined;
  /** `undefined` where nothing is embedded. */
  readonly target: PromptSide | undefined;
  readonly negatives: readonly PromptSide[];
}

/** What follows a query's prompt in a batch, each without the `<emb>` that is put after it. */
export interface Branches {
  /** To be predicted; `undefined` leaves the LM term out for this query. */
  readonly lm: readonly number[] | undefined;
  /** Read before the embedding; `"lm"` takes the state after the predicted ones (the leak); `undefined` for no embedding. */
  readonly contrast: readonly number[] | "lm" | undefined;
}

/** A batch as feeds, and what came of its pairs. */
export interface Collated {
  readonly feeds: Feeds;
  readonly images: boolean;
  readonly prefix: boolean;
  /** Tokens whose prediction counts. */
  readonly labels: number;
  /** Rows that go through the decoder. */
  readonly rows: number;
  /** Tokens of all images, each image once. */
  readonly imageTokens: number;
  readonly queries: number;
  /** Candidates: the positives in the order of the queries, then the hard negatives. */
  readonly candidates: readonly string[];
}

/** Fewest common tokens that are worth a group of their own. */
const LEAST_PREFIX = 4;

/** Rows as they are packed. */
class Packing {
  /** Tokens that every sequence begins with; their rows come first. */
  readonly prefix: number;
  readonly source: number[] = [];
  readonly deepstack: number[] = [];
  readonly axes: [number[], number[], number[]] = [[], [], []];
  readonly images: PreparedImage[] = [];
  readonly #firstFeature = new Map<string, number>();
  #features = 0;
  readonly #vocab: number;

  /** @param sides every sequence that will be packed */
  constructor(vocab: number, sides: readonly PromptSide[]) {
    this.#vocab = vocab;
    const common = commonPrefix(sides);
    this.prefix = common < LEAST_PREFIX ? 0 : common;
    const first = sides[0]!;
    for (let at = 0; at < this.prefix; at++) {
      this.source.push(first.ids[at]!);
      this.deepstack.push(0);
      this.axes.forEach((axis, i) => axis.push(first.positions.axes[i]![at]!));
    }
  }

  get rows(): number {
    return this.source.length;
  }

  /** The rows of a prompt after the prefix. */
  prompt({ ids, positions, imageSlots, images }: PromptSide): number[] {
    const start = this.rows;
    const features = images.flatMap((image) => {
      const first = this.#see(image);
      return Array.from({ length: image.tokens }, (_, i) => first + i);
    });
    let next = 0;
    ids.forEach((id, at) => {
      if (at < this.prefix) return;
      const feature = imageSlots[next] === at ? features[next++]! : undefined;
      this.source.push(feature === undefined ? id : this.#vocab + feature);
      this.deepstack.push(feature === undefined ? 0 : feature + 1);
      this.axes.forEach((axis, i) => axis.push(positions.axes[i]![at]!));
    });
    return Array.from({ length: ids.length - this.prefix }, (_, i) => start + i);
  }

  /** Tokens after a prompt, all axes together. */
  following({ ids: prompt, positions }: PromptSide, ids: readonly number[]): number[] {
    const start = this.rows;
    ids.forEach((id, i) => {
      this.source.push(id);
      this.deepstack.push(0);
      for (const axis of this.axes) axis.push(prompt.length + i + positions.delta);
    });
    return Array.from({ length: ids.length }, (_, i) => start + i);
  }

  /** Index of an image's first feature; equal pictures are encoded once. */
  #see(image: PreparedImage): number {
    const known = this.#firstFeature.get(image.hash);
    if (known !== undefined) return known;
    const first = this.#features;
    this.#firstFeature.set(image.hash, first);
    this.images.push(image);
    this.#features += image.tokens;
    return first;
  }
}

/** Makes feeds of batches for one model. */
export class Collator {
  readonly #model: ModelShape;
  readonly #embId: number;
  readonly #frequencies: Float32Array;
  readonly #axisOf: readonly number[];

  /** @param embId id of `<emb>` */
  constructor(model: ModelShape, embId: number) {
    this.#model = model;
    this.#embId = embId;
    const { headDim, ropeTheta, mropeSection, mropeInterleaved }: TextConfig = model.config.text;
    this.#frequencies = inverseFrequencies(headDim, ropeTheta);
    this.#axisOf = mropeAxes(mropeSection, mropeInterleaved);
  }

  /** @param branches what follows each pair's query, one per pair */
  collate(pairs: readonly TrainingPair[], branches: readonly Branches[]): Collated {
    const { config, tower } = this.#model;
    const hasEmbeddings = branches.some(({ contrast }) => contrast !== undefined);
    const targets = hasEmbeddings
      ? [...pairs.map(({ target }) => target!), ...pairs.flatMap((it) => it.negatives)]
      : [];
    const packing = new Packing(config.text.vocab, [...pairs.map(({ query }) => query), ...targets]);
    const labels: number[] = [];
    const labelRows: number[] = [];
    const queryRows: number[] = [];
    const querySegments: Segment[] = pairs.map(({ query }, i) => {
      const { lm, contrast } = branches[i]!;
      const rows = packing.prompt(query);
      const promptEnd = rows.length;
      if (lm !== undefined) {
        const ids = [...lm, this.#embId];
        const written = packing.following(query, ids);
        // A token is predicted by the state before it.
        labelRows.push(rows.at(-1)!, ...written.slice(0, -1));
        labels.push(...ids);
        rows.push(...written);
      }
      if (contrast === undefined) return { rows };
      if (contrast === "lm") {
        queryRows.push(rows.at(-1)!);
        return { rows };
      }
      const fork = { from: promptEnd, to: rows.length };
      rows.push(...packing.following(query, [...contrast, this.#embId]));
      queryRows.push(rows.at(-1)!);
      return { rows, fork };
    });
    const { segments: targetSegments, rows: targetRows } = this.#packTargets(packing, targets);
    const images = packing.images.length > 0;
    const feeds: Record<string, HostTensor> = {
      source: indices(packing.source),
      ...this.#angles(packing),
      ...packedFeeds(
        LAYOUT,
        [
          ...(packing.prefix > 0 ? [{ name: PREFIX, segments: [{ rows: [...Array(packing.prefix).keys()] }] }] : []),
          { name: QUERY_GROUP, segments: querySegments },
          ...(hasEmbeddings ? [{ name: TARGET_GROUP, segments: targetSegments }] : []),
        ],
        "causal",
        config.text,
      ),
    };
    if (images) Object.assign(feeds, this.#imageFeeds(packing));
    if (images && tower.deepstackCount > 0) feeds["deepstack.source"] = indices(packing.deepstack);
    if (labels.length > 0) Object.assign(feeds, { labels: indices(labels), label_rows: indices(labelRows) });
    if (hasEmbeddings) Object.assign(feeds, { query_rows: indices(queryRows), target_rows: indices(targetRows) });
    return {
      feeds,
      images,
      prefix: packing.prefix > 0,
      labels: labels.length,
      rows: packing.rows,
      imageTokens: packing.images.reduce((sum, { tokens }) => sum + tokens, 0),
      queries: queryRows.length,
      candidates: targets.map(({ key }) => key),
    };
  }

  /** The kind of graph that a collated batch wants. */
  kindOf(
    { images, prefix, labels, queries }: Collated,
    embeddings: GraphKind["embeddings"],
  ): Omit<GraphKind, "backward" | "dropout"> {
    return { images, prefix, lm: labels > 0, embeddings: queries === 0 ? "none" : embeddings };
  }

  /** Each target once, with `<emb>` right after its prompt; a row per candidate. */
  #packTargets(packing: Packing, targets: readonly PromptSide[]): { segments: Segment[]; rows: number[] } {
    const segments: Segment[] = [];
    const rowOf = new Map<string, number>();
    const rows = targets.map((target) => {
      const known = rowOf.get(target.key);
      if (known !== undefined) return known;
      const own = [...packing.prompt(target), ...packing.following(target, [this.#embId])];
      segments.push({ rows: own });
      rowOf.set(target.key, own.at(-1)!);
      return own.at(-1)!;
    });
    return { segments, rows };
  }

  #angles({ axes, rows }: Packing): Feeds {
    const { cos, sin } = anglesOf(this.#frequencies, this.#axisOf, axes);
    const shape = [rows, this.#model.config.text.headDim / 2];
    return { row_cos: floats(cos, shape), row_sin: floats(sin, shape) };
  }

  #imageFeeds({ images }: Packing): Feeds {
    const grids = images.map(({ grid }) => grid);
    const patches = grids.reduce((sum, [time, height, width]) => sum + time * height * width, 0);
    const joined = joinFloats(images.map((image) => image.patches));
    return { patches: floats(joined, [patches, joined.length / patches]), ...this.#model.tower.trainingFeeds(grids) };
  }
}

/** How many tokens all sides begin with; the last token of each, and every image token, stays its own. */
function commonPrefix(sides: readonly PromptSide[]): number {
  const first = sides[0]!;
  return sides.reduce((common, { ids, imageSlots }) => {
    const most = Math.min(common, ids.length - 1, imageSlots[0] ?? ids.length);
    let at = 0;
    while (at < most && ids[at] === first.ids[at]) at++;
    return at;
  }, Infinity);
}

/**
 * Feeds `positive` and `excluded` of `infoNceSum`: query `i` belongs to candidate `i`; other candidates that are the same
 * as its own are left out, as they would be wrong as negatives.
 * @param candidates key of each candidate, those of the queries first
 */
export function candidateFeeds(queries: number, candidates: readonly string[]): Feeds {
  const positive = new Float32Array(queries * candidates.length);
  const excluded = new Float32Array(queries * candidates.length);
  for (let query = 0; query < queries; query++) {
    candidates.forEach((key, candidate) => {
      const at = query * candidates.length + candidate;
      if (candidate === query) positive[at] = 1;
      else if (key === candidates[query]) excluded[at] = EXCLUDED;
    });
  }
  const shape = [queries, candidates.length];
  return { positive: floats(positive, shape), excluded: floats(excluded, shape) };
}
