/**
 * Indexes rows into a collection and tells which are safe, a line each: `node index-until-killed.ts STORE ROWS`. With
 * `compact` as a third word it compacts over and over once all are there. Meant to be killed at any moment.
 */
import { writeSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import type { EmbedItem, EmbedOutcome, EmbedResult } from "../../src/embed/types.ts";
import { indexSource } from "../../src/search/indexer.ts";
import { readSource } from "../../src/search/source.ts";
import { LanceStore } from "../../src/store/lancedb.ts";
import type { Collection } from "../../src/store/store.ts";
import { ORIGIN, vectorFor } from "./store-cases.ts";

const [folder, rows] = process.argv.slice(2);
const NAME = "killed";

const embedder = {
  async *stream(items: Iterable<EmbedItem> | AsyncIterable<EmbedItem>): AsyncGenerator<EmbedOutcome, void, void> {
    let index = 0;
    for await (const { text } of items) {
      if (index % 20 === 0) await wait(1);
      yield { index: index++, result: { embedding: vectorFor(text!) } as EmbedResult };
    }
  },
};

/** Says what is written, after it is: this is what a kill must not lose. */
function telling(collection: Collection): Collection {
  return new Proxy(collection, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (key !== "upsert") return typeof value === "function" ? value.bind(target) : value;
      return async (items: Parameters<Collection["upsert"]>[0]) => {
        await target.upsert(items);
        writeSync(1, items.map(({ id }) => `${id}\n`).join(""));
      };
    },
  });
}

await using store = await LanceStore.open(folder!);
const isThere = (await store.list()).includes(NAME);
const collection = isThere ? await store.open(NAME) : await store.create(NAME, ORIGIN);
writeSync(1, "ready\n");
await indexSource(telling(collection), embedder, readSource(rows!));
writeSync(1, "indexed\n");
while (!process.argv.includes("compact")) await wait(1000);
for (;;) {
  // Something to compact each time.
  const [first] = await collection.get(["0"]);
  await collection.upsert([first!]);
  await collection.optimize();
  writeSync(1, "compacted\n");
}
