/** What is to be indexed: pictures of a folder, or rows of a JSONL, CSV or parquet file, one after another. */
import { createReadStream } from "node:fs";
import { opendir, readFile, stat } from "node:fs/promises";
import { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { parse } from "csv-parse";
import { readRows } from "../dataset/row-files.ts";
import { DatasetError, messageOf } from "../errors.ts";
import type { Metadata, MetadataValue } from "../store/store.ts";

/** A thing to be found. */
export interface SourceItem {
  /** The file's path relative to the folder, or the row's `id`, or file and row. */
  readonly id: string;
  /** Caption; "" for none. */
  readonly caption: string;
  /** Absolute path; `undefined` for an item of text alone. */
  readonly image: string | undefined;
  readonly metadata: Metadata;
}

/** An item, or what is wrong with it. */
export type SourceEntry = { readonly item: SourceItem } | { readonly place: string; readonly reason: string };

/** Files of a folder that are pictures. */
const PICTURES: ReadonlySet<string> = new Set([".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".tif", ".tiff"]);
const ROWS = [".jsonl", ".parquet", ".csv"];
/** Hugging Face's imagefolder: captions and other columns by `file_name`. */
const METADATA_FILE = "metadata.jsonl";
const CAPTION_KEYS = ["caption", "text", "title", "description"];
const IMAGE_KEYS = ["image", "image_path", "img_path", "file_name", "path"];
const MAX_CAPTION_BYTES = 1_000_000;
const MAX_METADATA_CHARS = 10_000;

/**
 * Reads a source.
 * @throws {DatasetError} a path that is not there or of no kind that is known
 */
export async function* readSource(path: string, signal?: AbortSignal): AsyncGenerator<SourceEntry, void, void> {
  const root = resolve(path);
  const stats = await stat(root).catch((error: unknown) => {
    throw new DatasetError(`${path}: ${messageOf(error)}`, { cause: error });
  });
  if (stats.isDirectory()) yield* readFolder(root, root, signal);
  else if (ROWS.includes(extname(root).toLowerCase())) yield* readTable(root, signal);
  else throw new DatasetError(`${path}: expected a folder of pictures, or a file that ends in ${ROWS.join(", ")}`);
}

/** How many entries a source has, where counting is cheap: files of a folder; `undefined` for rows. */
export async function countSource(path: string, signal?: AbortSignal): Promise<number | undefined> {
  const root = resolve(path);
  const stats = await stat(root).catch(() => undefined);
  if (stats === undefined || !stats.isDirectory()) return undefined;
  let count = 0;
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop())
    for await (const entry of await opendir(folder)) {
      signal?.throwIfAborted();
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory()) folders.push(join(folder, entry.name));
      else if (entry.isFile() && PICTURES.has(extname(entry.name).toLowerCase())) count++;
    }
  return count;
}

/** Pictures in the order of their names, folders after the files beside them. */
async function* readFolder(
  root: string,
  folder: string,
  signal?: AbortSignal,
): AsyncGenerator<SourceEntry, void, void> {
  const files: string[] = [];
  const folders: string[] = [];
  for await (const entry of await opendir(folder)) {
    signal?.throwIfAborted();
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) folders.push(entry.name);
    else if (entry.isFile()) files.push(entry.name);
  }
  const told = files.includes(METADATA_FILE) ? await readMetadata(join(folder, METADATA_FILE), signal) : undefined;
  for (const problem of told?.problems ?? []) yield problem;
  for (const name of files.sort()) {
    signal?.throwIfAborted();
    if (!PICTURES.has(extname(name).toLowerCase())) continue;
    const image = join(folder, name);
    const row = told?.rows.get(name) ?? {};
    const sidecar = `${basename(name, extname(name))}.txt`;
    const caption = files.includes(sidecar) ? await readCaption(join(folder, sidecar)) : captionOf(row);
    if (typeof caption !== "string") {
      yield caption;
      continue;
    }
    yield { item: { id: relative(root, image).split(sep).join("/"), caption, image, metadata: metadataOf(row) } };
  }
  for (const name of folders.sort()) yield* readFolder(root, join(folder, name), signal);
}

