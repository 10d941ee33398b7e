import { ShapeError } from "../errors.ts";
import { isFloat } from "../dtype.ts";
import { multiplyDims } from "../shape.ts";
import { apply } from "./op.ts";
import { add, mul, scalar } from "./ops/elementwise.ts";
import { gather } from "./ops/indexing.ts";
import { reshape } from "./ops/movement.ts";
import { describe, type Node, type Tensor } from "./tensor.ts";

/**
 * dL/d(tensor) for each tensor of `wrt`, built by one walk from the loss back: the backward pass is ordinary nodes of
 * the same graph, under the scope `gradient`, and only those that the result needs. Where a tensor has several
 * consumers their gradients are added; paths that reach no tensor of `wrt` are left alone.
 * @param loss a scalar; a tensor of another shape needs `gradOutput`
 * @param wrt float tensors of the loss's graph, inputs, weights or values between
 * @param options.gradOutput dL/d(loss), of the loss's shape and dtype, where that is not 1
 * @param options.recompute computes the nodes of each `Graph.block` again where the backward pass needs them, so that of
 *   a block only what goes into it is kept (Chen et al. 2016, arXiv:1604.06174). @default false
 * @returns one tensor per tensor of `wrt`, of its shape and dtype
 * @throws {ShapeError} when a needed path runs through an operator without a gradient, and for a tensor of `wrt` that
 *   the loss does not depend on: zeros would hide a weight that never trains
 */
export function gradients(
  loss: Tensor,
  wrt: readonly Tensor[],
  { gradOutput, recompute = false }: { gradOutput?: Tensor; recompute?: boolean } = {},
): readonly Tensor[] {
  const { graph } = loss;
  for (const tensor of [...wrt, ...(gradOutput === undefined ? [] : [gradOutput])])
    if (tensor.graph !== graph)
      throw new ShapeError(`gradients: ${tensor.name} and the loss ${loss.name} belong to different graphs`);
  for (const tensor of wrt)
    if (!isFloat(tensor.dtype))
      throw new ShapeError(`gradients: ${tensor.name} is ${describe(tensor)}; only floats have gradients`);
  const results = graph.pruned(() => {
    const arrived = walkBack(loss, seed(loss, gradOutput), dependents(graph.nodes, wrt), recompute);
    return wrt.map((tensor) => {
      const gradient = arrived.get(tensor);
      if (gradient === undefined)
        throw new ShapeError(
          `gradients: the loss ${loss.name} does not depend on ${tensor.name}, unless through whole numbers`,
        );
      return gradient;
    });
  });
  graph.sinkLeaves(results);
  return results;
}

/** dL/d(loss). */
function seed(loss: Tensor, gradOutput: Tensor | undefined): Tensor {
  if (gradOutput === undefined) {
    if (loss.shape.length > 0)
      throw new ShapeError(
        `gradients: the loss ${loss.name} is ${describe(loss)}; without gradOutput it must be a scalar`,
      );
    return loss.graph.within("gradient", () => scalar(loss, 1));
  }
  if (describe(gradOutput) !== describe(loss))
    throw new ShapeError(`gradients: gradOutput is ${describe(gradOutput)}, expected ${describe(loss)} as the loss`);
  return gradOutput;
}

/** Every tensor that depends on one of `wrt`, with the first such one, which errors name. */
function dependents(nodes: readonly Node[], wrt: readonly Tensor[]): Map<Tensor | undefined, Tensor> {
  const sources = new Map<Tensor | undefined, Tensor>(wrt.map((tensor) => [tensor, tensor]));
  for (const node of nodes) {
    const source = sources.get(node.inputs.find((input) => sources.has(input)));
    if (source === undefined) continue;
    for (const output of node.outputs) if (!sources.has(output)) sources.set(output, source);
  }
  return sources;
}

