/** The name under which an item's embedding is kept: whatever decides on its vector is in it. */
import { createHash } from "node:crypto";
import { hashFile } from "../dataset/row-files.ts";
import type { EmbedItem } from "../embed/types.ts";
import { packageVersion } from "../provenance.ts";

/** What is the same for all items of a run. */
export interface KeyBasis {
  /** Identity of checkpoint and adapter. */
  readonly modelHash: string;
  /** Of the files beside the weights. */
  readonly sideHash: string;
  readonly weights: string;
}

/** Raised when the same items come to give other vectors without the package's version changing. */
const FORMAT = 1;

/** Makes keys. Pictures are known by the hash of their bytes, taken once per path. */
export class ItemKeys {
  readonly #basis: string;
  readonly #hashes = new Map<string, Promise<string>>();

  constructor({ modelHash, sideHash, weights }: KeyBasis) {
    this.#basis = JSON.stringify(["rge eval", FORMAT, packageVersion(), modelHash, sideHash, weights]);
  }

  /**
   * The key of an item whose images are paths.
   * @throws {DatasetError} a picture that cannot be read
   */
  async keyOf(item: EmbedItem): Promise<string> {
    const { role, text, images = [], minPixels, maxPixels, minSide, reason, rationale } = item;
    const hashes = await Promise.all(images.map((image) => this.#hashOf(image as string)));
    const decoding = typeof reason === "object" ? Object.entries(reason).sort(([a], [b]) => (a < b ? -1 : 1)) : reason;
    const parts = [this.#basis, role, text, hashes, minPixels, maxPixels, minSide, decoding, rationale];
    return createHash("sha256")
      .update(JSON.stringify(parts.map((part) => part ?? null)))
      .digest("hex");
  }

  #hashOf(path: string): Promise<string> {
    const hash = this.#hashes.get(path) ?? hashFile(path);
    this.#hashes.set(path, hash);
    return hash;
  }
}
