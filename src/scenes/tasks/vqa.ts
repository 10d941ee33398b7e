/** Questions about a picture: an attribute, what stands one or more steps away, counts with conditions, comparisons. */
import type { Random } from "../../random.ts";
import { changedLook } from "../changes.ts";
import { describeEnd, sampleChain, walk, type Naming } from "../chains.ts";
import { pick, pickSome } from "../sample.ts";
import { about, answer, type Example, type ExampleSide, type Source } from "../task.ts";
import { counted, NUMBERS, placeOf, shortName, lookFor } from "../wording.ts";
import { COLOURS, FILLS, isHeldOut, SHAPES, SIZES, type Look, type SceneObject } from "../world.ts";
import { having, PLAIN } from "./classification.ts";

/** Every answer to a question about an attribute. */
export const ATTRIBUTE_LABELS: readonly string[] = [...COLOURS, ...SHAPES, ...SIZES, ...FILLS];
export const COUNT_IF_LABELS: readonly string[] = NUMBERS.slice(0, 7);
/** Candidates that share colour or shape with the right one. */
const HARD_ANSWERS = 10;

/** The colour, shape, size or fill of the one object that a word picks out. */
export function attribute({ scene, random, novel }: Source): Example | undefined {
  const picture = scene(PLAIN);
  const objects = novel ? picture.objects.filter(isHeldOut) : picture.objects;
  if (objects.length === 0) return undefined;
  const object = pick(objects, random);
  const what = pick(["colour", "shape", "size", "fill"] as const, random);
  // Colour is asked by the shape, shape by the colour, the others by both.
  const name = what === "colour" ? object.shape : what === "shape" ? `${object.colour} object` : shortName(object);
  if (what === "colour" && having(picture.objects, object.shape).length > 1) return undefined;
  if (what === "shape" && having(picture.objects, object.colour).length > 1) return undefined;
  const value = object[what];
  const question = novel
    ? `In this picture, the ${name} is of which ${what}?`
    : pick(
        [
          `What is the ${what} of the ${name}?`,
          `Which ${what} does the ${name} have?`,
          `Name the ${what} of the ${name}.`,
          `In the image, what is the ${what} of the ${name}?`,
          `Identify the ${what} of the ${name} in this picture.`,
        ],
        random,
      );
  return {
    query: about(picture, question),
    gold: answer(value),
    hard: [],
    rationale: `The ${name} is at ${placeOf(object)}. Its ${what} is ${value}. ${lookFor(value, random)}`,
  };
}

/** What stands `steps` steps from a named object. */
export function hops(steps: number, naming: Naming) {
  return ({ scene, random, novel }: Source): Example | undefined => {
    const picture = scene(PLAIN);
    const chain = sampleChain(picture, steps, naming === "relations", random);
    if (chain === undefined) return undefined;
    const end = chain.objects.at(-1)!;
    const described = describeEnd(chain, naming, random);
    const question = pick(
      [`What is ${described}?`, `Name ${described}.`, `Identify ${described}.`, `In the image, what is ${described}?`],
      random,
    );
    return {
      query: about(picture, question),
      gold: answer(shortName(end)),
      hard: hardNames(end, picture.objects, novel, random),
      rationale: `${walk(chain, random)} ${lookFor(shortName(end), random)}`,
    };
  };
}

/** How many objects fulfil a condition, or two. */
export function countIf(conditions: 1 | 2) {
  return ({ scene, random }: Source): Example | undefined => {
    const picture = scene(PLAIN);
    const [words, name] = condition(conditions, random);
    const matching = words.reduce<readonly SceneObject[]>(having, picture.objects);
    // Without this, most answers would be none.
    if (matching.length === 0 && random() < (conditions === 1 ? 0.7 : 0.9)) return undefined;
    if (matching.length >= COUNT_IF_LABELS.length) return undefined;
    const total = NUMBERS[matching.length]!;
    const question = pick(
      [
        `How many ${name} are there?`,
        `Count the ${name} in the image.`,
        `In the picture, count the ${name}.`,
        `How many ${name} does this image show?`,
        `Name the number of ${name}.`,
      ],
      random,
    );
    return {
      query: about(picture, question),
      gold: answer(total),
      hard: [],
      rationale: `There is ${matching.length === 0 ? "none" : counted(matching)}. ${lookFor(total, random)}`,
    };
  };
}

/** Which of two kinds there is more of. */
export function compare({ scene, random }: Source): Example | undefined {
  const picture = scene(PLAIN);
  const kinds = pick([COLOURS, SHAPES] as const, random);
  const present = kinds.filter((kind) => having(picture.objects, kind).length > 0);
  if (present.length < 2) return undefined;
  const [first, second] = pickSome(present, 2, random) as [string, string];
  const [ofFirst, ofSecond] = [having(picture.objects, first), having(picture.objects, second)];
  if (ofFirst.length === ofSecond.length) return undefined;
  const more = ofFirst.length > ofSecond.length ? first : second;
  const question = pick(
    [
      `Which are more, ${first} or ${second}?`,
      `Are there more ${first} or ${second} objects?`,
      `In the image, are there more ${first} or ${second} objects?`,
      `Name what there is more of, ${first} or ${second}.`,
    ],
    random,
  );
  return {
    query: about(picture, question),
    gold: answer(more),
    hard: [answer(more === first ? second : first)],
    rationale: `Of ${first}: ${counted(ofFirst)}. Of ${second}: ${counted(ofSecond)}. ${lookFor(more, random)}`,
  };
}

/** Words that a condition is made of, and the condition as a question has it: `small red objects`. */
function condition(conditions: 1 | 2, random: Random): [string[], string] {
  const shape = pick(SHAPES, random);
  const colour = pick(COLOURS, random);
  const state = pick([...SIZES, ...FILLS], random);
  const plural = shape === "cross" ? "crosses" : `${shape}s`;
  if (conditions === 1)
    return pick<[string[], string]>(
      [
        [[shape], plural],
        [[colour], `${colour} objects`],
        [[state], `${state} objects`],
      ],
      random,
    );
  return pick<[string[], string]>(
    [
      [[state, shape], `${state} ${plural}`],
      [[state, colour], `${state} ${colour} objects`],
    ],
    random,
  );
}

/** Other objects of the picture, then names that share colour or shape. */
function hardNames(right: Look, objects: readonly SceneObject[], novel: boolean, random: Random): ExampleSide[] {
  const names = new Set(objects.map(shortName));
  // Some are in the picture already.
  for (let i = 0; i < 2 * HARD_ANSWERS; i++)
    names.add(shortName(changedLook(right, pick(["colour", "shape"] as const, random), novel, random)));
  names.delete(shortName(right));
  return [...names].map(answer);
}
