import { ShapeError } from "../../errors.ts";
import { broadcastShapes, formatShape, normalizeAxis, parseShape, type Dim, type Shape } from "../../shape.ts";
import { defineOp, intAttr, intsAttr, required, type GradientRule, type Inferred } from "../op.ts";
import type { Attributes, Tensor } from "../tensor.ts";
import { concat, extent, reshapeLike, shapeOf } from "./movement.ts";

function inferReduce(what: string) {
  return (inputs: readonly (Tensor | undefined)[], attrs: Attributes): readonly Inferred[] => {
    const x = required(inputs, 0, what);
    const axes = axesOf(x, attrs, what);
    const keepDims = intAttr(attrs, "keepdims", 1) === 1;
    const shape: Dim[] = [];
    x.shape.forEach((dim, axis) => {
      if (!axes.has(axis)) shape.push(dim);
      else if (keepDims) shape.push(1);
    });
    return [{ dtype: x.dtype, shape }];
  };
}

/** The axes of a reduction over `x`, none negative. */
export function axesOf(x: Tensor, attrs: Attributes, what: string): Set<number> {
  const axes = intsAttr(attrs, "$axes");
  // ONNX reads an empty list as "all axes", NumPy as none.
  if (axes.length === 0) throw new ShapeError(`${what}: no axes given for ${formatShape(x.shape)}`);
  return new Set(axes.map((axis) => normalizeAxis(axis, x.shape.length, what)));
}

/** The shape of `x` with extents of 1 at `axes`. */
export function keptShape(x: Tensor, axes: ReadonlySet<number>): Shape {
  return x.shape.map((dim, axis) => (axes.has(axis) ? 1 : dim));
}

/** Registers a reduction; the result applies it. */
export function reducer(
  onnx: string,
  gradient: GradientRule | "none",
): (x: Tensor, axes: readonly number[], keepDims?: boolean) => Tensor {
  const what = onnx.charAt(0).toLowerCase() + onnx.slice(1);
  const op = defineOp({ onnx, domain: "", infer: inferReduce(what), gradient });
  return (x, axes, keepDims = true) =>
    op([x, x.graph.constant("int64", axes, [axes.length])], { $axes: axes, keepdims: keepDims ? 1 : 0 })[0]!;
}

/** Sum over `axes`; kept as extents of 1 unless `keepDims` is false. */
export const reduceSum: (x: Tensor, axes: readonly number[], keepDims?: boolean) => Tensor = reducer(
  "ReduceSum",
  ({ inputs: [x], gradOutputs: [dy], attrs }) => {
    const kept = keptShape(x!, axesOf(x!, attrs, "reduceSum"));
    return [expand(reshapeLike(dy!, kept), x!), undefined];
  },
);

/** Greatest entry over `axes`; stands only in front of quantisation, which takes no gradient. */
export const reduceMax: (x: Tensor, axes: readonly number[], keepDims?: boolean) => Tensor = reducer(
  "ReduceMax",
  "none",
);

/** Sums a gradient over the axes along which `like` was broadcast to its shape. */
export function reduceToShape(gradient: Tensor, like: Tensor): Tensor {
  const extra = gradient.shape.length - like.shape.length;
  const axes = gradient.shape.flatMap((dim, axis) =>
    axis < extra || (like.shape[axis - extra] === 1 && dim !== 1) ? [axis] : [],
  );
  if (axes.length === 0) return gradient;
  const summed = reduceSum(gradient, axes);
  return extra === 0 ? summed : reshapeLike(summed, like.shape);
}

const expandOp = defineOp({
  onnx: "Expand",
  domain: "",
  infer: (inputs, attrs) => {
    const x = required(inputs, 0, "expand");
    const to = parseShape(attrs["$to"] as string);
    // ONNX would broadcast both ways.
    if (formatShape(broadcastShapes(x.shape, to, "expand")) !== formatShape(to))
      throw new ShapeError(`expand: ${formatShape(x.shape)} cannot take the shape ${formatShape(to)}`);
    return [{ dtype: x.dtype, shape: to }];
  },
  gradient: ({ inputs: [x], gradOutputs: [dy] }) => [reduceToShape(dy!, x!), undefined],
});

/**
 * Repeats extents of 1 so that `x` takes the shape of `like`.
 * @throws {ShapeError} when it cannot
 */
export function expand(x: Tensor, like: Tensor): Tensor {
  if (formatShape(x.shape) === formatShape(like.shape)) return x;
  return expandOp([x, shapeOf(like, 0, like.shape.length)], { $to: like.shape.join(",") })[0]!;
}

/** `x` of extent 1 along its first axis, `count` times: `[1, ...rest]` -> `[count, ...rest]`. */
export function repeat(x: Tensor, count: Dim): Tensor {
  const { graph } = x;
  const to = [count, ...x.shape.slice(1)];
  const shape = concat([extent("repeat", graph, count, []), shapeOf(x, 1, x.shape.length)], 0);
  return expandOp([x, shape], { $to: to.join(",") })[0]!;
}
