import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { StoreFailure } from "../../../src/errors.ts";
import { LanceStore } from "../../../src/store/lancedb.ts";
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
  assert.equal(await collection.count(), 40);
  assert.deepEqual(await collection.get(["item-5"]), [someItems(40, 1)[5]]);
  assert.ok((await collection.count({ flag: true })) > 0);
  await assert.rejects(collection.upsert([{ ...someItems(1, 5)[0]!, metadata: { flag: "yes" } }]), /flag is a string/);
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
