/** Classification: what dominates, how many, which background, which symbol. */
import { pick, type SceneKind } from "../sample.ts";
import { about, answer, type Example, type Source } from "../task.ts";
import { counted, NUMBERS, placeOf, shortName, lookFor } from "../wording.ts";
import {
  BACKGROUNDS,
  COLOURS,
  heldOutCarrier,
  isHeldOut,
  SHAPES,
  SYMBOLS,
  type Scene,
  type SceneObject,
} from "../world.ts";

/** Scenes that most questions are about. */
export const PLAIN: SceneKind = { count: [3, 8] };
const WITH_SYMBOL: SceneKind = { count: [2, 6], symbol: true };

export const COUNT_LABELS: readonly string[] = NUMBERS.slice(3, 9);
export const SYMBOL_LABELS: readonly string[] = SYMBOLS.map(symbolLabel);
export const BACKGROUND_LABELS: readonly string[] = BACKGROUNDS;
export const KIND_LABELS: readonly string[] = [...COLOURS, ...SHAPES];

/** Which background the picture has. */
export function background({ scene, random }: Source): Example {
  const picture = scene(PLAIN);
  const question = pick(
    [
      "Identify the background of the image.",
      "Which background does the image have?",
      "What is the background of this picture?",
      "Name the background.",
      "In the picture, which background is there?",
    ],
    random,
  );
  return {
    query: about(picture, question),
    gold: answer(picture.background),
    hard: [],
    rationale: `The background is ${picture.background}. ${lookFor(picture.background, random)}`,
  };
}

/** How many objects there are. */
export function count({ scene, random }: Source): Example {
  const picture = scene(PLAIN);
  const total = NUMBERS[picture.objects.length]!;
  const question = pick(
    [
      "Count the objects in the image.",
      "How many objects does the image show?",
      "How many objects are there?",
      "In the picture, count the objects.",
      "Name the number of objects in this image.",
    ],
    random,
  );
  return {
    query: about(picture, question),
    gold: answer(total),
    hard: [],
    rationale: `There is ${counted(picture.objects)}. ${lookFor(total, random)}`,
  };
}

/** Which colour, or which shape, most objects have. */
export function dominant({ scene, random, novel }: Source): Example | undefined {
  const picture = scene(PLAIN);
  const what = pick(["colour", "shape"] as const, random);
  const most = dominating(picture, what);
  if (most === undefined) return undefined;
  if (novel && !picture.objects.some((object) => object[what] === most && isHeldOut(object))) return undefined;
  const question = novel
    ? `Identify which ${what} most objects in this picture have.`
    : pick(
        [
          `Identify the ${what} that most objects in the image have.`,
          `Which ${what} do most objects have?`,
          `Name the ${what} of most objects.`,
          `What is the ${what} of most objects in this picture?`,
          `In the image, which ${what} do most objects have?`,
        ],
        random,
      );
  const list = picture.objects.map((object) => object[what]).join(", ");
  return {
    query: about(picture, question),
    gold: answer(most),
    hard: [],
    rationale: `In order: ${list}. Most are ${most}. ${lookFor(most, random)}`,
  };
}

/** Which letter or digit stands on an object. */
export function symbol({ scene, random, novel }: Source): Example | undefined {
  const picture = scene(WITH_SYMBOL);
  const bearer = picture.objects.find((object) => object.symbol !== undefined)!;
  if (novel && heldOutCarrier(bearer.symbol!) !== bearer.colour) return undefined;
  const question = novel
    ? "In this image, identify the letter or number."
    : pick(
        [
          "Identify the symbol in the image.",
          "Which letter or number does the image show?",
          "What is the symbol in this picture?",
          "Name the letter or number.",
          "In the picture, which symbol is there?",
        ],
        random,
      );
  const label = symbolLabel(bearer.symbol!);
  return {
    query: about(picture, question),
    gold: answer(label),
    hard: [],
    rationale: `The ${shortName(bearer)} at ${placeOf(bearer)} bears ${label}. ${lookFor(label, random)}`,
  };
}

function symbolLabel(name: string): string {
  return `${/\d/.test(name) ? "number" : "letter"} ${name}`;
}

/** The value that more objects have than any other value. */
function dominating({ objects }: Scene, what: "colour" | "shape"): string | undefined {
  const counts = new Map<string, number>();
  for (const object of objects) counts.set(object[what], (counts.get(object[what]) ?? 0) + 1);
  const [first, second] = [...counts].sort(([, a], [, b]) => b - a);
  return first === undefined || first[1] === second?.[1] ? undefined : first[0];
}

/** Objects that share a colour or a shape. */
export function having(objects: readonly SceneObject[], value: string): SceneObject[] {
  return objects.filter(({ colour, shape, size, fill }) => [colour, shape, size, fill].some((it) => it === value));
}
