/** Grounding: a referring expression finds the crop of what it refers to. */
import { describeEnd, sampleChain, walk } from "../chains.ts";
import { changedLook } from "../changes.ts";
import { pick, pickSome, redrawn } from "../sample.ts";
import { about, cropOf, type Example, type ExampleSide, type Source } from "../task.ts";
import { fullName, placeOf, lookFor } from "../wording.ts";
import { isHeldOut, type Scene, type SceneObject } from "../world.ts";
import { having, PLAIN } from "./classification.ts";

/** An object named by its looks, or by its place. */
export function referring({ scene, random, novel }: Source): Example | undefined {
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
  const question = novel
    ? `In the image, crop ${name}.`
    : pick([`Crop ${name}.`, `Find the crop that shows ${name}.`], random);
  return {
    query: about(picture, question),
    gold: cropOf(picture, object),
    hard: wrongCrops(picture, object, novel, random),
    rationale: `That is at ${placeOf(object)}. ${lookFor(fullName(object), random)}`,
  };
}

/** An object named by its way from another. */
export function hopCrop(steps: number, heldOutSteps: boolean | "either") {
  return ({ scene, random, novel }: Source): Example | undefined => {
    const picture = scene(PLAIN);
    const chain = sampleChain(picture, steps, heldOutSteps, random);
    if (chain === undefined) return undefined;
    const end = chain.objects.at(-1)!;
    const name = describeEnd(chain, random);
    return {
      query: about(picture, pick([`Crop ${name}.`, `Find the crop that shows ${name}.`], random)),
      gold: cropOf(picture, end),
      hard: wrongCrops(picture, end, novel, random),
      rationale: `${walk(chain, random)} ${lookFor(fullName(end), random)}`,
    };
  };
}

/** Every other object of the picture, and the right one in pictures where it has another colour, shape, size or fill. */
function wrongCrops(picture: Scene, right: SceneObject, novel: boolean, random: Source["random"]): ExampleSide[] {
  const rest = picture.objects.filter((object) => object !== right);
  const changed = pickSome(["colour", "shape", "size", "fill"] as const, 2, random).map((aspect) =>
    changedLook(right, aspect, novel, random),
  );
  const others = pickSome(rest, 9, random).map((object) => cropOf(picture, object));
  const redone = changed.map((object) => {
    // Drawn as a picture of its own; a crop shows next to nothing of what stands around.
    const scene = redrawn({ background: picture.background, objects: [...rest, object] }, random);
    return cropOf(
      scene,
      scene.objects.find(({ cell }) => cell === object.cell)!,
    );
  });
  return [...others.slice(0, 2), ...redone, ...others.slice(2)];
}
