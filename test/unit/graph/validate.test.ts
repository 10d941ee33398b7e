/** `validate` on graphs that no builder makes: tampered with after the fact. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { add, Graph, neg, serialize, validate, type Node, type Tensor } from "../../../src/graph/index.ts";

function legal(): { graph: Graph; x: Tensor; y: Tensor } {
  const graph = new Graph("g");
  const x = graph.input("x", "float32", ["n", 2]);
  const y = graph.within("layer", () => neg(add(x, graph.constant("float32", [1, 2], [2]))));
  graph.output("y", y);
  return { graph, x, y };
}

function tamper(node: Node, change: Partial<Node>): Node {
  return { ...node, ...change };
}

function refused(change: (parts: ReturnType<typeof legal>) => void, message: string): void {
  const parts = legal();
  validate(parts.graph);
  change(parts);
  assert.throws(() => validate(parts.graph), { name: "ShapeError", message: `graph g: ${message}` });
  assert.throws(() => serialize(parts.graph), { message: `graph g: ${message}` });
}

test("a graph without outputs is refused", () => {
  refused(({ graph }) => graph.outputs.splice(0), "has no outputs");
});

test("a node that stands there twice is refused: its value has two producers", () => {
  refused(({ graph }) => graph.nodes.push(graph.nodes[1]!), "two values are named layer/Neg#0");
});

test("two inputs of one name are refused", () => {
  refused(({ graph, x }) => graph.inputs.push({ ...x }), "two values are named x");
});

test("an input that the graph does not know is refused", () => {
  refused(({ graph }) => graph.inputs.splice(0), "Add (layer/Add#0) reads x, which nothing before it makes");
});

test("nodes out of order are refused", () => {
  refused(
    ({ graph }) => graph.nodes.push(graph.nodes.shift()!),
    "Neg (layer/Neg#0) reads layer/Add#0, which nothing before it makes",
  );
});

test("a tensor of another graph is refused", () => {
  const stranger = new Graph("other").input("z", "float32", ["n", 2]);
  refused(
    ({ graph }) => (graph.nodes[1] = tamper(graph.nodes[1]!, { inputs: [stranger] })),
    "Neg (layer/Neg#0) reads z of graph other",
  );
});

test("an output that nothing makes is refused", () => {
  refused(({ graph, y }) => graph.outputs.push({ ...y, name: "lost" }), "output lost is made by nothing in it");
});

test("a shape or dtype that inference does not give is refused", () => {
  for (const [change, found] of [
    [{ shape: ["n", 3] }, "float32[n, 3]"],
    [{ dtype: "float64" }, "float64[n, 2]"],
  ] as const)
    refused(({ graph }) => {
      const node = graph.nodes[0]!;
      graph.nodes[0] = tamper(node, { outputs: [{ ...node.outputs[0]!, ...change }] });
    }, `Add (layer/Add#0): layer/Add#0 is ${found}, inference gives float32[n, 2]`);
});

test("inputs that do not fit are refused with the operator's own words", () => {
  refused(
    ({ graph, x }) =>
      (graph.nodes[0] = tamper(graph.nodes[0]!, { inputs: [x, graph.constant("float32", [1], [1, 1, 1])] })),
    "Add (layer/Add#0): layer/Add#0 is float32[n, 2], inference gives float32[1, n, 2]",
  );
  refused(
    ({ graph, x }) => (graph.nodes[0] = tamper(graph.nodes[0]!, { inputs: [x] })),
    "Add (layer/Add#0): add: input 1 is missing",
  );
});

test("more outputs than inference gives are refused", () => {
  refused(({ graph }) => {
    const node = graph.nodes[0]!;
    graph.nodes[0] = tamper(node, { outputs: [...node.outputs, { ...node.outputs[0]!, name: "extra" }] });
  }, "Add (layer/Add#0) has 2 outputs, inference gives 1");
});

test("a fraction among whole-number attributes is refused", () => {
  refused(
    ({ graph }) => (graph.nodes[1] = tamper(graph.nodes[1]!, { attrs: { alpha: 0.5 } })),
    "Neg (layer/Neg#0): attribute alpha is 0.5; a fraction is written { float: 0.5 }",
  );
});
