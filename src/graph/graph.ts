import { ShapeError } from "../errors.ts";
import { sizeOf, type DType } from "../dtype.ts";
import { formatShape, type Dim, type Shape } from "../shape.ts";
import type { Inferred, OpRecord } from "./op.ts";
import type { Attributes, Initializer, Node, Tensor } from "./tensor.ts";

/**
 * A graph under construction: inputs, initialisers, nodes in the order they were made (which is an order of
 * execution), outputs. Builders are ordinary functions on tensors; shapes are checked at each call.
 */
export class Graph {
  readonly name: string;
  readonly inputs: Tensor[] = [];
  readonly outputs: Tensor[] = [];
  readonly nodes: Node[] = [];
  readonly initializers: Map<string, Initializer> = new Map();
  readonly #names = new Set<string>();
  readonly #counts = new Map<string, number>();
  readonly #producers = new Map<Tensor, Node>();
  readonly #constants = new Map<string, Tensor>();
  #scope: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Where building stands now, such as `layers.3.self_attn`. */
  get scopePath(): string {
    return this.#scope.join(".");
  }

  /** Runs `build` with `name` appended to the scope that new nodes carry. */
  within<T>(name: string, build: () => T): T {
    this.#scope.push(name);
    try {
      return build();
    } finally {
      this.#scope.pop();
    }
  }

  /** Declares a graph input. */
  input(name: string, dtype: DType, shape: Shape): Tensor {
    const tensor = this.#tensor(this.#claim(name), dtype, shape);
    this.inputs.push(tensor);
    return tensor;
  }

  /** Declares a graph output; `tensor` must belong to this graph. */
  output(name: string, tensor: Tensor): void {
    const copy = this.addNode(IDENTITY, [tensor], {}, [tensor], [this.#claim(name)])[0]!;
    this.outputs.push(copy);
  }

  /**
   * A constant whose bytes are asked for when the graph is written.
   * @throws {ShapeError} for a symbolic shape
   */
  initializer(name: string, dtype: DType, shape: Shape, bytes: () => Uint8Array): Tensor {
    let count = 1;
    for (const dim of shape) {
      if (typeof dim !== "number")
        throw new ShapeError(`initialiser ${name}: ${formatShape(shape)} has a symbolic extent`);
      count *= dim;
    }
    const tensor = this.#tensor(this.#claim(name), dtype, shape);
    this.initializers.set(tensor.name, { tensor, sizeBytes: count * sizeOf(dtype), bytes });
    return tensor;
  }

  /** A small constant; equal constants are made once. */
  constant(
    dtype: "float32" | "float64" | "int64" | "int32" | "uint8",
    values: readonly number[],
    shape: Shape,
  ): Tensor {
    const key = `${dtype}${formatShape(shape)}${values.join(",")}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.#fresh("const");
    const tensor = this.initializer(name, dtype, shape, () => packNumbers(dtype, values));
    this.#constants.set(key, tensor);
    return tensor;
  }

  /** Appends a node. Operators call this through `defineOp`; models do not. */
  addNode(
    op: OpRecord,
    inputs: readonly (Tensor | undefined)[],
    attrs: Attributes,
    inferred: readonly Inferred[],
    names?: readonly string[],
  ): readonly Tensor[] {
    const outputs = inferred.map(({ dtype, shape }, i) =>
      this.#tensor(names?.[i] ?? this.#claim(this.#fresh(op.onnx)), dtype, shape),
    );
    const node: Node = { op, inputs, attrs, outputs, scope: this.scopePath };
    this.nodes.push(node);
    for (const output of outputs) this.#producers.set(output, node);
    return outputs;
  }

  /** The node that makes `tensor`, or `undefined` for inputs and initialisers. */
  producerOf(tensor: Tensor): Node | undefined {
    return this.#producers.get(tensor);
  }

  /** An input and axis whose extent is exactly `dim`, so that it can be read at run time. */
  sourceOf(dim: Dim): { tensor: Tensor; axis: number } | undefined {
    for (const tensor of this.inputs) {
      const axis = tensor.shape.indexOf(dim);
      if (axis >= 0) return { tensor, axis };
    }
    return undefined;
  }

  #tensor(name: string, dtype: DType, shape: Shape): Tensor {
    return { graph: this, name, dtype, shape };
  }

  #claim(name: string): string {
    if (this.#names.has(name)) throw new ShapeError(`graph ${this.name}: the name ${name} is taken`);
    this.#names.add(name);
    return name;
  }

  #fresh(stem: string): string {
    const base = this.scopePath === "" ? stem : `${this.scopePath}/${stem}`;
    const count = this.#counts.get(base) ?? 0;
    this.#counts.set(base, count + 1);
    return `${base}#${count}`;
  }
}

/** Gives an output its public name; ORT removes it. Defined here because the graph itself needs it. */
const IDENTITY: OpRecord = {
  onnx: "Identity",
  domain: "",
  infer: ([x]) => [x!],
  gradient: ({ gradOutputs: [dy] }) => [dy],
};

function packNumbers(
  dtype: "float32" | "float64" | "int64" | "int32" | "uint8",
  values: readonly number[],
): Uint8Array {
  if (dtype === "float32") return new Uint8Array(Float32Array.from(values).buffer);
  if (dtype === "float64") return new Uint8Array(Float64Array.from(values).buffer);
  if (dtype === "int32") return new Uint8Array(Int32Array.from(values).buffer);
  if (dtype === "int64") return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return Uint8Array.from(values);
}
