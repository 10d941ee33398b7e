/** Rows of many sequences packed one after another, and the inputs that lay them out for `packedAttention`. */
import { addDims, type Dim } from "../shape.ts";
import { floats, type Feeds, type HostTensor } from "../host-tensor.ts";
import type { Graph } from "../graph/index.ts";
import type { PackedLayout } from "../nn/attention.ts";

/** Added to the scores of keys that are not to be looked at. */
const UNSEEN = -1e9;

/** Rows that attend to each other. */
export interface Segment {
  /** The row in each slot, in the order of the sequence. */
  readonly rows: readonly number[];
  /**
   * Slots from `to` on do not see those from `from` to before `to`: two continuations of one prompt stand one after
   * another and know nothing of each other. @default none
   */
  readonly fork?: { readonly from: number; readonly to: number } | undefined;
}

/** Segments padded to one length, under the name that their inputs begin with; a first group named `PREFIX` is a prefix. */
export interface SegmentGroup {
  readonly name: string;
  readonly segments: readonly Segment[];
}

/** Name of the group whose one segment all others begin with. */
export const PREFIX = "prefix";

/** Heads whose rows are laid out. */
interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
}

/** What a row may look at: all of its segment, or what stands before it and itself. */
type Sight = "all" | "causal";

/**
 * Declares, per group, `GROUP.slots`, `GROUP.kv_slots`, `GROUP.bias`, `GROUP.filled`, and for all `LAYOUT.places`,
 * `LAYOUT.kv_places`; the inputs for key-value heads are left out where there are as many as heads.
 * @param rows how many rows there are, as an extent
 */
export function packedInputs(
  graph: Graph,
  layout: string,
  groups: readonly string[],
  rows: Dim,
  sight: Sight,
  { heads, kvHeads }: Heads,
): PackedLayout {
  const places = graph.input(`${layout}.places`, "int32", [rows, heads]);
  const hasPrefix = groups[0] === PREFIX;
  return {
    hasPrefix,
    places,
    kvPlaces: heads === kvHeads ? places : graph.input(`${layout}.kv_places`, "int32", [rows, kvHeads]),
    groups: groups.map((group) => {
      const [count, length] = [group === PREFIX ? 1 : `${group}_segments`, `${group}_length`];
      const seen = hasPrefix && group !== PREFIX ? addDims(`${PREFIX}_length`, length) : length;
      const slots = graph.input(`${group}.slots`, "int32", [count, heads, length]);
      return {
        count,
        length,
        slots,
        kvSlots: heads === kvHeads ? slots : graph.input(`${group}.kv_slots`, "int32", [count, kvHeads, length]),
        bias: graph.input(`${group}.bias`, "float32", [count, 1, sight === "all" ? 1 : length, seen]),
        filled: graph.input(`${group}.filled`, "float32", [count, 1, length, 1]),
      };
    }),
  };
}

/** Feeds of `packedInputs`. Together the segments name every row once. */
export function packedFeeds(
  layout: string,
  groups: readonly SegmentGroup[],
  sight: Sight,
  { heads, kvHeads }: Heads,
): Feeds {
  const padded = groups.map(({ name, segments }) => ({
    name,
    segments,
    length: Math.max(...segments.map(({ rows }) => rows.length)),
  }));
  const feeds: Record<string, HostTensor> = {};
  const rowCount = padded.reduce(
    (sum, { segments }) => segments.reduce((inner, { rows }) => inner + rows.length, sum),
    0,
  );
  const perHead =
    heads === kvHeads
      ? ([["", heads]] as const)
      : ([
          ["", heads],
          ["kv_", kvHeads],
        ] as const);
  for (const [prefix, headCount] of perHead) {
    const places = new Int32Array(rowCount * headCount);
    let start = 0;
    for (const { name, segments, length } of padded) {
      const slots = new Int32Array(segments.length * headCount * length);
      segments.forEach(({ rows }, segment) => {
        for (let head = 0; head < headCount; head++) {
          const first = (segment * headCount + head) * length;
          rows.forEach((row, slot) => {
            slots[first + slot] = row * headCount + head;
            places[row * headCount + head] = start + first + slot;
          });
        }
      });
      feeds[`${name}.${prefix}slots`] = { data: slots, shape: [segments.length, headCount, length] };
      start += slots.length;
    }
    feeds[`${layout}.${prefix}places`] = { data: places, shape: [rowCount, headCount] };
  }
  for (const { name, segments, length } of padded) {
    const filled = new Float32Array(segments.length * length);
    segments.forEach(({ rows }, segment) => filled.fill(1, segment * length, segment * length + rows.length));
    feeds[`${name}.filled`] = floats(filled, [segments.length, 1, length, 1]);
    const height = sight === "all" ? 1 : length;
    const before = padded[0]!.name === PREFIX && name !== PREFIX ? padded[0]!.length : 0;
    const width = before + length;
    const bias = new Float32Array(segments.length * height * width).fill(UNSEEN);
    segments.forEach((segment, i) => {
      const start = i * height * width;
      if (sight === "all") bias.fill(0, start, start + segment.rows.length);
      else openCausal(bias, start, width, before, segment);
    });
    feeds[`${name}.bias`] = floats(bias, [segments.length, 1, height, width]);
  }
  return feeds;
}

/** Opens to each slot the `before` slots of the prefix, those before it and itself, but for the other branch of a fork. */
function openCausal(bias: Float32Array, start: number, width: number, before: number, { rows, fork }: Segment): void {
  for (let slot = 0; slot < rows.length; slot++) {
    const line = start + slot * width;
    bias.fill(0, line, line + before + slot + 1);
    if (fork !== undefined && slot >= fork.to) bias.fill(UNSEEN, line + before + fork.from, line + before + fork.to);
  }
}
