/** Benchmarks as they lie in a folder: which datasets there are, how they are read, how their items are embedded. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readBeirTask } from "../dataset/beir-task.ts";
import { readEvalTask } from "../dataset/eval-rows.ts";
import type { EvalTask } from "../dataset/eval-task.ts";
import { countRows, rowFiles } from "../dataset/row-files.ts";
import { readVideoTask, videoPlaces } from "../dataset/video-task.ts";
import { DatasetError, UsageError } from "../errors.ts";
import { DEFAULT_QUERY_RULES, DEFAULT_TARGET_RULES } from "./default-rules.ts";
import { MMEB, MMEB_V2 } from "./mmeb.ts";
import { NO_RULES, type RuleSet } from "./rules.ts";
import { readScenes, SCENES_FILE } from "./scenes-folder.ts";
import type { BenchmarkDataset, EvalResults, EvalSettings, Modality } from "./types.ts";

/** What holds for a benchmark unless the user says otherwise. */
export interface BenchmarkDefaults extends Omit<EvalSettings, "weights" | "repetitionPenalty"> {
  readonly queryRules: RuleSet;
  readonly targetRules: RuleSet;
}

/** How a dataset is read. */
interface ReadDatasetOptions {
  /** Queries, from the first. @default all */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A benchmark in a folder. */
export interface Benchmark {
  readonly name: EvalResults["benchmark"];
  /** Those that are there, in the benchmark's order. */
  readonly datasets: readonly BenchmarkDataset[];
  /** Names of those that are not there. */
  readonly missing: readonly string[];
  readonly defaults: BenchmarkDefaults;
  /** @throws {DatasetError} a row that cannot be evaluated */
  readonly read: (dataset: BenchmarkDataset, options?: ReadDatasetOptions) => Promise<EvalTask>;
  /** About how many queries a dataset has, without reading it. */
  readonly count: (dataset: BenchmarkDataset) => Promise<number>;
}

/** RGE's evaluation: 256 to 1,024 image tokens, sides of 28 pixels at least, rationales of at most 128 tokens. */
const MMEB_DEFAULTS: BenchmarkDefaults = {
  minPixels: 256 * 28 ** 2,
  maxPixels: 1024 * 28 ** 2,
  minSide: 28,
  maxNewTokens: 128,
  onBudget: "pool-last",
  queryRules: DEFAULT_QUERY_RULES,
  targetRules: DEFAULT_TARGET_RULES,
};
/** Most datasets have so many queries. */
const TYPICAL_QUERIES = 1000;
/** Pictures as they were drawn; where a budget runs out, a state that nano's training knows. */
const SCENES_DEFAULTS: BenchmarkDefaults = {
  minPixels: null,
  maxPixels: null,
  minSide: null,
  maxNewTokens: 64,
  onBudget: "force-emb",
  queryRules: NO_RULES,
  targetRules: NO_RULES,
};

/** Where a benchmark's parts lie. */
export interface OpenBenchmarkOptions {
  /** Folders that image paths are relative to. @default the folder, and `images` in it */
  readonly imageRoots?: readonly string[] | undefined;
  /** Folder for frames of videos and for pictures out of parquet. */
  readonly picturesFolder: string;
  /** Frames of each video. @default 8 */
  readonly frames?: number | undefined;
}

/** Folders in which MMEB-V2 has its datasets; by them it is known. */
const V2_FOLDERS: Readonly<Record<Modality, string>> = {
  image: "image-tasks",
  video: "video-tasks",
  visdoc: "visdoc-tasks",
};

/**
 * The benchmark that a folder holds: Scenes where `rge scenes` wrote it, MMEB-V2 where it has `image-tasks`,
 * `video-tasks` or `visdoc-tasks`, else MMEB with a folder for each dataset.
 * @throws {DatasetError} a folder that holds none of them
 */
export async function openBenchmark(folder: string, options: OpenBenchmarkOptions): Promise<Benchmark> {
  if (existsSync(join(folder, SCENES_FILE))) return openScenes(folder);
  const isV2 = Object.values(V2_FOLDERS).some((name) => existsSync(join(folder, name)));
  const pathOf = ({ name, modality }: BenchmarkDataset): string =>
    isV2 ? join(folder, V2_FOLDERS[modality], name) : join(folder, name);
  const roots = [
    ...(options.imageRoots ?? [folder, join(folder, "images")]),
    ...(isV2 ? [join(folder, V2_FOLDERS.image)] : []),
  ];
  const table = isV2 ? MMEB_V2 : MMEB;
  const datasets: BenchmarkDataset[] = [];
  for (const dataset of table) {
    // Where a dataset of videos lies, its own table says.
    const isThere =
      dataset.modality === "video"
        ? await hasVideos(dataset.name, join(folder, V2_FOLDERS.video))
        : existsSync(pathOf(dataset));
    if (isThere) datasets.push(dataset);
  }
  if (datasets.length === 0)
    throw new DatasetError(
      `${folder}: no dataset of MMEB in it. Expected folders such as ${join(folder, MMEB[0]!.name)} with parquet or JSONL files in them.`,
    );
  const cacheDir = options.picturesFolder;
  return {
    name: isV2 ? "mmeb-v2" : "mmeb",
    datasets,
    missing: table.filter((dataset) => !datasets.includes(dataset)).map(({ name }) => name),
    defaults: MMEB_DEFAULTS,
    read: async (dataset, { limit, signal } = {}) => {
      const path = pathOf(dataset);
      if (dataset.modality === "visdoc") return await readBeirTask(path, { cacheDir, limit, signal });
      if (dataset.modality === "image") return await readEvalTask(path, { imageRoots: roots, limit, signal });
      const places = await videoPlaces(dataset.name, join(folder, V2_FOLDERS.video));
      return await readVideoTask(dataset.name, places, { cacheDir, frames: options.frames, limit, signal });
    },
    count: async (dataset) => (dataset.modality === "image" ? await countFolder(pathOf(dataset)) : TYPICAL_QUERIES),
  };
}

async function hasVideos(name: string, root: string): Promise<boolean> {
  try {
    await videoPlaces(name, root);
    return true;
  } catch (error) {
    if (error instanceof DatasetError) return false;
    throw error;
  }
}

function openScenes(folder: string): Benchmark {
  const path = (name: string): string => join(folder, "eval", name);
  return {
    name: "scenes",
    datasets: readScenes(folder).datasets.map(({ name, metaTask, ood }) => ({
      name,
      modality: "image",
      metaTask,
      ood,
      metric: "hit@1",
    })),
    missing: [],
    defaults: SCENES_DEFAULTS,
    read: ({ name }, options) => readEvalTask(path(name), { imageRoots: [folder], ...options }),
    count: ({ name }) => countFolder(path(name)),
  };
}

async function countFolder(path: string): Promise<number> {
  const counts = await Promise.all((await rowFiles(path)).map((file) => countRows(file)));
  return counts.reduce((sum, count) => sum + count, 0);
}

/**
 * The datasets with these names, in the benchmark's order.
 * @throws {UsageError} a name that is not there
 */
export function chosenDatasets<T extends { readonly name: string }>(
  { datasets, missing }: { readonly datasets: readonly T[]; readonly missing: readonly string[] },
  names: readonly string[] | undefined,
): readonly T[] {
  if (names === undefined) return datasets;
  for (const name of names)
    if (!datasets.some((it) => it.name === name))
      throw new UsageError(
        missing.includes(name)
          ? `the data has no folder ${name}`
          : `there is no dataset ${name}; there are ${datasets.map((it) => it.name).join(", ")}`,
      );
  return datasets.filter(({ name }) => names.includes(name));
}
