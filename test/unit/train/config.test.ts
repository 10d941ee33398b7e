import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "../../../src/errors.ts";
import { parseTrainConfig, settings } from "../../../src/train/config.ts";

const LEAST = { model: "m", output: "o", steps: 3, data: [{ name: "d", path: "d.jsonl" }] };

function refused(changes: object, pattern: RegExp): void {
  assert.throws(
    () => parseTrainConfig({ ...LEAST, ...changes }, "x.json"),
    (error) => error instanceof UsageError && pattern.test(error.message),
  );
}

test("defaults are filled in", () => {
  const config = parseTrainConfig(LEAST, "x.json");
  assert.equal(config.mode, "rge");
  assert.equal(config.temperature, 0.02);
  assert.equal(config.data[0]!.weight, 1);
  assert.equal(config.lora, null);
  assert.deepEqual(parseTrainConfig({ ...LEAST, lora: {} }, "x.json").lora?.rank, 16);
});

test("what cannot be carried out is refused with its key", () => {
  refused({ stepz: 1 }, /x\.json: the file: Unrecognized key: "stepz"/);
  refused({ data: [{ name: "d", path: "p", wieght: 2 }] }, /data\.0.*wieght/);
  refused({ steps: 0 }, /steps/);
  refused({ mode: "both" }, /mode/);
  refused({ arWeight: 0, embWeight: 0 }, /nothing is trained/);
  refused({ minPixels: 9, maxPixels: 8 }, /minPixels 9 is above maxPixels 8/);
  refused({ validation: [{ name: "d", path: "v" }] }, /two datasets are named "d"/);
  refused({ ema: 0.9, lora: {} }, /ema/);
  refused({ batchSize: 1 }, /batchSize/);
});

test("every setting has a help text, and those that must be given have no default", () => {
  for (const { key, help } of settings()) assert.ok(help.length > 5, key);
  const required = settings().filter(({ fallback }) => fallback === undefined);
  assert.deepEqual(
    required.map(({ key }) => key),
    ["model", "output", "data", "steps"],
  );
});
