import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readTrainRows, type TrainRows } from "../../../src/dataset/train-rows.ts";
import { DatasetError } from "../../../src/errors.ts";
import { MAX_LINE_BYTES } from "../../../src/lines.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "rge-rows-"));
after(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, "images"));
writeFileSync(join(folder, "images", "a.jpg"), "");
const IMAGE = join(folder, "images", "a.jpg");
const GOOD = { qry: "q", pos_text: "p" };

/** Writes rows beside the image and returns the file. */
function jsonl(...rows: readonly (string | object)[]): string {
  const file = join(folder, "train.jsonl");
  writeFileSync(file, rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`).join(""));
  return file;
}

const read = (...rows: readonly (string | object)[]): Promise<TrainRows> => readTrainRows(jsonl(...rows));

/** Why a row is not taken, of one that stands between good ones. */
async function reasonFor(row: string | object): Promise<string> {
  const { rows, problems } = await read(GOOD, row, GOOD);
  assert.equal(rows.length, 2);
  assert.deepEqual([problems.length, problems[0]!.row, problems[0]!.file], [1, 2, join(folder, "train.jsonl")]);
  return problems[0]!.reason;
}

describe("rows of JSONL", () => {
  test("become sides with absolute image paths, negatives and a trimmed rationale", async () => {
    const { rows, problems, hash } = await read(
      {
        qry: "<|image_1|>\nWhat?\n",
        qry_image_path: "images/a.jpg",
        pos_text: "a cat",
        pos_image_path: "",
        neg_text: ["a dog", "x"],
        neg_image_path: ["", "images/a.jpg"],
        rationale: " It has whiskers.\n",
        row: 7,
      },
      "",
      { qry: "q", pos_text: null, pos_image_path: "images/a.jpg", neg_text: "n", rationale: "" },
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(rows, [
      {
        place: "train.jsonl, row 1",
        query: { text: "<|image_1|>\nWhat?\n", image: IMAGE },
        target: { text: "a cat", image: undefined },
        negatives: [
          { text: "a dog", image: undefined },
          { text: "x", image: IMAGE },
        ],
        rationale: "It has whiskers.",
      },
      {
        place: "train.jsonl, row 3",
        query: { text: "q", image: undefined },
        target: { text: "", image: IMAGE },
        negatives: [{ text: "n", image: undefined }],
        rationale: undefined,
      },
    ]);
    assert.equal(
      hash,
      createHash("sha256")
        .update(readFileSync(join(folder, "train.jsonl")))
        .digest("hex"),
    );
  });

  test("lose slots beyond their images and keep the line break after them", async () => {
    const triple = "<|vision_start|><|image_pad|><|vision_end|>";
    const { rows } = await read(
      { qry: "<|image_1|>\nWho?", pos_text: `${triple}\nHe` },
      { qry: `${triple}\n${triple}\nWho?`, qry_image_path: "images/a.jpg", pos_text: "He" },
    );
    assert.deepEqual(
      rows.map(({ query, target }) => [query.text, target.text]),
      [
        ["\nWho?", "\nHe"],
        [`${triple}\n\nWho?`, "He"],
      ],
    );
  });

  test("have no negatives where the fields are absent, null, empty or lists of nothing", async () => {
    for (const fields of [
      {},
      { neg_text: null, neg_image_path: null },
      { neg_text: "", neg_image_path: "" },
      { neg_text: [], neg_image_path: "" },
      { neg_text: [""], neg_image_path: [""] },
    ])
      assert.deepEqual((await read({ ...GOOD, ...fields })).rows[0]!.negatives, [], JSON.stringify(fields));
  });

  test("that cannot be used are told with their number and reason, and the others go on", async () => {
    const cases: readonly (readonly [string | object, RegExp])[] = [
      ["{", /^not JSON \(.*JSON/],
      ["[1]", /^not a JSON object$/],
      ["7", /^not a JSON object$/],
      ["[".repeat(100), /^not JSON \(.*nested deeper than 64/],
      [{ ...GOOD, qry: 7 }, /^qry is of type number, expected a string$/],
      [{ ...GOOD, pos_text: ["p"] }, /^pos_text is a list, expected a string$/],
      [{ ...GOOD, rationale: {} }, /^rationale is of type object/],
      [{ pos_text: "p" }, /^the query has neither text \(qry\) nor image \(qry_image_path\)$/],
      [{ qry: "<|image_1|>\n", pos_text: "p" }, /^the query has neither text/],
      [{ qry: "q", pos_text: " " }, /^the target has neither text \(pos_text\) nor image \(pos_image_path\)$/],
      [{ ...GOOD, qry: "x".repeat(500_001) }, /^qry has 500001 characters, at most 500000/],
      [{ ...GOOD, qry_image_path: "images/b.jpg" }, /^qry_image_path: there is no file .*images\/b\.jpg$/],
      [{ ...GOOD, qry_image_path: "images" }, /^qry_image_path: there is no file/],
      [{ ...GOOD, pos_image_path: "images/a.jpg\0" }, /^pos_image_path: there is no file/],
      [{ ...GOOD, pos_image_path: "../train.jsonl" }, /^pos_image_path "\.\.\/train\.jsonl" is not inside/],
      [{ ...GOOD, pos_image_path: "/etc/hostname" }, /is not inside/],
      [{ ...GOOD, qry_image_path: "." }, /is not inside/],
      [{ ...GOOD, neg_text: ["a", "b"], neg_image_path: [""] }, /^2 neg_text and 1 neg_image_path/],
      [{ ...GOOD, neg_text: ["a", 7] }, /^neg_text is of type number/],
      [{ ...GOOD, neg_text: Array.from({ length: 65 }, () => "n") }, /^65 hard negatives, at most 64/],
    ];
    for (const [row, reason] of cases) assert.match(await reasonFor(row), reason);
  });

  test("longer than a line may be are told, and the next is read", async () => {
    assert.match(await reasonFor(`"${"x".repeat(MAX_LINE_BYTES)}"`), /^longer than 33554432 bytes/);
  });

  test("are taken up to a limit, which counts rows with problems", async () => {
    const file = jsonl(GOOD, "{", GOOD, GOOD, "{");
    const { rows, problems } = await readTrainRows(file, { limit: 3 });
    assert.deepEqual([rows.length, problems.length], [2, 1]);
  });

  test("find their images under another root", async () => {
    const file = jsonl({ ...GOOD, qry_image_path: "a.jpg" });
    const { rows } = await readTrainRows(file, { imageRoot: join(folder, "images") });
    assert.equal(rows[0]!.query.image, IMAGE);
  });
});

const parquet = (name: string): string => join(FIXTURES, "dataset", `${name}.parquet`);

describe("parquet files", () => {
  test("give the same rows in every compression, over the borders of row groups", async () => {
    for (const codec of ["none", "snappy", "zstd", "gzip", "brotli"]) {
      const { rows, problems } = await readTrainRows(parquet(`texts.${codec}`), { imageRoot: FIXTURES });
      assert.deepEqual(
        rows.map(({ place, query, target }) => [place, query.text, target.text]),
        ["a cat", "a dog", "two cats", "nothing"].map((text, i) => [
          `texts.${codec}.parquet, row ${i + 1}`,
          `<|image_1|>\nWhat is in image ${i + 1}? é\n`,
          text,
        ]),
      );
      assert.deepEqual([problems.length, problems[0]!.row], [1, 5]);
    }
  });

  test("hold lists of negatives", async () => {
    const { rows } = await readTrainRows(parquet("lists"), { imageRoot: FIXTURES });
    assert.deepEqual(rows[0]!.negatives, [
      { text: "e", image: undefined },
      { text: "f", image: join(FIXTURES, "images", "example.jpg") },
    ]);
    assert.deepEqual(rows[1]!.negatives, []);
  });

  test("with other columns, or of another type, are refused with what they have", async () => {
    await assert.rejects(readTrainRows(parquet("other-columns")), /none of the columns qry, .*it has query, answer$/);
    await assert.rejects(readTrainRows(parquet("wrong-type")), /row 1: qry is of type number, expected a string/);
  });
});

describe("a dataset", () => {
  test("may be a folder of shards, read in the order of their names, rejects left out", async () => {
    const shards = mkdtempSync(join(folder, "shards-"));
    for (const name of ["b.jsonl", "a.jsonl"])
      writeFileSync(join(shards, name), JSON.stringify({ ...GOOD, qry: name }));
    writeFileSync(join(shards, "a.rejects.jsonl"), JSON.stringify(GOOD));
    symlinkSync(join(FIXTURES, "dataset", "lists.parquet"), join(shards, "c.parquet"));
    writeFileSync(join(shards, "notes.txt"), "x");
    const { rows, hash } = await readTrainRows(shards, { imageRoot: FIXTURES });
    assert.deepEqual(
      rows.map(({ query }) => query.text),
      ["a.jsonl", "b.jsonl", "a", "b"],
    );
    writeFileSync(join(shards, "b.jsonl"), JSON.stringify({ ...GOOD, qry: "b.jsonL" }));
    assert.notEqual((await readTrainRows(shards, { imageRoot: FIXTURES })).hash, hash);
    const named = await readTrainRows(join(shards, "a.rejects.jsonl"));
    assert.equal(named.rows.length, 1);
  });

  test("that is not there, of another kind, damaged or without a usable row is an error with its path", async () => {
    const damaged = join(folder, "damaged.parquet");
    writeFileSync(damaged, "PAR1 this is no parquet file PAR1");
    const empty = mkdtempSync(join(folder, "empty-"));
    const blank = join(folder, "blank.jsonl");
    writeFileSync(blank, "\n\n");
    for (const [path, message] of [
      [join(folder, "nowhere.jsonl"), /nowhere\.jsonl: cannot be read \(ENOENT/],
      [IMAGE, /a\.jpg: expected a file that ends in \.jsonl or \.parquet/],
      [empty, /no \.jsonl or \.parquet file in this folder/],
      [damaged, /damaged\.parquet: cannot be read \(/],
      [blank, /no row that can be trained on; it is empty/],
      [jsonl("{", "{"), /the first of 2 problems: train\.jsonl, row 1: not JSON/],
    ] as const)
      await assert.rejects(
        readTrainRows(path),
        (error) => error instanceof DatasetError && message.test(error.message),
      );
  });

  test("is no longer read once that is aborted", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await assert.rejects(readTrainRows(jsonl(GOOD), { signal }), /^Error: enough$/);
  });
});
