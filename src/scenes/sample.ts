/** Scenes by chance, from a seed, of the split that is asked for. */
import type { Random } from "../random.ts";
import {
  BACKGROUNDS,
  COLOURS,
  heldOutCarrier,
  heldOutColour,
  isHeldOut,
  PLACES,
  SHAPES,
  splitOf,
  SYMBOLS,
  type Colour,
  type Content,
  type Look,
  type Scene,
  type SceneObject,
  type Shape,
  type Split,
} from "./world.ts";

/** What a scene is to be like. */
export interface SceneKind {
  /** Fewest and most objects. */
  readonly count: readonly [number, number];
  /** One object bears a symbol. */
  readonly symbol?: boolean;
}

const SMALL_SHARE = 0.3;
const HOLLOW_SHARE = 0.3;
/** Share of a held-out scene's objects whose colour and shape never go together in training. */
const NOVEL_SHARE = 0.5;
/** Shapes with room for a symbol. */
const BEARERS: readonly Shape[] = ["circle", "square"];

/** One of several, all equally likely. */
export function pick<T>(values: readonly T[], random: Random): T {
  return values[Math.floor(random() * values.length)]!;
}

/** Some of several, in random order. */
export function pickSome<T>(values: readonly T[], count: number, random: Random): T[] {
  const left = [...values];
  return Array.from({ length: Math.min(count, left.length) }, () =>
    left.splice(Math.floor(random() * left.length), 1),
  ).flat();
}

/**
 * A scene of `split`.
 * @param heldOut objects, and carriers of symbols, of kinds that training never sees are among them; without it there are none
 */
export function sampleScene(kind: SceneKind, split: Split, heldOut: boolean, random: Random): Scene {
  for (;;) {
    const [fewest, most] = kind.count;
    const count = fewest + Math.floor(random() * (most - fewest + 1));
    const cells = pickSome([...PLACES.keys()], count, random).sort((a, b) => a - b);
    const looks = sampleLooks(count, heldOut, random);
    if (heldOut && !looks.some(isHeldOut)) continue;
    if (kind.symbol === true) {
      const bearers = [...looks.keys()].filter((at) => BEARERS.includes(looks[at]!.shape));
      if (bearers.length === 0) continue;
      const at = pick(bearers, random);
      const { colour } = looks[at]!;
      const symbols = SYMBOLS.filter((symbol) => (heldOutCarrier(symbol) === colour) === heldOut);
      if (symbols.length === 0) continue;
      looks[at] = { ...looks[at]!, size: "large", fill: "solid", symbol: pick(symbols, random) };
    }
    const content = { background: pick(BACKGROUNDS, random), objects: place(looks, cells) };
    if (splitOf(content) === split) return redrawn(content, random);
  }
}

/** The same content, drawn another way: nothing of a picture's pixels is common to two drawings. */
export function redrawn({ background, objects }: Content, random: Random): Scene {
  const about = (reach: number): number => Math.round((random() * 2 - 1) * reach * 100) / 100;
  return {
    background,
    backgroundShift: about(2),
    objects: [...objects]
      .sort((a, b) => a.cell - b.cell)
      .map((object): SceneObject => ({
        ...object,
        shift: { x: about(2.5), y: about(2.5), scale: about(0.08), turn: about(9), hue: about(5), light: about(4) },
      })),
  };
}

/** Looks without a colour and shape in common twice; few colours or few shapes at times, so that some repeat. */
function sampleLooks(count: number, heldOut: boolean, random: Random): Look[] {
  const colours = pickSome(COLOURS, 2 + Math.floor(random() * 5), random);
  const shapes = pickSome(SHAPES, 2 + Math.floor(random() * 5), random);
  const looks: Look[] = [];
  for (let tries = 0; looks.length < count; tries++) {
    // A palette too small for so many objects is widened.
    const wide = tries > 40;
    const shape: Shape = pick(wide ? SHAPES : shapes, random);
    const isNovel = heldOut && random() < NOVEL_SHARE;
    const colour: Colour = isNovel ? heldOutColour(shape) : pick(wide ? COLOURS : colours, random);
    if (!isNovel && isHeldOut({ colour, shape })) continue;
    if (looks.some((look) => look.colour === colour && look.shape === shape)) continue;
    looks.push({
      colour,
      shape,
      size: random() < SMALL_SHARE ? "small" : "large",
      fill: random() < HOLLOW_SHARE ? "hollow" : "solid",
    });
  }
  return looks;
}

function place(looks: readonly Look[], cells: readonly number[]): (Look & { cell: number })[] {
  return looks.map((look, i) => ({ ...look, cell: cells[i]! }));
}
