import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parquetWriteFile } from "hyparquet-writer/src/node.js";
import { readSource, type SourceEntry } from "../../../src/search/source.ts";

const root = mkdtempSync(join(tmpdir(), "rge-source-"));
after(() => rmSync(root, { recursive: true, force: true }));

function folderOf(name: string, files: Record<string, string>): string {
  const folder = join(root, name);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

async function entriesOf(path: string): Promise<SourceEntry[]> {
  const entries: SourceEntry[] = [];
  for await (const entry of readSource(path)) entries.push(entry);
  return entries;
}

function itemsOf(entries: readonly SourceEntry[]) {
  return entries.flatMap((entry) => ("item" in entry ? [entry.item] : []));
}

function reasonsOf(entries: readonly SourceEntry[]): string[] {
  return entries.flatMap((entry) => ("item" in entry ? [] : [`${entry.place}: ${entry.reason}`]));
}

test("a folder's pictures, in order of their names, with captions from text files and metadata.jsonl", async () => {
  const folder = folderOf("folder", {
    "b.jpg": "",
    "b.txt": " a bicycle \n",
    "a.PNG": "",
    "notes.md": "no picture",
    ".hidden.png": "",
    "more/c.webp": "",
    "more/d.webp": "",
    "more/metadata.jsonl": `${JSON.stringify({ file_name: "c.webp", text: "a cat", year: 1999, tags: ["x"] })}\nnot JSON\n`,
  });
  const entries = await entriesOf(folder);
  assert.deepEqual(itemsOf(entries), [
    { id: "a.PNG", caption: "", image: join(folder, "a.PNG"), metadata: {} },
    { id: "b.jpg", caption: "a bicycle", image: join(folder, "b.jpg"), metadata: {} },
    { id: "more/c.webp", caption: "a cat", image: join(folder, "more/c.webp"), metadata: { year: 1999 } },
    { id: "more/d.webp", caption: "", image: join(folder, "more/d.webp"), metadata: {} },
  ]);
  assert.match(reasonsOf(entries).join("\n"), /metadata\.jsonl, row 2: /);
});

test("rows of JSONL, CSV and parquet make the same items", async () => {
  const rows = [
    { id: "one", image: "pictures/1.png", caption: 'a "red", square', year: 2001 },
    { id: "two", image: "pictures/2.png", caption: "naïve", year: 2002 },
  ];
  const folder = folderOf("tables", {
    "rows.jsonl": rows.map((row) => JSON.stringify(row)).join("\n"),
    "rows.csv": `\uFEFFid,image,caption,year\r\none,pictures/1.png,"a ""red"", square",2001\r\ntwo,pictures/2.png,naïve,2002\r\n`,
  });
  const keys = ["id", "image", "caption", "year"] as const;
  parquetWriteFile({
    filename: join(folder, "rows.parquet"),
    columnData: keys.map((name) => ({ name, data: rows.map((row) => row[name]) })),
  });
  const expected = rows.map(({ id, image, caption, year }) => ({
    id,
    caption,
    image: join(folder, image),
    metadata: { year },
  }));
  for (const file of ["rows.jsonl", "rows.csv", "rows.parquet"])
    assert.deepEqual(itemsOf(await entriesOf(join(folder, file))), expected, file);
});

test("rows that cannot be used are told, and the others taken", async () => {
  const folder = folderOf("bad", {
    "rows.jsonl": [
      { caption: "a text alone" },
      { image: "../../etc/passwd" },
      { image: "/etc/passwd" },
      { number: 3 },
      { text: "named", id: 7 },
    ]
      .map((row) => JSON.stringify(row))
      .join("\n"),
  });
  const entries = await entriesOf(join(folder, "rows.jsonl"));
  assert.deepEqual(
    itemsOf(entries).map(({ id, caption }) => [id, caption]),
    [
      ["rows.jsonl:1", "a text alone"],
      ["7", "named"],
    ],
  );
  const reasons = reasonsOf(entries);
  assert.match(reasons[0]!, /row 2: image "\.\.\/\.\.\/etc\/passwd" is not inside/);
  assert.match(reasons[1]!, /row 3: image "\/etc\/passwd" is not inside/);
  assert.match(reasons[2]!, /row 4: neither an image .* nor a text/);
});

test("a source that is not there, or of no kind that is known, is refused", async () => {
  await assert.rejects(entriesOf(join(root, "absent")), /absent/);
  await assert.rejects(entriesOf(join(folderOf("kinds", { "a.txt": "" }), "a.txt")), /expected a folder of pictures/);
  const csv = join(folderOf("broken", { "rows.csv": 'id,text\n1,"open\n' }), "rows.csv");
  await assert.rejects(entriesOf(csv), /rows\.csv, after row 0/);
});
