import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { INSTRUCT_FIELDS, rawText } from "../../../src/dataset/instruct-rows.ts";

describe("an instruction and its text become MMEB-v1's", () => {
  test("fields are those that v1 lacks", () => {
    assert.deepEqual(INSTRUCT_FIELDS, ["qry_inst", "tgt_inst"]);
  });

  // The raw texts are v1's; where instruction and text part is what VLM2Vec's readers put together again.
  const cases: readonly (readonly [what: string, instruction: string, text: string, raw: string])[] = [
    [
      "TextVQA",
      "<|image_1|>\nRepresent the given image with the following question:",
      "what is the brand of this camera?",
      "<|image_1|>\nRepresent the given image with the following question: what is the brand of this camera?\n",
    ],
    [
      "a slot with a blank after it",
      "<|image_1|> Represent the given image with the following question:",
      "how many?",
      "<|image_1|>\nRepresent the given image with the following question: how many?\n",
    ],
    [
      "HatefulMemes, which has no text",
      "<|image_1|>\nRepresent the given image for binary classification to determine whether it constitutes hateful speech or not",
      "",
      "<|image_1|>\nRepresent the given image for binary classification to determine whether it constitutes hateful speech or not\n",
    ],
    [
      "MSCOCO_t2i, which has no picture",
      "Find me an everyday image that matches the given caption:",
      "A man with a red helmet on a small moped on a dirt road.",
      "Find me an everyday image that matches the given caption: A man with a red helmet on a small moped on a dirt road.\n",
    ],
    [
      "VisualNews_t2i, whose instruction ends in a full stop",
      "Retrieve an image of this news caption.",
      "US goalkeeper Hope Solo makes a save.",
      "Retrieve an image of this news caption. US goalkeeper Hope Solo makes a save.\n",
    ],
    [
      "WebQA, whose slot has no picture",
      "<|image_1|>\nFind a Wikipedia image that answers this question:",
      "Does a flower have petals in a cup shape?",
      "<|image_1|>\nFind a Wikipedia image that answers this question: Does a flower have petals in a cup shape?\n",
    ],
    [
      "a target with a text",
      "<|image_1|>\nRepresent the given image with related text information:",
      "World",
      "<|image_1|>\nRepresent the given image with related text information: World\n",
    ],
    [
      "a target that is a picture",
      "<|image_1|>\nRepresent the given image.\n",
      " ",
      "<|image_1|>\nRepresent the given image.\n",
    ],
    [
      "RefCOCO, whose expression is in quotes",
      "<|image_1|>\nSelect the portion of the image that follows the language expressions.",
      '"bowl behind the others can only see part"',
      '<|image_1|>\nSelect the portion of the image that follows the language expressions. "bowl behind the others can only see part"\n',
    ],
    [
      "VisDial, whose dialogue ends in an empty line",
      "Represent the given dialogue about an image, which is used for image retrieval:",
      "Q:is the photo in color\nA:yes",
      "Represent the given dialogue about an image, which is used for image retrieval: Q:is the photo in color\nA:yes\n\n",
    ],
  ];
  for (const [what, instruction, text, raw] of cases)
    test(what, () => {
      assert.equal(rawText(instruction, text), raw);
    });

  test("a text that ends its line gets no second break", () => {
    assert.equal(rawText("Find it:", "here\n"), "Find it: here\n");
  });

  test("a label without an instruction stays as it is", () => {
    assert.equal(rawText("", "golden retriever"), "golden retriever");
    assert.equal(rawText("", "<|image_1|>\nv1's own\n"), "<|image_1|>\nv1's own\n");
  });

  test("an instruction that is a slot keeps the slot", () => {
    assert.equal(rawText("<|image_1|>\n", "a dog"), "<|image_1|>\na dog");
  });

  test("breaks and blanks within a text are the text's", () => {
    assert.equal(rawText("Read: ", "one \ntwo  three"), "Read: one \ntwo  three\n");
  });
});
