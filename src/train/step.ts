/** Losses and gradients of a batch, whole or in chunks, and the update that follows. */
import { floats, joinFloats, type Feeds, type HostTensor } from "../host-tensor.ts";
import { seededRandom } from "../random.ts";
import { evaluateDim, type Shape } from "../shape.ts";
import { serialize } from "../graph/index.ts";
import { Session, type SessionOptions } from "../runtime/session.ts";
import { candidateFeeds, type Branches, type Collated, type Collator, type TrainingPair } from "./collate.ts";
import { mix } from "./batch-order.ts";
import { clipScale, type Optimizer } from "./optimizer.ts";
import type { ModelWeights } from "./parameters.ts";
import {
  buildContrastGraph,
  buildTrainingGraph,
  DROPOUT_INPUT,
  type GraphKind,
  type ModelShape,
  type Objective,
} from "./training-graph.ts";

/** What one batch, or one of several that make up an update, came to. */
export interface BatchLosses {
  /** Mean cross-entropy per token of the rationales; `undefined` without the term. */
  readonly lm: number | undefined;
  /** Mean InfoNCE per query; `undefined` without the term. */
  readonly contrastive: number | undefined;
  /** Share of queries whose own target is the most similar candidate. */
  readonly hits: number | undefined;
  /** Rows that went through the decoder. */
  readonly rows: number;
}

/** An input of a graph. */
interface Named {
  readonly name: string;
  readonly shape: Shape;
}

/** A compiled graph and what it reads and writes of the weights. */
interface OpenGraph {
  readonly session: Session;
  readonly weightInputs: readonly Named[];
  /** Inputs for dropout masks. */
  readonly masks: readonly Named[];
  /** Weights that it gives gradients of. */
  readonly trained: readonly Named[];
}

/** Pairs of one update. */
export interface StepBatch {
  readonly pairs: readonly TrainingPair[];
  readonly branches: readonly Branches[];
}

/** How parts of LoRA's inputs are left out. */
export interface Dropout {
  /** Share that is left out. */
  readonly share: number;
  readonly seed: number;
}

/** Computes losses and gradients through ONNX Runtime, and updates the weights. */
export class StepRunner implements AsyncDisposable {
  readonly #model: ModelShape;
  readonly #weights: ModelWeights;
  readonly #collator: Collator;
  readonly #objective: Objective;
  readonly #session: SessionOptions;
  readonly #graphs = new Map<string, OpenGraph>();
  readonly #trainable: ReadonlySet<string>;
  readonly #gradients: Float32Array;
  #spare: Float32Array | undefined;
  #contrast: Session | undefined;

  constructor(
    model: ModelShape,
    weights: ModelWeights,
    collator: Collator,
    objective: Objective,
    session: SessionOptions,
  ) {
    this.#model = model;
    this.#weights = weights;
    this.#collator = collator;
    this.#objective = objective;
    this.#session = session;
    this.#trainable = new Set(weights.trained.shapes.map(({ name }) => name));
    this.#gradients = weights.trained.zeros();
  }

  /** Gradients of the last `backward`, laid out as the trained weights. */
  get gradients(): Float32Array {
    return this.#gradients;
  }

