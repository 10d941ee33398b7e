/**
 * Visual documents to be found, as ViDoRe, VisRAG, ViDoSeek and MMLongBench lie on the hub: a corpus of page images,
 * queries, and which pages answer each, in three parts as BEIR has them. Fields and instructions are those of VLM2Vec's
 * `vidore_dataset.py` and `visrag_dataset.py`, which read all of them alike.
 */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { DatasetError, messageOf } from "../errors.ts";
import { statsOf } from "../stats-of.ts";
import { checkedRow, placeOf } from "./checked-row.ts";
import type { EvalQuery, EvalSide, EvalTask } from "./eval-task.ts";
import { hashFiles } from "./hash-files.ts";
import { ImageRoot } from "./image-root.ts";
import { PictureFiles } from "./picture-files.ts";
import { readRows, rowFiles } from "./row-files.ts";
import { RowError, textOf } from "./row-text.ts";

/** How a dataset of documents is read. */
export interface ReadBeirOptions {
  /** Folder that pictures out of parquet are written into, once each. */
  readonly cacheDir: string;
  /** Takes so many queries from the start; the corpus is taken whole. @default all */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const QUERY_INSTRUCTION = "Find a document image that matches the given query:";
const TARGET_TEXT = "<|image_1|>\nUnderstand the content of the provided document image.";
/** As many pages as could be embedded in some days. */
const MAX_PAGES = 1_000_000;

type Part = "corpus" | "queries" | "qrels";
type Values = Readonly<Record<string, unknown>>;

/**
 * Reads a folder that has `corpus`, `queries` and `qrels`, each a folder of parquet or JSONL or files whose names begin
 * so, there or in `data`: `corpus/test-00000-of-00001.parquet`, `data/queries-test.parquet`, `qrels.jsonl`.
 * Corpus: `corpus-id` and `image`, a struct with `bytes` or a path within the folder. Queries: `query-id`, `query`.
 * Judgements: `query-id`, `corpus-id`, `score`, of which those above 0 count, the highest of several.
 * @returns all pages as candidates of every query, graded by their scores
 * @throws {DatasetError} a part that is missing, a row that cannot be read, a query without a right page in the corpus
 */
export async function readBeirTask(folder: string, options: ReadBeirOptions): Promise<EvalTask> {
  const { limit = Infinity, signal } = options;
  const files = {
    corpus: await filesOf(folder, "corpus"),
    queries: await filesOf(folder, "queries"),
    qrels: await filesOf(folder, "qrels"),
  };
  const grades = await readGrades(files.qrels, signal);
  const pages = await readPages(folder, files.corpus, options);
  const queries: EvalQuery[] = [];
  for (const file of files.queries) {
    for await (const row of readRows(file, { columns: ["query-id", "query"], signal })) {
      if (queries.length >= limit) break;
      queries.push(await checkedRow(row, (value) => queryOf(placeOf(row), value, grades, pages.indices)));
    }
  }
  if (queries.length === 0) throw new DatasetError(`${folder}: no queries`);
  const hash = await hashFiles([...files.corpus, ...files.queries, ...files.qrels], signal);
  return { queries, targets: pages.targets, hash };
}

/** The files of a part, all of one split. */
async function filesOf(folder: string, part: Part): Promise<string[]> {
  for (const place of [folder, join(folder, "data")]) {
    if (await isFolder(join(place, part))) return oneSplit(await rowFiles(join(place, part)), part);
    const names = await namesIn(place);
    const own = names.filter((name) => name.startsWith(part) && /^[-_.]/.test(name.slice(part.length)));
    const files = own.filter((name) => /\.(parquet|jsonl)$/.test(name)).sort();
    if (files.length > 0)
      return oneSplit(
        files.map((name) => join(place, name)),
        part,
      );
  }
  throw new DatasetError(
    `${folder}: no ${part}. Expected a folder ${part}, or files that begin with ${part}, there or in data.`,
  );
}

/** `train-00000-of-00002.parquet` and its like are shards of one split; another split would be other queries. */
function oneSplit(files: string[], part: Part): string[] {
  const splits = new Set(files.map((file) => basename(file).replace(/-?\d*(-of-\d+)?\.\w+$/, "")));
  if (splits.size <= 1) return files;
  throw new DatasetError(`${files[0]}: several splits of ${part} (${[...splits].join(", ")}). Keep one of them.`);
}

async function isFolder(path: string): Promise<boolean> {
  return (await statsOf(path))?.isDirectory() ?? false;
}

async function namesIn(folder: string): Promise<string[]> {
  if (!(await isFolder(folder))) return [];
  try {
    return await readdir(folder);
  } catch (error) {
    throw new DatasetError(`${folder}: cannot be read (${messageOf(error)})`, { cause: error });
  }
}

/** An id is a text, or a number, which some of the datasets have. */
function idOf(field: string, value: Values): string {
  const id = value[field];
  if (typeof id === "bigint" || typeof id === "number") return String(id);
  const text = textOf(field, id);
  if (text === "") throw new RowError(`no ${field}`);
  return text;
}

/** Query -> page -> grade above 0. */
type Grades = ReadonlyMap<string, ReadonlyMap<string, number>>;

async function readGrades(files: readonly string[], signal: AbortSignal | undefined): Promise<Grades> {
  const grades = new Map<string, Map<string, number>>();
  for (const file of files) {
    for await (const row of readRows(file, { columns: ["query-id", "corpus-id", "score"], signal })) {
      const [query, page, score] = await checkedRow(row, (value) => {
        if (typeof value["score"] !== "number")
          throw new RowError(`score is ${String(value["score"])}, expected a number`);
        return [idOf("query-id", value), idOf("corpus-id", value), value["score"]] as const;
      });
      if (score <= 0) continue;
      const graded = grades.get(query) ?? new Map<string, number>();
      graded.set(page, Math.max(score, graded.get(page) ?? 0));
      grades.set(query, graded);
    }
  }
  return grades;
}

/** The corpus, and which place each id has in it. */
interface Pages {
  readonly targets: readonly EvalSide[];
  readonly indices: ReadonlyMap<string, number>;
}

async function readPages(
  folder: string,
  files: readonly string[],
  { cacheDir, signal }: ReadBeirOptions,
): Promise<Pages> {
  const [kept, images] = [new PictureFiles(cacheDir), new ImageRoot(folder)];
  const targets: EvalSide[] = [];
  const indices = new Map<string, number>();
  for (const file of files) {
    for await (const row of readRows(file, { columns: ["corpus-id", "image"], bytes: true, signal })) {
      const [id, image] = await checkedRow(row, async (value) => {
        const page = idOf("corpus-id", value);
        return [page, await imageOf(value["image"], `image of ${page}`, kept, images)] as const;
      });
      // The first of an id counts, as in VLM2Vec.
      if (indices.has(id)) continue;
      if (targets.length >= MAX_PAGES) throw new DatasetError(`${file}: more than ${MAX_PAGES} pages`);
      indices.set(id, targets.length);
      targets.push({ text: TARGET_TEXT, images: [image] });
    }
  }
  if (targets.length === 0) throw new DatasetError(`${folder}: no pages in the corpus`);
  return { targets, indices };
}

/** The file of a picture: bytes are written to one, a path names one. */
async function imageOf(image: unknown, label: string, kept: PictureFiles, images: ImageRoot): Promise<string> {
  const isStruct = typeof image === "object" && image !== null && !(image instanceof Uint8Array);
  const { bytes, path } = (isStruct ? image : {}) as { bytes?: unknown; path?: unknown };
  const content = image instanceof Uint8Array ? image : bytes;
  if (content instanceof Uint8Array) return await kept.keep(content, label);
  const found = await images.find("image", isStruct ? path : image);
  if (found === undefined) throw new RowError(`no image, expected bytes or a path`);
  return found;
}

function queryOf(place: string, value: Values, grades: Grades, indices: Pages["indices"]): EvalQuery {
  const id = idOf("query-id", value);
  const text = textOf("query", value["query"]);
  if (text.trim() === "") throw new RowError("the query has no text (query)");
  const relevance = new Map<number, number>();
  for (const [page, grade] of grades.get(id) ?? []) {
    const index = indices.get(page);
    if (index === undefined) throw new RowError(`query ${id} has ${page} as a right page, which is not in the corpus`);
    relevance.set(index, grade);
  }
  if (relevance.size === 0) throw new RowError(`query ${id} has no right page (qrels)`);
  return {
    place,
    query: { text: `${QUERY_INSTRUCTION} ${text}`, images: [] },
    candidates: undefined,
    relevance,
    rationale: undefined,
  };
}
