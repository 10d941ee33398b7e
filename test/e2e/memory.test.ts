/** Loading and closing models again and again keeps memory where it was. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { casesOf, checkpointOf, loadEmbedder, queryOf, targetOf } from "../support/fixtures.ts";

const CYCLES = 100;
/** Growth from cycles 20-40 to 80-100 that counts as flat: the allocator's own drift over a hundred worker threads. */
const MAX_GROWTH_MIB = 30;
/** The same within one model from rounds 40-60 to 80-100: arenas reach their size (flat from round 200 to 600) late. */
const MAX_ROUNDS_GROWTH_MIB = 50;

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

test(`memory is flat over ${CYCLES} cycles of load, embed and close`, async (t) => {
  const item = queryOf(casesOf("qwen2_5_vl").find(({ name }) => name === "photo")!);
  const rssMiB: number[] = [];
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    await using embedder = await loadEmbedder(checkpointOf("qwen2_5_vl"));
    await embedder.embed([item]);
    rssMiB.push(process.memoryUsage.rss() / 2 ** 20);
  }
  const [early, late] = [mean(rssMiB.slice(20, 40)), mean(rssMiB.slice(80, 100))];
  const curve = rssMiB.filter((_, cycle) => cycle % 10 === 9).map((value) => value.toFixed(0));
  t.diagnostic(`resident MiB at every tenth cycle: ${curve.join(" ")}`);
  t.diagnostic(`mean of cycles 20-40: ${early.toFixed(1)} MiB, of 80-100: ${late.toFixed(1)} MiB`);
  assert.ok(late - early < MAX_GROWTH_MIB, `grew by ${(late - early).toFixed(1)} MiB`);
});

test("memory is flat while one model embeds batch after batch", async (t) => {
  const items = casesOf("qwen2_5_vl").flatMap((one) => [queryOf(one), targetOf(one)]);
  await using embedder = await loadEmbedder(checkpointOf("qwen2_5_vl"));
  const rssMiB: number[] = [];
  for (let round = 0; round < 100; round++) {
    // Batches of changing make-up, so that no buffer of the last one fits the next.
    await embedder.embed([...items.slice(round % items.length), ...items.slice(0, (round * 5) % items.length)]);
    rssMiB.push(process.memoryUsage.rss() / 2 ** 20);
  }
  const [early, late] = [mean(rssMiB.slice(40, 60)), mean(rssMiB.slice(80, 100))];
  t.diagnostic(`mean of rounds 40-60: ${early.toFixed(1)} MiB, of 80-100: ${late.toFixed(1)} MiB`);
  assert.ok(late - early < MAX_ROUNDS_GROWTH_MIB, `grew by ${(late - early).toFixed(1)} MiB`);
});
