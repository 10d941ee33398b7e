import { ShapeError } from "../errors.ts";
import { sizeOf, type DType } from "../dtype.ts";
import { formatShape, type Shape } from "../shape.ts";
import { registerOp, type GradientRule, type Inferred, type OpRecord } from "./op.ts";
import { packNumbers } from "./pack.ts";
import type { Attributes, Initializer, Node, Tensor } from "./tensor.ts";

/** Gives an output its public name; ORT removes it. Here and not in `ops` because the graph itself needs it. */
export const IDENTITY: OpRecord = registerOp({
  onnx: "Identity",
  domain: "",
  infer: ([x]) => [x!],
  gradient: ({ gradOutputs: [dy] }) => [dy],
});

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
  #block: number | undefined;
  #blocks = 0;

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

  /**
   * Runs `build`, whose nodes make up a block: a stretch such as a layer, of which the backward pass can keep what goes in
   * and compute the rest again (`gradients` with `recompute`).
   */
  block<T>(build: () => T): T {
    const outer = this.#block;
    this.#block = this.#blocks++;
    try {
      return build();
    } finally {
      this.#block = outer;
    }
  }

  /** Declares a graph input. */
  input(name: string, dtype: DType, shape: Shape): Tensor {
    const tensor = this.#tensor(name, dtype, shape);
    this.#claim(name);
    this.inputs.push(tensor);
    return tensor;
  }

  /**
   * Declares a graph output.
   * @throws {ShapeError} for a tensor of another graph or a name that is taken
   */
  output(name: string, tensor: Tensor): void {
    if (tensor.graph !== this)
      throw new ShapeError(`graph ${this.name}: output ${name} belongs to graph ${tensor.graph.name}`);
    const copy = this.addNode(IDENTITY, [tensor], {}, [tensor], { names: [this.#claim(name)] })[0]!;
    this.outputs.push(copy);
  }

  /**
   * A constant whose bytes are asked for when the graph is written.
   * @throws {ShapeError} for a symbolic shape
   */
  initializer(name: string, dtype: DType, shape: Shape, bytes: () => Uint8Array): Tensor {
    const sizeBytes = countOf(name, shape) * sizeOf(dtype);
    const tensor = this.#tensor(this.#claim(name), dtype, shape);
    this.initializers.set(tensor.name, { tensor, sizeBytes, bytes });
    return tensor;
  }

  /**
   * A small constant; equal constants are made once.
   * @throws {ShapeError} for more or fewer values than the shape holds, or a dtype that `packNumbers` refuses
   */
  constant(dtype: DType, values: readonly number[], shape: Shape): Tensor {
    const key = `${dtype}${formatShape(shape)}${values.join(",")}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const count = countOf("constant", shape);
    if (count !== values.length)
      throw new ShapeError(`constant: ${values.length} values for ${formatShape(shape)}, expected ${count}`);
    const bytes = packNumbers(dtype, values);
    const tensor = this.#tensor(this.#claim(this.#fresh("const")), dtype, shape);
    this.initializers.set(tensor.name, { tensor, sizeBytes: bytes.length, bytes: () => bytes, values });
    this.#constants.set(key, tensor);
    return tensor;
  }

  /**
   * Appends a node. Operators call this through `defineOp`; models do not.
   * @param options.names of the outputs; @default fresh ones
   * @param options.gradient stands in for the operator's rule at this node
   */
  addNode(
    op: OpRecord,
    inputs: readonly (Tensor | undefined)[],
    attrs: Attributes,
    inferred: readonly Inferred[],
    { names, gradient }: { names?: readonly string[]; gradient?: GradientRule | undefined } = {},
  ): readonly Tensor[] {
    const outputs = inferred.map(({ dtype, shape }, i) =>
      this.#tensor(names?.[i] ?? this.#claim(this.#fresh(op.onnx)), dtype, shape),
    );
    const node: Node = {
      op,
      inputs,
      attrs,
      outputs,
      scope: this.scopePath,
      block: this.#block,
      gradient: gradient ?? op.gradient,
    };
    this.nodes.push(node);
    for (const output of outputs) this.#producers.set(output, node);
    return outputs;
  }

  /** The node that makes `tensor`, or `undefined` for inputs and initialisers. */
  producerOf(tensor: Tensor): Node | undefined {
    return this.#producers.get(tensor);
  }

  /** Runs `build`, then drops the nodes and constants made in it that the tensors it returns do not need. */
  pruned(build: () => readonly Tensor[]): readonly Tensor[] {
    const [firstNode, firstInitializer] = [this.nodes.length, this.initializers.size];
    // When `build` throws, everything it made goes.
    const needed = new Set<Tensor | undefined>();
    try {
      const kept = build();
      for (const tensor of kept) needed.add(tensor);
      return kept;
    } finally {
      const made = this.nodes.splice(firstNode);
      for (const node of made.toReversed())
        if (node.outputs.some((output) => needed.has(output))) for (const input of node.inputs) needed.add(input);
      for (const node of made) {
        if (node.outputs.some((output) => needed.has(output))) this.nodes.push(node);
        else for (const output of node.outputs) this.#producers.delete(output);
      }
      for (const { tensor } of [...this.initializers.values()].slice(firstInitializer))
        if (!needed.has(tensor)) this.initializers.delete(tensor.name);
      for (const [key, tensor] of this.#constants) if (!this.initializers.has(tensor.name)) this.#constants.delete(key);
    }
  }

  /**
   * Puts the nodes that make `leaves`, and whose results nothing else reads, at the end, the latest first.
   * ORT runs a graph depth first from its last leaf backwards. Left where they were made, the leaves of a backward pass
   * would run from the first layer's on, after the whole pass, with everything they read kept until then.
   */
  sinkLeaves(leaves: readonly Tensor[]): void {
    const read = new Set(this.nodes.flatMap(({ inputs }) => inputs));
    const wanted = new Set(leaves.filter((leaf) => !read.has(leaf)).map((leaf) => this.#producers.get(leaf)));
    const sunk = this.nodes.filter((node) => wanted.has(node) && node.outputs.every((output) => !read.has(output)));
    const rest = this.nodes.filter((node) => !sunk.includes(node));
    this.nodes.splice(0, this.nodes.length, ...rest, ...sunk.toReversed());
  }

  #tensor(name: string, dtype: DType, shape: Shape): Tensor {
    const bad = shape.find(
      (dim) => dim === "" || (typeof dim === "number" && !(Number.isSafeInteger(dim) && dim >= 0)),
    );
    if (bad !== undefined)
      throw new ShapeError(`graph ${this.name}: ${name} has extent "${bad}" in ${formatShape(shape)}`);
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

/** How many elements an initialiser of `shape` has. */
function countOf(name: string, shape: Shape): number {
  let count = 1;
  for (const dim of shape) {
    if (typeof dim !== "number")
      throw new ShapeError(`initialiser ${name}: ${formatShape(shape)} has a symbolic extent`);
    count *= dim;
  }
  return count;
}
