/** What a model would take in memory and on disk, worked out from the shapes of its tensors alone. */
import type { TextConfig } from "../checkpoint/config.ts";
import { PART_FORMATS } from "../embed/formats.ts";
import type { WeightFormat } from "../embed/types.ts";
import { Graph } from "../graph/index.ts";
import { buildHead, buildTextDecoder, type VisionTower } from "../models/index.ts";
import type { KvSizes } from "../runtime/kv-cache.ts";
import { Weights, type LinearFormat, type TensorSource } from "../nn/weights.ts";

/** Bytes of the compiled weights of each part; the same in memory and on disk. */
export interface WeightBytes {
  readonly vision: number;
  /** Two where prompts and single tokens take different formats, added up. */
  readonly decoder: number;
  readonly head: number;
  readonly total: number;
}

/** Sizes that `weightBytes` needs, all from the checkpoint. */
export interface SizedModel {
  readonly source: Pick<TensorSource, "has" | "shape">;
  readonly text: TextConfig;
  readonly tower: VisionTower;
  readonly tied: boolean;
}

const BYTES_PER_FLOAT = 4;

/**
 * Bytes of all constants that a load with `weights` compiles and holds. The graphs are built as for a load, without
 * reading a tensor, so that each layer counts in the format it really gets. The rows of the embedding table are read
 * from the checkpoint and held nowhere.
 */
export function weightBytes({ source, text, tower, tied }: SizedModel, weights: WeightFormat): WeightBytes {
  const formats = PART_FORMATS[weights];
  const shapes: TensorSource = {
    has: (name) => source.has(name),
    shape: (name) => source.shape(name),
    read: (name) => {
      throw new Error(`internal: ${name} is read to learn its size`);
    },
  };
  const part = (format: LinearFormat, build: (graph: Graph, weights: Weights) => void): number => {
    const graph = new Graph("sizes");
    const scope = Weights.of(graph, shapes, () => format);
    build(graph, scope);
    return [...graph.initializers.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  };
  const vision = part(formats.vision, tower.build);
  const decoder = [...new Set([formats.prefill, formats.decode])]
    .map((format) => part(format, (graph, scope) => buildTextDecoder(graph, scope, text, tower.deepstackCount)))
    .reduce((sum, bytes) => sum + bytes, 0);
  const head = part(formats.head, (graph, scope) => buildHead(graph, scope, text, tied));
  return { vision, decoder, head, total: vision + decoder + head };
}

/** Bytes of keys and values that each token of an item holds while the item is decoded; always float32. */
export function kvBytesPerToken({ layers, kvHeads, headDim }: KvSizes): number {
  return layers * 2 * kvHeads * headDim * BYTES_PER_FLOAT;
}
