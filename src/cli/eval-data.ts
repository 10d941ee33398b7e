/** The data of an evaluation: a folder, or a dataset on the hub, fetched first. */
import { join, resolve } from "node:path";
import { fetchEvalData } from "../dataset/fetch-eval-data.ts";
import { chosenDatasets, openBenchmark, type Benchmark } from "../eval/benchmark.ts";
import type { BenchmarkDataset } from "../eval/types.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";

/** Folder of frames and of pictures out of parquet within a run's folder. */
const PICTURES_FOLDER = "pictures";

/** Data that are there. */
export interface OpenData {
  readonly benchmark: Benchmark;
  readonly datasets: readonly BenchmarkDataset[];
  /** As the user named them. */
  readonly name: string;
  /** The hub's commit, where they came from there. */
  readonly revision: string | null;
}

/**
 * Opens what `--data` names.
 * @param out the run's folder
 * @throws {HubError} a download that fails
 * @throws {DatasetError} a folder that holds no benchmark, an archive that cannot be unpacked
 * @throws {UsageError} a dataset that is not there
 */
export async function openData(args: Arguments, out: string, context: CommandContext): Promise<OpenData> {
  const { messages, interrupt } = context;
  const name = args.required(
    "data",
    "a folder of MMEB's datasets, one that `rge scenes` wrote, or owner/name on the hub",
  );
  const names = args.text("datasets")?.split(",");
  try {
    const data = await fetchEvalData(name, {
      datasets: names,
      signal: interrupt.signal,
      onNotice: (text) => messages.notice(text),
      onProgress: (progress) => {
        const isDownload = progress.stage === "download";
        messages.progress.update({
          what: isDownload ? `downloading ${progress.file}` : `unpacking ${progress.archive}`,
          done: isDownload ? progress.receivedBytes : progress.doneBytes,
          total: progress.totalBytes,
          unit: "bytes",
        });
      },
    });
    const images = args.text("images");
    const benchmark = await openBenchmark(data.folder, {
      imageRoots: images === undefined ? data.imageRoots : [resolve(images)],
      picturesFolder: join(out, PICTURES_FOLDER),
      frames: args.whole("frames", 1),
    });
    return { benchmark, datasets: chosenDatasets(benchmark, names), name, revision: data.revision ?? null };
  } finally {
    messages.progress.clear();
  }
}
