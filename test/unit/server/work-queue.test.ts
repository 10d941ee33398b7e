import assert from "node:assert/strict";
import { test } from "node:test";
import { HttpError } from "../../../src/server/errors.ts";
import { WorkQueue } from "../../../src/server/work-queue.ts";

/** Work that is done when it is told to be. */
function held(queue: WorkQueue, items: number): { done: Promise<void>; end: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { done: queue.run(items, () => promise), end: resolve };
}

function isBusy(error: unknown): boolean {
  assert.ok(error instanceof HttpError);
  assert.equal(error.status, 429);
  assert.ok(Number(error.headers["retry-after"]) >= 1);
  return true;
}

test("no more items are under way than allowed; places that are free again are taken", async () => {
  const queue = new WorkQueue(3, 60);
  const two = held(queue, 2);
  await assert.rejects(held(queue, 2).done, isBusy);
  const one = held(queue, 1);
  assert.equal(queue.items, 3);
  two.end();
  await two.done;
  await queue.run(2, () => Promise.resolve());
  one.end();
  await one.done;
  assert.equal(queue.items, 0);
});

test("work that would wait longer than allowed is refused once the rate is known, and idle time does not count", async (t) => {
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const queue = new WorkQueue(1000, 10);
  const work = async (items: number, ms: number): Promise<void> => {
    const { done, end } = held(queue, items);
    now += ms;
    end();
    await done;
  };
  // Three a second: 30 in the ten seconds that one may wait.
  await work(300, 100_000);
  now += 3_600_000;
  const some = held(queue, 20);
  await assert.rejects(held(queue, 11).done, isBusy);
  const rest = held(queue, 10);
  now += 10_000;
  some.end();
  rest.end();
  await Promise.all([some.done, rest.done]);
  // However slow it is, a batch is taken on; alone, anything.
  await work(100, 1_000_000);
  const one = held(queue, 1);
  await assert.rejects(held(queue, 16).done, isBusy);
  const fifteen = held(queue, 15);
  one.end();
  fifteen.end();
  await Promise.all([one.done, fifteen.done]);
  await assert.rejects(
    queue.close().then(() => queue.run(1, () => Promise.resolve())),
    /stopping/,
  );
});

test("closing waits for what is under way", async () => {
  const queue = new WorkQueue(5, 60);
  const work = held(queue, 1);
  let isClosed = false;
  const closed = queue.close().then(() => (isClosed = true));
  await Promise.resolve();
  assert.equal(isClosed, false);
  work.end();
  await Promise.all([work.done, closed]);
});
