/** Small graphs around each operator: awkward shapes, broadcasting, named extents, every attribute in use. */
import {
  add,
  cast,
  concat,
  div,
  erf,
  exp,
  expand,
  filledLike,
  gelu,
  gemm,
  layerNorm,
  matMul,
  mul,
  neg,
  quickGelu,
  reduceLogSumExp,
  reduceSum,
  repeat,
  reshape,
  rmsNorm,
  rotaryEmbedding,
  sigmoid,
  softmax,
  split,
  sqrt,
  sub,
  tanh,
  transpose,
  type Tensor,
} from "../../../src/graph/index.ts";
import { multiplyDims, type Shape } from "../../../src/shape.ts";
import { sizes, type Sample, type SampleInput } from "./differences.ts";
import { gatherElements, gathers, rearranged, scatters } from "./samples-indexing.ts";

function titled(prefix: string, samples: readonly Sample[]): Sample[] {
  return samples.map((sample) => ({ ...sample, title: `${prefix}, ${sample.title}` }));
}

function unary(op: (x: Tensor) => Tensor, values: readonly [number, number] = [-1.5, 1.5]): Sample[] {
  return [
    { title: "a matrix", inputs: { x: { shape: [2, 3], values } }, build: ({ x }) => [op(x!)] },
    { title: "a scalar", inputs: { x: { shape: [], values } }, build: ({ x }) => [op(x!)] },
    {
      title: "named extents",
      inputs: { x: { shape: ["batch", 1, "seq"], values } },
      dims: { batch: 2, seq: 3 },
      build: ({ x }) => [op(x!)],
    },
  ];
}

/** `b` away from zero, for quotients. */
function binary(op: (a: Tensor, b: Tensor) => Tensor): Sample[] {
  const values = [0.5, 2] as const;
  const pair = (title: string, a: Shape, b: Shape, dims: Record<string, number> = {}): Sample => ({
    title,
    inputs: { x: { shape: a }, y: { shape: b, values } },
    dims,
    build: ({ x, y }) => [op(x!, y!)],
  });
  return [
    pair("one shape", [2, 3], [2, 3]),
    pair("both sides broadcast", [2, 1, 3], [4, 1]),
    pair("a row against a matrix", [3], [2, 3]),
    pair("a scalar against a matrix", [], [2, 3]),
    pair("a matrix against one entry", [2, 3], [1, 1]),
    pair("named extents", ["batch", 1, 3], ["seq", 3], { batch: 2, seq: 4 }),
    { title: "one tensor twice", inputs: { x: { shape: [2, 2], values } }, build: ({ x }) => [op(x!, x!)] },
  ];
}

function gemms(): Sample[] {
  const flags = [false, true];
  const plain = flags.flatMap((transA) =>
    flags.map((transB): Sample => ({
      title: `transA ${transA}, transB ${transB}`,
      inputs: sizes(transA ? [3, 2] : [2, 3], transB ? [4, 3] : [3, 4]),
      build: ({ x, y }) => [gemm(x!, y!, { transA, transB })],
    })),
  );
  const biases: Shape[] = [[4], [2, 4], [2, 1], [1], []];
  return [
    ...plain,
    ...biases.map((bias): Sample => ({
      title: `bias [${bias.join(", ")}]`,
      inputs: sizes([2, 3], [4, 3], bias),
      build: ({ x, y, z }) => [gemm(x!, y!, { transB: true, bias: z! })],
    })),
    {
      title: "named rows",
      inputs: sizes(["rows", 3], [4, 3], [4]),
      dims: { rows: 5 },
      build: ({ x, y, z }) => [gemm(x!, y!, { transB: true, bias: z! })],
    },
  ];
}

const matMuls: Sample[] = [
  { title: "matrices", inputs: sizes([2, 3], [3, 4]), build: ({ x, y }) => [matMul(x!, y!)] },
  { title: "leading axes broadcast", inputs: sizes([2, 1, 2, 3], [3, 3, 2]), build: ({ x, y }) => [matMul(x!, y!)] },
  {
    title: "a stack against a matrix",
    inputs: sizes(["batch", "seq", 3], [3, 2]),
    dims: { batch: 2, seq: 3 },
    build: ({ x, y }) => [matMul(x!, y!)],
  },
  {
    title: "named inner extent",
    inputs: sizes(["batch", 2, "seq"], ["batch", "seq", 3]),
    dims: { batch: 2, seq: 4 },
    build: ({ x, y }) => [matMul(x!, y!)],
  },
];

