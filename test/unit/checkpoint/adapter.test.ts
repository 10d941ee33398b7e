import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { baseModelOf } from "../../../src/checkpoint/adapter-config.ts";
import { Checkpoint } from "../../../src/checkpoint/checkpoint.ts";
import { type TensorToWrite, writeSafetensors } from "../../../src/checkpoint/safetensors-write.ts";
import { checkpointError, fixture, folderWithConfig, temporaryFolder, writeJson } from "./files.ts";

const PREFIX = "base_model.model.model.layers.0";
const Q = "model.language_model.layers.0.q.weight";
const EMBED = "model.language_model.embed_tokens.weight";

function tensor(name: string, shape: number[], values: number[]): TensorToWrite {
  return { name, dtype: "F32", shape, data: Float32Array.from(values) };
}

/** A base of two matrices and an output head, in the old layout. */
function tinyBase(t: TestContext, { tied = false } = {}): string {
  const folder = folderWithConfig(t);
  writeSafetensors(join(folder, "model.safetensors"), [
    tensor("model.layers.0.q.weight", [2, 3], [1, 2, 3, 4, 5, 6]),
    tensor("model.embed_tokens.weight", [3, 2], [1, 2, 3, 4, 5, 6]),
    ...(tied ? [] : [tensor("lm_head.weight", [3, 2], [1, 2, 3, 4, 5, 6])]),
  ]);
  return folder;
}

const loraA = tensor(`${PREFIX}.q.lora_A.weight`, [2, 3], [0.5, -1, 0.25, 2, 0, 1]);
const loraB = tensor(`${PREFIX}.q.lora_B.weight`, [2, 2], [1, -0.5, 0.25, 2]);

function adapterFolder(t: TestContext, config: object, tensors: TensorToWrite[]): string {
  const folder = temporaryFolder(t);
  writeJson(join(folder, "adapter_config.json"), { peft_type: "LORA", r: 2, lora_alpha: 8, bias: "none", ...config });
  writeSafetensors(join(folder, "adapter_model.safetensors"), tensors);
  return folder;
}

function merged(t: TestContext, name: string, config: object, tensors: TensorToWrite[]): Float32Array {
  using checkpoint = Checkpoint.open(tinyBase(t), { adapter: adapterFolder(t, config, tensors) });
  const whole = checkpoint.read(name);
  const rows = Array.from({ length: checkpoint.shape(name)[0]! }, (_, row) => [...checkpoint.readRows(name, row, 1)]);
  assert.deepEqual(rows.flat(), [...whole], "row by row is the same as at once");
  return whole;
}

function assertClose(actual: Iterable<number>, expected: readonly number[], atol: number): void {
  const values = [...actual];
  assert.equal(values.length, expected.length);
  for (const [i, value] of values.entries()) {
    assert.ok(Math.abs(value - expected[i]!) <= atol, `number ${i} is ${value}, expected ${expected[i]} +- ${atol}`);
  }
}

function refused(t: TestContext, config: object, tensors: TensorToWrite[], ...parts: string[]): void {
  const adapter = adapterFolder(t, config, tensors);
  assert.throws(() => Checkpoint.open(tinyBase(t), { adapter }), checkpointError(...parts));
}

function other(source: TensorToWrite, name: string): TensorToWrite {
  return { ...source, name };
}

