/** Embeddings that an evaluation has made, on disk, so that it can go on where it stopped. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DatasetError, messageOf } from "../errors.ts";
import { parseJson } from "../json.ts";
import { readLines } from "../lines.ts";
import { statsOf } from "../stats-of.ts";
import { writeWhole } from "../whole-file.ts";

/** What is kept of an item. */
export interface KeptItem {
  /** `[hidden]`, L2 length 1. */
  readonly embedding: Float32Array;
  readonly rationale: string;
  readonly rationaleTokens: number;
  readonly finish: "emb" | "budget" | "direct";
  readonly promptTokens: number;
}

/** Files that a killed process left half written are old by then, in milliseconds. */
const STALE_MS = 24 * 3600 * 1000;
const ENDING = ".jsonl";
/** How far from 1 the length of a vector may be that was written as float32. */
const LENGTH_TOLERANCE = 1e-3;

const lineSchema = z.strictObject({
  key: z.string().regex(/^[0-9a-f]{64}$/),
  embedding: z.base64(),
  rationale: z.string(),
  rationaleTokens: z.int().min(0),
  finish: z.enum(["emb", "budget", "direct"]),
  promptTokens: z.int().min(0),
});

/**
 * Items by key, in memory and, where a folder is given, in its files. What is put together is one file, which appears
 * whole or not at all; several processes may write into one folder, as items of the same key are the same.
 */
export class VectorCache {
  readonly #folder: string | undefined;
  readonly #items = new Map<string, KeptItem>();

  private constructor(folder: string | undefined) {
    this.#folder = folder;
  }

  /** A cache that ends with the process. */
  static inMemory(): VectorCache {
    return new VectorCache(undefined);
  }

  /**
   * Reads what a folder holds; makes it where it is not there.
   * @param hidden length of an embedding
   * @param onDamaged told of files that cannot be used; what they held is embedded again
   * @throws {DatasetError} a folder that cannot be made or read
   */
  static async open(
    folder: string,
    hidden: number,
    onDamaged: (file: string, reason: string) => void,
  ): Promise<VectorCache> {
    const cache = new VectorCache(folder);
    let names: string[];
    try {
      await mkdir(folder, { recursive: true });
      names = await readdir(folder);
    } catch (error) {
      throw new DatasetError(`${folder}: cannot be used for embeddings (${messageOf(error)})`, { cause: error });
    }
    for (const name of names.sort()) {
      const file = join(folder, name);
      if (!name.endsWith(ENDING)) {
        await removeStale(file);
        continue;
      }
      try {
        for (const [key, item] of await readItems(file, hidden)) cache.#items.set(key, item);
      } catch (error) {
        onDamaged(file, messageOf(error));
      }
    }
    return cache;
  }

  get(key: string): KeptItem | undefined {
    return this.#items.get(key);
  }

  /**
   * Keeps items; on return they are on disk.
   * @throws {DatasetError} no room or no rights
   */
  async put(items: ReadonlyMap<string, KeptItem>): Promise<void> {
    if (this.#folder !== undefined) await this.#write(this.#folder, items);
    for (const [key, item] of items) this.#items.set(key, item);
  }

  async #write(folder: string, items: ReadonlyMap<string, KeptItem>): Promise<void> {
    const name = createHash("sha256")
      .update([...items.keys()].join())
      .digest("hex")
      .slice(0, 32);
    try {
      await writeWhole(join(folder, `${name}${ENDING}`), [...items].map(lineOf).join(""), { sync: true });
    } catch (error) {
      throw new DatasetError(`${folder}: embeddings cannot be kept (${messageOf(error)})`, { cause: error });
    }
  }
}

function lineOf([key, { embedding, ...rest }]: [string, KeptItem]): string {
  const bytes = Buffer.from(embedding.buffer, embedding.byteOffset, embedding.byteLength);
  return `${JSON.stringify({ key, embedding: bytes.toString("base64"), ...rest })}\n`;
}

async function readItems(file: string, hidden: number): Promise<Map<string, KeptItem>> {
  const items = new Map<string, KeptItem>();
  for await (const { number, bytes, isWhole } of readLines(createReadStream(file))) {
    if (bytes === undefined || !isWhole) throw new Error(`line ${number} is cut off`);
    const { key, embedding, ...rest } = lineSchema.parse(parseJson(bytes, { where: `line ${number}` }));
    items.set(key, { embedding: vectorOf(embedding, hidden, number), ...rest });
  }
  return items;
}

/** Whether a vector is one that a model gives, not zeros, not NaN. */
export function isUnit(vector: Float32Array): boolean {
  return Math.abs(Math.hypot(...vector) - 1) < LENGTH_TOLERANCE;
}

function vectorOf(base64: string, hidden: number, line: number): Float32Array {
  // A copy: a view on the shared pool of small buffers may start at any byte.
  const vector = new Float32Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer);
  if (vector.length !== hidden)
    throw new Error(`line ${line} has ${vector.length} numbers, the model's embeddings have ${hidden}`);
  if (!isUnit(vector)) throw new Error(`line ${line} has a vector of length ${Math.hypot(...vector)}, expected 1`);
  return vector;
}

async function removeStale(file: string): Promise<void> {
  const stats = await statsOf(file);
  if (stats?.isFile() && Date.now() - stats.mtimeMs > STALE_MS) await rm(file, { force: true });
}
