/**
 * A reasoned match with nano, the model that comes with the package: a picture and a question are embedded after a
 * rationale, each candidate directly, and the nearest candidate is the answer.
 *
 *   node examples/match.ts
 */
import { join } from "node:path";
import { Embedder, type EmbedItem } from "../src/index.ts";

const PICTURES = join(import.meta.dirname, "pictures");

/** Questions about the pictures, each with candidates: texts, or files of pictures. */
const QUESTIONS = [
  {
    image: "scene.png",
    text: "What is the object above the object left of the red moon?",
    candidates: ["cyan heart", "blue cross", "yellow square", "yellow heart", "red moon"],
  },
  {
    image: "scene.png",
    text: "Find this image with changes: make the cyan heart pink.",
    candidates: ["changed-1.png", "changed-2.png", "changed-3.png", "changed-4.png"],
  },
] as const;

/** A text or a picture as something to be found; texts end in a line break, as in training. */
function targetOf(candidate: string): EmbedItem {
  if (!candidate.endsWith(".png")) return { role: "target", text: `${candidate}\n` };
  return { role: "target", text: "<|image_1|>\nRepresent the given image.\n", images: [join(PICTURES, candidate)] };
}

await using rge = await Embedder.load("nano", { weights: "fp32" });
for (const { image, text, candidates } of QUESTIONS) {
  const query: EmbedItem = { role: "query", text: `<|image_1|>\n${text}\n`, images: [join(PICTURES, image)] };
  const [asked, ...found] = await rge.embed([query, ...candidates.map(targetOf)]);
  console.log(`${image}: ${text}`);
  console.log(`  rationale  ${asked!.rationale}`);
  const ranked = candidates
    .map((name, i) => ({ name, score: dot(asked!.embedding, found[i]!.embedding) }))
    .sort((a, b) => b.score - a.score);
  for (const { name, score } of ranked) console.log(`  ${score.toFixed(3).padStart(6)}  ${name}`);
}

/** Cosine, as both have length 1. */
function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}
