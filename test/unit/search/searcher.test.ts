import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { CallOptions } from "../../../src/embed/embedder.ts";
import type { EmbedItem, EmbedResult, JudgeItem } from "../../../src/embed/types.ts";
import { InputError } from "../../../src/errors.ts";
import { QueryEmbedder } from "../../../src/search/query-embedder.ts";
import { Searcher } from "../../../src/search/searcher.ts";
import type { Calibration } from "../../../src/search/calibration.ts";
import { MemoryStore } from "../../../src/store/memory.ts";
import type { Collection } from "../../../src/store/store.ts";
import { ORIGIN } from "../../support/store-cases.ts";

/** An item per axis: what text means is which axis it points along. */
const NAMES = ["circle", "square", "star", "heart", "moon", "cross"];
const CALIBRATION: Calibration = {
  modelHash: ORIGIN.modelHash,
  // A lead of 0.3.
  sure: { weights: [0, 10], offset: -3 },
  leastSure: 0.5,
  direct: { weights: [10], offset: -5 },
  reason: { weights: [20], offset: -10 },
  queries: 100,
};

let collection: Collection;
let asked: EmbedItem[];
let judged: JudgeItem[];

function axis(name: string, other = name, share = 0): Float32Array {
  const vector = new Float32Array(ORIGIN.dimension);
  vector[NAMES.indexOf(name)] = Math.sqrt(1 - share);
  if (share > 0) vector[NAMES.indexOf(other)] = Math.sqrt(share);
  return vector;
}

/** Directly, "maybe X" lies between X and the circle; reasoned, it is X. */
const embedder = {
  async embed([item]: readonly EmbedItem[], { onRationale }: CallOptions = {}): Promise<EmbedResult[]> {
    asked.push(item!);
    const name = NAMES.findLast((it) => item!.text!.includes(it)) ?? "circle";
    const unsure = item!.text!.includes("maybe") && item!.reason === false;
    for (const text of item!.reason === false ? [] : ["It", `It is a ${name}.`]) onRationale?.(0, text);
    return [
      {
        embedding: unsure ? axis("circle", name, 0.4) : axis(name),
        rationale: item!.reason === false ? "" : `It is a ${name}.`,
        rationaleIds: [],
        rationaleTokens: item!.reason === false ? 0 : 5,
        finish: item!.reason === false ? "direct" : "emb",
        promptTokens: 3,
        timings: { prepareMs: 0, visionMs: 0, prefillMs: 0, decodeMs: 0 },
      },
    ];
  },
  /** Says yes the more the later a name comes. */
  judge(items: readonly JudgeItem[]): Promise<number[]> {
    judged = [...items];
    return Promise.resolve(items.map(({ text }) => NAMES.indexOf(text!.split("\n").at(-2)!.slice(2)) / NAMES.length));
  },
};

beforeEach(async () => {
  asked = [];
  judged = [];
  collection = await new MemoryStore().create("things", ORIGIN);
  await collection.upsert(
    NAMES.map((name, i) => ({
      id: name,
      vector: axis(name),
      text: `a ${name}`,
      path: "",
      contentHash: name,
      stamp: "",
      metadata: { even: i % 2 === 0 },
    })),
  );
});

function searcher(calibration?: Calibration): Searcher {
  return new Searcher(new QueryEmbedder(embedder, 3), collection, calibration);
}

test("a query is slot, instruction and text, within the collection's bounds, and finds the nearest", async () => {
  const answer = await searcher().search({
    text: "a star",
    instruction: "Find this:",
    image: new Uint8Array([1, 2, 3]),
    limit: 2,
  });
  const [item] = asked;
  assert.equal(item!.text, "<|image_1|>\nFind this: a star\n");
  assert.deepEqual(item!.images, [new Uint8Array([1, 2, 3])]);
  assert.equal(item!.maxPixels, ORIGIN.maxPixels);
  assert.equal(item!.minPixels, undefined);
  assert.deepEqual(
    answer.hits.map(({ item: { id }, cosine }) => [id, cosine]),
    [
      ["star", 1],
      ["circle", 0],
    ],
  );
  assert.equal(answer.rationale, "It is a star.");
  assert.equal(answer.reasoned, true);
  assert.equal(answer.directHits, undefined);
});

test("auto reasons where the direct result is unsure, and only there", async () => {
  const sure = await searcher(CALIBRATION).search({ text: "star", mode: "auto" });
  assert.deepEqual([sure.reasoned, sure.rationale, asked.length], [false, "", 1]);
  const unsure = await searcher(CALIBRATION).search({ text: "maybe star", mode: "auto" });
  assert.deepEqual([unsure.reasoned, unsure.rationale], [true, "It is a star."]);
  assert.equal(unsure.hits[0]!.item.id, "star");
  assert.equal(unsure.directHits![0]!.item.id, "circle");
  // A limit of one does not hide how close the second is.
  const narrow = await searcher(CALIBRATION).search({ text: "maybe heart", mode: "auto", limit: 1 });
  assert.deepEqual([narrow.reasoned, narrow.hits.length], [true, 1]);
});

test("without a calibration nothing says what is sure, and auto reasons at once", async () => {
  const { reasoned, directHits } = await searcher().search({ text: "star", mode: "auto" });
  assert.deepEqual([reasoned, directHits, asked.length], [true, undefined, 1]);
});

