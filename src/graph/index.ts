export { Graph } from "./graph.ts";
export type { Attribute, Attributes, Initializer, Node, Tensor, TensorAttribute } from "./tensor.ts";
export {
  defineOp,
  registeredOps,
  type GradientContext,
  type GradientRule,
  type Inferred,
  type OpRecord,
} from "./op.ts";
export * from "./ops/attention.ts";
export * from "./ops/elementwise.ts";
export * from "./ops/indexing.ts";
export * from "./ops/linalg.ts";
export { concat, filledLike, reshape, reshapeLike, shapeOf, split, transpose } from "./ops/movement.ts";
export * from "./ops/normalization.ts";
export * from "./ops/quantized.ts";
export { expand, reduceMax, reduceSum, reduceToShape, repeat } from "./ops/reduction.ts";
export * from "./ops/rotary.ts";
export { gradients } from "./gradient.ts";
export { print } from "./print.ts";
export { validate } from "./validate.ts";
export { serialize, type ExternalData } from "./onnx.ts";
