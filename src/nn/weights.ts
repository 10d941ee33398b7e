import { ShapeError } from "../errors.ts";
import {
  abs,
  add,
  filledLike,
  gemm,
  matMulIntegerToFloat,
  matMulNBits,
  max,
  mul,
  quantizeRows,
  reduceMax,
  reshape,
  scalar,
  type Graph,
  type Tensor,
} from "../graph/index.ts";
import { quantizeBlocks, quantizeRowsInt8 } from "./quantize.ts";

/** Where numbers come from: a checkpoint, or random ones in tests and benchmarks. */
export interface TensorSource {
  has(name: string): boolean;
  shape(name: string): readonly number[];
  /** Row-major float32. */
  read(name: string): Float32Array;
}

/**
 * How the weight of one linear layer is held:
 * - `float32` as it is;
 * - `rows8` int8 with one scale per output feature, activations int8 with one scale per token ("W8A8"): fastest for
 *   many tokens at once;
 * - `blocks4`, `blocks8` four or eight bits with one scale per 32 weights: fewest bytes, hence fastest for one token.
 */
export type LinearFormat = "float32" | "rows8" | "blocks4" | "blocks8";

/** Block of the block formats: the smallest that ORT's kernels are tuned for, hence the most accurate. */
const BLOCK_SIZE = 32;
/** Keeps a row of zeros from dividing by zero; far below any real activation. */
const SMALLEST_SCALE = 1e-12;

/** What names and shapes tell: enough for a graph whose weights are fed at every run. */
export type TensorShapes = Pick<TensorSource, "has" | "shape">;

/** A low-rank change of one linear layer, `W + scaling B A`, whose factors are fed as `LAYER.lora_A.weight` and `..lora_B..`. */
export interface LoraLayer {
  readonly rank: number;
  readonly scaling: number;
  /** Whether the layer's input is multiplied by a mask fed as `LAYER.lora_dropout [rows, in]`. */
  readonly dropout: boolean;
}

/** What the scopes of one graph share. */
interface Shared {
  readonly graph: Graph;
  readonly source: TensorShapes;
  readonly formatOf: (layer: string) => LinearFormat;
  /** A float32 tensor of the graph: a constant of the file, or an input. */
  readonly declare: (name: string, shape: readonly number[]) => Tensor;
  /** Float32 numbers of a tensor that becomes part of the graph's file. */
  readonly read: (name: string) => Float32Array;
  readonly loraOf: (layer: string) => LoraLayer | undefined;
  /** Activations already quantised, so that q, k and v read the same int8 rows. */
  readonly quantized: Map<Tensor, { values: Tensor; scale: Tensor }>;
  readonly tensors: Map<string, Tensor>;
}

/** The checkpoint's tensors as seen by a model's builder: scopes are the checkpoint's own names. */
export class Weights {
  readonly #shared: Shared;
  readonly #prefix: string;

  private constructor(shared: Shared, prefix: string) {
    this.#shared = shared;
    this.#prefix = prefix;
  }

  /** @param formatOf format per linear layer, asked with the layer's full name such as `model.visual.merger.mlp.0` */
  static of(graph: Graph, source: TensorSource, formatOf: (layer: string) => LinearFormat): Weights {
    const read = (name: string): Float32Array => source.read(name);
    return new Weights(
      {
        graph,
        source,
        formatOf,
        declare: (name, shape) => graph.initializer(name, "float32", shape, () => asBytes(read(name))),
        read,
        loraOf: () => undefined,
        quantized: new Map(),
        tensors: new Map(),
      },
      "",
    );
  }

  /**
   * Weights that are inputs of the graph, named as in the checkpoint, for weights that change between runs.
   * @param loraOf the low-rank change of a linear layer, where it has one
   */
  static asInputs(
    graph: Graph,
    source: TensorShapes,
    loraOf: (layer: string) => LoraLayer | undefined = () => undefined,
  ): Weights {
    return new Weights(
      {
        graph,
        source,
        formatOf: () => "float32",
        declare: (name, shape) => graph.input(name, "float32", shape),
        read: (name) => {
          throw new Error(`internal: ${name} is an input and cannot be quantised`);
        },
        loraOf,
        quantized: new Map(),
        tensors: new Map(),
      },
      "",
    );
  }

