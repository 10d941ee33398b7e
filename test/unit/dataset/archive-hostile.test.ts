import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type TarEntry, type ZipEntry, paxPath, tarOf, zipOf } from "../../support/archives.ts";
import { MARKER, assertRefused, folderWith, unpacked } from "../../support/unpacking.ts";

const picture = Buffer.from("not really a picture");

describe("hostile entries", () => {
  const names: readonly (readonly [name: string, reason: string])[] = [
    ["../evil.png", "leave the folder"],
    ["a/../../evil.png", "leave the folder"],
    ["a/..", "leave the folder"],
    ["/etc/evil.png", "absolute"],
    ["C:/evil.png", "absolute"],
    ["..\\evil.png", "backslash"],
    [MARKER, "kept for the program"],
    [`./${MARKER.toUpperCase()}`, "kept for the program"],
    ["d/".repeat(40), "deeper than"],
  ];
  for (const [name, reason] of names) {
    const shown = JSON.stringify(name);
    test(`the name ${shown} is refused, in a zip and in a tar`, async (t) => {
      await assertRefused(t, "a.zip", zipOf([{ name: "fine.png" }, { name, content: picture }]), [shown, reason]);
      await assertRefused(t, "a.tar", tarOf([{ name: "fine.png" }, { name, content: picture }]), [shown, reason]);
      await assertRefused(t, "pax.tgz", gzipSync(tarOf([paxPath(name), { name: "fine.png" }])), [shown, reason]);
    });
  }

  test("a NUL in a name and an empty name are refused", async (t) => {
    await assertRefused(t, "a.zip", zipOf([{ name: "a\0.png" }]), [String.raw`"a\u0000.png"`, "NUL"]);
    await assertRefused(t, "a.zip", zipOf([{ name: "" }]), ["has no name"]);
    await assertRefused(t, "a.tar", tarOf([{ name: "" }]), ["path is required"]);
  });

  test("a symbolic link is refused before a file can go through it", async (t) => {
    const outside = folderWith(t);
    const through = { name: "link/evil.png", content: picture };
    const zip = zipOf([{ name: "link", mode: 0o120777, content: Buffer.from(outside) }, through]);
    await assertRefused(t, "a.zip", zip, ['"link"', "a link"]);
    const tar = tarOf([{ name: "link", type: "2", linkName: outside }, through]);
    await assertRefused(t, "a.tar", tar, ['"link"', "SymbolicLink"]);
    assert.deepEqual(readdirSync(outside), []);
  });

  test("an extended header cannot pass a link off as a file", async (t) => {
    const type: TarEntry = { name: "PaxHeader", type: "x", content: Buffer.from("13 type=File\n") };
    await assertRefused(t, "a.tar", tarOf([type, { name: "link", type: "2", linkName: "/etc" }]), ["SymbolicLink"]);
  });

  for (const [type, kind] of [
    ["1", "Link"],
    ["3", "CharacterDevice"],
    ["4", "BlockDevice"],
    ["6", "FIFO"],
    ["S", "SparseFile"],
    ["D", "GNUDumpDir"],
  ] as const) {
    test(`an entry of type ${kind} is refused`, async (t) => {
      const entry = { name: "odd", type, ...(type === "1" && { linkName: "/etc/passwd" }) };
      await assertRefused(t, "a.tar", tarOf([{ name: "fine.png" }, entry]), ['"odd"', kind]);
    });
  }

  test("devices in a zip, encrypted entries and other compressions are refused", async (t) => {
    await assertRefused(t, "a.zip", zipOf([{ name: "odd", mode: 0o020666 }]), ['"odd"', "kind 0o20000"]);
    await assertRefused(t, "a.zip", zipOf([{ name: "odd", flags: 1 }]), ['"odd"', "encrypted"]);
  });

  test("two entries of one name, and one that is a file and a folder, are refused", async (t) => {
    const twice = [{ name: "a.png" }, { name: "a.png", content: picture }];
    await assertRefused(t, "a.zip", zipOf(twice), ['"a.png"', "twice"]);
    await assertRefused(t, "a.tar", tarOf(twice), ['"a.png"', "twice"]);
    await assertRefused(t, "a.zip", zipOf([{ name: "a" }, { name: "a/b.png" }]), ['"a/b.png"', "cannot be written"]);
  });
});

describe("bombs", () => {
  const zeros = Buffer.alloc(80 * 2 ** 20);
  test("what grows more than a hundredfold is refused while it comes, in a zip and in a tar", async (t) => {
    await assertRefused(t, "a.zip", zipOf([{ name: "a.png", content: zeros }]), ['"a.png"', "100 times as many"]);
    await assertRefused(t, "a.tgz", gzipSync(tarOf([{ name: "a.png", content: zeros }])), ['"a.png"', "100 times"]);
  });

  test("headers without content count too", async (t) => {
    const headers = gzipSync(tarOf([{ name: "a/", type: "5" }]).subarray(0, 512));
    const many = Buffer.concat(Array.from({ length: 200_000 }, () => headers));
    await assertRefused(t, "a.tgz", many, ['"a/"', "one of more than 1000 entries"], { limits: { maxEntries: 1000 } });
  });

  test("the limits of one file, of all and of entries are kept", async (t) => {
    const two: ZipEntry[] = [
      { name: "a.png", content: Buffer.alloc(1000), isDeflated: false },
      { name: "b.png", content: Buffer.alloc(1000), isDeflated: false },
    ];
    for (const [limits, ...parts] of [
      [{ maxEntryBytes: 999 }, '"a.png"', "has 1000 bytes"],
      [{ maxTotalBytes: 1999 }, '"b.png"', "more than 1999 bytes"],
      [{ maxEntries: 1 }, '"b.png"', "more than 1 entries"],
    ] as const) {
      await assertRefused(t, "a.zip", zipOf(two), parts, { limits });
    }
    await assertRefused(t, "a.tar", tarOf(two), ['"a.png"', "has 1000"], { limits: { maxEntryBytes: 999 } });
    await unpacked(t, "a.zip", zipOf(two), { limits: { maxEntryBytes: 1000, maxTotalBytes: 2000, maxEntries: 2 } });
  });

  test("an entry that comes to more or less than it says is refused", async (t) => {
    for (const [sizeBytes, reason] of [
      [5, "too many bytes"],
      [5000, "not enough bytes"],
    ] as const) {
      const zip = zipOf([{ name: "a.png", content: picture, claims: { sizeBytes } }]);
      await assertRefused(t, "a.zip", zip, ['"a.png"', reason]);
    }
  });

  test("a tar that is compressed twice is refused, not inflated past the limits", async (t) => {
    const inner = gzipSync(tarOf([{ name: "a.png", content: randomBytes(5000) }]));
    await assertRefused(t, "a.tgz", gzipSync(inner), ["compressed twice"]);
  });

  test("a long name of more than a megabyte is refused", async (t) => {
    const long = { name: "x", type: "L", content: Buffer.alloc(2 ** 20 + 1, "a") };
    await assertRefused(t, "a.tar", tarOf([long, { name: "a.png" }]), ["NextFileHasLongPath"]);
  });
});
