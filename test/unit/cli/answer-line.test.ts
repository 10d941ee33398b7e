import assert from "node:assert/strict";
import { test } from "node:test";
import { answerLine, failureLine, readAnswer } from "../../../src/cli/answer-line.ts";
import { floatText } from "../../../src/cli/float-text.ts";
import type { EmbedResult } from "../../../src/embed/types.ts";
import { InputError } from "../../../src/errors.ts";

const RESULT: EmbedResult = {
  embedding: Float32Array.of(0.1, -0.5),
  rationale: 'say "},\n',
  rationaleIds: [1, 2],
  rationaleTokens: 2,
  finish: "emb",
  promptTokens: 5,
  timings: { prepareMs: 1, visionMs: 1, prefillMs: 1, decodeMs: 1 },
};

test("floats are written in the fewest digits that read back the same", () => {
  const cases: [number, string][] = [
    [0.1, "0.1"],
    [1 / 3, "0.33333334"],
    [16_777_216, "16777216"],
    [3.4028234663852886e38, "3.4028235e+38"],
    [1e-45, "1e-45"],
    [0, "0"],
    [-0, "-0"],
  ];
  for (const [value, text] of cases) assert.equal(floatText(Math.fround(value)), text);
});

test("every sampled float32 reads back bit for bit", () => {
  const floats = new Float32Array(1);
  const bits = new Uint32Array(floats.buffer);
  // An odd stride visits all exponents and both signs.
  for (let i = 0; i < 50_000; i++) {
    bits[0] = Math.imul(i, 2_654_435_761) >>> 0;
    const value = floats[0]!;
    if (!Number.isFinite(value)) continue;
    const text = floatText(value);
    assert.ok(Object.is(Math.fround(JSON.parse(text) as number), value), text);
    assert.ok(text.length <= String(value).length, `${text} is longer than ${value}`);
  }
});

test("numbers that JSON cannot say are the item's error", () => {
  assert.throws(() => floatText(Number.NaN), InputError);
  assert.throws(() => floatText(Number.POSITIVE_INFINITY), InputError);
});

test("an answer is a line of JSON with the keys in their order", () => {
  const line = answerLine("q 1", RESULT);
  assert.equal(
    line,
    '{"id":"q 1","embedding":[0.1,-0.5],"rationale":"say \\"},\\n","rationaleTokens":2,"finish":"emb","promptTokens":5}',
  );
  assert.deepEqual(JSON.parse(failureLine(3, "line 3: no")), { id: 3, error: "line 3: no" });
});

const read = (line: string): unknown => readAnswer(Buffer.from(line));

test("a later run recognises its own lines and no others", () => {
  assert.deepEqual(read(answerLine('a"\\é', RESULT)), { id: 'a"\\é', hidden: 2 });
  assert.deepEqual(read(answerLine(-7, RESULT)), { id: -7, hidden: 2 });
  assert.deepEqual(read(failureLine("b", 'x"embedding":[1,2],')), { id: "b", hidden: undefined });
  for (const other of ["", "{}", '{"id":1}', '{"id":1,"text":"t"}', answerLine(1, RESULT).slice(0, -1)])
    assert.equal(read(other), undefined, other);
});
