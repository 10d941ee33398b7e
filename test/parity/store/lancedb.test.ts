import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { StoreFailure } from "../../../src/errors.ts";
import { LanceStore } from "../../../src/store/lancedb.ts";
import { MemoryStore } from "../../../src/store/memory.ts";
import type { Filter } from "../../../src/store/store.ts";
import { ORIGIN, someItems, storeCases } from "../../support/store-cases.ts";

const root = mkdtempSync(join(tmpdir(), "rge-store-"));
after(() => rmSync(root, { recursive: true, force: true }));
let stores = 0;

storeCases("LanceStore", () => LanceStore.open(join(root, `store-${stores++}`)));

test("what was put in is there when the folder is opened again, metadata types included", async () => {
  const folder = join(root, "again");
  {
    await using store = await LanceStore.open(folder);
    const collection = await store.create("things", ORIGIN);
    await collection.upsert(someItems(40, 1));
  }
  await using store = await LanceStore.open(folder);
  const collection = await store.open("things");
  assert.deepEqual(collection.origin, ORIGIN);
  // With fewer, the full-text index of some 300,000 rows is never done on two cores (bench/store.ts).
  assert.ok(Number(process.env["LANCE_CPU_THREADS"]) >= 8);
  assert.equal(await collection.count(), 40);
  assert.deepEqual(await collection.get(["item-5"]), [someItems(40, 1)[5]]);
  assert.ok((await collection.count({ flag: true })) > 0);
  await assert.rejects(collection.upsert([{ ...someItems(1, 5)[0]!, metadata: { flag: "yes" } }]), /flag is a string/);
});

test("who opened a collection twice writes to it at the same time, new keys of metadata included", async () => {
  await using store = await LanceStore.open(join(root, "twice"));
  await store.create("things", ORIGIN);
  const opened = await Promise.all([0, 1, 2].map(() => store.open("things")));
  await Promise.all(
    opened.flatMap((collection, who) =>
      Array.from({ length: 5 }, async (_, i) => {
        const items = someItems(20, 100 * who + i, `${who}-${i}`);
        await collection.upsert(items.map((item) => ({ ...item, metadata: { ...item.metadata, [`key_${i}`]: who } })));
      }),
    ),
  );
  const collection = await store.open("things");
  assert.equal(await collection.count(), 300);
  assert.equal(await collection.count({ key_4: 2 }), 20);
});

test("files that are damaged are the store's failure, told as one", async () => {
  const folder = join(root, "damaged");
  {
    await using store = await LanceStore.open(folder);
    await (await store.create("things", ORIGIN)).upsert(someItems(40, 1));
  }
  for (const entry of readdirSync(join(folder, "things.lance", "data"), { withFileTypes: true }))
    writeFileSync(join(entry.parentPath, entry.name), "not what was written");
  await using store = await LanceStore.open(folder);
  const collection = await store.open("things");
  await assert.rejects(collection.get(["item-5"]), StoreFailure);
});

test("with an index: nearly all of the nearest, their exact cosines, filters held, changes seen", async () => {
  const items = someItems(50_000, 3).map((item, i) => ({
    ...item,
    metadata: { ...item.metadata, serial: i % 1000 },
  }));
  const [store, oracle] = [await LanceStore.open(join(root, "indexed")), new MemoryStore()];
  const both = [await store.create("many", ORIGIN), await oracle.create("many", ORIGIN)] as const;
  const [ours, right] = both;
  const queries = someItems(40, 4).map(({ vector }) => vector);
  const agree = async (where?: Filter): Promise<number> => {
    let found = 0;
    for (const vector of queries) {
      const [hits, expected] = await Promise.all(both.map((it) => it.search({ vector, limit: 10, where })));
      const cosines = new Map(expected!.map(({ item, cosine }) => [item.id, cosine!]));
      for (const { item, cosine } of hits!) {
        const known = cosines.get(item.id);
        if (known === undefined) continue;
        found++;
        assert.ok(Math.abs(known - cosine!) < 1e-5, `${item.id}: ${cosine} for ${known}`);
      }
    }
    return found / (10 * queries.length);
  };
  for (const it of both) await it.upsert(items);
  await ours.optimize();
  assert.ok((await agree()) >= 0.98);
  // One in ten, in a hundred, in a thousand.
  for (const where of [{ number: 3 }, { serial: { lt: 10 } }, { serial: 7 }])
    assert.ok((await agree(where)) >= 0.98, JSON.stringify(where));
  // Written after the index was made, removed after it.
  const added = queries.map((vector, i) => ({ ...items[i]!, id: `added-${i}`, vector }));
  const removed = items.slice(0, 500).map(({ id }) => id);
  for (const it of both) {
    await it.upsert(added);
    await it.delete(removed);
  }
  for (const [i, vector] of queries.entries())
    assert.equal((await ours.search({ vector, limit: 1 }))[0]!.item.id, `added-${i}`);
  assert.ok((await agree()) >= 0.98);
  await ours.optimize();
  assert.ok((await agree()) >= 0.98);
  assert.deepEqual(await ours.get([removed[0]!]), [undefined]);
  assert.equal(await ours.count(), await right.count());
  await store[Symbol.asyncDispose]();
});
