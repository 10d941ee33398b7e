import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CheckpointError } from "../../../src/errors.ts";
import { parseImageProcessorConfig, readImageProcessorConfig } from "../../../src/input/image-processor-config.ts";

function bounds(json: object): number[] {
  const { minPixels, maxPixels } = parseImageProcessorConfig(json, "p.json");
  return [minPixels, maxPixels];
}

test("every spelling of the pixel bounds is read, min_pixels before size", () => {
  assert.deepEqual(bounds({ size: { shortest_edge: 10, longest_edge: 20 } }), [10, 20]);
  assert.deepEqual(bounds({ size: { min_pixels: 10, max_pixels: 20 } }), [10, 20]);
  assert.deepEqual(bounds({ min_pixels: 3136, max_pixels: 12845056 }), [3136, 12845056]);
  assert.deepEqual(bounds({ min_pixels: 5, size: { shortest_edge: 10, longest_edge: 20 } }), [5, 20]);
  assert.deepEqual(bounds({}), [3136, 1003520]);
});

test("what an older file leaves out has the reference's defaults", () => {
  const { rescaleFactor, patchSize, temporalPatchSize, mergeSize, imageMean } = parseImageProcessorConfig({}, "p.json");
  assert.deepEqual([rescaleFactor, patchSize, temporalPatchSize, mergeSize], [1 / 255, 14, 2, 2]);
  assert.equal(imageMean[0], 0.48145466);
});

test("settings that the reference's resize does not have are refused with their field", () => {
  const wrong = [
    { resample: 2 },
    { do_resize: false },
    { image_std: [1, 0, 1] },
    { patch_size: 0 },
    { patch_size: "14" },
  ];
  for (const json of [...wrong, { image_mean: [1] }]) {
    assert.throws(
      () => parseImageProcessorConfig(json, "p.json"),
      (error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(error.message, new RegExp(`^p.json: [^]*${Object.keys(json)[0]}`));
        return true;
      },
    );
  }
  assert.throws(
    () => parseImageProcessorConfig({ min_pixels: 9, max_pixels: 8 }, "p.json"),
    /min_pixels 9 > max_pixels 8/,
  );
});

test("preprocessor_config.json comes first, then the image_processor of processor_config.json", () => {
  const folder = mkdtempSync(join(tmpdir(), "rge-processor-"));
  try {
    assert.throws(() => readImageProcessorConfig(folder), /neither preprocessor_config.json nor/);
    writeFileSync(join(folder, "processor_config.json"), JSON.stringify({ image_processor: { patch_size: 16 } }));
    assert.equal(readImageProcessorConfig(folder).patchSize, 16);
    writeFileSync(join(folder, "preprocessor_config.json"), JSON.stringify({ patch_size: 12 }));
    assert.equal(readImageProcessorConfig(folder).patchSize, 12);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
