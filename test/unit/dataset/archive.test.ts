import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type UnpackProgress, unpackArchive } from "../../../src/dataset/archive.ts";
import { groupArchives } from "../../../src/dataset/archive-parts.ts";
import { type TarEntry, paxPath, tarOf, zipOf } from "../../support/archives.ts";
import { MARKER, assertRefused, filesOf, folderWith, unpacked } from "../../support/unpacking.ts";

const picture = Buffer.from("not really a picture");

const entries = [
  { name: "ChartQA/", content: new Uint8Array() },
  { name: "ChartQA/a.png", content: picture },
  { name: "./deep/er/b.png", content: Buffer.alloc(100_000, 7) },
  { name: "empty.png", content: new Uint8Array() },
];
const asTar: readonly TarEntry[] = entries.map((entry) => (entry.name.endsWith("/") ? { ...entry, type: "5" } : entry));
const expected = [MARKER, "ChartQA", "ChartQA/a.png", "deep", "deep/er", "deep/er/b.png", "empty.png"].sort();

describe("honest archives", () => {
  for (const [name, content] of [
    ["a.zip", zipOf(entries)],
    ["stored.zip", zipOf(entries.map((entry) => ({ ...entry, isDeflated: false })))],
    [
      "zip64.zip",
      zipOf(
        entries.map((entry) => ({ ...entry, isZip64: true })),
        { isZip64: true },
      ),
    ],
    ["a.tar", tarOf(asTar)],
    ["a.tar.gz", gzipSync(tarOf(asTar))],
    ["a.tgz", gzipSync(tarOf(asTar))],
    ["gzipped-for-all-that.tar", gzipSync(tarOf(asTar))],
    ["members.tar.gz", Buffer.concat([gzipSync(tarOf(asTar).subarray(0, 700)), gzipSync(tarOf(asTar).subarray(700))])],
  ] as const) {
    test(`${name} comes out whole, folders and empty files too`, async (t) => {
      const folder = await unpacked(t, name, content);
      assert.deepEqual(filesOf(folder), expected);
      assert.deepEqual(readFileSync(join(folder, "ChartQA/a.png")), picture);
      assert.deepEqual(readFileSync(join(folder, "deep/er/b.png")), Buffer.alloc(100_000, 7));
      assert.equal(readFileSync(join(folder, "empty.png")).length, 0);
    });
  }

  test("a tar keeps long names, from an extended header and from GNU's", async (t) => {
    const long = `${"folder-of-a-long-name/".repeat(8)}é.png`;
    const gnu = `${"g".repeat(200)}.png`;
    const archive = tarOf([
      paxPath(long),
      { name: "short", content: picture },
      { name: "././@LongLink", type: "L", content: Buffer.from(`${gnu}\0`) },
      { name: "short", content: picture },
    ]);
    const folder = await unpacked(t, "a.tar", archive);
    assert.deepEqual(readFileSync(join(folder, long)), picture);
    assert.deepEqual(readFileSync(join(folder, gnu)), picture);
  });

  test("what follows a tar's end is not looked at", async (t) => {
    const folder = await unpacked(t, "a.tar", Buffer.concat([tarOf(asTar), Buffer.alloc(5_000_000, 1)]));
    assert.deepEqual(filesOf(folder), expected);
  });

  test("names that differ by case are two files", async (t) => {
    const folder = folderWith(t, { probe: picture });
    if (existsSync(join(folder, "PROBE"))) return t.skip("this disk does not tell cases apart");
    const out = await unpacked(t, "a.zip", zipOf([{ name: "a.png" }, { name: "A.png" }]));
    assert.deepEqual(filesOf(out), [MARKER, "A.png", "a.png"]);
  });

  test("progress goes up to the size of all parts", async (t) => {
    const tar = gzipSync(tarOf(asTar));
    const folder = folderWith(t, { "a.tar.gz-00": tar.subarray(0, 100), "a.tar.gz-01": tar.subarray(100) });
    const seen: UnpackProgress[] = [];
    await unpackArchive(join(folder, "a.tar.gz-00"), join(folder, "out"), { onProgress: (step) => seen.push(step) });
    assert.deepEqual(seen.at(-1), { archive: "a.tar.gz", doneBytes: tar.length, totalBytes: tar.length });
    assert.ok(seen.every(({ doneBytes }, i) => i === 0 || doneBytes >= seen[i - 1]!.doneBytes));
  });
});

