/** What a dataset of Scenes is, and what it is made with. */
import type { Random } from "../random.ts";
import type { SceneKind } from "./sample.ts";
import type { Scene, SceneObject, Split } from "./world.ts";

/** MMEB's four meta-tasks. */
export const META_TASKS = ["classification", "vqa", "retrieval", "grounding"] as const;
export type MetaTask = (typeof META_TASKS)[number];

/** A picture of a scene, or the window about one of its objects. */
export interface Picture {
  readonly scene: Scene;
  readonly crop?: SceneObject;
}

/** A text, with a picture where there is a slot for one. */
export interface ExampleSide {
  readonly text: string;
  readonly picture?: Picture;
}

/** A query with what it is to find. */
export interface Example {
  readonly query: ExampleSide;
  readonly gold: ExampleSide;
  /** Wrong in one thing; the hardest first. */
  readonly hard: readonly ExampleSide[];
  /** How the query leads to the gold: what is seen, the step of inference, what should match. */
  readonly rationale: string;
}

/** What an example is made with. */
export interface Source {
  readonly split: Split;
  readonly random: Random;
  /** Whether wordings, and combinations of looks, are those that training keeps out. */
  readonly novel: boolean;
  /** A scene that this dataset has not had; datasets share pictures where their kinds are the same. */
  readonly scene: (kind: SceneKind) => Scene;
}

/** A dataset. */
export interface SceneDataset {
  readonly name: string;
  readonly metaTask: MetaTask;
  /** Out of distribution: for evaluation only. */
  readonly ood: boolean;
  /** Held-out combinations of looks in every scene, and wordings of their own. */
  readonly novel?: boolean;
  /** Steps of inference between what is asked and what is found, as far as one number tells; 0 reads off. */
  readonly hops: number;
  /** Every label, where they are few: all are candidates. */
  readonly labels?: readonly string[];
  /** An example, or `undefined` where the scene that came up allows none. */
  readonly make: (source: Source) => Example | undefined;
}

export const IMAGE_SLOT = "<|image_1|>\n";

/** A question about a picture. */
export function about(scene: Scene, question: string): ExampleSide {
  return { text: `${IMAGE_SLOT}${question}`, picture: { scene } };
}

/** A picture as something to be found. */
export function wholePicture(scene: Scene): ExampleSide {
  return { text: `${IMAGE_SLOT}Represent the given image.`, picture: { scene } };
}

/** A crop as something to be found. */
export function cropOf(scene: Scene, object: SceneObject): ExampleSide {
  return { text: `${IMAGE_SLOT}Represent the given cropped image.`, picture: { scene, crop: object } };
}

/** A text as something to be found. */
export function answer(text: string): ExampleSide {
  return { text };
}