describe("merge", () => {
  // Each expected list is PEFT 0.21's merge_and_unload() of the same matrices on nn.Linear / nn.Embedding.
  const cases: readonly [title: string, name: string, config: object, tensors: TensorToWrite[], expected: number[]][] =
    [
      ["plain LoRA", Q, {}, [loraA, loraB], [-1, -2, 2, 20.5, 4, 14.25]],
      [
        "rsLoRA",
        Q,
        { use_rslora: true },
        [loraA, loraB],
        [-1.828427, -3.656854, 1.585786, 27.334524, 3.585786, 17.667263],
      ],
      ["alpha_pattern", Q, { alpha_pattern: { q: 2 } }, [loraA, loraB], [0.5, 1, 2.75, 8.125, 4.75, 8.0625]],
      ["alpha_pattern of another module", Q, { alpha_pattern: { v: 2 } }, [loraA, loraB], [-1, -2, 2, 20.5, 4, 14.25]],
      [
        "rank_pattern",
        Q,
        { rank_pattern: { q: 1 } },
        [tensor(loraA.name, [1, 3], [0.5, -1, 0.25]), tensor(loraB.name, [2, 1], [1, 0.25])],
        [5, -6, 5, 5, 3, 6.5],
      ],
      [
        "DoRA",
        Q,
        { use_dora: true },
        [loraA, loraB, tensor(`${PREFIX}.q.lora_magnitude_vector`, [2], [3, 7])],
        [-1, -2, 2, 5.675385, 1.107392, 3.945084],
      ],
      [
        "fan_in_fan_out, which PEFT ignores on Linear",
        Q,
        { fan_in_fan_out: true },
        [loraA, loraB],
        [-1, -2, 2, 20.5, 4, 14.25],
      ],
      [
        "LoRA on the embedding",
        EMBED,
        {},
        [
          tensor("base_model.model.model.embed_tokens.lora_embedding_A", [2, 3], [0.5, -1, 0.25, 2, 0, 1]),
          tensor("base_model.model.model.embed_tokens.lora_embedding_B", [2, 2], [1, -0.5, 0.25, 2]),
        ],
        [-1, 18.5, -1, 3, 4, 14.25],
      ],
      [
        "modules_to_save",
        "lm_head.weight",
        { modules_to_save: ["lm_head"] },
        [tensor("base_model.model.lm_head.weight", [3, 2], [9, 8, 7, 6, 5, 4])],
        [9, 8, 7, 6, 5, 4],
      ],
    ];
  for (const [title, name, config, tensors, expected] of cases) {
    test(`gives what PEFT gives: ${title}`, (t) => {
      assertClose(merged(t, name, config, tensors), expected, 4e-6);
    });
  }

  test("a fixture's adapter, under the new names over a base under the old, merges as PEFT does", () => {
    const folder = fixture("qwen2_5_vl", "checkpoint");
    using checkpoint = Checkpoint.open(folder, { adapter: fixture("qwen2_5_vl", "lora") });
    // PeftModel.from_pretrained(base, lora).merge_and_unload().state_dict(): elements [0,0], [0,1], [31,17], [-1,-1]
    // and the sums of values and of squares, with PEFT 0.21, transformers 5.18, torch 2.13 on the CPU in float32.
    const expected = [
      [
        "layers.0.self_attn.q_proj",
        64,
        [0.043111444, 0.161352813, 0.05919452, -0.35350132, -13.851013166, 94.218777816],
      ],
      [
        "layers.2.mlp.down_proj",
        176,
        [-0.148774117, 0.094614938, -0.017111838, -0.06543576, 0.357166711, 92.001599249],
      ],
    ] as const;
    for (const [module, width, numbers] of expected) {
      const values = checkpoint.read(`model.language_model.${module}.weight`);
      const sum = values.reduce((total, value) => total + value, 0);
      const squares = values.reduce((total, value) => total + value * value, 0);
      const found = [values[0]!, values[1]!, values[31 * width + 17]!, values.at(-1)!, sum, squares];
      assertClose(found, numbers, 1e-5);
    }
  });

  test("bytes of a touched tensor are the merged floats, of any other the stored bytes", (t) => {
    const folder = tinyBase(t);
    using plain = Checkpoint.open(folder);
    using checkpoint = Checkpoint.open(folder, { adapter: adapterFolder(t, {}, [loraA, loraB]) });
    assert.deepEqual([...new Float32Array(checkpoint.readBytes(Q).buffer)], [-1, -2, 2, 20.5, 4, 14.25]);
    assert.equal(checkpoint.dtype(Q), "F32");
    assert.deepEqual(checkpoint.readBytes(EMBED), plain.readBytes(EMBED));
  });

  test("a bfloat16 base is merged in float32, not rounded", (t) => {
    const folder = folderWithConfig(t);
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    const weight: TensorToWrite = { name: "model.layers.0.q.weight", dtype: "BF16", shape: [2, 3], data };
    writeSafetensors(join(folder, "model.safetensors"), [weight]);
    const small = tensor(loraB.name, [2, 2], [1e-4, 0, 0, 0]);
    using checkpoint = Checkpoint.open(folder, { adapter: adapterFolder(t, {}, [loraA, small]) });
    assert.equal(checkpoint.dtype(Q), "F32");
    assert.ok(Math.abs(checkpoint.read(Q)[0]! - 1.0002) < 1e-7);
  });
});

