/** Looks and scenes that differ in one thing. */
import type { Random } from "../random.ts";
import { pick, redrawn } from "./sample.ts";
import {
  BACKGROUNDS,
  COLOURS,
  FILLS,
  isHeldOut,
  PLACES,
  SHAPES,
  SIZES,
  splitOf,
  type Look,
  type Scene,
  type SceneObject,
  type Split,
} from "./world.ts";

/** What can be changed about a scene. */
export type Aspect = "colour" | "shape" | "size" | "fill" | "place" | "background";
/** What can be changed about a thing wherever it is. */
export type LookAspect = Exclude<Aspect, "place" | "background">;

/** A scene with one thing changed, and what that was. */
export interface Change {
  readonly scene: Scene;
  readonly aspect: Aspect;
  /** As it was; the first object's for a change of background. */
  readonly before: SceneObject;
  /** As it is now. */
  readonly after: SceneObject;
}

/** Whether every combination may be shown where held-out ones may or may not. */
export interface Allowed {
  readonly split: Split;
  readonly novel: boolean;
}

/** A look with one aspect changed; never to a held-out combination unless `novel`. */
export function changedLook<T extends Look>(look: T, aspect: LookAspect, novel: boolean, random: Random): T {
  for (;;) {
    const changed: T =
      aspect === "colour"
        ? { ...look, colour: pick(others(COLOURS, look.colour), random) }
        : aspect === "shape"
          ? { ...look, shape: pick(others(SHAPES, look.shape), random) }
          : aspect === "size"
            ? { ...look, size: pick(others(SIZES, look.size), random) }
            : { ...look, fill: pick(others(FILLS, look.fill), random) };
    if (novel || !isHeldOut(changed) || isHeldOut(look)) return changed;
  }
}

/**
 * The scene, drawn anew, with one thing changed.
 * @param keep objects by cell that stay as they are
 * @returns `undefined` where a change that came up is none that the split may show
 */
export function changeScene(
  scene: Scene,
  aspect: Aspect,
  { split, novel }: Allowed,
  random: Random,
  keep: readonly number[] = [],
): Change | undefined {
  const free = scene.objects.filter(({ cell }) => !keep.includes(cell));
  if (free.length === 0) return undefined;
  const before = pick(free, random);
  const after =
    aspect === "background"
      ? before
      : aspect === "place"
        ? { ...before, cell: pick(emptyCells(scene), random) }
        : changedLook(before, aspect, novel, random);
  const rest = scene.objects.filter((object) => object !== before);
  if (rest.some(({ colour, shape }) => colour === after.colour && shape === after.shape)) return undefined;
  const background = aspect === "background" ? pick(others(BACKGROUNDS, scene.background), random) : scene.background;
  const changed = redrawn({ background, objects: [...rest, after] }, random);
  return splitOf(changed) === split ? { scene: changed, aspect, before, after } : undefined;
}

/** As `changeScene`, until one is found; `undefined` after many tries. */
export function someChange(
  scene: Scene,
  aspects: readonly Aspect[],
  allowed: Allowed,
  random: Random,
  keep: readonly number[] = [],
): Change | undefined {
  for (let tries = 0; tries < 60; tries++) {
    const change = changeScene(scene, pick(aspects, random), allowed, random, keep);
    if (change !== undefined) return change;
  }
  return undefined;
}

function emptyCells({ objects }: Scene): number[] {
  return [...PLACES.keys()].filter((cell) => objects.every((object) => object.cell !== cell));
}

function others<T>(values: readonly T[], but: T): T[] {
  return values.filter((value) => value !== but);
}
