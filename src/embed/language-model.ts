import type { TextConfig } from "../checkpoint/config.ts";
import { floats, indices, type Feeds } from "../host-tensor.ts";
import { anglesOf, inverseFrequencies, mropeAxes, type Positions } from "../models/index.ts";
import { KvCache, type KvBlock } from "../runtime/kv-cache.ts";
import type { Runner } from "../runtime/session.ts";
import type { EmbeddingRows } from "./embedding-rows.ts";
import type { ImageFeatures } from "./vision-encoder.ts";

/** Longest stretch of one prompt read at once: attention scores grow with its square. */
const CHUNK_TOKENS = 512;
/** Tokens of short prompts read at once: integer products reach their full speed at about a thousand rows. */
const GROUP_TOKENS = 1024;
/** Fewest tokens of an opening for which keeping it saves more than it costs. */
const LEAST_OPENING = 8;
/** Added to the scores of tokens that are not to be seen yet. */
const UNSEEN = -1e9;

/** A prompt with everything the decoder needs to read it. */
export interface DecoderPrompt {
  readonly ids: readonly number[];
  readonly positions: Positions;
  /** Where image tokens stand, in order. */
  readonly imageSlots: readonly number[];
  /** Features of the images, in order. */
  readonly features: readonly ImageFeatures[];
}

/** A prompt that has been read. */
export interface ReadPrompt {
  /** Hidden state of the last token, `[hidden]`. */
  readonly hidden: Float32Array;
  /** Keys and values of its tokens, one part after another. */
  readonly parts: readonly ReadPart[];
}

/** The first `count` tokens of a row of keys and values. */
export interface ReadPart {
  readonly block: KvBlock;
  readonly row: number;
  readonly count: number;
}

/** The last tokens of an item in a cache. */
export interface Ending {
  readonly row: number;
  /** At least one. */
  readonly tokens: readonly number[];
  /** Of the first token, the same on all axes. */
  readonly position: number;
}

/** Sessions of a decoder; `prefill` and `decode` may be one. */
export interface DecoderSessions {
  readonly prefill: Runner;
  readonly decode: Runner;
  readonly head: Runner;
}

/** The decoder as plain calls: read prompts, take one step for a batch, turn hidden states into logits. */
export class LanguageModel {
  readonly config: TextConfig;
  readonly #sessions: DecoderSessions;
  readonly #rows: Pick<EmbeddingRows, "row">;
  readonly #deepstackCount: number;
  readonly #frequencies: Float32Array;
  readonly #axisOf: readonly number[];
  readonly #openingIds: readonly number[];
  #opening: ReadPart | undefined;

  /**
   * @param openingIds what nearly all prompts begin with, the template's opening: it is read once and kept. It is fixed
   *   beforehand rather than found in a batch, so that what an item gets does not depend on its neighbours.
   */
  constructor(
    config: TextConfig,
    sessions: DecoderSessions,
    rows: Pick<EmbeddingRows, "row">,
    deepstackCount: number,
    openingIds: readonly number[],
  ) {
    this.config = config;
    this.#openingIds = openingIds.length < LEAST_OPENING ? [] : openingIds;
    this.#sessions = sessions;
    this.#rows = rows;
    this.#deepstackCount = deepstackCount;
    this.#frequencies = inverseFrequencies(config.headDim, config.ropeTheta);
    this.#axisOf = mropeAxes(config.mropeSection, config.mropeInterleaved);
  }

  /** Room for the keys and values of `rows` items of up to `length` tokens; it grows by itself. */
  newCache(rows: number, length: number): KvCache {
    return new KvCache(this.config, rows, length);
  }

  /** Forgets what was read before; for weights that have changed. */
  forget(): void {
    this.#opening = undefined;
  }

  /** Reads prompts, short ones together; results in order. */
  async read(prompts: readonly DecoderPrompt[]): Promise<ReadPrompt[]> {
    const results: ReadPrompt[] = [];
    const opens = (i: number): boolean => this.#hasOpening(prompts[i]!);
    for (const members of [[...prompts.keys()].filter(opens), [...prompts.keys()].filter((i) => !opens(i))]) {
      if (members.length === 0) continue;
      const opening = opens(members[0]!) ? await this.#readOpening() : undefined;
      const lengthOf = (i: number): number => prompts[i]!.ids.length - (opening?.count ?? 0);
      const order = members.sort((a, b) => lengthOf(b) - lengthOf(a));
      for (let start = 0; start < order.length;) {
        // Sorted by falling length: the first of a group is its longest, and all are padded to it.
        const longest = lengthOf(order[start]!);
        const count = Math.max(1, Math.floor(GROUP_TOKENS / longest));
        const group = order.slice(start, start + count);
        const read =
          longest > CHUNK_TOKENS
            ? [await this.#readLong(prompts[group[0]!]!)]
            : await this.#readTogether(
                group.map((i) => prompts[i]!),
                opening,
              );
        read.forEach((result, i) => (results[group[i]!] = result));
        start += read.length;
      }
    }
    return results;
  }

