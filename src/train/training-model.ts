/** A checkpoint opened for training: its weights in memory, and what prompts are made with. */
import { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { GenerationConfig } from "../checkpoint/generation-config.ts";
import { endingOf, type Ending } from "../embed/ending.ts";
import { isTied, readPromptModel } from "../embed/model.ts";
import type { PromptModel } from "../embed/prepare.ts";
import { CheckpointError } from "../errors.ts";
import { EMBEDDING_LAYER, headLayer } from "../models/index.ts";
import { seededRandom } from "../random.ts";
import type { LoraLayer } from "../nn/weights.ts";
import { ModelWeights, type Parameter, type TrainedShape } from "./parameters.ts";
import type { ModelShape } from "./training-graph.ts";

/** LoRA's settings, in PEFT's words. */
export interface LoraOptions {
  readonly rank: number;
  readonly alpha: number;
  /** Share of each layer's inputs that is left out at random in training. */
  readonly dropout: number;
  /** Layers it is put on, matched against canonical names such as `model.language_model.layers.0.mlp.up_proj`. */
  readonly targetModules: string;
}

/** What of a model is trained. */
export interface TrainableOptions {
  /** `undefined` trains the weights themselves. */
  readonly lora: LoraOptions | undefined;
  /** Tensors that are trained, matched against canonical names. */
  readonly trainable: string;
  /** Whether the vision tower stays as it is. */
  readonly freezeVision: boolean;
  /** What weight decay pulls on: every tensor, or only matrices (no norms, no biases). */
  readonly decayOn: "all" | "matrices";
  /** Seed of LoRA's first values. */
  readonly seed: number;
}

/** A model whose weights change. */
export interface TrainingModel extends ModelShape {
  readonly folder: string;
  readonly weights: ModelWeights;
  readonly prompts: PromptModel;
  readonly ending: Ending;
  readonly embId: number;
  readonly lora: LoraOptions | undefined;
  /** Repetition penalty of the checkpoint's generation settings. */
  readonly repetitionPenalty: number;
  readonly baseHash: string;
  /** The name that each tensor has in the checkpoint's files. */
  readonly storedNames: ReadonlyMap<string, string>;
}

const VISION = "model.visual.";

/** What prompts of a checkpoint are made with, and how its rationales end. */
export interface TrainingPrompts {
  readonly prompts: PromptModel;
  readonly ending: Ending;
}

/**
 * Reads everything of a checkpoint but its weights.
 * @throws {CheckpointError} files that do not load, or no `<emb>`
 */
export function openPrompts(folder: string): TrainingPrompts & { readonly generation: GenerationConfig } {
  const { generation, ...prompts } = readPromptModel(folder);
  const ending = endingOf(prompts.tokenizer, generation, undefined);
  if (ending.mode !== "emb")
    throw new CheckpointError(
      `${folder}: the tokenizer has no <emb>, whose state is trained. Add it as a special token, with a row in the embedding table.`,
    );
  return { prompts, ending, generation };
}

/**
 * Reads a checkpoint whole, in float32.
 * @throws {CheckpointError} files that do not load, no `<emb>`, or patterns that match nothing
 */
export function openTrainingModel(folder: string, options: TrainableOptions): TrainingModel {
  const { prompts, ending, generation } = openPrompts(folder);
  const { config, tower } = prompts;
  using checkpoint = Checkpoint.open(folder);
  const tied = isTied(checkpoint, config);
  const { trained, added, loraOf } = chooseTrained(checkpoint, tied, options);
  const weights = new ModelWeights(checkpoint, trained, added);
  return {
    folder,
    config,
    tower,
    shapes: weights,
    tied,
    loraOf,
    weights,
    prompts,
    ending,
    embId: ending.closingIds[0]!,
    lora: options.lora,
    repetitionPenalty: generation.repetitionPenalty,
    baseHash: checkpoint.hash,
    storedNames: new Map(checkpoint.names().map((name) => [name, checkpoint.storedName(name)])),
  };
}

function chooseTrained(
  checkpoint: Checkpoint,
  tied: boolean,
  { lora, trainable, freezeVision, decayOn, seed }: TrainableOptions,
): { trained: TrainedShape[]; added: Parameter[]; loraOf: (layer: string) => LoraLayer | undefined } {
  // A tied model's file may carry the output layer all the same; it is the table, and trained as such.
  const unused = tied ? `${headLayer(false)}.weight` : undefined;
  const names = checkpoint.names().filter((name) => name !== unused && !(freezeVision && name.startsWith(VISION)));
  if (lora === undefined) {
    const pattern = patternOf("trainable", trainable);
    const chosen = names.filter((name) => pattern.test(name));
    if (chosen.length === 0) throw nothingMatches("trainable", trainable, names);
    const trained = chosen.map((name) => {
      const shape = checkpoint.shape(name);
      return { name, shape, decays: decayOn === "all" || shape.length > 1 };
    });
    return { trained, added: [], loraOf: () => undefined };
  }
  const pattern = patternOf("lora.targetModules", lora.targetModules);
  const ends = new Set([EMBEDDING_LAYER, headLayer(false)]);
  const layers = names
    .filter((name) => name.endsWith(".weight") && checkpoint.shape(name).length === 2)
    .map((name) => name.slice(0, -".weight".length))
    .filter((layer) => !ends.has(layer) && pattern.test(layer));
  if (layers.length === 0) throw nothingMatches("lora.targetModules", lora.targetModules, names);
  const random = seededRandom(seed);
  const added = layers.flatMap((layer): Parameter[] => {
    const [rows, columns] = checkpoint.shape(`${layer}.weight`) as [number, number];
    // PEFT's default: A as a linear layer's first values (Kaiming, a = sqrt 5), B zero, so that nothing changes at first.
    const bound = 1 / Math.sqrt(columns);
    const a = Float32Array.from({ length: lora.rank * columns }, () => bound * (2 * random() - 1));
    return [
      { name: `${layer}.lora_A.weight`, shape: [lora.rank, columns], data: a },
      { name: `${layer}.lora_B.weight`, shape: [rows, lora.rank], data: new Float32Array(rows * lora.rank) },
    ];
  });
  const chosen = new Set(layers);
  const layer: LoraLayer = { rank: lora.rank, scaling: lora.alpha / lora.rank, dropout: lora.dropout > 0 };
  return {
    trained: added.map(({ name, shape }) => ({ name, shape, decays: true })),
    added,
    loraOf: (name) => (chosen.has(name) ? layer : undefined),
  };
}

/** A regular expression over whole names. */
function patternOf(option: string, pattern: string): RegExp {
  try {
    return new RegExp(`^(?:${pattern})$`);
  } catch (error) {
    throw new CheckpointError(`${option} ${JSON.stringify(pattern)} is no regular expression`, { cause: error });
  }
}

function nothingMatches(option: string, pattern: string, names: readonly string[]): CheckpointError {
  const shown = names.slice(0, 3).join(", ");
  return new CheckpointError(`${option} ${JSON.stringify(pattern)} matches none of the model's names (${shown}, ...)`);
}
