/** A gallery of scenes to search in, with questions whose answers are in it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { seededRandom } from "../random.ts";
import { SCENE_DATASETS } from "./datasets.ts";
import { PictureFiles } from "./pictures.ts";
import { pickSome } from "./sample.ts";
import { examplesOf, ScenePool } from "./rows.ts";
import { IMAGE_SLOT, type Example, type ExampleSide } from "./task.ts";
import { caption } from "./wording.ts";

/** A question of the gallery. */
export interface GalleryQuestion {
  readonly text: string;
  /** Its picture's file, relative to the gallery. */
  readonly image: string | undefined;
  /** The file that answers it. */
  readonly answer: string;
}

/** What is asked for whole pictures; the last is one change more than any that nano was trained on. */
const DATASETS = ["CaptionToImage", "Change", "Reached", "ChangeThree"];
const QUESTIONS_EACH = 30;
/** Rows that `rge collections calibrate` reads. */
export const QUESTIONS_FILE = "questions.jsonl";
const METADATA_FILE = "metadata.jsonl";

/**
 * Draws pictures of evaluation's side, each question's answer and what is nearly it among them, and writes captions and
 * contents as Hugging Face's imagefolder has them, the questions beside them. The same seed gives the same files.
 * @returns the questions, those of one kind apart from each other
 */
export async function writeGallery(root: string, seed: number, signal: AbortSignal): Promise<GalleryQuestion[]> {
  const pool = new ScenePool("eval", seed);
  const files = new PictureFiles(root, "scenes");
  const random = seededRandom(seed);
  const rows = new Map<string, object>();
  const add = ({ picture }: ExampleSide): string => {
    const { scene } = picture!;
    const file = files.nameOf(picture!);
    if (!rows.has(file))
      rows.set(file, {
        file_name: basename(file),
        caption: caption(scene, pickSome(scene.objects, scene.objects.length, random), random),
        background: scene.background,
        objects: scene.objects.length,
      });
    return file;
  };
  const kinds = DATASETS.map((name) => {
    const dataset = SCENE_DATASETS.find((it) => it.name === name)!;
    return [...examplesOf(dataset, QUESTIONS_EACH, pool, { split: "eval", seed })].map(
      ({ query, gold, hard }: Example): GalleryQuestion => {
        for (const side of hard) add(side);
        const image = query.picture && add(query);
        return { text: query.text.replace(IMAGE_SLOT, ""), image, answer: add(gold) };
      },
    );
  });
  await files.draw(signal);
  for (const folder of new Set([...rows.keys()].map(dirname))) {
    mkdirSync(join(root, folder), { recursive: true });
    const lines = [...rows].filter(([file]) => dirname(file) === folder).map(([, row]) => `${JSON.stringify(row)}\n`);
    writeFileSync(join(root, folder, METADATA_FILE), lines.join(""));
  }
  const questions = Array.from({ length: QUESTIONS_EACH }, (_, i) => kinds.map((kind) => kind[i]!)).flat();
  const known = questions.map(({ text, image, answer }) => `${JSON.stringify({ text, image, right: answer })}\n`);
  writeFileSync(join(root, QUESTIONS_FILE), known.join(""));
  return questions;
}
