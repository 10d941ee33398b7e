import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { ImageError } from "../../../src/errors.ts";
import { sniffFormat } from "../../../src/input/image-format.ts";
import { labelOf, readImageBytes } from "../../../src/input/image-source.ts";

const PHOTO = fileURLToPath(new URL("../../fixtures/images/example.jpg", import.meta.url));
const LIMIT = 100_000;

test("files, bytes and data URLs are read", async () => {
  const file = await readImageBytes(PHOTO, LIMIT, "photo");
  assert.equal(file.length, 56_749);
  assert.equal(await readImageBytes(file, LIMIT, "bytes"), file);
  assert.deepEqual([...(await readImageBytes(new Uint8Array([1, 2]).buffer, LIMIT, "buffer"))], [1, 2]);
  assert.deepEqual([...(await readImageBytes("DATA:;base64,AQI=", LIMIT, "url"))], [1, 2]);
});

test("web addresses are refused with the reason", async () => {
  for (const url of ["http://169.254.169.254/latest", "https://example.org/a.png", "FTP://x/y", "file:///etc/passwd"]) {
    await assert.rejects(readImageBytes(url, LIMIT, labelOf(url)), /not fetched.*request forgery/);
  }
});

test("what is missing, too large, empty or no file is an error with the label", async () => {
  const wrong: [Parameters<typeof readImageBytes>[0], number, RegExp][] = [
    ["/nowhere/a.png", LIMIT, /cannot be opened: ENOENT/],
    ["/tmp", LIMIT, /not a regular file/],
    ["/dev/zero", LIMIT, /not a regular file/],
    [PHOTO, 1000, /56749 bytes, limit 1000/],
    [new Uint8Array(0), LIMIT, /empty/],
    [new Uint8Array(11), 10, /11 bytes, limit 10/],
    ["data:image/png;base64,AQIDBAUG", 5, /6 bytes, limit 5/],
    ["data:image/png,abc", LIMIT, /expected data:/],
    ["data:image/png;base64,A!", LIMIT, /not base64/],
  ];
  for (const [source, maxBytes, message] of wrong) {
    await assert.rejects(readImageBytes(source, maxBytes, "image 2 of the item"), (error) => {
      assert.ok(error instanceof ImageError);
      assert.match(error.message, /^image 2 of the item: /);
      assert.match(error.message, message);
      return true;
    });
  }
});

test("labels name a path, and stay short", () => {
  assert.equal(labelOf("a/b.png"), "a/b.png");
  assert.equal(labelOf(new Uint8Array(1)), "image");
  assert.equal(labelOf(`data:image/png;base64,${"A".repeat(1000)}`), "data: URL");
  assert.ok(labelOf("x".repeat(1000)).length < 210);
});

function bytes(head: string): Uint8Array {
  return Buffer.from(head.padEnd(32, "\0"), "latin1");
}

test("formats are told by their first bytes, and the others refused by name", () => {
  const known = {
    jpeg: "\xff\xd8\xff\xe0",
    png: "\x89PNG\r\n\x1a\n",
    webp: "RIFF....WEBPVP8 ",
    gif: "GIF89a",
    avif: "....ftypavif",
    tiff: "II*\0",
  };
  for (const [format, head] of Object.entries(known)) assert.equal(sniffFormat(bytes(head), "x"), format);
  assert.equal(sniffFormat(bytes("\0\0\0\x20ftypmif1\0\0\0\0mif1avif"), "x"), "avif");
  const refused = {
    SVG: " <SVG xmlns=",
    XML: "<?xml version",
    PDF: "%PDF-1.7",
    BMP: "BM",
    HEIC: "\0\0\0\x18ftypheic",
    "JPEG XL": "\xff\x0a",
  };
  for (const [name, head] of Object.entries(refused)) {
    assert.throws(() => sniffFormat(bytes(head), "x.bin"), {
      name: "ImageError",
      message: new RegExp(`^x.bin: .*${name}.* is not read`),
    });
  }
  assert.throws(() => sniffFormat(bytes("hello"), "x"), /no picture format that is known here.*Expected JPEG/);
});