describe("parts", () => {
  const tar = gzipSync(tarOf(asTar));
  const thirds = [tar.subarray(0, 50), tar.subarray(50, 111), tar.subarray(111)];
  for (const names of [
    ["a.tar.gz-00", "a.tar.gz-01", "a.tar.gz-02"],
    ["a.tgz.part_aa", "a.tgz.part_ab", "a.tgz.part_ac"],
    ["a.tar.001", "a.tar.002", "a.tar.003"],
    ["a.tar.gzaa", "a.tar.gzab", "a.tar.gzac"],
  ]) {
    test(`${names.join(", ")} are read as one, whichever is named`, async (t) => {
      const folder = folderWith(t, {
        ...Object.fromEntries(names.map((name, i) => [name, thirds[i]!])),
        "a.tar.gz.md": picture,
      });
      await unpackArchive(join(folder, names[2]!), join(folder, "out"));
      assert.deepEqual(filesOf(join(folder, "out")), expected);
    });
  }

  test("a part that is missing is named, between others, at the front, and where the last is not there", async (t) => {
    const folder = folderWith(t, { "a.tar.gz-00": thirds[0]!, "a.tar.gz-02": thirds[2]!, "b.tgz.ab": thirds[1]! });
    const out = join(folder, "out");
    await assert.rejects(unpackArchive(join(folder, "a.tar.gz-00"), out), /part 01 is missing among .*00, 02/);
    await assert.rejects(unpackArchive(join(folder, "b.tgz.ab"), out), /b\.tgz\.ab: expected .*from 00 or aa on/);
    rmSync(join(folder, "a.tar.gz-02"));
    await assert.rejects(unpackArchive(join(folder, "a.tar.gz-00"), out), /a\.tar\.gz.*unexpected end of file/);
  });

  test("a zip in parts is refused with what to do", async (t) => {
    await assertRefused(t, "a.zip.001", zipOf(entries), ["Join all of them"]);
  });

  test("archives are told from other files by their names", () => {
    const paths = [
      "a/images.zip",
      "b.tar.gz-01",
      "b.tar.gz-00",
      "c.tar",
      "c.tar-00",
      "d.zip.md",
      "e.tar.xz",
      "ChartQA/test.parquet",
    ];
    assert.deepEqual(groupArchives(paths), [
      { path: "a/images.zip", parts: ["a/images.zip"] },
      { path: "b.tar.gz", parts: ["b.tar.gz-00", "b.tar.gz-01"] },
      { path: "c.tar", parts: ["c.tar"] },
    ]);
    const many = Array.from(
      { length: 30 },
      (_, i) => `a.tar.gz${"ab"[Math.floor(i / 26)]}${String.fromCodePoint(97 + (i % 26))}`,
    );
    assert.deepEqual(groupArchives(many.toReversed()), [{ path: "a.tar.gz", parts: many }]);
    const numbered = Array.from({ length: 12 }, (_, i) => `a.tar.${i + 1}`);
    assert.deepEqual(groupArchives([...numbered].sort()), [{ path: "a.tar", parts: numbered }]);
  });
});

describe("damage", () => {
  test("a zip that is cut off anywhere is refused", async (t) => {
    const zip = zipOf(entries);
    for (const length of [0, 10, zip.length - 100, zip.length - 1])
      await assertRefused(t, "a.zip", zip.subarray(0, length), []);
  });

  test("a tar that is cut off anywhere is refused, between two entries too", async (t) => {
    const tar = tarOf(asTar);
    const zipped = gzipSync(tar);
    for (const length of [0, 100, 512, 1024, 1536, 3000, tar.length - 1024])
      await assertRefused(t, "a.tar", tar.subarray(0, length), []);
    for (const length of [1, 20, zipped.length - 1]) await assertRefused(t, "a.tgz", zipped.subarray(0, length), []);
  });

  test("a wrong CRC is refused with both values", async (t) => {
    const zip = zipOf([{ name: "a.png", content: picture, claims: { crc: 0x1234 } }]);
    await assertRefused(t, "a.zip", zip, ['"a.png"', "00001234", "CRC-32"]);
  });

  test("a damaged stream is refused with the entry's name, a damaged header by its checksum", async (t) => {
    const zip = zipOf([{ name: "a.png", content: Buffer.alloc(5000, "abc") }]);
    zip.fill(0xff, 35, 60);
    await assertRefused(t, "a.zip", zip, ['"a.png"', "invalid"]);
    const zipped = gzipSync(tarOf(asTar));
    zipped[zipped.length - 5]! ^= 1;
    await assertRefused(t, "a.tgz", zipped, ["incorrect data check"]);
    const tar = tarOf(asTar);
    tar[3]! ^= 1;
    await assertRefused(t, "a.tar", tar, ["checksum"]);
  });

  test("what is no archive is refused", async (t) => {
    await assertRefused(t, "a.zip", picture, ["Either not a zip file"]);
    await assertRefused(t, "a.tar", Buffer.alloc(4096, 1), ["checksum"]);
    await assertRefused(t, "a.rar", picture, ["expected .zip"]);
    const folder = folderWith(t);
    await assert.rejects(
      unpackArchive(join(folder, "absent.zip"), join(folder, "out")),
      /absent\.zip: cannot be unpacked/,
    );
  });
});

