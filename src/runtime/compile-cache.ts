/** Compiled graphs on disk: quantising a model once takes longer than loading it a hundred times. */
import { createHash } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { messageOf, RuntimeError } from "../errors.ts";
import { print, serialize, type Graph } from "../graph/index.ts";
import { engineVersion } from "./session.ts";

/** Raised whenever the quantisers or the writer change what the same graph text stands for. */
const FORMAT = 1;
const MODEL_FILE = "model.onnx";
const DATA_FILE = "weights.bin";
const MANIFEST_FILE = "manifest.json";
/** Left free on the disk beside what a graph needs. */
const SPARE_BYTES = 64 * 2 ** 20;

/** Where and for whom graphs are compiled. */
export interface CompileOptions {
  /** Folder of all compiled graphs. */
  readonly cacheDir: string;
  /** Identity of the weights: a checkpoint's hash. */
  readonly weightsHash: string;
  /** Called as bytes are written. */
  readonly onProgress?: ((writtenBytes: number, totalBytes: number) => void) | undefined;
}

/** `$RGE_CACHE`, else `$XDG_CACHE_HOME/rge`, else `~/.cache/rge`. */
export function defaultCacheDir(): string {
  const { RGE_CACHE: own, XDG_CACHE_HOME: xdg } = process.env;
  // An empty variable counts as none.
  return own || join(xdg || join(homedir(), ".cache"), "rge");
}

/**
 * The path of the graph's model file, written first if the cache lacks it. The key covers the graph's whole text, hence
 * every setting that shapes it, the weights, our format and the engine's version.
 * @throws {RuntimeError} when the disk is full or cannot be written
 */
export function compileGraph(graph: Graph, { cacheDir, weightsHash, onProgress }: CompileOptions): string {
  const identity = [FORMAT, engineVersion(), weightsHash, print(graph)].join("\n");
  const key = createHash("sha256").update(identity).digest("hex").slice(0, 32);
  const folder = join(cacheDir, `${graph.name}-${key}`);
  if (isWhole(folder)) return join(folder, MODEL_FILE);
  try {
    mkdirSync(cacheDir, { recursive: true });
    removeAbandoned(cacheDir);
    write(graph, folder, onProgress);
  } catch (error) {
    throw new RuntimeError(`${cacheDir}: cannot write the compiled graph ${graph.name}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return join(folder, MODEL_FILE);
}

function write(graph: Graph, folder: string, onProgress: CompileOptions["onProgress"]): void {
  const totalBytes = [...graph.initializers.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const temporary = `${folder}.tmp-${process.pid}-${Date.now().toString(36)}`;
  mkdirSync(temporary);
  try {
    const { bavail, bsize } = statfsSync(temporary);
    if (bavail * bsize < totalBytes + SPARE_BYTES)
      throw new RuntimeError(
        `needs ${formatMiB(totalBytes)}, the disk has ${formatMiB(bavail * bsize)} free. Free some, or set RGE_CACHE to a folder on another disk.`,
      );
    const dataBytes = writeModel(graph, temporary, totalBytes, onProgress);
    const modelBytes = statSync(join(temporary, MODEL_FILE)).size;
    writeFileSync(join(temporary, MANIFEST_FILE), JSON.stringify({ modelBytes, dataBytes }));
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    // Another process may have finished the same graph first.
    if (!isWhole(folder)) throw error;
  }
}

function writeModel(
  graph: Graph,
  folder: string,
  totalBytes: number,
  onProgress: CompileOptions["onProgress"],
): number {
  const file = openSync(join(folder, DATA_FILE), "w");
  let written = 0;
  try {
    const append = (bytes: Uint8Array): void => {
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, Math.min(bytes.length - at, 2 ** 28));
      written += bytes.length;
      onProgress?.(Math.min(written, totalBytes), totalBytes);
    };
    writeFileSync(join(folder, MODEL_FILE), serialize(graph, { location: DATA_FILE, append }));
    // The manifest tells sizes only: after a power cut, a file of the right size could be full of zeros.
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return written;
}

/** Whether the folder holds all that its manifest says. */
function isWhole(folder: string): boolean {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, MANIFEST_FILE), "utf8")) as Record<string, unknown>;
    return (
      statSync(join(folder, MODEL_FILE)).size === manifest["modelBytes"] &&
      statSync(join(folder, DATA_FILE)).size === manifest["dataBytes"]
    );
  } catch {
    // Absent or damaged: either way it is written anew.
    return false;
  }
}

/** Removes what processes that are gone left half written. */
function removeAbandoned(cacheDir: string): void {
  for (const name of readdirSync(cacheDir)) {
    const owner = /\.tmp-(\d+)-[a-z0-9]+$/.exec(name)?.[1];
    if (owner !== undefined && !isRunning(Number(owner)))
      rmSync(join(cacheDir, name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function formatMiB(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
