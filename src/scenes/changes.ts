/** Looks and scenes that differ in one thing. */
import type { Random } from "../random.ts";
import { pick, pickSome, redrawn } from "./sample.ts";
import {
  BACKGROUNDS,
  COLOURS,
  FILLS,
  isHeldOut,
  PLACES,
  SHAPES,
  SIZES,
  splitOf,
  type Content,
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

/** The look with one aspect changed, in every way. */
function lookVariants<T extends Look>(look: T, aspect: LookAspect): T[] {
  if (aspect === "colour") return others(COLOURS, look.colour).map((colour) => ({ ...look, colour }));
  if (aspect === "shape") return others(SHAPES, look.shape).map((shape) => ({ ...look, shape }));
  if (aspect === "size") return others(SIZES, look.size).map((size) => ({ ...look, size }));
  return others(FILLS, look.fill).map((fill) => ({ ...look, fill }));
}

/** A look with one aspect changed; never to a held-out combination unless `novel`. */
export function changedLook<T extends Look>(look: T, aspect: LookAspect, novel: boolean, random: Random): T {
  for (;;) {
    const changed = pick(lookVariants(look, aspect), random);
    if (novel || !isHeldOut(changed) || isHeldOut(look)) return changed;
  }
}

/**
 * The scene, drawn anew, with one thing changed.
 * @param keep cells whose objects stay as they are
 * @returns `undefined` where the split may show no such change
 */
export function changeScene(
  scene: Scene,
  aspect: Aspect,
  allowed: Allowed,
  random: Random,
  keep: readonly number[] = [],
): Change | undefined {
  const possible = everyChange(scene, aspect, allowed, keep);
  return possible.length === 0 ? undefined : drawn(pick(possible, random), random);
}

/** So many different changes, their aspects as mixed as may be; `undefined` where the split may show fewer. */
export function differentChanges(
  scene: Scene,
  aspects: readonly Aspect[],
  count: number,
  allowed: Allowed,
  random: Random,
): Change[] | undefined {
  const possible = pickSome(aspects, aspects.length, random).map((aspect) => {
    const changes = everyChange(scene, aspect, allowed, []);
    return pickSome(changes, count, random);
  });
  const rounds = Array.from({ length: count }, (_, round) =>
    possible.flatMap((changes) => changes.slice(round, round + 1)),
  );
  const chosen = rounds.flat().slice(0, count);
  return chosen.length < count ? undefined : chosen.map((change) => drawn(change, random));
}

/** A change that is not drawn yet. */
interface Possible extends Omit<Change, "scene"> {
  readonly content: Content;
}

function drawn({ content, ...change }: Possible, random: Random): Change {
  return { ...change, scene: redrawn(content, random) };
}

/** Every change of one aspect that the split may show. */
function everyChange(
  { background, objects }: Scene,
  aspect: Aspect,
  { split, novel }: Allowed,
  keep: readonly number[],
): Possible[] {
  const free = objects.filter(({ cell }) => !keep.includes(cell));
  const changes =
    aspect === "background"
      ? others(BACKGROUNDS, background).map((other): Possible => {
          const [first] = objects;
          return { aspect, before: first!, after: first!, content: { background: other, objects } };
        })
      : free.flatMap((before) =>
          variants(before, aspect, objects).map((after): Possible => {
            const rest = objects.filter((object) => object !== before);
            return { aspect, before, after, content: { background, objects: [...rest, after] } };
          }),
        );
  return changes.filter(
    ({ before, after, content }) =>
      (novel || !isHeldOut(after) || isHeldOut(before)) &&
      content.objects.every((it) => it === after || it.colour !== after.colour || it.shape !== after.shape) &&
      splitOf(content) === split,
  );
}

/** The object with one aspect changed, in every way. */
function variants(
  object: SceneObject,
  aspect: Exclude<Aspect, "background">,
  objects: readonly SceneObject[],
): SceneObject[] {
  if (aspect === "place") return emptyCells(objects).map((cell) => ({ ...object, cell }));
  return lookVariants(object, aspect);
}

function emptyCells(objects: readonly SceneObject[]): number[] {
  return [...PLACES.keys()].filter((cell) => objects.every((object) => object.cell !== cell));
}

function others<T>(values: readonly T[], but: T): T[] {
  return values.filter((value) => value !== but);
}
