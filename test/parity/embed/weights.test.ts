/** Eight and four bits against float32: how near they stay, and that items of a batch do not disturb each other. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { EmbedItem, WeightFormat } from "../../../src/index.ts";
import { assertCosine, cosine } from "../../support/assert-close.ts";
import { DirectModel } from "../../support/direct-model.ts";
import {
  casesOf,
  checkpointOf,
  contentOf,
  EMB_ID,
  FAMILIES,
  loadEmbedder,
  queryOf,
  targetOf,
} from "../../support/fixtures.ts";

const RATIONALE = "The image shows a cat and a dog.";

/**
 * Least cosine to float32 on these random checkpoints, whose 64-wide rows round far more coarsely than a real model's:
 * `read` for what is read at once (direct embeddings, rationales that are given), `written` for the path of one token
 * at a time, for the very tokens that were written. Measured worst: 0.9991 and 0.9982 in int8, 0.9991 and 0.9963 in int4.
 */
const FLOORS: Readonly<Record<Exclude<WeightFormat, "fp32">, { read: number; written: number }>> = {
  int8: { read: 0.998, written: 0.997 },
  int4: { read: 0.998, written: 0.995 },
};

function worstOf(t: TestContext, label: string, cosines: readonly number[]): number {
  const worst = Math.min(...cosines);
  t.diagnostic(`${label}: worst cosine ${worst.toFixed(5)} of ${cosines.length}`);
  return worst;
}

for (const weights of ["int8", "int4"] as const)
  for (const family of FAMILIES)
    test(`${family} in ${weights} stays near float32, for the same tokens`, async (t) => {
      const folder = checkpointOf(family);
      await using exact = await DirectModel.open(folder);
      await using embedder = await loadEmbedder(folder, { weights });
      const cases = casesOf(family);

      const direct = await embedder.embed(cases.map(targetOf));
      const given = await embedder.embed(
        cases.map((one) => ({ ...contentOf(one), role: "query" as const, rationale: RATIONALE })),
      );
      const written = await embedder.embed(
        cases.map((one) => ({ ...contentOf(one), reason: { maxNewTokens: 24, temperature: 4, seed: 8 } })),
      );
      const cosinesTo = async (results: typeof direct, idsOf: (i: number) => readonly number[]): Promise<number[]> => {
        const cosines: number[] = [];
        for (const [i, one] of cases.entries()) {
          const { state } = await exact.stateAfter(contentOf(one), idsOf(i));
          cosines.push(cosine(results[i]!.embedding, state));
        }
        return cosines;
      };
      const read = [
        ...(await cosinesTo(direct, () => [EMB_ID])),
        ...(await cosinesTo(given, (i) => given[i]!.rationaleIds)),
      ];
      assert.ok(worstOf(t, "read", read) >= FLOORS[weights].read);
      const ids = written.map(({ rationaleIds }) => rationaleIds);
      assert.ok(ids.some(({ length }) => length >= 20));
      assert.ok(worstOf(t, "written", await cosinesTo(written, (i) => ids[i]!)) >= FLOORS[weights].written);
    });

for (const weights of ["int8", "int4"] as const)
  for (const family of FAMILIES)
    test(`${family} in ${weights}: an item's rationale and embedding do not depend on its batch`, async () => {
      const items: EmbedItem[] = casesOf(family).flatMap((one) => [queryOf(one), targetOf(one)]);
      await using single = await loadEmbedder(checkpointOf(family), { weights, batch: 1 });
      const alone = await single.embed(items);
      for (const batch of [2, 5, 16]) {
        await using embedder = await loadEmbedder(checkpointOf(family), { weights, batch });
        for (const order of [items, items.toReversed()]) {
          const results = await embedder.embed(order);
          for (const [i, result] of results.entries()) {
            const own = alone[items.indexOf(order[i]!)]!;
            const label = `batch ${batch}, item ${i}`;
            assert.deepEqual(result.rationaleIds, own.rationaleIds, label);
            assertCosine(result.embedding, own.embedding, 0.99999, label);
          }
        }
      }
    });
