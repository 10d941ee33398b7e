import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { tmpdir } from "node:os";
import { after, describe, test } from "node:test";
import { parquetWriteFile } from "hyparquet-writer";
import { readBeirTask } from "../../../src/dataset/beir-task.ts";
import { DatasetError } from "../../../src/errors.ts";

const root = mkdtempSync(join(tmpdir(), "rge-beir-"));
after(() => rmSync(root, { recursive: true, force: true }));

const TARGET = "<|image_1|>\nUnderstand the content of the provided document image.";

/** Bytes that begin as a PNG does. */
function png(content: string): Uint8Array {
  return Buffer.from(`\x89PNG\r\n\x1a\n${content}`, "latin1");
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

let folders = 0;
function newFolder(): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  return folder;
}

interface Page {
  readonly id: string | bigint;
  readonly image: { readonly bytes?: Uint8Array | undefined; readonly path?: string | undefined };
}

/** A corpus as Hugging Face writes one: an image is a struct of bytes and a path. */
function writePages(filename: string, pages: readonly Page[]): void {
  mkdirSync(dirname(filename), { recursive: true });
  const isNumber = typeof pages[0]?.id === "bigint";
  parquetWriteFile({
    filename,
    schema: [
      { name: "root", num_children: 3 },
      isNumber
        ? { name: "corpus-id", type: "INT64", repetition_type: "OPTIONAL" }
        : { name: "corpus-id", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
      { name: "image", num_children: 2, repetition_type: "OPTIONAL" },
      { name: "bytes", type: "BYTE_ARRAY", repetition_type: "OPTIONAL" },
      { name: "path", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
      { name: "doc-id", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
    ],
    columnData: [
      { name: "corpus-id", data: pages.map(({ id }) => id) },
      { name: "image", data: pages.map(({ image }) => image) },
      { name: "doc-id", data: pages.map(() => "unread") },
    ],
  });
}

/** Columns of a flat file. */
function writeTable(filename: string, columns: Readonly<Record<string, readonly (string | number | bigint)[]>>): void {
  mkdirSync(dirname(filename), { recursive: true });
  parquetWriteFile({
    filename,
    columnData: Object.entries(columns).map(([name, data]) => ({ name, data: [...data] })),
  });
}

const [A, B, C] = [png("a"), png("b"), png("c")];

/** As ViDoRe lies on the hub: three folders, ids that are numbers. */
function vidore(): string {
  const folder = newFolder();
  const pages = [A, B, C].map((bytes, i) => ({ id: BigInt(i + 1), image: { bytes, path: `${i}.png` } }));
  writePages(join(folder, "corpus", "test-00000-of-00002.parquet"), pages.slice(0, 2));
  writePages(join(folder, "corpus", "test-00001-of-00002.parquet"), pages.slice(2));
  writeTable(join(folder, "queries", "test-00000-of-00001.parquet"), {
    "query-id": [10n, 11n],
    query: ["What is a?", "What is c?"],
    language: ["english", "french"],
  });
  writeTable(join(folder, "qrels", "test-00000-of-00001.parquet"), {
    "query-id": [10n, 10n, 10n, 11n, 11n],
    "corpus-id": [1n, 2n, 3n, 3n, 3n],
    score: [1n, 2n, 0n, 1n, 2n],
  });
  return folder;
}

/** As VisRAG's: long names as ids; here with the parts' names as prefixes, in `data`. */
function visrag(): string {
  const folder = newFolder();
  const ids = ["a long name.jpg", "other.jpg"];
  writePages(
    join(folder, "data", "corpus-train.parquet"),
    ids.map((id, i) => ({ id, image: { bytes: [A, B][i] } })),
  );
  writeTable(join(folder, "data", "queries-train.parquet"), { "query-id": ["q-1"], query: ["Which?"] });
  writeTable(join(folder, "data", "qrels-train.parquet"), {
    "query-id": ["q-1"],
    "corpus-id": ["other.jpg"],
    score: [1],
  });
  return folder;
}

async function problemOf(folder: string): Promise<string> {
  const problem = await readBeirTask(folder, { cacheDir: join(folder, "cache") }).then(
    () => assert.fail("it was read"),
    (error: unknown) => error,
  );
  assert.ok(problem instanceof DatasetError, String(problem));
  return problem.message;
}

describe("documents in parquet", () => {
  test("become one task: all pages are candidates, graded by the highest score above 0", async () => {
    const folder = vidore();
    const cacheDir = join(folder, "cache");
    const { queries, targets, hash } = await readBeirTask(folder, { cacheDir });
    const images = [A, B, C].map((bytes) => join(cacheDir, `${hashOf(bytes)}.png`));
    assert.deepEqual(
      targets,
      images.map((image) => ({ text: TARGET, images: [image] })),
    );
    assert.deepEqual(queries, [
      {
        place: "test-00000-of-00001.parquet, row 1",
        query: { text: "Find a document image that matches the given query: What is a?", images: [] },
        candidates: undefined,
        relevance: new Map([
          [0, 1],
          [1, 2],
        ]),
        rationale: undefined,
      },
      {
        place: "test-00000-of-00001.parquet, row 2",
        query: { text: "Find a document image that matches the given query: What is c?", images: [] },
        candidates: undefined,
        relevance: new Map([[2, 2]]),
        rationale: undefined,
      },
    ]);
    assert.match(hash, /^[0-9a-f]{64}$/);
  });

  test("have their pictures written once, with nothing left beside them", async () => {
    const folder = vidore();
    const cacheDir = join(folder, "cache");
    await readBeirTask(folder, { cacheDir });
    const names = readdirSync(cacheDir).sort();
    assert.deepEqual(names, [A, B, C].map((bytes) => `${hashOf(bytes)}.png`).sort());
    const times = names.map((name) => statSync(join(cacheDir, name)).mtimeMs);
    for (const [i, bytes] of [A, B, C].entries())
      assert.deepEqual(readFileSync(join(cacheDir, `${hashOf(bytes)}.png`)), Buffer.from(bytes), `picture ${i}`);
    await readBeirTask(folder, { cacheDir });
    assert.deepEqual(
      names.map((name) => statSync(join(cacheDir, name)).mtimeMs),
      times,
    );
  });

  test("whose cached picture was cut off get it again", async () => {
    const folder = vidore();
    const cacheDir = join(folder, "cache");
    await readBeirTask(folder, { cacheDir });
    writeFileSync(join(cacheDir, `${hashOf(A)}.png`), "");
    await readBeirTask(folder, { cacheDir });
    assert.deepEqual(readFileSync(join(cacheDir, `${hashOf(A)}.png`)), Buffer.from(A));
  });

  test("have another hash with another judgement", async () => {
    const [one, other] = [vidore(), vidore()];
    writeTable(join(other, "qrels", "test-00000-of-00001.parquet"), {
      "query-id": [10n, 11n],
      "corpus-id": [1n, 2n],
      score: [1n, 1n],
    });
    const hashes = [];
    for (const folder of [one, vidore(), other]) {
      const { hash } = await readBeirTask(folder, { cacheDir: join(folder, "cache") });
      hashes.push(hash);
    }
    assert.equal(hashes[0], hashes[1]);
    assert.notEqual(hashes[0], hashes[2]);
  });

  test("keep the whole corpus when only some queries are taken", async () => {
    const folder = vidore();
    const { queries, targets } = await readBeirTask(folder, { cacheDir: join(folder, "cache"), limit: 1 });
    assert.deepEqual([queries.length, targets.length], [1, 3]);
  });
});

describe("documents in other layouts", () => {
  test("with the parts' names as prefixes and ids that are names", async () => {
    const folder = visrag();
    const { queries, targets } = await readBeirTask(folder, { cacheDir: join(folder, "cache") });
    assert.deepEqual([queries[0]!.relevance, targets.length], [new Map([[1, 1]]), 2]);
    assert.equal(queries[0]!.place, "queries-train.parquet, row 1");
  });

  test("in JSONL, with pictures as paths in the folder", async () => {
    const folder = newFolder();
    mkdirSync(join(folder, "pages"));
    writeFileSync(join(folder, "pages", "1.png"), A);
    writeFileSync(join(folder, "corpus.jsonl"), `{"corpus-id":"p","image":"pages/1.png"}\n`);
    writeFileSync(join(folder, "queries.jsonl"), `{"query-id":"q","query":"Which?"}\n`);
    writeFileSync(join(folder, "qrels.jsonl"), `{"query-id":"q","corpus-id":"p","score":1}\n`);
    const { targets } = await readBeirTask(folder, { cacheDir: join(folder, "cache") });
    assert.deepEqual(targets, [{ text: TARGET, images: [join(folder, "pages", "1.png")] }]);
  });

  test("with a struct that has only a path", async () => {
    const folder = visrag();
    writeFileSync(join(folder, "x.png"), A);
    writePages(join(folder, "data", "corpus-train.parquet"), [{ id: "other.jpg", image: { path: "x.png" } }]);
    const { targets } = await readBeirTask(folder, { cacheDir: join(folder, "cache") });
    assert.deepEqual(targets[0]!.images, [join(folder, "x.png")]);
  });

  test("with an id twice: the first page of it counts", async () => {
    const folder = visrag();
    const pages = [A, B].map((bytes) => ({ id: "other.jpg", image: { bytes } }));
    writePages(join(folder, "data", "corpus-train.parquet"), pages);
    const { targets } = await readBeirTask(folder, { cacheDir: join(folder, "cache") });
    assert.deepEqual(
      targets.map(({ images }) => images),
      [[join(folder, "cache", `${hashOf(A)}.png`)]],
    );
  });
});

describe("documents that cannot be evaluated", () => {
  test("lack a part", async () => {
    const folder = vidore();
    rmSync(join(folder, "qrels"), { recursive: true });
    assert.match(await problemOf(folder), /no qrels\. Expected a folder qrels, or files that begin with qrels/);
  });

  test("have several splits", async () => {
    const folder = vidore();
    writeTable(join(folder, "queries", "train-00000-of-00001.parquet"), { "query-id": [1n], query: ["q"] });
    assert.match(await problemOf(folder), /several splits of queries \(test, train\)\. Keep one of them/);
  });

  test("have a query without a right page", async () => {
    const folder = vidore();
    writeTable(join(folder, "qrels", "test-00000-of-00001.parquet"), {
      "query-id": [10n, 11n],
      "corpus-id": [1n, 1n],
      score: [1n, 0n],
    });
    assert.match(await problemOf(folder), /test-00000-of-00001\.parquet, row 2: query 11 has no right page \(qrels\)/);
  });

  test("have a right page that the corpus lacks", async () => {
    const folder = vidore();
    rmSync(join(folder, "corpus", "test-00001-of-00002.parquet"));
    assert.match(await problemOf(folder), /row 2: query 11 has 3 as a right page, which is not in the corpus/);
  });

  test("have a picture of no known format", async () => {
    const folder = vidore();
    const pages = [{ id: 1n, image: { bytes: Buffer.from("<svg></svg>") } }];
    writePages(join(folder, "corpus", "test-00000-of-00002.parquet"), pages);
    assert.match(await problemOf(folder), /of-00002\.parquet, row 1: image of 1: SVG is not read/);
  });

  test("have a page without a picture", async () => {
    const folder = vidore();
    writePages(join(folder, "corpus", "test-00000-of-00002.parquet"), [{ id: 1n, image: {} }]);
    assert.match(await problemOf(folder), /row 1: no image, expected bytes or a path/);
  });

  test("name a picture outside the folder", async () => {
    const folder = vidore();
    writePages(join(folder, "corpus", "test-00000-of-00002.parquet"), [{ id: 1n, image: { path: "../x.png" } }]);
    assert.match(await problemOf(folder), /row 1: image "\.\.\/x\.png" is not inside/);
  });

  test("have a score that is no number", async () => {
    const folder = vidore();
    writeTable(join(folder, "qrels", "test-00000-of-00001.parquet"), {
      "query-id": [10n],
      "corpus-id": [1n],
      score: ["high"],
    });
    assert.match(await problemOf(folder), /row 1: score is high, expected a number/);
  });

  test("are damaged", async () => {
    const folder = vidore();
    writeFileSync(join(folder, "corpus", "test-00000-of-00002.parquet"), "PAR1");
    assert.match(await problemOf(folder), /test-00000-of-00002\.parquet: cannot be read \(/);
  });

  test("stop with the caller's reason", async () => {
    const folder = vidore();
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await assert.rejects(readBeirTask(folder, { cacheDir: join(folder, "cache"), signal }), reason);
  });
});