async function readCaption(file: string): Promise<string | { place: string; reason: string }> {
  const { size } = await stat(file);
  if (size > MAX_CAPTION_BYTES) return { place: file, reason: `${size} bytes, at most ${MAX_CAPTION_BYTES} are taken` };
  return (await readFile(file, "utf8")).trim();
}

/** Rows of a folder's metadata file by the name of their picture. */
async function readMetadata(
  file: string,
  signal?: AbortSignal,
): Promise<{ rows: Map<string, Record<string, unknown>>; problems: { place: string; reason: string }[] }> {
  const rows = new Map<string, Record<string, unknown>>();
  const problems: { place: string; reason: string }[] = [];
  for await (const { row, value, problem } of readRows(file, { signal })) {
    const name = value?.["file_name"];
    if (typeof name === "string") rows.set(name, value!);
    else problems.push({ place: `${file}, row ${row}`, reason: problem ?? "no file_name" });
  }
  return { rows, problems };
}

async function* readTable(file: string, signal?: AbortSignal): AsyncGenerator<SourceEntry, void, void> {
  const isCsv = file.toLowerCase().endsWith(".csv");
  const rows = isCsv ? readCsv(file, signal) : readRows(file, { signal });
  for await (const { row, value, problem } of rows) {
    const place = `${basename(file)}, row ${row}`;
    if (value === undefined) yield { place, reason: problem ?? "cannot be read" };
    else yield tableEntry(file, row, place, value);
  }
}

function tableEntry(file: string, row: number, place: string, value: Record<string, unknown>): SourceEntry {
  const named = IMAGE_KEYS.map((key) => value[key]).find((it) => typeof it === "string" && it !== "") as
    | string
    | undefined;
  const root = dirname(file);
  const image = named === undefined ? undefined : resolve(root, named);
  if (image !== undefined) {
    const inside = relative(root, image);
    if (inside.startsWith("..") || isAbsolute(inside))
      return { place, reason: `image ${JSON.stringify(named)} is not inside ${root}` };
  }
  const caption = captionOf(value);
  if (image === undefined && caption === "")
    return { place, reason: `neither an image (${IMAGE_KEYS.join(", ")}) nor a text (${CAPTION_KEYS.join(", ")})` };
  const given = value["id"];
  const id = typeof given === "string" || typeof given === "number" ? String(given) : `${basename(file)}:${row}`;
  return { item: { id, caption, image, metadata: metadataOf(value) } };
}

interface TableRow {
  readonly row: number;
  readonly value: Record<string, unknown> | undefined;
  readonly problem: string | undefined;
}

async function* readCsv(file: string, signal?: AbortSignal): AsyncGenerator<TableRow, void, void> {
  const rows = createReadStream(file, { signal }).pipe(
    parse({ columns: true, bom: true, skip_empty_lines: true, max_record_size: MAX_CAPTION_BYTES }),
  );
  let row = 0;
  try {
    for await (const value of rows as AsyncIterable<Record<string, string>>) {
      // Numbers are numbers, so that they can be filtered by size.
      const typed = Object.entries(value).map(([key, text]) => [
        key,
        /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text,
      ]);
      yield { row: ++row, value: Object.fromEntries(typed) as Record<string, unknown>, problem: undefined };
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw new DatasetError(`${file}, after row ${row}: ${messageOf(error)}`, { cause: error });
  }
}

function captionOf(row: Record<string, unknown>): string {
  const texts = CAPTION_KEYS.map((key) => row[key]).filter((it) => typeof it === "string");
  return texts[0] ?? "";
}

/** Flat values under keys that a store takes; what is nested, empty or very long is left out. */
function metadataOf(row: Record<string, unknown>): Metadata {
  const taken = Object.entries(row).filter(
    (entry): entry is [string, MetadataValue] =>
      !CAPTION_KEYS.includes(entry[0]) &&
      !IMAGE_KEYS.includes(entry[0]) &&
      entry[0] !== "id" &&
      /^[A-Za-z_]\w{0,63}$/.test(entry[0]) &&
      ((typeof entry[1] === "string" && entry[1] !== "" && entry[1].length <= MAX_METADATA_CHARS) ||
        typeof entry[1] === "boolean" ||
        Number.isFinite(entry[1])),
  );
  return Object.fromEntries(taken.slice(0, 64));
}
