/** The one table of Scenes' datasets. */
import type { SceneDataset } from "./task.ts";
import {
  background,
  BACKGROUND_LABELS,
  count,
  COUNT_LABELS,
  dominant,
  KIND_LABELS,
  symbol,
  SYMBOL_LABELS,
} from "./tasks/classification.ts";
import { hopCrop, referring } from "./tasks/grounding.ts";
import { captionToImage, described, imageToCaption, reached } from "./tasks/retrieval.ts";
import { attribute, ATTRIBUTE_LABELS, compare, countIf, COUNT_IF_LABELS, hops } from "./tasks/vqa.ts";

const cls = { metaTask: "classification" } as const;
const vqa = { metaTask: "vqa" } as const;
const ret = { metaTask: "retrieval" } as const;
const grd = { metaTask: "grounding" } as const;
const ind = { ood: false } as const;
const ood = { ood: true } as const;
const novel = { ood: true, novel: true } as const;

/** In-distribution datasets are trained on; those marked `ood` have what training never shows, and are for evaluation only. */
export const SCENE_DATASETS: readonly SceneDataset[] = [
  { name: "Background", ...cls, ...ind, hops: 0, labels: BACKGROUND_LABELS, make: background },
  { name: "Symbol", ...cls, ...ind, hops: 0, labels: SYMBOL_LABELS, make: symbol },
  { name: "Count", ...cls, ...ind, hops: 1, labels: COUNT_LABELS, make: count },
  { name: "Dominant", ...cls, ...ind, hops: 2, labels: KIND_LABELS, make: dominant },
  { name: "Attribute", ...vqa, ...ind, hops: 0, labels: ATTRIBUTE_LABELS, make: attribute },
  { name: "OneHop", ...vqa, ...ind, hops: 1, make: hops(1, "trained") },
  { name: "TwoHop", ...vqa, ...ind, hops: 2, make: hops(2, "trained") },
  { name: "ThreeHop", ...vqa, ...ind, hops: 3, make: hops(3, "trained") },
  { name: "CountIf", ...vqa, ...ind, hops: 1, labels: COUNT_IF_LABELS, make: countIf(1) },
  { name: "Compare", ...vqa, ...ind, hops: 2, labels: KIND_LABELS, make: compare },
  { name: "CaptionToImage", ...ret, ...ind, hops: 0, make: captionToImage },
  { name: "ImageToCaption", ...ret, ...ind, hops: 0, make: imageToCaption },
  { name: "Change", ...ret, ...ind, hops: 2, make: described([1, 2]) },
  { name: "Reached", ...ret, ...ind, hops: 2, make: reached },
  { name: "Referring", ...grd, ...ind, hops: 0, make: referring },
  { name: "OneHopCrop", ...grd, ...ind, hops: 1, make: hopCrop(1, "trained") },
  { name: "TwoHopCrop", ...grd, ...ind, hops: 2, make: hopCrop(2, "trained") },
  // Combinations of shape and colour, or of symbol and colour, and wordings.
  { name: "DominantNovel", ...cls, ...novel, hops: 2, labels: KIND_LABELS, make: dominant },
  { name: "SymbolNovel", ...cls, ...novel, hops: 0, labels: SYMBOL_LABELS, make: symbol },
  { name: "AttributeNovel", ...vqa, ...novel, hops: 0, labels: ATTRIBUTE_LABELS, make: attribute },
  { name: "CaptionToImageNovel", ...ret, ...novel, hops: 0, make: captionToImage },
  { name: "ReferringNovel", ...grd, ...novel, hops: 0, make: referring },
  // Relations that training never joins: "above the object left of".
  { name: "TwoHopNovel", ...vqa, ...ood, hops: 2, make: hops(2, "relations") },
  { name: "TwoHopCropNovel", ...grd, ...ood, hops: 2, make: hopCrop(2, "relations") },
  // One more of something: a step than any question of training, a step than any crop of training, a condition, a change.
  { name: "FourHop", ...vqa, ...ood, hops: 4, make: hops(4, "any") },
  { name: "ThreeHopCrop", ...grd, ...ood, hops: 3, make: hopCrop(3, "any") },
  { name: "CountBoth", ...vqa, ...ood, hops: 2, labels: COUNT_IF_LABELS, make: countIf(2) },
  { name: "ChangeThree", ...ret, ...ood, hops: 3, make: described([3]) },
];
