/**
 * Tensor names across the layouts found on the hub. The canonical ones are those of transformers 5 in memory:
 * `model.language_model.…`, `model.visual.…`, `lm_head.weight`.
 */

/** Prefix on disk to canonical prefix; the first that matches counts. */
const PREFIXES: readonly (readonly [onDisk: string, canonical: string])[] = [
  ["model.language_model.", "model.language_model."],
  ["model.visual.", "model.visual."],
  // Some multimodal wrappers of transformers 4.
  ["language_model.model.", "model.language_model."],
  ["language_model.lm_head.", "lm_head."],
  // What transformers 4 wrote for Qwen2-VL and Qwen2.5-VL.
  ["visual.", "model.visual."],
  ["model.layers.", "model.language_model.layers."],
  ["model.embed_tokens.", "model.language_model.embed_tokens."],
  ["model.norm.", "model.language_model.norm."],
];

/** The canonical form of a name on disk; a name of no known layout stays as it is. */
export function canonicalName(nameOnDisk: string): string {
  for (const [onDisk, canonical] of PREFIXES) {
    if (nameOnDisk.startsWith(onDisk)) return canonical + nameOnDisk.slice(onDisk.length);
  }
  return nameOnDisk;
}

/** The `count` names most like `name`: those with the longest start and end in common with it. */
export function nearestNames(name: string, names: Iterable<string>, count: number): string[] {
  const scored = [...names].map((candidate) => ({ candidate, score: commonEnds(name, candidate) }));
  scored.sort((a, b) => b.score - a.score);
  return scored.slice(0, count).map(({ candidate }) => candidate);
}

/** Share of the longer name that the two have in common at start and end. */
function commonEnds(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start++;
  let end = 0;
  while (end < shorter - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return (start + end) / Math.max(a.length, b.length, 1);
}
