import { ShapeError } from "../errors.ts";
import type { DType } from "../dtype.ts";
import type { Shape } from "../shape.ts";
import type { Graph } from "./graph.ts";
import { describe, type Attributes, type Tensor } from "./tensor.ts";

/** dtype and shape of one output. */
export interface Inferred {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** What a gradient rule may look at. */
export interface GradientContext {
  readonly inputs: readonly (Tensor | undefined)[];
  readonly outputs: readonly Tensor[];
  /** dL/d(output), one per output; `undefined` where no gradient arrives. */
  readonly gradOutputs: readonly (Tensor | undefined)[];
  readonly attrs: Attributes;
}

/** dL/d(input) per input, in the inputs' own shapes and dtypes; `undefined` only for inputs that are not floats. */
export type GradientRule = (context: GradientContext) => readonly (Tensor | undefined)[];

/**
 * Everything the project knows of one ONNX operator. `gradient` is required: an operator that cannot be
 * differentiated, or that nobody has needed to, says `"none"`, so that a forgotten rule does not compile.
 */
export interface OpRecord {
  /** ONNX operator name. */
  readonly onnx: string;
  /** `""` is ONNX itself. */
  readonly domain: "" | "com.microsoft";
  /** dtype and shape of each output. @throws {ShapeError} for inputs that do not fit; `apply` adds inputs and scope */
  readonly infer: (inputs: readonly (Tensor | undefined)[], attrs: Attributes) => readonly Inferred[];
  readonly gradient: GradientRule | "none";
  /** How many outputs ONNX always wants; those after are written only where something reads them. @default all */
  readonly requiredOutputs?: number;
}

const registry = new Map<string, OpRecord>();

/** Every operator by ONNX name, the parity test's table of contents. */
export function registeredOps(): ReadonlyMap<string, OpRecord> {
  return registry;
}

/** Enters an operator in the table, once. */
export function registerOp(record: OpRecord): OpRecord {
  if (registry.has(record.onnx)) throw new Error(`internal: operator ${record.onnx} is defined twice`);
  registry.set(record.onnx, record);
  return record;
}

/** Applies an operator; `gradient` stands in for the record's rule at this one node. */
export type ApplyOp = (
  inputs: readonly (Tensor | undefined)[],
  attrs?: Attributes,
  gradient?: GradientRule,
) => readonly Tensor[];

/** Registers an operator; the result applies it. */
export function defineOp(record: OpRecord): ApplyOp {
  registerOp(record);
  return (inputs, attrs = {}, gradient) => apply(record, inputs, attrs, gradient);
}

/** Adds a node of `record` to the graph of its inputs. */
export function apply(
  record: OpRecord,
  inputs: readonly (Tensor | undefined)[],
  attrs: Attributes,
  gradient?: GradientRule,
): readonly Tensor[] {
  const first = inputs.find((input) => input !== undefined);
  if (first === undefined) throw new Error(`internal: ${record.onnx} has no input to tell its graph`);
  const stranger = inputs.find((input) => input !== undefined && input.graph !== first.graph);
  if (stranger !== undefined)
    throw new ShapeError(
      `${record.onnx}: ${stranger.name} and ${first.name} belong to different graphs${scopeNote(first.graph)}`,
    );
  try {
    return first.graph.addNode(record, inputs, attrs, record.infer(inputs, attrs), { gradient });
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new ShapeError(`${error.message}; inputs: ${inputs.map(describe).join(", ")}${scopeNote(first.graph)}`, {
      cause: error,
    });
  }
}

/** ` (in layers.3.self_attn)`: where building stands, for the end of an error. */
export function scopeNote(graph: Graph): string {
  return graph.scopePath === "" ? "" : ` (in ${graph.scopePath})`;
}

/** The input at `index`, which the operator requires. */
export function required(inputs: readonly (Tensor | undefined)[], index: number, what: string): Tensor {
  const input = inputs[index];
  if (input === undefined) throw new ShapeError(`${what}: input ${index} is missing`);
  return input;
}

/** Throws unless all given tensors share one dtype. */
export function sameDtype(what: string, ...tensors: readonly (Tensor | undefined)[]): DType {
  const present = tensors.filter((tensor) => tensor !== undefined);
  const dtype = present[0]!.dtype;
  const other = present.find((tensor) => tensor.dtype !== dtype);
  if (other !== undefined) throw new ShapeError(`${what}: dtypes differ: ${dtype} against ${other.dtype}`);
  return dtype;
}

/** A whole-number attribute with its default. */
export function intAttr(attrs: Attributes, name: string, fallback: number): number {
  const value = attrs[name];
  return typeof value === "number" ? value : fallback;
}

/** A list-of-numbers attribute that must be there. */
export function intsAttr(attrs: Attributes, name: string): readonly number[] {
  const value = attrs[name];
  if (!Array.isArray(value)) throw new Error(`internal: attribute ${name} is not a list`);
  return value as readonly number[];
}

/** A float attribute with its default. */
export function floatAttr(attrs: Attributes, name: string, fallback: number): number {
  const value = attrs[name];
  return typeof value === "object" && "float" in value ? value.float : fallback;
}
