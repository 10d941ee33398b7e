/** Frames of the videos that rows name: folders of pictures, as MMEB-V2 packs them, or video files. */
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { InputError } from "../errors.ts";
import { evenly, extractFrames } from "../input/video-frames.ts";
import { statsOf } from "../stats-of.ts";
import { pathInside } from "./path-inside.ts";
import { RowError } from "./row-text.ts";

/** A video as a row names it. */
export interface Clip {
  /** Its folder of frames, relative to the folder of all. */
  readonly frames: string;
  /** Its file, or a folder of frames, relative to the folder of videos. */
  readonly video: string | undefined;
}

/** Where videos are, and how much is taken of each. */
export interface ClipFramesOptions {
  readonly frameRoot: string;
  /** Videos are decoded where there are no frames. */
  readonly videoRoot?: string | undefined;
  /** Folder that frames of video files are written into. */
  readonly cacheDir: string;
  /** Of each video, 1 to 64. */
  readonly frames: number;
  readonly signal?: AbortSignal | undefined;
}

const PICTURE = /\.(jpe?g|png)$/i;

/** Looks frames up; each video once. */
export class ClipFrames {
  readonly #options: ClipFramesOptions;
  readonly #found = new Map<string, Promise<readonly string[]>>();

  constructor(options: ClipFramesOptions) {
    this.#options = { ...options, frameRoot: resolve(options.frameRoot) };
  }

  /**
   * Evenly spaced frames of a video, all where it has fewer; absolute paths in its order.
   * @throws {RowError} no frames and no video there, or one that cannot be decoded
   */
  async of(clip: Clip): Promise<readonly string[]> {
    const key = JSON.stringify([clip.frames, clip.video]);
    const frames = this.#found.get(key) ?? this.#look(clip);
    this.#found.set(key, frames);
    return await frames;
  }

  /**
   * Folders in a folder of frames: the clips of a video.
   * @throws {RowError} no such folder
   */
  async clipsIn(name: string): Promise<string[]> {
    const folder = pathInside(this.#options.frameRoot, name);
    if (!(await statsOf(folder))?.isDirectory()) throw new RowError(`there is no folder of clips ${folder}`);
    const clips: string[] = [];
    for (const clip of await readdir(folder)) if ((await statsOf(join(folder, clip)))?.isDirectory()) clips.push(clip);
    return clips.sort(naturalOrder);
  }

  /**
   * A single picture beside the frames.
   * @throws {RowError} no such file
   */
  async picture(name: string): Promise<string> {
    const path = pathInside(this.#options.frameRoot, name);
    if ((await statsOf(path))?.isFile()) return path;
    throw new RowError(`there is no file ${path}`);
  }

  async #look({ frames, video }: Clip): Promise<readonly string[]> {
    const folder = pathInside(this.#options.frameRoot, frames);
    const saved = await picturesIn(folder);
    if (saved.length > 0) return this.#choose(saved);
    const { videoRoot } = this.#options;
    if (videoRoot === undefined || video === undefined) throw new RowError(`no frames in ${folder}`);
    const path = pathInside(resolve(videoRoot), video);
    if ((await statsOf(path))?.isFile()) return await this.#decode(path);
    const beside = await picturesIn(path);
    if (beside.length === 0) throw new RowError(`no frames in ${folder}, and no video ${path}`);
    return this.#choose(beside);
  }

  #choose(saved: readonly string[]): string[] {
    return evenly(saved.length, this.#options.frames).map((i) => saved[i]!);
  }

  async #decode(path: string): Promise<string[]> {
    const { frames, cacheDir, signal } = this.#options;
    try {
      return await extractFrames(path, { frames, cacheDir, signal });
    } catch (error) {
      if (error instanceof InputError) throw new RowError(error.message, { cause: error });
      throw error;
    }
  }
}

async function picturesIn(folder: string): Promise<string[]> {
  if (!(await statsOf(folder))?.isDirectory()) return [];
  const names = (await readdir(folder)).filter((name) => PICTURE.test(name));
  return names.sort(naturalOrder).map((name) => join(folder, name));
}

/** `frame_2` before `frame_10`: names as texts and numbers in turn, letters of either case alike. */
function naturalOrder(a: string, b: string): number {
  const [left, right] = [a.toLowerCase().split(/(\d+)/), b.toLowerCase().split(/(\d+)/)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x, y] = [left[i]!, right[i]!];
    const order = i % 2 === 1 ? Number(x) - Number(y) : compare(x, y);
    if (order !== 0) return order;
  }
  return left.length - right.length || compare(a, b);
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
