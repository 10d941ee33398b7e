/** What a picture can show, and what is kept from training: the whole vocabulary of Scenes. */

export const COLOURS = ["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"] as const;
export const SHAPES = ["circle", "square", "triangle", "star", "heart", "diamond", "cross", "moon"] as const;
export const SIZES = ["large", "small"] as const;
export const FILLS = ["solid", "hollow"] as const;
export const BACKGROUNDS = ["white", "grey", "cream", "mint", "lilac", "sky"] as const;
export const SYMBOLS = ["A", "C", "H", "T", "X", "2", "4", "7"] as const;
/** Cells of the grid, row by row. */
export const PLACES = [
  "top left",
  "top",
  "top right",
  "left",
  "centre",
  "right",
  "bottom left",
  "bottom",
  "bottom right",
] as const;
export const DIRECTIONS = ["left", "right", "up", "down"] as const;

export type Colour = (typeof COLOURS)[number];
export type Shape = (typeof SHAPES)[number];
type Size = (typeof SIZES)[number];
type Fill = (typeof FILLS)[number];
export type Background = (typeof BACKGROUNDS)[number];
export type SymbolName = (typeof SYMBOLS)[number];
export type Direction = (typeof DIRECTIONS)[number];

/** What a person would say of an object. */
export interface Look {
  readonly colour: Colour;
  readonly shape: Shape;
  readonly size: Size;
  readonly fill: Fill;
  /** Drawn on it. */
  readonly symbol?: SymbolName | undefined;
}

/** An object in its cell, 0 to 8 row by row, drawn a little off the norm. */
export interface SceneObject extends Look {
  readonly cell: number;
  /** Pixels off the cell's middle, share of the size, degrees, degrees of hue, percent of lightness. */
  readonly shift: {
    readonly x: number;
    readonly y: number;
    readonly scale: number;
    readonly turn: number;
    readonly hue: number;
    readonly light: number;
  };
}

/** A picture's contents; objects in the order of their cells. No two have colour and shape in common. */
export interface Scene {
  readonly background: Background;
  /** Percent of lightness off the background's norm. */
  readonly backgroundShift: number;
  readonly objects: readonly SceneObject[];
}

/** Whose pictures: no content of the one occurs in the other. */
export type Split = "train" | "eval";

/** The colour in which a shape occurs in no picture of training, nor of in-distribution evaluation. */
export function heldOutColour(shape: Shape): Colour {
  return COLOURS[(SHAPES.indexOf(shape) * 3 + 1) % COLOURS.length]!;
}

/** Whether colour and shape never go together in training. */
export function isHeldOut({ colour, shape }: Pick<Look, "colour" | "shape">): boolean {
  return heldOutColour(shape) === colour;
}

/** The colour on which a symbol never stands in training. */
export function heldOutCarrier(symbol: SymbolName): Colour {
  return COLOURS[(SYMBOLS.indexOf(symbol) * 3 + 2) % COLOURS.length]!;
}

/** Pairs of steps that no question of training names by relations: "above the object left of" is never seen. */
const HELD_OUT_STEPS: readonly (readonly [Direction, Direction])[] = [
  ["left", "up"],
  ["down", "right"],
  ["right", "down"],
];

/** Whether a chain has a pair of steps whose relations training keeps out. */
export function hasHeldOutSteps(steps: readonly Direction[]): boolean {
  return steps.some((step, i) =>
    HELD_OUT_STEPS.some(([first, second]) => i > 0 && steps[i - 1] === first && step === second),
  );
}

/** What a scene shows, without how it is drawn; objects in any order. */
export interface Content {
  readonly background: Background;
  readonly objects: readonly (Look & { readonly cell: number })[];
}

/** The content as text, equal for equal contents. */
export function contentOf({ background, objects }: Content): string {
  const parts = objects.map(({ cell, colour, shape, size, fill, symbol }) =>
    [cell, colour, shape, size, fill, symbol ?? ""].join(" "),
  );
  // No two objects have a cell in common, and a cell is one digit.
  return [background, ...parts.sort()].join("|");
}

/** FNV-1a over UTF-16 units, from another basis than its own where one is given. */
export function fnv1a(text: string, basis = 0x811c9dc5): number {
  let hash = basis;
  for (const character of text) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return hash;
}

/** The split that a content belongs to, by its hash: one in eight is for evaluation, whatever the seeds and counts. */
export function splitOf(content: Content): Split {
  // A last mix: the low bits of FNV-1a are weak.
  let hash = fnv1a(contentOf(content));
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) & 7) === 0 ? "eval" : "train";
}
