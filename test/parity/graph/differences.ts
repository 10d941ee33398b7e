/** Gradients through ONNX Runtime, next to central differences of the same graph. */
import assert from "node:assert/strict";
import { Graph, gradients, mul, reduceSum, add, serialize, type Tensor } from "../../../src/graph/index.ts";
import { isFloat, type DType } from "../../../src/dtype.ts";
import { multiplyDims, type Shape } from "../../../src/shape.ts";
import { seededRandom, type Random } from "../../../src/random.ts";
import type { HostTensor } from "../../../src/host-tensor.ts";
import { Session } from "../../../src/runtime/session.ts";
import { assertClose } from "../../support/assert-close.ts";

/** A graph input and what it is fed with. */
export interface SampleInput {
  readonly shape: Shape;
  /** Uniform numbers from this range, @default [-1.5, 1.5], or whole numbers as they stand. */
  readonly values?: readonly [low: number, high: number] | readonly number[];
  /** @default the sample's */
  readonly dtype?: DType;
}

/** A small graph around one operator. */
export interface Sample {
  readonly title: string;
  readonly inputs: Readonly<Record<string, SampleInput>>;
  /** Extents of the names in the inputs' shapes. */
  readonly dims?: Readonly<Record<string, number>>;
  /** The outputs that the loss is made of. */
  readonly build: (inputs: Readonly<Record<string, Tensor>>, graph: Graph) => readonly Tensor[];
  /** Float inputs without a gradient. @default none */
  readonly constant?: readonly string[];
}

/** Inputs `x`, `y`, `z`, `w` of these shapes. */
export function sizes(...shapes: readonly Shape[]): Record<string, SampleInput> {
  return Object.fromEntries(shapes.map((shape, i) => ["xyzw"[i]!, { shape }]));
}

/** The precision of a check: how far each entry moves, and how near the two gradients must be. */
export interface Precision {
  readonly dtype: "float32" | "float64";
  readonly step: number;
  readonly atol: number;
  readonly rtol: number;
}

/** Where ORT has the kernel: rounding of 1e-16 over a step of 1e-3 leaves some 1e-13. */
export const DOUBLE: Precision = { dtype: "float64", step: 1e-3, atol: 1e-9, rtol: 1e-9 };
/** Rounding of 6e-8 over a step of 2e-2 leaves some 3e-6 for each of the terms of one entry. */
export const SINGLE: Precision = { dtype: "float32", step: 2e-2, atol: 1e-4, rtol: 1e-4 };

/** Extents as numbers; sums and products are worked out. */
export function sizesOf(shape: Shape, dims: Readonly<Record<string, number>>): number[] {
  const valueOf = (text: string): number => {
    const inner = /\(([^()]*)\)/.exec(text);
    if (inner !== null) return valueOf(text.replace(inner[0], String(valueOf(inner[1]!))));
    const terms = text.split("+").map((term) => term.split("*").map((factor) => dims[factor] ?? Number(factor)));
    return terms.map((factors) => factors.reduce((a, b) => a * b, 1)).reduce((a, b) => a + b, 0);
  };
  return shape.map((dim) => {
    const size = valueOf(String(dim));
    if (!Number.isInteger(size)) throw new Error(`the sample gives no extent for ${dim}`);
    return size;
  });
}

function draw({ values }: SampleInput, dtype: DType, shape: readonly number[], random: Random): HostTensor {
  const count = Number(multiplyDims(...shape));
  if (!isFloat(dtype)) {
    const whole = values ?? [];
    return { shape, data: dtype === "int64" ? BigInt64Array.from(whole, BigInt) : Int32Array.from(whole) };
  }
  const [low = -1.5, high = 1.5] = values ?? [];
  const numbers = Array.from({ length: count }, () => low + (high - low) * random());
  return { shape, data: dtype === "float64" ? Float64Array.from(numbers) : Float32Array.from(numbers) };
}

