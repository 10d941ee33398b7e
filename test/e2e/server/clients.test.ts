/** Clients that others wrote, and ours for their frameworks, against a server. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Document } from "@langchain/core/documents";
import { embed, embedMany } from "ai";
import OpenAI, { NotFoundError } from "openai";
import { createRge } from "../../../src/client/ai-sdk.ts";
import { Tokenizer } from "../../../src/input/tokenizer.ts";
import { RgeEmbeddings, RgeVectorStore } from "../../../src/client/langchain.ts";
import { assertCosine } from "../../support/assert-close.ts";
import { fixture } from "../../support/fixtures.ts";
import { ask, startServer } from "../../support/server.ts";

const { url, embedder } = await startServer();

async function direct(text: string): Promise<Float32Array> {
  const [result] = await embedder.embed([{ role: "target", text }]);
  return result!.embedding;
}

test("the official openai client gets the Embedder's vectors, as floats and as base64", async () => {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
  assert.deepEqual(
    (await client.models.list()).data.map(({ id }) => id),
    ["tiny", "tiny:query"],
  );
  const expected = await direct("a cat\n");
  for (const encoding_format of [undefined, "float", "base64"] as const) {
    const { data, usage } = await client.embeddings.create({
      model: "tiny",
      input: ["a dog", "a cat"],
      ...(encoding_format && { encoding_format }),
    });
    const { embedding } = data[1]!;
    // Without a format the client asks for base64 and decodes it; asked for by name it is left as it is.
    const vector =
      encoding_format === "base64"
        ? new Float32Array(Uint8Array.from(Buffer.from(embedding as unknown as string, "base64")).buffer)
        : Float32Array.from(embedding);
    assert.deepEqual(vector, expected, encoding_format);
    assert.ok(usage.prompt_tokens > 0 && usage.prompt_tokens === usage.total_tokens);
  }
  const { data } = await client.embeddings.create({ model: "tiny", input: "a cat", dimensions: 16 });
  assert.equal(data[0]!.embedding.length, 16);
  assert.ok(Math.abs(Math.hypot(...data[0]!.embedding) - 1) < 1e-6);
  await assert.rejects(client.embeddings.create({ model: "gpt", input: "a" }), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.code, "model_not_found");
    assert.equal(error.param, "model");
    return true;
  });
});

test("tokens are the model's own, and messages are text and pictures with a rationale", async () => {
  const expected = await direct("a cat\n");
  const ids = Tokenizer.load(fixture("qwen2_5_vl/checkpoint")).encodePlain("a cat\n");
  for (const input of [ids, [ids]]) {
    const { body } = await ask(`${url}/v1/embeddings`, { model: "tiny", input });
    assertCosine(Float32Array.from(body.data[0].embedding as number[]), expected, 0.999999, "tokens");
  }
  const picture = readFileSync(fixture("images/example.jpg"));
  const dataUrl = `data:image/jpeg;base64,${picture.toString("base64")}`;
  const content = [
    { type: "image_url", image_url: { url: dataUrl } },
    { type: "text", text: "What is in it?" },
  ];
  const item = { text: "<|image_1|>\nWhat is in it?\n", images: [picture] };
  const [plain, reasoned, given] = await embedder.embed([
    { ...item, role: "target" },
    { ...item, reason: { maxNewTokens: 4, onBudget: "force-emb" } },
    { ...item, rationale: "A cat." },
  ]);
  const answers = await Promise.all([
    ask(`${url}/v1/embeddings`, { model: "tiny", messages: [{ role: "user", content }] }),
    ask(`${url}/v1/embeddings`, { model: "tiny:query", max_new_tokens: 4, messages: [{ role: "user", content }] }),
    ask(`${url}/v1/embeddings`, {
      model: "tiny",
      messages: [
        { role: "user", content },
        { role: "assistant", content: "A cat." },
      ],
    }),
  ]);
  for (const [i, result] of [plain, reasoned, given].entries()) {
    assert.equal(answers[i]!.status, 200);
    assertCosine(Float32Array.from(answers[i]!.body.data[0].embedding as number[]), result!.embedding, 0.99999, `${i}`);
  }
  assert.equal(answers[1].body.data[0].rationale, reasoned!.rationale);
  assert.equal(answers[0].body.data[0].rationale, undefined);
});

test("the Vercel AI SDK embeds through our provider, with pictures and rationales", async () => {
  const rge = createRge({ baseUrl: url });
  const { embeddings, usage } = await embedMany({ model: rge.embeddingModel("tiny"), values: ["a dog", "a cat"] });
  assert.deepEqual(Float32Array.from(embeddings[1]!), await direct("a cat\n"));
  assert.ok(usage.tokens > 0);
  const dataUrl = `data:image/jpeg;base64,${readFileSync(fixture("images/example.jpg")).toString("base64")}`;
  const { embedding, providerMetadata } = await embed({
    model: rge.embeddingModel("tiny:query"),
    value: "What is in it?",
    providerOptions: { rge: { images: [[dataUrl]] } },
  });
  const [expected] = await embedder.embed([
    {
      text: "<|image_1|>\nWhat is in it?\n",
      images: [fixture("images/example.jpg")],
      reason: { onBudget: "force-emb" },
    },
  ]);
  assertCosine(Float32Array.from(embedding), expected!.embedding, 0.99999, "picture");
  assert.deepEqual(providerMetadata?.["rge"]?.["rationales"], [expected!.rationale]);
  await assert.rejects(
    embed({ model: rge.embeddingModel("gpt"), value: "a", maxRetries: 0 }),
    /status 404: there is no model "gpt"/,
  );
});

test("LangChain.js embeds, and searches a collection as a vector store", async () => {
  const embeddings = new RgeEmbeddings({ baseUrl: url, model: "tiny", maxRetries: 0 });
  assert.deepEqual(Float32Array.from((await embeddings.embedDocuments(["a cat"]))[0]!), await direct("a cat\n"));
  assert.equal((await embeddings.embedQuery("a cat")).length, embedder.info.hidden);
  await ask(`${url}/v1/collections`, { name: "chain" });
  const store = new RgeVectorStore(embeddings, { baseUrl: url, collection: "chain", mode: "direct" });
  const ids = await store.addDocuments([
    new Document({ pageContent: "a cat", metadata: { legs: 4 } }),
    new Document({ id: "bird", pageContent: "a bird", metadata: { legs: 2 } }),
  ]);
  assert.deepEqual([ids.length, ids[1]], [2, "bird"]);
  const [[found, score]] = (await store.similaritySearchWithScore("a bird", 1)) as [[Document, number]];
  assert.deepEqual([found.id, found.pageContent, found.metadata], ["bird", "a bird", { legs: 2 }]);
  assert.ok(score > 0.999);
  const filtered = await store.similaritySearch("a bird", 5, { legs: { gt: 3 } });
  assert.deepEqual(
    filtered.map(({ pageContent }) => pageContent),
    ["a cat"],
  );
  assert.equal((await store.asRetriever(1).invoke("a cat"))[0]!.pageContent, "a cat");
  await assert.rejects(store.addVectors(), /use addDocuments/);
});

test("Cohere's shape: types of embedding, queries reasoned, texts with pictures", async () => {
  const expected = await direct("a cat\n");
  const types = ["float", "int8", "uint8", "binary", "ubinary", "base64"];
  const { body, status } = await ask(`${url}/v2/embed`, {
    model: "tiny",
    input_type: "search_document",
    texts: ["a cat"],
    embedding_types: types,
  });
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(body.embeddings as object).sort(), [...types].sort());
  assert.deepEqual(Float32Array.from(body.embeddings.float[0] as number[]), expected);
  const int8 = body.embeddings.int8[0] as number[];
  assert.deepEqual(
    int8,
    Array.from(expected, (value) => Math.round(127 * value)),
  );
  assert.deepEqual(
    body.embeddings.uint8[0],
    int8.map((value) => value + 128),
  );
  const bits = (body.embeddings.ubinary[0] as number[]).flatMap((byte) => byte.toString(2).padStart(8, "0").split(""));
  assert.deepEqual(
    bits.map(Number),
    Array.from(expected, (value) => Number(value > 0)),
  );
  assert.deepEqual(
    body.embeddings.binary[0],
    (body.embeddings.ubinary[0] as number[]).map((byte) => byte - 128),
  );
  const query = await ask(`${url}/v2/embed`, { model: "tiny", input_type: "search_query", texts: ["a cat"] });
  assert.equal(typeof query.body.rationales[0], "string");
  const dataUrl = `data:image/jpeg;base64,${readFileSync(fixture("images/example.jpg")).toString("base64")}`;
  const content = [
    { type: "text", text: "A photograph: " },
    { type: "image_url", image_url: { url: dataUrl } },
  ];
  const mixed = await ask(`${url}/v2/embed`, { model: "tiny", input_type: "classification", inputs: [{ content }] });
  const [picture] = await embedder.embed([
    { role: "target", text: "A photograph: <|image_1|>\n", images: [fixture("images/example.jpg")] },
  ]);
  assertCosine(Float32Array.from(mixed.body.embeddings.float[0] as number[]), picture!.embedding, 0.99999, "mixed");
  for (const wrong of [{ texts: ["a"], images: [dataUrl] }, {}, { texts: ["a"], output_dimension: 65 }])
    assert.equal((await ask(`${url}/v2/embed`, { model: "tiny", input_type: "classification", ...wrong })).status, 400);
});