describe("once", () => {
  test("a finished archive is not unpacked again, another one of its name is refused", async (t) => {
    const folder = folderWith(t, { "a.zip": zipOf(entries) });
    const [file, out] = [join(folder, "a.zip"), join(folder, "images")];
    await unpackArchive(file, out);
    rmSync(join(out, "empty.png"));
    await unpackArchive(file, out);
    assert.equal(existsSync(join(out, "empty.png")), false);
    writeFileSync(file, zipOf([{ name: "other.png" }]));
    await assert.rejects(unpackArchive(file, out), /images: was unpacked from another a\.zip .*Delete the folder/);
    await unpackArchive(file, join(folder, "by-hash"), { identity: "abc" });
    utimesSync(file, 1, 1);
    await unpackArchive(file, join(folder, "by-hash"), { identity: "abc" });
  });

  test("a folder that somebody else made is left as it is", async (t) => {
    const folder = folderWith(t, { "a.zip": zipOf(entries) });
    mkdirSync(join(folder, "out"));
    await assert.rejects(
      unpackArchive(join(folder, "a.zip"), join(folder, "out")),
      /out: is there and was not unpacked/,
    );
    assert.deepEqual(readdirSync(join(folder, "out")), []);
  });

  test("several at once all end with everything", async (t) => {
    const folder = folderWith(t, { "a.tgz": gzipSync(tarOf(asTar)) });
    const out = join(folder, "out");
    await Promise.all(Array.from({ length: 4 }, () => unpackArchive(join(folder, "a.tgz"), out)));
    assert.deepEqual(filesOf(out), expected);
    assert.deepEqual(readdirSync(folder).sort(), ["a.tgz", "out"]);
  });

  test("what a killed run left is taken away after a while, and what another works on is not", async (t) => {
    const folder = folderWith(t, { "a.zip": zipOf(entries) });
    const left = (letter: string, of = "out"): string =>
      join(folder, `${of}.${letter.repeat(8)}-1111-4111-8111-111111111111.unpacking`);
    for (const path of [left("a"), left("b"), left("c", "another"), join(folder, "out.unpacking")]) mkdirSync(path);
    writeFileSync(join(left("a"), "half.png"), picture);
    for (const path of [left("a"), left("c", "another")]) utimesSync(path, 1, 1);
    await unpackArchive(join(folder, "a.zip"), join(folder, "out"));
    assert.equal(existsSync(left("a")), false);
    for (const path of [left("b"), left("c", "another"), join(folder, "out.unpacking")]) assert.ok(existsSync(path));
    assert.deepEqual(filesOf(join(folder, "out")), expected);
  });

  test("an aborted unpacking ends with the caller's reason and leaves nothing", async (t) => {
    const reason = new Error("changed my mind");
    const many = Array.from({ length: 50 }, (_, i) => ({ name: `${i}.png`, content: Buffer.alloc(100_000, i) }));
    for (const [name, content] of [
      ["a.zip", zipOf(many)],
      ["a.tar", tarOf(many)],
    ] as const) {
      const folder = folderWith(t, { [name]: content });
      const controller = new AbortController();
      const onProgress = (): void => controller.abort(reason);
      const aborted = unpackArchive(join(folder, name), join(folder, "out"), { signal: controller.signal, onProgress });
      await assert.rejects(aborted, (error) => error === reason);
      assert.deepEqual(readdirSync(folder), [name]);
    }
  });
});
