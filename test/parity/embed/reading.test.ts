/** What is read at once, read in chunks, written or given must come to the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Tokenizer } from "../../../src/input/tokenizer.ts";
import type { EmbedItem } from "../../../src/index.ts";
import { assertCosine } from "../../support/assert-close.ts";
import { DirectModel } from "../../support/direct-model.ts";
import {
  casesOf,
  checkpointOf,
  contentOf,
  EMB_ID,
  FAMILIES,
  fixture,
  loadEmbedder,
  queryOf,
} from "../../support/fixtures.ts";

const LEAST_COSINE = 0.99999;

for (const family of FAMILIES)
  test(`${family}: a rationale that is given leads where the same one does that is written`, async () => {
    const folder = checkpointOf(family);
    const tokenizer = Tokenizer.load(folder);
    await using embedder = await loadEmbedder(folder);
    const written = await embedder.embed(casesOf(family).map(queryOf));
    let compared = 0;
    for (const [i, one] of casesOf(family).entries()) {
      const { finish, rationale, rationaleIds, embedding } = written[i]!;
      // Random models write bytes that are no text; such a rationale cannot be given as text.
      const readable = [...tokenizer.encodePlain(rationale), EMB_ID].join() === rationaleIds.join();
      if (finish !== "emb" || !readable) continue;
      const [given] = await embedder.embed([{ ...contentOf(one), role: "query", rationale }]);
      assert.deepEqual(given!.rationaleIds, rationaleIds, one.name);
      assert.equal(given!.rationale, rationale);
      assert.equal(given!.finish, "emb");
      assert.equal(given!.promptTokens, one.input_ids.length);
      assertCosine(given!.embedding, embedding, LEAST_COSINE, one.name);
      compared++;
    }
    assert.ok(compared >= 3, `only ${compared} cases could be compared`);
  });

for (const family of FAMILIES)
  test(`${family}: a given rationale is read as its own tokens and <emb>, in one run or after the cache`, async () => {
    const folder = checkpointOf(family);
    const tokenizer = Tokenizer.load(folder);
    await using model = await DirectModel.open(folder);
    await using embedder = await loadEmbedder(folder);
    // A line break at the start would merge with the template's, were the texts joined before BPE.
    for (const rationale of [
      "The image shows a cat and a dog.",
      "\nA dog",
      "\n\n",
      " <emb> is text here <|im_end|>",
      "",
    ])
      for (const one of casesOf(family).slice(0, 3)) {
        const [result] = await embedder.embed([{ ...contentOf(one), role: "query", rationale }]);
        const ids = [...tokenizer.encodePlain(rationale), EMB_ID];
        assert.deepEqual(result!.rationaleIds, ids);
        assert.equal(result!.rationale, rationale);
        const { state } = await model.stateAfter(contentOf(one), ids);
        assertCosine(result!.embedding, state, LEAST_COSINE, `${one.name} ${JSON.stringify(rationale)}`);
      }
  });

for (const family of FAMILIES)
  test(`${family}: tokens written one by one lead where one run over all of them does`, async () => {
    const folder = checkpointOf(family);
    await using model = await DirectModel.open(folder);
    await using embedder = await loadEmbedder(folder);
    const items = casesOf(family).map((one) => ({
      ...contentOf(one),
      role: "query" as const,
      reason: { maxNewTokens: 24, temperature: 2, seed: 5 },
    }));
    for (const [i, result] of (await embedder.embed(items)).entries()) {
      const { state } = await model.stateAfter(items[i]!, result.rationaleIds);
      assertCosine(result.embedding, state, LEAST_COSINE, casesOf(family)[i]!.name);
    }
  });

const LONG_TEXT = Array.from({ length: 150 }, (_, i) => `Line ${i}: a cat and a dog, ${i * 37} of them.`).join("\n");

for (const family of FAMILIES)
  test(`${family}: a prompt longer than a chunk is read as one run reads it`, async () => {
    const folder = checkpointOf(family);
    await using model = await DirectModel.open(folder);
    await using embedder = await loadEmbedder(folder);
    const photo = fixture("images", "example.jpg");
    const items: Record<string, EmbedItem> = {
      "long text": { text: LONG_TEXT, role: "target" },
      "long text, written after": { text: LONG_TEXT, role: "query", reason: { maxNewTokens: 8 } },
      "a picture across chunks": {
        text: "What is it?\n",
        images: [photo],
        minPixels: 700_000,
        maxPixels: 800_000,
        role: "target",
      },
      "a picture across chunks, written after": {
        text: "What is it?\n",
        images: [photo],
        minPixels: 700_000,
        maxPixels: 800_000,
        role: "query",
        reason: { maxNewTokens: 8 },
      },
      "text before a picture": {
        text: `${LONG_TEXT.slice(0, 1200)}<|image_1|>after`,
        images: [photo],
        minPixels: 200_000,
        maxPixels: 300_000,
        role: "target",
      },
    };
    const results = await embedder.embed(Object.values(items));
    for (const [i, [name, item]] of Object.entries(items).entries()) {
      const result = results[i]!;
      assert.ok(result.promptTokens > 600, `${name}: only ${result.promptTokens} tokens`);
      const ids = item.role === "target" ? [EMB_ID] : result.rationaleIds;
      const { state, promptTokens } = await model.stateAfter(item, ids);
      assert.equal(result.promptTokens, promptTokens, name);
      assertCosine(result.embedding, state, LEAST_COSINE, name);
    }
  });
