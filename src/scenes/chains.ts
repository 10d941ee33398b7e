/** Chains of steps from one object to its neighbours: how they are asked and how they are reasoned. */
import type { Random } from "../random.ts";
import { pick } from "./sample.ts";
import { placeOf, shortName } from "./wording.ts";
import { DIRECTIONS, hasHeldOutSteps, type Direction, type Scene, type SceneObject } from "./world.ts";

/** A start and, after each step, the object that stands there. */
export interface Chain {
  readonly steps: readonly Direction[];
  /** One more than steps. */
  readonly objects: readonly SceneObject[];
}

const OPPOSITE: Readonly<Record<Direction, Direction>> = { left: "right", right: "left", up: "down", down: "up" };
/** How a question says where something is from something else. */
const RELATION: Readonly<Record<Direction, string>> = {
  left: "left of",
  right: "right of",
  up: "above",
  down: "below",
};

/**
 * A chain of `length` steps over objects, no step straight back.
 * @param heldOutOnly only chains with a pair of steps whose relations training keeps out
 */
export function sampleChain(
  { objects }: Scene,
  length: number,
  heldOutOnly: boolean,
  random: Random,
): Chain | undefined {
  const byCell = new Map(objects.map((object) => [object.cell, object]));
  const extend = (chain: Chain): Chain[] => {
    if (chain.steps.length === length) return [chain];
    return DIRECTIONS.flatMap((step) => {
      if (chain.steps.at(-1) === OPPOSITE[step]) return [];
      const next = byCell.get(neighbour(chain.objects.at(-1)!.cell, step) ?? -1);
      // A walk in a circle would ask for what was named.
      if (next === undefined || chain.objects.includes(next)) return [];
      return extend({ steps: [...chain.steps, step], objects: [...chain.objects, next] });
    });
  };
  const chains = objects
    .flatMap((start) => extend({ steps: [], objects: [start] }))
    .filter(({ steps }) => !heldOutOnly || hasHeldOutSteps(steps));
  return chains.length === 0 ? undefined : pick(chains, random);
}

function neighbour(cell: number, step: Direction): number | undefined {
  const [row, column] = [Math.floor(cell / 3), cell % 3];
  const [toRow, toColumn] = [
    row + (step === "down" ? 1 : step === "up" ? -1 : 0),
    column + (step === "right" ? 1 : step === "left" ? -1 : 0),
  ];
  return toRow < 0 || toRow > 2 || toColumn < 0 || toColumn > 2 ? undefined : toRow * 3 + toColumn;
}

/** How the end of a chain may be named. */
export type Naming =
  /** By relations or as a walk, by chance; by relations only where training may. */
  | "trained"
  /** By relations, whatever they are. */
  | "relations"
  /** By relations or as a walk, by chance. */
  | "any";

/**
 * Names the chain's end by relations, `the object above the object left of the red circle`, or as a walk, `the object
 * left then up from the red circle`.
 */
export function describeEnd({ steps, objects }: Chain, naming: Naming, random: Random): string {
  const start = `the ${shortName(objects[0]!)}`;
  const isWalk = naming !== "relations" && (random() < 0.5 || (naming === "trained" && hasHeldOutSteps(steps)));
  if (isWalk) return `the object ${steps.join(" then ")} from ${start}`;
  return steps.reduce((inner, step) => `the object ${RELATION[step]} ${inner}`, start);
}

/** The walk step by step: `Start at red circle, centre. Left: blue star, left. Up: green heart, top left.` */
export function walk({ steps, objects }: Chain, random: Random): string {
  const stops = steps.map((step, i) => {
    const object = objects[i + 1]!;
    return ` ${step[0]!.toUpperCase()}${step.slice(1)}: ${shortName(object)}, ${placeOf(object)}.`;
  });
  return `${pick(["Start at", "From"], random)} ${shortName(objects[0]!)}, ${placeOf(objects[0]!)}.${stops.join("")}`;
}
