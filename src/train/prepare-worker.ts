/** The worker thread that decodes pictures and tokenises texts ahead of the step that wants them. */
import { parentPort, workerData } from "node:worker_threads";
import type { TrainRow } from "../dataset/train-rows.ts";
import { messageOf } from "../errors.ts";
import { preparePair, type PreparedRow, type PrepareSettings } from "./prepare-pair.ts";
import { openPrompts } from "./training-model.ts";

/** What the worker is started with. */
export interface PrepareWorkerData {
  readonly folder: string;
  readonly settings: PrepareSettings;
}

/** A batch to prepare. */
export interface PrepareRequest {
  readonly id: number;
  readonly rows: readonly TrainRow[];
}

/** The batch, row by row. */
export interface PrepareReply {
  readonly id: number;
  readonly rows: readonly PreparedRow[];
}

const port = parentPort!;
const { folder, settings } = workerData as PrepareWorkerData;
const prompts = openPrompts(folder);

port.on("message", (request: PrepareRequest | "close") => {
  if (request === "close") port.close();
  else void answer(request);
});

async function answer({ id, rows }: PrepareRequest): Promise<void> {
  const prepared = await Promise.all(
    rows.map(async (row): Promise<PreparedRow> => {
      try {
        return { pair: await preparePair(row, prompts, settings) };
      } catch (error) {
        return { place: row.place, reason: messageOf(error) };
      }
    }),
  );
  const pictures = prepared.flatMap((row) => {
    if (!("pair" in row)) return [];
    const { query, target, negatives } = row.pair;
    const sides = [query, ...(target === undefined ? [] : [target]), ...negatives];
    return sides.flatMap(({ images }) => images.map(({ patches }) => patches.buffer));
  });
  const reply: PrepareReply = { id, rows: prepared };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
  port.postMessage(reply, [...new Set(pictures)] as ArrayBuffer[]);
}
