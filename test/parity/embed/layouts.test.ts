/** The layouts in which one model occurs on the hub must all give one embedding. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Checkpoint } from "../../../src/checkpoint/checkpoint.ts";
import { writeSafetensors } from "../../../src/checkpoint/safetensors-write.ts";
import type { EmbedResult } from "../../../src/index.ts";
import { assertClose } from "../../support/assert-close.ts";
import {
  casesOf,
  checkpointOf,
  loadEmbedder,
  queryOf,
  targetOf,
  temporaryFolder,
  type Family,
} from "../../support/fixtures.ts";

type Json = Record<string, unknown>;

/** What transformers 4 wrote for Qwen2-VL and Qwen2.5-VL. */
const oldName = (name: string): string =>
  name.replace(/^model\.visual\./, "visual.").replace(/^model\.language_model\./, "model.");
/** What transformers 5 has in memory. */
const newName = (name: string): string => name;
/** Multimodal wrappers of transformers 4. */
const wrappedName = (name: string): string =>
  name
    .replace(/^model\.visual\./, "visual.")
    .replace(/^model\.language_model\./, "language_model.model.")
    .replace(/^lm_head\./, "language_model.lm_head.");

/** As transformers 4.51 wrote it: text fields at the top, `rope_scaling` of the type "mrope". */
function flatConfig({ text_config: text, ...top }: Json): Json {
  const { rope_parameters: rope, model_type: _type, ...fields } = text as Json;
  const { rope_theta, mrope_section } = rope as Json;
  return {
    ...fields,
    ...top,
    rope_theta,
    rope_scaling: { type: "mrope", mrope_section },
    tie_word_embeddings: top["tie_word_embeddings"],
  };
}

interface Layout {
  readonly name: (canonical: string) => string;
  readonly shards: number;
  readonly config: (config: Json) => Json;
}

const nested = (config: Json): Json => config;
const LAYOUTS: Readonly<Record<string, Layout>> = {
  "old names, nested config": { name: oldName, shards: 1, config: nested },
  "new names, nested config": { name: newName, shards: 1, config: nested },
  "old names, flat config": { name: oldName, shards: 1, config: flatConfig },
  "new names, flat config": { name: newName, shards: 1, config: flatConfig },
  "wrapped names, nested config": { name: wrappedName, shards: 1, config: nested },
  "old names, three shards, flat config": { name: oldName, shards: 3, config: flatConfig },
  "new names, two shards, nested config": { name: newName, shards: 2, config: nested },
};

/** The checkpoint of a family, written anew in another layout. */
function writeLayout(folder: string, family: Family, { name, shards, config }: Layout): void {
  const source = checkpointOf(family);
  mkdirSync(folder);
  for (const file of readdirSync(source))
    if (file !== "model.safetensors" && file !== "config.json") cpSync(join(source, file), join(folder, file));
  const original = JSON.parse(readFileSync(join(source, "config.json"), "utf8")) as Json;
  writeFileSync(join(folder, "config.json"), JSON.stringify(config(original)));
  using checkpoint = Checkpoint.open(source);
  const tensors = checkpoint.names().map((canonical) => ({
    name: name(canonical),
    dtype: checkpoint.dtype(canonical),
    shape: checkpoint.shape(canonical),
    data: checkpoint.readBytes(canonical),
  }));
  if (shards === 1) {
    writeSafetensors(join(folder, "model.safetensors"), tensors);
    return;
  }
  const map: Record<string, string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const file = `model-0000${shard + 1}-of-0000${shards}.safetensors`;
    const own = tensors.filter((_, i) => i % shards === shard);
    for (const tensor of own) map[tensor.name] = file;
    writeSafetensors(join(folder, file), own);
  }
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map: map }));
}

async function embedCases(folder: string, family: Family): Promise<EmbedResult[]> {
  await using embedder = await loadEmbedder(folder);
  return await embedder.embed(
    casesOf(family)
      .slice(0, 3)
      .flatMap((one) => [queryOf(one), targetOf(one)]),
  );
}

// Qwen3-VL has one layout only; Qwen2-VL's output layer is a tensor of its own.
for (const family of ["qwen2_5_vl", "qwen2_vl"] as const)
  test(`${family} gives the same embeddings in every layout of the hub`, async (t) => {
    const expected = await embedCases(checkpointOf(family), family);
    const parent = temporaryFolder(t);
    for (const [i, [name, layout]] of Object.entries(LAYOUTS).entries()) {
      const folder = join(parent, String(i));
      writeLayout(folder, family, layout);
      const results = await embedCases(folder, family);
      for (const [item, { embedding, rationaleIds }] of results.entries()) {
        assert.deepEqual(rationaleIds, expected[item]!.rationaleIds, name);
        // Which items share a run depends on when they arrive, and the run's size moves the last bits.
        assertClose(embedding, expected[item]!.embedding, { rtol: 0, atol: 1e-6 }, name);
      }
    }
  });
