import assert from "node:assert/strict";
import { copyFileSync, cpSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { Checkpoint } from "../../../src/checkpoint/checkpoint.ts";
import { SafetensorsFile } from "../../../src/checkpoint/safetensors.ts";
import { type TensorToWrite, writeSafetensors } from "../../../src/checkpoint/safetensors-write.ts";
import { canonicalName } from "../../../src/checkpoint/tensor-names.ts";
import { checkpointError, fixture, folderWithConfig, temporaryFolder, writeJson } from "./files.ts";

const base = fixture("qwen2_5_vl", "checkpoint");
const QPROJ = "model.language_model.layers.0.self_attn.q_proj.weight";

/** The tensors of the fixture under other names. */
function renamed(rename: (name: string) => string): TensorToWrite[] {
  using file = SafetensorsFile.open(join(base, "model.safetensors"));
  return [...file.entries.values()].map((entry) => ({
    name: rename(entry.name),
    dtype: entry.dtype,
    shape: entry.shape,
    data: file.readBytes(entry, 0, (entry.end - entry.begin) / 4),
  }));
}

/** A folder with the fixture cut into two shards, layer 0 in the second. */
function sharded(t: TestContext): { folder: string; weightMap: Record<string, string> } {
  const folder = folderWithConfig(t);
  const tensors = renamed((name) => name);
  const weightMap: Record<string, string> = {};
  for (const shard of [1, 2]) {
    const file = `model-0000${shard}-of-00002.safetensors`;
    const part = tensors.filter(({ name }) => name.includes("layers.0.") === (shard === 2));
    for (const { name } of part) weightMap[name] = file;
    writeSafetensors(join(folder, file), part);
  }
  writeJson(join(folder, "model.safetensors.index.json"), { metadata: {}, weight_map: weightMap });
  return { folder, weightMap };
}

function hashOf(folder: string, adapter?: string): string {
  using checkpoint = Checkpoint.open(folder, adapter === undefined ? {} : { adapter });
  return checkpoint.hash;
}

describe("names and files", () => {
  test("the old layout on disk is shown under the canonical names", () => {
    using checkpoint = Checkpoint.open(base);
    const names = checkpoint.names();
    assert.ok(names.every((name) => /^model\.(language_model|visual)\./.test(name)));
    assert.equal(checkpoint.has(QPROJ), true);
    assert.equal(checkpoint.has("lm_head.weight"), false);
    assert.deepEqual(checkpoint.shape("model.language_model.embed_tokens.weight"), [527, 64]);
    assert.equal(checkpoint.dtype(QPROJ), "F32");
    using file = SafetensorsFile.open(join(base, "model.safetensors"));
    assert.equal(names.length, file.entries.size);
    assert.equal(checkpoint.parameterCount * 4, file.sizeBytes - file.dataBegin);
    assert.equal(checkpoint.sizeBytes, file.sizeBytes);
  });

  test("every layout maps to the same names", () => {
    const pairs = [
      ["model.layers.3.mlp.up_proj.weight", "model.language_model.layers.3.mlp.up_proj.weight"],
      ["model.norm.weight", "model.language_model.norm.weight"],
      ["visual.blocks.0.norm1.weight", "model.visual.blocks.0.norm1.weight"],
      ["model.visual.merger.norm.weight", "model.visual.merger.norm.weight"],
      ["language_model.model.norm.weight", "model.language_model.norm.weight"],
      ["language_model.lm_head.weight", "lm_head.weight"],
      ["lm_head.weight", "lm_head.weight"],
      ["something.else", "something.else"],
    ] as const;
    for (const [onDisk, canonical] of pairs) assert.equal(canonicalName(onDisk), canonical);
  });

  test("new layout, old layout and shards hold the same values", (t) => {
    const folder = folderWithConfig(t);
    writeSafetensors(join(folder, "model.safetensors"), renamed(canonicalName));
    using old = Checkpoint.open(base);
    using renewed = Checkpoint.open(folder);
    using cut = Checkpoint.open(sharded(t).folder);
    assert.deepEqual(renewed.names().sort(), old.names().sort());
    assert.deepEqual(cut.names().sort(), old.names().sort());
    for (const name of old.names()) {
      assert.deepEqual(renewed.readBytes(name), old.readBytes(name), name);
      assert.deepEqual(cut.readBytes(name), old.readBytes(name), name);
    }
  });

  test("rows read are those of the whole tensor", () => {
    using checkpoint = Checkpoint.open(base);
    const name = "model.language_model.embed_tokens.weight";
    assert.deepEqual(checkpoint.readRows(name, 500, 3), checkpoint.read(name).slice(500 * 64, 503 * 64));
    assert.throws(() => checkpoint.readRows(name, 526, 2), checkpointError("527 rows", "2 from 526"));
    assert.throws(() => checkpoint.readRows(name, -1, 2), checkpointError("527 rows"));
  });

  test("an unknown name lists the nearest three", () => {
    using checkpoint = Checkpoint.open(base);
    assert.throws(
      () => checkpoint.read(QPROJ.replace("q_proj", "z_proj")),
      checkpointError("z_proj", "nearest", QPROJ),
    );
  });
});

describe("damaged folders", () => {
  test("a missing folder, a folder without weights and one with pytorch weights say what to do", (t) => {
    assert.throws(() => Checkpoint.open("/nonexistent"), checkpointError("no such folder", "rge pull"));
    const folder = folderWithConfig(t);
    assert.throws(() => Checkpoint.open(folder), checkpointError("neither model.safetensors nor"));
    writeFileSync(join(folder, "pytorch_model.bin"), "");
    assert.throws(() => Checkpoint.open(folder), checkpointError("Convert pytorch_model.bin"));
  });

  test("a missing shard, and a tensor that its shard lacks, are named", (t) => {
    const { folder, weightMap } = sharded(t);
    const index = join(folder, "model.safetensors.index.json");
    writeJson(index, { weight_map: { ...weightMap, x: "model-00003-of-00003.safetensors" } });
    assert.throws(() => Checkpoint.open(folder), checkpointError("model-00003-of-00003.safetensors: shard missing"));
    writeJson(index, { weight_map: { ...weightMap, "model.ghost": "model-00001-of-00002.safetensors" } });
    assert.throws(() => Checkpoint.open(folder), checkpointError("model-00001", 'lacks "model.ghost"'));
  });

  for (const shard of [
    "../model.safetensors",
    "/etc/x.safetensors",
    "a\\b.safetensors",
    "C:x.safetensors",
    "..",
    ".x.safetensors",
  ]) {
    test(`an index that names ${JSON.stringify(shard)} is refused`, (t) => {
      const folder = folderWithConfig(t);
      writeJson(join(folder, "model.safetensors.index.json"), { weight_map: { w: shard } });
      assert.throws(() => Checkpoint.open(folder), checkpointError("index.json", JSON.stringify(shard), "no plain"));
    });
  }

  test("an index with too many shards, none, or another shape is refused", (t) => {
    const folder = folderWithConfig(t);
    const index = join(folder, "model.safetensors.index.json");
    const many = Array.from({ length: 1001 }, (_, i) => [`w${i}`, `s${i}.safetensors`]);
    writeJson(index, { weight_map: Object.fromEntries(many) });
    assert.throws(() => Checkpoint.open(folder), checkpointError("1001 shards", "1 to 1000"));
    writeJson(index, { weight_map: {} });
    assert.throws(() => Checkpoint.open(folder), checkpointError("0 shards"));
    writeJson(index, { weight_map: { w: 3 } });
    assert.throws(() => Checkpoint.open(folder), checkpointError('expected a "weight_map"'));
  });

  test("two tensors of one canonical name are refused", (t) => {
    const folder = folderWithConfig(t);
    const tensor = { dtype: "F32", shape: [1], data: new Float32Array(1) } as const;
    const names = ["visual.a", "model.visual.a"];
    writeSafetensors(
      join(folder, "model.safetensors"),
      names.map((name) => ({ name, ...tensor })),
    );
    assert.throws(() => Checkpoint.open(folder), checkpointError('a second "model.visual.a"', '"model.visual.a"'));
  });

  test("reading integers as floats names the tensor", (t) => {
    const folder = folderWithConfig(t);
    const ids = { name: "ids", dtype: "I64", shape: [1], data: new Uint8Array(8) } as const;
    writeSafetensors(join(folder, "model.safetensors"), [ids]);
    using checkpoint = Checkpoint.open(folder);
    assert.deepEqual(checkpoint.readBytes("ids"), new Uint8Array(8));
    assert.throws(() => checkpoint.read("ids"), checkpointError('"ids" is I64'));
  });
});

describe("hash", () => {
  test("a copy has the same hash, one changed byte of weights or configuration another", (t) => {
    const folder = join(temporaryFolder(t), "copy");
    cpSync(base, folder, { recursive: true });
    utimesSync(join(folder, "model.safetensors"), 1, 1);
    const hash = hashOf(base);
    assert.match(hash, /^[0-9a-f]{64}$/);
    assert.equal(hashOf(folder), hash);
    const weights = readFileSync(join(folder, "model.safetensors"));
    weights[weights.length - 1]! ^= 1;
    writeFileSync(join(folder, "model.safetensors"), weights);
    const changed = hashOf(folder);
    assert.notEqual(changed, hash);
    copyFileSync(join(base, "model.safetensors"), join(folder, "model.safetensors"));
    writeFileSync(join(folder, "config.json"), `${readFileSync(join(base, "config.json"), "utf8")} `);
    assert.notEqual(hashOf(folder), hash);
  });

  test("an adapter changes the hash", () => {
    assert.notEqual(hashOf(base, fixture("qwen2_5_vl", "lora")), hashOf(base));
  });
});
