import { ShapeError } from "../../errors.ts";
import type { DType } from "../../dtype.ts";
import { addDims, formatShape, multiplyDims, normalizeAxis, parseShape, type Dim, type Shape } from "../../shape.ts";
import type { Graph } from "../graph.ts";
import { defineOp, intAttr, intsAttr, required, sameDtype, scopeNote } from "../op.ts";
import type { Tensor, TensorAttribute } from "../tensor.ts";

const shapeOp = defineOp({
  onnx: "Shape",
  domain: "",
  infer: (inputs, attrs) => {
    const [start, end] = [intAttr(attrs, "start", 0), intAttr(attrs, "end", 0)];
    const { shape } = required(inputs, 0, "shape");
    if (start < 0 || start > end || end > shape.length)
      throw new ShapeError(`shape: axes ${start} to ${end} are not in ${formatShape(shape)}`);
    return [{ dtype: "int64", shape: [end - start] }];
  },
  gradient: "none",
});

/** Extents `start` to `end` of `x` as an int64 vector, read at run time. */
export function shapeOf(x: Tensor, start: number, end: number): Tensor {
  return shapeOp([x], { start, end })[0]!;
}

/**
 * The extent `dim` as an int64 vector of length 1, read at run time from a graph input, or else from one of `near`.
 * Inputs first: they live through the whole run anyway.
 */
export function extent(what: string, graph: Graph, dim: Dim, near: readonly Tensor[]): Tensor {
  if (typeof dim === "number") return graph.constant("int64", [dim], [1]);
  const source = [...graph.inputs, ...near].find(({ shape }) => shape.includes(dim));
  if (source === undefined)
    throw new ShapeError(`${what}: no graph input has an axis of extent ${dim}${scopeNote(graph)}`);
  const axis = source.shape.indexOf(dim);
  return shapeOf(source, axis, axis + 1);
}

const reshapeOp = defineOp({
  onnx: "Reshape",
  domain: "",
  infer: (inputs, attrs) => [
    { dtype: required(inputs, 0, "reshape").dtype, shape: parseShape(attrs["$to"] as string) },
  ],
  gradient: ({ inputs: [x], gradOutputs: [dy] }) => [reshapeLike(dy!, x!.shape, x), undefined],
});

/**
 * Same elements, another shape. Named extents are allowed wherever the operator can be told them: copied from the
 * same axis, left to be inferred (once), or read from a graph input that has them. None of them may be 0 at run time:
 * ONNX reads 0 as "copy".
 * @throws {ShapeError} when the counts of elements differ, or an extent cannot be told
 */
export function reshape(x: Tensor, to: Shape): Tensor {
  if (multiplyDims(...x.shape) !== multiplyDims(...to))
    throw new ShapeError(
      `reshape: ${formatShape(x.shape)} has other elements than ${formatShape(to)}${scopeNote(x.graph)}`,
    );
  return reshapeLike(x, to);
}

/**
 * `reshape` without the check of element counts, for gradients whose extents are equal but named otherwise.
 * @param near where extents that no graph input has are read: a tensor of the shape wanted, or `x`
 */
export function reshapeLike(x: Tensor, to: Shape, near: Tensor = x): Tensor {
  if (formatShape(x.shape) === formatShape(to)) return x;
  const $to = to.join(",");
  // ONNX's codes: 0 copies the extent at the same axis, -1 (once) is inferred.
  const codes = to.map((dim, axis) => (typeof dim === "number" ? dim : x.shape[axis] === dim ? 0 : -1));
  if (codes.filter((code) => code === -1).length <= 1 && !to.includes(0))
    return reshapeOp([x, x.graph.constant("int64", codes, [to.length])], { $to })[0]!;
  const known = [...x.graph.inputs, near].flatMap(({ shape }) => shape);
  const unknown = to.findIndex((dim) => typeof dim === "string" && !known.includes(dim));
  const parts = to.map((dim, axis) =>
    axis === unknown ? x.graph.constant("int64", [-1], [1]) : extent("reshape", x.graph, dim, [near]),
  );
  return reshapeOp([x, concat(parts, 0)], { $to })[0]!;
}

