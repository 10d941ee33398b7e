import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { askFor, instructionsOf, ORACLE_PROMPT, type ContentPart } from "../../../src/curate/prompt.ts";
import type { TrainRow, TrainSide } from "../../../src/dataset/train-row.ts";
import { ImageError } from "../../../src/errors.ts";

const IMAGES = fileURLToPath(new URL("../../fixtures/images", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "rge-prompt-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function row(query: TrainSide, target: TrainSide): TrainRow {
  return { place: "t.jsonl, row 1", query, target, negatives: [], rationale: undefined };
}

/** The parts of the user's message, pictures cut to their type. */
async function partsOf(query: TrainSide, target: TrainSide): Promise<string[]> {
  const [system, user] = await askFor(row(query, target), "write");
  assert.deepEqual(system, { role: "system", content: "write" });
  assert.equal(user!.role, "user");
  return (user!.content as ContentPart[]).map((part) =>
    part.type === "text" ? part.text : part.image_url.url.replace(/,.*/, ""),
  );
}

const none = undefined;

test("the query comes before the item to find, images at their slots", async () => {
  const jpeg = join(IMAGES, "example.jpg");
  const png = join(IMAGES, "grey.png");
  assert.deepEqual(await partsOf({ text: "Before <|image_1|>\nafter", image: jpeg }, { text: "a cat", image: none }), [
    "Query:\nBefore ",
    "data:image/jpeg;base64",
    "\nafter\n\nThe item to find (for your eyes only):\na cat\n\nWrite the paragraph now.",
  ]);
  assert.deepEqual(await partsOf({ text: "Find it", image: none }, { text: "a grey one", image: png }), [
    "Query:\nFind it\n\nThe item to find (for your eyes only):\n",
    "data:image/png;base64",
    "\na grey one\n\nWrite the paragraph now.",
  ]);
});

test("a picture is sent with its own bytes", async () => {
  const [, user] = await askFor(
    row({ text: "q", image: join(IMAGES, "tiny-20x23.png") }, { text: "t", image: none }),
    "",
  );
  const picture = (user!.content as ContentPart[]).find((part) => part.type === "image_url");
  const bytes = Buffer.from(picture!.image_url.url.split(",")[1]!, "base64");
  assert.equal(bytes.subarray(1, 4).toString(), "PNG");
});

test("what is no picture, or too large to send, is refused with its path", async () => {
  const text = join(folder, "a.jpg");
  writeFileSync(text, "this is text");
  const large = join(folder, "b.jpg");
  writeFileSync(large, Buffer.concat([Buffer.from("\xff\xd8\xff", "latin1"), Buffer.alloc(4 * 2 ** 20)]));
  for (const [image, message] of [
    [text, /a\.jpg: no picture format/],
    [large, /b\.jpg: 4194307 bytes, limit 4194304/],
  ] as const)
    await assert.rejects(partsOf({ text: "q", image }, { text: "t", image: none }), (error) => {
      assert.ok(error instanceof ImageError);
      assert.match(error.message, message);
      return true;
    });
});

test("the built-in instructions name the number of words, and no slot is left", () => {
  const text = instructionsOf(ORACLE_PROMPT, 77);
  assert.match(text, /at most 77 words/);
  assert.doesNotMatch(text, /[{}]/);
});
