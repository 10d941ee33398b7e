/** Rules, and the texts that they make. Expected texts were written by hand from method.md 1.3. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { DatasetError } from "../../../src/errors.ts";
import { DEFAULT_QUERY_RULES, DEFAULT_TARGET_RULES } from "../../../src/eval/default-rules.ts";
import { finalSide } from "../../../src/eval/final-text.ts";
import { MMEB } from "../../../src/eval/mmeb.ts";
import { readRules, type TextRule } from "../../../src/eval/rules.ts";

const folder = mkdtempSync(join(tmpdir(), "rge-rules-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const TRIPLE = "<|vision_start|><|image_pad|><|vision_end|>";

function fileOf(yaml: string): string {
  const file = join(folder, "rules.yaml");
  writeFileSync(file, yaml);
  return file;
}

function textOf(raw: string, rule: TextRule | undefined, images: readonly string[] = []): string {
  return finalSide({ text: raw, images }, rule).text;
}

describe("a final text", () => {
  test("takes the steps in their order: whole text, replacement, prefix, suffix, line break", () => {
    const rule = {
      valueMap: new Map([["Yes", "It is so: Yes"]]),
      original: "is",
      replacement: "was",
      prefix: "this is ",
      suffix: " is",
    };
    // What the map gives is replaced in; prefix and suffix are not.
    assert.equal(textOf("Yes", rule), "this is It was so: Yes is\n");
    assert.equal(textOf("is Yes", rule), "this is was Yes is\n");
  });

  test("replaces every occurrence, and takes the replacement as it stands", () => {
    assert.equal(textOf("a.a.a", { original: "a.", replacement: "$&$1\\n" }), "$&$1\\n$&$1\\na\n");
    assert.equal(textOf("drop this", { original: " this" }), "drop\n");
  });

  test("has one line break more only where there is none", () => {
    assert.equal(textOf("dog\n", undefined), "dog\n");
    assert.equal(textOf("dog\n\n", undefined), "dog\n\n");
    assert.equal(textOf("", undefined), "\n");
    assert.equal(textOf("dog\n", { suffix: "!" }), "dog\n!\n");
  });

  test("has the model's mark where a slot was, and no mark without a picture, whose line break stays", () => {
    assert.equal(textOf("<|image_1|>\nWhat is it?\n", undefined, ["a.png"]), `${TRIPLE}\nWhat is it?\n`);
    assert.equal(textOf("<|image_1|>\nWhat is it?\n", undefined), "\nWhat is it?\n");
    assert.equal(textOf(`${TRIPLE}x`, undefined), "x\n");
    assert.equal(textOf("<|image_1|>\n<|image_2|>\nx", undefined, ["a.png"]), `${TRIPLE}\n\nx\n`);
  });
});

describe("a file of rules", () => {
  test("is read as RGE's authors write it", () => {
    const { name, rules } = readRules(
      fileOf(`
# Classification
HatefulMemes:
  value_map:
    "Yes": "Say: Yes."
    "No": "Say: No."
VOC2007:
  prefix_add: "One word: "
  suffix_add:
ChartQA:
  original: "Represent it:"
  replacement: "Answer it:"
`),
    );
    assert.equal(name, "rules.yaml");
    assert.equal(textOf("Yes", rules.get("HatefulMemes")), "Say: Yes.\n");
    assert.equal(textOf("dog", rules.get("VOC2007")), "One word: dog\n");
    assert.equal(textOf("Represent it: how many?", rules.get("ChartQA")), "Answer it: how many?\n");
    assert.equal(rules.get("GQA"), undefined);
  });

  test("has a hash of what it says, not of how it is written", () => {
    const hash = readRules(fileOf('A:\n  prefix_add: "x "\nB:\n  original: y\n')).hash;
    assert.equal(readRules(fileOf("# again\nB: {original: 'y'}\nA: {prefix_add: 'x '}\n")).hash, hash);
    assert.notEqual(readRules(fileOf("A:\n  prefix_add: x\nB:\n  original: y\n")).hash, hash);
  });

  test("that is none is refused, with the reason", () => {
    for (const [yaml, message] of [
      ["A: [", /not YAML/],
      ["A:\n  prefix_add: x\nA:\n  prefix_add: y\n", /not YAML.*unique/is],
      ["A:\n  prefix: x\n", /prefix/],
      ["A:\n  prefix_add: 3\n", /string/],
      ["A:\n  original: ''\n  replacement: x\n", /replacement for nothing/],
      ["A:\n  replacement: x\n", /replacement for nothing/],
      ["a: &x {prefix_add: y}\nb: *x\n", /not YAML.*alias/is],
      ["- A\n", /expected record/i],
    ] as const)
      assert.throws(
        () => readRules(fileOf(yaml)),
        (error: Error) =>
          error instanceof DatasetError && error.message.startsWith(folder) && message.test(error.message),
        yaml,
      );
    assert.throws(() => readRules(join(folder, "none.yaml")), /no such file of rules/);
  });
});

test("the rules that come along have every dataset of MMEB, on both sides", () => {
  for (const { rules } of [DEFAULT_QUERY_RULES, DEFAULT_TARGET_RULES])
    assert.deepEqual([...rules.keys()].sort(), MMEB.map(({ name }) => name).sort());
});
