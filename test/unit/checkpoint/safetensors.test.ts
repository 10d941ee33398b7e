import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { SafetensorsFile } from "../../../src/checkpoint/safetensors.ts";
import { writeSafetensors } from "../../../src/checkpoint/safetensors-write.ts";
import { toBfloat16, toFloat32 } from "../../../src/checkpoint/stored-dtype.ts";
import { checkpointError, fixture, rawSafetensors, temporaryFolder } from "./files.ts";

/** Hex words as torch 2.13 gives them for `tensor.half().view(int16)` and `.bfloat16()`. */
const float16 = [0x3c00, 0x8000, 0x7bff, 0x0001, 0x03ff, 0x7c00, 0xc100, 0x3555, 0x7e00];
const float16Values = [1, -0, 65504, 2 ** -24, 1023 * 2 ** -24, Infinity, -2.5, 0.333251953125, NaN];

function failing(): never {
  throw new Error("disk on fire");
}

function open(t: TestContext, bytes: Uint8Array): () => unknown {
  const path = join(temporaryFolder(t), "evil.safetensors");
  writeFileSync(path, bytes);
  return () => SafetensorsFile.open(path);
}

/** Header of one tensor of two floats, with some fields put wrong. */
function one(fields: object): string {
  return JSON.stringify({ w: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...fields } });
}

describe("dtypes", () => {
  test("every float16 kind reads exactly: normal, zero, largest, subnormal, infinite, NaN", () => {
    const bytes = new Uint8Array(Uint16Array.from(float16).buffer);
    assert.deepEqual([...toFloat32(bytes, "F16")], float16Values);
  });

  test("bfloat16 rounds to nearest even as torch does and reads back exactly", () => {
    const values = Float32Array.of(1, 3.140625, -1e30, 1.00390625, 1.01171875, Infinity, 0.1, 3.4e38);
    const bytes = toBfloat16(values);
    const words = new Uint16Array(bytes.buffer);
    assert.deepEqual([...words], [0x3f80, 0x4049, 0xf14a, 0x3f80, 0x3f82, 0x7f80, 0x3dcd, 0x7f80]);
    assert.deepEqual(
      [...toFloat32(bytes, "BF16")],
      [1, 3.140625, -1.0002555517425873e30, 1, 1.015625, Infinity, 0.10009765625, Infinity],
    );
  });

  test("a NaN whose payload lies in the lower half stays NaN in bfloat16", () => {
    const nan = new Float32Array(Uint32Array.of(0x7f80_0001, 0xffff_ffff).buffer);
    assert.deepEqual([...toFloat32(toBfloat16(nan), "BF16")], [NaN, NaN]);
  });

  test("bytes at an odd offset read the same as aligned ones", () => {
    const bytes = new Uint8Array([0xff, ...new Uint8Array(Float32Array.of(1.5, -2).buffer)]).subarray(1);
    assert.deepEqual([...toFloat32(bytes, "F32")], [1.5, -2]);
  });

  test("integers are refused as floats", () => {
    assert.throws(() => toFloat32(new Uint8Array(8), "I64"), checkpointError("I64", "only F32, F16 and BF16"));
  });
});

describe("reading", () => {
  test("a fixture's tensors read by range with the values safetensors for Python gives", () => {
    using file = SafetensorsFile.open(fixture("qwen2_5_vl", "checkpoint", "model.safetensors"));
    const entry = file.entries.get("model.layers.0.self_attn.q_proj.weight");
    assert.ok(entry);
    assert.deepEqual(entry.shape, [64, 64]);
    // safetensors.numpy.load_file(path)["model.layers.0.self_attn.q_proj.weight"].flatten()[[0, 1, 4095]]
    const expected = [0.0674276351928711, 0.04590248316526413, -0.20015166699886322];
    const values = file.readFloats(entry, 0, 4096);
    assert.deepEqual([values[0], values[1], values[4095]], expected);
    assert.deepEqual([...file.readFloats(entry, 4095, 1)], expected.slice(2));
  });

  test("reading after close, or after the file became shorter, is an error", (t) => {
    const path = join(temporaryFolder(t), "a.safetensors");
    writeSafetensors(path, [{ name: "w", dtype: "F32", shape: [4], data: new Float32Array(4) }]);
    const file = SafetensorsFile.open(path);
    const entry = file.entries.get("w")!;
    truncateSync(path, file.sizeBytes - 4);
    assert.throws(() => file.readFloats(entry, 0, 4), checkpointError(path, "when opened"));
    file.close();
    assert.throws(() => file.readFloats(entry, 0, 1), checkpointError("read after close"));
  });
});

