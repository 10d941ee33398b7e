import { ShapeError } from "../../errors.ts";
import { DTYPE_CODE, isFloat, type DType } from "../../dtype.ts";
import { broadcastShapes } from "../../shape.ts";
import { IDENTITY } from "../graph.ts";
import {
  apply,
  defineOp,
  floatAttr,
  intAttr,
  required,
  sameDtype,
  scopeNote,
  type GradientRule,
  type Inferred,
} from "../op.ts";
import type { Attributes, Tensor } from "../tensor.ts";
import { filledLike } from "./movement.ts";
import { reduceToShape } from "./reduction.ts";

function inferBinary(what: string) {
  return (inputs: readonly (Tensor | undefined)[]): readonly Inferred[] => {
    const a = required(inputs, 0, what);
    const b = required(inputs, 1, what);
    return [{ dtype: sameDtype(what, a, b), shape: broadcastShapes(a.shape, b.shape, what) }];
  };
}

function inferFloat(what: string) {
  return (inputs: readonly (Tensor | undefined)[]): readonly Inferred[] => {
    const x = required(inputs, 0, what);
    if (!isFloat(x.dtype)) throw new ShapeError(`${what}: needs a float tensor, got ${x.dtype}`);
    return [{ dtype: x.dtype, shape: x.shape }];
  };
}

function binary(onnx: string, gradient: GradientRule | "none"): (a: Tensor, b: Tensor) => Tensor {
  const op = defineOp({ onnx, domain: "", infer: inferBinary(lower(onnx)), gradient });
  return (a, b) => op([a, b])[0]!;
}

function unary(onnx: string, gradient: GradientRule | "none"): (x: Tensor) => Tensor {
  const op = defineOp({ onnx, domain: "", infer: inferFloat(lower(onnx)), gradient });
  return (x) => op([x])[0]!;
}

