import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readEvalTask } from "../../../src/dataset/eval-rows.ts";
import { DatasetError } from "../../../src/errors.ts";

const SAMPLE = fileURLToPath(new URL("../../fixtures/mmeb/", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "rge-eval-rows-"));
after(() => rmSync(root, { recursive: true, force: true }));
mkdirSync(join(root, "images"));
for (const name of ["a.png", "images/b.png"]) writeFileSync(join(root, name), "");

function write(...rows: readonly object[]): string {
  const file = join(mkdtempSync(join(root, "rows-")), "test.jsonl");
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return file;
}

const ROW = {
  qry_text: "<|image_1|>\nWhat?\n",
  qry_img_path: "a.png",
  tgt_text: ["x", "y", "x"],
  tgt_img_path: ["", "", ""],
};
const imageRoots = [root, join(root, "images")];

describe("evaluation rows", () => {
  test("keep their raw texts and have each different target once", async () => {
    const { queries, targets } = await readEvalTask(
      write(ROW, { ...ROW, tgt_text: ["y", "z"], tgt_img_path: ["", "b.png"] }),
      {
        imageRoots,
      },
    );
    assert.deepEqual(
      queries.map(({ place, query, candidates }) => [place, query, candidates]),
      [
        ["test.jsonl, row 1", { text: "<|image_1|>\nWhat?\n", images: [join(root, "a.png")] }, [0, 1, 0]],
        ["test.jsonl, row 2", { text: "<|image_1|>\nWhat?\n", images: [join(root, "a.png")] }, [1, 2]],
      ],
    );
    assert.deepEqual(targets, [
      { text: "x", images: [] },
      { text: "y", images: [] },
      { text: "z", images: [join(root, "images/b.png")] },
    ]);
    assert.deepEqual([...queries[0]!.relevance], [[0, 1]]);
  });

  test("are read from parquet as from the hub", async () => {
    const { queries, targets } = await readEvalTask(join(SAMPLE, "EDIS"), { imageRoots: [SAMPLE], limit: 3 });
    assert.equal(queries.length, 3);
    assert.deepEqual(queries[0]!.query, {
      text: "<|image_1|>\nFind a news image that matches the provided caption: a dog\n",
      images: [],
    });
    assert.ok(targets.every(({ images }) => images.length === 1));
  });

  test("with instructions of their own are what MMEB-v1 writes", async () => {
    const apart = {
      qry_inst: "<|image_1|>\nRepresent the given image with the following question:",
      qry_text: "how many?",
      qry_img_path: "a.png",
      tgt_inst: ["<|image_1|>\nRepresent the given image."],
      tgt_text: ["", ""],
      tgt_img_path: ["a.png", "b.png"],
    };
    const { queries, targets } = await readEvalTask(write(apart), { imageRoots });
    assert.equal(
      queries[0]!.query.text,
      "<|image_1|>\nRepresent the given image with the following question: how many?\n",
    );
    assert.deepEqual(
      targets.map(({ text }) => text),
      ["<|image_1|>\nRepresent the given image.\n", "<|image_1|>\nRepresent the given image.\n"],
    );
  });

  test("that cannot be evaluated are errors with file and row: fewer rows would give another number", async () => {
    for (const [row, message] of [
      [{ ...ROW, qry_img_path: "c.png" }, /qry_img_path: there is no file/],
      [{ ...ROW, qry_img_path: "../a.png" }, /is not inside/],
      [{ ...ROW, qry_img_path: "/etc/hostname" }, /is not inside/],
      [{ ...ROW, qry_text: 3 }, /qry_text is of type number/],
      [{ ...ROW, qry_text: " ", qry_img_path: "" }, /neither text \(qry_text\) nor image/],
      [{ ...ROW, tgt_text: [], tgt_img_path: [] }, /no candidates/],
      [{ ...ROW, tgt_img_path: [""] }, /3 tgt_text and 1 tgt_img_path/],
      [{ ...ROW, tgt_text: ["x", "", "y"] }, /candidate 1 has neither/],
      [{ ...ROW, qry_inst: "a", tgt_inst: ["a", "b"] }, /2 tgt_inst for 3 candidates/],
    ] as const)
      await assert.rejects(
        readEvalTask(write(ROW, row), { imageRoots }),
        (error: Error) =>
          error instanceof DatasetError && error.message.includes("test.jsonl, row 2") && message.test(error.message),
      );
  });
});
