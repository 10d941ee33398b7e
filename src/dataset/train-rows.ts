/** Training rows in MMEB-train's fields: what a query is, what it is to find, and why. */
import { createHash } from "node:crypto";
import { access } from "node:fs/promises";
import { basename, dirname, isAbsolute, relative, resolve, sep } from "node:path";
import { DatasetError } from "../errors.ts";
import { hashFile, readRows, rowFiles, type FileRow } from "./row-files.ts";

/** A text, an image, or both. */
export interface TrainSide {
  readonly text: string;
  /** Absolute path; `undefined` where the row names none. */
  readonly image: string | undefined;
}

/** A row that can be trained on. */
export interface TrainRow {
  /** `train.jsonl, row 17`, for messages. */
  readonly place: string;
  readonly query: TrainSide;
  readonly target: TrainSide;
  readonly negatives: readonly TrainSide[];
  readonly rationale: string | undefined;
}

/** A row that cannot. */
export interface RowProblem {
  readonly file: string;
  readonly row: number;
  readonly reason: string;
}

/** What a dataset holds. */
export interface TrainRows {
  readonly rows: readonly TrainRow[];
  readonly problems: readonly RowProblem[];
  /** Of the files' bytes, in hex. */
  readonly hash: string;
}

/** What of a row its own checks found wrong. */
class RowError extends Error {}

/** Longest text accepted, in characters; a context of 128,000 tokens has some 500,000. */
const MAX_TEXT_CHARS = 500_000;
/** Most hard negatives of one row. */
const MAX_NEGATIVES = 64;
/** Most rows of one dataset, all of which are held: MMEB-train's largest has 123,000. */
const MAX_ROWS = 5_000_000;
/** A slot for an image, as MMEB or a chat template writes it. */
const SLOT = /<\|image_\d+\|>|<\|vision_start\|><\|image_pad\|><\|vision_end\|>/g;

/**
 * Reads a dataset whole: `qry`, `qry_image_path`, `pos_text`, `pos_image_path`, `neg_text`, `neg_image_path` (one each,
 * or lists of one length) and `rationale`. A row that cannot be used is a problem with its file and number; the others
 * go on.
 * @param path a JSONL or parquet file, or a folder of them
 * @param options.imageRoot folder that image paths are relative to; @default the folder of the file
 * @param options.limit takes so many rows from the start
 * @throws {DatasetError} a file that cannot be read at all, or no row that can be used
 */
export async function readTrainRows(
  path: string,
  options: { imageRoot?: string | undefined; limit?: number | undefined; signal?: AbortSignal | undefined } = {},
): Promise<TrainRows> {
  const { limit = MAX_ROWS, signal } = options;
  const rows: TrainRow[] = [];
  const problems: RowProblem[] = [];
  const hash = createHash("sha256");
  const known = new Map<string, Promise<boolean>>();
  let seen = 0;
  for (const file of await rowFiles(path)) {
    hash.update(`${basename(file)} ${await hashFile(file)}\n`);
    const root = resolve(options.imageRoot ?? dirname(file));
    for await (const row of readRows(file, signal)) {
      if (++seen > limit) break;
      if (seen > MAX_ROWS) throw new DatasetError(`${path}: more than ${MAX_ROWS} rows; give a part of it, or a limit`);
      try {
        rows.push(await toTrainRow(row, root, known));
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        problems.push({ file, row: row.row, reason: error.message });
      }
    }
  }
  if (rows.length === 0) {
    const first = problems[0];
    const why =
      first === undefined
        ? "it is empty"
        : `the first of ${problems.length} problems: row ${first.row}: ${first.reason}`;
    throw new DatasetError(`${path}: no row that can be trained on; ${why}`);
  }
  return { rows, problems, hash: hash.digest("hex") };
}

async function toTrainRow(
  { file, row, value, problem }: FileRow,
  root: string,
  known: Map<string, Promise<boolean>>,
): Promise<TrainRow> {
  if (value === undefined) throw new RowError(problem ?? "nothing in it");
  const side = async (what: string, text: unknown, image: unknown): Promise<TrainSide> => {
    const made = { text: textOf(`${what} text`, text), image: await imageOf(what, image, root, known) };
    if (made.text.trim() === "" && made.image === undefined)
      throw new RowError(`the ${what} has neither text nor image`);
    // RGE's training code drops slots beyond the images there are; the line break after one stays.
    return made.image === undefined ? { ...made, text: made.text.replace(SLOT, "") } : made;
  };
  const texts = listOf(value["neg_text"]);
  const images = listOf(value["neg_image_path"]);
  const count = Math.max(texts.length, images.length);
  if (texts.length > 0 && images.length > 0 && texts.length !== images.length)
    throw new RowError(`${texts.length} neg_text and ${images.length} neg_image_path, expected as many`);
  if (count > MAX_NEGATIVES) throw new RowError(`${count} hard negatives, at most ${MAX_NEGATIVES} are taken`);
  const negatives: TrainSide[] = [];
  for (let i = 0; i < count; i++) negatives.push(await side("negative", texts[i], images[i]));
  const rationale = textOf("rationale", value["rationale"]).trim();
  return {
    place: `${basename(file)}, row ${row}`,
    query: await side("query", value["qry"], value["qry_image_path"]),
    target: await side("target", value["pos_text"], value["pos_image_path"]),
    negatives,
    rationale: rationale === "" ? undefined : rationale,
  };
}

function textOf(what: string, value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new RowError(`the ${what} is ${typeof value}, expected a string`);
  if (value.length > MAX_TEXT_CHARS)
    throw new RowError(`the ${what} has ${value.length} characters, at most ${MAX_TEXT_CHARS} are taken`);
  return value;
}

/** One or several values as a list; an absent, null or empty one is an empty list. */
function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return value === undefined || value === null || value === "" ? [] : [value];
}

async function imageOf(
  what: string,
  value: unknown,
  root: string,
  known: Map<string, Promise<boolean>>,
): Promise<string | undefined> {
  const name = textOf(`${what}'s image path`, value);
  if (name === "") return undefined;
  const path = resolve(root, name);
  const inside = relative(root, path);
  if (inside === "" || inside === ".." || inside.startsWith(`..${sep}`) || isAbsolute(inside))
    throw new RowError(`the ${what}'s image ${JSON.stringify(name)} is not inside ${root}`);
  // Many rows share a picture.
  const exists =
    known.get(path) ??
    access(path).then(
      () => true,
      () => false,
    );
  known.set(path, exists);
  if (!(await exists)) throw new RowError(`the ${what}'s image ${path} is not there`);
  return path;
}
