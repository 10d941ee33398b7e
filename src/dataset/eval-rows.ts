/** Evaluation rows in MMEB-eval's fields: a query and its candidates, the right one first. */
import { basename, dirname } from "node:path";
import { DatasetError } from "../errors.ts";
import { readRows, rowFiles, type FileRow } from "./row-files.ts";
import { isEmpty, listOf, RowError, SideReader, textOf, type TrainSide } from "./train-row.ts";

/** A query, its candidates, and the oracle's rationale where the file has one. */
export interface EvalRow {
  /** `test.parquet, row 17`, for messages. */
  readonly place: string;
  readonly query: TrainSide;
  /** The first is right. */
  readonly targets: readonly TrainSide[];
  readonly rationale: string | undefined;
}

/** How a dataset is read. */
export interface ReadEvalOptions {
  /** Folder that image paths are relative to. @default the file's */
  readonly imageRoot?: string | undefined;
  /** Takes so many rows from the start. @default all */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const EVAL_FIELDS = ["qry_text", "qry_img_path", "tgt_text", "tgt_img_path", "rationale"];
/** MMEB has at most a thousand. */
const MAX_CANDIDATES = 100_000;

/**
 * Reads parquet or JSONL, a file or a folder of them.
 * @throws {DatasetError} a row that cannot be evaluated: a number over fewer rows would be another number
 */
export async function readEvalRows(path: string, options: ReadEvalOptions = {}): Promise<EvalRow[]> {
  const { limit = Infinity, signal } = options;
  const files = await rowFiles(path);
  const sides = new SideReader(options.imageRoot ?? dirname(files[0]!));
  const rows: EvalRow[] = [];
  for (const file of files) {
    for await (const row of readRows(file, { columns: EVAL_FIELDS, signal })) {
      if (rows.length >= limit) return rows;
      try {
        rows.push(await evalRow(row, sides));
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        throw new DatasetError(`${file}, row ${row.row}: ${error.message}`, { cause: error });
      }
    }
  }
  if (rows.length === 0) throw new DatasetError(`${path}: no rows to evaluate`);
  return rows;
}

async function evalRow({ file, row, value, problem }: FileRow, sides: SideReader): Promise<EvalRow> {
  if (value === undefined) throw new RowError(problem ?? "internal: a row with neither a value nor a problem");
  const query = await sides.read(textOf("qry_text", value["qry_text"]), "qry_img_path", value["qry_img_path"]);
  if (isEmpty(query)) throw new RowError("the query has neither text (qry_text) nor image (qry_img_path)");
  const [texts, images] = [listOf(value["tgt_text"]), listOf(value["tgt_img_path"])];
  const count = Math.max(texts.length, images.length);
  if (count === 0) throw new RowError("no candidates (tgt_text, tgt_img_path)");
  if (count > MAX_CANDIDATES) throw new RowError(`${count} candidates, at most ${MAX_CANDIDATES} are taken`);
  if (texts.length > 0 && images.length > 0 && texts.length !== images.length)
    throw new RowError(`${texts.length} tgt_text and ${images.length} tgt_img_path, expected as many`);
  const targets: TrainSide[] = [];
  for (let i = 0; i < count; i++) {
    const target = await sides.read(textOf("tgt_text", texts[i]), "tgt_img_path", images[i]);
    if (isEmpty(target)) throw new RowError(`candidate ${i} has neither text (tgt_text) nor image (tgt_img_path)`);
    targets.push(target);
  }
  const rationale = textOf("rationale", value["rationale"]).trim();
  return {
    place: `${basename(file)}, row ${row}`,
    query,
    targets,
    rationale: rationale === "" ? undefined : rationale,
  };
}