describe("writing", () => {
  test("what is written reads back, floats and bytes, empty and scalar shapes among them", (t) => {
    const path = join(temporaryFolder(t), "a.safetensors");
    writeSafetensors(path, [
      { name: "ids", dtype: "I64", shape: [2], data: new Uint8Array(BigInt64Array.of(-1n, 7n).buffer) },
      { name: "half", dtype: "BF16", shape: [2], data: Float32Array.of(0.5, -3) },
      { name: "none", dtype: "F32", shape: [0, 5], data: new Float32Array() },
      { name: "scalar", dtype: "F32", shape: [], data: () => Float32Array.of(9) },
      { name: "__proto__", dtype: "U8", shape: [1], data: Uint8Array.of(3) },
    ]);
    using file = SafetensorsFile.open(path);
    assert.deepEqual([...file.entries.keys()].sort(), ["__proto__", "half", "ids", "none", "scalar"]);
    const read = (name: string): number[] => [...file.readFloats(file.entries.get(name)!, 0, name === "half" ? 2 : 1)];
    assert.deepEqual([read("half"), read("scalar")], [[0.5, -3], [9]]);
    const ids = file.readBytes(file.entries.get("ids")!, 0, 2);
    assert.deepEqual([...new BigInt64Array(ids.buffer)], [-1n, 7n]);
    assert.equal(file.dataBegin % 8, 0);
  });

  test("a failure in the middle leaves the file that was there, and nothing else", (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, "a.safetensors");
    writeFileSync(path, "before");
    assert.throws(
      () => writeSafetensors(path, [{ name: "w", dtype: "F32", shape: [1], data: failing }]),
      /disk on fire/,
    );
    assert.equal(readFileSync(path, "utf8"), "before");
    assert.deepEqual(readdirSync(folder), ["a.safetensors"]);
  });

  test("content that does not fill its shape, a name given twice and an unwritable dtype are refused", (t) => {
    const path = join(temporaryFolder(t), "a.safetensors");
    const tensor = { name: "w", dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } as const;
    assert.throws(
      () => writeSafetensors(path, [{ ...tensor, shape: [3] }]),
      checkpointError('"w"', "12 bytes", "has 8"),
    );
    assert.throws(() => writeSafetensors(path, [tensor, tensor]), checkpointError('"w"', "twice"));
    assert.throws(() => writeSafetensors(path, [{ ...tensor, dtype: "I8" }]), checkpointError("not as I8"));
    assert.throws(() => writeSafetensors(path, [{ ...tensor, shape: [-1] }]), checkpointError("[-1]"));
    assert.equal(existsSync(path), false);
  });
});