const reshapes: Sample[] = [
  { title: "numbers", inputs: sizes([2, 3, 2]), build: ({ x }) => [reshape(x!, [4, 3])] },
  { title: "to a scalar", inputs: sizes([1, 1]), build: ({ x }) => [reshape(x!, [])] },
  {
    title: "two names merged",
    inputs: sizes(["batch", "seq", 4]),
    dims: { batch: 2, seq: 3 },
    build: ({ x }) => [reshape(x!, [multiplyDims("batch", "seq"), 4])],
  },
  {
    title: "a merged extent split",
    inputs: { ...sizes(["batch*seq", 4]), y: { shape: ["batch", "seq"] } },
    dims: { batch: 2, seq: 3 },
    build: ({ x, y }) => [reshape(x!, ["batch", "seq", 2, 2]), y!],
  },
  {
    title: "extents that no input has",
    inputs: sizes(["a", 3], ["b", 3]),
    dims: { a: 1, b: 2 },
    build: ({ x, y }) => {
      const rows = concat([x!, y!], 0);
      const products = matMul(rows, transpose(rows, [1, 0]));
      return [reshape(products, [multiplyDims(...products.shape)])];
    },
  },
];

const concats: Sample[] = [
  { title: "two tensors, axis 0", inputs: sizes([2, 3], [1, 3]), build: ({ x, y }) => [concat([x!, y!], 0)] },
  {
    title: "three tensors, axis -1",
    inputs: sizes([2, 1], [2, 3], [2, 2]),
    build: ({ x, y, z }) => [concat([x!, y!, z!], -1)],
  },
  { title: "one tensor twice", inputs: sizes([2, 3]), build: ({ x }) => [concat([x!, x!], 1)] },
  {
    title: "named extents, one of them empty",
    inputs: sizes(["batch", "past", 2], ["batch", "seq", 2]),
    dims: { batch: 2, past: 0, seq: 3 },
    build: ({ x, y }) => [concat([x!, y!], 1)],
  },
  {
    title: "extents that no input has",
    inputs: sizes(["a", "b"], [3]),
    dims: { a: 2, b: 3 },
    build: ({ x, y }) => [concat([reshape(x!, [multiplyDims("a", "b")]), y!], 0)],
  },
];

const splits: Sample[] = [
  { title: "every part used", inputs: sizes([2, 6]), build: ({ x }) => split(x!, [1, 3, 2], 1) },
  {
    title: "the middle part gets no gradient",
    inputs: sizes([2, 6]),
    build: ({ x }) => {
      const [a, , c] = split(x!, [1, 3, 2], -1);
      return [a!, c!];
    },
  },
  {
    title: "named extents, the first part gets no gradient",
    inputs: { ...sizes(["(past+seq)", 2]), y: { shape: ["past"] }, z: { shape: ["seq"] } },
    dims: { past: 2, seq: 3 },
    build: ({ x, y, z }) => [split(x!, ["past", "seq"], 0)[1]!, y!, z!],
  },
];

const reduceSums: Sample[] = [
  { title: "first axis kept", inputs: sizes([2, 3]), build: ({ x }) => [reduceSum(x!, [0])] },
  { title: "last axis dropped", inputs: sizes([2, 3]), build: ({ x }) => [reduceSum(x!, [-1], false)] },
  { title: "two axes dropped", inputs: sizes([2, 3, 4]), build: ({ x }) => [reduceSum(x!, [0, 2], false)] },
  { title: "two axes kept", inputs: sizes([2, 3, 4]), build: ({ x }) => [reduceSum(x!, [2, 0])] },
  { title: "all axes to a scalar", inputs: sizes([2, 3]), build: ({ x }) => [reduceSum(x!, [0, 1], false)] },
  {
    title: "named extents behind the axis dropped",
    inputs: sizes(["a", "b", "c", 2]),
    dims: { a: 2, b: 3, c: 2 },
    build: ({ x }) => [reduceSum(x!, [1], false)],
  },
];

const expands: Sample[] = [
  { title: "one axis and a new one", inputs: sizes([3, 1], [2, 3, 4]), build: ({ x, y }) => [expand(x!, y!), y!] },
  { title: "a scalar", inputs: sizes([], [2, 2]), build: ({ x, y }) => [expand(x!, y!), y!] },
  {
    title: "named extents",
    inputs: sizes(["batch", 1, 2], ["batch", "seq", 2]),
    dims: { batch: 2, seq: 3 },
    build: ({ x, y }) => [expand(x!, y!), y!],
  },
];

const rotaries: Sample[] = [1, 2].map((heads) => ({
  title: `${heads} heads`,
  inputs: { x: { shape: [1, "rows", heads * 4] }, cos: { shape: ["rows", 2] }, sin: { shape: ["rows", 2] } },
  dims: { rows: 3 },
  build: ({ x, cos, sin }) => [rotaryEmbedding(x!, cos!, sin!, heads)],
}));