function lower(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

/** A scalar of the dtype of `like`, in its graph. */
export function scalar(like: Tensor, value: number): Tensor {
  if (like.dtype !== "float32" && like.dtype !== "float64")
    throw new ShapeError(`scalar: needs float32 or float64, got ${like.dtype}${scopeNote(like.graph)}`);
  return like.graph.constant(like.dtype, [value], []);
}

/** `a + b`, broadcasting. */
export const add: (a: Tensor, b: Tensor) => Tensor = binary("Add", ({ inputs: [a, b], gradOutputs: [dy] }) => [
  reduceToShape(dy!, a!),
  reduceToShape(dy!, b!),
]);

/** `a - b`, broadcasting. */
export const sub: (a: Tensor, b: Tensor) => Tensor = binary("Sub", ({ inputs: [a, b], gradOutputs: [dy] }) => [
  reduceToShape(dy!, a!),
  reduceToShape(neg(dy!), b!),
]);

/** `a * b`, broadcasting. */
export const mul: (a: Tensor, b: Tensor) => Tensor = binary("Mul", ({ inputs: [a, b], gradOutputs: [dy] }) => [
  reduceToShape(mul(dy!, b!), a!),
  reduceToShape(mul(dy!, a!), b!),
]);

/** `a / b`, broadcasting. */
export const div: (a: Tensor, b: Tensor) => Tensor = binary(
  "Div",
  // d(a/b)/db = -(a/b)/b
  ({ inputs: [a, b], outputs: [y], gradOutputs: [dy] }) => [
    reduceToShape(div(dy!, b!), a!),
    reduceToShape(neg(div(mul(dy!, y!), b!)), b!),
  ],
);

/** `max(a, b)`, broadcasting; keeps scales away from zero in front of quantisation, which takes no gradient. */
export const max: (a: Tensor, b: Tensor) => Tensor = binary("Max", "none");

/** 1 where `a > b`, else 0, in the dtype of `a`, broadcasting; a step, so no gradient goes through it. */
export function greater(a: Tensor, b: Tensor): Tensor {
  return cast(greaterOp([a, b])[0]!, a.dtype);
}

const greaterOp = defineOp({
  onnx: "Greater",
  domain: "",
  infer: (inputs) => [{ dtype: "bool", shape: inferBinary("greater")(inputs)[0]!.shape }],
  gradient: "none",
});

/** `x` as a constant: the same numbers, and no gradient goes through it. */
export function detach(x: Tensor): Tensor {
  return apply(IDENTITY, [x], {}, () => [filledLike(x, x.dtype, 0)])[0]!;
}

/** `-x` */
export const neg: (x: Tensor) => Tensor = unary("Neg", ({ gradOutputs: [dy] }) => [neg(dy!)]);

/** `|x|`; stands only in front of quantisation, which takes no gradient. */
export const abs: (x: Tensor) => Tensor = unary("Abs", "none");

/** `e^x` */
export const exp: (x: Tensor) => Tensor = unary("Exp", ({ outputs: [y], gradOutputs: [dy] }) => [mul(dy!, y!)]);

/** `sqrt(x)` */
export const sqrt: (x: Tensor) => Tensor = unary("Sqrt", ({ outputs: [y], gradOutputs: [dy] }) => [
  div(mul(dy!, scalar(y!, 0.5)), y!),
]);

/** Gauss error function. */
export const erf: (x: Tensor) => Tensor = unary("Erf", ({ inputs: [x], gradOutputs: [dy] }) => [
  // d erf(x) = 2/sqrt(pi) e^(-x^2)
  mul(dy!, mul(scalar(x!, 2 / Math.sqrt(Math.PI)), exp(neg(mul(x!, x!))))),
]);

/** `1 / (1 + e^-x)` */
export const sigmoid: (x: Tensor) => Tensor = unary("Sigmoid", ({ outputs: [y], gradOutputs: [dy] }) => [
  mul(dy!, mul(y!, sub(scalar(y!, 1), y!))),
]);

/** Hyperbolic tangent. */
export const tanh: (x: Tensor) => Tensor = unary("Tanh", ({ outputs: [y], gradOutputs: [dy] }) => [
  mul(dy!, sub(scalar(y!, 1), mul(y!, y!))),
]);

const quickGeluOp = defineOp({
  onnx: "QuickGelu",
  domain: "com.microsoft",
  infer: inferFloat("quickGelu"),
  // y = x s with s = sigmoid(alpha x): dy/dx = s + alpha (y - y s), the fewest passes over memory
  gradient: ({ inputs: [x], outputs: [y], gradOutputs: [dy], attrs }) => {
    const alpha = floatAttr(attrs, "alpha", 1.702);
    const scaled = (tensor: Tensor): Tensor => (alpha === 1 ? tensor : mul(tensor, scalar(tensor, alpha)));
    const s = sigmoid(scaled(x!));
    return [mul(dy!, add(s, scaled(sub(y!, mul(y!, s)))))];
  },
});

/** `x * sigmoid(alpha x)`: SiLU at `alpha` 1, OpenAI's quick GELU at 1.702. */
export function quickGelu(x: Tensor, alpha: number): Tensor {
  return quickGeluOp([x], { alpha: { float: alpha } })[0]!;
}

const geluOp = defineOp({
  onnx: "Gelu",
  domain: "",
  infer: inferFloat("gelu"),
  gradient: ({ inputs: [x], gradOutputs: [dy], attrs }) => [
    mul(dy!, attrs["approximate"] === "tanh" ? geluTanhSlope(x!) : geluErfSlope(x!)),
  ],
});

/** Gaussian error linear unit; `"tanh"` is the approximation that PyTorch calls `gelu_pytorch_tanh`. */
export function gelu(x: Tensor, approximate: "none" | "tanh"): Tensor {
  return geluOp([x], { approximate })[0]!;
}

/** Phi(x) + x phi(x), phi the standard normal density. */
function geluErfSlope(x: Tensor): Tensor {
  const half = scalar(x, 0.5);
  const cumulative = mul(half, add(scalar(x, 1), erf(mul(x, scalar(x, Math.SQRT1_2)))));
  const density = mul(scalar(x, 1 / Math.sqrt(2 * Math.PI)), exp(neg(mul(half, mul(x, x)))));
  return add(cumulative, mul(x, density));
}

/** With u = c (x + 0.044715 x^3), t = tanh(u): (1 + t)/2 + x (1 - t^2) c (1 + 3 * 0.044715 x^2) / 2. */
function geluTanhSlope(x: Tensor): Tensor {
  const c = scalar(x, Math.sqrt(2 / Math.PI));
  const one = scalar(x, 1);
  const half = scalar(x, 0.5);
  const square = mul(x, x);
  const t = tanh(mul(c, mul(x, add(one, mul(scalar(x, 0.044715), square)))));
  const slope = mul(c, add(one, mul(scalar(x, 3 * 0.044715), square)));
  return add(mul(half, add(one, t)), mul(half, mul(x, mul(sub(one, mul(t, t)), slope))));
}

/** The way back from `DTYPE_CODE`. */
const DTYPE_OF_CODE: Readonly<Record<number, DType>> = Object.fromEntries(
  Object.entries(DTYPE_CODE).map(([dtype, code]) => [code, dtype as DType]),
);

const castOp = defineOp({
  onnx: "Cast",
  domain: "",
  infer: (inputs, attrs) => [
    { dtype: DTYPE_OF_CODE[intAttr(attrs, "to", 0)]!, shape: required(inputs, 0, "cast").shape },
  ],
  gradient: ({ inputs: [x], gradOutputs: [dy] }) => [isFloat(x!.dtype) ? cast(dy!, x!.dtype) : undefined],
});

/** `x` in another element type; a cast to its own type is `x` itself. */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : castOp([x], { to: DTYPE_CODE[dtype] } satisfies Attributes)[0]!;
}
