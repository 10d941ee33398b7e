/** What the vectors of a collection are to be. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { NANO } from "../checkpoint/nano.ts";
import type { Embedder } from "../embed/embedder.ts";
import { DEFAULT_INSTRUCTION } from "../search/indexer.ts";
import { checkOrigin } from "../store/check.ts";
import type { Collection, Store, VectorOrigin } from "../store/store.ts";

/** As a collection that is there has them; else as given, and where nothing is given as the model does. */
export function originFor(
  model: string,
  { info: { hash, hidden } }: Embedder,
  known: VectorOrigin | undefined,
  given: {
    readonly instruction?: string | undefined;
    readonly minPixels?: number | undefined;
    readonly maxPixels?: number | undefined;
  } = {},
): VectorOrigin {
  return {
    // A folder is found again from wherever the next command is run.
    model: model !== NANO && existsSync(model) ? resolve(model) : model,
    modelHash: hash,
    instruction: given.instruction ?? known?.instruction ?? DEFAULT_INSTRUCTION,
    minPixels: given.minPixels ?? known?.minPixels ?? null,
    maxPixels: given.maxPixels ?? known?.maxPixels ?? null,
    dimension: hidden,
  };
}

/**
 * The collection of that name, made where it is not there.
 * @param known origin of the one that is there
 * @throws {StoreError} vectors of another origin
 */
export async function collectionFor(
  store: Store,
  name: string,
  origin: VectorOrigin,
  known: VectorOrigin | undefined,
): Promise<Collection> {
  if (known === undefined) return await store.create(name, origin);
  checkOrigin(name, known, origin);
  return await store.open(name);
}
