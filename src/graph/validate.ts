import { messageOf, ShapeError } from "../errors.ts";
import { formatShape } from "../shape.ts";
import type { Graph } from "./graph.ts";
import type { Inferred } from "./op.ts";
import { describe, type Node, type Tensor } from "./tensor.ts";

/**
 * What a legal graph is: it has outputs, made in it; every value has one name and one producer; every node reads only
 * inputs, initialisers and what earlier nodes made, all of this graph; plain numbers among its attributes are whole;
 * what inference says of a node is what its outputs are.
 * @throws {ShapeError} naming the graph, the node and the rule it breaks
 */
export function validate(graph: Graph): void {
  const known = new Set<Tensor>();
  const names = new Set<string>();
  const enter = (tensor: Tensor): void => {
    if (names.has(tensor.name)) refuse(graph, `two values are named ${tensor.name}`);
    names.add(tensor.name);
    known.add(tensor);
  };
  graph.inputs.forEach(enter);
  for (const { tensor } of graph.initializers.values()) enter(tensor);
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (input === undefined || known.has(input)) continue;
      refuse(
        graph,
        input.graph === graph
          ? `${labelOf(node)} reads ${input.name}, which nothing before it makes`
          : `${labelOf(node)} reads ${input.name} of graph ${input.graph.name}`,
      );
    }
    checkNode(graph, node);
    node.outputs.forEach(enter);
  }
  if (graph.outputs.length === 0) refuse(graph, "has no outputs");
  for (const output of graph.outputs)
    if (!known.has(output)) refuse(graph, `output ${output.name} is made by nothing in it`);
}

/** A node's attributes, and its outputs against what inference says of them. */
function checkNode(graph: Graph, node: Node): void {
  const { op, inputs, attrs, outputs } = node;
  for (const [name, value] of Object.entries(attrs))
    for (const number of typeof value === "number" ? [value] : Array.isArray(value) ? (value as number[]) : [])
      if (!Number.isSafeInteger(number))
        refuse(graph, `${labelOf(node)}: attribute ${name} is ${number}; a fraction is written { float: ${number} }`);
  let inferred: readonly Inferred[];
  try {
    inferred = op.infer(inputs, attrs);
  } catch (error) {
    throw new ShapeError(`graph ${graph.name}: ${labelOf(node)}: ${messageOf(error)}`, { cause: error });
  }
  if (inferred.length !== outputs.length)
    refuse(graph, `${labelOf(node)} has ${outputs.length} outputs, inference gives ${inferred.length}`);
  outputs.forEach((output, i) => {
    const expected = `${inferred[i]!.dtype}${formatShape(inferred[i]!.shape)}`;
    if (describe(output) !== expected)
      refuse(graph, `${labelOf(node)}: ${output.name} is ${describe(output)}, inference gives ${expected}`);
  });
}

/** `MatMul (layers.0/MatMul#3)`; the scope is part of the name. */
function labelOf({ op, outputs }: Node): string {
  return `${op.onnx} (${outputs[0]?.name ?? "no output"})`;
}

function refuse(graph: Graph, rule: string): never {
  throw new ShapeError(`graph ${graph.name}: ${rule}`);
}