describe("hostile files", () => {
  const cases: readonly [title: string, bytes: Uint8Array, ...parts: string[]][] = [
    ["shorter than the length prefix", new Uint8Array(5), "5 bytes", "at least 8"],
    ["header longer than the file", rawSafetensors("{}", 0, 3n), "header of 3 bytes", "2 are left"],
    ["header length near 2^64", rawSafetensors("{}", 0, 2n ** 64n - 1n), "18446744073709551615", "2 are left"],
    ["header that is not JSON", rawSafetensors("nonsense", 0), "not valid JSON"],
    ["header that is not UTF-8", rawSafetensors(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), 0), "not valid JSON"],
    ["header that is a list", rawSafetensors("[1]", 0), "expected a JSON object", "[1]"],
    ["header nested like a bomb", rawSafetensors(`{"w":${"[".repeat(100_000)}`, 0), "nested deeper than 3"],
    ["tensor that is a number", rawSafetensors('{"w":3}', 0), '"w"', "has 3 where an object"],
    ["unknown dtype", rawSafetensors(one({ dtype: "F12" }), 8), '"w"', 'dtype "F12"'],
    ["dtype from the prototype", rawSafetensors(one({ dtype: "toString" }), 8), '"w"', 'dtype "toString"'],
    ["negative dimension", rawSafetensors(one({ shape: [-2] }), 8), '"w"', "shape [-2]"],
    ["fractional dimension", rawSafetensors(one({ shape: [0.5] }), 8), '"w"', "shape [0.5]"],
    ["negative offset", rawSafetensors(one({ data_offsets: [-8, 0] }), 8), '"w"', "data_offsets [-8,0]"],
    ["fractional offset", rawSafetensors(one({ data_offsets: [0, 7.5] }), 8), '"w"', "data_offsets [0,7.5]"],
    ["three offsets", rawSafetensors(one({ data_offsets: [0, 4, 8] }), 8), '"w"', "data_offsets [0,4,8]"],
    ["end before begin", rawSafetensors(one({ data_offsets: [8, 0] }), 8), '"w"', "end is before the begin"],
    ["end past the file", rawSafetensors(one({ shape: [3], data_offsets: [0, 12] }), 8), '"w"', "file has", "rge pull"],
    ["size that the shape contradicts", rawSafetensors(one({ shape: [3] }), 8), '"w"', "takes 12 bytes", "spans 8"],
    [
      "shape whose product overflows",
      rawSafetensors(one({ shape: [2 ** 31, 2 ** 31, 2 ** 31] }), 8),
      '"w"',
      "more than 2^53",
      "spans 8",
    ],
    [
      "overlap",
      rawSafetensors(
        '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}',
        12,
      ),
      '"b"',
      'overlaps "a"',
    ],
    ["gap", rawSafetensors(one({ data_offsets: [4, 12] }), 12), '"w"', "gap after the header"],
    ["bytes that no tensor owns", rawSafetensors(one({}), 9), "tensors end at byte", "file has"],
    [
      "name given twice",
      rawSafetensors(
        '{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}',
        16,
      ),
      "2 entries under only 1 names",
    ],
  ];
  for (const [title, bytes, ...parts] of cases) {
    test(`is refused: ${title}`, (t) => {
      assert.throws(open(t, bytes), checkpointError("evil.safetensors", ...parts));
    });
  }

  test("a header over the cap is refused before it is read", (t) => {
    const path = join(temporaryFolder(t), "big.safetensors");
    writeFileSync(path, rawSafetensors("{}", 0, 100_000_001n));
    truncateSync(path, 100_000_100);
    assert.throws(() => SafetensorsFile.open(path), checkpointError("100000001 bytes", "at most 100000000"));
  });

  test("a long or unprintable tensor name is cut and escaped in the message", (t) => {
    const name = `\u001b[31m${"x".repeat(5000)}`;
    const header = JSON.stringify({ [name]: { dtype: "F32", shape: [1], data_offsets: [0, 8] } });
    assert.throws(open(t, rawSafetensors(header, 8)), (error: Error) => {
      assert.ok(error.message.length < 600, `message of ${error.message.length} characters`);
      assert.ok(!error.message.includes("\u001b"));
      return true;
    });
  });

  test("a folder or a missing file is refused", (t) => {
    assert.throws(() => SafetensorsFile.open(temporaryFolder(t)), checkpointError("not a regular file"));
    assert.throws(() => SafetensorsFile.open("/nonexistent/a.safetensors"), checkpointError("cannot be opened"));
  });
});
