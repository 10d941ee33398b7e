/** What every store does, run against each of them; the memory store says what is right. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { StoreError } from "../../src/errors.ts";
import { seededRandom } from "../../src/random.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Collection, Filter, Store, StoredItem, VectorOrigin } from "../../src/store/store.ts";

export const DIMENSION = 12;
export const ORIGIN: VectorOrigin = {
  model: "nano",
  modelHash: "0123",
  instruction: "Represent the given image.",
  minPixels: null,
  maxPixels: 7056,
  dimension: DIMENSION,
};

const WORDS = ["red", "green", "blue", "circle", "square", "star", "small", "it's", "naïve"];

/** A vector that a text decides. */
export function vectorFor(text: string): Float32Array {
  const bytes = createHash("sha256").update(text).digest().subarray(0, DIMENSION);
  const length = Math.hypot(...bytes);
  return Float32Array.from(bytes, (byte) => byte / length);
}

/** Items with vectors, words and metadata from a seed. */
export function someItems(count: number, seed: number, prefix = "item"): StoredItem[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, i) => {
    const raw = Float32Array.from({ length: DIMENSION }, () => random() - 0.5);
    const length = Math.hypot(...raw);
    const words = Array.from(
      { length: 1 + Math.floor(random() * 5) },
      () => WORDS[Math.floor(random() * WORDS.length)],
    );
    return {
      id: `${prefix}-${i}`,
      vector: raw.map((value) => value / length),
      text: words.join(" "),
      path: `pictures/${i}.png`,
      contentHash: `hash-${i}`,
      stamp: `${i} 17`,
      metadata: {
        number: Math.floor(random() * 10),
        name: words[0]!,
        ...(random() < 0.5 && { flag: random() < 0.5 }),
      },
    };
  });
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

const FILTERS: readonly Filter[] = [
  {},
  { number: 3 },
  { number: { gte: 2, lt: 7 } },
  { number: { in: [1, 5, 9] } },
  { name: "it's" },
  { name: { ne: "red" } },
  { name: { in: ["naïve", "x' OR 1=1 --"] } },
  { flag: true },
  { flag: { ne: true } },
  { flag: false, number: { gt: 4 } },
  { absent: 1 },
  { absent: { ne: 1 } },
  { number: "3" },
  { number: { lte: 2.5 }, name: { in: ["red", "star", 4] } },
];

