/** Words for what pictures show. */
import type { Random } from "../random.ts";
import { pick } from "./sample.ts";
import { PLACES, type Look, type Scene, type SceneObject } from "./world.ts";

export const NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"] as const;

/** `red circle`. */
export function shortName({ colour, shape }: Pick<Look, "colour" | "shape">): string {
  return `${colour} ${shape}`;
}

/** `one red circle, two blue star`. */
export function counted(objects: readonly Look[]): string {
  return objects.map((object, i) => `${NUMBERS[i + 1]} ${shortName(object)}`).join(", ");
}

/** `small hollow red circle`; that something is large and solid goes without saying. */
export function fullName(look: Look): string {
  return [look.size === "small" ? "small" : "", look.fill === "hollow" ? "hollow" : "", shortName(look)]
    .filter((word) => word !== "")
    .join(" ");
}

/** `top left`. */
export function placeOf({ cell }: Pick<SceneObject, "cell">): string {
  return PLACES[cell]!;
}

/** The end of a rationale: what should match. */
export function lookFor(what: string, random: Random): string {
  return pick([`Look for ${what}.`, `So it is ${what}.`], random);
}

/** What is seen, in one form: `On mint: top left red circle, centre small blue star.` */
export function account({ background, objects }: Pick<Scene, "background" | "objects">): string {
  return `On ${background}: ${objects.map((object) => `${placeOf(object)} ${fullName(object)}`).join(", ")}.`;
}

/** A caption in words of its own, objects in random order. */
export function caption(
  { background }: Pick<Scene, "background">,
  order: readonly SceneObject[],
  random: Random,
): string {
  const names = order.map(inPlace);
  const list = names.length === 1 ? names[0]! : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  return pick([`A ${background} picture with ${list}`, `${list.replace(/^a/, "A")}, on ${background}`], random);
}

/** `an orange star at top left`. */
function inPlace(object: SceneObject): string {
  const name = fullName(object);
  return `${/^[aeiou]/.test(name) ? "an" : "a"} ${name} at ${placeOf(object)}`;
}
