import assert from "node:assert/strict";
import { test } from "node:test";
import { isBlank, readLines, type Line } from "../../src/lines.ts";

async function linesOf(chunks: readonly string[], maxBytes?: number): Promise<Line[]> {
  async function* stream(): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield Buffer.from(chunk, "latin1");
  }
  const lines: Line[] = [];
  for await (const line of readLines(stream(), maxBytes)) lines.push(line);
  return lines;
}

const textOf = ({ bytes }: Line): string | undefined => bytes && Buffer.from(bytes).toString("latin1");

test("lines are the same wherever the stream was cut", async () => {
  const text = "one\n\ntwo \xc3\xa9\r\nlast";
  const whole = await linesOf([text]);
  assert.deepEqual(whole.map(textOf), ["one", "", "two \xc3\xa9\r", "last"]);
  assert.deepEqual(
    whole.map(({ number, end, isWhole }) => [number, end, isWhole]),
    [
      [1, 4, true],
      [2, 5, true],
      [3, 13, true],
      [4, 17, false],
    ],
  );
  assert.deepEqual(await linesOf(text.split("")), whole);
});

test("a line break at the end opens no further line", async () => {
  assert.deepEqual((await linesOf(["a\n"])).map(textOf), ["a"]);
  assert.deepEqual(await linesOf([]), []);
});

test("a line over the limit is told without its bytes, and the next is read", async () => {
  const lines = await linesOf(["abc", "def\nok\n", "ghijkl"], 5);
  assert.deepEqual(lines.map(textOf), [undefined, "ok", undefined]);
  assert.deepEqual(
    lines.map(({ end }) => end),
    [7, 10, 16],
  );
});

test("spaces, tabs and carriage returns are blank, a line too long is not", async () => {
  assert.deepEqual((await linesOf([" \t\r\n", "x\n", "longer than five\n"], 5)).map(isBlank), [true, false, false]);
});