describe("refusals", () => {
  test("an adapter folder opened as a model says how to open it", (t) => {
    const folder = adapterFolder(t, { base_model_name_or_path: "/models/base" }, [loraA, loraB]);
    assert.throws(
      () => Checkpoint.open(folder),
      checkpointError("a PEFT adapter, not a model", '"/models/base"', "give this folder as its adapter"),
    );
    assert.equal(baseModelOf(folder), "/models/base");
    assert.equal(baseModelOf(fixture("qwen2_5_vl", "lora")), undefined);
  });

  test("kinds and settings whose merge is not written are named", (t) => {
    const settings: [string, unknown][] = [
      ["peft_type", "LOHA"],
      ["bias", "all"],
      ["lora_bias", true],
      ["use_qalora", true],
      ["layer_replication", [[0, 1]]],
      ["trainable_token_indices", [3]],
      ["target_parameters", ["mlp.experts"]],
      ["init_lora_weights", "pissa"],
    ];
    for (const [field, value] of settings) {
      refused(t, { [field]: value }, [loraA, loraB], "adapter_config.json", `${field} is ${JSON.stringify(value)}`);
    }
  });

  test("an alpha_pattern that could take for ever, or that is no pattern, is refused", (t) => {
    refused(t, { alpha_pattern: { "(a*)*b": 1 } }, [loraA, loraB], "(a*)*b", "2 quantifiers");
    refused(t, { alpha_pattern: { "q(": 1 } }, [loraA, loraB], "no regular expression");
  });

  test("tensors that match nothing, lack their other half, or do not fit are named", (t) => {
    const elsewhere = [other(loraA, `${PREFIX}.z.lora_A.weight`), other(loraB, `${PREFIX}.z.lora_B.weight`)];
    refused(t, {}, elsewhere, "which the base lacks", "layers.0.z.weight", Q);
    refused(t, {}, [loraA], "has lora_A, expected lora_A and lora_B");
    refused(t, {}, [loraA, loraB, other(loraA, `${PREFIX}.q.lora_A.default.weight`)], "twice");
    refused(t, {}, [loraA, loraB, tensor(`${PREFIX}.q.lora_magnitude_vector`, [2], [1, 1])], "lora_magnitude_vector");
    refused(t, { r: 4 }, [loraA, loraB], "lora_A", "is [2,3], expected [4,3]");
    refused(t, {}, [loraA, tensor(loraB.name, [3, 2], [1, 2, 3, 4, 5, 6])], "is [3,2], expected [2,2]");
    refused(t, {}, [tensor("base_model.model.lm_head.weight", [3, 2], [1, 2, 3, 4, 5, 6])], "nor in modules_to_save");
    refused(t, {}, [tensor("lm_head.weight", [1], [1])], "does not begin with");
  });

  test("an embedding change over tied embeddings is refused", (t) => {
    const saved = tensor("base_model.model.model.embed_tokens.weight", [3, 2], [1, 2, 3, 4, 5, 6]);
    const adapter = adapterFolder(t, { modules_to_save: ["embed_tokens"] }, [saved]);
    const folder = tinyBase(t, { tied: true });
    assert.throws(() => Checkpoint.open(folder, { adapter }), checkpointError("embed_tokens", "tied", "Untie"));
  });

  test("an adapter without safetensors is refused", (t) => {
    const folder = temporaryFolder(t);
    copyFileSync(fixture("qwen2_5_vl", "lora", "adapter_config.json"), join(folder, "adapter_config.json"));
    writeFileSync(join(folder, "adapter_model.bin"), "");
    assert.throws(
      () => Checkpoint.open(tinyBase(t), { adapter: folder }),
      checkpointError("adapter_model.safetensors", "missing"),
    );
  });
});
