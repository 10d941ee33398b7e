/** Rationales written by the weights as they are now: the runtime's batched decoder over graphs whose weights are fed. */
import { LanguageModel } from "../embed/language-model.ts";
import { Engine, type EngineItem } from "../embed/engine.ts";
import { VisionEncoder } from "../embed/vision-encoder.ts";
import { Graph, serialize } from "../graph/index.ts";
import type { Feeds } from "../host-tensor.ts";
import { openingIds } from "../input/prompt.ts";
import { buildHead, buildTextDecoder, EMBEDDING_LAYER } from "../models/index.ts";
import { Weights, type LoraLayer } from "../nn/weights.ts";
import { Session, type Runner, type SessionOptions } from "../runtime/session.ts";
import type { PromptSide } from "./collate.ts";
import type { TrainingModel } from "./training-model.ts";

/** How rationales are written in training. */
export interface WritingOptions {
  readonly maxNewTokens: number;
  /** 0 takes the likeliest token. */
  readonly temperature: number;
  readonly topP: number;
  readonly repetitionPenalty: number;
}

/** A rationale as the model wrote it. */
export interface WrittenRationale {
  /** Without the `<emb>` that ended it. */
  readonly ids: readonly number[];
  /** Whether it ended by itself within its budget. */
  readonly ended: boolean;
}

interface WriterItem extends EngineItem {
  readonly side: PromptSide;
}

/** Writes rationales with a training model's current weights. */
export class RationaleWriter implements AsyncDisposable {
  readonly #engine: Engine<WriterItem>;
  readonly #language: LanguageModel;
  readonly #options: WritingOptions;
  readonly #embId: number;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    engine: Engine<WriterItem>,
    language: LanguageModel,
    options: WritingOptions,
    embId: number,
    stack: AsyncDisposableStack,
  ) {
    this.#engine = engine;
    this.#language = language;
    this.#options = options;
    this.#embId = embId;
    this.#stack = stack;
  }

  /** @param batch prompts that write at the same time */
  static async open(
    model: TrainingModel,
    writing: WritingOptions,
    batch: number,
    session: SessionOptions,
  ): Promise<RationaleWriter> {
    const { config, tower, weights } = model;
    await using stack = new AsyncDisposableStack();
    // Dropout is for the pass that learns.
    const loraOf = (layer: string): LoraLayer | undefined => {
      const lora = model.loraOf(layer);
      return lora && { ...lora, dropout: false };
    };
    const open = async (name: string, build: (graph: Graph, inputs: Weights) => void): Promise<Runner> => {
      const graph = new Graph(name);
      build(graph, Weights.asInputs(graph, weights, loraOf));
      const opened = stack.use(await Session.open(serialize(graph), name, session));
      const given = weights.feeds(graph.inputs);
      return { run: (feeds: Feeds, outputs) => opened.run({ ...given, ...feeds }, outputs) };
    };
    const vision = await open("writer-vision", (graph, inputs) => {
      const { embeds, deepstack } = tower.build(graph, inputs);
      graph.output("embeds", embeds);
      deepstack.forEach((features, i) => graph.output(`deepstack.${i}`, features));
    });
    const decoder = await open("writer-decoder", (graph, inputs) =>
      buildTextDecoder(graph, inputs, config.text, tower.deepstackCount),
    );
    const head = await open("writer-head", (graph, inputs) => buildHead(graph, inputs, config.text, model.tied));
    const { hidden } = config.text;
    const table = weights.data(`${EMBEDDING_LAYER}.weight`);
    const language = new LanguageModel(
      config.text,
      { prefill: decoder, decode: decoder, head },
      { row: (id) => table.subarray(id * hidden, (id + 1) * hidden) },
      tower.deepstackCount,
      openingIds(model.prompts),
    );
    const engine = new Engine<WriterItem>(
      {
        vision: new VisionEncoder(vision, tower, hidden),
        language,
        tokenizer: model.prompts.tokenizer,
      },
      model.ending,
      {
        batch,
        embeds: false,
        prepare: async ({ side }) => ({
          prompt: { ids: side.ids, positions: side.positions, imageSlots: side.imageSlots },
          images: side.images,
          promptTokens: side.ids.length,
          givenIds: [],
        }),
      },
    );
    return new RationaleWriter(engine, language, writing, model.embId, stack.move());
  }

  /**
   * A rationale for each prompt, all together.
   * @param seeds one per prompt, for draws
   */
  async write(
    sides: readonly PromptSide[],
    seeds: readonly number[],
    signal: AbortSignal,
  ): Promise<WrittenRationale[]> {
    this.#language.forget();
    return await Promise.all(
      sides.map(async (side, i) => {
        const reason = { ...this.#options, onBudget: "pool-last" as const, seed: seeds[i]! };
        const { rationaleIds, finish } = await this.#engine.embed({ side, reason, rationale: undefined }, signal);
        const ended = finish === "emb";
        return { ids: rationaleIds.at(-1) === this.#embId ? rationaleIds.slice(0, -1) : rationaleIds, ended };
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
