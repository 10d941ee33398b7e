import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ChatTemplate } from "../../../src/input/chat-template.ts";
import type { ImageProcessorConfig } from "../../../src/input/image-processor-config.ts";
import { ImageProcessor, type PreparedImage } from "../../../src/input/image-processor.ts";
import { buildPrompt } from "../../../src/input/prompt.ts";
import { Tokenizer } from "../../../src/input/tokenizer.ts";
import { readSafetensors, type ReferenceTensor } from "../../support/read-safetensors.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures/", import.meta.url));

interface Case {
  name: string;
  text: string;
  images: string[];
  min_pixels: number;
  max_pixels: number;
  prompt: string;
  input_ids: number[];
  image_grid_thw?: number[][];
  rationale: string;
  rationale_ids: number[];
}

for (const family of ["qwen2_5_vl", "qwen2_vl", "qwen3_vl"]) {
  const folder = `${FIXTURES}${family}/checkpoint`;
  const { cases } = JSON.parse(readFileSync(`${FIXTURES}${family}/cases.json`, "utf8")) as { cases: Case[] };
  // Qwen2-VL's pictures are prepared as Qwen2.5-VL's, and stored once.
  const pixelFamily = family === "qwen2_vl" ? "qwen2_5_vl" : family;
  const reference = readSafetensors(`${FIXTURES}${pixelFamily}/cases.safetensors`);

  test(`${family} prompts, grids and pixel values are those of transformers`, async (t) => {
    const tokenizer = Tokenizer.load(folder);
    const template = ChatTemplate.load(folder);
    const processor = ImageProcessor.load(folder);
    for (const { name, text, images, min_pixels, max_pixels, ...expected } of cases) {
      const bounds = { minPixels: min_pixels, maxPixels: max_pixels };
      const prepared = [];
      for (const image of images) prepared.push(await processor.prepare(`${FIXTURES}${image}`, bounds));
      const imageTokenCounts = prepared.map(({ tokens }) => tokens);
      const prompt = buildPrompt({ tokenizer, template, content: text, imageTokenCounts });
      assert.deepEqual(prompt.inputIds, expected.input_ids, name);
      assert.equal(prompt.text, expected.prompt, name);
      assert.deepEqual(
        prepared.map(({ grid }) => [...grid]),
        expected.image_grid_thw ?? [],
        name,
      );
      assert.equal(tokenizer.decode(expected.rationale_ids), expected.rationale, name);
      if (images.length === 0) continue;
      const levels = reference.get(`${name}/pixel_levels`)!;
      const worst = worstDifference(prepared, levels, processor.config);
      t.diagnostic(`${name}: pixel values ${levels.shape.join(" x ")}, worst difference ${worst.toExponential(1)}`);
      assert.ok(worst < 1e-6, `${name}: ${worst}`);
    }
  });
}

/** Against `pixel_values`, which the fixtures hold as the bytes before scaling. */
function worstDifference(
  prepared: readonly PreparedImage[],
  { data, shape }: ReferenceTensor,
  { imageMean, imageStd }: ImageProcessorConfig,
): number {
  const actual = prepared.flatMap(({ patches }) => [...patches]);
  assert.equal(actual.length, data.length);
  const columns = shape[1]!;
  return actual.reduce((worst, value, i) => {
    const channel = Math.floor((i % columns) / (columns / 3));
    const expected = (Number(data[i]) / 255 - imageMean[channel]!) / imageStd[channel]!;
    return Math.max(worst, Math.abs(value - expected));
  }, 0);
}
