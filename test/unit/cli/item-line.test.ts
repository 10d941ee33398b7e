import assert from "node:assert/strict";
import { test } from "node:test";
import { itemOf, parseItemLine, type ItemDefaults, type ParsedLine } from "../../../src/cli/item-line.ts";
import { InputError } from "../../../src/errors.ts";

const DEFAULTS: ItemDefaults = {
  role: "query",
  reason: undefined,
  reasonOptions: { maxNewTokens: 9, seed: 3 },
  minPixels: 100,
  maxPixels: undefined,
};

function parse(text: string | Uint8Array | undefined, number = 4): ParsedLine {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  return parseItemLine({ number, bytes, end: 0, isWhole: true }, DEFAULTS, "/data");
}

function itemIn(text: string): object {
  const line = parse(text);
  assert.ok("item" in line, "problem" in line ? line.problem.message : "");
  return line.item;
}

function problemOf(text: string | Uint8Array | undefined, number?: number): string {
  const line = parse(text, number);
  assert.ok("problem" in line);
  return line.problem.message;
}

test("every key of a line reaches the item", () => {
  const item = itemIn(
    '{"role":"query","text":"t\\n","instruction":"i","images":["a.png"],"minPixels":5,"maxPixels":6,"maxNewTokens":7}',
  );
  assert.deepEqual(item, {
    role: "query",
    text: "t\n",
    instruction: "i",
    images: ["/data/a.png"],
    minPixels: 5,
    maxPixels: 6,
    reason: { maxNewTokens: 7, seed: 3 },
  });
});

test("a line that is silent takes the defaults, and its role decides about reasoning", () => {
  const silent = { text: "t", instruction: undefined, images: undefined, minPixels: 100, maxPixels: undefined };
  assert.deepEqual(itemIn('{"text":"t"}'), { ...silent, role: "query", reason: { maxNewTokens: 9, seed: 3 } });
  assert.deepEqual(itemIn('{"text":"t","role":"target"}'), { ...silent, role: "target", reason: false });
  assert.deepEqual(itemIn('{"text":"t","reason":false}'), { ...silent, role: "query", reason: false });
});

test("a rationale that is given is read under any default, unless the line itself denies it", () => {
  const withRationale = itemOf({ text: "t", rationale: "r" }, { ...DEFAULTS, reason: false }, "");
  assert.equal(withRationale.rationale, "r");
  assert.equal("reason" in withRationale, false);
  // The library refuses this pair, so it has to see both.
  assert.equal(itemOf({ rationale: "r", reason: false }, DEFAULTS, "").reason, false);
});

test("a budget for a rationale that is not written is refused", () => {
  assert.match(problemOf('{"text":"t","role":"target","maxNewTokens":5}'), /does not reason/);
  assert.match(problemOf('{"text":"t","rationale":"r","maxNewTokens":5}'), /none is written/);
});

test("the id is the given one, even of a bad line, or the line's number", () => {
  assert.equal(parse('{"id":"x","text":"t"}').id, "x");
  assert.equal(parse('{"id":12,"text":"t"}').id, 12);
  assert.equal(parse('{"text":"t"}').id, 4);
  assert.equal(parse('{"id":"x","imgs":[]}').id, "x");
  assert.equal(parse('{"id":[],"text":"t"}').id, 4);
  assert.equal(parse("{").id, 4);
});

test("what is wrong with a line is named", () => {
  assert.match(problemOf("{"), /^not JSON \(/);
  assert.match(problemOf('{"imgs":[]}'), /unknown key "imgs"; the nearest is "images"/);
  assert.match(problemOf('{"role":"both"}'), /^role .*"query"\|"target"/);
  assert.match(problemOf('{"images":[3]}'), /^images\.0 .*string/);
  assert.match(problemOf('{"minPixels":1.5}'), /^minPixels .*int/);
  assert.match(problemOf("[]"), /expected object/);
  assert.match(problemOf("null"), /expected object/);
  assert.match(problemOf(undefined), /longer than 33554432 bytes/);
  assert.match(problemOf(Uint8Array.of(0x22, 0xff, 0x22)), /not JSON/);
  const line = parse("{");
  assert.ok("problem" in line && line.problem instanceof InputError);
});

test("a byte order mark is accepted where a file starts, and only there", () => {
  assert.equal(parse('\ufeff{"id":"x"}', 1).id, "x");
  assert.match(problemOf('\ufeff{"id":"x"}', 2), /not JSON/);
});

test("absolute paths and URLs stay as they are", () => {
  const item = itemOf({ images: ["/a.png", "data:image/png;base64,AA==", "https://x/y.png", "b.png"] }, DEFAULTS, "f");
  assert.deepEqual(item.images, ["/a.png", "data:image/png;base64,AA==", "https://x/y.png", "f/b.png"]);
});
