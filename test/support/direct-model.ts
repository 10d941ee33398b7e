/** A family's graphs run as a whole, in float32, without cache, chunks or batches: what the Embedder is compared with. */
import { Checkpoint } from "../../src/checkpoint/checkpoint.ts";
import { readModelConfig, type ModelConfig } from "../../src/checkpoint/config.ts";
import { Graph, serialize } from "../../src/graph/index.ts";
import { floats, indices, type Feeds } from "../../src/host-tensor.ts";
import type { EmbedItem } from "../../src/index.ts";
import { ChatTemplate } from "../../src/input/chat-template.ts";
import { ImageProcessor, type PreparedImage } from "../../src/input/image-processor.ts";
import { buildPrompt } from "../../src/input/prompt.ts";
import { Tokenizer } from "../../src/input/tokenizer.ts";
import type { Grid } from "../../src/input/patches.ts";
import {
  anglesOf,
  buildHead,
  buildTextDecoder,
  EMBEDDING_LAYER,
  familyOf,
  inverseFrequencies,
  mropeAxes,
  ropePositions,
  type Positions,
  type VisionTower,
} from "../../src/models/index.ts";
import { Weights } from "../../src/nn/weights.ts";
import { Session } from "../../src/runtime/session.ts";

const UNSEEN = -1e9;

/** Features of all pictures of a prompt, `[tokens, hidden]` each. */
export interface DirectFeatures {
  readonly embeds: Float32Array;
  readonly deepstack: readonly Float32Array[];
}

export class DirectModel implements AsyncDisposable {
  readonly config: ModelConfig;
  readonly tower: VisionTower;
  readonly #checkpoint: Checkpoint;
  readonly #vision: Session;
  readonly #decoder: Session;
  readonly #head: Session;

