/** Grounding: a referring expression finds the crop of what it refers to. */
import { describeEnd, sampleChain, walk, type Naming } from "../chains.ts";
import { changedLook } from "../changes.ts";
import { pick, pickSome, redrawn } from "../sample.ts";
import { about, cropOf, type Example, type ExampleSide, type Source } from "../task.ts";
import { fullName, placeOf, lookFor } from "../wording.ts";
import {
  FILLS,
  isHeldOut,
  SIZES,
  splitOf,
  type Background,
  type Content,
  type Scene,
  type SceneObject,
  type Split,
} from "../world.ts";
import { having, PLAIN } from "./classification.ts";

/** An object named by its looks, or by its place. */
export function referring(source: Source): Example | undefined {
  const { scene, random, novel } = source;
  const picture = scene(PLAIN);
  const objects = novel ? picture.objects.filter(isHeldOut) : picture.objects;
  if (objects.length === 0) return undefined;
  const object = pick(objects, random);
  const names = [
    [object.colour, object.shape],
    [object.size, object.colour],
    [object.fill, object.shape],
    [object.size, object.shape],
  ].filter((words) => words.reduce<readonly SceneObject[]>(having, picture.objects).length === 1);
  const words = pick(names, random);
  const isPlace = random() < 0.25;
  const lookName = `the ${words.join(" ")}${words.some((word) => word === object.shape) ? "" : " object"}`;
  const name = isPlace ? `the object at ${placeOf(object)}` : lookName;
  const question = novel ? `In this picture, crop ${name}.` : pick(askFor(name), random);
  return {
    query: about(picture, question),
    gold: cropOf(picture, object),
    hard: wrongCrops(picture, object, source),
    rationale: `That is at ${placeOf(object)}. ${lookFor(fullName(object), random)}`,
  };
}

/** An object named by its way from another. */
export function hopCrop(steps: number, naming: Naming) {
  return (source: Source): Example | undefined => {
    const { scene, random } = source;
    const picture = scene(PLAIN);
    const chain = sampleChain(picture, steps, naming === "relations", random);
    if (chain === undefined) return undefined;
    const end = chain.objects.at(-1)!;
    const name = describeEnd(chain, naming, random);
    return {
      query: about(picture, pick(askFor(name), random)),
      gold: cropOf(picture, end),
      hard: wrongCrops(picture, end, source),
      rationale: `${walk(chain, random)} ${lookFor(fullName(end), random)}`,
    };
  };
}

/** Ways to ask for a crop. */
function askFor(name: string): string[] {
  return [
    `Crop ${name}.`,
    `Find the crop that shows ${name}.`,
    `Which crop shows ${name}?`,
    `In the image, find ${name}.`,
    `Identify the crop of ${name}.`,
  ];
}

/** Every other object of the picture, and the right one in pictures where it has another colour, shape, size or fill. */
function wrongCrops(
  picture: Scene,
  right: SceneObject,
  { split, novel, random }: Pick<Source, "split" | "novel" | "random">,
): ExampleSide[] {
  const rest = picture.objects.filter((object) => object !== right);
  const changed = pickSome(["colour", "shape", "size", "fill"] as const, 2, random).map((aspect) =>
    changedLook(right, aspect, novel, random),
  );
  const others = pickSome(rest, 9, random).map((object) => cropOf(picture, object));
  const redone = changed.flatMap((object) => {
    const content = surrounded(object, rest, picture.background, split);
    if (content === undefined) return [];
    const scene = redrawn(content, random);
    return [
      cropOf(
        scene,
        scene.objects.find(({ cell }) => cell === object.cell)!,
      ),
    ];
  });
  return [...others.slice(0, 2), ...redone, ...others.slice(2)];
}

/**
 * A content of the split with `object` in it: sizes and fills of the others, of which a crop shows next to nothing, are
 * changed until it is.
 */
function surrounded(
  object: SceneObject,
  rest: readonly SceneObject[],
  background: Background,
  split: Split,
): Content | undefined {
  for (let change = 0; change < 4 ** rest.length; change++) {
    const changed = rest.map((it, i) => ({
      ...it,
      size: SIZES[(SIZES.indexOf(it.size) + (change >> (2 * i))) % 2]!,
      fill: FILLS[(FILLS.indexOf(it.fill) + (change >> (2 * i + 1))) % 2]!,
    }));
    const content = { background, objects: [...changed, object] };
    if (splitOf(content) === split) return content;
  }
  return undefined;
}
