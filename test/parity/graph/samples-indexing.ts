/** Samples of operators that pick and place rows. */
import { gather, gradients, mul, rearrange, reshape, scatterAdd } from "../../../src/graph/index.ts";
import { sizes, type Sample } from "./differences.ts";

export const gathers: Sample[] = [
  {
    title: "repeated rows",
    inputs: { ...sizes([4, 3]), at: { shape: [5], dtype: "int64", values: [1, 3, 1, 1, 0] } },
    build: ({ x, at }) => [gather(x!, at!)],
  },
  {
    title: "int32 indices from the end",
    inputs: { ...sizes([4, 3]), at: { shape: [3], dtype: "int32", values: [-1, 2, -1] } },
    build: ({ x, at }) => [gather(x!, at!)],
  },
  {
    title: "a matrix of rows of matrices",
    inputs: { ...sizes([3, 2, 2]), at: { shape: [2, 2], dtype: "int64", values: [2, 0, 2, 2] } },
    build: ({ x, at }) => [gather(x!, at!)],
  },
  {
    title: "entries of a vector",
    inputs: { ...sizes([4]), at: { shape: [3], dtype: "int64", values: [1, 1, 3] } },
    build: ({ x, at }) => [gather(x!, at!)],
  },
  {
    title: "named extents",
    inputs: {
      ...sizes(["rows", "width"]),
      at: { shape: ["segments", "length"], dtype: "int64", values: [0, 1, 2, 2, 1, 0] },
    },
    dims: { rows: 3, width: 2, segments: 3, length: 2 },
    build: ({ x, at }) => [gather(x!, at!)],
  },
];

/** Two segments of three and two rows in slots of three; slot 5 is padding, and its gradient must not be looked at. */
export const rearranged: Sample[] = [
  {
    title: "rows into padded slots and back, by the inverse",
    inputs: {
      ...sizes([5, 2], [6, 1]),
      slots: { shape: [2, 3], dtype: "int32", values: [4, 0, 2, 1, 3, 0] },
      places: { shape: [5], dtype: "int32", values: [1, 3, 2, 4, 0] },
    },
    build: ({ x, y, slots, places }, graph) => {
      const inSlots = reshape(rearrange(x!, slots!, places!), [6, 2]);
      const filled = graph.constant(x!.dtype, [1, 1, 1, 1, 1, 0], [6, 1]);
      const mixed = mul(mul(inSlots, y!), filled);
      return [rearrange(mixed, places!, reshape(slots!, [6]))];
    },
  },
];

export const scatters: Sample[] = [
  {
    title: "repeated rows",
    inputs: { ...sizes([4, 3], [5, 3]), at: { shape: [5], dtype: "int64", values: [1, 3, 1, 1, 0] } },
    build: ({ x, y, at }) => [scatterAdd(x!, at!, y!)],
  },
  {
    title: "a matrix of rows of matrices",
    inputs: { ...sizes([3, 2, 2], [2, 2, 2, 2]), at: { shape: [2, 2], dtype: "int64", values: [2, 0, 2, 2] } },
    build: ({ x, y, at }) => [scatterAdd(x!, at!, y!)],
  },
  {
    title: "entries of a vector",
    inputs: { ...sizes([4], [3]), at: { shape: [3], dtype: "int64", values: [1, 1, 3] } },
    build: ({ x, y, at }) => [scatterAdd(x!, at!, y!)],
  },
];

/** Has no builder of its own: it is the gradient of `scatterAdd`'s updates. */
export const gatherElements: Sample[] = [
  {
    title: "repeated rows, as the second derivative of a square",
    inputs: { ...sizes([4, 3], [5, 3]), at: { shape: [5], dtype: "int64", values: [1, 3, 1, 1, 0] } },
    build: ({ x, y, at }) => {
      const sum = scatterAdd(x!, at!, y!);
      return gradients(sum, [y!], { gradOutput: sum });
    },
  },
];
