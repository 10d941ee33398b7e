/** MMEB-V2's video datasets as tasks: a video in a text is its frames, a slot each with a line break, in order. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { DatasetError, InputError, messageOf } from "../errors.ts";
import { MAX_FRAMES } from "../input/video-frames.ts";
import { ClipFrames } from "./clip-frames.ts";
import { checkedRow, placeOf } from "./checked-row.ts";
import { DifferentSides } from "./different-sides.ts";
import type { EvalQuery, EvalSide, EvalTask } from "./eval-task.ts";
import { hashFiles } from "./hash-files.ts";
import { firstThere } from "./mvbench.ts";
import { readRows, rowFiles, type FileRow } from "./row-files.ts";
import { VIDEO_DATASETS } from "./video-datasets.ts";
import type { ClipSide, RowContext, SourceFile, VideoDataset } from "./video-row.ts";

/** Where a dataset of videos lies. */
export interface VideoPlaces {
  /** Its rows: a file, or a folder of files. */
  readonly rows: string;
  /** Folder that has a folder of frames for each video. */
  readonly frameRoot: string;
  /** Folder of videos, for those that have no frames. */
  readonly videoRoot?: string | undefined;
}

/** How a dataset of videos is read. */
export interface ReadVideoOptions {
  /** Folder that frames of video files are written into. */
  readonly cacheDir: string;
  /** Of each video, 1 to 64. @default 8, as in VLM2Vec's configurations */
  readonly frames?: number | undefined;
  /** Takes so many rows from the start. @default all that the benchmark takes */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const FRAMES = 8;
/** MVBench's largest file has a few hundred kilobytes. */
const MAX_JSON_BYTES = 64 * 2 ** 20;

/**
 * Where MMEB-V2's `video-tasks` folder, its archives unpacked, has a dataset.
 * @throws {DatasetError} a dataset that has no reader, no rows, or neither frames nor videos
 */
export async function videoPlaces(name: string, root: string): Promise<VideoPlaces> {
  const { rows, folders } = datasetOf(name);
  const found = await firstThere([join(root, "data", rows)]);
  if (found === undefined) throw new DatasetError(`${name}: no rows, expected ${join(root, "data", rows)}`);
  const frames = folders.map((folder) => join(root, "frames", folder));
  const videoRoot = await firstThere(folders.map((folder) => join(root, "videos", folder)));
  const frameRoot = (await firstThere(frames)) ?? (videoRoot === undefined ? undefined : frames[0]!);
  if (frameRoot === undefined)
    throw new DatasetError(
      `${name}: no frames, expected a folder ${frames.join(" or ")}. Unpack the archives of frames.`,
    );
  return { rows: found, frameRoot, videoRoot };
}

/**
 * Reads one of MMEB-V2's video datasets from parquet or JSONL.
 * @param name as the benchmark spells it
 * @throws {InputError} `frames` out of range
 * @throws {DatasetError} a dataset that has no reader, and a row that cannot be evaluated: a figure over fewer rows would
 *   be another figure
 */
export async function readVideoTask(name: string, places: VideoPlaces, options: ReadVideoOptions): Promise<EvalTask> {
  const dataset = datasetOf(name);
  const { cacheDir, frames = FRAMES, signal } = options;
  if (!Number.isInteger(frames) || frames < 1 || frames > MAX_FRAMES)
    throw new InputError(`frames is ${frames}, expected a whole number from 1 to ${MAX_FRAMES}`);
  const limit = Math.min(options.limit ?? Infinity, dataset.take ?? Infinity);
  const { frameRoot, videoRoot } = places;
  const gathered = new Gathered(dataset, new ClipFrames({ frameRoot, videoRoot, cacheDir, frames, signal }));
  const sources = await (dataset.files ?? plainFiles)(places.rows);
  for (const { file, subset } of sources) {
    if (gathered.queries.length >= limit) break;
    for await (const row of rowsOf(file, dataset.fields, signal)) {
      if (gathered.queries.length >= limit) break;
      await checkedRow(row, (value) => gathered.take(placeOf(row), value, subset));
    }
  }
  const { queries, targets } = gathered;
  if (queries.length === 0) throw new DatasetError(`${places.rows}: no rows`);
  const files = sources.map(({ file }) => file);
  return { queries, targets: targets.all, hash: await hashFiles(files, signal) };
}

function datasetOf(name: string): VideoDataset {
  const dataset = Object.hasOwn(VIDEO_DATASETS, name) ? VIDEO_DATASETS[name] : undefined;
  if (dataset !== undefined) return dataset;
  throw new DatasetError(`no reader for ${name}. There are ${Object.keys(VIDEO_DATASETS).join(", ")}.`);
}

async function plainFiles(path: string): Promise<SourceFile[]> {
  return (await rowFiles(path)).map((file) => ({ file, subset: undefined }));
}

/** As `readRows`, and of a file that is one JSON list, as MVBench's are. */
async function* rowsOf(
  file: string,
  columns: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<FileRow, void, void> {
  if (!file.endsWith(".json")) {
    yield* readRows(file, { columns, signal });
    return;
  }
  for (const [i, value] of (await readList(file)).entries()) {
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    if (isObject) yield { file, row: i + 1, value: value as Record<string, unknown>, problem: undefined };
    else yield { file, row: i + 1, value: undefined, problem: "not a JSON object" };
  }
}

async function readList(file: string): Promise<readonly unknown[]> {
  let value: unknown;
  try {
    const { size } = await stat(file);
    if (size > MAX_JSON_BYTES) throw new Error(`${size} bytes, at most ${MAX_JSON_BYTES} are taken`);
    value = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new DatasetError(`${file}: cannot be read (${messageOf(error)})`, { cause: error });
  }
  if (Array.isArray(value)) return value as unknown[];
  throw new DatasetError(`${file}: expected a JSON list of rows`);
}

/** Queries, and the different targets that they have. */
class Gathered {
  readonly queries: EvalQuery[] = [];
  readonly targets: DifferentSides = new DifferentSides();
  readonly #dataset: VideoDataset;
  readonly #frames: ClipFrames;

  constructor(dataset: VideoDataset, frames: ClipFrames) {
    this.#dataset = dataset;
    this.#frames = frames;
    for (const text of dataset.labels ?? []) this.targets.indexOf({ text, images: [] });
  }

  /** @throws {RowError} what is wrong with the row, or with what it names */
  async take(place: string, value: Readonly<Record<string, unknown>>, subset: string | undefined): Promise<void> {
    const context: RowContext = { subset, clipsIn: (name) => this.#frames.clipsIn(name) };
    const { query, candidates, right } = await this.#dataset.read(value, context);
    const indices: number[] = [];
    for (const candidate of candidates) indices.push(this.targets.indexOf(await this.#sideOf(candidate)));
    // Candidates that say the same are one, right if any of them is.
    const own = [...new Set(indices)];
    const rightOnes = new Set(right.map((i) => indices[i]!));
    const all = this.#dataset.candidates === "all";
    this.queries.push({
      place,
      query: await this.#sideOf(query),
      candidates: all ? undefined : own,
      relevance: new Map([...rightOnes].map((index) => [all ? index : own.indexOf(index), 1])),
      rationale: undefined,
    });
  }

  async #sideOf({ text, clip, picture }: ClipSide): Promise<EvalSide> {
    const images = clip !== undefined ? await this.#frames.of(clip) : [];
    const all = picture === undefined ? images : [...images, await this.#frames.picture(picture)];
    return { text: `${all.map((_, i) => `<|image_${i + 1}|>\n`).join("")}${text}`, images: all };
  }
}
