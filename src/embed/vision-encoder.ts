import type { PreparedImage } from "../input/image-processor.ts";
import { floats, joinFloats } from "../host-tensor.ts";
import type { VisionTower } from "../models/index.ts";
import type { Runner } from "../runtime/session.ts";

/** Patches in one run: enough for full speed (measured flat from 1024 on), and its activations stay small. */
const RUN_PATCHES = 4096;

/** What an image becomes for the decoder. */
export interface ImageFeatures {
  /** `[tokens, hidden]` */
  readonly embeds: Float32Array;
  /** one `[tokens, hidden]` per early decoder layer that adds it */
  readonly deepstack: readonly Float32Array[];
}

/** Runs a vision tower over images, several at a time where they have equally many patches. */
export class VisionEncoder {
  readonly #session: Runner;
  readonly #tower: VisionTower;
  readonly #hidden: number;

  constructor(session: Runner, tower: VisionTower, hidden: number) {
    this.#session = session;
    this.#tower = tower;
    this.#hidden = hidden;
  }

  /** Features of each image, in order. */
  async encode(images: readonly PreparedImage[]): Promise<ImageFeatures[]> {
    const features: ImageFeatures[] = [];
    const bySize = Map.groupBy(images.keys(), (i) => images[i]!.grid[1] * images[i]!.grid[2]);
    for (const [patches, members] of bySize) {
      const perRun = Math.max(1, Math.floor(RUN_PATCHES / patches));
      for (let start = 0; start < members.length; start += perRun) {
        const chosen = members.slice(start, start + perRun);
        const encoded = await this.#run(chosen.map((i) => images[i]!));
        chosen.forEach((image, i) => (features[image] = encoded[i]!));
      }
    }
    return features;
  }

  async #run(images: readonly PreparedImage[]): Promise<ImageFeatures[]> {
    const columns = images[0]!.patches.length / (images[0]!.grid[1] * images[0]!.grid[2]);
    const joined = joinFloats(images.map(({ patches }) => patches));
    const deepstackNames = Array.from({ length: this.#tower.deepstackCount }, (_, i) => `deepstack.${i}`);
    const outputs = await this.#session.run(
      {
        patches: floats(joined, [joined.length / columns, columns]),
        ...this.#tower.feeds(images.map(({ grid }) => grid)),
      },
      ["embeds", ...deepstackNames],
    );
    const size = images[0]!.tokens * this.#hidden;
    const part = (name: string, i: number): Float32Array =>
      (outputs[name]!.data as Float32Array).subarray(i * size, (i + 1) * size);
    return images.map((_, i) => ({
      embeds: part("embeds", i),
      deepstack: deepstackNames.map((name) => part(name, i)),
    }));
  }
}