  private constructor(config: ModelConfig, tower: VisionTower, checkpoint: Checkpoint, sessions: readonly Session[]) {
    this.config = config;
    this.tower = tower;
    this.#checkpoint = checkpoint;
    [this.#vision, this.#decoder, this.#head] = sessions as [Session, Session, Session];
  }

  static async open(folder: string): Promise<DirectModel> {
    const config = readModelConfig(folder);
    const checkpoint = Checkpoint.open(folder);
    const tower = familyOf(config).vision(config);
    const open = (name: string, build: (graph: Graph, weights: Weights) => void): Promise<Session> => {
      const graph = new Graph(name);
      build(
        graph,
        Weights.of(graph, checkpoint, () => "float32"),
      );
      return Session.open(serialize(graph), name, { threads: 1 });
    };
    const sessions = [
      await open("vision", (graph, weights) => {
        const { embeds, deepstack } = tower.build(graph, weights);
        graph.output("embeds", embeds);
        deepstack.forEach((features, i) => graph.output(`deepstack.${i}`, features));
      }),
      await open("decoder", (graph, weights) => buildTextDecoder(graph, weights, config.text, tower.deepstackCount)),
      await open("head", (graph, weights) => buildHead(graph, weights, config.text, config.tieWordEmbeddings)),
    ];
    return new DirectModel(config, tower, checkpoint, sessions);
  }

  /** Features of pictures of one patch count, all in one run. `patches [patches, columns]` of all of them. */
  async encodeTogether(patches: Float32Array, grids: readonly Grid[]): Promise<DirectFeatures> {
    const names = Array.from({ length: this.tower.deepstackCount }, (_, i) => `deepstack.${i}`);
    const rows = grids.reduce((sum, grid) => sum + patchesIn(grid), 0);
    const feeds = { patches: floats(patches, [rows, patches.length / rows]), ...this.tower.feeds(grids) };
    const outputs = await this.#vision.run(feeds, ["embeds", ...names]);
    const read = (name: string): Float32Array => outputs[name]!.data as Float32Array;
    return { embeds: read("embeds"), deepstack: names.map(read) };
  }

  /** Features of pictures, each in a run of its own. */
  async encode(patches: Float32Array, grids: readonly Grid[]): Promise<DirectFeatures> {
    const rows = grids.reduce((sum, grid) => sum + patchesIn(grid), 0);
    const columns = rows === 0 ? 0 : patches.length / rows;
    const parts: DirectFeatures[] = [];
    let at = 0;
    for (const grid of grids) {
      const end = at + patchesIn(grid) * columns;
      parts.push(await this.encodeTogether(patches.slice(at, end), [grid]));
      at = end;
    }
    return {
      embeds: joined(parts.map(({ embeds }) => embeds)),
      deepstack: Array.from({ length: this.tower.deepstackCount }, (_, i) =>
        joined(parts.map(({ deepstack }) => deepstack[i]!)),
      ),
    };
  }

  positions(ids: readonly number[], grids: readonly Grid[]): Positions {
    return ropePositions(ids, this.config.imageTokenId, grids, this.tower.merge);
  }

  /** Hidden states of all tokens, `[tokens, hidden]`. */
  async hidden(ids: readonly number[], grids: readonly Grid[], features: DirectFeatures): Promise<Float32Array> {
    const { hidden } = await this.#decoder.run(this.#decoderFeeds(ids, grids, features), ["hidden"]);
    return hidden.data as Float32Array;
  }

  /** The hidden state of the last token, `[hidden]`. */
  async last(ids: readonly number[], grids: readonly Grid[], features: DirectFeatures): Promise<Float32Array> {
    return (await this.hidden(ids, grids, features)).slice(-this.config.text.hidden);
  }

  /** The state that `ids` after the prompt of `item` lead to, from one run of the whole, and the prompt's length. */
  async stateAfter(
    { text = "", images = [], minPixels, maxPixels }: EmbedItem,
    ids: readonly number[],
  ): Promise<{ state: Float32Array; promptTokens: number }> {
    const { folder } = this.#checkpoint;
    const processor = ImageProcessor.load(folder);
    const prepared: PreparedImage[] = [];
    for (const image of images) prepared.push(await processor.prepare(image, { minPixels, maxPixels }));
    const { inputIds, imageSpans } = buildPrompt({
      tokenizer: Tokenizer.load(folder),
      template: ChatTemplate.load(folder),
      content: text,
      imageTokenCounts: prepared.map(({ tokens }) => tokens),
    });
    const ordered = imageSpans.map(({ image }) => prepared[image]!);
    const grids = ordered.map(({ grid }) => grid);
    const features = await this.encode(joined(ordered.map(({ patches }) => patches)), grids);
    return { state: await this.last([...inputIds, ...ids], grids, features), promptTokens: inputIds.length };
  }

  /** `[hidden]` -> `[vocab]` */
  async logits(state: Float32Array): Promise<Float32Array> {
    const { logits } = await this.#head.run({ hidden: floats(state, [1, state.length]) }, ["logits"]);
    return logits.data as Float32Array;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of [this.#vision, this.#decoder, this.#head]) await session[Symbol.asyncDispose]();
    this.#checkpoint.close();
  }

  #decoderFeeds(ids: readonly number[], grids: readonly Grid[], features: DirectFeatures): Feeds {
    const { hidden, headDim, kvHeads, layers, ropeTheta, mropeSection, mropeInterleaved } = this.config.text;
    const seq = ids.length;
    const embeds = new Float32Array(seq * hidden);
    const deepstack = Array.from({ length: this.tower.deepstackCount }, () => new Float32Array(seq * hidden));
    let image = 0;
    for (const [at, id] of ids.entries()) {
      if (id !== this.config.imageTokenId) {
        embeds.set(this.#checkpoint.readRows(`${EMBEDDING_LAYER}.weight`, id, 1), at * hidden);
        continue;
      }
      const rowOf = (array: Float32Array): Float32Array => array.subarray(image * hidden, (image + 1) * hidden);
      embeds.set(rowOf(features.embeds), at * hidden);
      for (const [i, layer] of deepstack.entries()) layer.set(rowOf(features.deepstack[i]!), at * hidden);
      image++;
    }
    const { cos, sin } = anglesOf(
      inverseFrequencies(headDim, ropeTheta),
      mropeAxes(mropeSection, mropeInterleaved),
      this.positions(ids, grids).axes,
    );
    const bias = Float32Array.from({ length: seq * seq }, (_, i) => (i % seq > Math.floor(i / seq) ? UNSEEN : 0));
    const feeds: Record<string, Feeds[string]> = {
      embeds: floats(embeds, [1, seq, hidden]),
      cos: floats(cos, [seq, headDim / 2]),
      sin: floats(sin, [seq, headDim / 2]),
      new_bias: floats(bias, [seq, seq]),
      past_bias: floats(Float32Array.of(UNSEEN), [1, 1, 1, 1, 1]),
      picked: indices(Array.from(ids.keys())),
    };
    for (let layer = 0; layer < layers; layer++)
      for (const kind of ["key", "value"])
        feeds[`past_${kind}.${layer}`] = floats(new Float32Array(kvHeads * headDim), [1, kvHeads, 1, headDim]);
    for (const [i, layer] of deepstack.entries()) feeds[`deepstack.${i}`] = floats(layer, [1, seq, hidden]);
    return feeds;
  }
}

/** Arrays end to end. */
export function joined(arrays: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    whole.set(array, at);
    at += array.length;
  }
  return whole;
}

function patchesIn([time, height, width]: Grid): number {
  return time * height * width;
}
