import type { Graph } from "./graph.ts";
import { describe, type Attribute } from "./tensor.ts";

/**
 * Text form for tests, bug reports and cache keys, one line a node: `%y = Add(x, w) : float32[batch, 4]`, attributes
 * in braces. Weights are listed at the top by name and shape, small constants with their numbers.
 */
export function print(graph: Graph): string {
  const lines = [`graph ${graph.name}`];
  for (const input of graph.inputs) lines.push(`  input ${input.name} : ${describe(input)}`);
  for (const { tensor, values } of graph.initializers.values()) {
    const numbers = values === undefined ? "" : ` = ${values.join(", ")}`;
    lines.push(`  ${values === undefined ? "weight" : "const"} ${tensor.name} : ${describe(tensor)}${numbers}`);
  }
  for (const node of graph.nodes) {
    const names = node.outputs.map((output) => `%${output.name}`).join(", ");
    const inputs = node.inputs.map((input) => input?.name ?? "-").join(", ");
    const attrs = Object.entries(node.attrs)
      .map(([name, value]) => `${name}=${formatAttribute(value)}`)
      .join(", ");
    const braces = attrs === "" ? "" : ` {${attrs}}`;
    lines.push(`  ${names} = ${node.op.onnx}(${inputs})${braces} : ${node.outputs.map(describe).join(", ")}`);
  }
  lines.push(`  return ${graph.outputs.map((output) => output.name).join(", ")}`);
  return lines.join("\n");
}

function formatAttribute(value: Attribute): string {
  if (typeof value === "number" || typeof value === "string") return String(value);
  if ("float" in value) return String(value.float);
  if ("dtype" in value) return `${value.dtype} ${value.value}`;
  return `[${value.join(", ")}]`;
}
