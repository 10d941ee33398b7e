/** What `rge info` tells about a model folder. Reads headers and configuration only, no weights. */
import { Checkpoint } from "../checkpoint/checkpoint.ts";
import { readModelConfig, type ModelConfig } from "../checkpoint/config.ts";
import { readGenerationConfig, type GenerationConfig } from "../checkpoint/generation-config.ts";
import { Tokenizer } from "../input/tokenizer.ts";
import { familyOf } from "../models/index.ts";
import type { WeightFormat } from "../embed/types.ts";
import { kvBytesPerToken, weightBytes, type WeightBytes } from "./memory.ts";

const EMB = "<emb>";

/** A model in numbers; printed as it is by `--json`. */
export interface ModelFacts {
  readonly folder: string;
  readonly modelType: string;
  readonly parameterCount: number;
  readonly dtype: string | null;
  /** Size of the weights files. */
  readonly fileBytes: number;
  readonly layers: number;
  /** Length of an embedding. */
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocab: number;
  readonly visionLayers: number;
  readonly contextTokens: number;
  readonly mode: "emb" | "training-free";
  readonly specialTokens: { readonly emb: number | null; readonly image: number; readonly eos: readonly number[] };
  readonly generation: Omit<GenerationConfig, "eosTokenIds">;
  readonly weightBytes: Readonly<Record<WeightFormat, WeightBytes>>;
  readonly kvBytesPerToken: number;
}

/**
 * Reads the facts of the model in `folder`.
 * @throws {CheckpointError} for files that are missing, damaged or of an unknown family
 */
export function readModelFacts(folder: string): ModelFacts {
  const config: ModelConfig = readModelConfig(folder);
  const { text } = config;
  const { eosTokenIds, ...generation } = readGenerationConfig(folder);
  const emb = Tokenizer.load(folder).tokenId(EMB) ?? null;
  using checkpoint = Checkpoint.open(folder);
  const model = {
    source: checkpoint,
    text,
    tower: familyOf(config).vision(config),
    tied: config.tieWordEmbeddings,
  };
  return {
    folder,
    modelType: config.modelType,
    parameterCount: checkpoint.parameterCount,
    dtype: config.dtype ?? null,
    fileBytes: checkpoint.sizeBytes,
    layers: text.layers,
    hidden: text.hidden,
    heads: text.heads,
    kvHeads: text.kvHeads,
    headDim: text.headDim,
    vocab: text.vocab,
    visionLayers: countVisionLayers(checkpoint.names()),
    contextTokens: text.maxPositions,
    mode: emb === null ? "training-free" : "emb",
    specialTokens: { emb, image: config.imageTokenId, eos: eosTokenIds },
    generation,
    weightBytes: {
      fp32: weightBytes(model, "fp32"),
      int8: weightBytes(model, "int8"),
      int4: weightBytes(model, "int4"),
    },
    kvBytesPerToken: kvBytesPerToken(text),
  };
}

function countVisionLayers(names: readonly string[]): number {
  return new Set(names.flatMap((name) => /^model\.visual\.blocks\.(\d+)\./.exec(name)?.[1] ?? [])).size;
}
