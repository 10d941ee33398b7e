/** The model file read back by a protobuf reader of this test's own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  cast,
  filledLike,
  Graph,
  multiHeadAttention,
  quickGelu,
  reduceSum,
  reshape,
  scatterAdd,
  serialize,
  transpose,
} from "../../../src/graph/index.ts";

/** Field number -> values in order: varints as bigint, the rest as bytes. */
type Message = Map<number, (bigint | Uint8Array)[]>;

function parse(bytes: Uint8Array): Message {
  const fields: Message = new Map();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    assert.ok([0, 2, 5].includes(wire), `wire type ${wire} at byte ${at}`);
    const length = wire === 2 ? Number(varint()) : 4;
    const value = wire === 0 ? varint() : bytes.subarray(at, (at += length));
    assert.ok(at <= bytes.length, "a field ends past its message");
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value]);
  }
  return fields;
}

const messages = (message: Message, field: number): Message[] =>
  (message.get(field) ?? []).map((bytes) => parse(bytes as Uint8Array));
const texts = (message: Message, field: number): string[] =>
  (message.get(field) ?? []).map((bytes) => new TextDecoder().decode(bytes as Uint8Array));
const ints = (message: Message, field: number): number[] => (message.get(field) ?? []).map(Number);
const raw = (message: Message, field: number): Uint8Array =>
  (message.get(field)?.[0] ?? new Uint8Array()) as Uint8Array;

function graphOf(graph: Graph): Message {
  return messages(parse(serialize(graph)), 7)[0]!;
}

/** Nodes by their first output: operator, domain, names, attributes. */
function nodesOf(
  graph: Graph,
): Map<string, { op: string; domain: string; inputs: string[]; attrs: Map<string, Message> }> {
  return new Map(
    messages(graphOf(graph), 1).map((node) => [
      texts(node, 2)[0]!,
      {
        op: texts(node, 4)[0]!,
        domain: texts(node, 7)[0] ?? "",
        inputs: texts(node, 1),
        attrs: new Map(messages(node, 5).map((attr) => [texts(attr, 1)[0]!, attr])),
      },
    ]),
  );
}

test("the model states its IR version, its producer and both opsets", () => {
  const graph = new Graph("g");
  graph.output("y", graph.input("x", "float32", [1]));
  const model = parse(serialize(graph));
  assert.deepEqual(ints(model, 1), [10]);
  assert.deepEqual(texts(model, 2), ["rge"]);
  const opsets = messages(model, 8).map((opset) => [texts(opset, 1)[0], ints(opset, 2)[0]]);
  assert.deepEqual(opsets, [
    ["", 21],
    ["com.microsoft", 1],
  ]);
  assert.deepEqual(texts(messages(model, 7)[0]!, 2), ["g"]);
});

test("inputs and outputs carry names, dtypes, numbers and named extents", () => {
  const graph = new Graph("g");
  const x = graph.input("x", "float32", ["batch", "seq", 4]);
  graph.input("ids", "int64", []);
  graph.output("rows", reshape(x, ["batch*seq", 4]));
  const values = [11, 12].flatMap((field) =>
    messages(graphOf(graph), field).map((value) => {
      const type = messages(messages(value, 2)[0]!, 1)[0]!;
      const dims = messages(messages(type, 2)[0]!, 1).map((dim) => texts(dim, 2)[0] ?? ints(dim, 1)[0]);
      return [texts(value, 1)[0], ints(type, 1)[0], dims];
    }),
  );
  assert.deepEqual(values, [
    ["x", 1, ["batch", "seq", 4]],
    ["ids", 7, []],
    ["rows", 1, ["batch*seq", 4]],
  ]);
});

test("attributes keep their kind: int, negative int, ints, float, string, tensor", () => {
  const graph = new Graph("g");
  const x = graph.input("x", "float32", ["n", 2]);
  const at = graph.input("at", "int64", ["n"]);
  const total = reduceSum(transpose(x, [1, 0]), [-1]);
  graph.output("a", add(total, quickGelu(total, 1.5)));
  graph.output("b", scatterAdd(x, at, filledLike(x, "float32", -2)));
  graph.output("c", cast(filledLike(x, "int64", -3), "float64"));
  const nodes = nodesOf(graph);
  const attr = (node: string, name: string): Message => nodes.get(node)!.attrs.get(name)!;
  const perm = attr("Transpose#0", "perm");
  assert.deepEqual([ints(perm, 8), ints(perm, 20)], [[1, 0], [7]]);
  const keep = attr("ReduceSum#0", "keepdims");
  assert.deepEqual([ints(keep, 3), ints(keep, 20)], [[1], [2]]);
  const alpha = attr("QuickGelu#0", "alpha");
  assert.deepEqual([new Float32Array(raw(alpha, 2).slice().buffer), ints(alpha, 20)], [Float32Array.of(1.5), [1]]);
  const reduction = attr("ScatterElements#0", "reduction");
  assert.deepEqual([texts(reduction, 4), ints(reduction, 20)], [["add"], [3]]);
  for (const [node, code, expected] of [
    ["ConstantOfShape#0", 1, Float32Array.of(-2)],
    ["ConstantOfShape#1", 7, BigInt64Array.of(-3n)],
  ] as const) {
    const value = attr(node, "value");
    const tensor = messages(value, 5)[0]!;
    assert.deepEqual([ints(value, 20), ints(tensor, 1), ints(tensor, 2)], [[4], [1], [code]]);
    assert.deepEqual(raw(tensor, 9), new Uint8Array(expected.buffer));
  }
  assert.deepEqual(ints(attr("Cast#0", "to"), 3), [11]);
});

