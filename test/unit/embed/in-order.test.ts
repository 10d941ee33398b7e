import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inOrder } from "../../../src/embed/in-order.ts";

async function* countTo(count: number, seen: number[] = []): AsyncGenerator<number> {
  for (let value = 0; value < count; value++) {
    seen.push(value);
    yield value;
  }
}

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

const work = async (value: number): Promise<string> => {
  await sleep(value % 2 === 0 ? 4 : 0);
  return `r${value}`;
};

async function* stuck(): AsyncGenerator<number> {
  yield 1;
  await new Promise(() => {});
}

// oxlint-disable-next-line require-yield -- it fails before it could
async function* broken(): AsyncGenerator<number> {
  throw new Error("disk gone");
}

test("results keep the order of their values, whichever is ready first", async () => {
  assert.deepEqual(await collect(inOrder(countTo(7), work, 3)), ["r0", "r1", "r2", "r3", "r4", "r5", "r6"]);
  assert.deepEqual(await collect(inOrder(countTo(0), work, 3)), []);
});

test("no more values are taken than may be ahead", async () => {
  const seen: number[] = [];
  const results = inOrder(countTo(100, seen), async (value) => value, 3);
  await results.next();
  assert.ok(seen.length <= 4, `${seen.length} values were taken for one result`);
  await results.return();
});

test("a source that pauses does not hold results back", async () => {
  const pause = Promise.withResolvers<void>();
  async function* slow(): AsyncGenerator<number> {
    yield 1;
    await pause.promise;
    yield 2;
  }
  const results = inOrder(slow(), async (value) => value * 10, 8);
  assert.equal((await results.next()).value, 10);
  pause.resolve();
  assert.equal((await results.next()).value, 20);
  assert.equal((await results.next()).done, true);
});

test("a reader that stops does not wait for a source that never goes on", async () => {
  const results = inOrder(stuck(), async (value) => value, 8);
  await results.next();
  await results.return();
});

test("an error of the source reaches the reader", async () => {
  await assert.rejects(collect(inOrder(broken(), async (value) => value, 2)), /disk gone/);
});
