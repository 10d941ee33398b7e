/** Pictures of scenes: SVG text, and PNG bytes by sharp. */
import sharp from "sharp";
import type { Background, Colour, Scene, SceneObject, Shape, SymbolName } from "./world.ts";

/** Side of a picture in pixels: three cells of two patches of 14. */
export const PICTURE_PIXELS = 84;
/** Side of a cell, and of a crop, in pixels. */
export const CELL_PIXELS = 28;

/** Hue in degrees, saturation and lightness in percent. */
const COLOUR_HSL: Readonly<Record<Colour, readonly [number, number, number]>> = {
  red: [2, 82, 46],
  orange: [28, 95, 52],
  yellow: [52, 95, 50],
  green: [130, 62, 34],
  cyan: [184, 85, 46],
  blue: [222, 78, 48],
  purple: [276, 60, 42],
  pink: [326, 88, 68],
};

const BACKGROUND_HSL: Readonly<Record<Background, readonly [number, number, number]>> = {
  white: [0, 0, 97],
  grey: [0, 0, 80],
  cream: [46, 75, 85],
  mint: [146, 48, 83],
  lilac: [268, 55, 88],
  sky: [206, 70, 84],
};

/** Radius of a large and of a small object, in pixels, and the width of a hollow one's line. */
const RADIUS = { large: 10.5, small: 6 };
const LINE = { large: 3.4, small: 2.6 };

/**
 * A thin frame around every picture, in pixels and percent of lightness. By its sides a model sees where in the picture
 * a patch lies; Qwen2.5-VL's towers have relative positions only, from which a small one learns that slowly.
 */
const FRAME = { width: 2, darker: 38 };

/** Outlines about (0, 0) with radius 1. */
const OUTLINES: Readonly<Record<Shape, string>> = {
  circle: "M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z",
  square: "M-.86-.86H.86V.86H-.86Z",
  triangle: "M0-1L.98.8H-.98Z",
  star: `M${Array.from({ length: 10 }, (_, i) => {
    const radius = i % 2 === 0 ? 1.08 : 0.46;
    const angle = (i * Math.PI) / 5 - Math.PI / 2;
    return `${(radius * Math.cos(angle)).toFixed(3)} ${(radius * Math.sin(angle)).toFixed(3)}`;
  }).join("L")}Z`,
  heart: "M0 .98C-1.5-.1-.95-1.1-.45-.9C-.2-.82 0-.6 0-.42C0-.6 .2-.82 .45-.9C.95-1.1 1.5-.1 0 .98Z",
  diamond: "M0-1.1L.78 0L0 1.1L-.78 0Z",
  cross: "M-.34-1H.34V-.34H1V.34H.34V1H-.34V.34H-1V-.34H-.34Z",
  moon: "M.35-.95A1 1 0 1 0 .35 .95A.95 1.02 0 0 1 .35-.95Z",
};

/** Strokes of letters and digits in a box from -1 to 1: no font decides how a picture looks. */
const GLYPHS: Readonly<Record<SymbolName, string>> = {
  A: "M-.8 1L0-1L.8 1M-.5 .35H.5",
  C: "M.75-.65A.95 1 0 1 0 .75 .65",
  H: "M-.7-1V1M.7-1V1M-.7 0H.7",
  T: "M-.8-1H.8M0-1V1",
  X: "M-.75-1L.75 1M.75-1L-.75 1",
  2: "M-.65-.6C-.5-1.15 .7-1.2 .65-.45C.6 .1-.5 .5-.7 1H.75",
  4: "M.4 1V-1L-.75 .4H.8",
  7: "M-.7-1H.7L-.15 1",
};
const GLYPH_RADIUS = 6;

/** The picture as SVG, 84 by 84. */
function svgOf({ background, backgroundShift, objects }: Scene): string {
  const [hue, saturation, light] = BACKGROUND_HSL[background];
  const side = PICTURE_PIXELS;
  const at = FRAME.width / 2;
  const ground = `<rect x="${at}" y="${at}" width="${side - 2 * at}" height="${side - 2 * at}" fill="hsl(${hue},${saturation}%,${light + backgroundShift}%)" stroke="hsl(${hue},${saturation * 0.7}%,${light + backgroundShift - FRAME.darker}%)" stroke-width="${FRAME.width}"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}">${ground}${objects.map(objectSvg).join("")}</svg>`;
}

/** Draws a scene. @returns PNG bytes of 84 by 84 pixels */
export async function drawScene(scene: Scene): Promise<Buffer> {
  return await sharp(Buffer.from(svgOf(scene)))
    .removeAlpha()
    .png()
    .toBuffer();
}

/** Cuts the window about one object out of a drawn scene. @returns PNG bytes of 28 by 28 pixels */
export async function cropObject(png: Buffer, object: SceneObject): Promise<Buffer> {
  const { x, y } = middleOf(object);
  const edge = (at: number): number =>
    Math.min(PICTURE_PIXELS - CELL_PIXELS, Math.max(0, Math.round(at - CELL_PIXELS / 2)));
  return await sharp(png)
    .extract({ left: edge(x), top: edge(y), width: CELL_PIXELS, height: CELL_PIXELS })
    .png()
    .toBuffer();
}

function middleOf({ cell, shift }: SceneObject): { x: number; y: number } {
  return { x: ((cell % 3) + 0.5) * CELL_PIXELS + shift.x, y: (Math.floor(cell / 3) + 0.5) * CELL_PIXELS + shift.y };
}

function objectSvg(object: SceneObject): string {
  const { colour, shape, size, fill, symbol, shift } = object;
  const { x, y } = middleOf(object);
  const [hue, saturation, light] = COLOUR_HSL[colour];
  const paint = `hsl(${hue + shift.hue},${saturation}%,${light + shift.light}%)`;
  const radius = RADIUS[size] * (1 + shift.scale);
  // A hollow object's line lies inside its outline.
  const drawn = fill === "hollow" ? radius - LINE[size] / 2.4 : radius;
  const style =
    fill === "hollow"
      ? `fill="none" stroke="${paint}" stroke-width="${(LINE[size] / drawn).toFixed(3)}"`
      : `fill="${paint}"`;
  const body = `<path transform="rotate(${shift.turn}) scale(${drawn.toFixed(3)})" d="${OUTLINES[shape]}" ${style}/>`;
  const glyph =
    symbol === undefined
      ? ""
      : `<path transform="scale(${GLYPH_RADIUS})" d="${GLYPHS[symbol]}" fill="none" stroke="${light > 60 || colour === "yellow" || colour === "cyan" ? "#111" : "#fff"}" stroke-width=".44"/>`;
  return `<g transform="translate(${x.toFixed(2)} ${y.toFixed(2)})">${body}${glyph}</g>`;
}