test("a negative attribute and a negative constant survive", () => {
  const graph = new Graph("g");
  const x = graph.input("x", "float32", ["a", "b", 2]);
  graph.addNode({ onnx: "Softmax", domain: "", infer: () => [x], gradient: "none" }, [x], { axis: -1, list: [-2, 3] }, [
    x,
  ]);
  graph.output("y", reshape(x, ["a*b", 2]));
  const attrs = nodesOf(graph).get("Softmax#0")!.attrs;
  assert.deepEqual([ints(attrs.get("axis")!, 3), ints(attrs.get("list")!, 8)], [[-1], [-2, 3]]);
  const [shape] = messages(graphOf(graph), 5);
  assert.deepEqual([texts(shape!, 8), ints(shape!, 1), ints(shape!, 2)], [["const#0"], [2], [7]]);
  assert.deepEqual(new BigInt64Array(raw(shape!, 9).slice().buffer), BigInt64Array.of(-1n, 2n));
});

test("attributes of our own stay out of the file, holes are empty names, trailing ones are left off", () => {
  const graph = new Graph("g");
  const q = graph.input("q", "float32", ["b", "s", 4]);
  const lengths = graph.input("lengths", "int32", ["b"]);
  graph.output("y", reshape(multiHeadAttention(q, q, q, 2, lengths), ["b*s", 4]));
  graph.output("z", multiHeadAttention(q, q, q, 2));
  const nodes = nodesOf(graph);
  assert.deepEqual([...nodes.get("Reshape#0")!.attrs.keys()], []);
  assert.deepEqual(nodes.get("MultiHeadAttention#0")!.inputs, ["q", "q", "q", "", "lengths"]);
  assert.deepEqual(nodes.get("MultiHeadAttention#1")!.inputs, ["q", "q", "q"]);
  assert.equal(nodes.get("MultiHeadAttention#0")!.domain, "com.microsoft");
  assert.equal(nodes.get("Reshape#0")!.domain, "");
});

test("big weights go to the external file at page boundaries, in order; small ones stay inline", () => {
  const graph = new Graph("g");
  const sizes = [1024, 1028, 8192, 5000];
  const written: Uint8Array[] = [];
  let total = graph.input("x", "float32", [1]);
  sizes.forEach((size, i) => {
    const bytes = new Uint8Array(size).fill(i + 1);
    const weight = graph.initializer(`w${i}`, "float32", [size / 4], () => bytes);
    total = add(total, reduceSum(weight, [0]));
  });
  graph.output("y", total);
  const external = { location: "weights.bin", append: (bytes: Uint8Array) => void written.push(bytes.slice()) };
  const file = messages(parse(serialize(graph, external)), 7)[0]!;
  const data = Buffer.concat(written);
  const placed = messages(file, 5).map((tensor) => {
    const entries = messages(tensor, 13).map((entry) => [texts(entry, 1)[0], texts(entry, 2)[0]]);
    return {
      name: texts(tensor, 8)[0]!,
      isExternal: ints(tensor, 14)[0] === 1,
      entries,
      inline: raw(tensor, 9).length,
    };
  });
  assert.deepEqual(
    placed.filter(({ name }) => name.startsWith("w")),
    [
      { name: "w0", isExternal: false, entries: [], inline: 1024 },
      ...[
        ["w1", 0, 1028],
        ["w2", 4096, 8192],
        ["w3", 12288, 5000],
      ].map(([name, offset, length]) => ({
        name,
        isExternal: true,
        entries: [
          ["location", "weights.bin"],
          ["offset", String(offset)],
          ["length", String(length)],
        ],
        inline: 0,
      })),
    ],
  );
  assert.equal(data.length, 20480);
  assert.deepEqual(
    [data[1027], data[1028], data[4096], data[12287], data[12288], data[17287], data[17288]],
    [2, 0, 3, 3, 4, 4, 0],
  );
  const inline = messages(parse(serialize(graph)), 7)[0]!;
  assert.deepEqual(
    raw(
      messages(inline, 5).find((tensor) => texts(tensor, 8)[0] === "w3")!,
      9,
    ).length,
    5000,
  );
});

test("a weight whose bytes are not as many as declared is a bug that is caught", () => {
  const graph = new Graph("g");
  graph.output(
    "y",
    graph.initializer("w", "float32", [2], () => new Uint8Array(4)),
  );
  assert.throws(() => serialize(graph), { message: "internal: initialiser w gave 4 bytes, 8 declared" });
});
