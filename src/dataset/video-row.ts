/** What a row of a video dataset says, and what reading one takes. Knows no dataset. */
import { basename, extname } from "node:path";
import type { Clip } from "./clip-frames.ts";
import { listOf, RowError, textOf } from "./row-text.ts";

/** Fields of a row. */
export type Values = Readonly<Record<string, unknown>>;

/** One side of a row, its pictures not yet looked up; their slots come with them. */
export interface ClipSide {
  readonly text: string;
  readonly clip?: Clip | undefined;
  /** A single picture, relative to the folder of frames. */
  readonly picture?: string | undefined;
}

/** What a row says. */
interface ClipRow {
  readonly query: ClipSide;
  readonly candidates: readonly ClipSide[];
  /** Which of the candidates are right. */
  readonly right: readonly number[];
}

/** A file of rows. */
export interface SourceFile {
  readonly file: string;
  /** The part of the dataset that it has, where a dataset has parts. */
  readonly subset: string | undefined;
}

/** What a row is read beside. */
export interface RowContext {
  readonly subset: string | undefined;
  /** Names of the folders in a folder of frames. */
  readonly clipsIn: (name: string) => Promise<readonly string[]>;
}

/** A dataset of videos. */
export interface VideoDataset {
  /** Its rows, below `video-tasks/data`. */
  readonly rows: string;
  /** Where its frames may be, below `video-tasks/frames`, and its videos, below `video-tasks/videos`. */
  readonly folders: readonly string[];
  readonly fields: readonly string[];
  /** A query has its row's candidates, or those of all rows. */
  readonly candidates: "own" | "all";
  /** Further candidates of all rows. */
  readonly labels?: readonly string[] | undefined;
  /** The benchmark takes so many rows from the start. */
  readonly take?: number | undefined;
  /** Which files have its rows. @default those that `rowFiles` finds */
  readonly files?: ((path: string) => Promise<readonly SourceFile[]>) | undefined;
  /** @throws {RowError} what is wrong with the row */
  readonly read: (row: Values, context: RowContext) => ClipRow | Promise<ClipRow>;
}

/** What retrieval datasets say of a video that is to be found. */
export const TARGET_TEXT = "Understand the content of the provided video.";

/**
 * A field with words in it.
 * @throws {RowError} empty, absent or no string
 */
export function wordsOf(field: string, row: Values): string {
  const text = textOf(field, row[field]);
  if (text.trim() === "") throw new RowError(`no ${field}`);
  return text;
}

/**
 * A name, or a number that is one.
 * @throws {RowError} empty, absent or of another type
 */
export function nameOf(field: string, row: Values): string {
  const value = row[field];
  return typeof value === "number" ? String(value) : wordsOf(field, row);
}

/**
 * A list of texts that is not empty.
 * @throws {RowError} empty, absent, or with something else in it
 */
export function textsOf(field: string, row: Values): string[] {
  const texts = listOf(row[field]).map((text) => textOf(field, text));
  if (texts.length === 0) throw new RowError(`no ${field}`);
  return texts;
}

/**
 * The first of several texts, one caption of a video.
 * @throws {RowError} none, or one without words
 */
export function firstOf(field: string, row: Values): string {
  return wordsOf(field, { [field]: textsOf(field, row)[0] });
}

/** `clips/a.mp4` -> `a`. */
export function stemOf(path: string): string {
  return basename(path, extname(path));
}

/** A video whose frames have its name. */
export function mp4(name: string): Clip {
  return { frames: name, video: `${name}.mp4` };
}
