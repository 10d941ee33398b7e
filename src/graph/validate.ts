import { ShapeError } from "../errors.ts";
import { formatShape } from "../shape.ts";
import type { Graph } from "./graph.ts";
import type { Tensor } from "./tensor.ts";

/**
 * What a legal graph is: it has outputs; every value has one name and one producer; every node reads only inputs,
 * initialisers and what earlier nodes made, all of this graph; what inference says of a node is what its outputs are.
 * @throws {ShapeError} naming the node and the rule it breaks
 */
export function validate(graph: Graph): void {
  const fail = (rule: string): never => {
    throw new ShapeError(`graph ${graph.name}: ${rule}`);
  };
  if (graph.outputs.length === 0) fail("has no outputs");
  const known = new Set<Tensor>([...graph.inputs, ...[...graph.initializers.values()].map(({ tensor }) => tensor)]);
  const names = new Set<string>();
  for (const tensor of known) {
    if (names.has(tensor.name)) fail(`two values are named ${tensor.name}`);
    names.add(tensor.name);
  }
  for (const node of graph.nodes) {
    const label = `${node.op.onnx} (${node.outputs[0]?.name ?? "no output"})`;
    for (const input of node.inputs) {
      if (input === undefined) continue;
      if (input.graph !== graph) fail(`${label} reads ${input.name} of graph ${input.graph.name}`);
      if (!known.has(input)) fail(`${label} reads ${input.name}, which nothing before it makes`);
    }
    const inferred = node.op.infer(node.inputs, node.attrs);
    if (inferred.length !== node.outputs.length)
      fail(`${label} has ${node.outputs.length} outputs, inference gives ${inferred.length}`);
    node.outputs.forEach((output, i) => {
      const { dtype, shape } = inferred[i]!;
      if (dtype !== output.dtype || formatShape(shape) !== formatShape(output.shape))
        fail(
          `${label}: ${output.name} is ${output.dtype}${formatShape(output.shape)}, inference gives ${dtype}${formatShape(shape)}`,
        );
      if (names.has(output.name)) fail(`two values are named ${output.name}`);
      names.add(output.name);
      known.add(output);
    });
  }
  for (const output of graph.outputs) if (!known.has(output)) fail(`output ${output.name} is made by no node`);
}
