/** What a rationale says, whatever its wording. */
import { NUMBERS } from "./wording.ts";
import { BACKGROUNDS, COLOURS, DIRECTIONS, FILLS, PLACES, SHAPES, SIZES, SYMBOLS } from "./world.ts";

const NAMES: readonly (readonly string[])[] = [
  COLOURS,
  SHAPES,
  SIZES,
  FILLS,
  BACKGROUNDS,
  DIRECTIONS,
  NUMBERS,
  SYMBOLS,
  PLACES.flatMap((place) => place.split(" ")),
  ["none"],
];
const CONTENT_WORDS: ReadonlySet<string> = new Set(NAMES.flat().map((word) => word.toLowerCase()));

/** Words for things, looks, places, numbers and symbols, in their order. */
function contentWords(text: string): string[] {
  return (text.toLowerCase().match(/[a-z]+|\d/g) ?? []).filter((word) => CONTENT_WORDS.has(word));
}

/** Whether two rationales say the same things in the same order. */
export function saysTheSame(rationale: string, oracle: string): boolean {
  const [a, b] = [contentWords(rationale), contentWords(oracle)];
  return a.length === b.length && a.every((word, i) => word === b[i]);
}
