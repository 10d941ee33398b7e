import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Gate } from "../../../src/runtime/gate.ts";

test("work passes an open gate, and what it gives or throws comes out", async () => {
  const gate = new Gate();
  assert.equal(await gate.pass(async () => 5), 5);
  await assert.rejects(
    gate.pass(async () => {
      throw new Error("native");
    }),
    /^Error: native$/,
  );
  await gate.shut();
  gate.shutNow();
});

test("shutting waits for the work that is inside, also when it fails", async () => {
  for (const ends of ["resolve", "reject"] as const) {
    const gate = new Gate();
    const work = Promise.withResolvers<void>();
    const inside = gate.pass(() => work.promise);
    let shut = false;
    const shutting = gate.shut().then(() => (shut = true));
    await delay(20);
    assert.equal(shut, false);
    if (ends === "resolve") work.resolve();
    else work.reject(new Error("native"));
    await Promise.allSettled([inside]);
    await shutting;
    assert.ok(shut);
  }
});

test("a thread that comes to a shut gate stands still and can be ended, one inside is waited for", async () => {
  const gate = new Gate();
  const code = `
    import { parentPort, workerData } from "node:worker_threads";
    const { Gate } = await import(workerData.module);
    const gate = new Gate(workerData.memory);
    const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    await gate.pass(async () => { parentPort.postMessage("inside"); block(100); parentPort.postMessage("leaving"); });
    parentPort.postMessage("outside");
    await gate.pass(async () => parentPort.postMessage("never"));
  `;
  const module = new URL("../../../src/runtime/gate.ts", import.meta.url).href;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: { module, memory: gate.memory },
  });
  const messages: string[] = [];
  worker.on("message", (message: string) => messages.push(message));
  while (!messages.includes("inside")) await delay(1);
  const startedMs = performance.now();
  gate.shutNow();
  assert.ok(performance.now() - startedMs > 20, "it was not waited for");
  await delay(50);
  assert.deepEqual(messages, ["inside", "leaving", "outside"]);
  await worker.terminate();
});
