/** How calls share the worker, how they are stopped, and how the worker ends. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import {
  CheckpointError,
  Embedder,
  InputError,
  RuntimeError,
  type EmbedItem,
  type LoadOptions,
  type LoadProgress,
} from "../../src/index.ts";
import { checkpointOf, loadEmbedder, temporaryFolder } from "../support/fixtures.ts";

const FOLDER = checkpointOf("qwen2_5_vl");
const SHORT: EmbedItem = { text: "cat", role: "target" };
/** Writes until its budget, a second or more on any machine. */
const LONG: EmbedItem = { text: "cat 1", reason: { maxNewTokens: 3900, repetitionPenalty: 1 } };
/** A test that waits for something that never comes fails after this. */
const TIMEOUT_MS = 30_000;

async function timeMs(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** The worker is free again: a short item is done in a fraction of the time that the long one needs. */
async function assertFree(embedder: Embedder, longMs: number): Promise<void> {
  const shortMs = await timeMs(() => embedder.embed([SHORT]));
  assert.ok(shortMs < longMs / 3, `a short item took ${shortMs} ms, the long one takes ${longMs} ms`);
}

/** A source that never gives its second item. */
async function* stuckAfterOne(): AsyncGenerator<EmbedItem> {
  yield SHORT;
  await new Promise(() => {});
}

function isClosed(error: unknown): boolean {
  return error instanceof RuntimeError && error.message.endsWith("the Embedder is closed");
}

function isUnexpectedEnd(error: unknown): boolean {
  return error instanceof RuntimeError && error.message.endsWith("the worker ended unexpectedly, exit code 1");
}

/** An Embedder and its worker thread. */
async function loadWithWorker(options: LoadOptions = {}): Promise<{ embedder: Embedder; worker: Worker }> {
  let worker: Worker | undefined;
  const seen = (created: Worker): void => {
    worker = created;
  };
  process.once("worker", seen);
  const embedder = await loadEmbedder(FOLDER, options);
  process.off("worker", seen);
  return { embedder, worker: worker! };
}

test(
  "two calls at the same time share the worker, and the short one does not wait",
  { timeout: TIMEOUT_MS },
  async () => {
    await using embedder = await loadEmbedder(FOLDER, { batch: 2 });
    const order: string[] = [];
    const [[long], short] = await Promise.all([
      embedder.embed([LONG]).finally(() => order.push("long")),
      embedder.embed([SHORT, { text: "dog", role: "target" }]).finally(() => order.push("short")),
    ]);
    assert.deepEqual(order, ["short", "long"]);
    assert.equal(long!.rationaleTokens, 3900);
    assert.equal(short.length, 2);
  },
);

test("a signal that is aborted before the call stops it before anything is read", async () => {
  await using embedder = await loadEmbedder(FOLDER);
  const reason = new Error("not wanted");
  const read: number[] = [];
  const items = function* (): Generator<EmbedItem> {
    read.push(1);
    yield SHORT;
  };
  const signal = AbortSignal.abort(reason);
  await assert.rejects(embedder.embed([SHORT], { signal }), (error) => error === reason);
  await assert.rejects(embedder.stream(items(), { signal }).next(), (error) => error === reason);
  assert.deepEqual(read, []);
  assert.equal((await embedder.embed([SHORT])).length, 1);
});

test(
  "a signal that is aborted while a rationale is written ends it, and frees the worker",
  { timeout: TIMEOUT_MS },
  async () => {
    await using embedder = await loadEmbedder(FOLDER, { batch: 2 });
    const longMs = await timeMs(() => embedder.embed([LONG]));
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const call = embedder.embed([LONG, LONG, LONG], { signal: controller.signal });
    const other = embedder.embed([LONG]);
    setTimeout(() => controller.abort(reason), longMs / 20);
    const abortedMs = await timeMs(() => assert.rejects(call, (error) => error === reason));
    assert.ok(abortedMs < longMs / 2, `stopped after ${abortedMs} ms, the item takes ${longMs} ms`);
    assert.equal((await other)[0]!.rationaleTokens, 3900, "another call goes on");
    await assertFree(embedder, longMs);
  },
);

test("a signal that is aborted after the call changes nothing", async () => {
  await using embedder = await loadEmbedder(FOLDER);
  const controller = new AbortController();
  const [result] = await embedder.embed([SHORT], { signal: controller.signal });
  controller.abort();
  const [again] = await embedder.embed([SHORT]);
  assert.deepEqual(again!.embedding, result!.embedding);
});

test(
  "a signal that is aborted while the source keeps the reader waiting ends the stream",
  { timeout: TIMEOUT_MS },
  async () => {
    await using embedder = await loadEmbedder(FOLDER);
    const controller = new AbortController();
    const outcomes = embedder.stream(stuckAfterOne(), { signal: controller.signal });
    assert.ok("result" in (await outcomes.next()).value!, "a result that is there does not wait for the next item");
    const next = outcomes.next();
    controller.abort();
    await assert.rejects(next, { name: "AbortError" });
  },
);

test("a source may wait for each result before it gives the next item", { timeout: TIMEOUT_MS }, async () => {
  await using embedder = await loadEmbedder(FOLDER);
  let received = Promise.withResolvers<void>();
  const items = async function* (): AsyncGenerator<EmbedItem> {
    for (let i = 0; i < 3; i++) {
      yield { text: `cat ${i}`, role: "target" };
      await received.promise;
      received = Promise.withResolvers();
    }
  };
  const indices: number[] = [];
  for await (const { index } of embedder.stream(items())) {
    indices.push(index);
    received.resolve();
  }
  assert.deepEqual(indices, [0, 1, 2]);
});

test("only a few batches are taken from a source ahead of the reader", { timeout: TIMEOUT_MS }, async () => {
  const batch = 2;
  await using embedder = await loadEmbedder(FOLDER, { batch });
  let taken = 0;
  let closed = false;
  const items = async function* (): AsyncGenerator<EmbedItem> {
    try {
      for (;;) {
        taken++;
        yield SHORT;
      }
    } finally {
      closed = true;
    }
  };
  let received = 0;
  for await (const outcome of embedder.stream(items())) {
    assert.ok("result" in outcome);
    received++;
    // A reader that is slow: the worker has all the time to get ahead.
    await delay(20);
    assert.ok(taken - received <= 3 * batch, `${taken} taken, ${received} received`);
    if (received === 10) break;
  }
  assert.ok(closed, "the source hears that no more is wanted");
});

test("a reader that breaks off frees the worker", { timeout: TIMEOUT_MS }, async () => {
  await using embedder = await loadEmbedder(FOLDER, { batch: 2 });
  const longMs = await timeMs(() => embedder.embed([LONG]));
  for await (const { index } of embedder.stream([SHORT, LONG, LONG, LONG, LONG])) {
    assert.equal(index, 0);
    break;
  }
  await assertFree(embedder, longMs);
});

test("what a source throws reaches the reader, and frees the worker", { timeout: TIMEOUT_MS }, async () => {
  await using embedder = await loadEmbedder(FOLDER);
  const items = function* (): Generator<EmbedItem> {
    yield SHORT;
    throw new Error("the list ends here");
  };
  await assert.rejects(async () => {
    for await (const outcome of embedder.stream(items())) assert.ok("result" in outcome);
  }, /the list ends here/);
  assert.equal((await embedder.embed([SHORT])).length, 1);
});

test("disposing rejects what is under way and all that comes later", { timeout: TIMEOUT_MS }, async () => {
  const embedder = await loadEmbedder(FOLDER, { batch: 1 });
  const longMs = await timeMs(() => embedder.embed([LONG]));
  const calls = [embedder.embed([LONG]), embedder.embed([LONG, SHORT])];
  const outcome = embedder.stream([LONG]).next();
  void Promise.allSettled(calls);
  await delay(longMs / 20);
  const disposedMs = await timeMs(() => embedder[Symbol.asyncDispose]());
  assert.ok(disposedMs < longMs / 2, `closed after ${disposedMs} ms, an item takes ${longMs} ms`);
  const [first, second] = await Promise.allSettled(calls);
  assert.ok(first?.status === "rejected" && isClosed(first.reason));
  assert.ok(second?.status === "rejected" && isClosed(second.reason));
  const { value: streamed } = await outcome;
  assert.ok(streamed && "error" in streamed && isClosed(streamed.error));
  await assert.rejects(embedder.embed([SHORT]), isClosed);
  await embedder[Symbol.asyncDispose]();
});

test("items given while it closes are rejected too", { timeout: TIMEOUT_MS }, async () => {
  const embedder = await loadEmbedder(FOLDER);
  const closing = embedder[Symbol.asyncDispose]();
  await assert.rejects(embedder.embed([SHORT]), /the Embedder is closed/);
  await closing;
});

test(
  "a worker that ends by itself rejects its items with a RuntimeError that says so",
  { timeout: TIMEOUT_MS },
  async () => {
    const { embedder, worker } = await loadWithWorker();
    // Idle, and so outside native code: see runtime/gate.ts.
    await worker.terminate();
    await assert.rejects(embedder.embed([SHORT]), isUnexpectedEnd);
    await assert.rejects(embedder.embed([SHORT, SHORT]), /^RuntimeError: item 0: the worker ended unexpectedly/);
    await embedder[Symbol.asyncDispose]();
  },
);

test(
  "an error that nobody caught in the worker is the cause of what its items reject with",
  { timeout: TIMEOUT_MS },
  async () => {
    const { embedder, worker } = await loadWithWorker();
    const call = assert.rejects(
      embedder.embed([LONG]),
      (error) =>
        error instanceof RuntimeError &&
        error.message.startsWith("the worker failed: TypeError") &&
        error.cause instanceof Error,
    );
    await delay(50);
    // No Embedder sends this; it stands for a bug of ours.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    worker.postMessage({ type: "embed", id: 999, item: undefined });
    await call;
    await embedder[Symbol.asyncDispose]();
  },
);

test("a checkpoint that cannot be loaded rejects with the class of what is wrong", async (t) => {
  const empty = temporaryFolder(t);
  await assert.rejects(loadEmbedder(empty), CheckpointError);
  writeFileSync(join(empty, "config.json"), "{}");
  await assert.rejects(loadEmbedder(empty), CheckpointError);
  const inTheWay = join(empty, "config.json", "cache");
  await assert.rejects(loadEmbedder(FOLDER, { cacheDir: inTheWay }), RuntimeError);
  await assert.rejects(loadEmbedder(FOLDER, { closingPrompt: "" }), InputError);
});

test("options of load that make no sense are refused by name", async () => {
  const wrong: [object, RegExp][] = [
    [{ weights: "int2" }, /^weights is one of fp32, int8, int4, got "int2"$/],
    [{ batch: 0 }, /^batch is a whole number from 1 to 256, got 0$/],
    [{ batch: 257 }, /^batch is .* got 257$/],
    [{ threads: 0.5 }, /^threads is a whole number above 0, got 0.5$/],
  ];
  for (const [options, message] of wrong)
    await assert.rejects(
      Embedder.load(FOLDER, options),
      (error) => error instanceof InputError && message.test(error.message),
    );
});

test("loading can be aborted, and reports the graphs it compiles until they are in the cache", async (t) => {
  const cacheDir = temporaryFolder(t);
  const reason = new Error("no time");
  await assert.rejects(
    loadEmbedder(FOLDER, { cacheDir, signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  const controller = new AbortController();
  const loading = loadEmbedder(FOLDER, { cacheDir, signal: controller.signal });
  await delay(5);
  controller.abort(reason);
  await assert.rejects(loading, (error) => error === reason);

  const progress: LoadProgress[] = [];
  const load = async (): Promise<void> => {
    progress.length = 0;
    const onProgress = (step: LoadProgress): number => progress.push(step);
    await using _embedder = await loadEmbedder(FOLDER, { cacheDir, weights: "int4", onProgress });
  };
  await load();
  const graphs = new Set(progress.map((step) => (step.stage === "compile" ? step.graph : step.file)));
  assert.deepEqual([...graphs].sort(), ["decoder-blocks4", "decoder-rows8", "head-blocks8", "vision-rows8"]);
  for (const step of progress) assert.ok(step.doneBytes <= step.totalBytes!);
  await load();
  assert.deepEqual(progress, []);
});
