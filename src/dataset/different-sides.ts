/** Candidates of a dataset, each different one once. */
import type { EvalSide } from "./eval-task.ts";

/** Gathers sides; two are the same where text and pictures' paths are. */
export class DifferentSides {
  readonly all: EvalSide[] = [];
  readonly #indices = new Map<string, number>();

  /** Where a side stands in `all`; it is added where it is new. */
  indexOf(side: EvalSide): number {
    const key = [side.text, ...side.images].join("\0");
    const known = this.#indices.get(key);
    if (known !== undefined) return known;
    this.#indices.set(key, this.all.length);
    return this.all.push(side) - 1;
  }
}
