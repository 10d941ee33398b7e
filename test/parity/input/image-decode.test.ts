import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ImageError } from "../../../src/errors.ts";
import { decodeImage } from "../../../src/input/image.ts";

const FOLDER = fileURLToPath(new URL("../../fixtures/input/", import.meta.url));
const EXPECTED = JSON.parse(readFileSync(`${FOLDER}images.json`, "utf8")) as Record<
  string,
  { width: number; height: number; sha256?: string; rgb?: string }
>;
/** Levels of 255 by which libheif's chroma filter may miss libavif's; Pillow 11 does not read AVIF at all. */
const AVIF_LEVELS = 6;

const path = (file: string): string => `${FOLDER}images/${file}`;

test("every format decodes to the RGB that Pillow gives", async (t) => {
  for (const [file, expected] of Object.entries(EXPECTED)) {
    const { rgb, width, height } = await decodeImage(path(file));
    assert.deepEqual({ width, height }, { width: expected.width, height: expected.height }, file);
    if (expected.rgb === undefined) {
      assert.equal(createHash("sha256").update(rgb).digest("hex"), expected.sha256, file);
      continue;
    }
    const reference = Buffer.from(expected.rgb, "base64");
    const worst = rgb.reduce((most, value, i) => Math.max(most, Math.abs(value - reference[i]!)), 0);
    t.diagnostic(`${file}: worst difference ${worst} of 255`);
    assert.ok(worst <= AVIF_LEVELS, `${file}: ${worst}`);
  }
});

test("bytes, an ArrayBuffer and a data URL decode like the file they came from", async () => {
  const bytes = readFileSync(path("jpeg-420-q75.jpg"));
  const { rgb } = await decodeImage(path("jpeg-420-q75.jpg"));
  assert.deepEqual((await decodeImage(bytes)).rgb, rgb);
  assert.deepEqual((await decodeImage(new Uint8Array(bytes).buffer)).rgb, rgb);
  assert.deepEqual((await decodeImage(`data:image/jpeg;base64,${bytes.toString("base64")}`)).rgb, rgb);
});

test("a file cut in half is an error that names it, in every format", async () => {
  for (const file of [
    "jpeg-420-q75.jpg",
    "jpeg-420-progressive.jpg",
    "png-rgba.png",
    "webp-lossy.webp",
    "gif.gif",
    "avif-420.avif",
    "tiff-tiff_lzw.tif",
  ]) {
    const bytes = readFileSync(path(file));
    for (const part of [0.5, 0.9]) {
      const cut = bytes.subarray(0, Math.floor(bytes.length * part));
      await assert.rejects(decodeImage(cut, {}, `image 2 (${file})`), (error) => {
        assert.ok(error instanceof ImageError, file);
        assert.match(error.message, /^image 2 \(.*damaged or cut off/, file);
        return true;
      });
    }
  }
});

test("damaged bytes give an error or a picture, and never a crash", async () => {
  let state = 7;
  for (const file of ["gif-long.gif", "gif-interlaced.gif", "jpeg-420-q75.jpg", "png-rgba.png", "webp-lossy.webp"]) {
    for (let round = 0; round < 40; round++) {
      const bytes = Buffer.from(readFileSync(path(file)));
      for (let hit = 0; hit < 4; hit++) {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        bytes[8 + (state % (bytes.length - 8))] = state >>> 24;
      }
      try {
        const { rgb, width, height } = await decodeImage(bytes, { maxPixels: 1_000_000 });
        assert.equal(rgb.length, width * height * 3);
      } catch (error) {
        assert.ok(error instanceof ImageError, `${file}: ${String(error)}`);
      }
    }
  }
});

test("16-bit greyscale is refused, as Pillow's reading of it is mostly white", async () => {
  await assert.rejects(decodeImage(path("refused-grey16.png")), { name: "ImageError", message: /16-bit greyscale/ });
});

test("a decompression bomb is refused by its header", async () => {
  const png = readFileSync(path("png-grey.png"));
  png.writeUInt32BE(60_000, 16);
  png.writeUInt32BE(60_000, 20);
  const gif = readFileSync(path("gif.gif"));
  gif.writeUInt16LE(60_000, 6);
  gif.writeUInt16LE(60_000, 8);
  // The changed header has a wrong checksum, which a decoder is free to see first; either way nothing is decoded.
  await assert.rejects(decodeImage(png, {}, "bomb.png"), { name: "ImageError", message: /^bomb.png: / });
  await assert.rejects(decodeImage(gif, {}, "bomb.gif"), { message: /60000 x 60000 pixels, limit 89478485/ });
  const file = path("jpeg-444-q75.jpg");
  await assert.rejects(decodeImage(file, { maxPixels: 45 * 31 - 1 }), { message: /45 x 31 pixels, limit 1394/ });
  await decodeImage(file, { maxPixels: 45 * 31 });
});
