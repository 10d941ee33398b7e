import { ShapeError } from "./errors.ts";

/**
 * One extent: a number, or a product of a number and named extents written `"2*batch*seq"` with the names sorted.
 * A sum is a name of its own in parentheses, `"(past+seq)"`, its terms sorted. Equal text means equal extent.
 */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** `[batch, seq, 64]` */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Reads back what `shape.join(",")` wrote, the form in which a target shape rides along in an attribute. */
export function parseShape(text: string): Shape {
  return text === "" ? [] : text.split(",").map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

/** Pieces of `text` between the separators that stand outside parentheses. */
function splitOutside(text: string, separator: "*" | "+"): string[] {
  const pieces: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "(") depth++;
    else if (char === ")") depth--;
    else if (char === separator && depth === 0) {
      pieces.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return [...pieces, text.slice(start)];
}

/** `"2*batch*seq"` as 2 and `batch`, `seq`; a sum counts as one name. */
function factors(dim: Dim): { coefficient: number; names: string[] } {
  if (typeof dim === "number") return { coefficient: dim, names: [] };
  const pieces = splitOutside(dim, "*");
  const numbers = pieces.filter((piece) => /^\d+$/.test(piece));
  return {
    coefficient: numbers.reduce((product, number) => product * Number(number), 1),
    names: pieces.filter((piece) => !/^\d+$/.test(piece)).sort(),
  };
}

/** `"(past+seq)"` as `past`, `seq`; anything else is one term. */
function terms(dim: Dim): Dim[] {
  if (typeof dim === "number") return [dim];
  const isSum = dim.startsWith("(") && splitOutside(dim, "*").length === 1;
  return isSum ? [...parseShape(splitOutside(dim.slice(1, -1), "+").join(","))] : [dim];
}

/** Product of extents in canonical form: `("seq", 2, "batch")` gives `"2*batch*seq"`. */
export function multiplyDims(...dims: readonly Dim[]): Dim {
  const parts = dims.map(factors);
  const coefficient = parts.reduce((product, part) => product * part.coefficient, 1);
  const names = parts.flatMap((part) => part.names).sort();
  if (coefficient === 0 || names.length === 0) return coefficient;
  return [...(coefficient === 1 ? [] : [coefficient]), ...names].join("*");
}

/** Sum of extents in canonical form, its number last: `("seq", 2, "past")` gives `"(past+seq+2)"`. */
export function addDims(...dims: readonly Dim[]): Dim {
  let constant = 0;
  const counts = new Map<string, number>();
  for (const term of dims.flatMap(terms)) {
    const { coefficient, names } = factors(term);
    const product = names.join("*");
    if (product === "") constant += coefficient;
    else counts.set(product, (counts.get(product) ?? 0) + coefficient);
  }
  const parts = [...counts.keys()].sort().map((product) => multiplyDims(counts.get(product)!, product));
  if (constant !== 0 || parts.length === 0) parts.push(constant);
  return parts.length === 1 ? parts[0]! : `(${parts.join("+")})`;
}

/**
 * The number that an extent comes to.
 * @param sizes what each name stands for
 * @throws {ShapeError} a name that is not among them
 */
export function evaluateDim(dim: Dim, sizes: Readonly<Record<string, number>>): number {
  return terms(dim).reduce<number>((sum, term) => {
    const { coefficient, names } = factors(term);
    return (
      names.reduce((product, name) => {
        const size = name.startsWith("(") ? evaluateDim(name, sizes) : sizes[name];
        if (size === undefined) throw new ShapeError(`the extent ${dim} holds ${name}, whose size is not given`);
        return product * size;
      }, coefficient) + sum
    );
  }, 0);
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
