import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { readGenerationConfig } from "../../../src/checkpoint/generation-config.ts";
import { DEFAULT_CLOSING_PROMPT, endingOf } from "../../../src/embed/ending.ts";
import { CheckpointError, InputError } from "../../../src/errors.ts";
import { Tokenizer } from "../../../src/input/tokenizer.ts";
import { checkpointOf, EMB_ID, temporaryFolder } from "../../support/fixtures.ts";

const CHECKPOINT = checkpointOf("qwen2_5_vl");
const IM_END = 520;
const END_OF_TEXT = 518;
const generation = readGenerationConfig(CHECKPOINT);
const withEmb = Tokenizer.load(CHECKPOINT);

/** The fixture's tokenizer without these added tokens. */
function tokenizerWithout(t: TestContext, ...removed: readonly string[]): Tokenizer {
  const folder = temporaryFolder(t);
  cpSync(join(CHECKPOINT, "tokenizer_config.json"), join(folder, "tokenizer_config.json"));
  const json = JSON.parse(readFileSync(join(CHECKPOINT, "tokenizer.json"), "utf8")) as {
    added_tokens: { content: string }[];
  };
  json.added_tokens = json.added_tokens.filter(({ content }) => !removed.includes(content));
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(json));
  const config = JSON.parse(readFileSync(join(CHECKPOINT, "tokenizer_config.json"), "utf8")) as Record<string, unknown>;
  for (const [name, value] of Object.entries(config)) if (removed.includes(String(value))) delete config[name];
  writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(config));
  return Tokenizer.load(folder);
}

test("a tokenizer with <emb> ends rationales with it alone", () => {
  const ending = endingOf(withEmb, generation, undefined);
  assert.deepEqual(ending, { mode: "emb", stopIds: new Set([EMB_ID]), closingIds: [EMB_ID] });
});

test("without <emb>, rationales end with the turn and the default closing prompt follows", (t) => {
  const tokenizer = tokenizerWithout(t, "<emb>");
  const ending = endingOf(tokenizer, generation, undefined);
  assert.equal(ending.mode, "training-free");
  assert.deepEqual(ending.stopIds, new Set([IM_END, END_OF_TEXT]));
  assert.equal(tokenizer.decode(ending.closingIds), DEFAULT_CLOSING_PROMPT);
});

test("a closing prompt that is asked for goes before <emb>", () => {
  const ending = endingOf(withEmb, generation, "<|im_end|>\nSo:");
  assert.equal(ending.mode, "training-free");
  assert.deepEqual(ending.closingIds, [IM_END, ...withEmb.encodePlain("\nSo:")], "its special tokens count as such");
});

test("without any token that ends a turn there is no training-free mode", (t) => {
  const tokenizer = tokenizerWithout(t, "<emb>", "<|im_end|>");
  assert.deepEqual(endingOf(tokenizer, generation, undefined).stopIds, new Set(generation.eosTokenIds));
  assert.throws(
    () => endingOf(tokenizer, { ...generation, eosTokenIds: [] }, undefined),
    (error) => error instanceof CheckpointError && /neither <emb> nor <\|im_end\|>/.test(error.message),
  );
});

function refused(text: string, message: RegExp): void {
  assert.throws(
    () => endingOf(withEmb, generation, text),
    (error) => error instanceof InputError && message.test(error.message),
  );
}

test("a closing prompt that is empty or holds an image is refused", () => {
  refused("", /^closingPrompt is empty/);
  refused("<|vision_start|><|image_pad|><|vision_end|>", /^closingPrompt holds <\|image_pad\|>/);
});
