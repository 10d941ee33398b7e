/** The Embedder in float32 against transformers: every case of every family, alone, together and in any order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../src/random.ts";
import type { EmbedItem, EmbedResult } from "../../../src/index.ts";
import { assertCosine } from "../../support/assert-close.ts";
import {
  casesOf,
  checkpointOf,
  FAMILIES,
  loadEmbedder,
  queryOf,
  referenceOf,
  targetOf,
  type FixtureCase,
} from "../../support/fixtures.ts";

const LEAST_COSINE = 0.99999;

/** One thing to embed and what transformers makes of it. */
interface Expectation {
  readonly label: string;
  readonly item: EmbedItem;
  readonly rationaleIds: readonly number[];
  readonly finish: EmbedResult["finish"];
  readonly promptTokens: number;
  readonly embedding: Float32Array;
}

function expectationsOf(family: (typeof FAMILIES)[number]): Expectation[] {
  const reference = referenceOf(family);
  return casesOf(family).flatMap((one: FixtureCase) => {
    const promptTokens = one.input_ids.length;
    const embedding = (kind: string): Float32Array => reference(one.name, `${kind}_embedding`).data as Float32Array;
    return [
      {
        label: `${one.name} reasoned`,
        item: queryOf(one),
        rationaleIds: one.rationale_ids,
        finish: one.stopped_on_emb ? ("emb" as const) : ("budget" as const),
        promptTokens,
        embedding: embedding("reasoned"),
      },
      {
        label: `${one.name} direct`,
        item: targetOf(one),
        rationaleIds: [],
        finish: "direct" as const,
        promptTokens,
        embedding: embedding("direct"),
      },
    ];
  });
}

function assertResult(result: EmbedResult, expected: Expectation): void {
  const { label } = expected;
  assert.deepEqual(result.rationaleIds, expected.rationaleIds, label);
  assert.equal(result.rationaleTokens, expected.rationaleIds.length, label);
  assert.equal(result.finish, expected.finish, label);
  assert.equal(result.promptTokens, expected.promptTokens, label);
  assertCosine(result.embedding, expected.embedding, LEAST_COSINE, label);
  const square = result.embedding.reduce((sum, value) => sum + value * value, 0);
  assert.ok(Math.abs(square - 1) < 1e-6, `${label}: squared length ${square}`);
}

function shuffled<T>(values: readonly T[], seed: number): T[] {
  const random = seededRandom(seed);
  return values
    .map((value) => ({ value, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value);
}

for (const family of FAMILIES)
  test(`${family}: rationales, finish, prompt length and embeddings are those of transformers`, async () => {
    await using embedder = await loadEmbedder(checkpointOf(family));
    const { hash, ...info } = embedder.info;
    assert.deepEqual(info, { modelType: family, hidden: 64, mode: "emb" });
    assert.match(hash, /^[0-9a-f]{64}$/);
    for (const expected of expectationsOf(family)) {
      const [result] = await embedder.embed([expected.item]);
      assertResult(result!, expected);
    }
  });

for (const family of FAMILIES)
  for (const batch of [1, 2, 5, 16])
    test(`${family}: in batches of ${batch} each item gets its own rationale and embedding, in any order`, async () => {
      await using embedder = await loadEmbedder(checkpointOf(family), { batch });
      const expectations = expectationsOf(family);
      const orders = [
        expectations,
        expectations.toReversed(),
        shuffled([...expectations, ...expectations], 1),
        shuffled(expectations, 2),
      ];
      for (const order of orders) {
        const results = await embedder.embed(order.map(({ item }) => item));
        order.forEach((expected, i) => assertResult(results[i]!, expected));
      }
    });
