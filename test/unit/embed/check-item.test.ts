import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { checkItem } from "../../../src/embed/check-item.ts";
import type { EmbedItem } from "../../../src/embed/types.ts";
import { InputError } from "../../../src/errors.ts";

const PENALTY = 1.05;
const DEFAULT_REASON = {
  maxNewTokens: 128,
  onBudget: "pool-last",
  repetitionPenalty: PENALTY,
  temperature: 0,
  topP: 1,
  seed: 0,
};

const check = (item: unknown): ReturnType<typeof checkItem> => checkItem(item as EmbedItem, PENALTY);

test("a query reasons with the reference's budget and the checkpoint's penalty", () => {
  assert.deepEqual(check({ text: "a" }), {
    text: "a",
    images: [],
    minPixels: undefined,
    maxPixels: undefined,
    minSide: undefined,
    rationale: undefined,
    reason: DEFAULT_REASON,
  });
  assert.deepEqual(check({ text: "a", role: "query", reason: true }).reason, DEFAULT_REASON);
});

test("a target does not reason unless told to, a query does unless told not to", () => {
  assert.equal(check({ text: "a", role: "target" }).reason, undefined);
  assert.deepEqual(check({ text: "a", role: "target", reason: true }).reason, DEFAULT_REASON);
  assert.equal(check({ text: "a", role: "query", reason: false }).reason, undefined);
});

test("every option of reason takes the place of its default", () => {
  const reason = {
    maxNewTokens: 3,
    onBudget: "force-emb",
    repetitionPenalty: 1,
    temperature: 0.5,
    topP: 0.9,
    seed: -4,
  };
  assert.deepEqual(check({ text: "a", reason }).reason, reason);
  assert.deepEqual(check({ text: "a", reason: { seed: 5 } }).reason, { ...DEFAULT_REASON, seed: 5 });
});

test("the instruction stands before the text on a line of its own", () => {
  assert.equal(check({ instruction: "do", text: "a\n" }).text, "do\na\n");
  assert.equal(check({ instruction: "do" }).text, "do");
  assert.equal(check({ instruction: "", text: "a" }).text, "a");
  assert.equal(check({ images: ["x.png"] }).text, "");
});

test("a view into a larger buffer is sent as a copy of its own bytes", () => {
  const large = new Uint8Array(1000).fill(7);
  const [view, whole] = [large.subarray(10, 20), new Uint8Array(5)];
  const { images } = check({ images: [view, whole, "path", new ArrayBuffer(3)] });
  assert.deepEqual(images[0], new Uint8Array(10).fill(7));
  assert.equal((images[0] as Uint8Array).buffer.byteLength, 10);
  assert.equal(images[1], whole);
  assert.equal(images[2], "path");
  assert.equal((images[3] as ArrayBuffer).byteLength, 3);
});

const REJECTIONS: readonly [unknown, RegExp][] = [
  [null, /^an item is an object, got null$/],
  ["text", /^an item is an object, got text$/],
  [undefined, /^an item is an object, got undefined$/],
  [{}, /^the item is empty: give it text or images$/],
  [{ text: "", instruction: "", images: [] }, /^the item is empty/],
  [{ text: "a", role: "document" }, /^role is "query" or "target", got "document"$/],
  [{ text: 5 }, /^text is no text$/],
  [{ text: "a", instruction: [] }, /^instruction is no text$/],
  [{ text: "a", rationale: 1 }, /^rationale is no text$/],
  [{ text: "a", rationale: "x".repeat(500_001) }, /^rationale has 500001 characters, limit 500000$/],
  [{ images: "a.png" }, /^images is a list of at most 64 paths or buffers$/],
  [{ images: Array.from({ length: 65 }, () => "a.png") }, /^images is a list of at most 64/],
  [{ images: ["a.png", 5] }, /^images\[1\] is a path, a data: URL or bytes, got 5$/],
  [{ images: [Promise.resolve("a.png")] }, /^images\[0\] is a path, a data: URL or bytes, got a Promise$/],
  [{ text: "a", rationale: "r", reason: false }, /^a rationale is given and reason is false/],
  [{ text: "a", reason: "yes" }, /^reason is true, false or an object of options$/],
  [{ text: "a", minPixels: 0 }, /^minPixels is a whole number of pixels, got 0$/],
  [{ text: "a", maxPixels: 1.5 }, /^maxPixels is a whole number of pixels, got 1.5$/],
  [{ text: "a", maxPixels: "100" }, /^maxPixels is a whole number of pixels, got 100$/],
  [
    { text: "a", reason: { maxNewTokens: 0 } },
    /^reason\.maxNewTokens is a whole number from 1 to 16384, got 0\. To embed without reasoning set reason: false\.$/,
  ],
  [{ text: "a", reason: { maxNewTokens: 16_385 } }, /^reason\.maxNewTokens .* got 16385/],
  [{ text: "a", reason: { maxNewTokens: 1.5 } }, /^reason\.maxNewTokens .* got 1\.5/],
  [{ text: "a", reason: { onBudget: "stop" } }, /^reason\.onBudget is "pool-last" or "force-emb", got stop$/],
  [{ text: "a", reason: { repetitionPenalty: 0 } }, /^reason\.repetitionPenalty is above 0, got 0$/],
  [{ text: "a", reason: { repetitionPenalty: Infinity } }, /^reason\.repetitionPenalty is above 0, got Infinity$/],
  [{ text: "a", reason: { temperature: -1 } }, /^reason\.temperature is 0 or above, got -1$/],
  [{ text: "a", reason: { temperature: NaN } }, /^reason\.temperature is 0 or above, got NaN$/],
  [{ text: "a", reason: { topP: 0 } }, /^reason\.topP is above 0 and at most 1, got 0$/],
  [{ text: "a", reason: { topP: 1.1 } }, /^reason\.topP is above 0 and at most 1, got 1\.1$/],
  [{ text: "a", reason: { seed: 0.5 } }, /^reason\.seed is a whole number, got 0\.5$/],
];

for (const [item, message] of REJECTIONS)
  test(`refused: ${inspect(item, { breakLength: Infinity }).slice(0, 80)} as ${message.source.slice(0, 60)}`, () => {
    assert.throws(
      () => check(item),
      (error) => error instanceof InputError && message.test(error.message),
    );
  });

test("undefined options take their defaults, and null stands for left out", () => {
  assert.deepEqual(check({ text: "a", reason: null, role: null }).reason, DEFAULT_REASON);
  assert.deepEqual(check({ text: "a", reason: { topP: undefined } }).reason, DEFAULT_REASON);
});