/** The gradient of every tensor of `sources` that the loss depends on; nodes run backwards from their latest. */
function walkBack(
  loss: Tensor,
  first: Tensor,
  sources: ReadonlyMap<Tensor | undefined, Tensor>,
  recompute: boolean,
): ReadonlyMap<Tensor, Tensor> {
  const { graph } = loss;
  const again = recompute ? new Recomputed(graph.nodes) : undefined;
  const arrived = new Map<Tensor, Tensor>([[loss, first]]);
  for (const node of graph.nodes.toReversed()) {
    const gradOutputs = node.outputs.map((output) => arrived.get(output));
    if (gradOutputs.every((gradient) => gradient === undefined)) continue;
    const source = sources.get(node.inputs.find((input) => sources.has(input)));
    if (source === undefined) continue;
    graph.within(node.scope === "" ? "gradient" : `gradient.${node.scope}`, () => {
      const seen =
        again?.nodeOf(
          node,
          gradOutputs.find((gradient) => gradient !== undefined)!,
        ) ?? node;
      applyRule(seen, gradOutputs, source).forEach((gradient, i) => {
        const input = node.inputs[i];
        if (input === undefined || gradient === undefined || !sources.has(input)) return;
        const before = arrived.get(input);
        arrived.set(input, before === undefined ? gradient : add(before, gradient));
      });
    });
  }
  return arrived;
}

/** dL/d(input) per input of `node`, checked against what the inputs are. */
function applyRule(
  { op, inputs, outputs, attrs, scope, gradient }: Node,
  gradOutputs: readonly (Tensor | undefined)[],
  source: Tensor,
): readonly (Tensor | undefined)[] {
  const place = `${op.onnx} (${outputs[0]!.name}${scope === "" ? "" : `, in ${scope}`})`;
  if (gradient === "none")
    throw new ShapeError(`gradients: ${place} stands between ${source.name} and the loss and has no gradient rule`);
  const results = gradient({ inputs, outputs, gradOutputs, attrs });
  inputs.forEach((input, i) => {
    if (input === undefined || (results[i] === undefined && !isFloat(input.dtype))) return;
    if (describe(results[i]) !== describe(input))
      throw new ShapeError(
        `internal: the gradient rule of ${place} gives ${describe(results[i])} for input ${i}, ${describe(input)}`,
      );
  });
  return results;
}

/** Copies of the nodes of blocks, made when the backward pass first needs one of a block. */
class Recomputed {
  readonly #members: ReadonlyMap<number | undefined, readonly Node[]>;
  /** Block -> what its tensors are in the copy. */
  readonly #copies = new Map<number, ReadonlyMap<Tensor, Tensor>>();

  constructor(nodes: readonly Node[]) {
    this.#members = Map.groupBy([...nodes], ({ block }) => block);
  }

  /**
   * `node` as it stands in the copy of its block, or itself outside blocks.
   * @param arrived a gradient that reached the block: what is computed again waits for it
   */
  nodeOf(node: Node, arrived: Tensor): Node {
    if (node.block === undefined) return node;
    const copies = this.#copies.get(node.block) ?? copyBlock(this.#members.get(node.block)!, arrived);
    this.#copies.set(node.block, copies);
    const inCopy = (tensor: Tensor | undefined): Tensor | undefined => tensor && (copies.get(tensor) ?? tensor);
    return { ...node, inputs: node.inputs.map(inCopy), outputs: node.outputs.map((output) => inCopy(output)!) };
  }
}

/**
 * The block's nodes once more, over its inputs plus a zero that is made of `arrived`. Without that zero ORT would see two
 * equal computations and do one of them (and keep its results), or do both at once.
 */
function copyBlock(nodes: readonly Node[], arrived: Tensor): ReadonlyMap<Tensor, Tensor> {
  const { graph } = arrived;
  const first = gather(reshape(arrived, [multiplyDims(...arrived.shape)]), graph.constant("int64", [0], [1]));
  const zero = mul(first, scalar(first, 0));
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  const copies = new Map<Tensor, Tensor>();
  const inCopy = (tensor: Tensor | undefined): Tensor | undefined => {
    if (tensor === undefined) return undefined;
    const known = copies.get(tensor);
    if (known !== undefined) return known;
    const isActivation =
      graph.producerOf(tensor) !== undefined && tensor.dtype === zero.dtype && tensor.shape.length > 0;
    if (made.has(tensor) || !isActivation) return tensor;
    const later = add(tensor, zero);
    copies.set(tensor, later);
    return later;
  };
  for (const { op, inputs, attrs, outputs, gradient } of nodes) {
    const again = apply(op, inputs.map(inCopy), attrs, gradient === "none" ? undefined : gradient);
    outputs.forEach((output, i) => copies.set(output, again[i]!));
  }
  return copies;
}