const transposeOp = defineOp({
  onnx: "Transpose",
  domain: "",
  infer: (inputs, attrs) => {
    const x = required(inputs, 0, "transpose");
    const perm = intsAttr(attrs, "perm");
    if (
      perm.length !== x.shape.length ||
      new Set(perm).size !== perm.length ||
      perm.some((axis) => x.shape[axis] === undefined)
    )
      throw new ShapeError(`transpose: [${perm.join(", ")}] is no permutation of ${x.shape.length} axes`);
    return [{ dtype: x.dtype, shape: perm.map((axis) => x.shape[axis]!) }];
  },
  gradient: ({ gradOutputs: [dy], attrs }) => {
    const perm = intsAttr(attrs, "perm");
    return [
      transpose(
        dy!,
        perm.map((_, axis) => perm.indexOf(axis)),
      ),
    ];
  },
});

/** Axes in the order of `perm`. */
export function transpose(x: Tensor, perm: readonly number[]): Tensor {
  return transposeOp([x], { perm })[0]!;
}

const concatOp = defineOp({
  onnx: "Concat",
  domain: "",
  infer: (inputs, attrs) => {
    const first = required(inputs, 0, "concat");
    const axis = normalizeAxis(intAttr(attrs, "axis", 0), first.shape.length, "concat");
    for (const input of inputs) {
      const clash =
        input!.shape.length !== first.shape.length ||
        input!.shape.some((dim, i) => i !== axis && dim !== first.shape[i]);
      if (clash)
        throw new ShapeError(
          `concat: ${formatShape(first.shape)} and ${formatShape(input!.shape)} differ off axis ${axis}`,
        );
    }
    const total = addDims(...inputs.map((input) => input!.shape[axis]!));
    return [{ dtype: sameDtype("concat", ...inputs), shape: first.shape.map((dim, i) => (i === axis ? total : dim)) }];
  },
  gradient: ({ inputs, gradOutputs: [dy], attrs }) => {
    const axis = normalizeAxis(intAttr(attrs, "axis", 0), dy!.shape.length, "concat");
    const parts = inputs.map((input) => input!);
    return split(
      dy!,
      parts.map(({ shape }) => shape[axis]!),
      axis,
      parts,
    );
  },
});

/** Joins tensors along `axis`. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  return tensors.length === 1 ? tensors[0]! : concatOp(tensors, { axis })[0]!;
}

const splitOp = defineOp({
  onnx: "Split",
  domain: "",
  infer: (inputs, attrs) => {
    const x = required(inputs, 0, "split");
    const axis = normalizeAxis(intAttr(attrs, "axis", 0), x.shape.length, "split");
    return (attrs["$sizes"] as string).split(",").map((part) => ({
      dtype: x.dtype,
      shape: x.shape.map((dim, i) => (i !== axis ? dim : /^\d+$/.test(part) ? Number(part) : part)),
    }));
  },
  // A part that nothing depends on gets no gradient of its own: zeros of its shape.
  gradient: ({ outputs, gradOutputs, attrs }) => [
    concat(
      outputs.map((part, i) => gradOutputs[i] ?? filledLike(part, part.dtype, 0)),
      intAttr(attrs, "axis", 0),
    ),
    undefined,
  ],
});

/**
 * Cuts along `axis` into parts of the given extents; named ones are read at run time.
 * @param near tensors from which extents that no graph input has are read
 */
export function split(x: Tensor, sizes: readonly Dim[], axis: number, near: readonly Tensor[] = []): readonly Tensor[] {
  const at = normalizeAxis(axis, x.shape.length, "split");
  if (addDims(...sizes) !== x.shape[at])
    throw new ShapeError(
      `split: parts ${sizes.join(" + ")} do not make up axis ${at} of ${formatShape(x.shape)}${scopeNote(x.graph)}`,
    );
  if (sizes.length === 1) return [x];
  const lengths = sizes.every((size) => typeof size === "number")
    ? x.graph.constant("int64", sizes, [sizes.length])
    : concat(
        sizes.map((size) => extent("split", x.graph, size, near)),
        0,
      );
  return splitOp([x, lengths], { axis: at, $sizes: sizes.join(",") });
}

const filledOp = defineOp({
  onnx: "ConstantOfShape",
  domain: "",
  infer: (_inputs, attrs) => [
    { dtype: (attrs["value"] as TensorAttribute).dtype, shape: parseShape(attrs["$to"] as string) },
  ],
  // A constant: what the extents are read from does not change its numbers.
  gradient: () => [undefined],
});

/** A tensor of the extents of `like` (its first `axes` of them), filled with `value`. */
export function filledLike(like: Tensor, dtype: DType, value: number, axes: number = like.shape.length): Tensor {
  const to = like.shape.slice(0, axes);
  return filledOp([shapeOf(like, 0, axes)], { value: { dtype, value }, $to: to.join(",") })[0]!;
}