/** A random linear functional of `outputs`: the loss, and the coefficients as further graph inputs. */
export function randomLoss(graph: Graph, outputs: readonly Tensor[]): { loss: Tensor; coefficients: Tensor[] } {
  const coefficients = outputs.map((output, i) => graph.input(`coefficients.${i}`, output.dtype, output.shape));
  const parts = outputs.map((output, i) => {
    const weighted = mul(output, coefficients[i]!);
    return output.shape.length === 0 ? weighted : reduceSum(weighted, [...output.shape.keys()], false);
  });
  return { loss: parts.reduce(add), coefficients };
}

/**
 * The derivative of `f` in each entry of `data`, which `f` reads and which is left as it was:
 * `(8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h`, the central difference of fourth order.
 */
export async function differences(
  data: Float32Array | Float64Array,
  h: number,
  f: () => Promise<number>,
): Promise<Float64Array> {
  const slopes = new Float64Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const at = data[i]!;
    const moved = async (offset: number): Promise<number> => {
      data[i] = at + offset;
      return await f();
    };
    const near = (await moved(h)) - (await moved(-h));
    const far = (await moved(2 * h)) - (await moved(-2 * h));
    slopes[i] = (8 * near - far) / (12 * h);
    data[i] = at;
  }
  return slopes;
}

/** The functional in double, whatever the outputs' dtype, so that summing adds no rounding. */
export function functional(outputs: readonly HostTensor[], coefficients: readonly HostTensor[]): number {
  let sum = 0;
  outputs.forEach(({ data }, k) => {
    for (let i = 0; i < data.length; i++) sum += Number(data[i]) * Number(coefficients[k]!.data[i]);
  });
  return sum;
}

/** Checks dL/d(input) of every float input of a sample, entry by entry; returns the operators of the forward graph. */
export async function checkSample(sample: Sample, { dtype, step, atol, rtol }: Precision): Promise<Set<string>> {
  const graph = new Graph("sample");
  const random = seededRandom(7);
  const { dims = {}, constant = [] } = sample;
  const inputs: Record<string, Tensor> = {};
  const feeds: Record<string, HostTensor> = {};
  for (const [name, input] of Object.entries(sample.inputs)) {
    inputs[name] = graph.input(name, input.dtype ?? dtype, input.shape);
    feeds[name] = draw(input, input.dtype ?? dtype, sizesOf(input.shape, dims), random);
  }
  const outputs = sample.build(inputs, graph);
  const forward = new Set(graph.nodes.map(({ op }) => op.onnx));
  const { loss, coefficients } = randomLoss(graph, outputs);
  const wrt = Object.values(inputs).filter((input) => isFloat(input.dtype) && !constant.includes(input.name));
  assert.ok(wrt.length > 0, "the sample has no input to differentiate");
  gradients(loss, wrt).forEach((gradient, i) => graph.output(`gradient.${wrt[i]!.name}`, gradient));
  const names = outputs.map((output, i) => {
    graph.output(`output.${i}`, output);
    return `output.${i}`;
  });

  for (const { name, dtype: type, shape } of coefficients)
    feeds[name] = draw({ shape }, type, sizesOf(shape, dims), random);
  const drawn = coefficients.map(({ name }) => feeds[name]!);
  await using session = await Session.open(serialize(graph), sample.title, { threads: 1 });
  const wanted = wrt.map(({ name }) => `gradient.${name}`);
  const actual = await session.run(feeds, wanted);
  for (const { name } of wrt) {
    const data = feeds[name]!.data as Float32Array | Float64Array;
    const expected = await differences(data, step, async () => {
      const results = await session.run(feeds, names);
      return functional(
        names.map((output) => results[output]!),
        drawn,
      );
    });
    assertClose(actual[`gradient.${name}`]!.data as Float64Array, expected, { rtol, atol }, `dL/d${name}`);
  }
  return forward;
}
