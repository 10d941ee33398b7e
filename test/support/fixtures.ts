/** The tiny checkpoints of `test/fixtures`, their cases, and folders that go away with a test. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { Embedder, type EmbedItem, type LoadOptions } from "../../src/index.ts";
import { readSafetensors, type ReferenceTensor } from "./read-safetensors.ts";

/** Every `model_type` there is a tiny checkpoint of. */
export const FAMILIES = ["qwen2_5_vl", "qwen2_vl", "qwen3_vl"] as const;
export type Family = (typeof FAMILIES)[number];

/** Id of `<emb>` in every tiny checkpoint. */
export const EMB_ID = 526;

/** One case of a family's `cases.json`. */
export interface FixtureCase {
  readonly name: string;
  readonly text: string;
  readonly images: readonly string[];
  readonly min_pixels: number;
  readonly max_pixels: number;
  readonly max_new_tokens: number;
  readonly input_ids: readonly number[];
  readonly image_grid_thw?: readonly (readonly [number, number, number])[];
  readonly rope_delta: number;
  readonly rationale_ids: readonly number[];
  readonly stopped_on_emb: boolean;
}

/** Path of a file or folder under `test/fixtures`. */
export function fixture(...parts: readonly string[]): string {
  return fileURLToPath(new URL(join("../fixtures", ...parts), import.meta.url));
}

export function checkpointOf(family: Family): string {
  return fixture(family, "checkpoint");
}

export function casesOf(family: Family): readonly FixtureCase[] {
  return (JSON.parse(readFileSync(fixture(family, "cases.json"), "utf8")) as { cases: FixtureCase[] }).cases;
}

/** A family's reference tensors, found by the case's name and their own. */
export function referenceOf(family: Family): (name: string, tensor: string) => ReferenceTensor {
  const tensors = readSafetensors(fixture(family, "cases.safetensors"));
  return (name, tensor) => {
    const found = tensors.get(`${name}/${tensor}`);
    if (found === undefined) throw new Error(`${family}: no reference ${name}/${tensor}`);
    return found;
  };
}

/**
 * transformers' `pixel_values` `[patches, columns]` of a case, which the fixtures hold as bytes before scaling.
 * Qwen2-VL's pictures are prepared as Qwen2.5-VL's, and stored there alone.
 */
export function pixelValuesOf(family: Family): (name: string) => { data: Float32Array; columns: number } {
  const reference = referenceOf(family === "qwen2_vl" ? "qwen2_5_vl" : family);
  const { image_mean: mean, image_std: std } = JSON.parse(
    readFileSync(join(checkpointOf(family), "preprocessor_config.json"), "utf8"),
  ) as { image_mean: number[]; image_std: number[] };
  return (name) => {
    const { data, shape } = reference(name, "pixel_levels");
    const columns = shape[1]!;
    const scaled = Float32Array.from(data as Uint8Array, (level, i) => {
      const channel = Math.floor((i % columns) / (columns / 3));
      return (level / 255 - mean[channel]!) / std[channel]!;
    });
    return { data: scaled, columns };
  };
}

/** The text, images and pixel bounds of a case; `role`, `reason` and so on are the test's. */
export function contentOf({ text, images, min_pixels, max_pixels }: FixtureCase): EmbedItem {
  const paths = images.map((image) => fixture(image));
  return { text, images: paths, minPixels: min_pixels, maxPixels: max_pixels };
}

/** A case as a query with its own budget. */
export function queryOf(fixtureCase: FixtureCase): EmbedItem {
  return { ...contentOf(fixtureCase), role: "query", reason: { maxNewTokens: fixtureCase.max_new_tokens } };
}

/** A case as a target. */
export function targetOf(fixtureCase: FixtureCase): EmbedItem {
  return { ...contentOf(fixtureCase), role: "target" };
}

/** An empty folder that is removed when the test ends. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rge-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

let cacheDir: string | undefined;

/** Compiled graphs of this test process; never the user's own cache. */
export function testCacheDir(): string {
  if (cacheDir === undefined) {
    const made = mkdtempSync(join(tmpdir(), "rge-test-cache-"));
    process.once("exit", () => rmSync(made, { recursive: true, force: true }));
    cacheDir = made;
  }
  return cacheDir;
}

/** An Embedder in float32 on one thread, unless told otherwise, with this process's cache. */
export async function loadEmbedder(model: string, options: LoadOptions = {}): Promise<Embedder> {
  return await Embedder.load(model, { weights: "fp32", threads: 1, cacheDir: testCacheDir(), ...options });
}
