import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import type { EmbedItem, EmbedOutcome, EmbedResult } from "../../../src/embed/types.ts";
import { indexSource, type IndexCounts } from "../../../src/search/indexer.ts";
import { readSource } from "../../../src/search/source.ts";
import { MemoryStore } from "../../../src/store/memory.ts";
import type { Collection } from "../../../src/store/store.ts";
import { ORIGIN } from "../../support/store-cases.ts";

const root = mkdtempSync(join(tmpdir(), "rge-indexer-"));
after(() => rmSync(root, { recursive: true, force: true }));

let folder: string;
let collection: Collection;
let embedded: string[];
let nth = 0;

beforeEach(async () => {
  folder = join(root, `${nth++}`);
  mkdirSync(join(folder, "sub"), { recursive: true });
  for (const name of ["a", "b", "sub/c"]) writeFileSync(join(folder, `${name}.png`), `picture ${name}`);
  collection = await new MemoryStore().create("things", ORIGIN);
  embedded = [];
});

/** A vector that content decides; a file that says "broken" cannot be embedded. */
function vectorOf(content: string): Float32Array {
  const bytes = createHash("sha256").update(content).digest().subarray(0, ORIGIN.dimension);
  const length = Math.hypot(...bytes);
  return Float32Array.from(bytes, (byte) => byte / length);
}

const embedder = {
  async *stream(items: Iterable<EmbedItem> | AsyncIterable<EmbedItem>): AsyncGenerator<EmbedOutcome, void, void> {
    let position = 0;
    for await (const { images, text } of items) {
      const content = images === undefined ? text! : readFileSync(images[0] as string, "utf8");
      embedded.push(content);
      if (content === "broken") yield { index: position++, error: new Error("no picture") };
      else yield { index: position++, result: { embedding: vectorOf(content) } as EmbedResult };
    }
  },
};

async function index(path = folder, problems: string[] = []): Promise<IndexCounts> {
  return await indexSource(collection, embedder, readSource(path), {
    onProblem: (place, reason) => problems.push(`${place}: ${reason}`),
  });
}

async function ids(): Promise<string[]> {
  const found: string[] = [];
  for await (const { id } of collection.scan()) found.push(id);
  return found.sort();
}

const NONE = { seen: 0, embedded: 0, unchanged: 0, moved: 0, failed: 0, removed: 0 };

test("a folder is embedded once; what is there is neither embedded nor read again", async () => {
  assert.deepEqual(await index(), { ...NONE, seen: 3, embedded: 3 });
  assert.deepEqual(await ids(), ["a.png", "b.png", "sub/c.png"]);
  const [item] = await collection.get(["sub/c.png"]);
  assert.deepEqual(item!.vector, vectorOf("picture sub/c"));
  assert.equal(item!.text, "c png");
  assert.deepEqual(await index(), { ...NONE, seen: 3, unchanged: 3 });
  assert.equal(embedded.length, 3);
});

test("a file that was only touched is read, and not embedded", async () => {
  await index();
  utimesSync(join(folder, "a.png"), new Date(), new Date(1_000_000));
  assert.deepEqual(await index(), { ...NONE, seen: 3, unchanged: 3 });
  assert.match((await collection.get(["a.png"]))[0]!.stamp, / 1000000$/);
});

test("changed pictures are embedded, moved ones not, and what is gone is removed", async () => {
  await index();
  writeFileSync(join(folder, "a.png"), "another picture");
  renameSync(join(folder, "b.png"), join(folder, "sub/moved.png"));
  rmSync(join(folder, "sub/c.png"));
  assert.deepEqual(await index(), { ...NONE, seen: 2, embedded: 1, moved: 1, removed: 2 });
  assert.deepEqual(await ids(), ["a.png", "sub/moved.png"]);
  const [a, moved] = await collection.get(["a.png", "sub/moved.png"]);
  assert.deepEqual(a!.vector, vectorOf("another picture"));
  assert.deepEqual(moved!.vector, vectorOf("picture b"));
  assert.equal(moved!.text, "moved png");
});

test("a caption that changed is taken without embedding anew", async () => {
  await index();
  writeFileSync(join(folder, "b.txt"), "a bicycle");
  assert.deepEqual(await index(), { ...NONE, seen: 3, unchanged: 3 });
  assert.equal((await collection.get(["b.png"]))[0]!.text, "a bicycle\nb png");
  assert.equal(embedded.length, 3);
});

test("what cannot be embedded is told, and the rest done; it is tried again next time", async () => {
  writeFileSync(join(folder, "b.png"), "broken");
  const problems: string[] = [];
  assert.deepEqual(await index(folder, problems), { ...NONE, seen: 3, embedded: 2, failed: 1 });
  assert.deepEqual(problems, ["b.png: no picture"]);
  writeFileSync(join(folder, "b.png"), "mended");
  assert.deepEqual(await index(), { ...NONE, seen: 3, embedded: 1, unchanged: 2 });
});

test("items of text, more than one part of them, ids named twice", async () => {
  const rows = Array.from({ length: 700 }, (_, i) => ({ id: `${i % 650}`, text: `text ${i}` }));
  const file = join(folder, "rows.jsonl");
  writeFileSync(file, rows.map((row) => JSON.stringify(row)).join("\n"));
  const first = await index(file);
  assert.deepEqual({ ...first, embedded: 0, unchanged: 0 }, { ...NONE, seen: 700 });
  assert.equal(await collection.count(), 650);
  // The last of an id counts.
  assert.equal((await collection.get(["3"]))[0]!.text, "text 653");
});

test("a run that was stopped keeps what it embedded, and the next does the rest", async () => {
  const stop = new AbortController();
  const run = indexSource(collection, embedder, readSource(folder), {
    signal: stop.signal,
    onProgress: ({ embedded: done }) => {
      if (done === 2) stop.abort(new Error("stopped"));
    },
  });
  // The embedder here does not look at the signal; the source's next part does.
  await run.catch(() => undefined);
  const there = (await ids()).length;
  assert.ok(there >= 2);
  await index();
  assert.equal(embedded.length, 3);
});
