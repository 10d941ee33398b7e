/** Pictures as files, each drawn once. */
import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cropObject, drawScene } from "./draw.ts";
import type { Picture } from "./task.ts";
import type { Scene, SceneObject } from "./world.ts";

/** Pictures drawn at a time; sharp has as many threads. */
const AT_A_TIME = 8;
const PER_FOLDER = 1000;

/** Draws pictures into numbered files under one folder. */
export class PictureFiles {
  readonly #root: string;
  readonly #folder: string;
  readonly #names = new WeakMap<Scene, Map<SceneObject | "whole", string>>();
  readonly #waiting: { path: string; picture: Picture }[] = [];
  #count = 0;

  /** @param folder relative to `root`, as names of files have it */
  constructor(root: string, folder: string) {
    this.#root = root;
    this.#folder = folder;
  }

  /** Pictures named so far. */
  get count(): number {
    return this.#count;
  }

  /** The file of a picture relative to the root; `draw` writes it. */
  nameOf(picture: Picture): string {
    const { scene, crop = "whole" } = picture;
    const names = this.#names.get(scene) ?? new Map<SceneObject | "whole", string>();
    this.#names.set(scene, names);
    const known = names.get(crop);
    if (known !== undefined) return known;
    const folder = String(Math.floor(this.#count / PER_FOLDER)).padStart(4, "0");
    const name = `${this.#folder}/${folder}/${String(this.#count).padStart(7, "0")}.png`;
    names.set(crop, name);
    if (this.#count % PER_FOLDER === 0) mkdirSync(dirname(join(this.#root, name)), { recursive: true });
    this.#count++;
    this.#waiting.push({ path: join(this.#root, name), picture });
    return name;
  }

  /** Writes what was named since. */
  async draw(signal: AbortSignal): Promise<void> {
    const waiting = this.#waiting.splice(0);
    // Crops of one picture come one after another.
    const drawn = new WeakMap<Scene, Promise<Buffer>>();
    const drawOnce = (scene: Scene): Promise<Buffer> => {
      const png = drawn.get(scene) ?? drawScene(scene);
      drawn.set(scene, png);
      return png;
    };
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < waiting.length) {
        signal.throwIfAborted();
        const { path, picture } = waiting[next++]!;
        const png = await drawOnce(picture.scene);
        await writeFile(path, picture.crop === undefined ? png : await cropObject(png, picture.crop));
      }
    };
    // All have ended when this does: whoever removes the folder must not race with a write.
    const ended = await Promise.allSettled(Array.from({ length: AT_A_TIME }, work));
    const failed = ended.find((it) => it.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}
