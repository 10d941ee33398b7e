import { InputError } from "../errors.ts";
import type { Grid } from "../input/patches.ts";

/** Positions of a prompt's tokens on the three axes of multimodal RoPE. */
export interface Positions {
  /** time, height, width, each `[tokens]` */
  readonly axes: readonly [Int32Array, Int32Array, Int32Array];
  /** Next position minus token count: the position of token `n` after the prompt is `n + delta` on every axis. */
  readonly delta: number;
}

/**
 * Text advances all axes together; an image's tokens stand on a grid that starts at the current position, and text
 * goes on after the grid's longer side (`get_rope_index` of transformers).
 * @param grids patches `[time, height, width]` per image, in the order of their tokens
 * @throws {InputError} when the image tokens do not match the grids
 */
export function ropePositions(
  ids: ArrayLike<number>,
  imageTokenId: number,
  grids: readonly Grid[],
  merge: number,
): Positions {
  const axes = [0, 1, 2].map(() => new Int32Array(ids.length)) as [Int32Array, Int32Array, Int32Array];
  let next = 0;
  let at = 0;
  let image = 0;
  while (at < ids.length) {
    if (ids[at] !== imageTokenId) {
      for (const axis of axes) axis[at] = next;
      next++;
      at++;
      continue;
    }
    const grid = grids[image++];
    if (grid === undefined) throw new InputError(`internal: image token at ${at}, but only ${grids.length} images`);
    const [time, height, width] = [grid[0], grid[1] / merge, grid[2] / merge];
    for (let i = 0; i < time * height * width; i++, at++) {
      if (ids[at] !== imageTokenId)
        throw new InputError(`internal: image ${image} ends at token ${at}, expected ${time * height * width} tokens`);
      axes[0][at] = next + Math.floor(i / (height * width));
      axes[1][at] = next + (Math.floor(i / width) % height);
      axes[2][at] = next + (i % width);
    }
    next += Math.max(height, width);
  }
  if (image !== grids.length) throw new InputError(`internal: ${grids.length} images, tokens of ${image}`);
  return { axes, delta: next - ids.length };
}
