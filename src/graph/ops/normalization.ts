import { ShapeError } from "../../errors.ts";
import { isFloat } from "../../dtype.ts";
import { formatShape, multiplyDims, normalizeAxis } from "../../shape.ts";
import { defineOp, floatAttr, intAttr, required, sameDtype, type Inferred } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { add, cast, div, exp, mul, scalar, sqrt, sub } from "./elementwise.ts";
import { gemm, matMul } from "./linalg.ts";
import { reshape, reshapeLike } from "./movement.ts";
import { axesOf, keptShape, reducer, reduceSum, reduceToShape } from "./reduction.ts";

const softmaxOp = defineOp({
  onnx: "Softmax",
  domain: "",
  infer: (inputs, attrs) => {
    const x = required(inputs, 0, "softmax");
    if (!isFloat(x.dtype)) throw new ShapeError(`softmax: needs a float tensor, got ${x.dtype}`);
    normalizeAxis(intAttr(attrs, "axis", -1), x.shape.length, "softmax");
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  // dL/dx = y (dL/dy - sum over axis(y dL/dy))
  gradient: ({ outputs: [y], gradOutputs: [dy], attrs }) => {
    const weighted = mul(y!, dy!);
    return [sub(weighted, mul(y!, reduceSum(weighted, [intAttr(attrs, "axis", -1)])))];
  },
});

/** Softmax over the last axis. */
export function softmax(x: Tensor): Tensor {
  return softmaxOp([x], { axis: -1 })[0]!;
}

/** `log(sum(e^x))` over `axes`, without overflow; kept as extents of 1 unless `keepDims` is false. */
export const reduceLogSumExp: (x: Tensor, axes: readonly number[], keepDims?: boolean) => Tensor = reducer(
  "ReduceLogSumExp",
  // d/dx = e^(x - y): the softmax
  ({ inputs: [x], outputs: [y], gradOutputs: [dy], attrs }) => {
    const kept = keptShape(x!, axesOf(x!, attrs, "reduceLogSumExp"));
    return [mul(exp(sub(x!, reshapeLike(y!, kept))), reshapeLike(dy!, kept)), undefined];
  },
);

function inferNorm(what: string) {
  return (inputs: readonly (Tensor | undefined)[]): readonly Inferred[] => {
    const x = required(inputs, 0, what);
    const hidden = x.shape.at(-1);
    if (typeof hidden !== "number")
      throw new ShapeError(
        `${what}: the last axis of ${formatShape(x.shape)} must be a number, the mean divides by it`,
      );
    for (const [name, tensor] of Object.entries({ weight: required(inputs, 1, what), bias: inputs[2] }))
      if (tensor !== undefined && (tensor.shape.length !== 1 || tensor.shape[0] !== hidden))
        throw new ShapeError(
          `${what}: ${name} is ${formatShape(tensor.shape)}, expected [${hidden}] as the last axis of ${formatShape(x.shape)}`,
        );
    return [{ dtype: sameDtype(what, ...inputs), shape: x.shape }];
  };
}

/** mean over the last axis, whose extent is a number. */
function meanLast(x: Tensor): Tensor {
  return mul(reduceSum(x, [-1]), scalar(x, 1 / (x.shape.at(-1) as number)));
}

const rmsNormOp = defineOp({
  onnx: "SimplifiedLayerNormalization",
  domain: "",
  requiredOutputs: 1,
  infer: (inputs) => {
    const [normed] = inferNorm("rmsNorm")(inputs);
    // The second output, r, is there for the way back; ORT has it in float32 whatever the dtype.
    return [normed!, { dtype: "float32", shape: [...normed!.shape.slice(0, -1), 1] }];
  },
  // With r = 1/sqrt(mean(x^2) + eps): dx = r w dy - x r^3 mean(x w dy), dw = sum over rows(r x dy). Both sums are products
  // of x dy with a vector, so that five passes over memory are made and not nine.
  gradient: ({ inputs: [x, weight], outputs: [, r], gradOutputs: [dy] }) => {
    const hidden = weight!.shape[0] as number;
    const rows = multiplyDims(...x!.shape.slice(0, -1));
    const flat = (tensor: Tensor, width: number): Tensor => reshapeLike(tensor, [rows, width], tensor);
    const [x2, dy2, r2] = [flat(x!, hidden), flat(dy!, hidden), flat(cast(r!, x!.dtype), 1)];
    const product = mul(x2, dy2);
    const mean = mul(matMul(product, reshape(weight!, [hidden, 1])), scalar(x!, 1 / hidden));
    const cube = mul(r2, mul(r2, r2));
    const dx = sub(mul(mul(dy2, weight!), r2), mul(x2, mul(cube, mean)));
    const dw = gemm(r2, product, { transA: true });
    return [reshapeLike(dx, x!.shape, x), reshape(dw, [hidden])];
  },
});

/**
 * Root-mean-square normalisation over the last axis: `y = x / sqrt(mean(x^2) + eps) * weight`.
 * Zhang & Sennrich 2019, arXiv:1910.07467; `eps` inside the root follows the Hugging Face code.
 * @param x `[..., hidden]`
 * @param weight `[hidden]`
 * @returns shape and dtype of `x`
 * @throws {ShapeError} when the last axis of `x` differs from `weight`
 */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  return rmsNormOp([x, weight], { axis: -1, epsilon: { float: eps }, stash_type: 1 })[0]!;
}

const layerNormOp = defineOp({
  onnx: "LayerNormalization",
  domain: "",
  infer: inferNorm("layerNorm"),
  // As rmsNorm on centred x: dx = (g - mean(g) - n mean(g n)) / sigma, dw = sum(dy n), db = sum(dy)
  gradient: ({ inputs: [x, weight, bias], gradOutputs: [dy], attrs }) => {
    const centred = sub(x!, meanLast(x!));
    const sigma = sqrt(add(meanLast(mul(centred, centred)), scalar(x!, floatAttr(attrs, "epsilon", 1e-5))));
    const normed = div(centred, sigma);
    const g = mul(dy!, weight!);
    const dx = div(sub(sub(g, meanLast(g)), mul(normed, meanLast(mul(g, normed)))), sigma);
    return [dx, reduceToShape(mul(dy!, normed), weight!), bias === undefined ? undefined : reduceToShape(dy!, bias)];
  },
});

/**
 * Layer normalisation over the last axis with weight and bias. Ba et al. 2016, arXiv:1607.06450.
 * @param x `[..., hidden]`
 * @param weight `[hidden]`
 * @param bias `[hidden]`
 * @returns shape and dtype of `x`
 * @throws {ShapeError} when the last axis of `x` differs from `weight` or `bias`
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor {
  return layerNormOp([x, weight, bias], { axis: -1, epsilon: { float: eps }, stash_type: 1 })[0]!;
}