  /** Whether a prompt begins with the template's opening as it is tokenised alone, and goes on after it. */
  #hasOpening({ ids, imageSlots }: DecoderPrompt): boolean {
    const opening = this.#openingIds;
    if (opening.length === 0 || ids.length <= opening.length || (imageSlots[0] ?? Infinity) < opening.length)
      return false;
    return opening.every((id, at) => ids[at] === id);
  }

  async #readOpening(): Promise<ReadPart> {
    if (this.#opening !== undefined) return this.#opening;
    const ids = this.#openingIds;
    const axis = Int32Array.from(ids.keys());
    const positions: Positions = { axes: [axis, axis, axis], delta: 0 };
    const [read] = await this.#readTogether([{ ids, positions, imageSlots: [], features: [] }], undefined);
    this.#opening = read!.parts[0]!;
    return this.#opening;
  }

  /**
   * Feeds one token to each row in use of `cache`, which grows by it.
   * @param positions of the tokens, the same on all axes
   * @returns hidden states `[rows, hidden]`
   */
  async step(cache: KvCache, tokens: readonly number[], positions: readonly number[]): Promise<Float32Array> {
    const { hidden } = this.config;
    const embeds = new Float32Array(tokens.length * hidden);
    tokens.forEach((id, row) => embeds.set(this.#rows.row(id), row * hidden));
    const outputs = await this.#run(this.#sessions.decode, {
      embeds,
      batch: tokens.length,
      axes: [positions, positions, positions],
      deepstack: this.#noDeepstack(tokens.length),
      picked: tokens.map((_, row) => row),
      past: cache.feeds(),
    });
    for (let row = 0; row < tokens.length; row++) cache.append(row, outputs.block, row, 1);
    return outputs.hidden;
  }

  /**
   * Reads the last tokens of items whose rationale is written, and gives the state of each one's last: the embedding.
   * The cache is left as it is. This goes through the prompt's weights, not those for single tokens: with int4 the
   * error of the step that is pooled counts for more than that of all steps before it (docs/LOG.md), and targets, which
   * queries are compared with, are read that way too.
   * @returns hidden states, one `[hidden]` per ending
   */
  async readOut(cache: KvCache, endings: readonly Ending[]): Promise<Float32Array[]> {
    const { hidden } = this.config;
    const longest = Math.max(...endings.map(({ tokens }) => tokens.length));
    const past = this.newCache(endings.length, Math.max(...endings.map(({ row }) => cache.lengthOf(row))));
    const embeds = new Float32Array(endings.length * longest * hidden);
    const positions = new Int32Array(endings.length * longest);
    endings.forEach(({ row, tokens, position }, i) => {
      past.append(past.addRow(), cache, row, cache.lengthOf(row));
      tokens.forEach((id, at) => {
        embeds.set(this.#rows.row(id), (i * longest + at) * hidden);
        positions[i * longest + at] = position + at;
      });
    });
    const outputs = await this.#run(this.#sessions.prefill, {
      embeds,
      batch: endings.length,
      axes: [positions, positions, positions],
      deepstack: this.#noDeepstack(endings.length * longest),
      picked: endings.map(({ tokens }, i) => i * longest + tokens.length - 1),
      past: past.feeds(),
    });
    return endings.map((_, i) => outputs.hidden.subarray(i * hidden, (i + 1) * hidden));
  }

  /** Logits of hidden states: `[rows, hidden]` -> `[rows, vocab]`. */
  async logits(hidden: Float32Array): Promise<Float32Array> {
    const rows = hidden.length / this.config.hidden;
    const { logits } = await this.#sessions.head.run({ hidden: floats(hidden, [rows, this.config.hidden]) }, [
      "logits",
    ]);
    return logits.data as Float32Array;
  }

  /**
   * Prompts of at most a chunk, padded on the right: causal attention keeps the padding out of sight.
   * @param opening what they all begin with, where that has been read
   */
  async #readTogether(prompts: readonly DecoderPrompt[], opening: ReadPart | undefined): Promise<ReadPrompt[]> {
    const before = opening?.count ?? 0;
    const longest = Math.max(...prompts.map(({ ids }) => ids.length - before));
    const { hidden } = this.config;
    const embeds = new Float32Array(prompts.length * longest * hidden);
    const deepstack = this.#noDeepstack(prompts.length * longest);
    const axes = [0, 1, 2].map(() => new Int32Array(prompts.length * longest));
    prompts.forEach((prompt, row) => {
      this.#fill(
        { ...prompt, ids: prompt.ids.slice(before), imageSlots: prompt.imageSlots.map((slot) => slot - before) },
        embeds.subarray(row * longest * hidden),
        deepstack.map((layer) => layer.subarray(row * longest * hidden)),
      );
      prompt.positions.axes.forEach((axis, i) => axes[i]!.set(axis.subarray(before, prompt.ids.length), row * longest));
    });
    const past = this.newCache(prompts.length, before);
    prompts.forEach(() => {
      const row = past.addRow();
      if (opening !== undefined) past.append(row, opening.block, opening.row, before);
    });
    const outputs = await this.#run(this.#sessions.prefill, {
      embeds,
      batch: prompts.length,
      axes,
      deepstack,
      picked: prompts.map(({ ids }, row) => row * longest + ids.length - before - 1),
      past: past.feeds(),
    });
    return prompts.map(({ ids }, row) => ({
      hidden: outputs.hidden.slice(row * hidden, (row + 1) * hidden),
      parts: [...(opening === undefined ? [] : [opening]), { block: outputs.block, row, count: ids.length - before }],
    }));
  }

  /** One prompt in chunks, each attending to those before it. */
  async #readLong(prompt: DecoderPrompt): Promise<ReadPrompt> {
    const { hidden } = this.config;
    const total = prompt.ids.length;
    const embeds = new Float32Array(total * hidden);
    const deepstack = this.#noDeepstack(total);
    this.#fill(prompt, embeds, deepstack);
    const cache = this.newCache(1, total);
    cache.addRow();
    let last = new Float32Array(0);
    for (let start = 0; start < total; start += CHUNK_TOKENS) {
      const end = Math.min(total, start + CHUNK_TOKENS);
      const outputs = await this.#run(this.#sessions.prefill, {
        embeds: embeds.subarray(start * hidden, end * hidden),
        batch: 1,
        axes: prompt.positions.axes.map((axis) => axis.subarray(start, end)),
        deepstack: deepstack.map((layer) => layer.subarray(start * hidden, end * hidden)),
        picked: [end - start - 1],
        past: cache.feeds(),
      });
      cache.append(0, outputs.block, 0, end - start);
      last = outputs.hidden.slice();
    }
    return { hidden: last, parts: [{ block: cache, row: 0, count: total }] };
  }

  /** Writes a prompt's token embeddings and image features into `[tokens, hidden]` arrays. */
  #fill(prompt: DecoderPrompt, embeds: Float32Array, deepstack: readonly Float32Array[]): void {
    const { hidden } = this.config;
    const images = new Set(prompt.imageSlots);
    prompt.ids.forEach((id, at) => {
      if (!images.has(at)) embeds.set(this.#rows.row(id), at * hidden);
    });
    let slot = 0;
    for (const feature of prompt.features) {
      for (let token = 0; token < feature.embeds.length / hidden; token++, slot++) {
        const at = prompt.imageSlots[slot]! * hidden;
        embeds.set(feature.embeds.subarray(token * hidden, (token + 1) * hidden), at);
        deepstack.forEach((layer, i) =>
          layer.set(feature.deepstack[i]!.subarray(token * hidden, (token + 1) * hidden), at),
        );
      }
    }
  }

  #noDeepstack(tokens: number): Float32Array[] {
    return Array.from({ length: this.#deepstackCount }, () => new Float32Array(tokens * this.config.hidden));
  }

  async #run(
    session: Runner,
    input: {
      embeds: Float32Array;
      batch: number;
      axes: readonly ArrayLike<number>[];
      deepstack: readonly Float32Array[];
      picked: readonly number[];
      past: Feeds;
    },
  ): Promise<{ hidden: Float32Array; block: KvBlock }> {
    const { hidden, headDim, layers } = this.config;
    const tokens = input.embeds.length / hidden;
    const seq = tokens / input.batch;
    const { cos, sin } = anglesOf(this.#frequencies, this.#axisOf, input.axes);
    const shape = [input.batch, seq, hidden];
    const feeds: Record<string, Feeds[string]> = {
      ...input.past,
      embeds: floats(input.embeds, shape),
      cos: floats(cos, [tokens, headDim / 2]),
      sin: floats(sin, [tokens, headDim / 2]),
      new_bias: floats(causalBias(seq), [seq, seq]),
      picked: indices(input.picked),
    };
    input.deepstack.forEach((layer, i) => (feeds[`deepstack.${i}`] = floats(layer, shape)));
    const names = Array.from({ length: layers }, (_, layer) => [`key.${layer}`, `value.${layer}`]).flat();
    const outputs = await session.run(feeds, ["hidden", ...names]);
    const layersOf = (kind: "key" | "value"): Float32Array[] =>
      Array.from({ length: layers }, (_, layer) => outputs[`${kind}.${layer}`]!.data as Float32Array);
    return {
      hidden: outputs["hidden"]!.data as Float32Array,
      block: { keys: layersOf("key"), values: layersOf("value"), length: seq },
    };
  }
}

/** `[seq, seq]`: 0 on and below the diagonal. */
function causalBias(seq: number): Float32Array {
  const bias = new Float32Array(seq * seq);
  for (let row = 0; row < seq; row++) bias.fill(UNSEEN, row * seq + row + 1, (row + 1) * seq);
  return bias;
}
