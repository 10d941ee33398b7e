/** Which safetensors files make up a model folder, and which of them holds which tensor. */
import { existsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import * as z from "zod";
import { CheckpointError } from "../errors.ts";
import { readJsonFile } from "../json.ts";
import { quoted } from "./quoted.ts";
import { SafetensorsFile, type TensorEntry } from "./safetensors.ts";
import { canonicalName } from "./tensor-names.ts";

/** Name of the weights file of a model that is not sharded. */
export const SINGLE_FILE = "model.safetensors";
/** Name of the list of shards. */
export const INDEX_FILE = "model.safetensors.index.json";

/** Largest index accepted, in bytes; that of a 700-billion-parameter model with 90,000 tensors has 9 MB. */
const MAX_INDEX_BYTES = 64 * 1024 * 1024;

/** Most shards accepted, all open at once; the same 700-billion model has 163. */
const MAX_SHARDS = 1000;

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** A tensor and the open file that holds it. */
export interface StoredTensor {
  readonly file: SafetensorsFile;
  readonly entry: TensorEntry;
}

/** Whether `folder` holds a model's weights as safetensors. */
export function hasWeights(folder: string): boolean {
  return existsSync(join(folder, SINGLE_FILE)) || existsSync(join(folder, INDEX_FILE));
}

/**
 * The shards that an index names, each once, in alphabetical order.
 * @throws {CheckpointError} an index that is not one, names a file outside its folder, or names too many
 */
export function readShardNames(indexPath: string): string[] {
  return [...new Set(Object.values(readIndex(indexPath)))].sort();
}

/**
 * Opens every weights file of `folder`.
 * @returns the files, which the caller closes, and every tensor by its canonical name
 * @throws {CheckpointError} no weights, a missing shard, a tensor that its shard lacks, two tensors of one name
 */
export function openWeights(folder: string): { files: SafetensorsFile[]; tensors: Map<string, StoredTensor> } {
  const single = join(folder, SINGLE_FILE);
  const indexPath = join(folder, INDEX_FILE);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new CheckpointError(`${folder}: no such folder. Give a model folder, or download it with \`rge pull\`.`);
  }
  if (existsSync(single)) return openAll([single], () => undefined);
  if (!existsSync(indexPath)) {
    const hint = existsSync(join(folder, "pytorch_model.bin")) ? " Convert pytorch_model.bin to safetensors." : "";
    throw new CheckpointError(`${folder}: neither ${SINGLE_FILE} nor ${INDEX_FILE} in this folder.${hint}`);
  }
  const weightMap = readIndex(indexPath);
  const paths = [...new Set(Object.values(weightMap))].sort().map((shard) => join(folder, shard));
  for (const path of paths) {
    if (!existsSync(path)) {
      throw new CheckpointError(`${path}: shard missing, ${INDEX_FILE} names it. Run \`rge pull\` again.`);
    }
  }
  const opened = openAll(paths, (name) => (Object.hasOwn(weightMap, name) ? weightMap[name] : undefined));
  try {
    for (const [name, shard] of Object.entries(weightMap)) {
      if (!opened.tensors.has(canonicalName(name))) {
        throw new CheckpointError(
          `${join(folder, shard)}: lacks ${quoted(name)}, which ${INDEX_FILE} places there. Index and shards are of different saves: download both again.`,
        );
      }
    }
    return opened;
  } catch (error) {
    for (const file of opened.files) file.close();
    throw error;
  }
}

/** @param shardOf the shard that a tensor belongs in, `undefined` when any will do; copies elsewhere are passed over */
function openAll(
  paths: readonly string[],
  shardOf: (name: string) => string | undefined,
): { files: SafetensorsFile[]; tensors: Map<string, StoredTensor> } {
  const files: SafetensorsFile[] = [];
  const tensors = new Map<string, StoredTensor>();
  try {
    for (const path of paths) {
      const file = SafetensorsFile.open(path);
      files.push(file);
      for (const entry of file.entries.values()) {
        if ((shardOf(entry.name) ?? basename(path)) !== basename(path)) continue;
        const name = canonicalName(entry.name);
        const other = tensors.get(name);
        if (other) {
          throw new CheckpointError(
            `${path}: ${quoted(entry.name)} is a second ${quoted(name)}, after ${quoted(other.entry.name)} in ${other.file.path}. Keep one of them.`,
          );
        }
        tensors.set(name, { file, entry });
      }
    }
    return { files, tensors };
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}

function readIndex(indexPath: string): Record<string, string> {
  const parsed = indexSchema.safeParse(readJsonFile(indexPath, { maxBytes: MAX_INDEX_BYTES }));
  if (!parsed.success) {
    throw new CheckpointError(
      `${indexPath}: expected a "weight_map" from tensor names to file names. Download it again.`,
    );
  }
  const shards = new Set(Object.values(parsed.data.weight_map));
  for (const shard of shards) {
    // A plain name in the index's own folder: no separator of any system, no drive, no hidden file.
    if (!/^[\w-][\w.-]*\.safetensors$/.test(shard)) {
      throw new CheckpointError(
        `${indexPath}: shard ${quoted(shard)} is no plain .safetensors name in the index's own folder. The file is damaged or hostile.`,
      );
    }
  }
  if (shards.size === 0 || shards.size > MAX_SHARDS) {
    throw new CheckpointError(`${indexPath}: names ${shards.size} shards, expected 1 to ${MAX_SHARDS}.`);
  }
  return parsed.data.weight_map;
}
