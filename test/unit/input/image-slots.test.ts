import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../../../src/errors.ts";
import { splitContent } from "../../../src/input/image-slots.ts";

const TRIPLE = "<|vision_start|><|image_pad|><|vision_end|>";

/** The pieces in short: `#0` for an image. */
function short(text: string, images: number): string {
  return splitContent(text, images)
    .map((piece) => ("image" in piece ? `#${piece.image}` : piece.plain))
    .join("");
}

test("images without a slot come first, each with a line break after it", () => {
  assert.equal(short("what changed?", 2), "#0\n#1\nwhat changed?");
  assert.equal(short("no image", 0), "no image");
});

test("numbered slots place images in any order", () => {
  assert.equal(short("<|image_2|> after <|image_1|>\nx", 2), "#1 after #0\nx");
});

test("literal triples take the images in their order", () => {
  assert.equal(short(`${TRIPLE} before, ${TRIPLE} after`, 2), "#0 before, #1 after");
});

test("a lone control token is the user's own text", () => {
  const text = "<|image_pad|> and <|vision_start|> and <|image_x|>";
  assert.equal(short(text, 0), text);
  assert.equal(short(text, 1), `#0\n${text}`);
});

test("slots and images that do not match are refused with both counts", () => {
  const wrong: [string, number, RegExp][] = [
    ["<|image_1|>", 0, /found 1 image slot for 0 images/],
    ["<|image_1|>", 2, /found 1 image slot for 2 images/],
    [`${TRIPLE}${TRIPLE}`, 1, /found 2 image slots for 1 image\b/],
    ["<|image_1|><|image_1|>", 2, /unexpected slot <\|image_1\|> for 2 images/],
    ["<|image_0|>", 1, /unexpected slot <\|image_0\|>/],
    ["<|image_01|>", 1, /unexpected slot/],
    [`<|image_1|>${TRIPLE}`, 2, /mixes/],
  ];
  for (const [text, images, message] of wrong) {
    assert.throws(
      () => splitContent(text, images),
      (error) => {
        assert.ok(error instanceof InputError);
        assert.match(error.message, message);
        return true;
      },
    );
  }
});
