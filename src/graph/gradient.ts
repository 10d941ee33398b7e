import { ShapeError } from "../errors.ts";
import { isFloat } from "../dtype.ts";
import { add, scalar } from "./ops/elementwise.ts";
import { describe, type Node, type Tensor } from "./tensor.ts";

/**
 * dL/d(tensor) for each tensor of `wrt`, built by one walk from the loss back: the backward pass is ordinary nodes of
 * the same graph, under the scope `gradient`, and only those that the result needs. Where a tensor has several
 * consumers their gradients are added; paths that reach no tensor of `wrt` are left alone.
 * @param loss a scalar; a tensor of another shape needs `gradOutput`
 * @param wrt float tensors of the loss's graph, inputs, weights or values between
 * @param gradOutput dL/d(loss), of the loss's shape and dtype, where that is not 1
 * @returns one tensor per tensor of `wrt`, of its shape and dtype
 * @throws {ShapeError} when a needed path runs through an operator without a gradient, and for a tensor of `wrt` that
 *   the loss does not depend on: zeros would hide a weight that never trains
 */
export function gradients(loss: Tensor, wrt: readonly Tensor[], gradOutput?: Tensor): readonly Tensor[] {
  const { graph } = loss;
  for (const tensor of [...wrt, ...(gradOutput === undefined ? [] : [gradOutput])])
    if (tensor.graph !== graph)
      throw new ShapeError(`gradients: ${tensor.name} and the loss ${loss.name} belong to different graphs`);
  for (const tensor of wrt)
    if (!isFloat(tensor.dtype))
      throw new ShapeError(`gradients: ${tensor.name} is ${describe(tensor)}; only floats have gradients`);
  return graph.pruned(() => {
    const arrived = walkBack(loss, seed(loss, gradOutput), dependents(graph.nodes, wrt));
    return wrt.map((tensor) => {
      const gradient = arrived.get(tensor);
      if (gradient === undefined)
        throw new ShapeError(
          `gradients: the loss ${loss.name} does not depend on ${tensor.name}, unless through whole numbers`,
        );
      return gradient;
    });
  });
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
): ReadonlyMap<Tensor, Tensor> {
  const { graph } = loss;
  const arrived = new Map<Tensor, Tensor>([[loss, first]]);
  for (const node of graph.nodes.toReversed()) {
    const gradOutputs = node.outputs.map((output) => arrived.get(output));
    if (gradOutputs.every((gradient) => gradient === undefined)) continue;
    const source = sources.get(node.inputs.find((input) => sources.has(input)));
    if (source === undefined) continue;
    graph.within(node.scope === "" ? "gradient" : `gradient.${node.scope}`, () => {
      applyRule(node, gradOutputs, source).forEach((gradient, i) => {
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
