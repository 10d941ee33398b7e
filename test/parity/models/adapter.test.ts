/** A LoRA adapter merged at load, against PEFT's own. */
import { test } from "node:test";
import { assertCosine, cosine } from "../../support/assert-close.ts";
import { casesOf, checkpointOf, fixture, loadEmbedder, referenceOf, targetOf } from "../../support/fixtures.ts";
import { readSafetensors } from "../../support/read-safetensors.ts";
import assert from "node:assert/strict";

test("an adapter changes the embedding to the one PEFT gives", async () => {
  const photo = casesOf("qwen2_5_vl").find(({ name }) => name === "photo")!;
  await using embedder = await loadEmbedder(checkpointOf("qwen2_5_vl"), { adapter: fixture("qwen2_5_vl", "lora") });
  const [result] = await embedder.embed([targetOf(photo)]);
  const expected = readSafetensors(fixture("qwen2_5_vl", "lora", "expected.safetensors")).get("direct_embedding")!;
  assertCosine(result!.embedding, expected.data as Float32Array, 0.99999, "with the adapter");
  const without = referenceOf("qwen2_5_vl")("photo", "direct_embedding").data as Float32Array;
  assert.ok(cosine(result!.embedding, without) < 0.999, "the adapter does too little for this test to tell");
});
