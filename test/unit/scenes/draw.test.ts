import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeImage } from "../../../src/input/image.ts";
import { seededRandom } from "../../../src/random.ts";
import { CELL_PIXELS, cropObject, drawScene, PICTURE_PIXELS } from "../../../src/scenes/draw.ts";
import { sampleScene } from "../../../src/scenes/sample.ts";
import type { Colour, Scene } from "../../../src/scenes/world.ts";

/** About where a colour's hue lies, in degrees; how far it may be off. */
const HUES: Readonly<Record<Colour, number>> = {
  red: 0,
  orange: 30,
  yellow: 55,
  green: 130,
  cyan: 185,
  blue: 220,
  purple: 275,
  pink: 325,
};
const HUE_REACH = 15;

function scenes(count: number): Scene[] {
  const random = seededRandom(9);
  return Array.from({ length: count }, () => sampleScene({ count: [3, 8] }, "eval", true, random));
}

function middleAt(index: number, off: number): number {
  return Math.round((index + 0.5) * CELL_PIXELS + off);
}

/** Where a crop begins: it does not leave the picture. */
function edgeAt(index: number, off: number): number {
  return Math.max(0, Math.min(PICTURE_PIXELS - CELL_PIXELS, Math.round(index * CELL_PIXELS + off)));
}

/** Hue in degrees, and saturation times 255, of the pixel. */
function hueAt(rgb: Uint8Array, width: number, x: number, y: number): { hue: number; chroma: number } {
  const [r, g, b] = rgb.subarray((y * width + x) * 3) as unknown as [number, number, number];
  const [most, least] = [Math.max(r, g, b), Math.min(r, g, b)];
  const chroma = most - least;
  const sector = most === r ? (g - b) / chroma : most === g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
  return { hue: (sector * 60 + 360) % 360, chroma };
}

test("a solid object has its colour in the middle of its cell, and between the cells is the background", async () => {
  let seen = 0;
  for (const scene of scenes(40)) {
    const { rgb, width, height } = await decodeImage(await drawScene(scene));
    assert.deepEqual([width, height], [PICTURE_PIXELS, PICTURE_PIXELS]);
    const isGrey = scene.background === "white" || scene.background === "grey";
    assert.equal(hueAt(rgb, width, CELL_PIXELS, 3).chroma < 12, isGrey, scene.background);
    for (const { cell, colour, fill, shape, shift } of scene.objects) {
      // A moon's middle is not on it.
      if (fill === "hollow" || shape === "moon") continue;
      const { hue } = hueAt(rgb, width, middleAt(cell % 3, shift.x), middleAt(Math.floor(cell / 3), shift.y));
      const off = Math.abs(((hue - HUES[colour] + 540) % 360) - 180);
      assert.ok(off <= HUE_REACH, `${colour} ${shape}: hue ${hue}`);
      seen++;
    }
  }
  assert.ok(seen > 80);
});

test("a crop is the window about its object", async () => {
  const [scene] = scenes(1);
  const png = await drawScene(scene!);
  const whole = await decodeImage(png);
  for (const object of scene!.objects) {
    const crop = await decodeImage(await cropObject(png, object));
    assert.deepEqual([crop.width, crop.height], [CELL_PIXELS, CELL_PIXELS]);
    const [left, top] = [edgeAt(object.cell % 3, object.shift.x), edgeAt(Math.floor(object.cell / 3), object.shift.y)];
    for (let y = 0; y < CELL_PIXELS; y++) {
      const from = ((top + y) * PICTURE_PIXELS + left) * 3;
      assert.deepEqual(
        crop.rgb.subarray(y * CELL_PIXELS * 3, (y + 1) * CELL_PIXELS * 3),
        whole.rgb.subarray(from, from + CELL_PIXELS * 3),
      );
    }
  }
});

test("the same scene gives the same bytes", async () => {
  const [scene] = scenes(1);
  assert.deepEqual(await drawScene(scene!), await drawScene(scene!));
});
