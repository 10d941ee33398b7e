import { ShapeError } from "./errors.ts";

/**
 * One extent: a number, or a product of a number and named extents written `"2*batch*seq"` with the names sorted.
 * A sum is a name of its own in parentheses, `"(past+seq)"`. Equal text means equal extent.
 */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** `[batch, seq, 64]` */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Splits at `*` outside parentheses. */
function factors(dim: Dim): { coefficient: number; names: string[] } {
  if (typeof dim === "number") return { coefficient: dim, names: [] };
  let coefficient = 1;
  const names: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= dim.length; i++) {
    const char = dim[i];
    if (char === "(") depth++;
    if (char === ")") depth--;
    if (i < dim.length && (char !== "*" || depth > 0)) continue;
    const factor = dim.slice(start, i);
    if (/^\d+$/.test(factor)) coefficient *= Number(factor);
    else names.push(factor);
    start = i + 1;
  }
  return { coefficient, names: names.sort() };
}

function fromFactors(coefficient: number, names: readonly string[]): Dim {
  if (names.length === 0) return coefficient;
  const sorted = [...names].sort();
  return coefficient === 1 ? sorted.join("*") : `${coefficient}*${sorted.join("*")}`;
}

/** Product of extents in canonical form: `("seq", 2, "batch")` gives `"2*batch*seq"`. */
export function multiplyDims(...dims: readonly Dim[]): Dim {
  let coefficient = 1;
  const names: string[] = [];
  for (const dim of dims) {
    const part = factors(dim);
    coefficient *= part.coefficient;
    names.push(...part.names);
  }
  return coefficient === 0 ? 0 : fromFactors(coefficient, names);
}

/** Exact quotient, or `undefined` where `divisor` does not divide `dim` symbolically. */
export function divideDims(dim: Dim, divisor: Dim): Dim | undefined {
  const a = factors(dim);
  const b = factors(divisor);
  if (b.coefficient === 0 || a.coefficient % b.coefficient !== 0) return undefined;
  const names = [...a.names];
  for (const name of b.names) {
    const at = names.indexOf(name);
    if (at < 0) return undefined;
    names.splice(at, 1);
  }
  return fromFactors(a.coefficient / b.coefficient, names);
}

/** Sum of extents; symbolic sums are names in parentheses. */
export function addDims(...dims: readonly Dim[]): Dim {
  const numbers = dims.filter((dim) => typeof dim === "number").reduce((sum, dim) => sum + dim, 0);
  const symbols = dims.filter((dim) => typeof dim === "string");
  if (symbols.length === 0) return numbers;
  if (symbols.length === 1 && numbers === 0) return symbols[0]!;
  return `(${[...symbols, ...(numbers === 0 ? [] : [numbers])].join("+")})`;
}

/** The named extents that occur in `dim`; a sum counts as one name. */
export function namesIn(dim: Dim): readonly string[] {
  return factors(dim).names;
}

/** Shape of an elementwise result under NumPy broadcasting; `what` opens the error. */
export function broadcastShapes(a: Shape, b: Shape, what: string): Shape {
  const rank = Math.max(a.length, b.length);
  const out: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1)
      throw new ShapeError(`${what}: cannot broadcast ${formatShape(a)} with ${formatShape(b)}: ${x} against ${y}`);
    out.push(x === 1 ? y : x);
  }
  return out;
}

/** Non-negative axis, or a ShapeError naming the operator. */
export function normalizeAxis(axis: number, rank: number, what: string): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= rank)
    throw new ShapeError(`${what}: axis ${axis} is outside a tensor of rank ${rank}`);
  return positive;
}