const casts: Sample[] = (["float32", "float64"] as const).map((to) => {
  const from = to === "float32" ? "float64" : "float32";
  return {
    title: `${from} to ${to}`,
    inputs: { x: { shape: [2, 3], dtype: from } },
    build: ({ x }) => [cast(x!, to)],
  };
});

const norms = (inputs: Record<string, SampleInput>, op: (t: Readonly<Record<string, Tensor>>) => Tensor): Sample[] => [
  { title: "a matrix", inputs: { x: { shape: [3, 5] }, ...inputs }, build: (t) => [op(t)] },
  {
    title: "named rows, four axes",
    inputs: { x: { shape: [1, "rows", 2, 5] }, ...inputs },
    dims: { rows: 2 },
    build: (t) => [op(t)],
  },
];

/** Exact in float32, the type of the operators' attribute. */
const EPSILONS = [2 ** -20, 0.25];

/** Operator -> samples; the test holds it against the table of operators. */
export const SAMPLES: Readonly<Record<string, readonly Sample[]>> = {
  Add: binary(add),
  Sub: binary(sub),
  Mul: binary(mul),
  Div: binary(div),
  Neg: unary(neg),
  Exp: unary(exp),
  Sqrt: unary(sqrt, [0.5, 2]),
  Erf: unary(erf),
  Sigmoid: unary(sigmoid),
  Tanh: unary(tanh),
  QuickGelu: [1, 1.702].flatMap((alpha) =>
    titled(
      `alpha ${alpha}`,
      unary((x) => quickGelu(x, alpha)),
    ),
  ),
  Gelu: (["none", "tanh"] as const).flatMap((kind) =>
    titled(
      kind,
      unary((x) => gelu(x, kind)),
    ),
  ),
  Cast: casts,
  Gemm: gemms(),
  MatMul: matMuls,
  Reshape: reshapes,
  Transpose: [
    { title: "a matrix", inputs: sizes([2, 3]), build: ({ x }) => [transpose(x!, [1, 0])] },
    { title: "a cycle of three", inputs: sizes([2, 3, 4]), build: ({ x }) => [transpose(x!, [2, 0, 1])] },
    {
      title: "heads and seq",
      inputs: sizes(["b", "s", 2, 2]),
      dims: { b: 2, s: 3 },
      build: ({ x }) => [transpose(x!, [0, 2, 1, 3])],
    },
  ],
  Concat: concats,
  Split: splits,
  ConstantOfShape: [
    {
      title: "beside a product",
      inputs: sizes(["b", 3]),
      dims: { b: 2 },
      build: ({ x }) => [mul(x!, filledLike(x!, x!.dtype, 3))],
    },
  ],
  ReduceSum: reduceSums,
  ReduceLogSumExp: [
    { title: "last axis dropped", inputs: sizes([3, 4]), build: ({ x }) => [reduceLogSumExp(x!, [1], false)] },
    { title: "first axis kept", inputs: sizes([3, 4]), build: ({ x }) => [reduceLogSumExp(x!, [0])] },
    {
      title: "named extents, numbers that would overflow",
      inputs: { x: { shape: ["rows", 3], values: [80, 95] } },
      dims: { rows: 2 },
      build: ({ x }) => [reduceLogSumExp(x!, [-1], false)],
    },
  ],
  Expand: [
    ...expands,
    {
      title: "a first axis repeated",
      inputs: sizes([1, 2, 3], ["n"]),
      dims: { n: 4 },
      build: ({ x, y }) => [repeat(x!, "n"), y!],
    },
  ],
  Gather: [...gathers, ...rearranged],
  ScatterElements: scatters,
  GatherElements: gatherElements,
  Softmax: [
    { title: "a vector", inputs: sizes([5]), build: ({ x }) => [softmax(x!)] },
    { title: "three axes", inputs: sizes([2, "seq", 3]), dims: { seq: 3 }, build: ({ x }) => [softmax(x!)] },
  ],
  SimplifiedLayerNormalization: EPSILONS.flatMap((eps) =>
    titled(
      `eps ${eps}`,
      norms({ weight: { shape: [5] } }, ({ x, weight }) => rmsNorm(x!, weight!, eps)),
    ),
  ),
  LayerNormalization: EPSILONS.flatMap((eps) =>
    titled(
      `eps ${eps}`,
      norms({ weight: { shape: [5] }, bias: { shape: [5] } }, ({ x, weight, bias }) =>
        layerNorm(x!, weight!, bias!, eps),
      ),
    ),
  ),
  RotaryEmbedding: rotaries,
  Identity: [
    {
      title: "a named output",
      inputs: sizes([2, 3]),
      build: ({ x }, graph) => {
        graph.output("named", mul(x!, x!));
        return [graph.outputs.at(-1)!];
      },
    },
  ],
};
