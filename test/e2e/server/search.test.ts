/** Collections, items and search over HTTP. */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { after, test } from "node:test";
import { MemoryStore } from "../../../src/store/memory.ts";
import { assertCosine } from "../../support/assert-close.ts";
import { fixture } from "../../support/fixtures.ts";
import { ask, type Reply, startServer } from "../../support/server.ts";

const root = mkdtempSync(join(tmpdir(), "rge-search-"));
after(() => rmSync(root, { recursive: true, force: true }));
cpSync(fixture("images/example.jpg"), join(root, "cat and dog.jpg"));
writeFileSync(join(root, "broken.jpg"), "no picture");
writeFileSync(join(root, "words.jsonl"), '{"id":"w","text":"a word","year":1999}\n{"number":3}\n');

const store = new MemoryStore();
const { url, embedder } = await startServer({ store, filesRoot: root });

/** Events of a stream: names and data. */
async function eventsOf(path: string, body: unknown): Promise<{ event: string; data: Reply }[]> {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
  assert.ok(response.headers.get("x-request-id"));
  return (await response.text())
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(block)!;
      return { event: event!, data: JSON.parse(data!) };
    });
}

test("a collection is made, filled, searched, and removed", async () => {
  const made = await ask(`${url}/v1/collections`, { name: "colours" });
  assert.equal(made.status, 201);
  assert.deepEqual(
    [made.body.count, made.body.model, made.body.dimension, made.body.searchable],
    [0, "tiny", embedder.info.hidden, true],
  );
  assert.equal((await ask(`${url}/v1/collections`, { name: "colours" })).status, 409);
  assert.equal((await ask(`${url}/v1/collections`, { name: "../up" })).status, 400);
  const items = [
    { id: "red", text: "a red thing", metadata: { warm: true } },
    { id: "blue/dark", text: "a blue thing", metadata: { warm: false } },
    { id: "picture", image: "cat and dog.jpg" },
    { id: "broken", image: "broken.jpg" },
  ];
  const { body } = await ask(`${url}/v1/collections/colours/items`, { items });
  assert.equal(body.added, 3);
  assert.match(JSON.stringify(body.failed), /"id":"broken","reason":".*neither|"id":"broken"/);
  assert.equal((await ask(`${url}/v1/collections/colours`)).body.count, 3);

  const found = await ask(`${url}/v1/collections/colours/search`, { text: "a blue thing", mode: "direct" });
  assert.equal(found.body.hits[0].item.id, "blue/dark");
  assert.ok(found.body.hits[0].cosine > 0.9999);
  assert.deepEqual([found.body.reasoned, found.body.rationale, found.body.finish], [false, "", "direct"]);
  const filtered = await ask(`${url}/v1/collections/colours/search`, {
    text: "a blue thing",
    mode: "direct",
    where: { warm: true },
  });
  assert.deepEqual(
    filtered.body.hits.map((hit: Reply) => hit.item.id),
    ["red"],
  );
  const worded = await ask(`${url}/v1/collections/colours/search`, {
    text: "x",
    words: "red",
    limit: 1,
    mode: "direct",
  });
  assert.equal(worded.body.hits[0].item.id, "red");

  const judged = await ask(`${url}/v1/collections/colours/search`, { text: "red", mode: "direct", rerank: 3 });
  const verdicts = judged.body.hits.map((hit: Reply) => hit.judged);
  assert.equal(verdicts.length, 3);
  assert.ok(verdicts.every((chance: unknown) => typeof chance === "number" && chance >= 0 && chance <= 1));
  assert.deepEqual(
    verdicts,
    verdicts.toSorted((a: number, b: number) => b - a),
  );
  assert.ok(judged.body.timings.rerank_ms > 0);
  assert.equal((await ask(`${url}/v1/collections/colours/search`, { text: "red", rerank: 101 })).status, 400);

  const item = await ask(`${url}/v1/collections/colours/items/${encodeURIComponent("blue/dark")}`);
  assert.deepEqual(item.body, { id: "blue/dark", text: "a blue thing", metadata: { warm: false }, image: null });
  const similar = await ask(`${url}/v1/collections/colours/items/red/similar?limit=2`);
  assert.equal(similar.body.hits.length, 2);
  assert.ok(similar.body.hits.every((hit: Reply) => hit.item.id !== "red"));
  assert.equal((await ask(`${url}/v1/collections/colours/items/red`, undefined, { method: "DELETE" })).status, 200);
  for (const path of ["items/red", "items/red/similar", "items/red/image"])
    assert.equal((await ask(`${url}/v1/collections/colours/${path}`)).status, 404, path);
  assert.equal((await ask(`${url}/v1/collections/colours`, undefined, { method: "DELETE" })).status, 200);
  for (const path of ["", "/items/red"]) assert.equal((await ask(`${url}/v1/collections/colours${path}`)).status, 404);
  assert.equal((await ask(`${url}/v1/collections/colours/search`, { text: "a" })).status, 404);
});

test("a rationale is streamed as it is written, and is the one of the result", async () => {
  await ask(`${url}/v1/collections`, { name: "streamed" });
  await ask(`${url}/v1/collections/streamed/items`, {
    items: [
      { id: "a", text: "a cat" },
      { id: "b", text: "a dog" },
    ],
  });
  const query = { text: "which one", mode: "reason", max_new_tokens: 6, compare: true };
  const events = await eventsOf("/v1/collections/streamed/search", { ...query, stream: true });
  const rationales = events.filter(({ event }) => event === "rationale");
  // The last token may be <emb>, and the direct look has none.
  assert.ok(rationales.length >= 1 && rationales.length <= 6);
  const { event, data } = events.at(-1)!;
  assert.equal(event, "result");
  assert.equal(data.rationale, rationales.at(-1)!.data.text);
  assert.equal(data.direct_hits.length, 2);
  const again = await ask(`${url}/v1/collections/streamed/search`, query);
  assert.deepEqual([again.body.cached, again.body.rationale], [true, data.rationale]);
  assert.deepEqual(again.body.hits, data.hits);
  // What is wrong with a request is told by its status, streamed or not.
  const wrong = await ask(`${url}/v1/collections/streamed/search`, { ...query, stream: true, least_chance: 0.5 });
  assert.deepEqual([wrong.status, wrong.body.error.type], [400, "invalid_request_error"]);
});

test("a folder is indexed while the server answers, with its progress and what could not be read", async () => {
  await ask(`${url}/v1/collections`, { name: "folder" });
  const started = await ask(`${url}/v1/collections/folder/index`, { path: "." });
  assert.deepEqual([started.status, started.body.indexing.state], [202, "running"]);
  let state: Reply;
  for (let i = 0; i < 200; i++) {
    state = (await ask(`${url}/v1/collections/folder`)).body;
    if (state.indexing.state !== "running") break;
    await wait(20);
  }
  assert.deepEqual([state.indexing.state, state.count], ["done", 1]);
  assert.deepEqual(
    [state.indexing.counts.embedded, state.indexing.counts.failed, state.indexing.problems[0].place],
    [1, 1, "broken.jpg"],
  );
  const { body } = await ask(`${url}/v1/collections/folder/search`, { image: "cat and dog.jpg", mode: "direct" });
  const [hit] = body.hits;
  assert.equal(hit.item.id, "cat and dog.jpg");
  assert.equal(hit.item.text, "cat and dog jpg");
  const whole = await fetch(`${url}${hit.item.image}`);
  assert.deepEqual(Buffer.from(await whole.arrayBuffer()), readFileSync(join(root, "cat and dog.jpg")));
  const small = await fetch(`${url}${hit.item.image}?size=64`);
  assert.equal(small.headers.get("content-type"), "image/webp");
  assert.ok((await small.arrayBuffer()).byteLength < 10_000);
  assert.equal((await ask(`${url}/v1/collections/folder/index`, { path: "../" })).status, 403);
  assert.equal((await ask(`${url}/v1/collections/none/index`, { path: "." })).status, 404);
});

test("vectors of another model are not searched, nor added to", async () => {
  const origin = (await store.open("folder")).origin;
  await store.create("foreign", { ...origin, modelHash: "another" });
  assert.equal((await ask(`${url}/v1/collections/foreign`)).body.searchable, false);
  for (const [path, body] of [
    ["search", { text: "a" }],
    ["items", { items: [{ id: "a", text: "a" }] }],
    ["index", { path: "." }],
  ] as const) {
    const answer = await ask(`${url}/v1/collections/foreign/${path}`, body);
    assert.deepEqual([answer.status, answer.body.error.code], [409, "another_model"], path);
  }
});

test("a picture that is posted is embedded within the collection's bounds, as an indexed one is", async () => {
  const { hash: modelHash, hidden: dimension } = embedder.info;
  const instruction = "Represent the given image.";
  const origin = { model: "tiny", modelHash, instruction, minPixels: 3136, maxPixels: 6272, dimension };
  const bounded = await store.create("bounded", origin);
  const image = "cat and dog.jpg";
  assert.equal((await ask(`${url}/v1/collections/bounded/items`, { items: [{ id: "a", image }] })).body.added, 1);
  const embed = { role: "target", text: `<|image_1|>\n${instruction}\n`, images: [join(root, image)] } as const;
  const [within, whole] = await embedder.embed([{ ...embed, minPixels: 3136, maxPixels: 6272 }, embed]);
  const [item] = await bounded.get(["a"]);
  assertCosine(item!.vector, within!.embedding, 0.99999, "within the bounds");
  assert.notDeepEqual(within!.embedding, whole!.embedding);
});

test("the API describes itself in OpenAPI 3.1, every route with what it may answer", async () => {
  const { body } = await ask(`${url}/docs/json`);
  assert.equal(body.openapi, "3.1.0");
  const routes = Object.entries(body.paths as Record<string, Record<string, Reply>>);
  assert.ok(routes.length >= 14);
  for (const [path, methods] of routes)
    for (const [method, { summary, responses }] of Object.entries(methods)) {
      assert.ok(typeof summary === "string" && summary.length > 7, `${method} ${path}`);
      assert.ok(Object.keys(responses as object).length > 0, `${method} ${path}`);
    }
  assert.match((await ask(`${url}/metrics`)).body as string, /rge_items_embedded_total [1-9]/);
});
