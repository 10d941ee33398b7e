/** What the vision towers of the three families share. */
import { multiplyDims, type Dim } from "../shape.ts";
import { gemm, mul, reshape, rotaryEmbedding, scalar, split, type Graph, type Tensor } from "../graph/index.ts";
import { floats, type Feeds } from "../host-tensor.ts";
import { packedAttention, segmentAttention, type Segments } from "../nn/attention.ts";
import type { Weights } from "../nn/weights.ts";
import type { Grid } from "../input/patches.ts";
import type { RowAttention, TowerParts, VisionTower } from "./family.ts";
import { packedFeeds, packedInputs } from "./packed.ts";
import { anglesOf, inverseFrequencies } from "./rope.ts";

/** Base of the vision towers' rotary frequencies in all three families. */
const VISION_ROPE_THETA = 10_000;

/** Graph inputs every tower has: angles `[patches, headDim/2]`. */
export interface VisionAngles {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** The number of patches as an extent: a whole number of merge groups, each of which becomes one token. */
export function patchRows(merge: number): Dim {
  return multiplyDims(merge * merge, "tokens");
}

/** Declares `patches [patches, columns]` and gives the patch embeddings `[patches, hidden]`. */
export function patchEmbedding(graph: Graph, weights: Weights, merge: number, columns: number, hidden: number): Tensor {
  const patches = graph.input("patches", "float32", [patchRows(merge), columns]);
  const embed = weights.scope("patch_embed.proj");
  // The convolution's stride is its kernel, so on patches laid out as rows it is a matrix product.
  const kernel = embed.get("weight", [hidden, columns]);
  const bias = embed.has("bias") ? embed.get("bias") : undefined;
  return gemm(patches, kernel, { transB: true, bias });
}

/** Declares `cos`, `sin` `[patches, headDim/2]`. */
export function visionAngles(graph: Graph, merge: number, headDim: number): VisionAngles {
  const shape = [patchRows(merge), headDim / 2];
  return { cos: graph.input("cos", "float32", shape), sin: graph.input("sin", "float32", shape) };
}

/** A tower with its two kinds of graph: fused attention to run, plain products to train. */
export function towerOf(parts: TowerParts): VisionTower {
  const { patchSize, temporalPatchSize, merge, deepstackCount, heads, segments } = parts;
  const sets = Object.entries(segments);
  const perHead = { heads, kvHeads: heads };
  return {
    patchSize,
    temporalPatchSize,
    merge,
    deepstackCount,
    build: (graph, weights) =>
      parts.emit(
        graph,
        weights,
        once((set) => {
          const inputs = segmentInputs(graph, set, merge, segments[set]!.padded);
          return (q, k, v) => segmentAttention(q, k, v, inputs, heads);
        }),
      ),
    feeds: (grids) =>
      Object.assign(
        { ...parts.positionFeeds(grids) },
        ...sets.map(([name, { members, padded }]) => segmentFeeds(name, members(grids), padded)),
      ) as Feeds,
    buildForTraining: (graph, weights) =>
      parts.emit(
        graph,
        weights,
        once((set) => {
          const layout = packedInputs(graph, set, [set], patchRows(merge), "all", perHead);
          return (q, k, v) => {
            const headDim = (q.shape[1] as number) / heads;
            return packedAttention(mul(q, scalar(q, headDim ** -0.5)), k, v, layout, { ...perHead, headDim });
          };
        }),
      ),
    trainingFeeds: (grids) =>
      Object.assign(
        { ...parts.positionFeeds(grids) },
        ...sets.map(([name, { members }]) =>
          packedFeeds(name, [{ name, segments: members(grids).map((rows) => ({ rows })) }], "all", perHead),
        ),
      ) as Feeds,
  };
}

/** Attention over each set, its inputs declared once. */
function once(make: (set: string) => RowAttention): (set: string) => RowAttention {
  const made = new Map<string, RowAttention>();
  return (set) => {
    const known = made.get(set) ?? make(set);
    made.set(set, known);
    return known;
  };
}

/** Declares `name.slots`, `name.places` and, when padded, `name.lengths`. */
function segmentInputs(graph: Graph, name: string, merge: number, padded: boolean): Segments {
  const count = `${name}_segments`;
  const length = `${name}_length`;
  return {
    slots: graph.input(`${name}.slots`, "int64", [count, length]),
    places: graph.input(`${name}.places`, "int64", [patchRows(merge)]),
    lengths: padded ? graph.input(`${name}.lengths`, "int32", [count]) : undefined,
  };
}

/** Self-attention with a joint qkv projection: `[patches, hidden]` in and out. */
export function visionAttention(
  x: Tensor,
  weights: Weights,
  angles: VisionAngles,
  attend: RowAttention,
  heads: number,
): Tensor {
  const hidden = x.shape[1] as number;
  const joint = weights.scope("qkv").linear(x);
  const [q, k, v] = split(joint, [hidden, hidden, hidden], 1) as [Tensor, Tensor, Tensor];
  const turn = (rows: Tensor): Tensor =>
    reshape(rotaryEmbedding(reshape(rows, [1, ...rows.shape]), angles.cos, angles.sin, heads), rows.shape);
  return weights.scope("proj").linear(attend(turn(q), turn(k), v));
}

/** Sees each group of `merge * merge` neighbouring patches as one row: `[patches, hidden]` -> `[tokens, merge^2 * hidden]`. */
export function mergeGroups(x: Tensor, merge: number): Tensor {
  return reshape(x, ["tokens", merge * merge * (x.shape[1] as number)]);
}

/** Row and column of every patch, in the order of patches: merge groups, row by row. */
export function patchCoordinates(grids: readonly Grid[], merge: number): { rows: Int32Array; columns: Int32Array } {
  const total = grids.reduce((sum, [time, height, width]) => sum + time * height * width, 0);
  const rows = new Int32Array(total);
  const columns = new Int32Array(total);
  let at = 0;
  for (const [time, height, width] of grids)
    for (let frame = 0; frame < time; frame++)
      for (let row = 0; row < height; row += merge)
        for (let column = 0; column < width; column += merge)
          for (let i = 0; i < merge * merge; i++, at++) {
            rows[at] = row + Math.floor(i / merge);
            columns[at] = column + (i % merge);
          }
  return { rows, columns };
}

/** Feeds `cos`, `sin`: the first half of the frequencies turns with the row, the second with the column. */
export function angleFeeds(grids: readonly Grid[], merge: number, headDim: number): Feeds {
  const { rows, columns } = patchCoordinates(grids, merge);
  const quarter = inverseFrequencies(headDim / 2, VISION_ROPE_THETA);
  const frequencies = Float32Array.from([...quarter, ...quarter]);
  const axisOf = Array.from(frequencies, (_, i) => (i < quarter.length ? 0 : 1));
  const { cos, sin } = anglesOf(frequencies, axisOf, [rows, columns]);
  const shape = [rows.length, headDim / 2];
  return { cos: floats(cos, shape), sin: floats(sin, shape) };
}

/** Feeds of `segmentInputs`: `segments` lists the patches of each segment; together they name every patch once. */
function segmentFeeds(name: string, segments: readonly (readonly number[])[], padded: boolean): Feeds {
  const length = Math.max(...segments.map((segment) => segment.length));
  const slots = new BigInt64Array(segments.length * length);
  const places = new BigInt64Array(segments.reduce((sum, segment) => sum + segment.length, 0));
  segments.forEach((segment, i) =>
    segment.forEach((patch, j) => {
      slots[i * length + j] = BigInt(patch);
      places[patch] = BigInt(i * length + j);
    }),
  );
  return {
    [`${name}.slots`]: { data: slots, shape: [segments.length, length] },
    [`${name}.places`]: { data: places, shape: [places.length] },
    ...(padded && {
      [`${name}.lengths`]: { data: Int32Array.from(segments, (segment) => segment.length), shape: [segments.length] },
    }),
  };
}

/** One segment per frame: the patches that attend to each other in a full-attention layer. */
export function frameSegments(grids: readonly Grid[]): number[][] {
  const segments: number[][] = [];
  let at = 0;
  for (const [time, height, width] of grids)
    for (let frame = 0; frame < time; frame++) {
      segments.push(Array.from({ length: height * width }, (_, i) => at + i));
      at += height * width;
    }
  return segments;
}
