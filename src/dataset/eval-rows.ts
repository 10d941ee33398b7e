/** Evaluation rows in MMEB-eval's fields, each with candidates of its own and the right one first. */
import { dirname } from "node:path";
import { DatasetError } from "../errors.ts";
import { checkedRow, placeOf } from "./checked-row.ts";
import { DifferentSides } from "./different-sides.ts";
import type { EvalQuery, EvalSide, EvalTask } from "./eval-task.ts";
import { hashFiles } from "./hash-files.ts";
import { ImageRoot } from "./image-root.ts";
import { INSTRUCT_FIELDS, rawText } from "./instruct-rows.ts";
import { readRows, rowFiles } from "./row-files.ts";
import { listOf, RowError, textOf } from "./row-text.ts";

/** How a dataset is read. */
export interface ReadEvalOptions {
  /** Folders that image paths may be relative to, in the order in which they are tried. @default the file's */
  readonly imageRoots?: readonly string[] | undefined;
  /** Takes so many rows from the start. @default all */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const EVAL_FIELDS = ["qry_text", "qry_img_path", "tgt_text", "tgt_img_path", "rationale", ...INSTRUCT_FIELDS];
/** MMEB has at most a thousand. */
const MAX_CANDIDATES = 100_000;

/**
 * Reads parquet or JSONL, a file or a folder of them: `qry_text`, `qry_img_path`, `tgt_text[]`, `tgt_img_path[]`, and
 * `qry_inst` and `tgt_inst` where instructions stand apart. Texts are given as MMEB-v1 writes them, slots and all.
 * @throws {DatasetError} a row that cannot be evaluated: a number over fewer rows would be another number
 */
export async function readEvalTask(path: string, options: ReadEvalOptions = {}): Promise<EvalTask> {
  const { limit = Infinity, signal } = options;
  const files = await rowFiles(path);
  const reader = new RowReader(new ImageRoot(...(options.imageRoots ?? [dirname(files[0]!)])));
  for (const file of files) {
    if (reader.queries.length >= limit) break;
    for await (const row of readRows(file, { columns: EVAL_FIELDS, signal })) {
      await checkedRow(row, (value) => reader.take(placeOf(row), value));
      if (reader.queries.length >= limit) break;
    }
  }
  if (reader.queries.length === 0) throw new DatasetError(`${path}: no rows`);
  return { queries: reader.queries, targets: reader.targets.all, hash: await hashFiles(files, signal) };
}

/** Gathers rows and the different targets that they have. */
class RowReader {
  readonly queries: EvalQuery[] = [];
  readonly targets: DifferentSides = new DifferentSides();
  readonly #images: ImageRoot;

  constructor(images: ImageRoot) {
    this.#images = images;
  }

  /** @throws {RowError} fields of a wrong type, no candidates, lists of different lengths, an image that is not there */
  async take(place: string, value: Readonly<Record<string, unknown>>): Promise<void> {
    const query = await this.#side(value, "qry", value["qry_inst"], value["qry_text"], value["qry_img_path"]);
    if (isEmpty(query)) throw new RowError("the query has neither text (qry_text) nor image (qry_img_path)");
    const [texts, images] = [listOf(value["tgt_text"]), listOf(value["tgt_img_path"])];
    const instructions = listOf(value["tgt_inst"]);
    const count = Math.max(texts.length, images.length);
    if (count === 0) throw new RowError("no candidates (tgt_text, tgt_img_path)");
    if (count > MAX_CANDIDATES) throw new RowError(`${count} candidates, at most ${MAX_CANDIDATES} are taken`);
    if (texts.length > 0 && images.length > 0 && texts.length !== images.length)
      throw new RowError(`${texts.length} tgt_text and ${images.length} tgt_img_path, expected as many`);
    if (instructions.length > 1 && instructions.length !== count)
      throw new RowError(`${instructions.length} tgt_inst for ${count} candidates, expected one or as many`);
    const candidates: number[] = [];
    for (let i = 0; i < count; i++) {
      const instruction = instructions.length > 1 ? instructions[i] : instructions[0];
      const target = await this.#side(value, "tgt", instruction, texts[i], images[i]);
      if (isEmpty(target)) throw new RowError(`candidate ${i} has neither text (tgt_text) nor image (tgt_img_path)`);
      candidates.push(this.targets.indexOf(target));
    }
    const rationale = textOf("rationale", value["rationale"]).trim();
    this.queries.push({
      place,
      query,
      candidates,
      relevance: new Map([[0, 1]]),
      rationale: rationale === "" ? undefined : rationale,
    });
  }

  async #side(
    row: Readonly<Record<string, unknown>>,
    side: "qry" | "tgt",
    instruction: unknown,
    text: unknown,
    image: unknown,
  ): Promise<EvalSide> {
    const path = await this.#images.find(`${side}_img_path`, image);
    const own = textOf(`${side}_text`, text);
    const has = `${side}_inst` in row;
    return {
      text: has ? rawText(textOf(`${side}_inst`, instruction), own) : own,
      images: path === undefined ? [] : [path],
    };
  }
}

function isEmpty({ text, images }: EvalSide): boolean {
  return images.length === 0 && text.trim() === "";
}
