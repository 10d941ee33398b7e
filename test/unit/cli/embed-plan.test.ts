import assert from "node:assert/strict";
import { test } from "node:test";
import { Arguments } from "../../../src/cli/arguments.ts";
import { optionsOf } from "../../../src/cli/command.ts";
import { command } from "../../../src/cli/commands/embed.ts";
import { embedPlan, type EmbedPlan } from "../../../src/cli/embed-plan.ts";
import { UsageError } from "../../../src/errors.ts";

const plan = (...argv: string[]): EmbedPlan => embedPlan(Arguments.parse(argv, optionsOf(command)));
const one = (...argv: string[]): EmbedPlan => plan("--model", "m", "--text", "t", ...argv);
const lines = (...argv: string[]): EmbedPlan => plan("--model", "m", "--input", "i.jsonl", ...argv);
const refuses = (message: RegExp, act: () => unknown): void => {
  assert.throws(act, (error) => error instanceof UsageError && message.test(error.message), String(message));
};

test("without options everything is left to the library", () => {
  const { load, defaults, adapter } = one();
  assert.equal(adapter, undefined);
  assert.ok(Object.values(load).every((value) => value === undefined));
  assert.ok(Object.values(defaults.reasonOptions).every((value) => value === undefined));
  assert.deepEqual(
    { role: defaults.role, reason: defaults.reason, min: defaults.minPixels, max: defaults.maxPixels },
    { role: "query", reason: undefined, min: undefined, max: undefined },
  );
});

test("each option of loading arrives where the library looks for it", () => {
  const argv = ["--weights", "int4", "--batch", "2", "--threads", "3", "--closing-prompt", "So:", "--cache-dir", "/c"];
  const { load, adapter } = one(...argv, "--adapter", "lora");
  assert.deepEqual(load, { weights: "int4", batch: 2, threads: 3, closingPrompt: "So:", cacheDir: "/c" });
  assert.equal(adapter, "lora");
});

test("weights are fp32, int8 or int4", () => {
  assert.equal(one("--weights", "fp32").load.weights, "fp32");
  assert.equal(one("--weights", "int8").load.weights, "int8");
  refuses(/--weights is one of fp32, int8, int4/, () => one("--weights", "fp16"));
});

test("each option of items becomes a default", () => {
  const who = ["--role", "target", "--reason", "--min-pixels", "3136", "--max-pixels", "6272"];
  const how = ["--max-new-tokens", "5", "--on-budget", "force-emb", "--temperature", "0.5", "--top-p", "0.9"];
  const { defaults } = lines(...who, ...how, "--seed", "7", "--repetition-penalty", "1.2");
  assert.deepEqual(defaults, {
    role: "target",
    reason: true,
    reasonOptions: {
      maxNewTokens: 5,
      onBudget: "force-emb",
      temperature: 0.5,
      topP: 0.9,
      seed: 7,
      repetitionPenalty: 1.2,
    },
    minPixels: 3136,
    maxPixels: 6272,
  });
});

test("one item is its texts and its images in order", () => {
  const { work } = plan("--model", "m", "--instruction", "i", "--text", "t", "--image", "b", "--image", "a");
  assert.deepEqual(work, { kind: "one", fields: { text: "t", instruction: "i", images: ["b", "a"] } });
});

test("without a model it is the one that comes with the package", () => {
  assert.equal(plan("--text", "t").model, "nano");
});

test("a file of items has an output and says what to do with one that is there", () => {
  const defaults = { kind: "lines", input: "i.jsonl", output: "-", existing: "refuse", failFast: false };
  assert.deepEqual(lines().work, defaults);
  assert.deepEqual(lines("--fail-fast").work, { ...defaults, failFast: true });
  const output = ["--output", "o"];
  assert.deepEqual(lines(...output).work, { ...defaults, output: "o" });
  assert.deepEqual(lines(...output, "--resume").work, { ...defaults, output: "o", existing: "resume" });
  assert.deepEqual(lines(...output, "--force").work, { ...defaults, output: "o", existing: "replace" });
});

test("options that are missing or contradict each other are refused before anything is loaded", () => {
  refuses(/--model is empty/, () => plan("--model=", "--text", "t"));
  refuses(/nothing to embed/, () => plan("--model", "m"));
  refuses(/no words beside/, () => one("red", "bicycle"));
  refuses(/--input and --text contradict/, () => lines("--text", "t"));
  refuses(/--output goes with --input/, () => one("--output", "o"));
  refuses(/--fail-fast goes with --input/, () => one("--fail-fast"));
  refuses(/--resume and --force contradict/, () => lines("--output", "o", "--resume", "--force"));
  refuses(/go with --output FILE/, () => lines("--resume"));
  refuses(/--no-reason and --temperature contradict/, () => lines("--no-reason", "--temperature", "1"));
  refuses(/--seed changes nothing for a target/, () => one("--role", "target", "--seed", "1"));
  refuses(/--min-pixels 9 is above --max-pixels 8/, () => one("--min-pixels", "9", "--max-pixels", "8"));
  refuses(/--closing-prompt is empty/, () => one("--closing-prompt="));
  refuses(/--batch is a whole number from 1/, () => one("--batch", "0"));
  refuses(/--threads is a whole number from 1/, () => one("--threads", "many"));
});
