import type { DType } from "../dtype.ts";
import { formatShape, type Shape } from "../shape.ts";
import type { Graph } from "./graph.ts";
import type { GradientRule, OpRecord } from "./op.ts";

/** A value in a graph: known dtype and shape, no numbers. It belongs to exactly one graph. */
export interface Tensor {
  readonly graph: Graph;
  /** Unique in its graph; graph inputs and initialisers keep the name they were given. */
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** A one-element tensor as an attribute. */
export interface TensorAttribute {
  readonly dtype: DType;
  readonly value: number;
}

/**
 * Attribute of a node, as ONNX has them; a plain number is an integer. A name that starts with `$` is our own: shape
 * inference and printing read it, the file does not hold it.
 */
export type Attribute = number | string | readonly number[] | { readonly float: number } | TensorAttribute;
export type Attributes = Readonly<Record<string, Attribute>>;

/** One operator applied once. A hole in `inputs` is an optional input left out. */
export interface Node {
  readonly op: OpRecord;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly attrs: Attributes;
  readonly outputs: readonly Tensor[];
  /** The scope that was open when the node was made, such as `layers.3.self_attn`. */
  readonly scope: string;
  /** The innermost `Graph.block` that was open, if any: nodes of one number may be computed again in the backward pass. */
  readonly block: number | undefined;
  /** The operator's rule, or the one this node was given instead. */
  readonly gradient: GradientRule | "none";
}

/** Constant bytes, given when they are written and not before, so that a large model is never held whole. */
export interface Initializer {
  readonly tensor: Tensor;
  readonly sizeBytes: number;
  /** Little-endian row-major bytes; called once per serialisation. */
  readonly bytes: () => Uint8Array;
  /** The numbers of a small constant, so that they are part of a graph's printed text. */
  readonly values?: readonly number[];
}

/** `float32[batch, seq, 64]` */
export function describe(tensor: Tensor | undefined): string {
  return tensor === undefined ? "-" : `${tensor.dtype}${formatShape(tensor.shape)}`;
}