  /**
   * Losses of several batches that make up one update, and the gradients of their mean.
   * @param chunk pairs whose activations are held at once; a batch of more goes through GradCache (Gao et al. 2021,
   *   arXiv:2101.06983), which gives the same gradients
   * @param dropout where LoRA has it; the same seed gives the same masks
   */
  async backward(
    batches: readonly StepBatch[],
    chunk: number,
    optimizer: Optimizer,
    dropout?: Dropout,
  ): Promise<BatchLosses[]> {
    this.#gradients.fill(0);
    const labels = batches.map(({ branches }) => labelCount(branches));
    const totalLabels = labels.reduce((sum, count) => sum + count, 0);
    const losses: BatchLosses[] = [];
    let isFirst = true;
    for (const [i, batch] of batches.entries()) {
      const scales = { lm: totalLabels === 0 ? 0 : 1 / totalLabels, contrastive: 1 / batches.length };
      const target = (): Float32Array => (isFirst ? this.#gradients : (this.#spare ??= this.#weights.trained.zeros()));
      const done = async (flat: Float32Array): Promise<void> => {
        if (!isFirst) await optimizer.accumulate(this.#gradients, flat);
        isFirst = false;
      };
      const own = dropout === undefined ? undefined : { ...dropout, seed: mix(dropout.seed, i) };
      const loss = await this.#batch(batch, chunk, scales, own, target, done);
      // What is minimised is the mean over all tokens; what is told of a batch is its own mean.
      losses.push({ ...loss, lm: loss.lm === undefined ? undefined : (loss.lm * totalLabels) / labels[i]! });
    }
    return losses;
  }

  /**
   * Updates the weights with the gradients of the last `backward`.
   * @returns the gradients' L2 norm before clipping; where it is not finite, nothing is updated
   */
  async update(optimizer: Optimizer, learningRate: number, maxNorm: number | undefined): Promise<number> {
    const norm = await optimizer.norm(this.#gradients);
    if (Number.isFinite(norm)) await optimizer.update(this.#gradients, learningRate, clipScale(norm, maxNorm));
    return norm;
  }

  /** Losses alone, with cosines of the batch's queries and candidates. */
  async evaluate({ pairs, branches }: StepBatch): Promise<BatchLosses> {
    const collated = this.#collator.collate(pairs, branches);
    const kind = { ...this.#collator.kindOf(collated, "contrast"), backward: false, dropout: false };
    const labels = labelCount(branches);
    const scales = { lm: labels === 0 ? 0 : 1 / labels, contrastive: 1 };
    const outputs = await this.#run(kind, collated, scales, {}, undefined);
    return lossesOf(outputs, collated, 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { session } of this.#graphs.values()) await session[Symbol.asyncDispose]();
    await this.#contrast?.[Symbol.asyncDispose]();
    this.#graphs.clear();
  }

  async #batch(
    { pairs, branches }: StepBatch,
    chunk: number,
    scales: Scales,
    dropout: Dropout | undefined,
    target: () => Float32Array,
    done: (flat: Float32Array) => Promise<void>,
  ): Promise<BatchLosses> {
    if (pairs.length <= chunk) {
      const collated = this.#collator.collate(pairs, branches);
      const kind = { ...this.#collator.kindOf(collated, "contrast"), ...learning(dropout) };
      const flat = target();
      const outputs = await this.#run(kind, collated, scales, {}, dropout, flat);
      await done(flat);
      return lossesOf(outputs, collated, scales.contrastive);
    }
    const parts = Array.from({ length: Math.ceil(pairs.length / chunk) }, (_, i) =>
      this.#collator.collate(pairs.slice(i * chunk, (i + 1) * chunk), branches.slice(i * chunk, (i + 1) * chunk)),
    );
    const contrast = parts[0]!.queries > 0 ? await this.#contrastInChunks(parts, scales, dropout) : undefined;
    let lm = 0;
    for (const [i, part] of parts.entries()) {
      const kind = { ...this.#collator.kindOf(part, "given"), ...learning(dropout) };
      const flat = target();
      const outputs = await this.#run(kind, part, scales, contrast?.gradients[i] ?? {}, ofChunk(dropout, i), flat);
      await done(flat);
      lm += first(outputs["lm"]) ?? 0;
    }
    return {
      lm: parts.some(({ labels }) => labels > 0) ? lm : undefined,
      contrastive: contrast?.loss,
      hits: contrast?.hits,
      rows: parts.reduce((sum, { rows }) => sum + rows, 0),
    };
  }

  /** GradCache's first two passes: states of all chunks, then InfoNCE over them and its gradient for each chunk. */
  async #contrastInChunks(
    parts: readonly Collated[],
    scales: Scales,
    dropout: Dropout | undefined,
  ): Promise<{ loss: number; hits: number; gradients: Feeds[] }> {
    const { hidden } = this.#model.config.text;
    const queries: Float32Array[] = [];
    const positives: Float32Array[] = [];
    const negatives: Float32Array[] = [];
    for (const [i, part] of parts.entries()) {
      // The same masks as in the pass that learns, or its gradients would be of other states.
      const { lm, ...learned } = { ...this.#collator.kindOf(part, "states"), ...learning(dropout) };
      const kind: GraphKind = { ...learned, lm: lm && dropout !== undefined, backward: false };
      const outputs = await this.#run(kind, part, scales, {}, ofChunk(dropout, i));
      queries.push(outputs["queries"]!.data as Float32Array);
      const states = outputs["targets"]!.data as Float32Array;
      positives.push(states.subarray(0, part.queries * hidden));
      negatives.push(states.subarray(part.queries * hidden));
    }
    const rows = (arrays: readonly Float32Array[]): HostTensor => {
      const flat = joinFloats(arrays);
      return floats(flat, [flat.length / hidden, hidden]);
    };
    const keys = [
      ...parts.flatMap(({ candidates, queries: count }) => candidates.slice(0, count)),
      ...parts.flatMap(({ candidates, queries: count }) => candidates.slice(count)),
    ];
    const total = parts.reduce((sum, { queries: count }) => sum + count, 0);
    this.#contrast ??= await Session.open(
      serialize(buildContrastGraph(hidden, this.#objective)),
      "contrast",
      this.#session,
    );
    const outputs = await this.#contrast.run(
      {
        queries: rows(queries),
        targets: rows([...positives, ...negatives]),
        contrast_scale: floats(Float32Array.of(scales.contrastive / total), []),
        ...candidateFeeds(total, keys),
      },
      ["contrastive", "similarity", "gradient.queries", "gradient.targets"],
    );
    const [queryGradients, targetGradients] = ["gradient.queries", "gradient.targets"].map(
      (name) => outputs[name as "gradient.queries"].data as Float32Array,
    );
    let query = 0;
    let negative = total;
    const gradients = parts.map(({ queries: count, candidates }): Feeds => {
      const own = queryGradients!.slice(query * hidden, (query + count) * hidden);
      const extra = candidates.length - count;
      const theirs = joinFloats([
        targetGradients!.subarray(query * hidden, (query + count) * hidden),
        targetGradients!.subarray(negative * hidden, (negative + extra) * hidden),
      ]);
      query += count;
      negative += extra;
      return {
        query_gradients: floats(own, [count, hidden]),
        target_gradients: floats(theirs, [count + extra, hidden]),
      };
    });
    const loss = first(outputs.contrastive)! / scales.contrastive;
    return { loss, hits: hitShare(outputs.similarity, total, keys), gradients };
  }

  async #run(
    kind: GraphKind,
    collated: Collated,
    scales: Scales,
    given: Feeds,
    dropout: Dropout | undefined,
    gradients?: Float32Array,
  ): Promise<Readonly<Record<string, HostTensor>>> {
    const { session, weightInputs, masks, trained } = await this.#open(kind);
    const feeds: Record<string, HostTensor> = { ...this.#weights.feeds(weightInputs), ...collated.feeds, ...given };
    if (dropout !== undefined) Object.assign(feeds, maskFeeds(masks, collated, kind, dropout));
    const outputs: string[] = [];
    if (kind.lm) {
      feeds["lm_scale"] = floats(Float32Array.of(scales.lm), []);
      outputs.push("lm");
    } else {
      delete feeds["labels"];
      delete feeds["label_rows"];
    }
    if (kind.embeddings === "contrast") {
      feeds["contrast_scale"] = floats(Float32Array.of(scales.contrastive / collated.queries), []);
      Object.assign(feeds, candidateFeeds(collated.queries, collated.candidates));
      outputs.push("contrastive", "similarity");
    }
    if (kind.embeddings === "states") outputs.push("queries", "targets");
    const into: Record<string, HostTensor> = {};
    if (gradients !== undefined) {
      if (trained.length < this.#trainable.size) gradients.fill(0);
      for (const { name, shape } of trained)
        into[`gradient.${name}`] = floats(this.#weights.trained.part(gradients, name), shape as readonly number[]);
    }
    return await session.run(feeds, outputs, into);
  }

  async #open(kind: GraphKind): Promise<OpenGraph> {
    const key = JSON.stringify([kind.images, kind.prefix, kind.lm, kind.embeddings, kind.backward, kind.dropout]);
    const known = this.#graphs.get(key);
    if (known !== undefined) return known;
    const { graph, trained } = buildTrainingGraph(this.#model, kind, this.#objective, this.#trainable);
    const session = await Session.open(serialize(graph), graph.name, this.#session);
    const weightInputs = graph.inputs.filter(({ name }) => this.#weights.has(name));
    const masks = graph.inputs.filter(({ name }) => name.endsWith(DROPOUT_INPUT));
    const opened = { session, weightInputs, masks, trained };
    this.#graphs.set(key, opened);
    return opened;
  }
}

/** What a graph that learns has. */
function learning(dropout: Dropout | undefined): Pick<GraphKind, "backward" | "dropout"> {
  return { backward: true, dropout: dropout !== undefined };
}

function ofChunk(dropout: Dropout | undefined, chunk: number): Dropout | undefined {
  return dropout === undefined ? undefined : { ...dropout, seed: mix(dropout.seed, chunk) };
}

/** Masks of 0 and `1 / (1 - share)`, a stream of random numbers for each layer. */
function maskFeeds(masks: readonly Named[], collated: Collated, kind: GraphKind, { share, seed }: Dropout): Feeds {
  const { rows, labels, queries, candidates, imageTokens } = collated;
  const sizes = { rows, labels: kind.lm ? labels : 0, queries, targets: candidates.length, tokens: imageTokens };
  return Object.fromEntries(
    masks.map(({ name, shape }, i) => {
      const extents = shape.map((dim) => evaluateDim(dim, sizes));
      const random = seededRandom(mix(seed, i));
      const data = new Float32Array(extents.reduce((product, extent) => product * extent, 1));
      for (let at = 0; at < data.length; at++) if (random() >= share) data[at] = 1 / (1 - share);
      return [name, floats(data, extents)];
    }),
  );
}

/** Factors of the two sums. */
interface Scales {
  /** Of each token's loss. */
  readonly lm: number;
  /** Of a batch's mean. */
  readonly contrastive: number;
}

function labelCount(branches: readonly Branches[]): number {
  return branches.reduce((sum, { lm }) => sum + (lm === undefined ? 0 : lm.length + 1), 0);
}

function lossesOf(
  outputs: Readonly<Record<string, HostTensor>>,
  { rows, queries, candidates }: Collated,
  contrastiveScale: number,
): BatchLosses {
  const contrastive = first(outputs["contrastive"]);
  return {
    lm: first(outputs["lm"]),
    contrastive: contrastive === undefined ? undefined : contrastive / contrastiveScale,
    hits: outputs["similarity"] === undefined ? undefined : hitShare(outputs["similarity"], queries, candidates),
    rows,
  };
}

function first(tensor: HostTensor | undefined): number | undefined {
  return tensor === undefined ? undefined : Number(tensor.data[0]);
}

/** Share of queries with no other candidate as similar as their own; duplicates of it do not count. */
function hitShare({ data }: HostTensor, queries: number, candidates: readonly string[]): number {
  let hits = 0;
  for (let query = 0; query < queries; query++) {
    const row = query * candidates.length;
    const own = Number(data[row + query]);
    if (candidates.every((key, i) => key === candidates[query] || Number(data[row + i]) < own)) hits++;
  }
  return hits / queries;
}
