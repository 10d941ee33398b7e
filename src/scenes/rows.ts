/** Examples as rows of a dataset: whose pictures they share, which candidates they have. */
import { seededRandom, type Random } from "../random.ts";
import { sampleScene, type SceneKind } from "./sample.ts";
import type { Example, ExampleSide, SceneDataset } from "./task.ts";
import { fullName } from "./wording.ts";
import { contentOf, fnv1a, type Scene, type Split } from "./world.ts";

/** Candidates of a query where labels are not few. */
const CANDIDATES = 20;
/** Scenes tried in a row without an example, before a dataset is taken to be wrong. */
const MAX_TRIES = 10_000;

/** Scenes by kind, shared by datasets: each takes them from the first. */
export class ScenePool {
  readonly #split: Split;
  readonly #seed: number;
  readonly #scenes = new Map<string, { random: Random; scenes: Scene[] }>();

  constructor(split: Split, seed: number) {
    this.#split = split;
    this.#seed = seed;
  }

  /** Takes scenes of any kind in their order, from the first. */
  reader(heldOut: boolean): (kind: SceneKind) => Scene {
    const next = new Map<string, number>();
    return (kind) => {
      const key = JSON.stringify([kind, heldOut]);
      const at = next.get(key) ?? 0;
      next.set(key, at + 1);
      let shared = this.#scenes.get(key);
      if (shared === undefined) {
        shared = { random: seededRandom(seedFrom(this.#seed, this.#split, key)), scenes: [] };
        this.#scenes.set(key, shared);
      }
      while (shared.scenes.length <= at) shared.scenes.push(sampleScene(kind, this.#split, heldOut, shared.random));
      return shared.scenes[at]!;
    };
  }
}

/** So many examples of a dataset, one after another. */
export function* examplesOf(
  dataset: SceneDataset,
  count: number,
  pool: ScenePool,
  { split, seed }: { readonly split: Split; readonly seed: number },
): Generator<Example> {
  const random = seededRandom(seedFrom(seed, split, dataset.name));
  const novel = dataset.novel === true;
  const source = { split, random, novel, scene: pool.reader(novel) };
  let tries = 0;
  for (let made = 0; made < count; tries++) {
    if (tries > MAX_TRIES) throw new Error(`internal: ${dataset.name} finds no example in ${MAX_TRIES} scenes`);
    const example = dataset.make(source);
    if (example === undefined) continue;
    tries = 0;
    made++;
    yield example;
  }
}

/**
 * Candidates of each example, its gold first: every label where there are few, else its hard ones and golds of other
 * examples, up to twenty. None means the same as the gold.
 */
export function candidatesOf(dataset: SceneDataset, examples: readonly Example[], seed: number): ExampleSide[][] {
  const random = seededRandom(seedFrom(seed, "candidates", dataset.name));
  return examples.map(({ gold, hard }) => {
    if (dataset.labels !== undefined)
      return [gold, ...dataset.labels.filter((label) => label !== gold.text).map((text) => ({ text }))];
    const chosen = new Map([[meaningOf(gold), gold]]);
    const offer = (side: ExampleSide): void => {
      const meaning = meaningOf(side);
      if (chosen.size < CANDIDATES && !chosen.has(meaning)) chosen.set(meaning, side);
    };
    hard.forEach(offer);
    // Golds of a small set may all mean the same; then there are fewer candidates.
    for (let tries = 0; chosen.size < CANDIDATES && tries < 40 * CANDIDATES; tries++)
      offer(examples[Math.floor(random() * examples.length)]!.gold);
    return [...chosen.values()];
  });
}

/** Equal for candidates between which no query could choose. */
function meaningOf({ text, picture }: ExampleSide): string {
  if (picture === undefined) return text;
  const { scene, crop } = picture;
  if (crop !== undefined) return fullName(crop);
  // A lone object is asked for wherever it stands.
  return scene.objects.length === 1 ? `${fullName(scene.objects[0]!)} on ${scene.background}` : contentOf(scene);
}

function seedFrom(seed: number, ...parts: readonly string[]): number {
  return fnv1a(parts.join("/"), seed ^ 0x811c9dc5) >>> 0;
}