  /** Weights whose names start with `name.`. */
  scope(name: string): Weights {
    return new Weights(this.#shared, this.#full(name));
  }

  /** Whether the checkpoint has `name` in this scope. */
  has(name: string): boolean {
    return this.#shared.source.has(this.#full(name));
  }

  /** A tensor in float32, optionally with its shape seen otherwise (a convolution kernel as a matrix). */
  get(name: string, shape?: readonly number[]): Tensor {
    const full = this.#full(name);
    const known = this.#shared.tensors.get(full);
    if (known !== undefined) return known;
    const tensor = this.#shared.declare(full, shape ?? this.#shared.source.shape(full));
    this.#shared.tensors.set(full, tensor);
    return tensor;
  }

  /**
   * `x W^T + b` with this scope's `weight` and, where there is one, `bias`.
   * @param x `[rows, in]`
   * @returns `[rows, out]`
   */
  linear(x: Tensor): Tensor {
    const { source, formatOf, graph } = this.#shared;
    const name = this.#full("weight");
    const [rows, columns, ...rest] = source.shape(name);
    if (rows === undefined || columns === undefined || rest.length > 0 || x.shape.at(-1) !== columns)
      throw new ShapeError(
        `linear ${this.#prefix}: weight [${source.shape(name).join(", ")}] does not fit x [${x.shape.join(", ")}]`,
      );
    return graph.within(this.#prefix, () => {
      const bias = this.has("bias") ? this.get("bias") : undefined;
      const format = formatOf(this.#prefix);
      if (format === "float32") return this.#withLora(x, gemm(x, this.get("weight"), { transB: true, bias }));
      const product =
        format === "rows8"
          ? this.#rows8(x, rows, columns)
          : this.#blocks(x, rows, columns, format === "blocks4" ? 4 : 8);
      return bias === undefined ? product : add(product, bias);
    });
  }

  /** `y + scaling (x A^T) B^T`. Hu et al. 2021, arXiv:2106.09685. */
  #withLora(x: Tensor, y: Tensor): Tensor {
    const lora = this.#shared.loraOf(this.#prefix);
    if (lora === undefined) return y;
    const { graph, declare, source } = this.#shared;
    const [rows, columns] = source.shape(this.#full("weight")) as [number, number];
    const a = declare(this.#full("lora_A.weight"), [lora.rank, columns]);
    const b = declare(this.#full("lora_B.weight"), [rows, lora.rank]);
    const kept = lora.dropout ? mul(x, graph.input(this.#full("lora_dropout"), "float32", x.shape)) : x;
    const low = gemm(kept, a, { transB: true });
    return add(y, gemm(mul(low, scalar(low, lora.scaling)), b, { transB: true }));
  }

  #blocks(x: Tensor, rows: number, columns: number, bits: 4 | 8): Tensor {
    const { graph, read } = this.#shared;
    const name = this.#full("weight");
    const blocks = Math.ceil(columns / BLOCK_SIZE);
    const made = once(() => quantizeBlocks(read(name), rows, columns, bits, BLOCK_SIZE));
    const values = graph.initializer(
      `${name}.q${bits}`,
      "uint8",
      [rows, blocks, (BLOCK_SIZE * bits) / 8],
      () => made.get().values,
    );
    const scales = graph.initializer(`${name}.q${bits}.scale`, "float32", [rows, blocks], () =>
      asBytes(made.take().scales),
    );
    return matMulNBits(x, { bits, blockSize: BLOCK_SIZE, rows, columns, values, scales });
  }

  #rows8(x: Tensor, rows: number, columns: number): Tensor {
    const { graph, read } = this.#shared;
    const name = this.#full("weight");
    const made = once(() => quantizeRowsInt8(read(name), rows, columns));
    const values = graph.initializer(`${name}.int8`, "int8", [columns, rows], () => asBytes(made.get().values));
    const scales = graph.initializer(`${name}.int8.scale`, "float32", [rows], () => asBytes(made.take().scales));
    const tokens = this.#quantizedTokens(x);
    return mul(matMulIntegerToFloat(tokens.values, values, scales), tokens.scale);
  }

  /** int8 activations with a scale of their own per token, so that no item of a batch changes another's rounding. */
  #quantizedTokens(x: Tensor): { values: Tensor; scale: Tensor } {
    const known = this.#shared.quantized.get(x);
    if (known !== undefined) return known;
    const scale = max(mul(reduceMax(abs(x), [1]), scalar(x, 1 / 127)), scalar(x, SMALLEST_SCALE));
    const values = quantizeRows(x, reshape(scale, [x.shape[0]!]), filledLike(x, "uint8", 128, 1));
    const made = { values, scale };
    this.#shared.quantized.set(x, made);
    return made;
  }

  #full(name: string): string {
    return this.#prefix === "" ? name : `${this.#prefix}.${name}`;
  }
}

/** Values and scales come from one pass over the weight: computed for the first, forgotten after the second. */
function once<T>(make: () => T): { get: () => T; take: () => T } {
  let value: T | undefined;
  const get = (): T => (value ??= make());
  return {
    get,
    take: (): T => {
      const taken = get();
      value = undefined;
      return taken;
    },
  };
}

function asBytes(array: Float32Array | Int8Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
