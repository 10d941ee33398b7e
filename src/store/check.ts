/** What every store refuses. */
import { StoreError } from "../errors.ts";
import type { ColumnType } from "./filter.ts";
import type { Metadata, StoredItem, VectorOrigin } from "./store.ts";

/** Collections become files and tables. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const MAX_ID_CHARS = 4096;
const MAX_TEXT_CHARS = 1_000_000;
const MAX_METADATA_KEYS = 64;
const KEY = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
/** How far a vector's length may be from 1: rounding of float32, and no more. */
const LENGTH_TOLERANCE = 1e-3;

/** @throws {StoreError} a name that is none */
export function checkName(name: string): void {
  if (!NAME.test(name))
    throw new StoreError(
      `${JSON.stringify(name.slice(0, 80))} is no name of a collection: letters, digits, - and _, at most 64, a letter or digit first`,
    );
}

/** @throws {StoreError} what `Collection.upsert` says, but for types of metadata, which only the collection knows */
export function checkItems(items: readonly StoredItem[], dimension: number): void {
  const ids = new Set<string>();
  for (const { id, vector, text, metadata } of items) {
    const refuse = (problem: string): never => {
      throw new StoreError(`item ${JSON.stringify(id.slice(0, 80))}: ${problem}`);
    };
    if (id === "" || id.length > MAX_ID_CHARS) refuse(`an id has 1 to ${MAX_ID_CHARS} characters`);
    if (ids.has(id)) refuse("is there twice");
    ids.add(id);
    if (text.length > MAX_TEXT_CHARS)
      refuse(`a text of ${text.length} characters, at most ${MAX_TEXT_CHARS} are taken`);
    if (vector.length !== dimension) refuse(`a vector of ${vector.length} numbers, the collection's have ${dimension}`);
    const length = Math.hypot(...vector);
    if (!(Math.abs(length - 1) < LENGTH_TOLERANCE)) refuse(`a vector of length ${length.toPrecision(4)}, expected 1`);
    const problem = metadataProblem(metadata);
    if (problem !== undefined) refuse(problem);
  }
}

function metadataProblem(metadata: Metadata): string | undefined {
  const entries = Object.entries(metadata);
  if (entries.length > MAX_METADATA_KEYS) return `${entries.length} metadata keys, at most ${MAX_METADATA_KEYS}`;
  for (const [key, value] of entries) {
    if (!KEY.test(key))
      return `metadata key ${JSON.stringify(key.slice(0, 80))}: letters, digits and _, no digit first`;
    const isValue = typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
    if (!isValue) return `metadata ${key}: expected a string, a finite number or a boolean`;
  }
  return undefined;
}

/**
 * Types of metadata by key, those of `items` added to those known; a key's type is that of its first value.
 * @throws {StoreError} a value of another type than its key has
 */
export function withTypesOf(
  items: readonly StoredItem[],
  known: ReadonlyMap<string, ColumnType>,
): Map<string, ColumnType> {
  const types = new Map(known);
  for (const { id, metadata } of items)
    for (const [key, value] of Object.entries(metadata)) {
      const type = typeof value as ColumnType;
      const first = types.get(key) ?? type;
      if (first !== type)
        throw new StoreError(`item ${JSON.stringify(id)}: metadata ${key} is a ${type}, in this collection a ${first}`);
      types.set(key, type);
    }
  return types;
}

/**
 * Vectors of two origins cannot be compared.
 * @throws {StoreError} what differs, and what to do
 */
export function checkOrigin(name: string, stored: VectorOrigin, wanted: VectorOrigin): void {
  const keys = ["modelHash", "instruction", "minPixels", "maxPixels", "dimension"] as const;
  const different = keys.filter((key) => stored[key] !== wanted[key]);
  if (different.length === 0) return;
  const shown = different.map((key) => `${key} ${JSON.stringify(stored[key])}, now ${JSON.stringify(wanted[key])}`);
  throw new StoreError(
    `collection ${name} holds vectors made otherwise (${stored.model}: ${shown.join("; ")}). Index it anew: \`rge index --collection ${name} --rebuild\`.`,
  );
}