test("both ways can be compared, and the rationale followed", async () => {
  const heard: string[] = [];
  const answer = await searcher().search(
    { text: "maybe moon" },
    { compare: true, onRationale: (text) => heard.push(text) },
  );
  assert.equal(answer.hits[0]!.item.id, "moon");
  assert.equal(answer.directHits![0]!.item.id, "circle");
  assert.deepEqual(heard, ["It", "It is a moon."]);
});

test("what was asked is remembered, with its rationale, the least recent forgotten", async () => {
  const one = searcher();
  const rationale: string[] = [];
  await one.search({ text: "star" });
  const again = await one.search({ text: "star" }, { onRationale: (text) => rationale.push(text) });
  assert.deepEqual([again.cached, again.rationale, asked.length], [true, "It is a star.", 1]);
  assert.deepEqual(rationale, ["It is a star."]);
  // Anything that decides the embedding makes it another query.
  for (const other of [
    { text: "star", image: new Uint8Array([1]) },
    { text: "star", image: new Uint8Array([2]) },
  ])
    assert.equal((await one.search(other)).cached, false);
  assert.equal((await one.search({ text: "star", maxNewTokens: 7 })).cached, false);
  assert.equal((await one.search({ text: "star" })).cached, false, "three are remembered");
});

test("a calibration tells chances, and cuts off what is unlikely", async () => {
  const one = searcher(CALIBRATION);
  const { hits } = await one.search({ text: "star" });
  assert.deepEqual(
    hits.slice(0, 2).map(({ chance }) => Math.round(1000 * chance!)),
    [1000, 0],
  );
  const cut = await one.search({ text: "star", leastChance: 0.5 });
  assert.deepEqual(
    cut.hits.map(({ item }) => item.id),
    ["star"],
  );
  await assert.rejects(searcher().search({ text: "star", leastChance: 0.5 }), /no calibration for this model/);
  await assert.rejects(
    searcher({ ...CALIBRATION, modelHash: "another" }).search({ text: "star", leastChance: 0.5 }),
    /no calibration for this model/,
  );
});

test("filters, and items like one that is there", async () => {
  const one = searcher();
  const { hits } = await one.search({ text: "star", where: { even: false }, limit: 1 });
  assert.deepEqual(
    hits.map(({ item }) => item.id),
    ["cross"],
  );
  const similar = await one.similar("star", { limit: 3 });
  assert.deepEqual(
    similar.map(({ item }) => item.id),
    ["circle", "cross", "heart"],
  );
  await assert.rejects(one.similar("triangle"), /there is no item "triangle"/);
});

test("queries that make no sense are refused before anything is embedded", async () => {
  const wrong: [RegExp, Parameters<Searcher["search"]>[0]][] = [
    [/the query is empty/, { text: "  " }],
    [/mode is one of direct, reason, auto/, { text: "a", mode: "never" as "auto" }],
    [/the limit is a whole number from 1 to 1000, got 0/, { text: "a", limit: 0 }],
    [/the least chance is a number from 0 to 1/, { text: "a", leastChance: 2 }],
    [/has 20001 characters/, { text: "a".repeat(20_001) }],
    [/no such file|ENOENT/, { image: "/nowhere/picture.png" }],
  ];
  for (const [problem, query] of wrong)
    await assert.rejects(searcher(CALIBRATION).search(query), (error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, problem);
      return true;
    });
  assert.equal(asked.length, 0);
});

test("the best hits are judged with query and rationale, and come in the order of the verdicts", async () => {
  const plain = await searcher().search({ text: "a circle", limit: 4 });
  assert.ok(plain.hits.every((hit) => hit.judged === undefined));
  assert.equal(judged.length, 0);
  const answer = await searcher().search({ text: "a circle", instruction: "Find:", rerank: 3, limit: 4 });
  const [first] = judged;
  assert.equal(judged.length, 3);
  assert.equal(first!.text, "Find: a circle\nIt is a circle.\na circle\nIs this what is asked for? Answer yes or no.");
  assert.equal(first!.maxPixels, ORIGIN.maxPixels);
  const before = plain.hits.map(({ item }) => item.id);
  const after = answer.hits.map(({ item }) => item.id);
  assert.deepEqual(after.slice(0, 3), NAMES.filter((name) => before.slice(0, 3).includes(name)).toReversed());
  assert.notDeepEqual(after, before);
  assert.equal(after[3], before[3]);
  assert.deepEqual(
    answer.hits.map((hit) => hit.judged !== undefined),
    [true, true, true, false],
  );
  for (const rerank of [-1, 1.5, 101])
    await assert.rejects(searcher().search({ text: "x", rerank }), /rerank is a whole number from 0 to 100/);
});

test("a hit whose picture has gone is not judged, and comes after those that were", async () => {
  await collection.upsert([
    {
      id: "gone",
      vector: axis("circle"),
      text: "",
      path: "/nowhere/gone.png",
      contentHash: "g",
      stamp: "",
      metadata: {},
    },
  ]);
  const answer = await searcher().search({ text: "a circle", rerank: 2, limit: 2 });
  assert.deepEqual(
    answer.hits.map(({ item: { id }, judged: chance }) => [id, chance !== undefined]),
    [
      ["circle", true],
      ["gone", false],
    ],
  );
});
