/**
 * The store at size: how long it takes to build, how large it is on disk, how fast it finds, and how much of what an
 * exact scan by other code finds is among it.
 *
 *   node bench/store.ts [--count 1000000] [--dimension 256] [--queries 500] [--spread 0.7] [--keep DIR]
 *
 * Vectors are points about 2,000 centres, as embeddings of things of many kinds are; `--spread` is their distance from the
 * centre beside the centre's own length (large: no kinds at all, the worst case for any index).
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { seededRandom, type Random } from "../src/random.ts";
import { LanceStore } from "../src/store/lancedb.ts";
import type { Collection, StoredItem } from "../src/store/store.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "1000000" },
    dimension: { type: "string", default: "256" },
    queries: { type: "string", default: "500" },
    spread: { type: "string", default: "0.7" },
    keep: { type: "string" },
  },
});
const [count, dimension, queries, spread] = [values.count, values.dimension, values.queries, values.spread].map(Number);
const CENTRES = 2000;
const AT_A_TIME = 20_000;
const NEAREST = 10;
const WARM_UP = 50;

const random = seededRandom(0);
const centres = Array.from({ length: CENTRES }, () => direction(random));

/** Normal numbers (Box and Muller 1958) scaled to length 1. */
function direction(from: Random): Float32Array {
  const vector = Float32Array.from(
    { length: dimension! },
    () => Math.sqrt(-2 * Math.log(1 - from())) * Math.cos(2 * Math.PI * from()),
  );
  return scaled(vector);
}

function scaled(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** A point about one of the centres. */
function point(from: Random): Float32Array {
  const centre = centres[Math.floor(from() * CENTRES)]!;
  const away = direction(from);
  return scaled(centre.map((value, i) => value + spread! * away[i]!));
}

const asked = Array.from({ length: queries! }, () => point(random));
/** Of each query, the best so far: what exact search would find. */
const best = asked.map(() => [] as { id: string; cosine: number }[]);

function note(part: readonly StoredItem[]): void {
  asked.forEach((query, q) => {
    const kept = best[q]!;
    let least = kept.length < NEAREST ? -2 : kept.at(-1)!.cosine;
    for (const { id, vector } of part) {
      let cosine = 0;
      for (let i = 0; i < vector.length; i++) cosine += query[i]! * vector[i]!;
      if (cosine <= least) continue;
      kept.push({ id, cosine });
      kept.sort((a, b) => b.cosine - a.cosine);
      kept.length = Math.min(kept.length, NEAREST);
      least = kept.length < NEAREST ? -2 : kept.at(-1)!.cosine;
    }
  });
}

async function build(collection: Collection): Promise<void> {
  let writtenMs = 0;
  for (let at = 0; at < count!; at += AT_A_TIME) {
    const part = Array.from({ length: Math.min(AT_A_TIME, count! - at) }, (_, i): StoredItem => ({
      id: `item-${at + i}`,
      vector: point(random),
      text: `thing ${at + i}`,
      path: "",
      contentHash: `hash-${at + i}`,
      stamp: "",
      metadata: { number: (at + i) % 100 },
    }));
    note(part);
    const startMs = performance.now();
    await collection.upsert(part);
    writtenMs += performance.now() - startMs;
    console.error(`${at + part.length} of ${count}`);
  }
  const startMs = performance.now();
  await collection.optimize();
  const indexedMs = performance.now() - startMs;
  console.log(
    `written in ${seconds(writtenMs)} (${Math.round((1000 * count!) / writtenMs)} items/s), indexed in ${seconds(indexedMs)}`,
  );
}

async function measure(collection: Collection, name: string, exact: boolean, some: number): Promise<void> {
  const times: number[] = [];
  let found = 0;
  for (let i = -WARM_UP; i < some; i++) {
    const q = (i + WARM_UP) % asked.length;
    const startMs = performance.now();
    const hits = await collection.search({ vector: asked[q]!, limit: NEAREST, exact });
    if (i < 0) continue;
    times.push(performance.now() - startMs);
    const right = new Set(best[q]!.map(({ id }) => id));
    found += hits.filter(({ item }) => right.has(item.id)).length;
  }
  times.sort((a, b) => a - b);
  const at = (share: number): string =>
    `${times[Math.min(times.length - 1, Math.floor(share * times.length))]!.toFixed(1)} ms`;
  console.log(
    `${name}: recall@${NEAREST} ${(found / (NEAREST * some)).toFixed(4)}, p50 ${at(0.5)}, p99 ${at(0.99)}, ${some} queries`,
  );
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(0)} s`;
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

const folder = values.keep ?? mkdtempSync(join(tmpdir(), "rge-bench-store-"));
if (existsSync(join(folder, "many.lance"))) throw new Error(`${folder} is not empty`);
try {
  await using store = await LanceStore.open(folder);
  const origin = { model: "none", modelHash: "none", instruction: "", minPixels: null, maxPixels: null };
  const collection = await store.create("many", { ...origin, dimension: dimension! });
  await build(collection);
  console.log(
    `${count} vectors of ${dimension}, ${(bytesIn(folder) / 2 ** 20).toFixed(0)} MiB on disk (the vectors alone ${((4 * count! * dimension!) / 2 ** 20).toFixed(0)})`,
  );
  await measure(collection, "as searched", false, queries!);
  await measure(collection, "exact scan ", true, Math.min(queries!, 50));
  const memory = process.resourceUsage().maxRSS / 1024;
  console.log(`most memory in use ${memory.toFixed(0)} MiB`);
} finally {
  if (values.keep === undefined) rmSync(folder, { recursive: true, force: true });
}