/** Runs the cases against stores that `open` makes. */
export function storeCases(name: string, open: () => Promise<Store>): void {
  const filled = async (): Promise<{ store: Store; ours: Collection; right: Collection }> => {
    const [store, oracle] = [await open(), new MemoryStore()];
    const [ours, right] = [await store.create("things", ORIGIN), await oracle.create("things", ORIGIN)];
    for (const collection of [ours, right]) {
      await collection.upsert(someItems(150, 1));
      await collection.upsert(someItems(60, 2, "other"));
      await collection.optimize();
      // Some replaced, some added after what makes searches fast was built.
      await collection.upsert([...someItems(20, 3), ...someItems(30, 4, "late")]);
      assert.equal(await collection.delete(["item-7", "other-3", "nowhere"]), 2);
    }
    return { store, ours, right };
  };

  describe(name, () => {
    test("counts, gets and scans what was put in, replaced and removed", async () => {
      const { store, ours, right } = await filled();
      await using _ = store;
      assert.equal(await ours.count(), 150 + 60 + 30 - 2);
      const ids = ["item-3", "item-7", "late-0", "other-59", "nowhere"];
      assert.deepEqual(await ours.get(ids), await right.get(ids));
      const contents = await ours.withContent(["hash-55", "hash-9999", "it's none"]);
      assert.deepEqual([...contents.keys()], ["hash-55"]);
      assert.equal(contents.get("hash-55")!.contentHash, "hash-55");
      const scanned = await all(ours.scan());
      const expected = await all(right.scan());
      assert.deepEqual(scanned.sort(byId), expected.sort(byId));
    });

    test("finds the nearest, with every filter, as an exact scan does", async () => {
      const { store, ours, right } = await filled();
      await using _ = store;
      for (const [i, where] of FILTERS.entries()) {
        assert.equal(await ours.count(where), await right.count(where), JSON.stringify(where));
        const [{ vector }] = someItems(1, 100 + i) as [StoredItem];
        for (const exact of [true, false]) {
          const request = { vector, limit: 9, where, exact };
          const [found, expected] = [await ours.search(request), await right.search(request)];
          assert.deepEqual(
            found.map(({ item }) => item),
            expected.map(({ item }) => item),
            JSON.stringify(where),
          );
          found.forEach(({ score, cosine }, at) => {
            assert.ok(Math.abs(score - expected[at]!.score) < 1e-5);
            assert.equal(score, cosine);
          });
        }
      }
    });

    test("finds words by BM25, and joins both rankings by reciprocal rank", async () => {
      const { store, ours, right } = await filled();
      await using _ = store;
      for (const words of ["red", "small blue star", "NAIVE circle", "absent", "it's"]) {
        for (const where of [undefined, { number: { gte: 3 } }]) {
          const request = { words, limit: 400, where };
          const [found, expected] = [await ours.search(request), await right.search(request)];
          const idsOf = (hits: typeof found): Set<string> => new Set(hits.map(({ item }) => item.id));
          assert.deepEqual(idsOf(found), idsOf(expected), words);
          const scores = found.map(({ score }) => score);
          assert.deepEqual(
            scores,
            [...scores].sort((a, b) => b - a),
          );
        }
      }
      const [{ vector }] = someItems(1, 77) as [StoredItem];
      const both = await ours.search({ vector, words: "star", limit: 5 });
      assert.equal(both.length, 5);
      assert.ok(both.every(({ score }) => score > 0 && score <= 2 / 61));
      assert.ok(both.some(({ item }) => item.text.includes("star")));
    });

    test("refuses what does not fit, and loses nothing by it", async () => {
      const { store, ours } = await filled();
      await using _ = store;
      const before = await ours.count();
      const [good] = someItems(1, 9, "good") as [StoredItem];
      const wrong: [RegExp, StoredItem][] = [
        [/a vector of 3 numbers, the collection's have 12/, { ...good, vector: new Float32Array([1, 0, 0]) }],
        [/a vector of length 2/, { ...good, vector: good.vector.map((value) => 2 * value) }],
        [/a vector of length NaN/, { ...good, vector: good.vector.map(() => NaN) }],
        [/number is a string, in this collection a number/, { ...good, metadata: { number: "three" } }],
        [/metadata key "no spaces"/, { ...good, metadata: { "no spaces": 1 } }],
        [/metadata size: expected/, { ...good, metadata: { size: Infinity } }],
        [/an id has 1 to/, { ...good, id: "" }],
      ];
      for (const [problem, item] of wrong)
        await assert.rejects(ours.upsert([good, { ...item, id: item.id && "bad" }]), (error) => {
          assert.ok(error instanceof StoreError);
          assert.match(error.message, problem);
          return true;
        });
      await assert.rejects(ours.upsert([good, good]), /is there twice/);
      assert.equal(await ours.count(), before);
      for (const where of [{ number: { like: "x" } }, { number: { lt: "3" } }, { number: { in: 3 } }])
        await assert.rejects(
          async () => await ours.search({ vector: good.vector, limit: 1, where: where as Filter }),
          StoreError,
        );
    });

    test("goes back to a version", async () => {
      const { store, ours } = await filled();
      await using _ = store;
      const [before] = await ours.get(["item-9"]);
      const at = (await ours.versions()).at(-1)!.version;
      const count = await ours.count();
      await ours.delete(["item-9"]);
      await ours.upsert(someItems(5, 11, "new"));
      await ours.restore(at);
      assert.equal(await ours.count(), count);
      assert.deepEqual(await ours.get(["item-9"]), [before]);
      await ours.upsert(someItems(5, 12, "newer"));
      assert.equal(await ours.count(), count + 5);
      await assert.rejects(async () => await ours.restore(9999), /no version 9999/);
    });

    test("keeps collections by name", async () => {
      await using store = await open();
      assert.deepEqual(await store.list(), []);
      await store.create("b", ORIGIN);
      await store.create("a", { ...ORIGIN, instruction: "x" });
      assert.deepEqual(await store.list(), ["a", "b"]);
      assert.deepEqual((await store.open("a")).origin, { ...ORIGIN, instruction: "x" });
      await assert.rejects(async () => await store.create("a", ORIGIN), /there is a collection a already/);
      await assert.rejects(async () => await store.open("c"), /there is no collection c/);
      for (const wrong of ["", "../up", "a/b", "x".repeat(65), "-a"])
        await assert.rejects(async () => await store.create(wrong, ORIGIN), /no name of a collection/);
      await store.drop("a");
      assert.deepEqual(await store.list(), ["b"]);
      await assert.rejects(async () => await store.drop("a"), /there is no collection a/);
      assert.equal(await (await store.open("b")).count(), 0);
      assert.deepEqual(await (await store.open("b")).search({ words: "red", limit: 3 }), []);
    });
  });
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1;
}
