/** An indexer that is killed at any moment loses nothing that it said was safe, and goes on. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { seededRandom } from "../../src/random.ts";
import { LanceStore } from "../../src/store/lancedb.ts";
import { vectorFor } from "../support/store-cases.ts";

const ROWS = 16_000;
const KILLS = 20;
const work = mkdtempSync(join(tmpdir(), "rge-kill-"));
after(() => rmSync(work, { recursive: true, force: true }));
const rows = join(work, "rows.jsonl");
const caption = (i: number): string => `thing ${i} of many`;
writeFileSync(
  rows,
  Array.from({ length: ROWS }, (_, i) => `${JSON.stringify({ id: i, text: caption(i) })}\n`).join(""),
);

/** Runs the indexer, kills it so long after it said `moment`, and gives the lines that it wrote. */
async function killed(store: string, moment: string, delayMs: number, then = ""): Promise<string[]> {
  const script = join(import.meta.dirname, "../support/index-until-killed.ts");
  const child = spawn(process.execPath, [script, store, rows, then], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => (text += part));
  const ended = once(child, "close");
  while (!text.includes(moment) && child.exitCode === null) await wait(2);
  await wait(delayMs);
  child.kill("SIGKILL");
  await ended;
  return text.split("\n").slice(0, -1);
}

/** Every item that there is, each once; what it says is what was indexed. */
async function itemsIn(folder: string): Promise<Set<string>> {
  await using store = await LanceStore.open(folder);
  if (!(await store.list()).includes("killed")) return new Set();
  const collection = await store.open("killed");
  const ids = new Set<string>();
  for await (const { id, text } of collection.scan()) {
    assert.ok(!ids.has(id), `${id} is there twice`);
    ids.add(id);
    assert.equal(text, caption(Number(id)));
  }
  assert.equal(await collection.count(), ids.size);
  for (const id of [...ids].slice(0, 3)) {
    const hits = await collection.search({
      vector: vectorFor(`${caption(Number(id))}\n`),
      words: `thing ${id}`,
      limit: 3,
    });
    assert.equal(hits[0]!.item.id, id);
  }
  return ids;
}

test(`killed ${KILLS} times while it indexes, nothing that was acknowledged is lost or there twice`, async () => {
  const random = seededRandom(0);
  const store = join(work, "indexing");
  const safe = new Set<string>();
  let interrupted = 0;
  for (let i = 0; i < KILLS; i++) {
    // The first ones before anything is written, while the collection is made.
    const lines = await killed(store, i < 3 ? "" : "ready", Math.floor(random() * (i < 3 ? 600 : 450)));
    if (!lines.includes("indexed")) interrupted++;
    for (const line of lines) if (/^\d+$/.test(line)) safe.add(line);
    const there = await itemsIn(store);
    for (const id of safe) assert.ok(there.has(id), `${id} is lost after kill ${i + 1}`);
  }
  assert.ok(interrupted >= KILLS / 2, `only ${interrupted} were killed at work`);
  const lines = await killed(store, "indexed", 0);
  // Only what was not there is embedded.
  const late = lines.filter((line) => /^\d+$/.test(line));
  assert.ok(late.every((id) => !safe.has(id)));
  assert.equal((await itemsIn(store)).size, ROWS);
});

test("killed while it compacts, it holds all the same", async () => {
  const random = seededRandom(1);
  const store = join(work, "compacting");
  for (let i = 0; i < 5; i++) {
    await killed(store, i === 0 ? "indexed" : "compacted", Math.floor(random() * 150), "compact");
    assert.equal((await itemsIn(store)).size, ROWS);
  }
});
