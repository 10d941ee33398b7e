/** What happens when there is too much to do, when clients go, and when the server stops. */
import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import { after, test } from "node:test";
import { Tokenizer } from "../../../src/input/tokenizer.ts";
import { createServer } from "../../../src/server/app.ts";
import { MemoryStore } from "../../../src/store/memory.ts";
import { checkpointOf, loadEmbedder } from "../../support/fixtures.ts";
import { ask } from "../../support/server.ts";

const FOLDER = checkpointOf("qwen2_5_vl");

async function start(limits: { itemsUnderWay?: number; timeoutMs?: number }) {
  const embedder = await loadEmbedder(FOLDER, { batch: 1 });
  const tokenizer = Tokenizer.load(FOLDER);
  const store = new MemoryStore();
  const server = await createServer({ modelName: "tiny", embedder, tokenizer, store, logLevel: "silent", limits });
  const url = await server.app.listen({ port: 0, host: "127.0.0.1" });
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopped ??= server.stop().then(() => embedder[Symbol.asyncDispose]());
    await stopped;
  };
  // A test that fails leaves nothing that keeps the process alive.
  after(stop);
  return { url, stop };
}

/** A request that takes a while. */
function slow(url: string, n: number, maxNewTokens = 2000, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}/v1/embeddings`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tiny:query", input: `item ${n}`, max_new_tokens: maxNewTokens }),
    ...(signal && { signal }),
  });
}

/** Waits until so many items are under way. */
async function underWay(url: string, items: number): Promise<void> {
  for (let i = 0; i < 500; i++) {
    const { body } = await ask(`${url}/metrics`);
    if ((body as string).includes(`\nrge_items_under_way ${items}\n`)) return;
    await wait(10);
  }
  assert.fail(`never ${items} items under way`);
}

test("beyond what it takes on it answers 429 with Retry-After; what it accepted is done", async () => {
  const { url, stop } = await start({ itemsUnderWay: 3 });
  // Seen to be warm first, so that all ten are there before any is done.
  await slow(url, 0, 5);
  const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => slow(url, i + 1, 1000)));
  const statuses = answers.map(({ status }) => status).sort((a, b) => a - b);
  assert.deepEqual(statuses, [200, 200, 200, 429, 429, 429, 429, 429, 429, 429]);
  const busy = answers.find(({ status }) => status === 429)!;
  assert.ok(Number(busy.headers.get("retry-after")) >= 1);
  assert.equal(((await busy.json()) as { error: { type: string } }).error.type, "rate_limit_error");
  assert.equal((await slow(url, 1, 5)).status, 200);
  await stop();
});

test("a client that goes frees its place, and a request that takes too long is given up", async () => {
  const { url, stop } = await start({ itemsUnderWay: 1, timeoutMs: 500 });
  const gone = new AbortController();
  const first = slow(url, 1, 4000, gone.signal);
  first.catch(() => {});
  await underWay(url, 1);
  assert.equal((await slow(url, 2)).status, 429);
  gone.abort();
  await assert.rejects(first);
  await underWay(url, 0);
  const late = await slow(url, 5, 4000);
  assert.equal(late.status, 504);
  assert.equal(((await late.json()) as { error: { code: string } }).error.code, "timeout");
  assert.equal((await slow(url, 4, 5)).status, 200);
  await stop();
});

test("stopping finishes what was accepted and refuses the rest", async () => {
  const { url, stop } = await start({});
  const accepted = slow(url, 1, 500);
  await underWay(url, 1);
  const stopping = stop();
  await wait(20);
  const refused = await ask(`${url}/readyz`).catch(() => undefined);
  assert.ok(refused === undefined || refused.status === 503);
  assert.equal((await accepted).status, 200);
  await stopping;
  await assert.rejects(ask(`${url}/readyz`));
});
