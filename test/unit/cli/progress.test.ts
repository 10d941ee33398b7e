import assert from "node:assert/strict";
import { test } from "node:test";
import { formatStep, Progress, type Screen } from "../../../src/cli/progress.ts";
import { formatBytes, formatDuration } from "../../../src/cli/units.ts";

/** What a terminal takes for "erase this line". */
const ERASE = "\r\u001b[K";

class FakeScreen implements Screen {
  readonly isTTY: boolean;
  readonly columns: number | undefined;
  readonly written: string[] = [];
  constructor(isTTY: boolean, columns?: number) {
    this.isTTY = isTTY;
    this.columns = columns;
  }
  write(text: string): void {
    this.written.push(text);
  }
}

function setUp(screen: FakeScreen, quiet = false): { progress: Progress; clock: { ms: number } } {
  const clock = { ms: 0 };
  return { clock, progress: new Progress(screen, { quiet, now: () => clock.ms }) };
}

const items = (done: number, total?: number) => ({ what: "embedding", done, total, unit: "items" }) as const;

test("amounts read as people write them", () => {
  assert.deepEqual([0, 1023, 1024, 1536, 102_399, 1_048_575, 5e9, 2e15].map(formatBytes), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "100 KiB",
    "1.0 MiB",
    "4.7 GiB",
    "1819 TiB",
  ]);
  assert.deepEqual([0, 850, 999.6, 4200, 59_960, 92_000, 3_599_600, 7_380_000].map(formatDuration), [
    "0 ms",
    "850 ms",
    "1.0 s",
    "4.2 s",
    "1m 00s",
    "1m 32s",
    "1h 00m",
    "2h 03m",
  ]);
});

test("a step tells what, share, amount, rate and time left", () => {
  const step = { what: "a.bin", done: 1024 ** 3, total: 4 * 1024 ** 3, unit: "bytes" } as const;
  assert.equal(
    formatStep(step, { elapsedMs: 16_000, since: 0, bar: true }),
    "a.bin [#####...............]   25%  1.0 GiB / 4.0 GiB  64.0 MiB/s  48.0 s left",
  );
  assert.equal(formatStep(items(3), { elapsedMs: 12_000, since: 0, bar: true }), "embedding  3  15.0/min");
  assert.equal(
    formatStep(items(1000, 2000), { elapsedMs: 100_000, since: 0, bar: false }),
    "embedding   50%  1,000 / 2,000  10.0/s  1m 40s left",
  );
});

test("what was there at the start does not count as speed, and the first second tells none", () => {
  const step = { what: "a.bin", done: 900, total: 1000, unit: "bytes" } as const;
  assert.match(formatStep(step, { elapsedMs: 10_000, since: 800, bar: false }), /10 B\/s {2}10\.0 s left$/);
  assert.match(formatStep(step, { elapsedMs: 999, since: 0, bar: false }), /900 B \/ 1000 B$/);
  assert.match(formatStep({ ...step, done: 1000 }, { elapsedMs: 2000, since: 0, bar: false }), /500 B\/s$/);
});

test("on a terminal the bar redraws in place, seldom, within the width, and clears itself", () => {
  const screen = new FakeScreen(true, 30);
  const { progress, clock } = setUp(screen);
  progress.update(items(0, 10));
  clock.ms = 50;
  progress.update(items(1, 10));
  assert.equal(screen.written.length, 1);
  clock.ms = 150;
  progress.update(items(2, 10));
  progress.update(items(10, 10));
  assert.equal(screen.written.length, 3);
  for (const text of screen.written) {
    assert.ok(text.startsWith(ERASE));
    assert.match(text.slice(ERASE.length), /^embedding \[[#.]+$/);
    assert.equal(text.length - ERASE.length, 29);
  }
  progress.clear();
  progress.clear();
  assert.deepEqual(screen.written.slice(3), [ERASE]);
});

test("a terminal that has no size gets a whole line", () => {
  const screen = new FakeScreen(true, 0);
  setUp(screen).progress.update(items(5, 10));
  assert.deepEqual(screen.written, [`${ERASE}embedding [##########..........]   50%  5 / 10`]);
});

test("elsewhere a plain line comes every five seconds, and none for what is quick", () => {
  const screen = new FakeScreen(false);
  const { progress, clock } = setUp(screen);
  for (clock.ms = 0; clock.ms <= 12_000; clock.ms += 1000) progress.update(items(clock.ms / 1000, 100));
  progress.clear();
  assert.deepEqual(screen.written, [
    "embedding    5%  5 / 100  1.0/s  1m 35s left\n",
    "embedding   10%  10 / 100  1.0/s  1m 30s left\n",
  ]);
});

test("another piece of work starts the clock anew but not the wait for a line", () => {
  const screen = new FakeScreen(false);
  const { progress, clock } = setUp(screen);
  progress.update({ ...items(0, 10), what: "first" });
  clock.ms = 4000;
  progress.update({ ...items(0, 10), what: "second" });
  clock.ms = 6000;
  progress.update({ ...items(4, 10), what: "second" });
  assert.deepEqual(screen.written, ["second   40%  4 / 10  2.0/s  3.0 s left\n"]);
});

test("quiet shows nothing", () => {
  const screen = new FakeScreen(true);
  const { progress, clock } = setUp(screen, true);
  progress.update(items(0, 10));
  clock.ms = 60_000;
  progress.update(items(5, 10));
  progress.clear();
  assert.deepEqual(screen.written, []);
});
