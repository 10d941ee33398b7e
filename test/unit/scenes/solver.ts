/** Answers questions of Scenes from a picture's contents by reading the question: independent of how examples are made. */
import type { Scene, SceneObject } from "../../../src/scenes/world.ts";

const MOVES: Readonly<Record<string, readonly [row: number, column: number]>> = {
  left: [0, -1],
  right: [0, 1],
  up: [-1, 0],
  down: [1, 0],
  above: [-1, 0],
  below: [1, 0],
};
const NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/** The objects that a phrase such as `the object above the red circle` can mean. */
export function referents(phrase: string, { objects }: Scene): SceneObject[] {
  const nested = /^the object (left of|right of|above|below) (the .*)$/.exec(phrase);
  if (nested !== null) return move(referents(nested[2]!, { objects } as Scene), [nested[1]!.split(" ")[0]!], objects);
  const walked = /^the object ((?:left|right|up|down)(?: then (?:left|right|up|down))*) from (the .*)$/.exec(phrase);
  if (walked !== null) return move(referents(walked[2]!, { objects } as Scene), walked[1]!.split(" then "), objects);
  const words = phrase
    .replace(/^the /, "")
    .split(" ")
    .filter((word) => word !== "object");
  return objects.filter((object) => words.every((word) => looksOf(object).includes(word)));
}

function move(from: readonly SceneObject[], steps: readonly string[], objects: readonly SceneObject[]): SceneObject[] {
  return steps.reduce<SceneObject[]>(
    (stops, step) =>
      stops.flatMap(({ cell }) => {
        const [rows, columns] = MOVES[step]!;
        const [row, column] = [Math.floor(cell / 3) + rows, (cell % 3) + columns];
        const isInside = row >= 0 && row < 3 && column >= 0 && column < 3;
        return objects.filter((object) => isInside && object.cell === row * 3 + column);
      }),
    [...from],
  );
}

function looksOf({ colour, shape, size, fill }: SceneObject): string[] {
  return [colour, shape, size, fill];
}

/** How many objects a plural such as `small red objects` or `crosses` counts. */
export function countOf(plural: string, { objects }: Scene): string {
  const words = plural
    .split(" ")
    .filter((word) => word !== "objects")
    .map((word) => (word === "crosses" ? "cross" : word.endsWith("s") && word !== "cross" ? word.slice(0, -1) : word));
  return NUMBERS[objects.filter((object) => words.every((word) => looksOf(object).includes(word))).length]!;
}

/** The value of `colour` or `shape` that most objects have; `undefined` for a tie. */
export function mostOf(what: "colour" | "shape", { objects }: Scene): string | undefined {
  const values = objects.map((object) => object[what]);
  const count = (value: string): number => values.filter((it) => it === value).length;
  const most = values.filter((value) => values.every((other) => other === value || count(other) < count(value)));
  return most[0];
}

/** The word of two that more objects have; `undefined` for a tie. */
export function moreOf(first: string, second: string, { objects }: Scene): string | undefined {
  const count = (word: string): number => objects.filter((object) => looksOf(object).includes(word)).length;
  return count(first) === count(second) ? undefined : count(first) > count(second) ? first : second;
}

/** How many objects there are, as a word. */
export function totalOf({ objects }: Scene): string {
  return NUMBERS[objects.length]!;
}
