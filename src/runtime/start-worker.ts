import { Worker } from "node:worker_threads";

/**
 * Starts a worker thread.
 * @param source the worker's file as it is called among the sources, ending in `.ts`
 */
export function startWorker(source: URL, workerData: unknown): Worker {
  // Sources run as TypeScript, the published package as JavaScript.
  const entry = import.meta.url.endsWith(".ts") ? source : new URL(source.href.replace(/\.ts$/, ".js"));
  // A worker takes over the options of `node --input-type=module -e ...`, and refuses to run a file with them.
  const isTyped = process.execArgv.some((option) => option.startsWith("--input-type"));
  return new Worker(entry, { workerData, ...(isTyped && { execArgv: [] }) });
}
