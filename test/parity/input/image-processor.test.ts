import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ImageProcessor } from "../../../src/input/image-processor.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures/", import.meta.url));
const processor = ImageProcessor.load(`${FIXTURES}qwen2_5_vl/checkpoint`);
const PHOTO = `${FIXTURES}images/example.jpg`;

test("pixel bounds change the grid, and the checkpoint's hold without them", async () => {
  const own = await processor.prepare(PHOTO);
  assert.deepEqual([own.width, own.height, own.tokens], [812, 588, 29 * 21]);
  const small = await processor.prepare(PHOTO, { maxPixels: 50_176 });
  assert.deepEqual([[...small.grid], small.tokens], [[1, 12, 18], 54]);
  assert.equal(small.patches.length, 12 * 18 * 1176);
  const large = await processor.prepare(PHOTO, { minPixels: 1_000_000 });
  assert.ok(large.width * large.height >= 1_000_000);
});

test("the hash follows what the model sees", async () => {
  const first = await processor.prepare(PHOTO, { maxPixels: 50_176 });
  assert.equal((await processor.prepare(PHOTO, { maxPixels: 50_200 })).hash, first.hash);
  assert.notEqual((await processor.prepare(PHOTO, { maxPixels: 30_000 })).hash, first.hash);
});

test("bounds that contradict each other, and a picture too steep, are errors with the label", async () => {
  const label = "image 2 of the item";
  await assert.rejects(
    processor.prepare(PHOTO, { label, minPixels: 9, maxPixels: 8 }),
    /^ImageError: image 2 of the item: /,
  );
  await assert.rejects(processor.prepare(PHOTO, { label, maxPixels: 0 }), /maxPixels=0/);
  await assert.rejects(processor.prepare(PHOTO, { label, limits: { maxPixels: 10 } }), /800 x 599 pixels, limit 10/);
  const steep = `${FIXTURES}input/images/refused-steep.png`;
  await assert.rejects(
    processor.prepare(steep, { label }),
    /^ImageError: image 2 of the item: 1 x 201 pixels: one side/,
  );
});
