/** A yes or a no: the chance is that of transformers' logits for the token after the prompt. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chanceOfYes } from "../../../src/embed/judge.ts";
import { Tokenizer } from "../../../src/input/tokenizer.ts";
import { casesOf, checkpointOf, FAMILIES, loadEmbedder, queryOf, referenceOf } from "../../support/fixtures.ts";

/** Sum of softmax over the whole vocabulary, in double precision. */
function massOf(logits: Float32Array, ids: readonly number[]): number {
  const most = Math.max(...logits);
  return ids.reduce((sum, id) => sum + Math.exp(logits[id]! - most), 0);
}

for (const family of FAMILIES)
  test(`${family}: alone, together and beside items that write, judgements are transformers'`, async () => {
    const tokenizer = Tokenizer.load(checkpointOf(family));
    const first = (words: readonly string[]): number[] => words.map((word) => tokenizer.encodePlain(word)[0]!);
    const reference = referenceOf(family);
    const cases = casesOf(family);
    const expected = cases.map(({ name }) => {
      const logits = reference(name, "last_logits").data as Float32Array;
      const [yes, no] = [massOf(logits, first(["yes", "Yes"])), massOf(logits, first(["no", "No"]))];
      return yes / (yes + no);
    });
    assert.ok(cases.length > 3);
    await using embedder = await loadEmbedder(checkpointOf(family), { batch: 3 });
    const asked = cases.map((one) => {
      const { text, images, minPixels, maxPixels } = queryOf(one);
      return { text, images, minPixels, maxPixels };
    });
    const [together, [alone], results] = await Promise.all([
      embedder.judge(asked),
      embedder.judge(asked.slice(0, 1)),
      embedder.embed(cases.map(queryOf)),
    ]);
    for (const [i, chance] of [...together, alone!].entries()) {
      const right = expected[i % cases.length]!;
      assert.ok(Math.abs(chance - right) < 1e-4, `${cases[i % cases.length]!.name}: ${chance} for ${right}`);
    }
    results.forEach(({ rationaleIds }, i) => assert.deepEqual(rationaleIds, cases[i]!.rationale_ids));
    assert.ok(!results.some((result) => "yes" in result));
  });

test("chances stay finite whatever the logits are", () => {
  const ids = { yes: [0], no: [1] };
  assert.equal(chanceOfYes(Float32Array.from([1000, -1000]), ids), 1);
  assert.equal(chanceOfYes(Float32Array.from([-1000, 1000]), ids), 0);
  assert.equal(chanceOfYes(Float32Array.from([-1000, -1000]), ids), 0.5);
});
