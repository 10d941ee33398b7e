/** Scenes as files in MMEB's layout: JSONL for training, parquet for evaluation, pictures beside them. */
import { createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { parquetWriteBuffer } from "hyparquet-writer";
import { SCENE_DATASETS } from "./datasets.ts";
import { PictureFiles } from "./pictures.ts";
import { previewHtml, type PreviewRow } from "./preview.ts";
import { candidatesOf, examplesOf, ScenePool } from "./rows.ts";
import type { Example, ExampleSide, SceneDataset } from "./task.ts";
import type { Split } from "./world.ts";

/** What is to be written. */
export interface ScenesOptions {
  /** Rows of each training dataset; 0 writes none. */
  readonly train: number;
  /** Queries of each evaluation dataset; 0 writes none. */
  readonly eval: number;
  readonly seed: number;
  /** Writes `preview.html` as well. */
  readonly preview: boolean;
  readonly signal: AbortSignal;
  /** Told about once in 500 rows. */
  readonly onProgress?: ((done: number, total: number, note: string) => void) | undefined;
}

/** What was written. */
export interface ScenesCounts {
  readonly trainRows: number;
  readonly evalRows: number;
  readonly pictures: number;
}

/** Hard negatives of a training row: pictures cost a pass of the tower each, crops and texts little. */
const NEGATIVES = 2;
const ROWS_AT_A_TIME = 500;
const PREVIEW_ROWS = 6;

/**
 * Writes the benchmark into a folder: `train/NAME.jsonl`, `eval/NAME/test-00000-of-00001.parquet`, `images/`, and
 * `scenes.json`, which says how it was made. The same options give the same files.
 */
export async function writeScenes(root: string, options: ScenesOptions): Promise<ScenesCounts> {
  const { train, eval: evalCount, seed, signal } = options;
  const trained = SCENE_DATASETS.filter(({ ood }) => !ood);
  const total = train * trained.length + evalCount * SCENE_DATASETS.length;
  let done = 0;
  const step = (count: number, note: string): void => {
    done += count;
    options.onProgress?.(done, total, note);
  };
  const previews = new Map<string, PreviewRow[]>();
  const keep = (name: string, rows: readonly PreviewRow[]): void => {
    const kept = previews.get(name) ?? [];
    previews.set(name, [...kept, ...rows].slice(0, PREVIEW_ROWS));
  };
  let pictures = 0;
  const splits: readonly [Split, number, readonly SceneDataset[]][] = [
    ["train", train, trained],
    ["eval", evalCount, SCENE_DATASETS],
  ];
  for (const [split, count, datasets] of splits) {
    if (count === 0) continue;
    const pool = new ScenePool(split, seed);
    const files = new PictureFiles(root, `images/${split}`);
    mkdirSync(join(root, split), { recursive: true });
    for (const dataset of datasets) {
      const examples = examplesOf(dataset, count, pool, { split, seed });
      const wanted = { dataset, files, seed, signal, step, keep };
      await (split === "train" ? writeTrain(root, examples, wanted) : writeEval(root, [...examples], wanted));
    }
    pictures += files.count;
  }
  const made = { train, eval: evalCount, seed };
  writeFileSync(join(root, "scenes.json"), `${JSON.stringify({ ...made, datasets: tableOf() }, null, 2)}\n`);
  if (options.preview) writeFileSync(join(root, "preview.html"), previewHtml(previews));
  return { trainRows: train * trained.length, evalRows: evalCount * SCENE_DATASETS.length, pictures };
}

/** The datasets as `scenes.json` lists them. */
function tableOf(): Pick<SceneDataset, "name" | "metaTask" | "ood" | "hops">[] {
  return SCENE_DATASETS.map(({ name, metaTask, ood, hops }) => ({ name, metaTask, ood, hops }));
}

interface Writing {
  readonly dataset: SceneDataset;
  readonly files: PictureFiles;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly step: (count: number, note: string) => void;
  readonly keep: (name: string, rows: readonly PreviewRow[]) => void;
}

/** Rows in MMEB-train's fields. */
async function writeTrain(
  root: string,
  examples: Iterable<Example>,
  { dataset, files, signal, step, keep }: Writing,
): Promise<void> {
  const file = createWriteStream(join(root, "train", `${dataset.name}.jsonl`));
  const flush = async (rows: readonly Example[]): Promise<void> => {
    for (const { query, gold, hard, rationale } of rows) {
      const negatives = dataset.labels === undefined && needsNegatives(gold) ? hard.slice(0, NEGATIVES) : [];
      const row = {
        qry: query.text,
        qry_image_path: fileOf(query, files),
        pos_text: gold.text,
        pos_image_path: fileOf(gold, files),
        ...(negatives.length > 0 && {
          neg_text: negatives.map(({ text }) => text),
          neg_image_path: negatives.map((side) => fileOf(side, files)),
        }),
        rationale,
      };
      file.write(`${JSON.stringify(row)}\n`);
    }
    keep(
      dataset.name,
      rows.slice(0, 1).map((row) => previewRow("train", row, row.hard.slice(0, NEGATIVES), files)),
    );
    await files.draw(signal);
    step(rows.length, `train/${dataset.name}`);
  };
  let rows: Example[] = [];
  for (const example of examples) {
    rows.push(example);
    if (rows.length < ROWS_AT_A_TIME) continue;
    await flush(rows);
    rows = [];
  }
  await flush(rows);
  file.end();
  await finished(file);
}

/** One word's answer meets most others in its batch; pictures, crops and captions do not. */
function needsNegatives({ text, picture }: ExampleSide): boolean {
  return picture !== undefined || text.split(" ").length > 3;
}

/** Rows in MMEB-eval's fields, with the oracle's rationale. */
async function writeEval(
  root: string,
  examples: readonly Example[],
  { dataset, files, seed, signal, step, keep }: Writing,
): Promise<void> {
  const candidates = candidatesOf(dataset, examples, seed);
  const sides = (side: (side: ExampleSide) => string): string[][] => candidates.map((row) => row.map(side));
  const bytes = parquetWriteBuffer({
    columnData: [
      { name: "qry_text", data: examples.map(({ query }) => query.text) },
      { name: "qry_img_path", data: examples.map(({ query }) => fileOf(query, files)) },
      { name: "tgt_text", data: sides((side) => side.text) },
      { name: "tgt_img_path", data: sides((side) => fileOf(side, files)) },
      { name: "rationale", data: examples.map(({ rationale }) => rationale) },
    ],
    schema: [
      { name: "root", num_children: 5 },
      ...["qry_text", "qry_img_path"].map(textColumn),
      ...["tgt_text", "tgt_img_path"].flatMap((name) => [
        { name, converted_type: "LIST", repetition_type: "REQUIRED", num_children: 1 } as const,
        { name: "list", repetition_type: "REPEATED", num_children: 1 } as const,
        textColumn("element"),
      ]),
      textColumn("rationale"),
    ],
  });
  const folder = join(root, "eval", dataset.name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "test-00000-of-00001.parquet"), Buffer.from(bytes));
  await files.draw(signal);
  keep(
    dataset.name,
    examples.slice(0, PREVIEW_ROWS).map((row, i) => previewRow("eval", row, candidates[i]!.slice(1), files)),
  );
  step(examples.length, `eval/${dataset.name}`);
}

function textColumn(name: string) {
  return { name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" } as const;
}

function previewRow(
  split: Split,
  { query, gold, rationale }: Example,
  others: readonly ExampleSide[],
  files: PictureFiles,
): PreviewRow {
  const side = (it: ExampleSide) => ({ text: it.text, image: fileOf(it, files) });
  return { split, query: side(query), gold: side(gold), others: others.slice(0, 5).map(side), rationale };
}

/** `""` is MMEB's "no image". */
function fileOf({ picture }: ExampleSide, files: PictureFiles): string {
  return picture === undefined ? "" : files.nameOf(picture);
}
